"""Clocks that are wrong, and that are set while something goes on: the results are those of right ones.

Each node's programs run under libfaketime with a file that says how wrong its clock is; the times of files stay
right, for they come from the file server. What the clocks do decide is the order of the queue, and the times that
people read.
"""

import glob
import os
import time

import pytest
from support import jars, processes, workers
from support.nodes import Dead, Site, dead_identity

from jobjar import jobname, layout

DAY = 86400
LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1") + glob.glob("/usr/lib*/faketime/libfaketime.so.1")
                    + glob.glob("/usr/local/lib/faketime/libfaketime.so.1")), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="install faketime (the package of libfaketime.so.1)")


# libfaketime writes its own time where a file is to get the file server's, and cannot sleep until a moment of a clock
# that it does not fake.
MENDED = """
import os, select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
was = os.utime
def utime(path, *times, **more):
    if times or more:
        was(path, *times, **more)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
os.utime = utime
"""


class Clock:
    """A node's clock: so many seconds off, and more when it is set."""

    def __init__(self, directory, offset=0):
        self.directory, self.path = str(directory), os.path.join(directory, "clock")
        os.mkdir(directory)
        jars.write(os.path.join(directory, "sitecustomize.py"), MENDED)
        self.set(offset)

    def set(self, offset):
        self.offset = offset
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{offset:+d}\n")
        os.rename(self.path + ".new", self.path)

    @property
    def variables(self):
        # Only the clock of the day is wrong: nobody sets the monotonic one, nor the file server's.
        return {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                "NO_FAKE_STAT": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
                "PYTHONPATH": self.directory}

    def now(self):
        return time.time() + self.offset


@pytest.fixture
def node(jar, tmp_path):
    """`node(name, offset)`: a site of that name whose clock is so many seconds off."""
    sites = []

    def make(name, offset=0):
        clock = Clock(tmp_path / name, offset)
        sites.append(Site(jar, name, **clock.variables))
        sites[-1].clock = clock
        return sites[-1]
    yield make
    jars.write(os.path.join(jar.workers, layout.STOP_ALL), "")
    processes.until(lambda: not processes.children(), "all workers leave")


def submit_job(site, *words):
    status, out, err = site.run("submit_job", *words)
    assert (status, err) == (0, ""), err
    return out.strip()


def completed(site, name):
    return processes.until(lambda: name in os.listdir(site.jar.completed), f"{name} is completed")


def test_the_clocks_are_as_wrong_as_they_are_meant_to_be(node):
    """Without this, all the others would show nothing."""
    site = node("alder", DAY)
    status, out, _ = processes.finish(processes.python(
        "-c", "import os, sys, time; open('x', 'w').close(); print(time.time(), os.stat('x').st_mtime,"
        " time.monotonic()); os.utime('x'); print(os.stat('x').st_mtime)", env=site.environment, cwd=site.jar.home))
    now, mtime, monotonic, touched = map(float, out.split())
    assert abs(now - site.clock.now()) < 60 and abs(mtime - time.time()) < 60 and abs(touched - time.time()) < 60
    assert abs(monotonic - time.monotonic()) < 60
    os.remove(os.path.join(site.jar.home, "x"))


def test_nodes_whose_clocks_are_two_days_apart_share_a_queue(node, full, figures):
    early, late = node("alder", -DAY), node("birch", DAY)
    runs = f"{early.jar.home}.runs"
    os.mkdir(runs)
    number = 200 if full else 10
    for site in (early, late):
        for count in range(number):
            # Each writes that it begins, and would see one that began before it.
            site.submit(f"echo $$ >> {runs}/{site.node}-{count}; sleep 0.0{count % 3}", f"{site.node}-{count}.0")
    for site in (early, late):
        site.start()
        site.start()
    processes.until(lambda: len(os.listdir(early.jar.completed)) == 2 * number, "all are completed")
    assert all(site.recover() == (0, [], "") for site in (early, late))
    for site in (early, late):
        assert len(site.check()) == 0 and len(site.living()) == 2
    counts = [len(jars.read(os.path.join(runs, name)).split()) for name in os.listdir(runs)]
    assert counts == [1] * 2 * number
    assert not os.listdir(early.jar.failed)
    figures(f"{2 * number} jobs on two nodes two days apart, each run once")


def test_the_queue_is_in_the_order_of_the_submitters_clocks(node):
    """As docs/guide.md section 16 says: clocks order the queue, and nothing else depends on them."""
    late, right, early = node("birch", DAY), node("maple"), node("alder", -DAY)
    ids = [submit_job(site, "true") for site in (late, right, early)]
    assert sorted(ids) == ids[::-1]
    times = [jobname.number(f"{id}.0")[:8] for id in ids]
    assert times == [time.strftime("%Y%m%d", time.gmtime(site.clock.now())) for site in (late, right, early)]
    late.start("--idle-exit", "0")
    for id in ids:
        completed(late, f"{id}.0")
    processes.until(lambda: not late.living())
    assert [name.removesuffix(".0") for name in workers.order(late.jar)] == ids[::-1]


STEPS = (-DAY, 10, -10, DAY)


@pytest.mark.parametrize("when, steps", [("while a job runs", STEPS), ("while it is idle", STEPS[::-1])])
def test_a_clock_that_is_set_changes_nothing(when, steps, node, full):
    site, other = node("alder"), node("birch")
    worker = site.start()
    for number, step in enumerate(steps if full else steps[:1]):
        set_the_clock(site, other, worker, when, f"{number}.0", step)


def set_the_clock(site, other, worker, when, name, step):
    """A job that runs while the clock is set, or before it, and jobs after it."""
    go, before = f"{site.jar.home}.{name}.go", len(ends_of(site, worker))
    first = site.submit(f"while [ ! -e {go} ]; do sleep 0.02; done", f"first-{name}")
    processes.until(lambda: site.is_claimed(first), "the first is claimed")
    if when == "while it is idle":
        jars.write(go, "")
        completed(site, first)
    site.clock.set(step)
    # Nobody is declared dead for it, and nobody is started in his place.
    assert site.recover() == other.recover() == (0, [], "")
    assert site.living() == [worker]
    if when == "while a job runs":
        assert site.is_claimed(first)
        jars.write(go, "")
        completed(site, first)
    stepped = site.clock.now()
    second = site.submit("true", f"second-{name}")
    completed(site, second)
    for who in (site, other):
        completed(site, submit_job(who, "true") + ".0")
    ends = ends_of(site, worker)[before:]
    assert [line["n"] for line in ends][:2] == [first, second] and len(ends) == 4
    # Times are those of the node's clock.
    assert all(stepped - 60 < line["t"] < site.clock.now() + 1 for line in ends[1:])
    assert all(line["state"] == "COMPLETED" and 0 <= line["utime"] < 60 for line in ends)


def ends_of(site, worker):
    return [line for line in workers.lines(os.path.join(site.jar.worker(worker), "journal")) if line["e"] == "end"]


def test_a_file_that_is_being_written_is_left_alone_by_the_servers_clock(node):
    born, staff = {}, {}
    for site in (node("alder", DAY), node("birch", -DAY)):
        staff[site] = site.start()
        path = jars.write(os.path.join(site.jar.queue("unclaimed", site.node), f"{site.node}.0"), "")
        born[site] = os.stat(path).st_mtime
    for site, worker in staff.items():
        # An empty file is run by the shell and does nothing; a clock that is behind must not make it wait for a day.
        completed(site, f"{site.node}.0")
        journal = workers.lines(os.path.join(site.jar.worker(worker), "journal"))
        [claim] = [line for line in journal if line["e"] == "claim"]
        assert claim["t"] - site.clock.offset >= born[site] + 1.9


@pytest.mark.parametrize("offset", [DAY, -DAY])
def test_a_beat_is_young_or_old_by_the_servers_clock(offset, node):
    site = node("alder", offset)
    dead = Dead(site.jar, dead_identity("alder", boot="an earlier one"), uid=os.geteuid())
    if not dead.identity.machine:
        pytest.skip("this machine has no /etc/machine-id, by which it would be known after a boot")
    dead.claim()
    dead.journal.close()
    beat, now = os.path.join(dead.directory, "beat"), time.time()
    os.utime(beat, (now - 100, now - 100))
    status, lines, err = site.recover()
    assert (status, lines) == (1, []) and "cannot be judged" in err and not dead.is_recovered()
    os.utime(beat, (now - 300, now - 300))
    assert site.recover() == (0, ["a.0 → unclaimed/"], "")


@pytest.mark.parametrize("offset", [DAY, -DAY])
def test_a_check_tells_what_is_old_by_the_servers_clock(offset, node):
    site = node("birch", offset)
    other = Dead(site.jar, dead_identity("alder", boot="another"), uid=os.geteuid())
    other.claim()
    other.journal.close()
    jars.write(os.path.join(site.jar.limbo, "draft"), "")
    assert site.run("jobjar", "check") == (0, "nothing found: all is right with this jar\n", "")
    beat, long_ago = os.path.join(other.directory, "beat"), time.time() - 600
    os.utime(beat, (long_ago, long_ago))
    status, out, _ = site.run("jobjar", "check")
    assert status == 1 and "has not been heard of lately" in out


WAIT = """
import sys, time, jobjar
job = jobjar.submit_job("true")
print("ready", flush=True)
began = time.monotonic()
state = job.wait(timeout=0.5)
print(state, time.monotonic() - began)
"""


@pytest.mark.parametrize("step", [DAY, -DAY])
def test_waiting_takes_as_long_as_was_said_whatever_the_clock_does(step, node):
    site = node("alder")
    process = processes.python("-c", WAIT, env=site.environment)
    assert process.stdout.readline() == "ready\n"
    site.clock.set(step)
    status, out, err = processes.finish(process)
    assert (status, err) == (0, "")
    state, took = out.split()
    assert state == "None" and float(took) >= 0.5


def test_an_idle_worker_beats_on_when_its_clock_is_set(node):
    """The beat says on the server's clock when the worker lived last; a step must not keep it from being touched."""
    site = node("alder")
    worker = site.start()
    beat = os.path.join(site.jar.worker(worker), "beat")
    for step in (-DAY, DAY):
        site.clock.set(step)
        os.utime(beat, (1, 1))
        processes.until(lambda: os.stat(beat).st_mtime > time.time() - 60, "another beat")
