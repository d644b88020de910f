"""How fast Job Jar is beside the least that this machine needs for the same: `make bench`, docs/performance.md."""
