"""An array whose submission is killed, or fails, at any operation: submitted again it is whole, no task twice.

Between the two submissions a worker may have run what is there already, and what it ran may be gone without a trace
but in its journal. So each point is tried with the tasks left alone, completed, and gone.
"""

import itertools
import os
import shutil
from collections import Counter

import pytest
from support import faults, jars
from support.faults import AFTER, BEFORE, CUT, LOST, MEANWHILE, TORN, Fault

from jobjar import arrays, drafts, entries, expansion, fslook, jobname, leftovers, node, resync, states
from jobjar.errors import TryAgain

NODE = "here"
INDICES = (2, 4, 6, 8, 10, 20, 21)
CAP = 3
# No kernel gives a process such numbers, so their owners are dead, provably.
_dead = itertools.count(2**22 + 1)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Limits so small that they are met: a second copy for the fifth name, two waits for the disk."""
    monkeypatch.setattr(arrays, "NAMES_MAX", 5)
    monkeypatch.setattr(arrays, "COPIES", 4)


def _somebody():
    return node.myself(NODE)._replace(pid=next(_dead))


def _batch():
    found = entries.of_product([[f"item {index}" for index in INDICES]])
    wishes = {"array": f"2-10:2,20,21%{CAP}", "category": "C1", "priority": 3, "submit_dir": "/", "submit_host": "h"}
    return expansion.Batch(b"#!/bin/sh\ntrue\n", wishes, "job", found)


def _jar(workplace):
    return jars.make(os.path.join(workplace, str(next(_numbers))))


def _there(jar):
    """Index → how many files there are of it, in the queues and where a worker has brought them; and their arrays."""
    found, ids = Counter(), set()
    for top in (jar.unclaimed, jar.waiting, jar.held, jar.completed):
        for directory, _, names in os.walk(top):
            for name in names:
                task = jobname.array_task(name)
                assert task is not None and task[1] in INDICES, f"{directory}/{name}"
                found[task[1]] += 1
                ids.add(task[0])
    return found, ids


def _leave(jar):
    return Counter()


def _complete(jar):
    """A worker has run what there was."""
    for name in os.listdir(jar.directory(states.UNCLAIMED, "C1")):
        os.rename(os.path.join(jar.unclaimed, "C1", name), os.path.join(jar.completed, name))
    return Counter()


def _remove(jar):
    """What a worker has run has removed itself: the journal alone speaks of it."""
    jars.worker(jar, "there.1", "C1")
    names = os.listdir(jar.directory(states.UNCLAIMED, "C1"))
    with open(os.path.join(jar.worker("there.1"), "journal"), "w", encoding="ascii") as file:
        for name in names:
            file.write(f'{{"e": "claim", "a": "x-1", "c": "C1", "n": "{name}", "t": 1}}\n')
            os.remove(os.path.join(jar.unclaimed, "C1", name))
    return Counter(jobname.array_task(name)[1] for name in names)


MEANWHILES = {"left alone": _leave, "completed": _complete, "gone": _remove}


def _whole(jar, gone):
    found, ids = _there(jar)
    wrong = [] if found + gone == Counter(INDICES) else [f"there is {found}, gone {gone}"]
    waiting = {jobname.array_task(name)[1] for name in fslook.names(jar.directory(states.WAITING, "C1"))}
    wrong += [f"{sorted(waiting)} wait"] if waiting != set(INDICES[CAP:]) else []
    return wrong + ([f"of several arrays: {ids}"] if len(ids) > 1 else [])


def _try(points, workplace, several, fault, meanwhile):
    jar, ids = _jar(workplace), []
    outcome = faults.strike(lambda: ids.append(arrays.submit(jar, _batch(), _somebody(), several)), fault, jar.home)
    wrong = faults.dishonest(fault, outcome) if outcome.error else []
    before, first = _there(jar)
    wrong += [f"twice: {before}"] if max(before.values(), default=1) > 1 else []
    wrong += [f"done, but there is {before}"] if ids and before != Counter(INDICES) else []
    if outcome.error and "nothing is submitted" in outcome.error and before:
        wrong.append(f"{before} is submitted, and it says: {outcome.error}")
    leftovers.sweep(jar, _somebody())
    gone = MEANWHILES[meanwhile](jar) if os.path.isdir(jar.directory(states.UNCLAIMED, "C1")) else Counter()
    # Killed at its very end it is as good as submitted, and submitting it again would make an array of its own.
    if not ids and (_is_there(jar) or before != Counter(INDICES)):
        ids.append(arrays.submit(jar, _batch(), _somebody(), several))
        wrong += [f"another id than {first}"] if first and first != set(ids) else []
    leftovers.sweep(jar, _somebody())
    wrong += _whole(jar, gone) + [f"{name} is left in limbo/" for name in os.listdir(jar.limbo)]
    points.add(f"{faults.struck(fault, outcome)} {meanwhile}", wrong)
    shutil.rmtree(jar.home)


def _trace(workplace, several):
    jar = _jar(workplace)
    return faults.count(lambda: arrays.submit(jar, _batch(), _somebody(), several), jar.home)


@pytest.mark.parametrize("several", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("meanwhile", MEANWHILES)
def test_an_array_cut_short_anywhere_is_completed_by_submitting_it_again(several, meanwhile, workplace, points):
    for fault in faults.points(_trace(workplace, several), BEFORE, AFTER, TORN, CUT, LOST):
        _try(points, workplace, several, fault, meanwhile)
    points.verdict()


def test_on_a_network_file_system_it_is_completed_too(workplace, points, monkeypatch):
    monkeypatch.setattr(resync, "is_on_remote", lambda directory: True)
    for fault in faults.points(_trace(workplace, True), BEFORE, AFTER, CUT, LOST):
        _try(points, workplace, True, fault, "completed")
    points.verdict()


@pytest.mark.parametrize("several", [True, False], ids=["links", "copies"])
def test_an_error_of_any_system_call_loses_no_task_and_doubles_none(several, workplace, points, some):
    jar = _jar(workplace)
    undisturbed = faults.strike(lambda: arrays.submit(jar, _batch(), _somebody(), several), faults.EVERY_READ, jar.home)
    for fault in some(faults.all_errors(undisturbed.trace, undisturbed.reads), 3):
        _try(points, workplace, several, fault, "completed")
    points.verdict()


def _cut(workplace, several=True):
    """A jar in which a submitter died after its fourth task, and the id of its array."""
    jar, trace = _jar(workplace), _trace(workplace, several)
    at = [number for number, line in enumerate(trace, 1) if "/waiting/C1/" in line and "_8.3" in line]
    outcome = faults.strike(lambda: arrays.submit(jar, _batch(), _somebody(), several), Fault(AFTER, at[0]), jar.home)
    assert outcome.died and _there(jar)[0] == Counter(INDICES[:4])
    return jar, _there(jar)[1].pop()


@pytest.mark.parametrize("several", [True, False], ids=["links", "copies"])
def test_whoever_completes_it_may_be_killed_too(several, workplace, points):
    first, _ = _cut(workplace, several)
    trace = faults.count(lambda: arrays.submit(first, _batch(), _somebody(), several), first.home)
    for fault in faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST):
        jar, array = _cut(workplace, several)
        outcome = faults.strike(lambda: arrays.submit(jar, _batch(), _somebody(), several), fault, jar.home)
        leftovers.sweep(jar, _somebody())
        wrong = []
        if outcome.died:
            # After the last moment there is nothing left to go on with, and this would be an array of its own.
            wrong += [] if not _is_there(jar) or arrays.submit(jar, _batch(), _somebody(), several) == array else ["id"]
        leftovers.sweep(jar, _somebody())
        wrong += _whole(jar, Counter()) + [f"{name} is left in limbo/" for name in os.listdir(jar.limbo)]
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()


def _is_there(jar):
    return any(drafts.unfinished(jar))


def test_whoever_withdraws_it_may_be_killed_too(workplace, points):
    """What `jobjar cancel` does, before it cancels the tasks that are there."""
    first, array = _cut(workplace)
    trace = faults.count(lambda: drafts.withdraw(first, _somebody(), array), first.home)
    for fault in faults.points(trace, BEFORE, AFTER, LOST):
        jar, array = _cut(workplace)
        outcome = faults.strike(lambda: drafts.withdraw(jar, _somebody(), array), fault, jar.home)
        wrong = faults.dishonest(fault, outcome)
        leftovers.sweep(jar, _somebody())
        wrong += [] if _is_there(jar) == drafts.withdraw(jar, _somebody(), array) else ["it is withdrawn, and is there"]
        leftovers.sweep(jar, _somebody())
        wrong += [f"{name} is left in limbo/" for name in os.listdir(jar.limbo)]
        wrong += [] if _there(jar) == (Counter(INDICES[:4]), {array}) else [f"there is {_there(jar)}"]
        wrong += [] if arrays.submit(jar, _batch(), _somebody(), True) != array else ["it is completed all the same"]
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()


def test_of_two_who_would_complete_it_at_once_one_does_and_the_other_submits_an_array_of_its_own(workplace, points):
    first, _ = _cut(workplace)
    trace = faults.count(lambda: arrays.submit(first, _batch(), _somebody(), True), first.home)
    alive = node.myself(NODE)
    for at in range(1, len(trace) + 1):
        jar, array = _cut(workplace)
        ids = []
        outcome = faults.strike(lambda: ids.append(arrays.submit(jar, _batch(), alive, True)), Fault(
            MEANWHILE, at, lambda: ids.append(arrays.submit(jar, _batch(), _somebody(), True))), jar.home)
        found, _ = _there(jar)
        wrong = [outcome.error] if outcome.error else []
        wrong += [f"{ids}"] if len(set(ids)) != 2 or array not in ids else []
        wrong += [f"there is {found}"] if found != Counter(INDICES * 2) else []
        points.add(f"{at} {trace[at - 1]}", wrong)
        shutil.rmtree(jar.home)
    points.verdict()


def test_a_submitter_who_was_wrongly_thought_gone_makes_no_task_any_more(workplace):
    jar, ids = _jar(workplace), []
    trace = _trace(workplace, True)
    at = [number for number, line in enumerate(trace, 1) if "/waiting/C1/" in line and "_8.3" in line]
    outcome = faults.strike(lambda: arrays.submit(jar, _batch(), _somebody(), True), Fault(
        MEANWHILE, at[0], lambda: ids.append(arrays.submit(jar, _batch(), _somebody(), True))), jar.home)
    assert "tasks of the array" in outcome.error
    assert _there(jar) == (Counter(INDICES), set(ids))


def test_what_another_node_may_still_be_submitting_is_not_submitted_here(workplace):
    jar, array = _cut(workplace)
    with pytest.raises(TryAgain, match=f"cancel {array}"):
        arrays.submit(jar, _batch(), node.myself("there"), True)
    assert _there(jar)[0] == Counter(INDICES[:4])
