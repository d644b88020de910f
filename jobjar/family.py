"""The processes of the running job: all descendants of this one, which is the subreaper of what it starts."""

import os
import signal
import time

PAGE = os.sysconf("SC_PAGESIZE")
# A closer look at memory costs much more than a glance: so many times what it has taken must pass before the next.
COST_FACTOR = 20


def children() -> list[int]:
    """The pids of this process's children, zombies among them."""
    try:
        return _children(os.getpid(), os.getpid())
    except OSError:
        import psutil
        return [child.pid for child in psutil.Process().children()]


def has_children(pid: int) -> bool:
    """Whether the main thread of a process has children; True when nobody can say."""
    try:
        return bool(_children(pid, pid))
    except OSError:
        return True


def descendants() -> list[int]:
    """The pids of all that this process has started, and of what they have started; what has just ended among them.

    What is born or orphaned during the look may be missing; the next look finds it.
    """
    try:
        found = _children(os.getpid(), os.getpid())
    except OSError:
        # A kernel without these files.
        import psutil
        return [child.pid for child in psutil.Process().children(recursive=True)]
    for pid in found:
        found += _children_of_all_threads(pid)
    return found


def _children(pid: int, thread: int | str) -> list[int]:
    with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def _children_of_all_threads(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += _children(pid, thread)
    except OSError:
        # RACE: it, or one of its threads, has just ended.
        pass
    return found


def tell(leader: int, number: int) -> set[int]:
    """Send a signal to the process group of a job and to all else that it has started; returns whom it found."""
    found = set(descendants())
    for pid in found:
        try:
            if os.getpgid(pid) != leader:
                send(pid, number)
        except ProcessLookupError:
            # RACE: it has just ended.
            continue
    send_group(leader, number)
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to a process of the job; one that is stopped is let go on, or it could not obey."""
    try:
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
    except (ProcessLookupError, PermissionError):
        pass


def send_group(leader: int, number: int) -> None:
    """The same for the process group of a job that this process has started and not reaped yet."""
    try:
        os.killpg(leader, number)
        if number == signal.SIGTERM:
            os.killpg(leader, signal.SIGCONT)
    except (ProcessLookupError, PermissionError):
        pass


class Memory:
    """What the job's processes have in memory together, in bytes. `peak`: the most that was seen, `most`: the limit."""

    def __init__(self, most: float, feeder: int | None = None) -> None:
        """`feeder`: a process that is none of the job's own."""
        self.most, self.peak = most, 0
        self._feeder = feeder
        self._closer_at = 0.0

    def excess(self) -> int:
        """What they have now, if that is more than they may have; else 0.

        The sum of what each has decides, but memory that several share is counted once before any is ended for it.
        """
        pids = [pid for pid in descendants() if pid != self._feeder]
        total = sum(map(_resident, pids))
        self.peak = max(self.peak, total)
        began = time.monotonic()
        if total <= self.most or began < self._closer_at:
            return 0
        shared_once = sum(map(_proportional, pids))
        now = time.monotonic()
        self._closer_at = now + COST_FACTOR * (now - began)
        return shared_once if shared_once > self.most else 0


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        # RACE: it has just ended.
        return 0


def _proportional(pid: int) -> int:
    """Its memory, of what it shares only its part; all of it where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)
