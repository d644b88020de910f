"""Jobs that are repeated, that wait, and whose array is held: the worker is killed at every operation, then recovery too.

All in this process: the jobs end as the test has it (`test_model.Hand`), and the worker never ran, so it is dead.
"""

import os
import time
from collections import namedtuple

import pytest
from support import faults, invariants, jars
from support.faults import AFTER, BEFORE, CUT, LOST, TORN
from test_model import Hand

from jobjar import blame, node, notes, process, registration, reservation, runner
from jobjar.layout import Place
from jobjar.recovery import Recovery
from jobjar.waiting import Waiting

NODE, CATEGORY = "here", "C1"
BASE = "20261121-101500-me-000001000"
# No kernel gives these numbers to a process.
DEAD = node.myself(NODE)._replace(pid=2**22 + 1)
OWNER = node.owner(DEAD)

# `name` of the job X, what it `asks` for, what the worker does to it, where X may be in the end; whether it ends badly
# when it ends, and whether it begins when it is claimed.
Scenario = namedtuple("Scenario", "name asks act ends is_bad begins", defaults=(True, True))


def hand(jar):
    worker = Hand(jar, DEAD)
    # The tasks of an array are names of one file.
    worker.attempts._several = True
    return worker


def place_of(scenario, state="unclaimed"):
    return Place(state, CATEGORY, scenario.name)


def perform(code, then=None, kind=runner.ENDED):
    """A worker claims X, which ends so; `then(jar)` happens while it runs."""
    def act(jar, scenario):
        worker = hand(jar)
        try:
            place = place_of(scenario)
            if os.path.exists(jar.path(place)) and worker.attempts.claim(place, 1e12) == "won":
                worker.stage.play(kind, code, "said\n", None)
                if then:
                    with faults.unwatched():
                        then(jar, worker.attempts.attempt.id, scenario)
                worker.attempts.perform(place, None, None)
                attempt = worker.attempts.attempt
                watcher(jar).ended(scenario.name, attempt.vetted.request, attempt.has_failed)
        finally:
            worker.die()
    return act


def cancel(jar, attempt, scenario):
    notes.add(jar, "there.1", scenario.name, CATEGORY, "cancel", a=attempt, why="not wanted")


def watcher(jar):
    return Waiting(jar, OWNER, reservation.text(OWNER, node.nonce(DEAD)), time.time, stop)


def stop(sentence):
    raise AssertionError(sentence)


def look(jar, _):
    watcher(jar).look()


# Where X is: "queued" in unclaimed/, "waiting", "ended" in completed/, "given up" in failed/.
QUEUED, WAITING, ENDED, GIVEN_UP = "unclaimed", "waiting", "completed", "failed"
TASK = f"{BASE}_1.0"
CAPPED = "--submit-dir=/ --array=1-4%1"

SCENARIOS = {
    "a job is repeated": Scenario("a.0", "--retries=1", perform(3), {QUEUED}),
    "a job is repeated after a delay": Scenario("a.0", "--retries=1 --retry-delay=1h", perform(3), {QUEUED, WAITING}),
    "a job asks to be run again": Scenario("a.0", "--requeue-on=3", perform(3), {QUEUED}),
    "a job has no retries left": Scenario("a.0", "--retries=0", perform(3), {QUEUED, ENDED}),
    "a job is never to begin twice": Scenario("a.0", "--no-requeue", perform(3), {QUEUED, ENDED, GIVEN_UP}),
    "a job that is never to begin twice is told to end": Scenario(
        "a.0", "--no-requeue", perform(3, kind=runner.QUIT), {QUEUED, ENDED, GIVEN_UP}),
    "a job that is never to begin twice could not begin": Scenario(
        "a.0", "--no-requeue", perform(0, kind=blame.BUSY), {QUEUED, GIVEN_UP}, begins=False),
    "a job is cancelled while it runs": Scenario("a.0", "--retries=1", perform(3, cancel), {QUEUED, ENDED, GIVEN_UP}),
    "a job's time has come": Scenario(f"{BASE}.0", "--begin=2000-01-01", look, {QUEUED}),
    "the time of a job that was named by hand has come": Scenario("a.0", "--begin=2000-01-01", look, {QUEUED}),
    "a job waits for nonsense": Scenario("a.0", "--bogus", look, {GIVEN_UP}),
    "a task's turn has come": Scenario(TASK, CAPPED, look, {QUEUED}),
    "a task ends and the next is made ready": Scenario(
        TASK, CAPPED, perform(0), {QUEUED, ENDED}, is_bad=False),
    "a task is repeated": Scenario(TASK, f"{CAPPED} --retries=1 --retry-delay=1h", perform(3), {QUEUED, WAITING}),
    "too many of an array have been given up": Scenario(
        TASK, f"{CAPPED} --max-fails=1 --no-requeue", perform(3), {QUEUED, ENDED, GIVEN_UP}),
    "too many of an array have failed": Scenario(TASK, f"{CAPPED} --max-fails=1", perform(3), {QUEUED, ENDED}),
}


def prepare(home, scenario):
    """X where the worker finds it, a namesake wherever it might go, and the other tasks of its array."""
    jar = jars.make(home)
    assert registration.write(jar, DEAD, {"uid": os.geteuid(), "lock": ""})
    place = place_of(scenario, "waiting" if scenario.act is look else "unclaimed")
    put(jar, place, "X", scenario.asks)
    if scenario.name == "a.0":
        for state in ("unclaimed", "waiting", "held"):
            if state != place.state and not (state == "waiting" and scenario.act is look):
                put(jar, place._replace(state=state), state, "--begin=2999-01-01")
        put(jar, Place("completed", None, "a.0"), "completed")
        notes.count(jar, "there.1", "a.0", CATEGORY, "earlier-1", "its worker died")
    if scenario.name == TASK:
        for index in (2, 3, 4):
            os.link(jar.path(place), jar.path(Place("waiting", None, f"{BASE}_{index}.0")))
    return jar


def put(jar, place, word, asks=""):
    """A job of that word."""
    path = jar.path(place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    jars.write(path, f"#!/bin/sh\n# job {word}\n#JJ {asks}\n")


def where(jar, scenario):
    """The paths of X; other tasks of its array are the same file."""
    return [path for path in invariants.places(jars.tree(jar)).get("X", ())
            if scenario.name != TASK or f"{BASE}_1" in path]


def violations(jar, scenario, before):
    """The invariants of every instant."""
    tree, found = jars.tree(jar), where(jar, scenario)
    wrong = [] if len(found) == 1 else [f"X is in {found}"]
    return wrong + invariants.nothing_lost(tree, before) + invariants.no_link_is_a_job(tree) + invariants.links(
        tree, ["X"] if scenario.is_bad else [])


def recover(jar, number):
    return Recovery(jar, DEAD._replace(pid=2**22 + number), 3).node()


def in_the_end(jar, scenario, before, was_claimed):
    """What must hold when recovery has come to its end."""
    wrong = violations(jar, scenario, before) + invariants.leftovers(jars.tree(jar))
    [place] = where(jar, scenario) or [""]
    state = place.split("/")[0]
    if state not in scenario.ends:
        wrong.append(f"X is in {place} in the end")
    if was_claimed and state == QUEUED and "--no-requeue" in scenario.asks and scenario.begins:
        wrong.append("a job that is never to begin twice is to be begun again")
    if state in (QUEUED, WAITING) and scenario.act is not look:
        wrong += of_notes(jar, scenario, place, was_claimed)
    return wrong + of_array(jar, scenario, state)


def of_notes(jar, scenario, place, was_claimed):
    """What is wrong with what counts of X, which is to be run again."""
    name = os.path.basename(place)
    counted = notes.tally(jar, name, CATEGORY)
    ids = [*counted.deaths - {"earlier-1"}, *counted.requeues]
    wrong = [f"{place} was cancelled"] if any(line["e"] == "cancel" for line in notes.read(jar, name)) else []
    if len(ids) != was_claimed and (scenario.begins or len(ids) > was_claimed):
        wrong.append(f"of {place} counts {counted}, and it was claimed {was_claimed} times")
    if (notes.until(counted) > time.time()) != (place.split("/")[0] == WAITING):
        wrong.append(f"{place} is to wait until {notes.until(counted)}")
    return wrong


def of_array(jar, scenario, state):
    """How the other tasks of X's array stand, if not as they must when X is in `state` in the end."""
    if scenario.name != TASK:
        return []
    found = {path.partition(f"/{BASE}_")[2]: path.split("/")[0] for path in jars.tree(jar) if "/notes/" not in path}
    states = [found.get(f"{index}.0") for index in (2, 3, 4)]
    wanted = ["waiting" if state == QUEUED else "unclaimed", "waiting", "waiting"]
    if "--max-fails" in scenario.asks and state in (ENDED, GIVEN_UP):
        wanted = ["held"] * 3
    return [] if states == wanted else [f"the others are in {states}, not {wanted}, with X in {state}"]


_numbers = iter(range(1, 10**9))


def try_one(points, workplace, scenario, fault, second=None):
    """The worker struck by `fault`, recovery killed before its `second` operation, and recovery to its end."""
    jar = prepare(os.path.join(workplace, f"again-{next(_numbers)}"), scenario)
    before = jars.tree(jar)
    outcome = faults.strike(lambda: scenario.act(jar, scenario), fault, jar.home)
    wrong = [] if outcome.hit or fault is None else ["the fault did not strike"]
    wrong += ([outcome.error] if outcome.error else []) + violations(jar, scenario, before)
    was_claimed = int(scenario.act is not look and not os.path.exists(jar.path(place_of(scenario))))
    if was_claimed == 0 and scenario.act is not look:
        # It may be there again.
        counted = notes.tally(jar, scenario.name, CATEGORY)
        was_claimed = len(counted.requeues)
    if second:
        faults.strike(lambda: recover(jar, 2), faults.Fault(BEFORE, second), jar.home)
        wrong += violations(jar, scenario, before)
    left = recover(jar, 3).left
    wrong += [f"recovery has left: {left}"] if left else []
    wrong += in_the_end(jar, scenario, before, was_claimed)
    points.add(f"{faults.struck(fault, outcome) if fault else 'undisturbed'}, recovery at {second}", wrong)


@pytest.fixture
def buried(monkeypatch):
    """No orphan of the dead is alive: looking for them a thousand times takes a minute."""
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))
    monkeypatch.setattr(process, "lock_path", lambda nonce: "/nonexistent/lock")


def trace_of(workplace, scenario):
    jar = prepare(os.path.join(workplace, f"again-{next(_numbers)}"), scenario)
    return faults.count(lambda: scenario.act(jar, scenario), jar.home)


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_operation_and_recovered_it_is_as_it_should_be(name, workplace, points, buried):
    scenario = SCENARIOS[name]
    try_one(points, workplace, scenario, None)
    for fault in faults.points(trace_of(workplace, scenario), BEFORE, AFTER, TORN, CUT, LOST):
        try_one(points, workplace, scenario, fault)
    points.verdict()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_recovery_that_is_killed_too_is_repeated(name, workplace, points, buried, some):
    scenario = SCENARIOS[name]
    for at in some(faults.changes(trace_of(workplace, scenario)), 4):
        jar = prepare(os.path.join(workplace, f"again-{next(_numbers)}"), scenario)
        faults.strike(lambda: scenario.act(jar, scenario), faults.Fault(BEFORE, at), jar.home)
        for second in faults.changes(faults.count(lambda: recover(jar, 2), jar.home)):
            try_one(points, workplace, scenario, faults.Fault(BEFORE, at), second)
    points.verdict()
