"""Faults at every operation that changes the jar, with no more help from the product than the seam in fsops.

An audit hook counts the operations under the watched directories; at the n-th it kills the process before or after
it, tears a write, loses the server's reply, lands a rename late, cuts the power, raises an errno, or lets somebody
else act meanwhile. `run` forks and kills with SIGKILL. `strike`, ten times as fast, stays in this process: what has
died there raises Death, and whatever it still tries to change on its way out does not happen.
"""

import errno
import os
import signal
import sys
import traceback
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jobjar import fsnew, fsops

# `at` counts from 1. `more`: operations until a LATE rename lands; what to do MEANWHILE; the errno to RAISE, and that
# of a READ, for which not the operations are counted but what only looks: listings, questions, openings to read.
Fault = namedtuple("Fault", "kind at more", defaults=(None,))
BEFORE, AFTER, TORN, LOST, LATE, CUT, RAISE, READ, MEANWHILE = (
    "before", "after", "torn", "lost", "late", "cut", "raise", "read", "meanwhile")

# What a system call may say that is not the caller's fault: no space, no quota, a disk, a server, rights, a signal.
ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EACCES, errno.EINTR)
# Of those, what one that only reads may say.
READ_ERRNOS = (errno.EIO, errno.ESTALE, errno.EACCES, errno.EINTR)

# How the child ended: `died` by the fault's hand; `error` the traceback of what it raised; `trace` its operations;
# `reads` what it looked at, if the fault was to strike that.
Outcome = namedtuple("Outcome", "died hit error trace reads")

OPERATIONS = {
    "os.rename": os.rename, "os.link": os.link, "os.symlink": os.symlink, "os.mkdir": os.mkdir, "os.rmdir": os.rmdir,
    "os.remove": os.remove, "os.chmod": os.chmod, "os.utime": os.utime, "os.truncate": os.truncate,
}
REPLIES = {"os.rename": errno.ENOENT, "renameat2": errno.ENOENT, "os.symlink": errno.EEXIST, "os.mkdir": errno.EEXIST, "os.link": errno.EEXIST,
           "os.rmdir": errno.ENOENT, "os.remove": errno.ENOENT}
LOOKS = ("open", "os.listdir", "os.scandir")
# These raise no event, so they are replaced while reads are struck.
QUESTIONS = ("stat", "lstat", "fstat", "readlink")
QUIET = ("fsync", "close", "os.utime", "os.chmod")
ALARM = 60


class Death(BaseException):
    """Stands for SIGKILL in `strike`."""


def run(act: Callable[[], object], fault: Fault | None, *roots: str) -> Outcome:
    """Let a child do `act()`, struck by `fault`, and wait for its end. Only changes below `roots` count."""
    report = os.memfd_create("report")
    child = os.fork()
    if child == 0:
        _be_the_child(act, _Injector(fault, roots), report)
    status = os.waitpid(child, 0)[1]
    text = os.pread(report, 1 << 24, 0).decode("utf-8", "surrogateescape")
    lines, reads = (part.split("\0") for part in (text or "\1").split("\1"))
    os.close(report)
    died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert died or os.WIFEXITED(status), f"killed by signal {os.WTERMSIG(status)} after {lines}"
    return Outcome(died, lines[0] == "hit", lines[1] if len(lines) > 1 else "", lines[2:],
                   reads[1:])


def _be_the_child(act: Callable[[], object], injector: "_Injector", report: int) -> None:
    def die() -> None:
        os.pwrite(report, injector.report(), 0)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        signal.alarm(ALARM)
        injector.die = die
        injector.begin()
        act()
    except BaseException:
        injector.error = traceback.format_exc()
    finally:
        injector.land(everything=True)
        os.pwrite(report, injector.report(), 0)
        os._exit(1 if injector.error else 0)


def strike(act: Callable[[], object], fault: Fault | None, *roots: str) -> Outcome:
    """As `run`, in this process. `act()` must end what it began by itself: files closed, no processes started."""
    injector = _Injector(fault, roots)
    injector.begin()
    try:
        act()
    except Death:
        pass
    except BaseException:
        injector.error = traceback.format_exc()
    finally:
        injector.land(everything=True)
        injector.end()
    return Outcome(injector.is_dead, injector.hit, injector.error, injector.trace, injector.reads)


def count(act: Callable[[], object], *roots: str) -> list[str]:
    """The operations of an undisturbed `act()`, which must succeed."""
    outcome = strike(act, None, *roots)
    assert not outcome.error, outcome.error
    return outcome.trace


def count_reads(act: Callable[[], object], *roots: str) -> list[str]:
    """What an undisturbed `act()`, which must succeed, looks at."""
    outcome = strike(act, EVERY_READ, *roots)
    assert not outcome.error, outcome.error
    return outcome.reads


def dishonest(fault: Fault, outcome: Outcome) -> list[str]:
    """What came out that is neither the error that was put in nor a sentence for a person; nothing but that may."""
    last = outcome.error.strip().rpartition("\n")[2]
    is_ours = fault.kind in (RAISE, READ) and (f"[Errno {fault.more}]" in last or last.startswith("jobjar.errors."))
    return [outcome.error] if outcome.error and not is_ours else []


def struck(fault: Fault, outcome: Outcome) -> str:
    """Which fault it was, and what it struck."""
    lines = outcome.reads if fault.kind == READ else outcome.trace
    return f"{fault} {lines[fault.at - 1:][:1] or lines[-1:]}"


def all_errors(trace: Sequence[str], reads: Sequence[str] = ()) -> list[Fault]:
    """Each errno at each operation of a trace and at each of the looks."""
    return [Fault(RAISE, at, number) for at in range(1, len(trace) + 1) for number in ERRNOS] + [
        Fault(READ, at, number) for at in range(1, len(reads) + 1) for number in READ_ERRNOS]


@contextmanager
def unwatched() -> Iterator[None]:
    """What is done in the block is no part of the scenario."""
    injector = _current
    was_busy, injector.busy = injector.busy, True
    try:
        yield
    finally:
        injector.busy = was_busy


def points(trace: Sequence[str], *kinds: str, late: Sequence[int] = (1, 4, 14)) -> Iterator[Fault]:
    """All faults of these kinds that can strike the operations of a trace."""
    unsynced: set[str] = set()
    for at, line in enumerate(trace, 1):
        verb, path = line.split(" ", 1)
        # Without anything that can be lost, a power cut is a kill.
        if CUT in kinds and unsynced:
            yield Fault(CUT, at)
        if verb in ("write", "fsync"):
            (unsynced.add if verb == "write" else unsynced.discard)(path)
        for kind in kinds:
            if kind != CUT and _can_strike(kind, verb, line):
                yield from (Fault(kind, at, more) for more in (late if kind == LATE else (None,)))


def changes(trace: Sequence[str]) -> list[int]:
    """The places in a trace before which something has changed that a kill there shows."""
    return [at for at, line in enumerate(trace, 2) if line.split(" ", 1)[0] not in QUIET and at <= len(trace)]


def _can_strike(kind: str | None, verb: str, line: str) -> bool:
    if kind == TORN:
        return verb == "write"
    if kind == LOST:
        return verb in REPLIES
    if kind == LATE:
        return verb == "os.rename" and _is_claim(line)
    # What follows a sync or a close is the same as what precedes the next operation.
    return kind != AFTER or verb not in ("fsync", "close")


def _is_claim(line: str) -> bool:
    return "/unclaimed/" in line.split(" → ")[0] and "/claims/" in line.split(" → ")[-1]


# Strikes nothing, but makes the looks be counted.
EVERY_READ = Fault(READ, sys.maxsize, errno.EIO)
_current: "_Injector | None" = None
_is_hooked = False


def _hook(event: str, arguments: tuple) -> None:
    # Hooks cannot be removed, so one is there for ever and looks whether there is anything to do.
    if _current is not None:
        _current.hook(event, arguments)


class _Injector:
    def __init__(self, fault: Fault | None, roots: Sequence[str]) -> None:
        self.fault = fault or Fault(None, 0)
        self.roots = tuple(root.rstrip("/") for root in roots)
        self.error = ""
        self.trace: list[str] = []
        self.reads: list[str] = []
        self.hit = self.is_dead = self.busy = False
        self.pid = 0
        self.pending: tuple[int, str, str] | None = None
        # inode → [a descriptor of ours, how much of it is on the disk]
        self.written: dict[tuple[int, int], list[int]] = {}
        self.seam = fsops._write, fsops._fsync, fsops._close, fsops.sync_file_system
        self.rename_new = fsnew.rename_new
        self.questions = {name: getattr(os, name) for name in QUESTIONS} if self.fault.kind == READ else {}

    def begin(self) -> None:
        global _current, _is_hooked
        self.pid = os.getpid()
        fsops._write, fsops._fsync, fsops._close = self._seam_write, self._seam_fsync, self._seam_close
        fsops.sync_file_system, fsnew.rename_new = self._sync_all, self._seam_rename_new
        for name, ask in self.questions.items():
            setattr(os, name, self._questioned(name, ask))
        if not _is_hooked:
            sys.addaudithook(_hook)
            _is_hooked = True
        _current = self

    def end(self) -> None:
        global _current
        _current = None
        fsops._write, fsops._fsync, fsops._close, fsops.sync_file_system = self.seam
        fsnew.rename_new = self.rename_new
        for name, ask in self.questions.items():
            setattr(os, name, ask)
        for handle, _ in self.written.values():
            os.close(handle)

    def die(self) -> None:
        """From now on nothing that this process does changes anything."""
        self.is_dead = True
        raise Death

    # What the hook sees.

    def hook(self, event: str, arguments: tuple) -> None:
        if self.busy or (event not in OPERATIONS and event not in LOOKS) or os.getpid() != self.pid:
            return
        self.busy = True
        try:
            paths = _paths(event, arguments)
            if paths and self._is_watched(paths[-1]):
                self._step(event, " → ".join(paths), lambda: _perform(event, arguments), paths)
            elif self.fault.kind == READ and event in LOOKS and not paths:
                self._look(event, arguments[0])
        finally:
            self.busy = False

    def _questioned(self, name: str, ask: Callable) -> Callable:
        def question(path: str | int, *, dir_fd: int | None = None, **more: object) -> object:
            if not self.busy and os.getpid() == self.pid:
                self.busy = True
                try:
                    self._look("os." + name, path, -1 if dir_fd is None else dir_fd)
                finally:
                    self.busy = False
            return ask(path, **more) if name == "fstat" else ask(path, dir_fd=dir_fd, **more)
        return question

    def _look(self, event: str, path: str | int | None, directory: int = -1) -> None:
        path = _absolute("." if path is None else path, directory)
        if not self._is_watched(path) or self.is_dead:
            return
        self.reads.append(f"{event} {path}")
        if len(self.reads) == self.fault.at:
            self.hit = True
            raise OSError(self.fault.more, os.strerror(self.fault.more), path)

    def _is_watched(self, path: str) -> bool:
        return any(path == root or path.startswith(root + "/") for root in self.roots)

    def _seam(self, verb: str, handle: int, do: Callable[[], object]) -> object:
        path = _path_of(handle)
        if self.busy or os.getpid() != self.pid or not self._is_watched(path):
            return do()
        self.busy = True
        try:
            if verb == "close" and self.is_dead:
                return do()
            self._step(verb, path, do, (path,))
            return do()
        finally:
            self.busy = False

    def _seam_write(self, handle: int, data: bytes) -> int:
        if not self.busy and not self.is_dead and os.getpid() == self.pid and self._is_watched(_path_of(handle)):
            self._remember(handle)
            if self.fault.kind == TORN and len(self.trace) + 1 >= self.fault.at:
                os.write(handle, bytes(data)[:max(1, len(data) // 2)])
        return self._seam("write", handle, lambda: os.write(handle, data))

    def _seam_fsync(self, handle: int) -> None:
        def do() -> None:
            # The power is cut by us, so the disk need not be waited for.
            found = os.fstat(handle)
            if (found.st_dev, found.st_ino) in self.written:
                self.written[found.st_dev, found.st_ino][1] = found.st_size
        self._seam("fsync", handle, do)

    def _seam_rename_new(self, source: bytes, target: bytes) -> int:
        paths = os.fsdecode(source), os.fsdecode(target)
        if self.busy or os.getpid() != self.pid or not self._is_watched(paths[1]):
            return self.rename_new(source, target)
        self.busy = True
        try:
            self._step("renameat2", " → ".join(paths), lambda: self.rename_new(source, target), paths)
            return self.rename_new(source, target)
        except OSError:
            return -1
        finally:
            self.busy = False

    def _sync_all(self, path: str) -> None:
        # No point of its own; but what was written before it survives a power cut.
        self.seam[-1](path)
        for found in self.written.values() if not self.is_dead else ():
            found[1] = os.fstat(found[0]).st_size

    def _seam_close(self, handle: int) -> None:
        self._seam("close", handle, lambda: os.close(handle))

    def _remember(self, handle: int) -> None:
        found = os.fstat(handle)
        if (found.st_dev, found.st_ino) not in self.written:
            self.written[found.st_dev, found.st_ino] = [os.dup(handle), found.st_size]

    # What it does.

    def _step(self, verb: str, text: str, perform: Callable[[], object], paths: Sequence[str]) -> None:
        if self.is_dead:
            raise Death
        self.trace.append(f"{verb} {text}")
        self.land()
        if len(self.trace) < self.fault.at or self.hit or self.fault.kind == READ:
            return
        # Two runs need not do the same things in the same order: the next operation that can be struck so is struck.
        if not _can_strike(self.fault.kind, verb, self.trace[-1]):
            return
        self.hit = True
        kind, more = self.fault.kind, self.fault.more
        if kind == AFTER:
            perform()
        if kind in (BEFORE, AFTER, TORN):
            self.die()
        if kind == CUT:
            self._cut_the_power()
        if kind == LOST:
            # When it truly fails, its own error is the reply.
            perform()
            raise OSError(REPLIES[verb], "the reply was lost", *paths[:1])
        if kind == LATE:
            self.pending = (len(self.trace) + more, paths[0], paths[1])
            raise OSError(errno.ENOENT, "the rename will land later", paths[0])
        if kind == RAISE:
            if verb == "close":
                # A close that fails has closed all the same.
                perform()
            raise OSError(more, os.strerror(more), paths[-1])
        if kind == MEANWHILE:
            more()

    def land(self, everything: bool = False) -> None:
        """The rename that was late happens, if it still can."""
        if self.pending and (everything or len(self.trace) >= self.pending[0]):
            was_busy, self.busy = self.busy, True
            _, source, target = self.pending
            self.pending = None
            try:
                os.rename(source, target)
            except OSError:
                pass
            self.busy = was_busy

    def _cut_the_power(self) -> None:
        for handle, size in self.written.values():
            if os.fstat(handle).st_size > size:
                os.ftruncate(handle, size)
        self.die()

    def report(self) -> bytes:
        lines = ["hit" if self.hit else "", self.error, *self.trace]
        return "\1".join(("\0".join(lines), "\0".join(["", *self.reads]))).encode("utf-8", "surrogateescape")


def _paths(event: str, arguments: tuple) -> list[str] | None:
    """The absolute paths that an event is about; None when it changes no name."""
    if event in ("os.listdir", "os.scandir"):
        return None
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_CREAT | os.O_TRUNC) or isinstance(path, int):
            return None
        return [_absolute(path, -1)]
    if event == "os.symlink":
        return [os.fsdecode(arguments[0]), _absolute(arguments[1], arguments[2])]
    if event in ("os.rename", "os.link"):
        return [_absolute(arguments[0], arguments[2]), _absolute(arguments[1], arguments[3])]
    directory = arguments[-1] if event != "os.truncate" else -1
    return [_absolute(arguments[0], directory)]


def _absolute(path: str | bytes | int, directory: int) -> str:
    if isinstance(path, int):
        return _path_of(path)
    path = os.fsdecode(path)
    return os.path.join(_path_of(directory) if directory >= 0 else os.getcwd(), path)


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""


def _perform(event: str, arguments: tuple) -> None:
    if event == "open":
        os.close(os.open(arguments[0], arguments[2] | os.O_CLOEXEC, 0o600))
        return
    extra = {"os.rename": ("src_dir_fd", "dst_dir_fd"), "os.link": ("src_dir_fd", "dst_dir_fd"),
             "os.utime": ("ns", "dir_fd"), "os.truncate": ()}.get(event, ("dir_fd",))
    plain = arguments[:len(arguments) - len(extra)]
    named = {key: value for key, value in zip(extra, arguments[len(plain):]) if value not in (-1, None)}
    OPERATIONS[event](*plain, **named)
