"""How fast `jobjar run` prints what its job prints, with how much memory, and how long it takes for a job of nothing.

What it is measured against runs in turn with it, so that what else the machine does strikes both alike. Only the full
campaign measures: the short form sees that it is done.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import pytest
from support import jars, processes, programs, workers

pytestmark = pytest.mark.alone

SIZE, ROUNDS = {True: (500_000_000, 5), False: (20_000_000, 1)}, {True: 15, False: 1}
# The program may be slower than `cat` through a file by half; a test of it must not fail on a busy day.
LIMIT, MEMORY = 0.3, 64
JOBJAR = [sys.executable, os.path.join(programs.BIN, "jobjar")]
# A process's greatest size counts what it was a copy of before: here of something small.
PEAK = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); " \
       "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr); sys.exit(code)"


@pytest.fixture(params=["a disk", "memory"])
def home(request, tmp_path):
    """A directory for a jar."""
    if request.param == "a disk":
        yield request.param, str(tmp_path)
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("this machine has no /dev/shm: there is no file system in memory")
    path = tempfile.mkdtemp(dir="/dev/shm")
    yield request.param, path
    shutil.rmtree(path)


def seconds(words, size, **more):
    """How long a command takes whose output is `size` bytes, which are read from a pipe, and what it says besides."""
    began = time.monotonic()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=processes.environment(), **more) as process:
        found = 0
        while data := os.read(process.stdout.fileno(), 2**20):
            found += len(data)
        said = process.stderr.read().decode()
    assert (process.returncode, found) == (0, size), said
    return time.monotonic() - began, said


def in_turn(rounds, *acts):
    """The results of each of these, called in turn."""
    found = [[act() for act in acts] for _ in range(rounds)]
    return [list(column) for column in zip(*found)]


def show(times):
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def test_what_a_job_prints_is_shown_as_fast_as_half_of_cat_through_a_file(home, full, figures, monkeypatch):
    (size, rounds), (what, top) = SIZE[full], home
    jar = jars.make(os.path.join(top, "jar"))
    for key, value in {"JJ_HOME": jar.home, "JJ_NODE": workers.NODE, "JJ_MIN_FREE": "0"}.items():
        monkeypatch.setenv(key, value)
    given, through = os.path.join(top, "given"), os.path.join(top, "through")
    with open(given, "wb") as file:
        for _ in range(size // 1_000_000):
            file.write(os.urandom(1_000_000))
    peaks = []

    def run():
        took, said = seconds([sys.executable, "-S", "-c", PEAK, *JOBJAR, "run", "cat", given], size)
        peaks.append(int(said))
        return took

    with workers.working(jar):
        plain, ours = in_turn(rounds, lambda: seconds(
            ["sh", "-c", f"cat {given} > {through}; cat {through}; rm {through}"], size)[0], run)
    ratio = max(one / other for one, other in zip(plain, ours))
    figures(f"{size // 1_000_000} MB on {what}: cat through a file {show(plain)} s, jobjar run {show(ours)} s, "
            f"{statistics.median(plain) / statistics.median(ours):.2f} times as fast, {max(peaks)} MB of memory")
    assert max(peaks) < MEMORY and (not full or ratio > LIMIT)


def test_a_job_of_nothing_takes_little_longer_than_its_submission(jar, full, figures, monkeypatch):
    for key, value in {"JJ_HOME": jar.home, "JJ_NODE": workers.NODE, "JJ_MIN_FREE": "0"}.items():
        monkeypatch.setenv(key, value)
    submit_job = [sys.executable, os.path.join(programs.BIN, "submit_job")]
    with workers.working(jar):
        python, submit, ours = in_turn(ROUNDS[full], lambda: seconds([sys.executable, "-c", "pass"], 0)[0],
                                       lambda: seconds(["sh", "-c", '"$@" > /dev/null', "sh", *submit_job, "true"], 0)[0],
                                       lambda: seconds([*JOBJAR, "run", "true"], 0)[0])
        processes.until(lambda: not os.listdir(jar.unclaimed), "the end of all jobs")
    figures(f"python -c pass {show(python)} s, submit_job true {show(submit)} s, jobjar run true {show(ours)} s")
    assert not full or statistics.median(ours) < 10 * statistics.median(submit)
