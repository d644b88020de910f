"""The same jobs by other programs, as far as they are installed: two at a time, each the way its manual says."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator

from bench import drain
from bench.ground import Ground
from bench.rows import Goal, Row, in_turn

# What a shell is told to run so many /bin/true, and how many at most that can be. {0} is the number, {1} a directory.
QUEUES = {
    "parallel": ("seq {0} | parallel --will-cite -j2 -n1 /bin/true", 1000),
    "nq": ("for i in $(seq $(({0} / 2))); do NQDIR={1}/a nq -q /bin/true; NQDIR={1}/b nq -q /bin/true; done; "
           "NQDIR={1}/a nq -w; NQDIR={1}/b nq -w", 400),
    # It takes a thousand jobs at most.
    "tsp": ("export TS_SOCKET={1}/socket TS_SLOTS=2; for i in $(seq {0}); do tsp -n /bin/true; done > /dev/null; "
            "tsp -w; tsp -K", 900),
}
# They queue nothing.
PROGRAMS = {
    "xargs": ("seq {0} | xargs -P2 -n1 /bin/true", 10_000),
    "make": ("printf 'all: %s\\n%s:\\n\\t@/bin/true\\n' \"$(seq -s ' ' {0})\" \"$(seq -s ' ' {0})\" > {1}/Makefile; "
             "make -s -j2 -f {1}/Makefile", 10_000),
}


def peers(ground: Ground) -> Iterator[Row]:
    """From the first submission to the last completion, beside Job Jar's with as many jobs."""
    for name, (line, most) in {**QUEUES, **PROGRAMS}.items():
        if not shutil.which(name):
            continue
        jobs = min(ground.jobs, most) // 2 * 2
        ours, theirs = in_turn(ground.rounds, lambda: drain.end_to_end(ground, jobs),
                               lambda: _rate(ground, line, jobs))
        goal = Goal(">=", 1) if name in QUEUES else None
        yield Row("peers", f"submitted and completed, {jobs:,} jobs", "jobs/s", ours, name, theirs, goal)


def _rate(ground: Ground, line: str, jobs: int) -> float:
    with ground.directory() as place:
        os.mkdir(place)
        began = time.perf_counter()
        subprocess.run(["sh", "-c", line.format(jobs, shlex.quote(place))], check=True, stdin=subprocess.DEVNULL)
        return jobs / (time.perf_counter() - began)
