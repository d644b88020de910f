"""Starting and burying: nothing of a job is left behind, and what a dead worker left is found."""

import os
import signal
import time

import pytest

from jobjar import node, process
from support import jars, processes, workers


def left_by(jar):
    """The pids that jobs have written into `pids`."""
    path = os.path.join(jar.home, "pids")
    return [int(pid) for pid in jars.read(path).split()] if os.path.exists(path) else []


NOTE = "echo $! >>$JJ_HOME/pids"
LEFT_BEHIND = {
    "in the background": f"sleep 60 & {NOTE}",
    "in a session of its own": f"setsid sleep 60 & {NOTE}",
    "forked twice": "sh -c 'setsid sh -c \"echo \\$\\$ >>$JJ_HOME/pids; exec sleep 60\" & exit 0' & wait $!; "
                    "while [ ! -s $JJ_HOME/pids ]; do sleep 0.01; done",
    "with an empty environment": f"env -i sleep 60 & {NOTE}",
    "stopped": f"sleep 60 & {NOTE}; kill -STOP $!",
    "many": "for i in 1 2 3 4 5; do setsid sleep 60 & echo $! >>$JJ_HOME/pids; done",
}


@pytest.mark.parametrize("body", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_what_a_job_leaves_behind_is_ended_before_the_job_is_completed(jar, body):
    workers.place(jar, "x", f"{body}\nexit 0")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(os.path.join(jar.completed, "x")), deadline=10)
        alive = [pid for pid in left_by(jar) if processes.is_running(pid)]
        assert left_by(jar) and not alive
        assert not w.has_ended()
    assert w.ends()[0]["state"] == "COMPLETED"


def test_what_ignores_the_request_to_end_is_killed(jar):
    def soon():
        process.GRACE = 0.3
    workers.place(jar, "x", "(trap '' TERM; echo ready; while :; do sleep 1; done) & echo $! >$JJ_HOME/pids\n"
                  "while [ ! -s $JJ_WORKER_HOME/$JJ_WORKER/output ]; do sleep 0.01; done")
    began = time.monotonic()
    workers.drain(jar, before=soon)
    assert time.monotonic() - began < 5 and not processes.is_running(left_by(jar)[0])


def test_a_child_that_ends_by_itself_when_asked_has_the_time_to_do_so(jar):
    workers.place(jar, "x", "(trap 'sleep 0.2; echo tidy; exit' TERM; echo ready; while :; do sleep 0.02; done) &\n"
                  "while [ ! -s $JJ_WORKER_HOME/$JJ_WORKER/output ]; do sleep 0.01; done")
    workers.drain(jar)
    assert jars.read(jar.log("x")) == "ready\ntidy\n"


def test_a_job_that_kills_its_own_group_is_just_a_failed_job(jar):
    workers.place(jar, "x", "kill -KILL 0")
    w = workers.drain(jar)
    assert w.ends()[0]["signal"] == 9


# What others see of a worker's job.


def job_of(jar, body, **more):
    """A worker killed -9 while its job runs; the nonce, the lock's path and the job's pid."""
    workers.place(jar, "x", f"echo $$ >$JJ_HOME/pids; {body}")
    w = workers.start(jar, **more)
    processes.until(lambda: left_by(jar))
    record = workers.lines_of_json(w.path("worker.json"))
    processes.until(lambda: os.path.getsize(record["lock"]) > 0)
    w.signal(signal.SIGKILL)
    w.wait()
    return record["nonce"], record["lock"], left_by(jar)[0]


@pytest.fixture
def orphan(jar):
    """A job whose worker was killed; it is ended after the test."""
    nonce, lock, pid = job_of(jar, "exec sleep 60")
    yield nonce, lock, pid
    processes.kill([child for child in processes.children() if child.pid == pid])
    os.remove(lock) if os.path.exists(lock) else None


def test_an_orphan_is_found_by_its_environment_and_its_session(orphan):
    nonce, lock, pid = orphan
    living, found = process.orphans(lock, nonce)
    assert living and [o.pid for o in found] == [pid] and "sleep" in found[0].command
    assert [o.pid for o in process.orphans(None, nonce)[1]] == [pid]
    assert [o.pid for o in process.orphans(lock, "another-nonce")[1]] == [pid]
    assert process.orphans(None, "another-nonce") == (False, [])


def test_an_orphan_that_hides_its_environment_and_left_its_session_still_holds_the_lock(jar):
    nonce, lock, pid = job_of(
        jar, "env -i setsid -f sh -c 'echo $$ >'$JJ_HOME'/late; exec sleep 60'; exec sleep 60")
    late = os.path.join(jar.home, "late")
    processes.until(lambda: os.path.exists(late) and jars.read(late))
    processes.kill([child for child in processes.children() if child.pid == pid])
    living, found = process.orphans(lock, nonce)
    processes.kill([child for child in processes.children() if child.pid == int(jars.read(late))])
    assert living and [o.pid for o in found] == [int(jars.read(late))]
    assert process.orphans(lock, nonce) == (False, [])
    os.remove(lock)


def test_an_orphan_is_killed_and_nobody_else(orphan):
    nonce, lock, pid = orphan
    stranger = process.Orphan(os.getpid(), 1, "me")
    process.kill_orphans([stranger, *process.orphans(lock, nonce)[1]], seconds=1)
    processes.until(lambda: process.orphans(lock, nonce) == (False, []))
    assert not processes.is_running(pid)


def test_the_session_of_a_number_that_somebody_else_has_now_is_not_taken_for_the_job_s(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(f"{os.getsid(0)} 1\n")
    if node.start_ticks(os.getsid(0)) is None:
        pytest.skip("the leader of this session is out of sight")
    assert process.orphans(str(lock), "no-such-nonce") == (False, [])


def test_the_lock_is_held_until_everything_that_inherited_it_has_gone(tmp_path):
    path = str(tmp_path / "lock")
    handle = process.open_lock(path)
    assert process._is_locked(path)
    with pytest.raises(BlockingIOError):
        process.open_lock(path)
    os.close(handle)
    assert not process._is_locked(path) and not process._is_locked(str(tmp_path / "none"))


def test_the_local_directory_is_ours_alone_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nowhere")
    found = os.lstat(process.local_directory())
    assert found.st_uid == os.geteuid() and not found.st_mode & 0o077


def test_starting_says_what_exec_says(tmp_path):
    path = str(tmp_path / "x")
    lock = process.open_lock(str(tmp_path / "lock"))
    output = os.open(tmp_path / "output", process.APPEND)
    try:
        with pytest.raises(FileNotFoundError):
            process.start([path], {}, output, lock)
        jars.write(path, "no program")
        with pytest.raises(OSError, match="Exec format"):
            process.start([path], {}, output, lock)
    finally:
        os.close(lock), os.close(output)


BURIES = """import os, subprocess, sys, time
from jobjar import process
process.adopt_orphans()
process.GRACE = float(sys.argv[2])
child = subprocess.Popen(["/bin/sh", "-c", "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done"],
                         stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
process.bury(time.sleep, print, *eval(sys.argv[1]))
child.returncode = 0
print(child.stdout.read())
"""


@pytest.mark.parametrize("told, grace, hears", [
    ("({child.pid}, time.monotonic() - process.GRACE)", "3600", False), ("()", "0.3", True)])
def test_what_was_told_to_end_and_has_had_its_grace_is_killed_without_another_word(told, grace, hears):
    _, out, err = processes.finish(processes.python("-c", BURIES, told, grace))
    assert err == "" and ("told" in out) == hears
