"""Starting a job, burying it with all its children, and finding what a dead worker left running.

A job is the leader of a session of its own; the worker is the subreaper of whatever it starts, so that nothing
escapes it; a descriptor of a locked node-local file goes to the job, so that others can see it alive.
"""

import ctypes
import fcntl
import os
import signal
import stat
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator

from jobjar import family, fsops, node
from jobjar.errors import UsageError

_PR_SET_CHILD_SUBREAPER = 36
GRACE = 5.0
MARKER = "JJ_ATTEMPT_ID"

# All that have a disposition; 32 and 33 are the C library's own.
SIGNALS = [n for n in range(1, signal.NSIG) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

Orphan = namedtuple("Orphan", "pid start command")


def adopt_orphans() -> bool:
    """Make every orphaned descendant of this process its child, so that it can be found and reaped."""
    return ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def keep_descriptors() -> None:
    """Let no descriptor that this process was started with, beyond the three streams, reach a job."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            # The one with which this very directory was listed.
            continue


def local_directory() -> str:
    """This user's node-local directory; the same whatever the environment says."""
    path = _local_path()
    fsops.make_directory(path, 0o700)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise UsageError(f"{path} is not a directory that only you can write to: remove it")
    return path


def _local_path() -> str:
    return f"/tmp/jobjar-{os.geteuid()}"


def lock_path(nonce: str) -> str:
    """The node-local lock file of the jobs of the worker with that nonce; its directory is made."""
    local_directory()
    return lock_of(nonce)


def lock_of(nonce: str) -> str:
    """As `lock_path`, and nothing is made."""
    return os.path.join(_local_path(), f"run-{nonce}.lock")


def open_lock(path: str) -> int:
    """A locked descriptor that a job may inherit: as long as anything holds it, something of the job lives."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def start(arguments: list[str], environment: dict[str, str], output: int, lock: int) -> int:
    """Start a job in the current directory and return its pid, which is also its session; OSError as exec gives it.

    Default signals, nothing on stdin, both streams to the descriptor `output`, nothing inherited but `lock`.
    """
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_DUP2, output, 1),
               (os.POSIX_SPAWN_DUP2, 1, 2), (os.POSIX_SPAWN_DUP2, lock, lock)]
    return os.posix_spawn(arguments[0], arguments, environment, file_actions=actions, setsid=True,
                          setsigmask=(), setsigdef=SIGNALS)


def connect(path: str, flags: int, streams: tuple[int, ...], mode: int = 0o666) -> None:
    """Open `path` for these streams of this process."""
    # A fifo that nobody reads must not make us wait, and a terminal must not become the job's.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    os.set_blocking(handle, True)
    for stream in streams:
        os.dup2(handle, stream)
    os.close(handle)


def bury(wait: Callable[[float], None], report: Callable[[str], None], told: Iterable[int] = (),
         since: float | None = None) -> int:
    """End and reap all that is left of a job; returns how many had to be ended. Returns only when nothing is left.

    TERM first, KILL after GRACE seconds; a process that cannot be killed is reported and waited for. Those `told` have
    got their TERM already, and their grace began at `since`, on the monotonic clock.
    """
    ended: set[int] = set()
    asked = set(told)
    began, delay, said = time.monotonic(), 0.001, False
    since = began if since is None else since
    while True:
        try:
            # The subreaper's proof: no child at all means that no descendant lives.
            pid = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            return len(ended)
        if pid:
            continue
        late = time.monotonic() - since >= GRACE
        for child in family.children():
            if late or child not in asked:
                family.send(child, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(child)
            ended.add(child)
        if late and not said and time.monotonic() - began > 2 * GRACE:
            report(f"processes {sorted(ended)} of the job cannot be killed: waiting for them")
            said = True
        wait(delay)
        delay = min(1.0, delay * 2)


def orphans(lock_path: str | None, nonce: str) -> tuple[bool, list[Orphan]]:
    """Whether anything that the worker of that nonce started may live, and those processes that can be named.

    (True, []) is possible: something holds the lock, but it has closed itself to us.
    """
    found = {o.pid: o for o in _by_environment(nonce)}
    session = _session(lock_path)
    if session is not None:
        found.update((o.pid, o) for o in _by_session(*session))
    is_locked = _is_locked(lock_path)
    if is_locked:
        found.update((o.pid, o) for o in _by_descriptor(lock_path))
    return bool(found) or is_locked, list(found.values())


def _is_locked(path: str | None) -> bool:
    try:
        handle = os.open(path or "", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        # A missing file proves nothing; the other ways have been tried.
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def note_session(lock: int, leader: int) -> None:
    """Write the job's session into its lock file, for whoever looks for it after this worker's death."""
    os.pwrite(lock, f"{leader} {node.start_ticks(leader) or 0}\n".ljust(40).encode(), 0)


def _session(path: str | None) -> tuple[int, int] | None:
    try:
        with open(path or "", encoding="ascii") as file:
            leader, start = file.read(64).split()
            return int(leader), int(start)
    except (OSError, ValueError):
        return None


def _by_session(leader: int, start: int) -> Iterator[Orphan]:
    ticks = node.start_ticks(leader)
    if ticks is not None and ticks != start:
        # The number belongs to somebody else now, which it could not if the session still had members.
        return
    for pid in _all():
        try:
            if os.getsid(pid) == leader and pid != os.getpid():
                yield from _name(pid)
        except ProcessLookupError:
            continue


def _by_descriptor(path: str) -> Iterator[Orphan]:
    for pid in _all():
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{handle}") == path for handle in os.listdir(f"/proc/{pid}/fd")):
                yield from _name(pid)
        except OSError:
            continue


def _by_environment(nonce: str) -> Iterator[Orphan]:
    mark = f"{MARKER}={nonce}-".encode()
    for pid in _all():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if any(entry.startswith(mark) for entry in file.read().split(b"\0")):
                    yield from _name(pid)
        except OSError:
            continue


def _all() -> list[int]:
    # Not this user's alone: to the system, a program that changes its user or hides its memory is somebody else's.
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _name(pid: int) -> Iterator[Orphan]:
    ticks = node.start_ticks(pid)
    if ticks is None:
        return
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(200).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        command = ""
    yield Orphan(pid, ticks, command)


def kill_orphans(found: list[Orphan], seconds: float = GRACE) -> None:
    """TERM, then KILL, to exactly these processes, never to a stranger that has their number since."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for orphan in found:
            _signal_exactly(orphan, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(node.start_ticks(o.pid) == o.start for o in found):
            time.sleep(0.02)


def _signal_exactly(orphan: Orphan, number: int) -> None:
    try:
        # RACE: the descriptor binds the number to one process; only then are its start ticks worth comparing.
        handle = os.pidfd_open(orphan.pid)
    except OSError:
        return
    try:
        if node.start_ticks(orphan.pid) == orphan.start:
            signal.pidfd_send_signal(handle, number)
            signal.pidfd_send_signal(handle, signal.SIGCONT)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(handle)
