"""What a person does to jobs: hold, release, retry, move, first, cancel; race-free, and said truly."""

import os
import signal

import pytest
from support import accounts, jars, processes, programs, workers

from jobjar import cancelling, changing, clearance, ends, fslook, fsops, jobname, layout, moves, notes, registration
from jobjar import retrying, states
from jobjar.job import Job
from jobjar.layout import Place


@pytest.fixture
def change(jar):
    return changing.Change(jar, workers.NODE)


def _submit(jar, command="true", state=states.UNCLAIMED, **more):
    place = workers.submit(jar, command, **more)
    if state != states.UNCLAIMED:
        moved = place._replace(state=state)
        os.rename(jar.path(place), os.path.join(jar.queue(state, place.category), place.name))
        return moved
    return place


def _id(place):
    return jobname.split(place.name)[0]


def _texts(jar):
    """Where the jobs are."""
    return sorted(path for path, text in jars.tree(jar).items()
                  if text and path.startswith(("unclaimed", "held", "waiting", "failed", "completed")))


def _ended(jar, command="true", **more):
    """A job that has been run."""
    place = _submit(jar, command, **more)
    workers.drain(jar, *([place.category] if place.category else []))
    return Place(states.COMPLETED, None, place.name)


def _running(jar, place, worker):
    path = os.path.join(worker.claims, place.category or "", place.name)
    processes.until(lambda: os.path.exists(path), "the claim")
    return Place(states.CLAIMS, place.category, place.name, worker.claims)


# Hold and release.

@pytest.mark.parametrize("state", [states.UNCLAIMED, states.WAITING])
def test_a_job_is_held_with_a_note_that_says_by_whom_and_why_and_released(jar, change, state):
    place = _submit(jar, state=state, category="C")
    changing.hold(change, [place], "not yet")
    assert _texts(jar) == [f"held/C/{place.name}"] and change.done == [f"{_id(place)} held"]
    [line] = notes.read(jar, place.name)
    assert line["e"] == "hold" and line["why"] == "not yet" and line["who"].endswith("@" + workers.NODE)
    changing.release(change, [place._replace(state=states.HELD)])
    assert _texts(jar) == [f"unclaimed/C/{place.name}"] and change.left == []


def test_what_is_as_it_is_to_be_already_is_said_and_well(jar, change):
    held, free = _submit(jar, state=states.HELD), _submit(jar)
    before = _texts(jar)
    changing.hold(change, [held])
    changing.release(change, [free])
    assert change.done == [f"{_id(held)} is held already", f"{_id(free)} is not held"]
    assert change.left == [] and _texts(jar) == before


def test_a_job_that_waits_for_a_time_is_released_to_wait_for_it(jar, change):
    name = os.path.basename(workers.place(jar, "a.0", header="#!/bin/sh\n#JJ --begin=2100-01-01T00:00\n"))
    changing.hold(change, [Place(states.UNCLAIMED, None, name)])
    changing.release(change, [Place(states.HELD, None, name)])
    assert _texts(jar) == ["waiting/a.0"] and change.done[-1] == "a released, to wait"


def test_a_running_job_is_neither_held_nor_changed_and_the_sentence_says_what_to_do(jar, change):
    place = _submit(jar, "exec sleep 60")
    with workers.working(jar) as worker:
        running = _running(jar, place, worker)
        changing.hold(change, [running])
        changing.alter(change, [running], priority=3)
        retrying.retry(change, [running])
        changing.release(change, [running])
        worker.signal(signal.SIGTERM)
        worker.signal(signal.SIGTERM)
    assert change.done == []
    assert [line.removeprefix(_id(place)) for line in change.left] == [
        " is running, so it cannot be held: cancel it, or wait for its end",
        " is running, so it cannot be changed any more",
        " is running: only a job that has ended can be retried", " is running, so it is not held"]


def test_a_job_that_a_worker_claims_in_between_is_running_now(jar, change):
    place = _submit(jar)
    claims = jars.worker(jar, "rain.1")
    os.rename(jar.path(place), os.path.join(claims, place.name))
    changing.hold(change, [place])
    assert change.left == [f"{_id(place)} is running, so it cannot be held: cancel it, or wait for its end"]


def test_a_job_that_moves_on_in_between_is_found_where_it_is(jar, change):
    place = _submit(jar, category="C")
    fsops.rename(jar.path(place), os.path.join(jar.queue(states.WAITING, "D"), place.name))
    changing.hold(change, [place])
    assert _texts(jar) == [f"held/D/{place.name}"]


def test_a_namesake_made_by_hand_is_not_taken_for_the_job_that_has_gone(jar, change):
    mine, other = Place(states.UNCLAIMED, "C", "a.0"), Place(states.UNCLAIMED, "D", "a.0")
    jars.put(jar, other)
    jar.queue(states.UNCLAIMED, "C")
    changing.hold(change, [mine])
    assert _texts(jar) == ["unclaimed/D/a.0"] and change.left == ["a is nowhere to be seen any more"]


def test_many_jobs_are_held_with_one_wait_for_the_notes_and_one_for_the_moves(jar, change, monkeypatch):
    places, waits = [_submit(jar) for _ in range(5)], []
    monkeypatch.setattr(fsops, "sync_file_system", lambda path: waits.append(("notes", os.listdir(jar.held))))
    monkeypatch.setattr(fsops, "sync_directory", lambda path: waits.append((path, len(os.listdir(jar.held)))))
    monkeypatch.setattr(fsops, "sync", lambda handle: waits.append(handle))
    changing.hold(change, places)
    assert waits == [("notes", []), (jar.held, 5)]


@pytest.mark.parametrize("verb, state", [(changing.hold, "held"), (cancelling.cancel, "failed")])
def test_of_very_many_jobs_some_are_noted_and_changed_before_the_next_are_noted(jar, change, verb, state, monkeypatch):
    """A worker would run them in the meantime, and who interrupts the command had notes of what was not done."""
    monkeypatch.setattr(changing, "TOGETHER", 2)
    there, add_many, directory = [], notes.add_many, jar.directory(state)
    monkeypatch.setattr(notes, "add_many", lambda *more: (there.append(len(os.listdir(directory))), add_many(*more)))
    verb(change, [_submit(jar) for _ in range(5)])
    assert there == [0, 2, 4] and len(os.listdir(directory)) == 5


@pytest.mark.parametrize("verb", [changing.hold, changing.release, retrying.retry])
def test_no_queue_is_listed_for_each_of_many_jobs(jar, change, verb, monkeypatch):
    def listed(number):
        state = {changing.hold: states.UNCLAIMED, changing.release: states.HELD, retrying.retry: states.COMPLETED}[verb]
        places, seen = [_submit(jar, state=state) for _ in range(number)], []
        for ask in ("names", "scan"):
            monkeypatch.setattr(fslook, ask, lambda path, was=getattr(fslook, ask): (seen.append(path), was(path))[1])
        verb(change, places)
        monkeypatch.undo()
        assert len(change.done) == number and not change.left
        change.done.clear()
        return [path for path in seen if path in (jar.unclaimed, jar.held, jar.waiting, jar.completed)]
    assert listed(2) == listed(9)


# Priority and category.

def test_ids_and_handles_follow_a_change_of_priority_and_category(jar, change):
    place = _submit(jar, "exit 3", category="C", priority=1)
    job = Job(jar, place)
    changing.alter(change, [place], priority=-7)
    assert job.state == "PENDING" and job.id == _id(place) and job.name == f"{job.id}.-7"
    changing.alter(change, [Place(states.UNCLAIMED, "C", job.name)], category=None)
    assert _texts(jar) == [f"unclaimed/{job.id}.-7"] and job.state == "PENDING"
    workers.drain(jar)
    assert job.wait(timeout=10) == "FAILED"
    assert change.done == [f"{job.id} has priority -7", f"{job.id} is uncategorized"]


def test_attempts_that_count_go_along_to_another_name_and_category(jar, change):
    place = _submit(jar, category="C")
    notes.count(jar, "there.1", place.name, "C", "earlier-1", "its worker died")
    changing.alter(change, [place], priority=5, category="D")
    assert notes.open_attempts(jar, f"{_id(place)}.5", "D") == {"earlier-1"}


def test_the_first_job_is_that_of_the_highest_priority_and_one_more(jar, change):
    rest = [_submit(jar, category="C", priority=priority) for priority in (3, 9)]
    _submit(jar, category="D", priority=50)
    mine = [_submit(jar, category="C") for _ in range(2)]
    changing.first(change, mine)
    names = sorted(os.listdir(f"{jar.unclaimed}/C"), key=lambda name: -jobname.split(name)[1])
    assert [jobname.split(name)[0] for name in names] == [_id(place) for place in (*mine, *reversed(rest))]
    assert [jobname.split(name)[1] for name in names] == [11, 10, 9, 3]


def test_a_job_that_is_the_first_stays_as_it_is(jar, change):
    place, _ = _submit(jar, priority=4), _submit(jar, priority=3)
    changing.first(change, [place])
    assert change.done == [f"{_id(place)} is the first already"] and os.path.exists(jar.path(place))


def test_nothing_comes_before_the_highest_priority_that_there_is(jar, change):
    place, _ = _submit(jar), _submit(jar, priority=999_999_999)
    changing.first(change, [place])
    assert "highest priority" in change.left[0] and os.path.exists(jar.path(place))


# Retry.

def test_a_job_that_has_ended_is_retried_under_its_id_in_its_category(jar, change):
    place = _ended(jar, "echo once; exit 3", category="C")
    retrying.retry(change, [place])
    assert change.done == [f"{_id(place)} is to be run again"]
    assert _texts(jar) == [f"unclaimed/C/{place.name}"]
    [log] = os.listdir(jar.logs)
    assert log.startswith(place.name + ".attempt-") and jars.read(os.path.join(jar.logs, log)) == "once\n"
    workers.drain(jar, "C")
    assert _texts(jar) == [f"completed/{place.name}", f"failed/{place.name}"]


@pytest.mark.parametrize("header", ["", "#JJ --no-requeue\n"])
def test_the_attempts_of_a_retried_job_count_anew(jar, change, header):
    name = os.path.basename(workers.place(jar, "a.0", 'echo "$JJ_ATTEMPT"', header="#!/bin/sh\n" + header))
    notes.count(jar, "there.1", name, None, "earlier-1", "its worker died")
    cancelling.cancel(change, [Place(states.UNCLAIMED, None, name)])
    retrying.retry(change, [Place(states.FAILED, None, name)])
    workers.drain(jar)
    assert jars.read(jar.log(name)) == "1\n"


def test_a_cancelled_job_is_retried_in_its_category(jar, change):
    place = _submit(jar, category="C")
    cancelling.cancel(change, [place])
    assert Job(jar, place).state == "CANCELLED"
    retrying.retry(change, [Place(states.FAILED, None, place.name)])
    assert _texts(jar) == [f"unclaimed/C/{place.name}"] and Job(jar, place).state == "PENDING"


def test_what_has_failed_is_told_from_what_was_cancelled(jar, change):
    bad, waits = _ended(jar, "exit 3", id="bad"), _submit(jar, id="waits")
    cancelling.cancel(change, [waits])
    refused = workers.place(jar, "refused.0", header="#!/bin/sh\n#JJ --nonsense\n")
    workers.drain(jar)
    assert {place.name for place in ends.failed(jar)} == {bad.name, os.path.basename(refused)}
    assert ends.failed(jar, "*-bad") == [bad]


def test_where_nothing_has_failed_a_retry_says_so_and_a_pattern_names_no_job(jar):
    _ended(jar, "true", id="good")
    status, out, err = programs.run("jobjar", "retry", "--home", jar.home, "--failed")
    assert (status, out) == (0, "") and "no job has failed" in err
    status, out, err = programs.run("jobjar", "retry", "--home", jar.home, "--failed", "--pattern=*good")
    assert (status, out) == (3, "") and "no job that has failed has an id like '*good'" in err


@pytest.mark.parametrize("priority", [0, 5])
def test_a_job_that_somebody_else_has_retried_meanwhile_is_retried_once_more_and_keeps_all_its_logs(
        jar, change, monkeypatch, priority):
    place, was, other = _ended(jar, "echo $JJ_ATTEMPT_ID"), moves.retry, changing.Change(jar, workers.NODE)

    def late(*more):
        monkeypatch.undo()
        retrying.retry(other, [place])
        changing.alter(other, [place._replace(state=states.UNCLAIMED)], priority=priority)
        workers.drain(jar)
        return was(*more)
    monkeypatch.setattr(moves, "retry", late)
    retrying.retry(change, [place])
    workers.drain(jar)
    assert len(change.done) == 1 and not change.left
    told = [jars.read(jar.log(name)) for name in os.listdir(jar.logs)]
    assert len(told) == len(set(told)) == 3


@pytest.mark.parametrize("category", ["../../elsewhere", "a/b", ".hidden", "", 5, ["C"], "x" * 300])
@pytest.mark.parametrize("where", [states.COMPLETED, states.FAILED])
def test_what_cannot_be_a_category_is_none_whoever_has_written_it(jar, change, category, where):
    place = jars.put(jar, Place(where, None, "a.0"))
    if where == states.COMPLETED:
        accounts.journal(jar, "rain.77", accounts.failed(1, "a.0", c=category, a="../../n-1"))
    else:
        notes.add(jar, "rain.77", "a.0", category, "cancel")
    jars.write(jar.log("a.0"), "printed\n")
    retrying.retry(change, [place])
    assert change.left == [] and _texts(jar) == ["unclaimed/a.0"]
    assert all(name.startswith("a.0.attempt-") for name in os.listdir(jar.logs)) and len(os.listdir(jar.logs)) == 1


def test_a_job_that_somebody_else_is_retrying_is_left_to_him(jar, change):
    place = _ended(jar)
    os.symlink("reserved:snow.5:other-1", jar.taken(place.name))
    retrying.retry(change, [place])
    assert change.done == [] and "in somebody else's hands" in change.left[0]
    assert os.path.exists(jar.path(place))


# Cancel.

def test_a_job_that_waits_goes_to_failed_with_the_reason(jar, change):
    places = [_submit(jar, state=state) for state in states.QUEUES]
    cancelling.cancel(change, places, "a mistake")
    assert _texts(jar) == sorted(f"failed/{place.name}" for place in places)
    for place in places:
        assert Job(jar, place).state == "CANCELLED"
        assert notes.read(jar, place.name)[-1]["why"] == "a mistake"
    cancelling.cancel(change, [Place(states.FAILED, None, places[0].name)])
    assert change.done[-1] == f"{_id(places[0])} was cancelled already"


def test_the_tasks_that_wait_are_cancelled_before_those_that_run(jar, change):
    places = [_submit(jar, state=state) for state in (states.UNCLAIMED, states.HELD, states.WAITING)]
    cancelling.cancel(change, places)
    assert [line.split()[0] for line in change.done] == [_id(place) for place in reversed(places)]


def test_a_name_that_is_taken_in_failed_says_why_it_is_there_too(jar, change):
    for place in (Place(states.FAILED, None, "a.0"), Place(states.UNCLAIMED, "C", "a.0")):
        jars.put(jar, place)
    cancelling.cancel(change, [Place(states.UNCLAIMED, "C", "a.0")], "a mistake")
    assert notes.burial(jar, "a~2.0") == "cancel" and notes.read(jar, "a~2.0")[0]["c"] == "C"


def test_a_running_job_is_cancelled_and_the_command_waits_for_its_end(jar, change):
    place = _submit(jar, "exec sleep 60", category="C")
    with workers.working(jar, "C") as worker:
        cancelling.cancel(change, [_running(jar, place, worker)], "enough")
        assert change.done == [f"{_id(place)} cancelled while it was running on {workers.NODE}"]
        [end] = worker.ends()
        assert end["state"] == "CANCELLED" and end["why"].endswith(": enough") and end["signal"] == signal.SIGTERM
        line = notes.read(jar, place.name)[0]
        assert (line["e"], line["a"], line["why"]) == ("cancel", end["a"], "enough")
    assert Job(jar, place).state == "CANCELLED" and Job(jar, place).exit_status == 128 + signal.SIGTERM
    assert os.listdir(jar.orders(worker.name)) == []


def test_a_job_that_was_claimed_while_it_was_to_be_cancelled_is_ended_where_it_runs(jar, change):
    place = _submit(jar, "exec sleep 60")
    with workers.working(jar) as worker:
        _running(jar, place, worker)
        cancelling.cancel(change, [place])
        assert change.done == [f"{_id(place)} cancelled while it was running on {workers.NODE}"]


def test_a_job_that_ends_by_itself_meanwhile_was_not_cancelled(jar, change):
    place = _submit(jar, "trap 'exit 0' TERM; touch ready; while :; do sleep 0.01; done")
    with workers.working(jar) as worker:
        running = _running(jar, place, worker)
        # The worker looks for orders when it is told or after a while, and this one hears nothing.
        processes.until(lambda: os.path.exists(f"{worker.scratch}/ready"))
        worker.signal(signal.SIGSTOP)
        leader = processes.psutil.Process(worker.pid).children()[0]
        leader.terminate()
        cancelling._Cancelling._is_there, was = _after(lambda: worker.signal(signal.SIGCONT)), \
            cancelling._Cancelling._is_there
        try:
            cancelling.cancel(change, [running])
        finally:
            cancelling._Cancelling._is_there = was
    assert change.left == [f"{_id(place)} has ended by itself before it could be cancelled: COMPLETED"]


def _after(act):
    is_there, told = cancelling._Cancelling._is_there, []

    def look(self, place):
        if not told:
            told.append(act())
        return is_there(self, place)
    return look


def test_a_worker_that_does_not_answer_is_named_and_its_order_stays(jar, change, monkeypatch):
    monkeypatch.setattr(cancelling, "GRACE", 0.0)
    place = _submit(jar, "exec sleep 60")
    with workers.working(jar) as worker:
        running = _running(jar, place, worker)
        worker.signal(signal.SIGSTOP)
        try:
            cancelling.cancel(change, [running], order_time=-0.8)
            assert "has not answered yet" in change.left[0] and change.done == []
            assert len(os.listdir(jar.orders(worker.name))) == 1
        finally:
            worker.signal(signal.SIGCONT)
        processes.until(lambda: worker.ends(), "the job's end")
        assert worker.ends()[0]["state"] == "CANCELLED"


def test_a_job_of_a_dead_worker_is_noted_and_recovery_does_not_run_it_again(jar, change, monkeypatch):
    monkeypatch.setattr(cancelling, "RECOVERY", 0.0)
    place = _submit(jar, "exec sleep 60")
    with workers.working(jar) as worker:
        running = _running(jar, place, worker)
        children = processes.until(processes.psutil.Process(worker.pid).children, "the job's process")
        worker.signal(signal.SIGKILL)
        worker.wait()
        processes.kill(children)
    cancelling.cancel(change, [running], "enough")
    assert change.done == [f"{_id(place)} cancelled: its worker {worker.name} is dead, and recovery will not run it"
                           " again"]
    assert notes.read(jar, place.name)[0]["e"] == "cancel"


def test_a_job_that_has_ended_is_not_cancelled(jar, change):
    place = _ended(jar)
    cancelling.cancel(change, [place])
    assert change.left == [f"{_id(place)} has ended already"]


# The commands.

def _jobjar(jar, *words):
    return processes.finish(processes.python("bin/jobjar", *words, env=processes.environment(
        JJ_HOME=jar.home, JJ_NODE=workers.NODE)))


def test_each_command_says_what_it_has_done_and_what_it_could_not(jar):
    done, free = _ended(jar), _submit(jar)
    assert _jobjar(jar, "hold", _id(free), "--reason=not yet") == (0, f"{_id(free)} held\n", "")
    assert _jobjar(jar, "hold", _id(free), _id(done)) == (
        1, f"{_id(free)} is held already\n", f"{_id(done)} has ended already\n")
    assert _jobjar(jar, "release", _id(free)) == (0, f"{_id(free)} released\n", "")
    assert _jobjar(jar, "move", _id(free), "--category", "C") == (0, f"{_id(free)} is in category C\n", "")
    assert _jobjar(jar, "first", _id(free)) == (0, f"{_id(free)} is the first already\n", "")
    assert _jobjar(jar, "move", _id(free), "--uncategorized") == (0, f"{_id(free)} is uncategorized\n", "")
    assert _jobjar(jar, "cancel", "*", "--reason=enough") == (0, f"{_id(free)} cancelled\n", "")
    assert _jobjar(jar, "retry", _id(done)) == (0, f"{_id(done)} is to be run again\n", "")
    assert _jobjar(jar, "retry", "--failed") == (0, "", "jobjar retry: no job has failed\n")
    for command in ("hold", "release", "first", "cancel", "retry"):
        assert _jobjar(jar, command, "nonsense")[0] == 3


@pytest.mark.parametrize("words", [
    ("move", "last"), ("move", "last", "--category=C", "--uncategorized"), ("move", "last", "--category=a/b"),
    ("retry",), ("retry", "last", "--failed"), ("retry", "last", "--pattern=*"), ("hold",), ("cancel",),
    ("cancel", "last", "--reason=two\nlines")])
def test_wrong_words_are_refused_with_one_sentence(jar, words):
    _submit(jar)
    before = _texts(jar)
    code, out, err = _jobjar(jar, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert _texts(jar) == before


def test_all_that_has_failed_is_retried_by_pattern(jar):
    bad = [_submit(jar, "exit 1", id=word) for word in ("one", "two")]
    workers.drain(jar)
    assert _jobjar(jar, "retry", "--failed", "--pattern", "*-two") == (0, f"{_id(bad[1])} is to be run again\n", "")
    assert os.listdir(jar.unclaimed) == [bad[1].name]


def test_a_job_whose_workers_directory_was_cleaned_away_is_retried_in_its_category(jar, change):
    places = [_ended(jar, "exit 3", category="C"), _ended(jar, "true", category="C")]
    far = registration.server_now(jar) + 86400
    gone = list(clearance.clear(jar, change.me, 3600.0, far))
    assert len(gone) == 2 and not any(map(layout.split_worker, os.listdir(jar.workers)))
    retrying.retry(change, places)
    assert _texts(jar) == sorted(f"unclaimed/C/{place.name}" for place in places)
