"""What a job prints, in a file of the worker's own that is kept from growing without end."""

import fcntl
import os
import stat
from collections.abc import Callable

from jobjar import process

# How much of the end of a log that has grown too long is kept.
TAIL = 65536


class Capture:
    """The file at `path`, which jobs append to, one after the other. `dropped`: how many bytes of the job are missing.

    `set_aside(path, why)` takes away what is not the worker's file.
    """

    def __init__(self, path: str, most: int, report: Callable[[str], None],
                 set_aside: Callable[[str, str], None]) -> None:
        self.path, self.dropped = path, 0
        self._most, self._report, self._set_aside = most, report, set_aside
        self._handle: int | None = None
        self._flags = self._inode = 0
        # Whether it is empty, and the file that is open.
        self._is_as_new = False

    def open(self) -> int:
        """A descriptor by which the next job appends to the file: that of the job before, if that has left all as new.

        To open it for each job costs a file server two requests.
        """
        if self._handle is not None and not (self._is_as_new
                                             and fcntl.fcntl(self._handle, fcntl.F_GETFL) == self._flags):
            handle, self._handle = self._handle, None
            os.close(handle)
        if self._handle is None:
            self._handle = os.open(self.path, process.APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._flags, self._inode = fcntl.fcntl(self._handle, fcntl.F_GETFL), os.fstat(self._handle).st_ino
        self._is_as_new = False
        return self._handle

    def bound(self) -> int:
        """Keep it a file of at most about JJ_MAX_LOG bytes; how much is in it, -1 when nobody can say. Never fails."""
        self._is_as_new = False
        try:
            found = os.lstat(self.path)
            if not stat.S_ISREG(found.st_mode):
                self._set_aside(self.path, "is not what the worker had put there")
                return 0
            if stat.S_IMODE(found.st_mode) != 0o600:
                # The job has closed it, and the next one is to print there.
                os.chmod(self.path, 0o600)
            if found.st_size > self._most:
                self._cut()
            self._is_as_new = not found.st_size and found.st_ino == self._inode
            return found.st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._report(f"the job's output cannot be looked after: {error}")
            return -1

    def _cut(self) -> None:
        """Keep the first half of JJ_MAX_LOG, a line that says so, and the last bytes."""
        keep = self._most // 2
        with open(self.path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(keep, size - min(TAIL, keep // 2)))
            end = file.read(TAIL)
            # RACE: what a job prints just now may be dropped unseen, but it is counted.
            self.dropped += os.fstat(file.fileno()).st_size - keep - len(end)
            file.truncate(keep)
        # Appended, as the job appends: whatever it prints meanwhile is not overwritten.
        with open(self.path, "ab") as file:
            gap = f"\n[jobjar: {self.dropped} bytes dropped here, JJ_MAX_LOG is {self._most}]\n"
            file.write(gap.encode() + end)

    def has_any(self) -> bool:
        """Whether the last job has printed anything that has not been moved away."""
        try:
            return os.stat(self.path).st_size > 0
        except FileNotFoundError:
            return False
