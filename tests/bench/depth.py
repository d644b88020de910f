"""A queue of a million jobs beside one of a thousand; and many workers on one queue."""

import json
import os
import statistics
import time
from collections.abc import Iterator

from bench import drain, yardsticks
from bench.ground import NODE, Ground, paused, until_done, wait_until
from bench.rows import Goal, Row, in_turn
from bench.stamps import Stamp
from support import jars

import jobjar
from jobjar import jobname
from jobjar.layout import Jar

MIB = 2**20
CROWD = 32
# An urgent job that has not begun after so many seconds is waited for no longer.
LONG = 20.0


def depth(ground: Ground) -> Iterator[Row]:
    """Rate, first claim, memory, and an urgent job, while the queue is deep."""
    deep, shallow = ground.size(1_000_000, 2000), ground.size(1000, 100)
    stamp, first, memory, urgent = Stamp(ground), [], [], []
    with ground.jar() as jar:
        jobjar.submit_job(yardsticks.COMMAND, array=f"1-{deep}")

        def at_depth() -> float:
            began = time.time()
            with ground.workers(jar, drain.WORKERS) as pids:
                goal = len(os.listdir(jar.completed)) + ground.jobs
                wait_until(lambda: len(os.listdir(jar.completed)) >= goal, "jobs of a deep queue", 1.0)
                memory.append(max(map(pss, pids)) / MIB)
                urgent.append(stamp.seconds(stamp.draft(jar, 10), LONG))
                journals = [journal(jar, pid) for pid in pids]
            first.append(min(line["t"] for lines in journals for line in lines) - began)
            return steady_rate(journals)

        ours, base = in_turn(min(ground.rounds, 3), at_depth, lambda: _at_ease(ground, shallow))
    yield Row("depth", f"{deep:,} waiting", "jobs/s", ours, f"{shallow:,} waiting", base, Goal(">=", 0.9))
    yield Row("depth", f"first claim after start, {deep:,} waiting", "s", first, goal=Goal("<=", 5))
    yield Row("depth", f"a worker's memory (PSS), {deep:,} waiting", "MiB", memory, goal=Goal("<=", 64))
    yield Row("depth", f"an urgent job begins (20: not before), {deep:,} waiting", "s", urgent, goal=Goal("<=", 2))


def crowd(ground: Ground) -> Iterator[Row]:
    """Many workers on one queue: claims that come too late, and jobs that are overtaken by younger ones."""
    count, jobs = ground.size(CROWD, 4), ground.size(4000, 100)
    with ground.jar() as jar:
        with ground.workers(jar, count) as pids:
            with paused(jar):
                drain.link(jar, jobs - jobs // 10)
                # The youngest are urgent.
                drain.link(jar, jobs // 10, 5)
            until_done(jar, pids, jobs)
            lines = [line for pid in pids for line in journal(jar, pid)]
    claims = sorted((line["t"], _turn(line["n"]), line["a"]) for line in lines if line["e"] == "claim")
    won = {line["a"] for line in lines if line["e"] == "end"}
    order = [turn for _, turn, attempt in claims if attempt in won]
    places = {turn: at for at, turn in enumerate(sorted(order))}
    last_urgent = max(at for at, (priority, _) in enumerate(order) if priority < 0)
    moved = [abs(at - places[turn]) / count for at, turn in enumerate(order)]
    what = f"{count} workers, {jobs:,} jobs: "
    yield Row("crowd", what + "attempts lost to others", "of all", [1 - len(won) / len(claims)], goal=Goal("<=", 0.2))
    yield Row("crowd", what + "displacement, median", "× workers", [statistics.median(moved)], goal=Goal("<=", 2))
    yield Row("crowd", what + "displacement, greatest", "× workers", [max(moved)], goal=Goal("<=", 10))
    yield Row("crowd", what + "jobs claimed before one of higher priority", "jobs", [last_urgent + 1 - jobs // 10],
              goal=Goal("<=", 0))


def _turn(name: str) -> tuple[int, str]:
    """What the order of claiming goes by, of names that were made one after the other."""
    return -jobname.split(name)[1], name


def _at_ease(ground: Ground, jobs: int) -> float:
    """The rate with so many jobs waiting: more come as these go, until as many have ended as in the deep queue."""
    with ground.jar() as jar, ground.workers(jar, drain.WORKERS) as pids:
        for number in range(max(1, ground.jobs // jobs)):
            wait_until(lambda: len(os.listdir(jar.unclaimed)) <= jobs // 4, "jobs of a short queue")
            jobjar.submit_job(yardsticks.COMMAND, array=f"1-{jobs}")
        until_done(jar, pids, jobs * (number + 1))
        return steady_rate([journal(jar, pid) for pid in pids])


def journal(jar: Jar, pid: int) -> list[dict]:
    """The lines of a worker's journals; one that is just being written is left out."""
    directory = jar.worker(f"{NODE}.{pid}")
    texts = [jars.read(os.path.join(directory, name)) for name in os.listdir(directory) if name.startswith("journal")]
    return [json.loads(line) for text in texts for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def steady_rate(journals: list[list[dict]]) -> float:
    """Jobs that ended in a second, while all of the workers worked."""
    times = [sorted(line["t"] for line in lines if line["e"] == "end") for lines in journals]
    began, ended = max(each[0] for each in times), min(each[-1] for each in times)
    return sum(began < at <= ended for each in times for at in each) / (ended - began)


def pss(pid: int) -> int:
    """A process's memory in bytes, what it shares with others counted in parts."""
    for line in jars.read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel does not tell the memory of {pid}")
