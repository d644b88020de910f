"""An idle node: how soon a job begins, and what the workers that wait for one use."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator

from bench import yardsticks
from bench.depth import MIB, pss
from bench.ground import NODE, Ground, command, is_registered, wait_until
from bench.rows import Goal, Row, in_turn
from bench.stamps import Stamp
from support import jars

from jobjar import layout, orders

TOGETHER = 10


def latency(ground: Ground) -> Iterator[Row]:
    """From the rename into unclaimed/, and from the start of submit_job, to the job's first instruction."""
    runs, stamp = ground.size(20, 2), Stamp(ground)
    with ground.jar() as jar, ground.workers(jar, 1):
        submit = command("submit_job", jar, "-f", stamp.program)

        def rested(act: Callable[[], float]) -> float:
            # What the last job has left to be done (its journal is synced after a second) is done by then.
            time.sleep(ground.size(3, 0) / 2)
            return act() * 1000
        time.sleep(ground.size(60, 0))
        renamed, submitted, direct, nothing = in_turn(
            runs, lambda: rested(lambda: stamp.seconds(stamp.draft(jar))),
            lambda: rested(lambda: stamp.seconds(lambda: subprocess.run(submit, check=True, stdout=subprocess.DEVNULL))),
            lambda: stamp.seconds(lambda: subprocess.run([stamp.program], check=True)) * 1000, yardsticks.nothing)
    yield Row("latency", "rename to first instruction", "ms", renamed, goal=Goal("<=", 3))
    yield Row("latency", "the same, started directly", "ms", direct)
    # The goal is 1.5 times `-c pass` and 5 ms.
    yield Row("latency", "submit_job to first instruction, less 5 ms", "ms", [one - 5 for one in submitted],
              "python -c pass", nothing, Goal("<=", 1.5))


def idle(ground: Ground) -> Iterator[Row]:
    """Processor time and memory of workers that have been idle for a while, started together."""
    seconds, count = ground.size(60, 1), ground.size(TOGETHER, 2)
    with ground.jar() as jar:
        subprocess.run(command("check_workers", jar), check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "JJ_MAX_WORKERS": str(count)})
        pids = [pid for node, pid in filter(None, map(layout.split_worker, os.listdir(jar.workers))) if node == NODE]
        try:
            wait_until(lambda: all(is_registered(jar, pid) for pid in pids), "the workers' start")
            time.sleep(seconds)
            before = {pid: _used(pid) for pid in pids}
            time.sleep(seconds)
            used = [(_used(pid) - before[pid]) * 1000 for pid in pids]
            memory = [pss(pid) / MIB for pid in pids]
        finally:
            _leave(jar, pids)
    what = f"of {len(pids)} idle workers each"
    yield Row("idle", f"processor time {what} in {seconds} s", "ms", used, goal=Goal("<=", 5))
    yield Row("idle", f"memory (PSS) {what}", "MiB", memory, goal=Goal("<=", 16))


def _used(pid: int) -> float:
    """Seconds of processor time, to the nanosecond."""
    return int(jars.read(f"/proc/{pid}/schedstat").split()[0]) / 1e9


def _leave(jar: layout.Jar, pids: list[int]) -> None:
    # They are children of this process, which inherits what is detached.
    orders.stop(jar, ["all"])
    for pid in pids:
        os.waitpid(pid, 0)
