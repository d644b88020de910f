"""A fifo where a file of the jar should be keeps nobody waiting: not a worker, and no command."""

import os

import pytest
from support import nodes, processes
from support.nodes import Site

COMMANDS = [("recover_stranded",), ("system_status",), ("jobjar", "check"), ("jobjar", "list", "--all"),
            ("jobjar", "history"), ("jobjar", "show", "a"), ("jobjar", "clean", "--older", "1h"),
            ("jobjar", "explain", "a"), ("check_workers", "--max", "0"), ("jobjar", "wait", "a")]


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


def fifo(jar, *path):
    path = os.path.join(jar.home, *path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mkfifo(path)


def test_no_command_and_no_worker_waits_for_a_fifo_among_the_records(site):
    os.makedirs(os.path.join(site.jar.workers, "rain.99", "claims"))
    fifo(site.jar, "workers", "rain.99", "worker.json")
    fifo(site.jar, "workers", "snow.1", "journal")
    site.submit("true")
    fifo(site.jar, "notes", "a", "snow.1")
    site.start("--idle-exit", "0")
    processes.until(lambda: os.listdir(site.jar.completed) == ["a.0"])
    processes.until(lambda: not site.living())
    for command in COMMANDS:
        status, out, err = site.run(*command)
        assert status in (0, 1, 2) and "Traceback" not in err, (command, status, out, err)
