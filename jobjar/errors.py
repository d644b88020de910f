"""The errors that a person can mend, each with its exit status.

Each message is one sentence that names the file and the remedy. A lost race is never an exception but a return
value, and an OSError that nobody expected is left as it is.
"""


class JobJarError(Exception):
    """Something that a person can mend; `str()` of it is the whole message."""

    exit_status = 1


class UsageError(JobJarError):
    """The request itself is wrong: an option, a name, a setting, a file that is no job."""

    exit_status = 2


class NoSuchJob(JobJarError):
    """No job, worker or node of that name."""

    exit_status = 3


class TryAgain(JobJarError):
    """Nothing is wrong with the request, but not now: no space, no quota, a server that fails."""

    exit_status = 75


class Fenced(JobJarError):
    """This worker's claims/ is gone: somebody declared it dead, and its jobs belong to them now."""
