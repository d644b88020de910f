"""A job that has ended badly is run again when it asks for that, and only then; what is said of it stays true."""

import os
import signal
import time

import pytest

from jobjar import again, node, notes
from jobjar.journal import History
from jobjar.layout import Place
from jobjar.node import myself
from jobjar.recovery import Recovery
from support import jars, processes, workers
from support.nodes import Dead, dead_identity


def job(jar, lines, body="exit 1", name="a.0", category=None):
    asks = "".join(f"#JJ {line}\n" for line in lines.split(";") if line)
    return workers.place(jar, name, body, category, header=f"#!/bin/sh\n{asks}")


def requeues(worker):
    return [line for line in worker.journal() if line["e"] == "requeue"]


def lines(jar, event, name="a.0"):
    return [line for line in notes.read(jar, name) if line["e"] == event]


def test_a_job_that_fails_is_repeated_as_often_as_it_asks_for_and_then_it_has_failed(jar):
    job(jar, "--retries=2", "echo $JJ_ATTEMPT; exit 7")
    worker = workers.drain(jar)
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == ["a.0"]
    assert [(line["exit"], line["state"], line["tries"]) for line in requeues(worker)] == [
        (7, "FAILED", 1), (7, "FAILED", 2)]
    assert [line["tries"] for line in worker.ends()] == [3]
    logs = {name: jars.read(jar.log(name)) for name in os.listdir(jar.logs)}
    ids = [line["a"] for line in requeues(worker)]
    assert logs == {"a.0": "3\n", f"a.0.attempt-{ids[0]}": "1\n", f"a.0.attempt-{ids[1]}": "2\n"}


def test_what_is_noted_says_how_it_ended_and_counts_no_more_when_the_job_is_done(jar):
    job(jar, "--retries=1", '[ "$JJ_ATTEMPT" = 2 ] || kill -9 $$')
    worker = workers.drain(jar)
    assert os.listdir(jar.completed) == ["a.0"] and os.listdir(jar.failed) == []
    [line] = lines(jar, "requeue")
    assert (line["a"], line["state"], line["exit"], line["signal"], line["node"], line["counts"]) == (
        requeues(worker)[0]["a"], "FAILED", 0, 9, workers.NODE, True)
    assert "signal 9" in line["why"] and "retry 1 of 1" in line["why"] and "until" not in line
    assert notes.tally(jar, "a.0", None) == notes.Tally(set(), {})


def test_a_second_job_of_the_name_begins_to_count_anew(jar):
    for _ in range(2):
        job(jar, "--retries=1", "echo $JJ_ATTEMPT >>$JJ_HOME/ran; exit 1")
        workers.drain(jar)
    assert jars.read(os.path.join(jar.home, "ran")).split() == ["1", "2", "1", "2"]


def test_an_exit_status_by_which_a_job_asks_for_it_is_not_counted(jar):
    job(jar, "--retries=1 --requeue-on=85,99", "[ $JJ_ATTEMPT -ge 4 ] && exit 3; exit 85")
    worker = workers.drain(jar)
    assert [line["exit"] for line in requeues(worker)] == [85, 85, 85, 3] and worker.ends()[0]["exit"] == 3
    assert sorted(line["counts"] for line in lines(jar, "requeue")) == [False, False, False, True]


def test_a_job_whose_time_is_up_is_repeated_as_one_that_has_failed(jar):
    job(jar, "--retries=1 --time=1s", "[ $JJ_ATTEMPT = 2 ] || exec sleep 60")
    worker = workers.drain(jar)
    assert [line["state"] for line in requeues(worker)] == ["TIMEOUT"] and worker.ends()[0]["state"] == "COMPLETED"


@pytest.mark.parametrize("state, asked, counted, wanted", [
    ("FAILED", {"retries": 1}, 0, True), ("FAILED", {"retries": 1}, 1, None), ("FAILED", {"retries": 0}, 0, None),
    ("OUT_OF_MEMORY", {"retries": 1}, 0, True), ("TIMEOUT", {"requeue_on": [3]}, 0, None),
    ("CANCELLED", {"retries": 1}, 0, None), ("COMPLETED", {"retries": 1}, 0, None),
    ("FAILED", {"requeue_on": [3]}, 5, False), ("FAILED", {"requeue_on": [4]}, 0, None),
    ("FAILED", {"retries": 1, "no_requeue": True}, 0, None)])
def test_what_is_repeated(state, asked, counted, wanted):
    record = {"state": state, "exit": 0 if state == "COMPLETED" else 3, "signal": 0}
    tally = notes.Tally(set(), {str(number): {"counts": True} for number in range(counted)})
    decided = again.decide(asked, record, tally)
    assert (decided.counts if decided else None) is wanted
    assert again.decide(asked, {**record, "gone": True}, tally) is None


def test_a_job_that_somebody_has_cancelled_while_it_ran_is_not_repeated(jar):
    gate = os.path.join(jar.home, "gate")
    job(jar, "--retries=3", f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 1")
    with workers.working(jar) as worker:
        processes.until(lambda: os.path.exists(os.path.join(worker.claims, "a.0")))
        attempt = processes.until(lambda: [line["a"] for line in worker.journal() if line["e"] == "claim"])[0]
        notes.add(jar, "rain.1", "a.0", None, "cancel", a=attempt, why="enough")
        jars.write(gate, "")
        processes.until(lambda: os.listdir(jar.completed) == ["a.0"])
    assert requeues(worker) == []


def test_a_job_waits_for_its_delay_and_is_ready_when_it_is_over(jar):
    job(jar, "--retries=1 --retry-delay=2s", "[ $JJ_ATTEMPT = 2 ]", category="C")
    with workers.working(jar, "C", JJ_PAUSE_TIME="60") as worker:
        place = processes.until(lambda: os.path.exists(jar.path(Place("waiting", "C", "a.0"))) or worker.ends())
        assert place is True
        processes.until(lambda: worker.ends())
    [line] = lines(jar, "requeue")
    ran = [entry for entry in worker.journal() if entry["e"] == "claim"][-1]["t"]
    # Within about a second of its time, and not when the worker has slept for long enough.
    assert line["until"] <= ran < line["until"] + 5 and line["until"] - line["t"] > 1.5
    assert os.listdir(jar.completed) == ["a.0"]


def test_a_job_that_is_never_to_begin_twice_has_failed_when_its_worker_is_told_to_end_at_once(jar):
    gate = os.path.join(jar.home, "began")
    job(jar, "--no-requeue", f": >{gate}; exec sleep 60")
    with workers.working(jar) as worker:
        processes.until(lambda: os.path.exists(gate))
        # Two that come at once may be one.
        processes.until(lambda: worker.has_ended() or worker.signal(signal.SIGTERM))
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == ["a.0"] and os.listdir(jar.unclaimed) == []
    [end] = worker.ends()
    assert end["state"] == "CANCELLED" and "--no-requeue" in end["why"]


def test_its_claim_survives_a_power_cut(jar):
    """The intent is on the disk before the rename, and the rename before the job begins."""
    told = []

    def listen():
        from jobjar import attempts, fsops
        attempts.YOUNG_BOOT = 0.0
        sync = fsops.sync_directory

        def spy(path):
            if path.rstrip("/").endswith("claims"):
                jars.write(f"{jar.home}/synced-{len(told)}", path, 0o644)
                told.append(path)
            sync(path)
        fsops.sync_directory = spy
    job(jar, "", "true", name="plain.0")
    workers.drain(jar, before=listen)
    assert not os.path.exists(f"{jar.home}/synced-0")
    job(jar, "--no-requeue", "true")
    workers.drain(jar, before=listen)
    assert os.path.exists(f"{jar.home}/synced-0")


# Recovery.

def recover(jar, number=2**22 + 5):
    return Recovery(jar, node.myself(workers.NODE)._replace(pid=number), 3).node()


def lost(jar, asks, name="a.0"):
    """A dead worker and the attempt of the job that it had."""
    dead = Dead(jar)
    attempt = dead.claim(name, intend=True)
    jars.write(f"{jar.home}/text", f"#!/bin/sh\n# job {name}\n#JJ {asks}\n")
    os.replace(f"{jar.home}/text", os.path.join(dead.claims, name))
    return dead, attempt


def test_recovery_gives_up_a_job_that_is_never_to_begin_twice(jar):
    dead, _ = lost(jar, "--no-requeue")
    assert recover(jar).jobs == [("give_up", None, "a.0")]
    assert os.listdir(jar.failed) == ["a.0"] and "--no-requeue" in lines(jar, "give_up")[0]["why"]


def test_recovery_puts_back_such_a_job_that_had_not_begun(jar):
    dead, attempt = lost(jar, "--no-requeue")
    dead.journal.say("requeue", attempt, None, "a.0", "no memory")
    assert recover(jar).jobs == [("recover", None, "a.0")]


def test_recovery_gives_up_a_job_that_was_cancelled_while_it_ran(jar):
    dead, attempt = lost(jar, "--retries=5")
    notes.add(jar, "rain.1", "a.0", None, "cancel", a=attempt, why="wrong input")
    assert recover(jar).jobs == [("give_up", None, "a.0")]
    why = [line["why"] for line in lines(jar, "cancel")]
    assert any("cancelled while it ran, by " in said and "wrong input" in said for said in why)


def test_an_order_to_another_attempt_says_nothing_about_this_one(jar):
    dead, attempt = lost(jar, "--retries=5")
    notes.add(jar, "rain.1", "a.0", None, "cancel", a="another-1")
    assert recover(jar).jobs == [("recover", None, "a.0")]


@pytest.mark.parametrize("is_in_journal", [False, True])
@pytest.mark.parametrize("delay", [None, 100.0, -1.0])
def test_recovery_goes_on_where_the_worker_has_died_that_was_about_to_repeat_a_job(jar, delay, is_in_journal):
    dead, attempt = lost(jar, "--retries=5")
    said = {"state": "FAILED", "exit": 7, "signal": 0, "node": "rain", "why": "it failed"}
    until = {"until": time.time() + delay} if delay else {}
    notes.add(jar, dead.name, "a.0", None, "requeue", a=attempt, counts=True, **said, **until)
    if is_in_journal:
        dead.journal.say("requeue", attempt, None, "a.0", **said)
    state = "waiting" if delay and delay > 0 else "unclaimed"
    assert recover(jar).jobs == [("requeue" if state == "waiting" else "recover", None, "a.0")]
    assert os.listdir(jar.directory(state)) == ["a.0"]
    # Counted once, and not as a death; and the journal says how it had ended.
    counted = notes.tally(jar, "a.0", None)
    assert counted.deaths == set() and list(counted.requeues) == [attempt] and notes.retries(counted) == 1
    found = [line for line in workers.lines(os.path.join(dead.directory, "journal")) if line["e"] == "requeue"]
    assert [(line["a"], line["exit"], line["state"], line["why"]) for line in found] == [
        (attempt, 7, "FAILED", "it failed")]
    assert History(dead.directory).is_given_back(attempt)


def test_what_counts_goes_with_a_job_that_gets_another_name(jar):
    notes.add(jar, "rain.1", "a.0", None, "requeue", a="x-1", counts=True, until=9.0, node="rain")
    for _ in range(2):
        notes.carry(jar, "rain.1", "a.0", None, "a~2.0")
    counted = notes.tally(jar, "a~2.0", None)
    assert notes.retries(counted) == 1 and notes.until(counted) == 9.0 and len(lines(jar, "requeue", "a~2.0")) == 1


# Where.

LONGEST = 66.0


class Other:
    """A worker of the node `snow`, as its directory shows it."""

    def __init__(self, jar, *categories):
        self.dead = Dead(jar, dead_identity("snow"), categories=list(categories))
        self.beat = os.path.join(self.dead.directory, "beat")

    def put(self, name, directory=""):
        jars.write(os.path.join(self.dead.directory, directory, name), "")

    def take(self, name, directory=""):
        os.remove(os.path.join(self.dead.directory, directory, name))


def left(jar, since, category=None, on="rain"):
    """Whether a worker of the node leaves a job to others that has failed on `rain` so many seconds ago."""
    notes.add(jar, "rain.1", "a.0", category, "requeue", a=f"x-{since}", counts=True, node="rain")
    place, now = Place("unclaimed", category, "a.0"), time.time()
    others = again.Others(jar, myself(on), LONGEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(again.time, "time", lambda: now + since)
        rest = others.leave(place, now)
    assert 0.0 <= rest <= again.FOR_OTHERS
    return rest > 0.0


def test_a_job_that_has_failed_is_left_to_a_free_worker_of_another_node_until_that_must_have_looked(jar):
    assert not left(jar, 0.0)
    other = Other(jar, "C")
    assert left(jar, 0.0) and not left(jar, 0.0, on="snow")
    assert left(jar, LONGEST) and not left(jar, LONGEST + again.FOR_OTHERS + 1)
    assert left(jar, LONGEST, "C") and left(jar, LONGEST, "snow") and not left(jar, LONGEST, "D")
    # A clock that was set must not keep a job for ever.
    assert not left(jar, -2 * LONGEST)
    os.utime(other.beat, (1, 1))
    assert not left(jar, 0.0)


@pytest.mark.parametrize("what, where", [("b.0", "claims"), ("PAUSE", ""), ("STOP", "")])
def test_a_job_that_has_failed_is_left_to_workers_that_are_not_free_for_moments_only(jar, what, where):
    other = Other(jar)
    other.put(what, where)
    assert left(jar, 1.0) and not left(jar, again.FOR_OTHERS + 1)
    other.take(what, where)
    assert left(jar, again.FOR_OTHERS + 1)


def test_the_delay_of_a_job_that_is_repeated_does_not_count_as_time_that_others_had(jar):
    Other(jar)
    notes.add(jar, "rain.1", "a.0", None, "requeue", a="x-1", counts=True, node="rain", t=time.time() - 1000,
              until=time.time() - LONGEST)
    assert again.Others(jar, myself("rain"), LONGEST).leave(Place("unclaimed", None, "a.0"), time.time()) > 0


def test_a_job_that_has_failed_on_one_node_is_run_on_the_other(jar):
    """However slow that one is: it may sleep for a minute, and so long the job is left to it."""
    told, more = os.path.join(jar.home, "ran"), {"JJ_PAUSE_TIME": "60"}
    with workers.working(jar, JJ_NODE="rain", **more), workers.working(jar, JJ_NODE="snow", **more):
        job(jar, "--retries=1", f"echo $JJ_NODE >>{told}; [ $JJ_ATTEMPT = 2 ]")
        processes.until(lambda: os.listdir(jar.completed) == ["a.0"])
    first, second = jars.read(told).split()
    assert {first, second} == {"rain", "snow"}


def test_alone_it_does_not_wait_for_others(jar):
    job(jar, "--retries=1", "[ $JJ_ATTEMPT = 2 ]")
    workers.drain(jar, before=refuse_to_leave)
    assert os.listdir(jar.completed) == ["a.0"]


def refuse_to_leave():
    was = again.Others.leave

    def leave(self, *more):
        assert was(self, *more) == 0.0
        return 0.0
    again.Others.leave = leave
