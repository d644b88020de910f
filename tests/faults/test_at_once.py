"""A silent job that ended well goes to completed/ in one step, without a reservation: struck anywhere, and by others.

Where the kernel or the file system does not know that step, the job takes the longer way, and the same must hold.
"""

import itertools
import os
import shutil

import pytest
from support import faults, invariants, jars
from support.faults import AFTER, BEFORE, LOST, MEANWHILE, Fault

from jobjar import fslook, fsnew, layout, moves, node, reservation, states
from jobjar.errors import Fenced
from jobjar.layout import Place

NODE = "here"
# No kernel gives a process this number, so its owner is dead, provably.
DEAD = node.myself(NODE)._replace(pid=2**22 + 1)
OWNER = node.owner(DEAD)
MINE = reservation.text(OWNER, f"{node.nonce(DEAD)}-1")
OTHERS = "reserved:there.1:theirs-1"
NAME = "20261121-101500-me-000001000.0"
NEXT = "20261121-101500-me-000001000~2.0"
_numbers = itertools.count()


def _taken_by_a_file(state):
    return lambda jar: jars.put(jar, Place(state, None, NAME), "earlier")


def _taken_by_a_link(directory, text):
    return lambda jar: os.symlink(text, os.path.join(jar.home, directory, NAME))


# What has the name already, and the name that the job gets then.
TAKEN = {
    "nothing": (lambda jar: None, NAME),
    "a completed job": (_taken_by_a_file(states.COMPLETED), NEXT),
    "another's reservation": (_taken_by_a_link("completed", OTHERS), NEXT),
    "its own reservation": (_taken_by_a_link("completed", MINE), NAME),
    "a failed job": (_taken_by_a_file(states.FAILED), NEXT),
    "a link of a job that is taken away": (_taken_by_a_link("failed", layout.failed_link(NAME)), NEXT),
    "a log": (lambda jar: jars.write(jar.log(NAME), "what an earlier one printed\n"), NEXT),
}


@pytest.fixture(params=["known", "unknown"])
def kernel(request, monkeypatch):
    """Whether the kernel knows the step."""
    if request.param == "unknown":
        monkeypatch.setattr(fsnew, "rename_new", lambda source, target: -1)
    return request.param


def _prepare(workplace, taken):
    jar = jars.make(os.path.join(workplace, str(next(_numbers))))
    place = jars.put(jar, Place(states.CLAIMS, "C1", NAME, jars.worker(jar, OWNER, "C1")), "X")
    TAKEN[taken][0](jar)
    return jar, place


def _complete(jar, place):
    return moves.complete(jar, place, MINE, bad=False, at_once=fsnew.move_new)


def _violations(jar, before):
    tree, found = jars.tree(jar), invariants.places(jars.tree(jar))
    return (invariants.one_place(tree, ["X"]) + invariants.nothing_lost(tree, before)
            + invariants.untouched(tree, before, [path for path, text in before.items() if _may_change(text or "")])
            + [f"X is {path}, which says that it ended badly" for path in found["X"]
               if path.startswith("completed/") and path.replace("completed/", "failed/") in tree])


def _may_change(text):
    # Who withdraws the reservation of a dead process removes a dangling link of that name, too.
    return MINE in text or layout.failed_link(NAME) in text or invariants.word_of(text) == "X"


def _try(points, workplace, taken, fault):
    jar, place = _prepare(workplace, taken)
    before = jars.tree(jar)
    outcome = faults.strike(lambda: _complete(jar, place), fault, jar.home)
    wrong = faults.dishonest(fault, outcome) + _violations(jar, before)
    if os.path.lexists(jar.path(place)):
        _complete(jar, place)
    for name in fslook.names(jar.completed):
        reservation.void(jar, name, MINE, "lost")
    wrong += _violations(jar, before) + invariants.leftovers(
        {path: text for path, text in jars.tree(jar).items() if path.startswith("completed/")}, [OTHERS])
    wrong += [f"X is in {path}" for path in invariants.places(jars.tree(jar))["X"] if not path.startswith("completed/")]
    points.add(f"{taken} {faults.struck(fault, outcome)}", wrong)
    shutil.rmtree(jar.home)


@pytest.mark.parametrize("taken", TAKEN)
def test_a_job_gets_its_own_name_in_one_step_if_that_is_free_and_else_the_next(workplace, kernel, taken):
    jar, place = _prepare(workplace, taken)
    before = jars.tree(jar)
    trace = faults.count(lambda: _complete(jar, place), jar.home)
    assert invariants.places(jars.tree(jar))["X"] == [f"completed/{TAKEN[taken][1]}"]
    assert _violations(jar, before) == []
    is_one_step = [line.split(" ")[0] for line in trace] == ["renameat2"]
    assert is_one_step == (taken == "nothing" and kernel == "known")


@pytest.mark.parametrize("taken", TAKEN)
def test_a_job_that_is_struck_on_its_way_is_in_one_place_and_arrives_the_next_time(workplace, points, kernel, taken):
    jar, place = _prepare(workplace, taken)
    undisturbed = faults.strike(lambda: _complete(jar, place), faults.EVERY_READ, jar.home)
    for fault in [*faults.points(undisturbed.trace, BEFORE, AFTER, LOST),
                  *faults.all_errors(undisturbed.trace, undisturbed.reads)]:
        _try(points, workplace, taken, fault)
    points.verdict()


@pytest.mark.parametrize("bad", [False, True])
def test_of_two_copies_that_end_at_once_both_are_kept_and_each_says_truly_how_it_ended(workplace, points, kernel, bad):
    jar, place = _prepare(workplace, "nothing")
    for at, _ in enumerate(faults.count(lambda: _complete(jar, place), jar.home), 1):
        jar, place = _prepare(workplace, "nothing")
        copy = jars.put(jar, Place(states.CLAIMS, None, NAME, jars.worker(jar, "there.1")), "copy")

        def end_the_copy():
            moves.complete(jar, copy, OTHERS, bad=bad, at_once=fsnew.move_new)
        outcome = faults.strike(lambda: _complete(jar, place), Fault(MEANWHILE, at, end_the_copy), jar.home)
        tree = jars.tree(jar)
        points.add(f"at {at}", [outcome.error] * bool(outcome.error) + invariants.one_place(tree, ["X", "copy"])
                   + invariants.links(tree, ["copy"] if bad else []) + invariants.leftovers(
                       {path: text for path, text in tree.items() if path.startswith("completed/")}))
    points.verdict()


def test_a_worker_that_is_fenced_between_its_look_and_the_step_moves_nothing(workplace, kernel):
    jar, place = _prepare(workplace, "nothing")
    fenced = f"{jar.worker(OWNER)}/recovering.now"
    outcome = faults.strike(lambda: _complete(jar, place), Fault(
        MEANWHILE, 1, lambda: os.rename(place.holder, fenced)), jar.home)
    assert Fenced.__name__ in outcome.error
    assert invariants.places(jars.tree(jar))["X"] == [f"workers/{OWNER}/recovering.now/C1/{NAME}"]
    # Whoever has fenced it goes on under the same text.
    _complete(jar, place._replace(holder=fenced))
    assert invariants.places(jars.tree(jar))["X"] == [f"completed/{NAME}"] and os.listdir(jar.completed) == [NAME]


@pytest.mark.parametrize("printed, bad, name", [("words\n", False, NAME), ("", True, NAME), ("", False, "a.0")])
def test_a_job_that_printed_or_ended_badly_or_has_a_name_made_by_hand_holds_its_name_first(workplace, printed, bad, name):
    jar, place = _prepare(workplace, "nothing")
    os.rename(jar.path(place), jar.path(place._replace(name=name)))
    output = jars.write(os.path.join(jar.worker(OWNER), "output"), printed)
    trace = faults.count(lambda: moves.complete(jar, place._replace(name=name), MINE, bad=bad, output=output,
                                                at_once=fsnew.move_new), jar.home)
    assert [line.split(" ")[0] for line in trace if f"completed/{name}" in line and "failed" not in line] == [
        "os.symlink", "os.rename"]
