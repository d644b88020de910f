"""A worker's own log, for people: what it could not do, and when. Nothing is decided by what it says."""

import os
import time

from jobjar import fsops

ROTATE_AT = 2**20


class WorkerLog:
    """Appends lines to `log`; when it has grown large it becomes `log.1` and a new one is begun."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, "log")

    def say(self, text: str) -> None:
        """Write one line with the time. Never fails: a worker must not die of a full disk in its diary."""
        line = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) + ascii(text)[1:-1] + "\n"
        try:
            handle = fsops.open_append(self.path, 0o644)
            try:
                fsops.append(handle, line.encode())
                is_large = os.fstat(handle).st_size > ROTATE_AT
            finally:
                fsops.close(handle)
            if is_large:
                fsops.rename(self.path, self.path + ".1")
        except OSError:
            pass
