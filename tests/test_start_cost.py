"""What it costs to start submit_job, the program that people call in loops."""

import os
import statistics
import subprocess
import sys
import time

import pytest
from support import jars, processes, programs

pytestmark = pytest.mark.alone

RUNS = 15
LIMIT = 2.5
# Each of these takes as long as a good part of a start of Python, and submit_job can do without.
HEAVY = {"psutil", "filelock", "argparse", "re", "typing", "enum", "dataclasses", "pathlib", "json", "subprocess",
         "logging", "ctypes", "inspect", "tempfile", "random", "textwrap", "difflib", "configparser", "collections",
         "functools", "operator"}
# Each costs a hundredth of a start of Python or two: to be looked for, read and made.
MOST_MODULES = 26

# What only options need. A plain job, also with -p, -c and -i, is submitted without it.
TABLE = {f"jobjar.{name}" for name in ("directives", "parameters", "moments", "words", "wishes", "settling", "jobfile",
                                       "preparation", "demand", "expansion", "entries", "arrays", "staging")}


def environment(place):
    """Compiled modules are kept, as in any installation, wherever the checkout is and whatever the tester has set."""
    kept = {key: value for key, value in processes.environment().items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONPYCACHEPREFIX": f"{place}/compiled"}


def seconds(command, env):
    begin = time.perf_counter()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def test_submit_job_takes_at_most_two_and_a_half_times_as_long_as_python_doing_nothing():
    # In memory, where a sync costs nothing: the disk's time is not ours.
    with jars.workplace() as place:
        home = jars.make(place + "/jar").home
        nothing = [sys.executable, "-c", "pass"]
        submit = [sys.executable, os.path.join(programs.BIN, "submit_job"), "--home", home, "echo", "hello"]
        env = environment(place)
        for command in (nothing, submit):
            seconds(command, env)
        # In turns, so that another load on the machine strikes both.
        pairs = [(seconds(nothing, env), seconds(submit, env)) for _ in range(RUNS)]
        assert len(os.listdir(home + "/unclaimed")) == RUNS + 1
    base, ours = (statistics.median(times) for times in zip(*pairs))
    assert ours <= LIMIT * base, f"{ours * 1000:.1f} ms, {ours / base:.2f} times as long as `-c pass`"


def loaded_by(jar, *words):
    """The modules that submit_job loads for these words, besides those of a Python that does nothing."""
    command = (sys.executable, "-X", "importtime")
    status, _, err = programs.run("submit_job", "--home", jar.home, *words, "echo", interpreter=command)
    assert status == 0, err
    loaded = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    bare = subprocess.run([*command, "-c", "pass"], stderr=subprocess.PIPE, text=True, check=True).stderr
    return loaded - {line.rpartition("|")[2].strip() for line in bare.splitlines()}


def test_submit_job_imports_few_modules_and_none_that_is_heavy(jar):
    loaded = loaded_by(jar, "-c", "LINUX", "-i", "x", "-p", "3")
    assert "jobjar.submission" in loaded
    assert not loaded & HEAVY and not loaded & TABLE
    assert len(loaded) <= MOST_MODULES, sorted(loaded)


def test_submit_job_imports_nothing_heavy_for_what_one_job_asks_for(jar):
    loaded = loaded_by(jar, "--mem=1G", "--time=1h", "--chdir=/tmp", "--output=x.%j", "--retries=2")
    assert "jobjar.directives" in loaded and not loaded & {*HEAVY, "jobjar.expansion", "jobjar.entries"}
