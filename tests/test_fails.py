"""--max-fails: the rest of an array is held when so many of its tasks have failed, by one process, whoever dies."""

import os

import pytest

from jobjar import census, changing, fails, layout, node, notes, reasons, registration, reservation
from jobjar.layout import Place
from jobjar.recovery import Recovery
from support import faults, invariants, jars, processes, workers
from support.faults import BEFORE
from support.nodes import Dead
from test_waiting import BASE, MINE, array, indices

ASKED = {"array": "1-20", "max_fails": 2}


def fail(jar, index, how="link"):
    """A task that has failed: run to its end, or never."""
    name = f"{BASE}_{index}.0"
    if how == "file":
        jars.put(jar, Place("failed", None, name))
        return
    if how == "link":
        jars.put(jar, Place("completed", None, name))
    os.symlink(layout.failed_link(name), os.path.join(jar.failed, name))


def enforce(jar, mine=MINE):
    return fails.enforce(jar, "rain.1", mine, f"{BASE}_1.0", ASKED)


def fill(jar):
    """Tasks in waiting/ and unclaimed/, and in a category of each."""
    array(jar, "1-20", range(3, 6))
    for index, directory in ((6, jar.unclaimed), (7, jar.queue("unclaimed", "C")), (8, jar.queue("waiting", "C"))):
        os.link(os.path.join(jar.waiting, f"{BASE}_3.0"), os.path.join(directory, f"{BASE}_{index}.0"))
    jars.put(jar, Place("unclaimed", None, "20261121-101500-me-000001001_1.0"))


def test_the_rest_is_held_where_it_belongs_with_the_reason(jar):
    fill(jar)
    fail(jar, 1)
    fail(jar, 2, "file")
    assert len(enforce(jar)) == 6
    assert sorted(os.listdir(jar.held)) == [f"{BASE}_{index}.0" for index in range(3, 7)] + ["C"]
    assert sorted(os.listdir(jar.held + "/C")) == [f"{BASE}_{index}.0" for index in (7, 8)]
    assert os.listdir(jar.unclaimed + "/C") == os.listdir(jar.waiting + "/C") == []
    assert sorted(os.listdir(jar.unclaimed)) == ["20261121-101500-me-000001001_1.0", "C"]
    (line,) = reasons.about(jar, f"{BASE}_7.0")
    assert line["e"] == "hold" and "--max-fails=2" in line["why"] and BASE in line["why"]
    assert reasons.about(jar, "20261121-101500-me-000001001_1.0") == []


@pytest.mark.parametrize("how", ["none", "dangling", "another's"])
def test_with_less_failures_nothing_is_held(jar, how):
    fill(jar)
    fail(jar, 1)
    if how == "dangling":
        fail(jar, 2, how)
    if how == "another's":
        jars.put(jar, Place("failed", None, "20261121-101500-me-000001001_1.0"))
    assert enforce(jar) == [] and not notes.has(jar, f"{BASE}.0")
    assert fails.enforce(jar, "rain.1", MINE, f"{BASE}_1.0", {"array": "1-20"}) == []


def test_a_namesake_in_held_is_not_overwritten(jar):
    fill(jar)
    jars.put(jar, Place("held", None, f"{BASE}_3.0"), "a copy")
    fail(jar, 1)
    fail(jar, 2)
    assert len(enforce(jar)) == 6
    assert len(os.listdir(jar.held)) == 6 and f"{BASE}_3~2.0" in os.listdir(jar.held)


def test_whoever_sees_the_failures_second_leaves_it_to_the_first(jar):
    fill(jar)
    fail(jar, 1)
    fail(jar, 2)
    os.symlink("reserved:snow.7:other-1", os.path.join(jar.held, f".{BASE}"))
    assert enforce(jar) == [] and not notes.has(jar, f"{BASE}.0")


def test_killed_anywhere_it_is_finished_by_a_repetition(workplace, points):
    def world(number):
        one = jars.make(os.path.join(workplace, f"fails-{number}"))
        fill(one)
        fail(one, 1)
        fail(one, 2)
        return one
    first = world("counted")
    trace = faults.count(lambda: enforce(first), first.home)
    for number, fault in enumerate(faults.points(trace, BEFORE), 1):
        one = world(number)
        before = jars.tree(one)
        faults.strike(lambda: enforce(one), fault, one.home)
        enforce(one)
        # What a withdrawal leaves in limbo/ is recovery's to remove.
        tree = {path: text for path, text in jars.tree(one).items() if not path.startswith("limbo/")}
        wrong = invariants.nothing_lost(tree, before) + invariants.leftovers(tree)
        wrong += [f"{path} is left" for path in tree if path.startswith(("waiting/", "unclaimed/")) and BASE in path]
        points.add(str(fault), wrong)
    assert points.count > 10
    points.verdict()


def test_tasks_that_were_cancelled_have_not_failed_and_those_that_were_retried_since_have(jar):
    fill(jar)
    for index, how in ((1, "link"), (2, "file"), (10, "link")):
        fail(jar, index, how)
        notes.add(jar, "rain.1", f"{BASE}_{index}.0", None, "cancel", a=f"there-{index}")
    fail(jar, 11)
    assert enforce(jar) == [] and not notes.has(jar, f"{BASE}.0")
    for event, held in (("retry", 6), ("cancel", 0)):
        notes.add(jar, "rain.1", f"{BASE}_2.0", None, event)
        assert len(enforce(jar)) == held


def test_the_reason_says_how_many_have_failed_by_now(jar):
    fill(jar)
    for index in (1, 2, 10):
        fail(jar, index)
    assert enforce(jar) and notes.read(jar, f"{BASE}.0")[-1]["why"].startswith("3 of its tasks have failed (--max-fails=2)")


@pytest.mark.parametrize("how", ["link", "file"])
def test_whoever_releases_the_rest_has_looked_at_what_has_failed_so_it_counts_no_more(jar, how):
    fill(jar)
    for index in (1, 2):
        fail(jar, index, how)
        if how == "file":
            os.link(os.path.join(jar.failed, f"{BASE}_{index}.0"), os.path.join(jar.limbo, f"other-name-{index}"))
            notes.add(jar, "rain.1", f"{BASE}_{index}.0", None, "refuse", why="nonsense")
    held = enforce(jar)
    assert len(held) == 6
    change = changing.Change(jar, workers.NODE)
    changing.release(change, held)
    assert change.left == [] and len([line for line in notes.read(jar, f"{BASE}.0") if line["e"] == "release"]) == 1
    (at,) = (line["at"] for line in notes.read(jar, f"{BASE}.0") if "at" in line)
    processes.until(lambda: registration.server_now(jar) > at)
    for index in (1, 2) if how == "file" else ():
        # Another name of the file goes, which changes what all of them have in common.
        os.remove(os.path.join(jar.limbo, f"other-name-{index}"))
        os.link(os.path.join(jar.failed, f"{BASE}_{index}.0"), os.path.join(jar.limbo, f"another-name-{index}"))
    fail(jar, 10)
    assert enforce(jar) == []
    fail(jar, 11)
    assert len(enforce(jar)) == 6
    assert notes.in_order(notes.read(jar, f"{BASE}.0"))[-1]["why"].startswith("2 of its tasks")


def test_a_release_of_what_was_held_by_a_person_is_noted_nowhere(jar):
    fill(jar)
    change, places = changing.Change(jar, workers.NODE), [Place("unclaimed", None, f"{BASE}_6.0")]
    changing.hold(change, places)
    changing.release(change, [places[0]._replace(state="held")])
    assert not notes.has(jar, f"{BASE}.0") and [line["e"] for line in notes.read(jar, places[0].name)] == ["hold"]


def test_a_worker_holds_the_rest_of_an_array_that_fails(jar):
    array(jar, "1-20%1 --max-fails=3", range(1, 21), body="exit 1")
    worker = workers.drain(jar, idle_exit=0.3, JJ_PAUSE_TIME="60")
    assert len(worker.ends()) == 3 and len(os.listdir(jar.failed)) == 3
    assert indices(jar, "held") == list(range(4, 21)) and os.listdir(jar.waiting) == os.listdir(jar.unclaimed) == []


def test_it_is_said_of_each_task_why_it_is_held(jar):
    fill(jar)
    fail(jar, 1)
    fail(jar, 2)
    enforce(jar)
    me = node.myself(workers.NODE)
    facts = reasons.Facts(jar, census.look(jar, me))
    said = [reasons.of(facts, place) for place in census.queued(jar, "held")]
    assert len(said) == 6 and all(one.word == "JobHeldUser" and "--max-fails=2" in one.says for one in said)


def test_tasks_that_are_repeated_have_not_failed_yet(jar):
    array(jar, "1-3%1 --max-fails=1 --retries=2", range(1, 4), body="[ $JJ_ATTEMPT = 3 ]")
    worker = workers.drain(jar, idle_exit=0.3, JJ_PAUSE_TIME="60")
    assert len(worker.ends()) == 3 and os.listdir(jar.held) == os.listdir(jar.failed) == []


@pytest.mark.parametrize("is_committed", [True, False])
def test_recovery_finishes_what_a_worker_has_begun_that_died(jar, is_committed):
    """It died after, or before, its second failed task came to completed/; with or without having begun to hold."""
    array(jar, "1-20 --max-fails=2", range(1, 6))
    dead, name = Dead(jar), f"{BASE}_2.0"
    fail(jar, 1)
    os.remove(os.path.join(jar.waiting, f"{BASE}_1.0"))
    attempt = f"{dead.nonce}-1"
    dead.journal.intend(attempt, None, name)
    os.rename(os.path.join(jar.waiting, name), os.path.join(dead.claims, name))
    dead.journal.end(attempt, None, name, state="FAILED", ino=os.stat(os.path.join(dead.claims, name)).st_ino)
    dead.journal.sync()
    if is_committed:
        os.symlink(layout.failed_link(name), os.path.join(jar.failed, name))
        os.rename(os.path.join(dead.claims, name), os.path.join(jar.completed, name))
        os.symlink(reservation.text(dead.name, dead.nonce), os.path.join(jar.held, f".{BASE}"))
    Recovery(jar, node.myself(workers.NODE)._replace(pid=2**22 + 5), 3).node()
    assert indices(jar, "held") == [3, 4, 5] and invariants.leftovers(jars.tree(jar)) == []


def test_recovery_holds_the_rest_after_it_has_given_up_too_many(jar):
    array(jar, "1-20 --max-fails=1 --no-requeue", range(1, 4))
    dead, name = Dead(jar), f"{BASE}_1.0"
    os.rename(os.path.join(jar.waiting, name), os.path.join(dead.claims, name))
    Recovery(jar, node.myself(workers.NODE)._replace(pid=2**22 + 5), 3).node()
    assert os.listdir(jar.failed) == [name] and indices(jar, "held") == [2, 3]
