"""What a submission costs: one by the program, many by the library, arrays, lines of a file."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from bench import yardsticks
from bench.ground import Ground, command
from bench.rows import Goal, Row, in_turn
from support import jars

import jobjar
from jobjar import layout


def one(ground: Ground) -> Iterator[Row]:
    """`submit_job`, in memory, where a sync costs nothing, and on this ground."""
    runs = ground.size(40, 2)
    with contextlib.ExitStack() as stack:
        memory = layout.create_jar(os.path.join(stack.enter_context(jars.workplace()), "jar"))
        disk = stack.enter_context(ground.jar())
        words, last = [command("submit_job", jar, "true") for jar in (memory, disk)], [sys.executable, "-c", "pass"]
        # What is compiled at the first run is kept.
        for first in (*words, last):
            yardsticks.milliseconds(first)
        fast, slow, nothing = in_turn(runs, *(lambda words=each: yardsticks.milliseconds(words)
                                              for each in (*words, last)))
    yield Row("submit", "one submit_job, in memory", "ms", fast, "python -c pass", nothing, Goal("<=", 1.5))
    yield Row("submit", "one submit_job, with its syncs", "ms", slow, "python -c pass", nothing)


def bulk(ground: Ground) -> Iterator[Row]:
    """`jobjar.submit_jobs`, on the disk when it returns."""
    jobs = ground.size(10_000, 100)
    ours, base = in_turn(ground.rounds, lambda: _rate(ground, jobs, lambda: jobjar.submit_jobs(
        [yardsticks.COMMAND] * jobs)), lambda: yardsticks.bare_files(ground, jobs))
    yield Row("submit", f"{jobs:,} jobs in one call", "jobs/s", ours, "bare Python: create, rename", base,
              Goal(">=", 0.6))


def array(ground: Ground) -> Iterator[Row]:
    """`--array`, `--each-line` of as many lines, and the files that the array has become."""
    tasks = ground.size(100_000, 1000)
    path = lines(ground, tasks)
    ours, base, each = in_turn(ground.rounds, lambda: array_rate(ground, tasks),
                               lambda: yardsticks.bare_links(ground, tasks),
                               lambda: each_line_rate(ground, tasks, path))
    yield Row("submit", f"an array of {tasks:,}", "tasks/s", ours, "bare Python: link", base, Goal(">=", 0.7))
    yield Row("submit", f"{tasks:,} lines, each a task", "s", [tasks / rate for rate in each], "the array",
              [tasks / rate for rate in ours], Goal("<=", 1.5))
    with ground.jar() as jar:
        jobjar.submit_job(yardsticks.COMMAND, array=f"1-{tasks}")
        with os.scandir(jar.unclaimed) as listing:
            files = len({entry.inode() for entry in listing})
    # A file has 65,000 names at most on ext4.
    yield Row("submit", f"files for {tasks:,} tasks", "files", [files], goal=Goal("<=", -(-tasks // 50_000)))


def lines(ground: Ground, count: int) -> str:
    """A file of so many lines."""
    path = os.path.join(ground.top, "lines")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"/some/where/a.file.{number}\n" for number in range(count))
    return path


def array_rate(ground: Ground, tasks: int) -> float:
    """Tasks of an array that are submitted in a second."""
    return _rate(ground, tasks, lambda: jobjar.submit_job(yardsticks.COMMAND, array=f"1-{tasks}"))


def each_line_rate(ground: Ground, tasks: int, path: str) -> float:
    """The same for an array that has a task for each line of a file."""
    return _rate(ground, tasks, lambda: jobjar.submit_job("exec /bin/true {}", each_line=path))


def submit(ground: Ground) -> Iterator[Row]:
    """All of these."""
    for section in (one, bulk, array):
        yield from section(ground)


def _rate(ground: Ground, jobs: int, act: Callable[[], object]) -> float:
    with ground.jar() as jar:
        began = time.perf_counter()
        act()
        took = time.perf_counter() - began
        found = len(os.listdir(jar.unclaimed))
    if found != jobs:
        raise SystemExit(f"{found} jobs were submitted instead of {jobs}")
    return jobs / took
