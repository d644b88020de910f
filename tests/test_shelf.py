"""Deep queues: what is kept of a listing, what inotify says by name, and how widely a worker chooses."""

import os
import random
import shutil
import time

import pytest

from jobjar import attempts, claiming, fslook, jobname, shelf, watch
from support import processes, workers

# No other listing within a test.
NEVER = 1e9


def task(index, priority=0):
    return f"20260301-000000-u-000000001_{index}.{priority}"


@pytest.fixture
def deep(jar, monkeypatch):
    """A shelf of a queue that is too deep to be listed again, and of which few candidates are kept."""
    monkeypatch.setattr(shelf, "MOST", 5)
    monkeypatch.setattr(shelf, "DEAR", 0.0)
    monkeypatch.setattr(shelf, "COST_FACTOR", NEVER)
    found = shelf.Shelf(jar, None)
    yield found
    found._listen_no_more()


def taken(found, most=1000):
    """What the shelf offers, until it has no more."""
    names = []
    while len(names) < most:
        if found.is_due():
            found.list(time.time())
        if not found.has_candidates():
            break
        names.append(found.take())
    return names


def test_all_of_a_queue_that_is_deeper_than_what_is_kept_is_offered_in_order(jar, deep):
    wanted = [workers.place(jar, task(index)) for index in range(1, 24)]
    assert [os.path.join(jar.unclaimed, name) for name in taken(deep)] == wanted


def test_no_more_is_kept_than_is_said(jar, deep):
    for index in range(1, 24):
        workers.place(jar, f"hand-made-{index}")
    deep.list(time.time())
    assert len(deep._ranks) == len(deep._numbers) == 5


def test_what_is_behind_those_that_are_kept_is_listed_only_when_they_are_used_up(jar, deep, monkeypatch):
    for index in range(1, 8):
        workers.place(jar, task(index))
    listings = []
    monkeypatch.setattr(fslook, "stream", lambda directory: listings.append(directory) or os.scandir(directory))
    assert len(taken(deep, 5)) == 5 and len(listings) == 1
    assert taken(deep, 1) == [task(6)] and len(listings) == 2


def test_when_the_next_are_listed_a_better_one_that_has_come_meanwhile_is_among_them(jar, deep, monkeypatch):
    monkeypatch.setattr(watch.Arrivals, "of", lambda directory: None)
    for index in range(1, 9):
        workers.place(jar, task(index))
    taken(deep, 5)
    workers.place(jar, "urgent.9")
    assert taken(deep, 2) == ["urgent.9", task(6)]


def test_what_has_come_is_not_forgotten_because_the_next_are_listed(jar, deep, monkeypatch):
    monkeypatch.setattr(watch.Arrivals, "of", lambda directory: None)
    for index in range(2, 9):
        workers.place(jar, task(index))
    taken(deep, 5)
    workers.place(jar, task(1))
    deep.is_hinted = True
    deep.list(time.time())
    assert deep.is_hinted and not deep._is_used_up() and 0 < deep.due_in()


@pytest.fixture
def heard(jar, deep):
    """The deep shelf after its first listing, of two jobs; None of its listings may be renewed."""
    workers.place(jar, task(1))
    workers.place(jar, task(2))
    deep.list(time.time())
    if deep._arrivals is None:
        pytest.skip("this kernel or this user has no inotify to spare")
    return deep


def test_what_comes_into_a_deep_queue_takes_its_turn_without_a_listing(jar, heard, monkeypatch):
    monkeypatch.setattr(fslook, "stream", lambda directory: pytest.fail("the directory was listed"))
    for name in ("urgent.9", task(3), ".urgent.10"):
        workers.place(jar, name)
    heard.is_hinted = True
    assert taken(heard) == ["urgent.9", task(1), task(2), task(3)]


def test_what_comes_behind_those_that_are_kept_is_offered_in_its_turn(jar, heard):
    for index in range(3, 9):
        workers.place(jar, task(index))
    heard._listed_at -= 2 * NEVER
    heard.is_hinted = True
    assert taken(heard, 1) == [task(1)]
    workers.place(jar, task(20))
    workers.place(jar, "urgent.9")
    heard.is_hinted = True
    assert taken(heard, 5) == ["urgent.9", *(task(index) for index in (2, 3, 4, 5))]
    os.remove(os.path.join(jar.unclaimed, "urgent.9"))
    assert taken(heard) == [task(index) for index in (6, 7, 8, 20)]


def test_where_names_may_have_been_missed_the_queue_is_to_be_listed(jar, heard):
    shutil.rmtree(jar.unclaimed)
    os.mkdir(jar.unclaimed)
    heard.is_hinted = True
    assert taken(heard) == [task(1), task(2)]
    workers.place(jar, "urgent.9")
    assert heard.is_hinted and not heard.is_due() and 0 < heard.due_in()
    heard._listed_at -= 2 * NEVER
    assert taken(heard) == ["urgent.9"] and heard._arrivals


def test_a_candidate_that_is_passed_over_does_not_come_back_because_it_is_touched(jar, heard):
    heard.pass_over(heard.take(), 60.0)
    os.chmod(os.path.join(jar.unclaimed, task(1)), 0o755)
    heard.is_hinted = True
    assert taken(heard) == [task(2)]


def test_a_queue_that_is_quickly_listed_is_not_listened_to(jar):
    workers.place(jar, task(1))
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    assert found._arrivals is None


def test_an_urgent_job_is_next_in_a_queue_that_may_not_be_listed_again(jar):
    def be_slow():
        shelf.DEAR, shelf.COST_FACTOR = 0.0, NEVER
    names = [task(index) for index in range(1, 200)]
    for name in names:
        workers.place(jar, name, "sleep 0.01")
    with workers.working(jar, before=be_slow):
        processes.until(lambda: len(os.listdir(jar.completed)) > 5)
        workers.place(jar, "urgent.9")
        processes.until(lambda: "urgent.9" in os.listdir(jar.completed))
        left = len(os.listdir(jar.unclaimed))
    assert left > 50


# Which of the candidates is tried.


def test_who_loses_no_attempt_keeps_to_the_order(jar):
    for index in range(1, 50):
        workers.place(jar, task(index))
    found, names = shelf.Shelf(jar, None), []
    found.list(time.time())
    while found.has_candidates():
        names.append(found.take())
        found.has_won()
    assert names == [task(index) for index in range(1, 50)]


def test_who_loses_attempts_draws_from_more_and_then_from_less_again(jar):
    for index in range(1, 500):
        workers.place(jar, task(index))
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    for _ in range(5):
        found.take()
        found.leave(is_lost=True)
    assert found._width == 32
    first = [jobname.array_index(jobname.split(found.take())[0]) for _ in range(20)]
    assert first != sorted(first) and max(first) < 5 + 32 + 20 + 5
    for _ in range(40):
        found.has_won()
    assert found._width == 1


def test_however_many_attempts_are_lost_no_job_is_tried_before_one_of_higher_priority(jar):
    wanted = [f"high-{number}.7" for number in range(4)] + [f"low-{number}.-1" for number in range(20)]
    for name in wanted:
        workers.place(jar, name)
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    found._width = 16.0
    random.seed(5)
    names = taken(found)
    assert {name.rpartition(".")[2] for name in names[:4]} == {"7"} and sorted(names) == sorted(wanted)


def test_the_end_of_a_queue_that_others_empty_does_not_widen_the_choice(jar):
    for index in range(1, 6):
        workers.place(jar, task(index))
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    while found.has_candidates():
        found.take()
        found.leave(is_lost=True)
    assert found._width == 1


def test_what_is_put_back_is_taken_again(jar):
    for index in range(1, 4):
        workers.place(jar, task(index))
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    found.put_back(found.take())
    assert taken(found) == [task(1), task(2), task(3)]


# What is not to be had.


@pytest.fixture
def clock(monkeypatch):
    """A clock of its own: `clock[0]`, in s."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def looks(found, clock, until, cost=0.001, most=1000):
    """How many candidates are looked at, each in vain and for `cost` seconds, up to the one that `until` names."""
    for number in range(most):
        if found.is_due():
            found.list(time.time())
        if not found.has_candidates():
            clock[0] += 0.5
        elif found.take() == until:
            return number
        else:
            clock[0] += cost
            found.look_again(task(number + 1))
    return None


def test_however_many_are_not_to_be_had_the_job_behind_them_has_its_turn(jar, clock, monkeypatch):
    monkeypatch.setattr(shelf, "RENEW_AFTER", 0.01)
    for index in range(1, 101):
        workers.place(jar, task(index), mode=0o600)
    workers.place(jar, task(101))
    assert looks(shelf.Shelf(jar, None), clock, task(101)) == 100


def test_what_was_not_to_be_had_is_looked_at_again_when_that_costs_the_others_little(jar, clock):
    workers.place(jar, task(1), mode=0o600)
    workers.place(jar, task(2))
    found = shelf.Shelf(jar, None)
    found.list(time.time())
    found.take()
    clock[0] += 1.0
    found.look_again(task(1))
    clock[0] += 18.0
    found.is_hinted = True
    assert taken(found) == [task(2)] and found.due_in() == pytest.approx(2.0)
    clock[0] += 2.0
    assert taken(found) == [task(1), task(2)] and found.due_in() != 0


def test_a_worker_comes_to_the_job_behind_files_that_are_none(jar):
    def be_slow():
        was, shelf.RENEW_AFTER, shelf.LOOK_AGAIN_AFTER = claiming.vet, 0.0, 0.0
        attempts.vet = lambda *how: (time.sleep(0.05), was(*how))[1]
    for index in range(1, 5):
        workers.place(jar, task(index), mode=0o600)
    workers.place(jar, task(5))
    with workers.working(jar, before=be_slow):
        processes.until(lambda: task(5) in os.listdir(jar.completed))
