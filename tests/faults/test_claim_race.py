"""Thirty-two workers want the same jobs at the same time: each job is claimed once, and none is left."""

import os
import random
import signal
import time
from collections import Counter

from support import jars, processes, workers

from jobjar import fslook, starting

PROCESSES = 32
SHORT, FULL = 3_000, 100_000
DEADLINE = 600.0


def test_a_job_that_many_want_at_once_is_claimed_by_one(workplace, own_local, full, seed, figures):
    count = FULL if full else SHORT
    jar = jars.make(os.path.join(workplace, "jar"))
    names = fill(jar, count, random.Random(seed))
    go, start = os.pipe()
    racers = [fork(jar, go, start) for _ in range(PROCESSES)]
    os.close(go)
    try:
        processes.until(lambda: len(fslook.names(jar.workers)) == PROCESSES, "all to be registered")
        began = time.monotonic()
        os.close(start)
        for pid, _ in racers:
            assert os.waitpid(pid, 0)[1] == 0
        seconds = time.monotonic() - began
    finally:
        for pid, _ in racers:
            end(pid)
    won = Counter(name for _, report in racers for name in read(report))
    held = Counter(name for worker in fslook.names(jar.workers) for name in fslook.names(jar.claims(worker)))
    assert won == held == Counter(names)
    assert fslook.names(jar.unclaimed) == []
    share = sorted(len(fslook.names(jar.claims(worker))) for worker in fslook.names(jar.workers))
    figures(f"{count} jobs, {PROCESSES} processes, each job claimed once: {count / seconds:.0f} claims a second,"
            f" from {share[0]} to {share[-1]} for one process")


def fill(jar, count, chance):
    """So many empty jobs, old enough to be whole; their names."""
    names = [f"20261121-101500-me-{number:09}.{chance.randrange(3)}" for number in range(count)]
    for name in names:
        path = os.path.join(jar.unclaimed, name)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700))
        os.utime(path, (0, 0))
    return names


def fork(jar, go, start):
    """A registered worker that claims when `go` is closed at its other end; its pid, and where it says what it won."""
    report = os.memfd_create("report")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(start)
            signal.alarm(int(DEADLINE))
            worker = starting.register(jar, workers.settings(jar), starting.Terms())
            os.read(go, 1)
            os.pwrite(report, "\n".join(claim_all(worker)).encode(), 0)
            code = 0
        finally:
            os._exit(code)
    return pid, report


def claim_all(worker):
    """What the worker wins, by the way by which it claims, until nothing is left."""
    won = []
    while True:
        worker._list(worker.queue.due())
        candidate = worker.queue.take()
        if candidate is None:
            if not fslook.names(worker.jar.unclaimed):
                return won
            time.sleep(0.01)
        elif worker._claim(*candidate):
            won.append(candidate[1].name)


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def read(report):
    text = os.pread(report, 1 << 24, 0).decode()
    os.close(report)
    return text.splitlines()
