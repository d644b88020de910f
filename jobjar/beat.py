"""A worker's sign of life, and by it the file server's clock: an empty file that is touched now and then."""

import contextlib
import os
import time
from collections.abc import Callable

from jobjar import fsops

# How often a worker says that it lives, whatever it does, in s.
INTERVAL = 60.0
# How old what is known of the server's clock may be when a listing is judged by it.
FRESH = 1.0


def server_time(path: str) -> float:
    """When the file server says that it made the file `path`, in s since the epoch; it is removed again.

    `path` is this process's alone: what is there is of an earlier one of its number, killed in the midst of this.
    """
    handle = None
    while handle is None:
        fsops.remove(path)
        # NFS: a lost reply says "exists" of what I have just made; RACE: so does a container of this computer's name.
        with contextlib.suppress(FileExistsError):
            # NFS: and FUSE: setting a file's times may be done with this node's clock, making it with the server's.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        fsops.remove(path)


class Beat:
    """The file `beat` in one worker's directory. `report` hears what went wrong; nothing here fails."""

    def __init__(self, directory: str, report: Callable[[str], None]) -> None:
        self._path = os.path.join(directory, "beat")
        self._report = report
        self._at = float("-inf")
        self._offset = time.time() - time.monotonic()

    def touch(self) -> None:
        """Say that the worker lives, and learn the file server's time."""
        self._at = time.monotonic()
        try:
            try:
                fsops.touch_again(self._path)
            except FileNotFoundError:
                fsops.touch(self._path)
            self._offset = os.stat(self._path).st_mtime - self._at
        except OSError as error:
            # Nobody is declared dead for want of a beat, and a job may be running.
            self._report(f"no beat: {error}")

    def keep(self) -> None:
        """Touch it if it is time to."""
        if time.monotonic() - self._at >= INTERVAL:
            self.touch()

    def server_now(self) -> float:
        """The file server's clock, in s since the epoch, as it was when the file was touched last, and run on."""
        return time.monotonic() + self._offset

    def fresh_now(self) -> float:
        """The file server's clock, asked within the last second."""
        # NFS: since an earlier beat it may have been set, and this computer may have been asleep.
        if time.monotonic() - self._at >= FRESH:
            self.touch()
        return self.server_now()
