"""Real processes in tests: start them, wait for facts, and leave none behind.

The process that runs the tests is made a subreaper (conftest), so that also what detaches itself is found again.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psutil

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 30.0
PR_SET_CHILD_SUBREAPER = 36


def environment(**more: str) -> dict[str, str]:
    """The environment for our programs: this one, and root's permission to run workers when it is root who tests."""
    allowed = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    return {**os.environ, **allowed, **more}


def spawn(*command: str, **more: object) -> subprocess.Popen:
    """Start a program with its output captured as text; the caller reaps it (`finish`)."""
    more.setdefault("env", environment())
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **more)


def python(*arguments: str, **more: object) -> subprocess.Popen:
    """Start the interpreter that runs the tests, from the top of the checkout."""
    more.setdefault("cwd", TOP)
    return spawn(sys.executable, *arguments, **more)


def finish(process: subprocess.Popen, deadline: float = PATIENCE) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a process, which is killed and the test failed if it does not end in time."""
    try:
        out, err = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} did not end within {deadline} s; it said {out!r} {err!r}") from None
    return process.returncode, out, err


def until(fact: Callable[[], object], what: str = "", deadline: float = PATIENCE) -> object:
    """Wait until `fact()` is true and return its value; AssertionError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {deadline} s: {what or getattr(fact, '__name__', fact)}"
        time.sleep(0.005)
    return value


def is_running(pid: int) -> bool:
    """Whether there is such a process that still runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def children() -> list[psutil.Process]:
    """All living descendants of the tests' process, those that detached themselves included."""
    # A subreaper has a child as long as it has any descendant, and this costs less than a look at all processes.
    if not _direct():
        return []
    reap()
    return [child for child in psutil.Process().children(recursive=True) if is_running(child.pid)]


def _direct() -> bool:
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                if file.read():
                    return True
        return False
    except OSError:
        return True


def describe(process: psutil.Process) -> str:
    """Its command line, as far as there is one."""
    try:
        return f"{process.pid}: {' '.join(process.cmdline()) or process.name()}"
    except psutil.NoSuchProcess:
        return f"{process.pid}, which has just ended"


def reap() -> None:
    """Take away the zombies of processes that we have inherited."""
    for child in psutil.Process().children():
        try:
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            pass


def kill(processes: Sequence[psutil.Process]) -> None:
    """End these processes, started by the tests, and wait until they are gone."""
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(processes, timeout=PATIENCE)
    reap()


def become_subreaper() -> None:
    """Inherit the processes whose parents die, so that none is lost sight of."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
