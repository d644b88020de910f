"""The ground on which all is measured: a directory of its own, throw-away jars in it, and real workers.

Whatever is started here is ended and reaped, and whatever is made is removed, however the measuring ends.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from support import jars, processes

import jobjar
from jobjar import layout, orders
from jobjar.layout import Jar

BIN = os.path.join(processes.TOP, "bin")
NODE = "bench"
# A machine that is this slow cannot be measured.
PATIENCE = 900.0
# Looking takes the processor from those who are being measured.
GLANCE = 0.02


class Ground:
    """Where things are measured, how often, and with how many jobs."""

    def __init__(self, top: str, rounds: int, jobs: int, is_quick: bool) -> None:
        self.top, self.rounds, self.jobs, self.is_quick = top, rounds, jobs, is_quick
        self._count = 0
        self._over: list[str] = []

    def size(self, full: int, quick: int) -> int:
        """A number of things: `full`, or `quick` when there is little time."""
        return quick if self.is_quick else full

    def fresh(self) -> str:
        """A path at which there is nothing."""
        self._count += 1
        return os.path.join(self.top, str(self._count))

    @contextlib.contextmanager
    def directory(self) -> Iterator[str]:
        """A path for something that may be removed afterwards: by `sweep`, not now."""
        path = self.fresh()
        try:
            yield path
        finally:
            self._over.append(path)

    def sweep(self) -> None:
        """Remove what is over. Not between things that are compared: for minutes after many files were removed ext4
        makes new ones several times more slowly."""
        while self._over:
            shutil.rmtree(self._over.pop(), ignore_errors=True)

    @contextlib.contextmanager
    def jar(self) -> Iterator[Jar]:
        """A new jar, with which the library works too; removed as `directory` is."""
        with self.directory() as path:
            jobjar.set_home(path)
            yield layout.create_jar(path)

    @contextlib.contextmanager
    def workers(self, jar: Jar, count: int) -> Iterator[list[int]]:
        """The pids of so many workers that have registered; they have left in order at the end."""
        said, started = os.path.join(self.top, "said"), []
        try:
            started += [_start(jar, said) for _ in range(count)]
            for worker in started:
                wait_until(lambda: is_registered(jar, worker.pid) or worker.poll() is not None, "a worker's start")
                if worker.poll() is not None:
                    raise SystemExit(f"a worker has not started: {jars.read(said).strip()}")
            yield [worker.pid for worker in started]
        finally:
            _end(started)


@contextlib.contextmanager
def prepared(rounds: int, jobs: int, is_quick: bool, where: str | None) -> Iterator[Ground]:
    """A ground in the directory `where`; nobody's settings reach what is measured there."""
    with tempfile.TemporaryDirectory(prefix="jobjar-bench-", dir=where) as top:
        for key in [key for key in os.environ if key.startswith(("JJ_", "PYTHON"))]:
            del os.environ[key]
        allowed = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
        # Compiled modules are kept, as in any installation, wherever the checkout is.
        os.environ.update(allowed, HOME=top, JJ_NODE=NODE, JJ_MIN_FREE="0", PYTHONPYCACHEPREFIX=f"{top}/compiled")
        processes.become_subreaper()
        try:
            ground = Ground(top, rounds, jobs, is_quick)
            _compile(ground)
            yield ground
        finally:
            processes.kill(processes.children())


def _compile(ground: Ground) -> None:
    """A job, so that no worker that is measured has to compile what it imports."""
    with ground.jar() as jar:
        jobjar.submit_job("true")
        subprocess.run(command("start_worker", jar, "--foreground", "--idle-exit", "0"), check=True,
                       stdout=subprocess.DEVNULL)


def command(program: str, jar: Jar, *words: str) -> list[str]:
    """The command line of a program of bin/ for this jar."""
    return [sys.executable, os.path.join(BIN, program), "--home", jar.home, *words]


def is_registered(jar: Jar, pid: int) -> bool:
    """Whether a process is a worker that has begun to look for jobs."""
    return os.path.exists(os.path.join(jar.worker(f"{NODE}.{pid}"), "journal"))


def _start(jar: Jar, said: str) -> subprocess.Popen:
    with open(said, "ab") as file:
        return subprocess.Popen(command("start_worker", jar, "--foreground"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=file)


def _end(started: list[subprocess.Popen]) -> None:
    """Tell workers to leave, and reap them; one that does not is killed."""
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, PATIENCE)):
        for worker in started:
            if worker.poll() is None:
                worker.send_signal(number)
        deadline = time.monotonic() + patience
        while any(worker.poll() is None for worker in started) and time.monotonic() < deadline:
            time.sleep(GLANCE)


def wait_until(fact: Callable[[], object], what: str, glance: float = GLANCE) -> None:
    """Wait for a fact, which is looked at every `glance` seconds."""
    end = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(glance)


def is_empty(directory: str) -> bool:
    """Whether there is nothing in a directory; as quick for a million names as for one."""
    with os.scandir(directory) as listing:
        return next(listing, None) is None


def until_done(jar: Jar, pids: list[int], jobs: int) -> float:
    """Wait until all jobs are in completed/; when the last of them came there, in s since the epoch."""
    claims = [jar.claims(f"{NODE}.{pid}") for pid in pids]
    wait_until(lambda: is_empty(jar.unclaimed) and all(map(is_empty, claims)), f"the end of {jobs} jobs")
    # RACE: a job that was claimed between these looks was in neither place.
    wait_until(lambda: len(os.listdir(jar.completed)) == jobs and all(map(is_empty, claims)), "the end of the last jobs")
    if not is_empty(jar.failed):
        raise SystemExit("jobs of the benchmark have failed")
    # The last change of the directory is the last job's rename into it.
    return os.stat(jar.completed).st_mtime_ns / 1e9


@contextlib.contextmanager
def paused(jar: Jar) -> Iterator[None]:
    """What is done meanwhile is done before the workers begin with it."""
    orders.pause(jar, ["all"])
    try:
        yield
    finally:
        orders.unpause(jar, ["all"])
