"""One supervisor at a time per node and user."""

import os
import sys

import pytest
from support import processes

from jobjar import process
from jobjar.nodelock import only_one

pytestmark = pytest.mark.alone

HOLD = "import time; from jobjar import nodelock; l = nodelock.only_one(30); print(l.__enter__(), flush=True); time.sleep(600)"


@pytest.fixture
def holder(tmp_path):
    holder = processes.python("-c", HOLD, env=processes.environment(TMPDIR=str(tmp_path), HOME=str(tmp_path)))
    assert holder.stdout.readline() == "True\n"
    yield holder
    holder.kill()
    holder.communicate()


def test_a_second_one_is_told_so_at_once(holder):
    with only_one() as mine:
        assert mine is False


def test_a_second_one_that_waits_gets_it_when_the_first_has_died(holder):
    holder.kill()
    with only_one(30) as mine:
        assert mine is True


def test_it_is_free_again_afterwards():
    for _ in range(2):
        with only_one(30) as mine:
            assert mine is True


def test_an_error_frees_it():
    with pytest.raises(ZeroDivisionError):
        with only_one(30):
            raise ZeroDivisionError
    with only_one(30) as mine:
        assert mine is True


def test_a_lock_file_that_nobody_holds_proves_nothing():
    path = os.path.join(process.local_directory(), "node.lock")
    with open(path, "a", encoding="ascii"):
        pass
    with only_one(30) as mine:
        assert mine is True


def test_too_old_a_filelock_is_refused(monkeypatch):
    import filelock
    monkeypatch.setattr(filelock, "__version__", "3.20.2")
    with pytest.raises(ImportError, match="older than 3.20.3"):
        with only_one():
            pass
    assert "filelock" in sys.modules
