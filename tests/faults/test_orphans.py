"""What a job leaves running when its worker is killed, or itself, or both: a matrix of kinds and kills.

Found or not, a job is put back only when nothing of it lives; what cannot be found is what the guide says. What a
job looks like in detail stands in tests/test_recovery.py and tests/test_process.py.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from support import jars, processes
from support.nodes import Site

from jobjar import process, registration

# A process that closes its files, clears its environment, leaves its session: any of the three, as its words say.
HIDE = """
import os, sys, time
what = sys.argv[2:]
if "left" in what and os.getsid(0) != os.getpid():
    os.setsid()
if "cleared" in what and "JJ_ATTEMPT_ID" in os.environ:
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {"PATH": os.environ["PATH"]})
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
if "closed" in what:
    os.closerange(0, 256)
time.sleep(600)
"""
# How the one that is looked for comes into being; {told} is the file to which it writes its number.
NOTE = "echo $$ > {told}.new; mv {told}.new {told}"
SLEEP = f"{NOTE}; exec sleep 600"
KINDS = {
    "a plain child": f"sh -c '{SLEEP}'",
    "in a session of its own": f"setsid sh -c '{SLEEP}'",
    "twice forked": "(setsid sh -c '(sh -c \"echo \\$\\$ > {told}.new; mv {told}.new {told}; exec"
                    " sleep 600\" &)')",
    "with closed files": "{python} {hide} {told} closed",
    "with a cleared environment": "{python} {hide} {told} cleared",
    "deaf to TERM": f"sh -c 'trap \"\" TERM; {SLEEP}'",
    "stopped": f"sh -c '{NOTE}; kill -STOP $$; exec sleep 600'",
    "hung in the kernel": f"sh -c '{NOTE}; exec cat {{hung}}'",
}
KILLS = ("the worker", "the job's leader", "both")
SHORT = [("twice forked", "both"), ("with closed files", "the worker"), ("stopped", "the job's leader")]
WAYS = ("closed", "cleared", "left")


@pytest.fixture
def site(jar):
    found = Site(jar, JJ_MAX_WORKERS="1")
    yield found
    processes.kill(processes.children())


class Hung:
    """A file whose reader nobody can end: the file system below it has been stopped, and the one above it waits."""

    def __init__(self, top):
        self.mounts, self.pids = [], []
        below = os.path.join(top, "below")
        os.makedirs(below)
        jars.write(os.path.join(below, "file"), "what the reader waits for\n")
        for name in ("middle", "above"):
            point = os.path.join(top, name)
            os.mkdir(point)
            self.pids.append(subprocess.Popen(["bindfs", "-f", below, point], stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            processes.until(lambda: os.path.ismount(point), "the mount")
            self.mounts.append(point)
            below = point
        self.path = os.path.join(below, "file")

    def hang(self):
        self.pids[0].send_signal(signal.SIGSTOP)

    def end(self):
        for daemon in self.pids:
            daemon.send_signal(signal.SIGCONT)
        for point in reversed(self.mounts):
            subprocess.run(["umount", "-l", point], check=False)
        for daemon in self.pids:
            daemon.kill()
            daemon.wait()


@pytest.fixture
def hung(tmp_path):
    """The reason why nothing can be made to hang here, or what hangs."""
    if os.geteuid() != 0 or not shutil.which("bindfs") or not os.path.exists("/dev/fuse"):
        yield None
        return
    found = Hung(str(tmp_path / "hung"))
    yield found
    found.end()


def leave(site, tmp_path, body, hung=None):
    """(worker, the job's leader, the one that it leaves) once all of them run."""
    told, hide = str(tmp_path / "told"), tmp_path / "hide.py"
    hide.write_text(HIDE)
    words = {"told": told, "hide": hide, "python": sys.executable, "hung": hung and hung.path}
    worker = site.start()
    leader = site.run_forever(body=f"[ $JJ_ATTEMPT != 1 ] || {{ {body.format(**words)} & exec sleep 600; }}")
    # Its session is in the lock's file once it is no short job.
    lock = registration.read(site.jar, worker).extra["lock"]
    processes.until(lambda: process._session(lock) and os.path.exists(told), "the job has settled")
    return worker, leader, int(jars.read(told))


def settled(kind, pid):
    """Wait until it is what it is to be."""
    if kind == "stopped":
        processes.until(lambda: jars.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "T", "it is stopped")
    if kind == "hung in the kernel":
        processes.until(lambda: "request_wait" in jars.read(f"/proc/{pid}/wchan"), "it waits for the file system")
    if kind == "with closed files":
        processes.until(lambda: not [name for name in os.listdir(f"/proc/{pid}/fd") if int(name) < 200], "it has closed")


def kill(site, which, worker, leader):
    if which != "the job's leader":
        site.kill(worker)
    if which != "the worker":
        os.kill(leader, signal.SIGKILL)


def pytest_generate_tests(metafunc):
    if "which" in metafunc.fixturenames:
        cells = list(itertools.product(KINDS, KILLS)) if metafunc.config.getoption("full") else SHORT
        metafunc.parametrize("kind, which", cells)


def test_a_job_is_not_run_twice_at_once_whatever_it_has_left(kind, which, site, tmp_path, hung, figures):
    if kind.startswith("hung") and hung is None:
        pytest.skip("nothing can be made to hang here: install bindfs, and run the tests as root with /dev/fuse")
    if kind.startswith("hung"):
        hung.hang()
    worker, leader, left = leave(site, tmp_path, KINDS[kind], hung)
    settled(kind, left)
    kill(site, which, worker, leader)
    if which == "the job's leader":
        survives(site, kind, worker, left, hung)
    else:
        is_found(site, kind, which, leader, left, hung)
    processes.until(lambda: site.place("a.0") == ["completed/a.0"], "the job is completed")
    assert not processes.is_running(left)
    figures(f"{kind}, {which} killed: found, and nothing ran twice")


def survives(site, kind, worker, left, hung):
    """The worker lives: it ends what is left, and completes the job only then."""
    if kind.startswith("hung"):
        processes.until(lambda: "cannot be killed" in site.log(worker), "the worker says that it waits")
        assert site.is_claimed("a.0") and processes.is_running(left)
        hung.end()
    processes.until(lambda: not site.is_claimed("a.0"), "the worker is done with it")
    assert not processes.is_running(left) and not site.gone(worker)


def is_found(site, kind, which, leader, left, hung):
    """Recovery leaves the job alone while anything of it lives, ends it when asked to, and puts the job back then."""
    status, lines, err = site.recover()
    named = left if which == "both" else leader
    assert (status, lines) == (1, []) and f"{named} (" in err and site.is_claimed("a.0")
    if kind.startswith("hung"):
        status, lines, err = site.recover("--kill-orphans")
        assert (status, lines) == (1, []) and f"{left} (" in err, "what cannot be ended keeps its job"
        hung.end()
        processes.until(lambda: not processes.is_running(left), "it has been released and is killed")
        assert site.recover() == (0, ["a.0 → unclaimed/"], "")
    elif kind == "a plain child":
        # Without being told to end anything: when all has ended by itself.
        processes.kill([child for child in processes.children() if child.pid in (leader, left)])
        assert site.recover() == (0, ["a.0 → unclaimed/"], "")
    else:
        assert site.recover("--kill-orphans") == (0, ["a.0 → unclaimed/"], "")
    assert not processes.is_running(left) and not processes.is_running(leader)
    site.start()


def all_ways():
    return [tuple(way for bit, way in enumerate(WAYS) if number >> bit & 1) for number in range(8)]


def test_what_cannot_be_detected_is_what_the_guide_says(site, tmp_path, full, figures):
    """All eight of closing, clearing and leaving: one of them is unseen, and the guide names it."""
    text = " ".join(jars.read(os.path.join(processes.TOP, "docs", "guide.md")).split())
    section = re.search(r"## \d+\. What cannot be detected(.*?) ## \d", text)[1]
    assert ("A process that has closed all its files **and** cleared its environment **and** left its session cannot be"
            " seen") in section
    unseen = []
    for number, ways in enumerate(all_ways() if full else [WAYS, WAYS[:2], WAYS[1:]]):
        place = tmp_path / str(number)
        place.mkdir()
        one = Site(jars.make(place / "jar"))
        worker, leader, left = leave(one, place, "{python} {hide} {told} " + " ".join(ways))
        if "closed" in ways:
            settled("with closed files", left)
        kill(one, "both", worker, leader)
        processes.until(lambda: not processes.is_running(leader), "the leader's end")
        # What is not seen is put back while it lives: no such job is ever run by this test again.
        status, lines, _ = one.recover()
        assert processes.is_running(left)
        if lines:
            unseen.append(ways)
        else:
            assert status == 1
        processes.kill(processes.children())
    assert unseen == [WAYS]
    figures(f"unseen of what a job may leave: {' and '.join(WAYS)}, as the guide says, and nothing else")
