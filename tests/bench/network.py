"""What a worker asks of an NFS server: its requests by kind, as the kernel of its node counts them."""

import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator

from bench import yardsticks
from bench.ground import Ground, command
from bench.rows import Goal, Row
from support import jars

import jobjar
from jobjar import fsadvice, mounts

STATS = "/proc/self/mountstats"
COUNT = re.compile(r"^\s+([A-Z_]+): (\d+) ", re.MULTILINE)
# What a client asks for the mount's sake, whatever a worker does.
OF_THE_MOUNT = {"SEQUENCE", "RENEW", "NULL", "FSINFO", "EXCHANGE_ID"}
# Saying that it lives, once for each look.
BEAT = "SETATTR"
# A script of 200 bytes, with the line that submit_job puts before it.
COMMAND = ": ".ljust(200 - len("#!/bin/sh -f\n\n"), "x")
PER_JOB, PER_DIRECTORY = 14, 2
# What an idle worker looks at: its own directory, that of all workers, its claims/, and of the jar
# unclaimed/, the category of its node in it, and waiting/.
WATCHED = ("workers/NODE.PID", "workers", "claims", "unclaimed", "unclaimed/NODE", "waiting")
# A claim in a node's first minutes is synced.
OLD_ENOUGH = 600.0


def network(ground: Ground) -> Iterator[Row]:
    """Requests for a silent job, its run included, and for a look of an idle worker, its beat apart."""
    mount = mounts.of(ground.top)
    if mount is None or mount.kind not in fsadvice.NFS:
        raise yardsticks.Missing("give a directory on NFS with --dir: what is asked of its server is counted")
    if time.clock_gettime(time.CLOCK_BOOTTIME) < OLD_ENOUGH:
        raise yardsticks.Missing("wait until this computer has been up for ten minutes: before that claims are synced")
    with tempfile.TemporaryDirectory() as elsewhere:
        # What a worker asks for when it starts to run Python is none of the jar's.
        os.environ["PYTHONPYCACHEPREFIX"] = elsewhere
        yield from _rows_of(ground, mount)


def _rows_of(ground: Ground, mount: mounts.Mount) -> Iterator[Row]:
    version = f"NFS {mount.options.get('vers', '')}"
    each, rate = _per_job(ground, mount.point)
    yield Row("network", f"a silent job, {version}", "requests", [each.total()], goal=Goal("<=", PER_JOB))
    yield from _rows("a silent job", each)
    # What is asked each second comes on top of what each job asks.
    yield Row("network", "jobs run meanwhile", "jobs/s", [rate])
    looks, asked = _idle(ground, mount.point)
    each = Counter({kind: number / looks for kind, number in asked.items()})
    yield Row("network", f"an idle look, {version}, for each of {len(WATCHED)} directories", "requests",
              [(each.total() - each[BEAT]) / len(WATCHED)], goal=Goal("<=", PER_DIRECTORY))
    yield from _rows("an idle look", each)


def _rows(what: str, each: Counter) -> Iterator[Row]:
    for kind, number in each.most_common():
        if number >= 0.01:
            yield Row("network", f"{what}: {kind}", "requests", [number])


def requests(stats: str, point: str) -> Counter:
    """How many requests of each kind the text of /proc/self/mountstats tells of for what is mounted at `point`."""
    found: Counter = Counter()
    for block in re.split(r"^(?=device )", stats, flags=re.MULTILINE):
        head = block.partition("\n")[0].split()
        # device SOURCE mounted on POINT with fstype KIND …
        if head[0:1] == ["device"] and head[4:5] == [point]:
            found = Counter({kind: int(number) for kind, number in COUNT.findall(block) if kind not in OF_THE_MOUNT})
    return +found


def _now(point: str) -> Counter:
    return requests(jars.read(STATS), point)


def _per_job(ground: Ground, point: str) -> tuple[Counter, float]:
    """From runs of two lengths, for what a worker's start and end ask is in both; and how many jobs it ran a second."""
    few, many = ground.size(50, 2), ground.size(250, 6)
    _worked_off(ground, point, 1)
    (less, short), (more, long) = (_worked_off(ground, point, jobs) for jobs in (few, many))
    return Counter({kind: (more[kind] - less[kind]) / (many - few) for kind in more | less}), (many - few) / (long - short)


def _worked_off(ground: Ground, point: str, jobs: int) -> tuple[Counter, float]:
    with ground.jar() as jar:
        jobjar.submit_jobs([COMMAND] * jobs)
        before, began = _now(point), time.monotonic()
        subprocess.run(command("start_worker", jar, "--foreground", "--idle-exit", "0.1"), check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return _now(point) - before, time.monotonic() - began


def _idle(ground: Ground, point: str) -> tuple[int, Counter]:
    """How often an idle worker has looked, and what it has asked; between these looks lies the longest time."""
    pause = ground.size(60, 1)
    with ground.jar() as jar:
        os.environ["JJ_PAUSE_TIME"] = str(pause)
        try:
            with ground.workers(jar, 1):
                # Until it sleeps as long as it may: 1, 2, 4 … s.
                time.sleep(2.5 * pause)
                before = _now(point)
                time.sleep(4.5 * pause)
                asked = _now(point) - before
        finally:
            del os.environ["JJ_PAUSE_TIME"]
    return asked[BEAT], asked
