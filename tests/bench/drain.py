"""How fast two workers work off a queue, and how fast jobs go from submission to completion."""

import os
import time
from collections.abc import Callable, Iterator

import psutil

from bench import yardsticks
from bench.ground import Ground, paused, until_done
from bench.rows import Goal, Row, in_turn

import jobjar
from jobjar import submission
from jobjar.layout import Jar

WORKERS = 2
KINDS = {"script": "scripts", "link": "names of one /bin/true"}


def drain(ground: Ground) -> Iterator[Row]:
    """From the moment in which two workers that are there may begin to the last completion."""
    for kind, named in KINDS.items():
        used: list[float] = []
        least_used: list[float] = []
        ours, full, worker, python, least = in_turn(
            ground.rounds, lambda: drained(ground, kind, ground.jobs, used),
            lambda: yardsticks.limit_rate(ground, "full", kind, ground.jobs, least_used),
            lambda: yardsticks.limit_rate(ground, "worker", kind, ground.jobs),
            lambda: yardsticks.python_rate(ground, kind, ground.jobs),
            lambda: yardsticks.limit_rate(ground, "exec", kind, ground.jobs))
        what = f"{named}, {ground.jobs:,} jobs"
        yield Row("drain", what, "jobs/s", ours, "C, any queue's calls", full, Goal(">=", 0.9))
        yield Row("drain", what, "jobs/s", ours, "C, a worker's calls", worker)
        yield Row("drain", what, "jobs/s", ours, "bare Python", python)
        yield Row("drain", what, "jobs/s", ours, "C, start and wait", least)
        # Steadier than the clock on a machine with other work.
        yield Row("drain", f"{what}, processor time", "ms a job", used, "C, any queue's calls", least_used)


def ends(ground: Ground) -> Iterator[Row]:
    """From the call that submits them all to the last completion, by two idle workers."""
    ours, base = in_turn(ground.rounds, lambda: end_to_end(ground, ground.jobs),
                         lambda: yardsticks.limit_whole(ground, "full", "script", ground.jobs))
    yield Row("ends", f"submitted and completed, {ground.jobs:,} jobs", "jobs/s", ours, "C, any queue's calls", base,
              Goal(">=", 0.75))


def drained(ground: Ground, kind: str, jobs: int, used: list[float] | None = None) -> float:
    """Jobs that two workers work off in a second; into `used`, milliseconds of processor time a job."""
    fill: Callable[[Jar, int], None] = {"script": submit, "link": link}[kind]
    with ground.jar() as jar, ground.workers(jar, WORKERS) as pids:
        with paused(jar):
            fill(jar, jobs)
            before, began = sum(map(_spent, pids)), time.time()
        ended = until_done(jar, pids, jobs)
        if used is not None:
            used.append((sum(map(_spent, pids)) - before) / jobs * 1000)
        return jobs / (ended - began)


def _spent(pid: int) -> float:
    """Seconds of processor time of a process and of its children that have ended."""
    return sum(psutil.Process(pid).cpu_times()[:4])


def submit(_jar: Jar, jobs: int) -> None:
    """Submit so many scripts with the library, in one call."""
    jobjar.submit_jobs([yardsticks.COMMAND] * jobs)


def submit_files(_jar: Jar, jobs: int) -> None:
    """Submit so many copies of /bin/true, in one call."""
    jobjar.submit_jobs([{"file": "/bin/true"}] * jobs)


def end_to_end(ground: Ground, jobs: int, fill: Callable[[Jar, int], None] = submit) -> float:
    """Jobs that are submitted and worked off in a second."""
    with ground.jar() as jar, ground.workers(jar, WORKERS) as pids:
        began = time.time()
        fill(jar, jobs)
        return jobs / (until_done(jar, pids, jobs) - began)


def link(jar: Jar, jobs: int, priority: int = 0) -> None:
    """Make so many jobs that are names of a copy of /bin/true, as a person may who moves files in by hand."""
    with open("/bin/true", "rb") as file:
        program = file.read()
    draft = ""
    for number in range(jobs):
        name = submission.fresh_name(priority)
        if number % yardsticks.NAMES == 0:
            draft = os.path.join(jar.limbo, f"true-{priority}-{number}")
            with open(draft, "xb") as file:
                file.write(program)
            os.chmod(draft, 0o700)
        os.link(draft, os.path.join(jar.unclaimed, name))
