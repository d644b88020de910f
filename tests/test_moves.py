"""One function per event, and nothing is ever overwritten."""

import ast
import inspect
import os

import pytest
from support import faults, jars

from jobjar import layout, moves, reservation, states
from jobjar.errors import Fenced, UsageError
from jobjar.layout import Place

MINE = reservation.text("rain.1", "nonce-1")
FRESH = "20261121-101500-me-000001000.0"
PLACES = {state: Place(state, "C", "a.0") for state in states.QUEUES} | {
    states.COMPLETED: Place("completed", None, "a.0"), states.FAILED: Place("failed", None, "a.0"),
    states.LIMBO: Place("limbo", None, "a.0")}

# Event → (its call for a job in the state `source`, bound for the state `target`), and what it returns.
CALLS = {
    "submit": lambda jar, place, target: moves.submit(jar, place.name, "C"),
    "defer": lambda jar, place, target: moves.defer(jar, place.name, "C"),
    "submit_held": lambda jar, place, target: moves.submit_held(jar, place.name, "C"),
    "rescue": lambda jar, place, target: moves.rescue(jar, place, FRESH),
    "hold": lambda jar, place, target: moves.hold(jar, place, MINE),
    "release": lambda jar, place, target: moves.release(jar, place, MINE, target),
    "alter": lambda jar, place, target: moves.alter(jar, place, MINE, "a.7", "C"),
    "ready": lambda jar, place, target: moves.ready(jar, place, MINE),
    "doom": lambda jar, place, target: moves.doom(jar, place, MINE),
    "cancel": lambda jar, place, target: moves.cancel(jar, place, MINE),
    "claim": lambda jar, place, target: moves.claim(jar, place, _claims(jar)),
    "refuse": lambda jar, place, target: moves.refuse(jar, place, MINE),
    "complete": lambda jar, place, target: moves.complete(jar, place, MINE, bad=False),
    "requeue": lambda jar, place, target: moves.requeue(jar, place, MINE, target),
    "recover": lambda jar, place, target: moves.recover(jar, place, MINE),
    "give_up": lambda jar, place, target: moves.give_up(jar, place, MINE),
    "retry": lambda jar, place, target: moves.retry(jar, place, MINE, "C", "once", target),
    "clean": lambda jar, place, target: next(iter(moves.clean(jar, [place], MINE)), None),
}
WAYS = [(event.name, source, target) for event in states.EVENTS for source in event.sources for target in event.targets
        if event.name != "alter" or source == target]
NO_STATE_TO_CHOOSE = ("submit", "defer", "submit_held")


def _claims(jar):
    claims = jar.claims("rain.1")
    return claims if os.path.isdir(claims) else jars.worker(jar, "rain.1", "C")


def _place(jar, state, name="a.0"):
    if state == states.CLAIMS:
        return Place(state, "C", name, _claims(jar))
    return PLACES[state]._replace(name=name)


def _texts(jar):
    return sorted(text for path, text in jars.tree(jar).items() if text and path != "FORMAT")


def test_there_is_exactly_one_public_function_per_event():
    defined = {name for name, value in vars(moves).items() if inspect.isfunction(value)
               and value.__module__ == moves.__name__ and not name.startswith("_")}
    assert defined == set(states.BY_NAME) == set(CALLS)


def test_every_function_asks_the_table():
    tree = ast.parse(inspect.getsource(moves))
    asked = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in states.BY_NAME}
    assert asked == set(states.BY_NAME)


@pytest.mark.parametrize("event, source, target", WAYS)
def test_a_legal_move_takes_the_job_there_and_leaves_nothing_behind(jar, event, source, target):
    place = jars.put(jar, _place(jar, source), "X")
    new = CALLS[event](jar, place, target)
    if event == "claim":
        assert new == 0
        new = _place(jar, states.CLAIMS)
    assert new.state == target
    left = [jars.script("X")] if target != states.GONE else []
    assert _texts(jar) == left
    if left:
        assert jars.read(jar.path(new)) == jars.script("X")


@pytest.mark.parametrize("event", [event for event in states.EVENTS if event.name not in NO_STATE_TO_CHOOSE],
                         ids=lambda event: event.name)
def test_a_job_of_another_state_is_refused_and_left_alone(jar, event):
    for state in {*PLACES, states.CLAIMS} - set(event.sources):
        place = jars.put(jar, _place(jar, state), "X")
        before = jars.tree(jar)
        with pytest.raises(UsageError):
            CALLS[event.name](jar, place, event.targets[0])
        assert {path: text for path, text in jars.tree(jar).items() if text} == {p: t for p, t in before.items() if t}
        os.remove(jar.path(place))


@pytest.mark.parametrize("event", ["hold", "release", "requeue"])
def test_a_target_that_the_table_does_not_name_is_refused(jar, event):
    place = jars.put(jar, _place(jar, states.BY_NAME[event].sources[0]), "X")
    if event == "hold":
        place = jars.put(jar, _place(jar, states.HELD), "Y")
    with pytest.raises(UsageError):
        CALLS[event](jar, place, states.COMPLETED)


# ready, doom and the submissions carry fresh names of our own making and are bare renames.
RESERVED = [way for way in WAYS if way[0] not in (*NO_STATE_TO_CHOOSE, "rescue", "ready", "doom", "claim", "clean")]


@pytest.mark.parametrize("event, source, target", RESERVED)
def test_a_taken_name_is_never_overwritten(jar, event, source, target):
    place = jars.put(jar, _place(jar, source), "X")
    name = "a.7" if event == "alter" else "a.0"
    for state in {*states.QUEUES, states.COMPLETED, states.FAILED} - {source} | {target}:
        taken = PLACES[state]._replace(name=name)
        if taken != place:
            jars.put(jar, taken, f"{state} is taken")
    before = _texts(jar)
    new = CALLS[event](jar, place, target)
    assert new.name == name.replace(".", "~2.")
    assert jars.read(jar.path(new)) == jars.script("X")
    assert _texts(jar) == before


@pytest.mark.parametrize("event, source, target", [way for way in WAYS if way[1] != states.LIMBO])
def test_whoever_comes_too_late_is_told_so_and_leaves_no_trace(jar, event, source, target):
    place = jars.put(jar, _place(jar, source), "X")
    os.remove(jar.path(place))
    result = CALLS[event](jar, place, target)
    assert result != 0 if event == "claim" else result is None
    assert _texts(jar) == []


@pytest.mark.parametrize("event", ["refuse", "complete", "requeue", "recover", "give_up"])
def test_a_mover_whose_claims_are_gone_is_fenced(jar, event):
    place = jars.put(jar, _place(jar, states.CLAIMS), "X")
    os.rename(place.holder, place.holder + ".elsewhere")
    with pytest.raises(Fenced):
        CALLS[event](jar, place, states.BY_NAME[event].targets[0])


def test_a_claim_by_a_fenced_worker_takes_nothing(jar):
    place = jars.put(jar, PLACES[states.UNCLAIMED], "X")
    with pytest.raises(Fenced):
        moves.claim(jar, place, jar.claims("rain.1"))
    assert os.path.exists(jar.path(place))


def test_a_job_that_ended_badly_is_linked_and_its_output_kept(jar):
    place = jars.put(jar, _place(jar, states.CLAIMS), "X")
    output = jars.write(jar.worker("rain.1") + "/output", "printed\n")
    new = moves.complete(jar, place, MINE, bad=True, output=output)
    assert os.readlink(os.path.join(jar.failed, new.name)) == layout.failed_link(new.name)
    assert jars.read(jar.log(new.name)) == "printed\n"


def test_a_job_without_output_has_no_log(jar):
    place = jars.put(jar, _place(jar, states.CLAIMS), "X")
    output = jars.write(jar.worker("rain.1") + "/output", "")
    moves.complete(jar, place, MINE, bad=False, output=output)
    assert os.listdir(jar.logs) == []
    assert os.path.exists(output)


def test_a_job_that_removed_itself_leaves_its_output_and_nothing_else(jar):
    place = _place(jar, states.CLAIMS)
    output = jars.write(jar.worker("rain.1") + "/output", "printed\n")
    assert moves.complete(jar, place, MINE, bad=True, output=output) is None
    assert os.listdir(jar.logs) == ["a.0"]
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == []


def test_what_a_retried_job_printed_stays_under_the_attempts_name(jar):
    place = jars.put(jar, PLACES[states.COMPLETED], "X")
    jars.write(jar.log("a.0"), "printed\n")
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    moves.retry(jar, place, MINE, None, "once")
    assert os.listdir(jar.logs) == ["a.0.attempt-once"]
    assert os.listdir(jar.failed) == []


def test_a_log_that_was_saved_under_that_name_is_not_overwritten_by_the_next(jar):
    for text in ("first", "second", "third"):
        place = jars.put(jar, PLACES[states.COMPLETED], "X")
        jars.write(jar.log("a.0"), text)
        os.remove(jar.path(moves.retry(jar, place, MINE, None, "once")))
    assert {name: jars.read(jar.log(name)) for name in os.listdir(jar.logs)} == {
        "a.0.attempt-once": "first", "a.0.attempt-once~2": "second", "a.0.attempt-once~3": "third"}


def test_a_job_that_is_not_meant_any_more_is_not_cleaned(jar):
    place = jars.put(jar, PLACES[states.COMPLETED], "X")
    jars.write(jar.log("a.0"), "printed\n")
    before = jars.tree(jar)
    assert moves.clean(jar, [place], MINE, lambda place: not os.path.islink(jar.taken("a.0"))) == []
    assert jars.tree(jar) == before


def test_a_cleaned_job_takes_its_log_and_its_link_along(jar):
    place = jars.put(jar, PLACES[states.COMPLETED], "X")
    jars.write(jar.log("a.0"), "printed\n")
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    moves.clean(jar, [place], MINE)
    assert _texts(jar) == []


def test_a_namesakes_reservation_is_neither_retried_nor_cleaned(jar):
    os.symlink(reservation.text("snow.2", "other-1"), os.path.join(jar.completed, "a.0"))
    jars.write(jar.log("a.0"), "what the namesake printed\n")
    before = jars.tree(jar)
    assert moves.retry(jar, PLACES[states.COMPLETED], MINE, None, "once") is None
    assert moves.clean(jar, [PLACES[states.COMPLETED]], MINE) == []
    assert jars.tree(jar) == before


def test_a_job_that_somebody_takes_away_is_neither_retried_nor_cleaned(jar):
    jars.put(jar, PLACES[states.COMPLETED], "X")
    os.symlink(reservation.text("snow.2", "other-1"), jar.taken("a.0"))
    before = jars.tree(jar)
    assert moves.retry(jar, PLACES[states.COMPLETED], MINE, None, "once") is None
    assert moves.clean(jar, [PLACES[states.COMPLETED]], MINE) == []
    assert jars.tree(jar) == before


def test_many_jobs_are_cleaned_with_one_wait_for_the_disk_and_their_links_go_behind_it(jar):
    places = [jars.put(jar, Place(states.COMPLETED, None, f"{word}.0")) for word in "abc"]
    for place in places:
        os.symlink(layout.failed_link(place.name), os.path.join(jar.failed, place.name))
    trace = faults.count(lambda: moves.clean(jar, places, MINE), jar.home)
    last = max(at for at, line in enumerate(trace) if f" → {jar.limbo}/.cleaned." in line)
    first = min(at for at, line in enumerate(trace) if line.startswith(f"os.remove {jar.failed}/"))
    assert last < _at(trace, "fsync ") < first
    assert _texts(jar) == []


def test_the_new_name_is_told_before_the_move(jar):
    place = jars.put(jar, _place(jar, states.CLAIMS), "X")
    jars.put(jar, PLACES[states.UNCLAIMED], "taken")
    told = []
    moves.recover(jar, place, MINE, before=lambda name: told.append((name, os.path.exists(jar.path(place)))))
    assert told == [("a~2.0", True)]


def test_altering_nothing_changes_nothing(jar):
    place = jars.put(jar, PLACES[states.HELD], "X")
    assert moves.alter(jar, place, MINE, place.name, place.category) == place


def _at(trace, start, end=""):
    """Where the only such operation stands."""
    found = [at for at, line in enumerate(trace) if line.startswith(start) and line.endswith(end)]
    assert len(found) == 1, f"{start} {end}: {found} in {trace}"
    return found[0]


def test_that_a_job_ended_badly_is_on_the_disk_before_it_is_completed(jar):
    place = Place(states.CLAIMS, "C", "a.0", jars.worker(jar, "rain.1", "C"))
    jars.put(jar, place)
    trace = faults.count(lambda: moves.complete(jar, place, MINE, bad=True), jar.home)
    synced, done = _at(trace, f"fsync {jar.failed}"), _at(trace, "os.rename", f" → {jar.completed}/a.0")
    assert _at(trace, "os.symlink", f" → {jar.failed}/a.0") < synced < done


def test_a_retried_job_says_that_it_has_failed_until_its_move_is_on_the_disk(jar):
    jars.put(jar, PLACES[states.COMPLETED])
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    trace = faults.count(lambda: moves.retry(jar, PLACES[states.COMPLETED], MINE, "C", "once"), jar.home)
    assert _at(trace, f"fsync {jar.unclaimed}/C") < _at(trace, f"os.remove {jar.failed}/a.0")


EDITED = Place(states.HELD, "C", "a~edit.0")


@pytest.mark.parametrize("move", [
    lambda jar: moves.release(jar, EDITED, MINE), lambda jar: moves.cancel(jar, EDITED, MINE),
    lambda jar: moves.alter(jar, EDITED, MINE, "a~edit.7", "C"),
    lambda jar: moves.alter(jar, EDITED, MINE, "a~edit.0", "D")])
def test_a_job_that_somebody_edits_is_moved_by_nobody_else(jar, move):
    jars.put(jar, EDITED)
    os.symlink(reservation.text("snow.2", "other-1"), f"{jar.held}/C/.a~edit.0")
    before = _texts(jar)
    assert move(jar) is None
    assert _texts(jar) == before
    os.remove(f"{jar.held}/C/.a~edit.0")
    assert move(jar) is not None


def test_who_edits_a_job_keeps_its_name_until_he_has_put_it_back(jar):
    jars.put(jar, PLACES[states.UNCLAIMED])
    place = moves.hold(jar, PLACES[states.UNCLAIMED], MINE, "a~edit.0", is_kept=True)
    assert place == EDITED and os.readlink(f"{jar.held}/C/.a~edit.0") == MINE
    assert moves.release(jar, place, MINE, name="a.0") == PLACES[states.UNCLAIMED]
    assert os.listdir(f"{jar.held}/C") == []


def test_of_two_who_want_to_edit_a_job_the_second_leaves_no_trace(jar):
    for state in (states.UNCLAIMED, states.HELD):
        jar.queue(state, "C")
    assert moves.hold(jar, PLACES[states.UNCLAIMED], MINE, "a~edit.0", is_kept=True) is None
    assert os.listdir(f"{jar.held}/C") == []
