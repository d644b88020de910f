"""Waiting cheaply and waking at once: signals, ended children, and inotify where the kernel has it.

inotify is only ever a hint: on a network it sees what this node does and nothing else, so every look that it would
have saved is also made by the clock.
"""

import ctypes
import errno
import os
import select
import signal
import struct
from collections.abc import Iterable, Iterator

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x4000, 0x8000
_ONLYDIR, _ONESHOT = 0x01000000, 0x80000000
_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_HEAD = struct.Struct("iIII")


class _Inotify:
    """One instance; `handle` is None where the kernel or the user has none to spare."""

    def __init__(self) -> None:
        self.handle: int | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(self._libc, "inotify_init1"):
            handle = self._libc.inotify_init1(_CLOEXEC | _NONBLOCK)
            # Each user has a limited number of instances; without one the clock has to do.
            self.handle = handle if handle >= 0 else None

    def add(self, directory: str, mask: int) -> int:
        """The number under which `directory` will report; -1, with ctypes.get_errno(), when it cannot."""
        mask |= _DELETE_SELF | _MOVE_SELF | _ONLYDIR
        return self._libc.inotify_add_watch(self.handle, os.fsencode(directory), ctypes.c_uint32(mask))

    def events(self) -> Iterator[tuple[int, int, str]]:
        """What has been reported since the last call: the number, what has happened, and to which name."""
        while self.handle is not None:
            try:
                data = os.read(self.handle, 65536)
            except BlockingIOError:
                break
            at = 0
            while at < len(data):
                wd, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size + length
                yield wd, mask, os.fsdecode(data[at - length:at].rstrip(b"\0"))


class Watch(_Inotify):
    """Tells in which directories something has appeared. Without inotify it is silent."""

    def __init__(self) -> None:
        super().__init__()
        self._directories: dict[int, str] = {}
        self._filters: dict[str, frozenset[str]] = {}

    def once(self, directory: str, written: bool = False) -> str:
        """Report the next thing that appears in `directory`; when it is not there, in the nearest above it that is.

        `written`: also when something is written to a file in it, or a writer closes one. Returns the directory that
        will report.
        """
        mask = _ATTRIB | _MOVED_TO | _CREATE | _ONESHOT | (_MODIFY | _CLOSE_WRITE if written else 0)
        nearest, before = self._arm_nearest(directory, mask), None
        # RACE: what was not there may have come before the watch above it; only a second try can tell.
        while nearest not in (directory, before):
            nearest, before = self._arm_nearest(directory, mask), nearest
        return nearest

    def _arm_nearest(self, directory: str, mask: int) -> str:
        while not self._add(directory, mask) and len(directory) > 1:
            directory = os.path.dirname(directory)
        return directory

    def always(self, directory: str, names: Iterable[str] | None) -> None:
        """Report every coming and going of these names in `directory`; a name that ends in a dot is a beginning.

        None: of all names.
        """
        if names is not None:
            self._filters[directory] = frozenset(names)
        self._add(directory, _MOVED_TO | _MOVED_FROM | _CREATE | _DELETE)

    def _add(self, directory: str, mask: int) -> bool:
        if self.handle is None:
            return True
        wd = self.add(directory, mask)
        if wd >= 0:
            self._directories[wd] = directory
        return wd >= 0 or ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR)

    def read(self) -> set[str]:
        """The directories in which something has happened since the last call."""
        changed: set[str] = set()
        for wd, mask, name in self.events():
            directory = self._directories.get(wd)
            if mask & _IGNORED:
                self._directories.pop(wd, None)
            elif directory is not None and self._matters(directory, name):
                changed.add(directory)
        return changed

    def _matters(self, directory: str, name: str) -> bool:
        wanted = self._filters.get(directory)
        return wanted is None or not name or name in wanted or name.partition(".")[0] + "." in wanted


class Arrivals(_Inotify):
    """The names of what appears in one directory. Nothing waits for it, so that what comes wakes nobody who is busy."""

    @classmethod
    def of(cls, directory: str) -> "Arrivals | None":
        """From now on; None where inotify has no room for it, or there is no such directory."""
        found = cls()
        if found.handle is None:
            return None
        if found.add(directory, _ATTRIB | _MOVED_TO | _CREATE) < 0:
            found.close()
            return None
        return found

    def names(self) -> set[str] | None:
        """What has appeared since the last call; None when that may not be all."""
        names, is_whole = set(), True
        for _, mask, name in self.events():
            # Too many for the kernel's queue, or the directory is another's by now.
            is_whole &= not mask & (_OVERFLOW | _DELETE_SELF | _MOVE_SELF | _IGNORED)
            names.add(name)
        return names - {""} if is_whole else None

    def close(self) -> None:
        """Listen no more."""
        os.close(self.handle)
        self.handle = None


class Alarm:
    """Wakes a command that waits for what others do. Signals are left as they are."""

    def __init__(self) -> None:
        self._watch = Watch()
        self._poll = select.poll()
        if self._watch.handle is not None:
            self._poll.register(self._watch.handle, select.POLLIN)

    def arm(self, *directories: str, written: bool = False) -> None:
        """Let the next sleep end when something appears in one of these directories; `written`: see `Watch.once`.

        To be called before the look that finds nothing, so that nothing can slip in between.
        """
        for directory in directories:
            self._watch.once(directory, written)

    def attach(self, descriptor: int, events: int = select.POLLIN) -> None:
        """Let sleeps end, until `detach`, when the descriptor can be read, or has an error."""
        self._poll.register(descriptor, events)

    def detach(self, descriptor: int) -> None:
        """Undo `attach`."""
        self._poll.unregister(descriptor)

    def sleep(self, seconds: float) -> set[str]:
        """Sleep for at most `seconds`; the directories in which something has happened."""
        self._poll.poll(max(0, round(seconds * 1000 + 0.5)))
        return self._watch.read()


class Bell:
    """Wakes a sleeping worker. Counts the requests to end; at most one in a process."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.requests_to_end = 0
        self._changed: set[str] = set()
        self._inner, outer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._inner, select.POLLIN)
        self._hints = select.poll()
        if watch.handle is not None:
            self._poll.register(watch.handle, select.POLLIN)
            self._hints.register(watch.handle, select.POLLIN)
        signal.set_wakeup_fd(outer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for number in (signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _end(self, *_: object) -> None:
        self.requests_to_end += 1

    def wait(self, seconds: float) -> None:
        """Sleep for at most `seconds`; a signal, an ended child or a watched directory ends it at once."""
        for handle, _ in self._poll.poll(max(0, round(seconds * 1000 + 0.5))):
            if handle == self._inner:
                self._drain()
            else:
                self._changed |= self.watch.read()

    def _drain(self) -> None:
        try:
            # Less than was asked for was all.
            while len(os.read(self._inner, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def changed(self) -> set[str]:
        """The watched directories that have reported since the last call; asks the kernel once more."""
        # Asked first: an error that says that there is nothing costs a job more than the question.
        if self._hints.poll(0):
            self._changed |= self.watch.read()
        changed, self._changed = self._changed, set()
        return changed
