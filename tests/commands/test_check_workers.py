"""check_workers, as cron and a person meet it."""

import os
import pty
import sys

import pytest
from support import jars, nodes, processes, programs
from support.nodes import Site


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


def test_it_prints_the_workers_that_it_started(site):
    site.variables["JJ_MAX_WORKERS"] = "1"
    assert processes.until(site.check) == site.living()


def test_renew_prints_those_that_it_asked(site):
    site.variables["JJ_MAX_WORKERS"] = "1"
    worker = site.start()
    assert site.check("--renew")[0] == worker
    processes.until(lambda: site.living() not in ([], [worker]))


def test_cron_is_told_nothing_of_a_drain(site):
    jars.write(f"{site.jar.workers}/DRAIN.rain", "new disks\n")
    assert site.check() == []


def test_a_person_is_told_of_it(site):
    jars.write(f"{site.jar.workers}/DRAIN.rain", "new disks\n")

    def told():
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(sys.executable, [sys.executable, os.path.join(programs.BIN, "check_workers")], site.environment)
        said = os.read(terminal, 1000).decode()
        os.close(terminal)
        os.waitpid(pid, 0)
        return "rain is drained (new disks)" in said
    processes.until(told)


def test_a_worker_that_cannot_start_is_one_sentence(site):
    os.chmod(site.jar.unclaimed, 0o777)

    def said():
        status, out, err = site.run("check_workers")
        return (status, out, err) if status else None
    status, out, err = processes.until(said)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and "chmod o-w" in err
