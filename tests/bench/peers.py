"""The same jobs by other programs, as far as they are installed: two at a time, each the way its manual says.

They start /bin/true themselves. So does Job Jar with files and with names of it; its scripts need a shell besides.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

from bench import drain, submitting, yardsticks
from bench.ground import Ground
from bench.rows import Goal, Row, in_turn

AHEAD = Goal(">=", 1)
HERE = os.path.dirname(os.path.abspath(__file__))
# The benchmark has a home of its own; what a person has installed is found from his.
HOME = os.environ.get("HOME", "/")
# A job that is over when there is a file.
GATE = "sh -c 'until [ -e \"$PLACE/go\" ]; do sleep 0.005; done'"


class Program:
    """What a shell can be told to use: `submit` gives it $JOBS jobs, in the directory $PLACE, `wait` is over when they
    have ended. A queue that can be kept from beginning has what does that, `hold`; `leave` ends its server."""

    def __init__(self, name: str, package: str, most: int, submit: str, wait: str = ":", hold: str = "",
                 leave: str = ":", is_queue: bool = True) -> None:
        self.name, self.package, self.most, self.is_queue = name, package, most, is_queue
        self.can_hold = bool(hold)
        self._submit, self._wait, self._hold, self._leave = submit, wait, hold, leave

    def is_there(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.name) is not None

    def end_to_end(self, ground: Ground, jobs: int) -> float:
        """Jobs that are submitted and worked off in a second."""
        return jobs / self._seconds(ground, jobs, ":", f"{self._submit}; {self._wait}")

    def drained(self, ground: Ground, jobs: int) -> float:
        """Jobs that are worked off in a second, all of them submitted before."""
        return jobs / self._seconds(ground, jobs, f"{self._hold}; {self._submit}", f": > $PLACE/go; {self._wait}")

    def _seconds(self, ground: Ground, jobs: int, before: str, timed: str) -> float:
        with ground.directory() as place:
            os.mkdir(place)
            more = {"JOBS": str(jobs), "PLACE": place, "TS_SLOTS": "2", "TS_SOCKET": f"{place}/socket"}

            def tell(line: str) -> None:
                subprocess.run(["sh", "-c", line], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               env={**os.environ, **more})
            try:
                tell(before)
                began = time.perf_counter()
                tell(timed)
                return time.perf_counter() - began
            finally:
                tell(self._leave)


class HyperQueue:
    """By the package of that name, in a network of its own: its server listens on all addresses."""

    name, package, most = "HyperQueue", "pip's hyperqueue for the python3 on PATH", 10_000
    is_queue = can_hold = True

    def is_there(self) -> bool:
        """Whether the python3 on PATH has the package, and may have a network."""
        needed = ("python3", "unshare", "ip")
        return all(map(shutil.which, needed)) and self._run("-c", "import hyperqueue").returncode == 0

    def end_to_end(self, ground: Ground, jobs: int) -> float:
        """Jobs that are submitted and worked off in a second."""
        return jobs / self._seconds(ground, "ends", jobs)

    def drained(self, ground: Ground, jobs: int) -> float:
        """Jobs that are worked off in a second, all of them submitted before."""
        return jobs / self._seconds(ground, "drain", jobs)

    def submitted(self, ground: Ground, jobs: int, *lines: str) -> float:
        """Tasks that its server takes in a second; with `lines`, each with a line of that file."""
        return jobs / self._seconds(ground, "submit", jobs, *lines)

    def _seconds(self, ground: Ground, mode: str, jobs: int, *lines: str) -> float:
        with ground.directory() as place:
            found = self._run(os.path.join(HERE, "by_hyperqueue.py"), mode, str(jobs), place, *lines)
        if found.returncode:
            raise SystemExit(f"HyperQueue has failed: {found.stderr.strip()}")
        return float(found.stdout.split()[-1])

    def _run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec python3 "$@"', "sh", *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "HOME": HOME, "TQDM_DISABLE": "1"})


HYPERQUEUE = HyperQueue()
PEERS = (
    Program("parallel", "parallel", 1000, "seq $JOBS | parallel --will-cite -u -j2 -n1 /bin/true"),
    # One of its queues does one job at a time.
    Program("nq", "nq", 400,
            "for i in $(seq $((JOBS / 2))); do for q in a b; do NQDIR=$PLACE/$q nq -q /bin/true; done; done",
            "for q in a b; do NQDIR=$PLACE/$q nq -w; done", f"for q in a b; do NQDIR=$PLACE/$q nq -q {GATE}; done"),
    # It takes a thousand jobs at most.
    Program("tsp", "task-spooler", 900, "for i in $(seq $JOBS); do tsp -n /bin/true; done", "tsp -w",
            f"for q in a b; do tsp -n {GATE}; done", "tsp -K"),
    HYPERQUEUE,
    Program("xargs", "findutils", 10_000, "seq $JOBS | xargs -P2 -n1 /bin/true", is_queue=False),
    Program("make", "make", 10_000,
            "all=$(seq -s ' ' $JOBS); printf 'all: %s\\n%s:\\n\\t@/bin/true\\n' \"$all\" \"$all\" > $PLACE/Makefile;"
            " make -s -j2 -f $PLACE/Makefile", is_queue=False),
)


def peers(ground: Ground) -> Iterator[Row]:
    """Job Jar beside each that is installed, with as many jobs; then Missing tells of the others."""
    missing = []
    for peer in PEERS:
        if peer.is_there():
            yield from _beside(ground, peer)
            ground.sweep()
        else:
            missing.append(f"{peer.name} ({peer.package})")
    if HYPERQUEUE.is_there():
        yield from _taken(ground)
    if missing:
        raise yardsticks.Missing(f"not compared with {', '.join(missing)}, which would have to be installed")


def _beside(ground: Ground, peer: Program | HyperQueue) -> Iterator[Row]:
    jobs, goal = min(ground.jobs, peer.most) // 2 * 2, AHEAD if peer.is_queue else None
    scripts, files, theirs = in_turn(ground.rounds, lambda: drain.end_to_end(ground, jobs),
                                     lambda: drain.end_to_end(ground, jobs, drain.submit_files),
                                     lambda: peer.end_to_end(ground, jobs))
    for what, ours in (("scripts", scripts), ("files of /bin/true", files)):
        yield Row("peers", f"{jobs:,} {what}, submitted and completed", "jobs/s", ours, peer.name, theirs, goal)
    if peer.can_hold:
        ours, theirs = in_turn(ground.rounds, lambda: drain.drained(ground, "link", jobs),
                               lambda: peer.drained(ground, jobs))
        yield Row("peers", f"{jobs:,} names of /bin/true, completed", "jobs/s", ours, peer.name, theirs, goal)


def _taken(ground: Ground) -> Iterator[Row]:
    """How quickly many tasks are submitted at once."""
    tasks = ground.size(100_000, 1000)
    lines = submitting.lines(ground, tasks)
    array, their_array, each, their_each = in_turn(
        ground.rounds, lambda: submitting.array_rate(ground, tasks), lambda: HYPERQUEUE.submitted(ground, tasks),
        lambda: submitting.each_line_rate(ground, tasks, lines), lambda: HYPERQUEUE.submitted(ground, tasks, lines))
    yield Row("peers", f"an array of {tasks:,}, submitted", "tasks/s", array, "HyperQueue", their_array, AHEAD)
    yield Row("peers", f"{tasks:,} lines, each a task, submitted", "tasks/s", each, "HyperQueue", their_each, AHEAD)
