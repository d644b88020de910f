"""waiting/: who is made ready, when and by whom; the cap of an array, counted in what lies in the jar."""

import os
import time

import pytest

from jobjar import moments, moves, notes, reservation, shelf, turns, waiting
from jobjar.layout import Place
from support import jars, processes, workers

BASE = "20261121-101500-me-000001000"
MINE = reservation.text("rain.1", "nonce")


def put(jar, name, lines="", state="waiting", category=None, body="true"):
    """A job with these #JJ lines in a queue; its place."""
    place = Place(state, category, name)
    os.makedirs(os.path.dirname(jar.path(place)), exist_ok=True)
    asks = "".join(f"#JJ {line}\n" for line in lines.split(";") if line)
    jars.write(jar.path(place), f"#!/bin/sh\n# job {name}\n{asks}{body}\n")
    return place


def array(jar, asks, indices, state="waiting", body="true"):
    """Tasks that are names of one file, as submit_job makes them."""
    first, *others = [f"{BASE}_{index}.0" for index in indices]
    put(jar, first, f"--submit-dir=/ --array={asks}", state, body=body)
    for name in others:
        os.link(os.path.join(jar.home, state, first), os.path.join(jar.home, state, name))


def watcher(jar, told=None):
    return waiting.Waiting(jar, "rain.1", MINE, time.time, (told if told is not None else []).append)


def indices(jar, state):
    return sorted(int(name.split("_")[1].split(".")[0]) for name in os.listdir(jar.directory(state)) if name[0] != ".")


def soon(seconds):
    return moments.show(time.time() + seconds)


def test_what_waits_for_nothing_is_made_ready(jar):
    put(jar, "a.0")
    put(jar, f"{BASE}.0", category="C")
    put(jar, "b.0", "--begin=2000-01-01")
    put(jar, "c.0", "--begin=2999-01-01")
    assert watcher(jar).look() == 3
    assert sorted(os.listdir(jar.unclaimed)) == ["C", "a.0", "b.0"] and os.listdir(jar.waiting + "/C") == []
    assert sorted(os.listdir(jar.waiting)) == ["C", "c.0"]


def test_a_hand_made_name_that_is_taken_gets_the_next_and_its_notes_go_with_it(jar):
    put(jar, "a.0", state="unclaimed")
    put(jar, "a.0")
    notes.add(jar, "rain.1", "a.0", None, "requeue", a="x-1", counts=True, until=1.0)
    assert watcher(jar).look() == 1
    assert sorted(os.listdir(jar.unclaimed)) == ["a.0", "a~2.0"]
    assert notes.retries(notes.tally(jar, "a~2.0", None)) == 1


def test_a_job_whose_lines_will_not_do_goes_to_failed_with_the_reason(jar):
    put(jar, f"{BASE}.0", "--bogus")
    put(jar, "a.0", "--bogus")
    assert watcher(jar).look() == 2
    assert sorted(os.listdir(jar.failed)) == [f"{BASE}.0", "a.0"] and os.listdir(jar.waiting) == []
    [line] = notes.read(jar, "a.0")
    assert line["e"] == "doom" and "line 3" in line["why"] and "--bogus" in line["why"]


@pytest.mark.parametrize("looks", [1, 5])
def test_the_lowest_tasks_are_made_ready_and_no_more_than_may_be_at_work(jar, looks):
    array(jar, "1-12%3", [11, 2, 5, 7, 12, 10])
    one = watcher(jar)
    assert sum(one.look() for _ in range(looks)) == 3
    assert indices(jar, "unclaimed") == [2, 5, 7] and indices(jar, "waiting") == [10, 11, 12]


def hold_in(jar, state, index):
    """A task at work."""
    name = f"{BASE}_{index}.0"
    source = os.path.join(jar.waiting, name)
    place = {"unclaimed": Place("unclaimed", None, name), "a category": Place("unclaimed", "C", name),
             "claims": Place("claims", None, name, os.path.join(jar.worker("rain.7"), "claims")),
             "claims of a category": Place("claims", "C", name, os.path.join(jar.worker("rain.7"), "claims")),
             "recovering": Place("claims", None, name, os.path.join(jar.worker("snow.8"), "recovering.x-1"))}[state]
    os.makedirs(os.path.dirname(jar.path(place)), exist_ok=True)
    os.rename(source, jar.path(place))


@pytest.mark.parametrize("state", ["unclaimed", "a category", "claims", "claims of a category", "recovering"])
def test_a_task_is_at_work_wherever_it_is_on_its_way(jar, state):
    array(jar, "1-9%2", range(1, 10))
    hold_in(jar, state, 1)
    hold_in(jar, "claims", 2)
    assert turns.Turns(jar).active(BASE) == 2 and watcher(jar).look() == 0


@pytest.mark.parametrize("name", ["20261121-101500-me-000001000-x_1.0", "20261121-101500-me-0000010001_1.0", "job_1.0"])
def test_other_arrays_and_jobs_are_not_counted(jar, name):
    put(jar, name, state="unclaimed")
    assert turns.Turns(jar).active(BASE) == 0


def test_a_worker_that_has_left_is_not_asked_again_and_one_of_its_name_is(jar, monkeypatch):
    os.makedirs(jar.worker("rain.7"))
    counter = turns.Turns(jar)
    assert counter.active(BASE) == 0
    asked = []
    holders = turns._holders
    monkeypatch.setattr(turns, "_holders", lambda worker: (asked.append(worker), holders(worker))[1])
    assert counter.active(BASE) == 0 and asked == []
    os.rename(jar.worker("rain.7"), jar.worker("rain.7.old-x"))
    array(jar, "1-9%2", [1])
    hold_in(jar, "claims", 1)
    assert counter.active(BASE) == 1


def test_a_later_worker_whose_directory_has_the_name_and_the_inode_of_one_that_has_left_is_asked(jar):
    directory = jar.worker("rain.7")
    os.makedirs(directory)
    counter = turns.Turns(jar)
    assert counter.active(BASE) == 0
    # The same directory stands for a new one that got its inode.
    array(jar, "1-9%2", [1])
    hold_in(jar, "claims", 1)
    assert counter.active(BASE) == 1


def test_of_two_that_look_at_once_only_one_uses_a_free_place(jar, monkeypatch):
    """Both have listed waiting/ and have found the same place free; the first moves a task in between."""
    array(jar, "1-9%1", range(1, 10))
    one, two = watcher(jar), watcher(jar)
    active, looked = turns.Turns.active, []

    def meanwhile(self, of):
        found = active(self, of)
        if not looked:
            looked.append(one)
            one.look()
        return found
    monkeypatch.setattr(turns.Turns, "active", meanwhile)
    two.look()
    assert indices(jar, "unclaimed") == [1]


def test_whoever_has_seen_waiting_long_ago_sees_what_has_come_from_there(jar):
    array(jar, "1-9%2", range(1, 10))
    one, two = watcher(jar), watcher(jar)
    one._list()
    two.look()
    hold_in_claims = os.path.join(jar.worker("rain.7"), "claims")
    os.makedirs(hold_in_claims)
    os.rename(os.path.join(jar.unclaimed, f"{BASE}_1.0"), os.path.join(hold_in_claims, f"{BASE}_1.0"))
    assert one._fill(BASE) == 0 and indices(jar, "unclaimed") == [2]


def test_a_task_that_waits_for_a_time_lets_others_pass(jar):
    array(jar, "1-3%1", [1, 2, 3])
    notes.add(jar, "rain.1", f"{BASE}_1.0", None, "requeue", a="x-1", counts=True, until=time.time() + 1000)
    assert watcher(jar).look() == 1 and indices(jar, "unclaimed") == [2]


def test_when_a_task_has_ended_the_next_is_made_ready(jar):
    array(jar, "1-9%1", range(1, 10))
    one, asked = watcher(jar), {"array": "1-9%1"}
    one.look()
    for index in range(1, 9):
        os.remove(os.path.join(jar.unclaimed, f"{BASE}_{index}.0"))
        assert one.ended(f"{BASE}_{index}.0", asked, False) == 1 and indices(jar, "unclaimed") == [index + 1]
    assert one.ended(f"{BASE}_9.0", {"array": "1-9"}, False) == one.ended("a.0", asked, False) == 0


def test_whoever_may_not_look_just_now_does_so_when_a_fifth_of_the_time_is_what_it_costs(jar):
    array(jar, "1-9%1", range(1, 10))
    one, cost = watcher(jar), 1000.0
    one._ended_at, one._cost = time.monotonic(), cost
    assert one.ended(f"{BASE}_1.0", {"array": "1-9%1"}, False) == 0 and not one.is_due()
    assert 0.0 < one.due_in() <= waiting.TURN_FACTOR * cost
    one._ended_at -= waiting.TURN_FACTOR * cost
    assert one.is_due() and one.look() == 1


def test_what_listing_costs_keeps_nobody_from_the_next_turn(jar):
    array(jar, "1-9%1", range(1, 10))
    one = watcher(jar)
    one._ended_at, one._cost, one._listing = time.monotonic(), 1000.0, 1000.0
    assert one.ended(f"{BASE}_1.0", {"array": "1-9%1"}, False) == 1
    assert 0.0 < one._listing <= one._cost < 1000.0


def test_ten_thousand_tasks_are_read_once_and_few_are_kept_in_mind(jar, monkeypatch):
    array(jar, "1-10000%2", range(1, 10001))
    read, paths = waiting.waits.read, []
    monkeypatch.setattr(waiting.waits, "read", lambda path: (paths.append(path), read(path))[1])
    one = watcher(jar)
    assert one.look() == 2 and len(paths) == 3
    assert sum(map(len, one._waiters.values())) <= waiting.KEPT
    # The rest is found when those are gone.
    for index in range(1, 301):
        one._cost = 0.0
        os.remove(os.path.join(jar.unclaimed, f"{BASE}_{index}.0"))
        one.ended(f"{BASE}_{index}.0", {"array": "1-10000%2"}, False)
    assert indices(jar, "unclaimed") == [301, 302]


def test_what_cannot_be_moved_is_told_and_keeps_nobody_busy(jar, monkeypatch):
    put(jar, f"{BASE}.0")
    told = []
    one = watcher(jar, told)

    def fail(*_, **__):
        raise OSError(13, "Permission denied")
    monkeypatch.setattr(moves, "ready", fail)
    assert one.look() == 0 and "Permission denied" in told[0]
    assert not one.is_due() and one.due_in() > 5
    monkeypatch.undo()
    one._cost = 0.0
    assert one.is_due() and one.look() == 1


# Workers.

def test_an_idle_worker_wakes_up_when_a_time_comes(jar):
    with workers.working(jar, JJ_PAUSE_TIME="60") as worker:
        processes.until(worker.is_idle)
        begin = time.time() + 2
        draft = put(jar, f"{BASE}.0", f"--begin={moments.show(begin)}", state="limbo")
        os.rename(jar.path(draft), os.path.join(jar.waiting, f"{BASE}.0"))
        processes.until(worker.ends)
    [claim] = [line for line in worker.journal() if line["e"] == "claim"]
    assert begin <= claim["t"] < begin + 5


def test_without_inotify_it_looks_when_it_wakes_up(jar):
    with workers.working(jar, JJ_PAUSE_TIME="1", before=workers.without_inotify) as worker:
        processes.until(worker.is_idle)
        put(jar, f"{BASE}.0")
        processes.until(worker.ends)


def test_a_job_that_was_moved_by_hand_is_left_until_its_time(jar):
    begin = time.time() + 2
    put(jar, "a.0", f"--begin={moments.show(begin)}", state="unclaimed")
    put(jar, "b.0", state="unclaimed")
    with workers.working(jar, JJ_PAUSE_TIME="60") as worker:
        processes.until(lambda: len(worker.ends()) == 2)
    claims = {line["n"]: line["t"] for line in worker.journal() if line["e"] == "claim"}
    assert claims["b.0"] < begin <= claims["a.0"] < begin + 5


@pytest.mark.parametrize("rest", [None, 0.05])
def test_one_worker_runs_a_whole_array_in_order(jar, rest):
    """Also when looks are so costly that it has to rest before it sees the next one: it does not leave then."""
    array(jar, "1-20%1", range(1, 21))

    def before():
        if rest:
            waiting.Waiting._rest = lambda self: max(0.0, self._ended_at + rest - time.monotonic())
            shelf.COST_FACTOR = 2000
    worker = workers.drain(jar, before=before, JJ_PAUSE_TIME="60")
    assert [line["n"] for line in worker.ends()] == [f"{BASE}_{index}.0" for index in range(1, 21)]


def test_an_idle_worker_with_a_thousand_waiting_tasks_is_idle(jar):
    array(jar, "1-1000%1", range(1, 1001))
    os.makedirs(os.path.join(jar.worker("snow.7"), "claims"))
    os.rename(os.path.join(jar.waiting, f"{BASE}_1.0"), os.path.join(jar.worker("snow.7"), "claims", f"{BASE}_1.0"))
    with workers.working(jar, JJ_PAUSE_TIME="1") as worker:
        processes.until(worker.is_idle)
        before = worker.seconds_used()
        processes.until(lambda end=time.monotonic() + 3: time.monotonic() > end)
        assert worker.seconds_used() - before < 0.6
