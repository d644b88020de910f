"""Job Jar: a batch queue in a shared directory, without a daemon."""

__version__ = "1.0.0"
