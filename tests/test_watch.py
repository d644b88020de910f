"""Waiting: what inotify reports, that it is only a hint, and how a bell wakes."""

import os
import signal
import time

import pytest

from jobjar import watch
from support import jars, processes


@pytest.fixture
def looking():
    """A watch, closed again."""
    found = watch.Watch()
    if found.handle is None:
        pytest.skip("this kernel or this user has no inotify to spare")
    yield found
    os.close(found.handle)


def touch(*parts):
    jars.write(os.path.join(*map(str, parts)), "")


def test_what_appears_in_a_directory_is_reported_once(looking, tmp_path):
    assert looking.once(str(tmp_path)) == str(tmp_path)
    touch(tmp_path, "a")
    touch(tmp_path, "b")
    assert looking.read() == {str(tmp_path)}
    touch(tmp_path, "c")
    assert looking.read() == set()


def test_it_can_be_armed_again_before_it_has_been_read(looking, tmp_path):
    looking.once(str(tmp_path))
    touch(tmp_path, "a")
    looking.once(str(tmp_path))
    assert looking.read() == {str(tmp_path)}
    touch(tmp_path, "b")
    assert looking.read() == {str(tmp_path)}


def make_ready(how, here, queue):
    """Let the file `x` become a job of `queue`, in which there is a file `there` already; its name there."""
    if how == "moved in":
        os.rename(here / "x", queue / "x")
    elif how == "linked":
        os.link(here / "x", queue / "x")
    else:
        os.chmod(queue / "there", 0o755)
        return "there"
    return "x"


@pytest.mark.parametrize("how", ["moved in", "linked", "made executable"])
def test_all_ways_for_a_file_to_become_a_job_are_reported(looking, tmp_path, how):
    queue = tmp_path / "queue"
    queue.mkdir()
    touch(tmp_path, "x")
    touch(queue, "there")
    looking.once(str(queue))
    make_ready(how, tmp_path, queue)
    assert looking.read() == {str(queue)}


@pytest.fixture
def arrivals(tmp_path):
    """What is told of the directory `queue`, in which there is a file."""
    (tmp_path / "queue").mkdir()
    touch(tmp_path, "x")
    touch(tmp_path, "queue", "there")
    found = watch.Arrivals.of(str(tmp_path / "queue"))
    if found is None:
        pytest.skip("this kernel or this user has no inotify to spare")
    yield found
    found.close()


@pytest.mark.parametrize("how", ["moved in", "linked", "made executable"])
def test_what_becomes_a_job_is_told_by_name_again_and_again(arrivals, tmp_path, how):
    assert arrivals.names() == set()
    name = make_ready(how, tmp_path, tmp_path / "queue")
    assert arrivals.names() == {name}
    touch(tmp_path, "queue", "another")
    assert arrivals.names() == {"another"} and arrivals.names() == set()


def test_of_what_goes_nothing_is_told(arrivals, tmp_path):
    os.rename(tmp_path / "queue" / "there", tmp_path / "there")
    assert arrivals.names() == set()


def test_when_more_comes_than_the_kernel_keeps_it_is_said_that_names_are_missing(arrivals, tmp_path):
    most = int(jars.read("/proc/sys/fs/inotify/max_queued_events"))
    here = tmp_path / "queue"
    os.rename(here / "there", here / "0")
    for number in range(most + 10):
        os.rename(here / str(number), here / str(number + 1))
    assert arrivals.names() is None
    touch(here, "later")
    assert arrivals.names() == {"later"}


def test_when_the_directory_is_another_it_is_said_that_names_are_missing(arrivals, tmp_path):
    os.rename(tmp_path / "queue", tmp_path / "old")
    assert arrivals.names() is None


def test_of_a_directory_that_is_not_there_nothing_can_be_told(tmp_path):
    before = os.listdir("/proc/self/fd")
    assert watch.Arrivals.of(str(tmp_path / "nowhere")) is None
    assert os.listdir("/proc/self/fd") == before


def test_that_a_job_is_taken_away_is_no_news(looking, tmp_path):
    touch(tmp_path, "x")
    looking.once(str(tmp_path))
    os.remove(tmp_path / "x")
    assert looking.read() == set()


def test_of_a_missing_directory_the_nearest_above_it_reports(looking, tmp_path):
    assert looking.once(str(tmp_path / "a" / "b")) == str(tmp_path)
    (tmp_path / "a").mkdir()
    assert looking.read() == {str(tmp_path)}


def test_a_directory_that_comes_while_its_parent_is_being_armed_is_not_missed(looking, tmp_path, monkeypatch):
    was, queue = looking._add, tmp_path / "queue"

    def add(directory, mask):
        if directory == str(tmp_path) and not queue.exists():
            queue.mkdir()
        return was(directory, mask)
    monkeypatch.setattr(looking, "_add", add)
    assert looking.once(str(queue)) == str(queue)
    touch(queue, "x")
    assert str(queue) in looking.read()


def test_a_directory_that_goes_is_reported(looking, tmp_path):
    for end in (os.rmdir, lambda path: os.rename(path, str(path) + ".old")):
        (tmp_path / "queue").mkdir()
        looking.once(str(tmp_path / "queue"))
        end(tmp_path / "queue")
        assert looking.read() == {str(tmp_path / "queue")}


def test_of_a_busy_directory_only_the_names_that_matter_are_reported_every_time(looking, tmp_path):
    looking.always(str(tmp_path), ("STOP", "DRAIN."))
    touch(tmp_path, "journal")
    touch(tmp_path, "STOPPED")
    assert looking.read() == set()
    for name in ("STOP", "DRAIN.rain"):
        touch(tmp_path, name)
        assert looking.read() == {str(tmp_path)}
    os.remove(tmp_path / "STOP")
    assert looking.read() == {str(tmp_path)}


def test_without_inotify_a_watch_is_silent(tmp_path, monkeypatch):
    found = watch.Watch()
    if found.handle is not None:
        os.close(found.handle)
    found.handle = None
    assert found.once(str(tmp_path)) == str(tmp_path)
    found.always(str(tmp_path), ("STOP",))
    touch(tmp_path, "STOP")
    assert found.read() == set()


# The bell, in a process of its own: it takes the process's signals.


def ring(script, tmp_path):
    """What a process prints that has a bell and a watch of `tmp_path`."""
    text = f"""
import os, signal, time
from jobjar.watch import Bell, Watch
bell = Bell(Watch())
began = time.monotonic()
path = {str(tmp_path)!r}
{script}
print(round(time.monotonic() - began, 1), bell.requests_to_end)
"""
    code, out, err = processes.finish(processes.python("-c", text))
    assert code == 0, err
    return out.strip()


def woken(script, tmp_path):
    """The requests to end that such a process has heard, which waits for 20 s unless something wakes it."""
    waited, requests = ring(script, tmp_path).split()
    assert float(waited) < 10
    return int(requests)


def test_a_bell_waits_as_long_as_it_is_told_to(tmp_path):
    waited, requests = ring("bell.wait(0.3)", tmp_path).split()
    # A machine that has other things to do wakes it later.
    assert 0.3 <= float(waited) < 20 and requests == "0"


def test_an_ended_child_wakes_it(tmp_path):
    assert woken("os.posix_spawn('/bin/true', ['true'], {}); bell.wait(20)", tmp_path) == 0


def test_a_child_that_ended_before_the_wait_wakes_it_too(tmp_path):
    assert woken("pid = os.posix_spawn('/bin/true', ['true'], {}); os.waitpid(pid, 0); bell.wait(20)", tmp_path) \
        == 0


def test_a_watched_directory_wakes_it_and_is_told_once(tmp_path):
    assert woken("bell.watch.once(path); open(path + '/x', 'w').close(); bell.wait(20);"
                "assert bell.changed() == {path} and bell.changed() == set()", tmp_path) == 0


def test_what_is_reported_between_waits_is_not_lost(tmp_path):
    assert woken("bell.watch.once(path); open(path + '/x', 'w').close(); bell.wait(0); bell.wait(0);"
                "assert bell.changed() == {path}", tmp_path) == 0


def test_requests_to_end_are_counted_and_hangups_are_not(tmp_path):
    script = "".join(f"os.kill(os.getpid(), signal.{name}); bell.wait(0);" for name in ("SIGHUP", "SIGTERM", "SIGINT"))
    assert woken(script, tmp_path) == 2


def test_a_signal_wakes_it(tmp_path):
    began = time.monotonic()
    child = processes.python("-c", "from jobjar.watch import Bell, Watch\nbell = Bell(Watch())\n"
                             "print('ready', flush=True)\nbell.wait(20)\nprint(bell.requests_to_end)")
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert processes.finish(child)[:2] == (0, "1\n") and time.monotonic() - began < 10
