"""The test of the project: killed at every operation, every move leaves each job in exactly one place.

Each scenario runs once undisturbed to count its operations; then once for each of them and each kind of fault, in a
jar of its own. After the fault the hard invariants must hold at once; then the move is repeated, or what the dead
process left is swept, and nothing may be left over.
"""

import errno
import itertools
import os
import re
import shutil
from collections import namedtuple

import pytest
from support import faults, invariants, jars
from support.faults import AFTER, BEFORE, CUT, LATE, LOST, MEANWHILE, TORN, Fault

from jobjar import fslook, fsops, layout, moves, node, notes, orders, reservation, states, submission
from jobjar.journal import History, Journal
from jobjar.layout import Place

NODE = "here"
# No kernel gives a process this number, so its owner is dead, provably.
DEAD = node.myself(NODE)._replace(pid=2**22 + 1)
OWNER = node.owner(DEAD)
ATTEMPT = f"{node.nonce(DEAD)}-1"
MINE = reservation.text(OWNER, ATTEMPT)
LIVE = reservation.text(node.owner(node.myself(NODE)), node.nonce(node.myself(NODE)))
PRINTED = "what X printed\n"
FRESH = "20261121-101500-me-000001000.0"

# `source`: where the job X is. `act(jar, place)`: the move. `bad`: it ends badly. `gone`: the job removes itself.
Scenario = namedtuple("Scenario", "event source act bad gone", defaults=(False, False))


def _work(jar):
    return jar.worker(OWNER)


def _in_claims(jar, place):
    return place._replace(holder=jar.claims(OWNER)) if place.state == states.CLAIMS else place


def _output(jar):
    return os.path.join(_work(jar), "output")


def _complete(bad=False):
    def act(jar, place):
        history, journal = History(_work(jar)), Journal(_work(jar))
        if history.end(ATTEMPT) is None:
            journal.end(ATTEMPT, place.category, place.name, state="FAILED" if bad else "COMPLETED")
        moves.complete(jar, place, MINE, bad=bad, output=_output(jar), first=history.target(ATTEMPT),
                       detour=lambda name: journal.target(ATTEMPT, name),
                       last=lambda: notes.close(jar, OWNER, place.name, place.category))
    return act


def _recover(jar, place):
    def take_notes_along(name):
        if name != place.name:
            notes.count(jar, OWNER, name, place.category, ATTEMPT, "taken along")
    notes.count(jar, OWNER, place.name, place.category, ATTEMPT, "its worker died")
    moves.recover(jar, place, MINE, take_notes_along)


def _give_up(jar, place):
    notes.count(jar, OWNER, place.name, place.category, ATTEMPT, "its worker died")
    moves.give_up(jar, place, MINE)


def _claim(jar, place):
    code = moves.claim(jar, place, jar.claims(OWNER))
    if code not in (0, errno.ENOENT):
        raise OSError(code, "not claimed")


UNCLAIMED, HELD, WAITING = (Place(state, "C1", "a.0") for state in states.QUEUES)
EDITED = Place(states.HELD, "C1", "a~edit.0")
CLAIMED, COMPLETED, FAILED = Place(states.CLAIMS, "C1", "a.0"), Place("completed", None, "a.0"), Place("failed", None, "a.0")
LIMBO, WAITING_FRESH = Place(states.LIMBO, None, FRESH), Place(states.WAITING, "C1", FRESH)

SCENARIOS = {
    "submit": Scenario("submit", LIMBO, lambda jar, place: moves.submit(jar, place.name, "C9")),
    "defer": Scenario("defer", LIMBO, lambda jar, place: moves.defer(jar, place.name, None)),
    "submit held": Scenario("submit_held", LIMBO, lambda jar, place: moves.submit_held(jar, place.name, "C1")),
    "rescue": Scenario("rescue", LIMBO, lambda jar, place: moves.rescue(jar, place, FRESH)),
    "hold": Scenario("hold", UNCLAIMED, lambda jar, place: moves.hold(jar, place, MINE)),
    "hold what waits": Scenario("hold", WAITING, lambda jar, place: moves.hold(jar, place, MINE)),
    "release": Scenario("release", HELD, lambda jar, place: moves.release(jar, place, MINE)),
    "release to wait": Scenario("release", HELD, lambda jar, place: moves.release(jar, place, MINE, states.WAITING)),
    "alter the priority": Scenario("alter", UNCLAIMED, lambda jar, place: moves.alter(jar, place, MINE, "a.7", "C1")),
    "alter the category": Scenario("alter", HELD, lambda jar, place: moves.alter(jar, place, MINE, "a.0", "C2")),
    "take to edit": Scenario("hold", UNCLAIMED, lambda jar, place: moves.hold(jar, place, MINE, "a~edit.0", True)),
    "take what is held to edit": Scenario("alter", HELD, lambda jar, place: moves.alter(
        jar, place, MINE, "a~edit.0", "C1", True)),
    "release what an editor had": Scenario("release", EDITED, lambda jar, place: moves.release(
        jar, place, MINE, name="a.0")),
    "put back what an editor had": Scenario("alter", EDITED, lambda jar, place: moves.alter(
        jar, place, MINE, "a.0", "C1")),
    "cancel what an editor had": Scenario("cancel", EDITED, lambda jar, place: moves.cancel(jar, place, MINE)),
    "ready": Scenario("ready", WAITING_FRESH, lambda jar, place: moves.ready(jar, place, MINE)),
    "doom": Scenario("doom", WAITING_FRESH, lambda jar, place: moves.doom(jar, place, MINE)),
    "ready what was named by hand": Scenario("ready", WAITING, lambda jar, place: moves.ready(jar, place, MINE)),
    "doom what was named by hand": Scenario("doom", WAITING, lambda jar, place: moves.doom(jar, place, MINE)),
    "cancel": Scenario("cancel", UNCLAIMED, lambda jar, place: moves.cancel(jar, place, MINE)),
    "cancel what is held": Scenario("cancel", HELD, lambda jar, place: moves.cancel(jar, place, MINE)),
    "claim": Scenario("claim", UNCLAIMED, _claim),
    "refuse": Scenario("refuse", CLAIMED, lambda jar, place: moves.refuse(jar, place, MINE)),
    "complete": Scenario("complete", CLAIMED, _complete()),
    "complete badly": Scenario("complete", CLAIMED, _complete(bad=True), bad=True),
    "complete what is gone": Scenario("complete", CLAIMED, _complete(), gone=True),
    "complete badly what is gone": Scenario("complete", CLAIMED, _complete(bad=True), bad=True, gone=True),
    "requeue": Scenario("requeue", CLAIMED, lambda jar, place: moves.requeue(jar, place, MINE)),
    "requeue to wait": Scenario("requeue", CLAIMED, lambda jar, place: moves.requeue(jar, place, MINE, states.WAITING)),
    "requeue held": Scenario("requeue", CLAIMED, lambda jar, place: moves.requeue(jar, place, MINE, states.HELD)),
    "recover": Scenario("recover", CLAIMED, _recover),
    "give up": Scenario("give_up", CLAIMED, _give_up),
    "retry": Scenario("retry", COMPLETED, lambda jar, place: moves.retry(jar, place, MINE, "C1", "once"), bad=True),
    "retry what never ran": Scenario("retry", FAILED, lambda jar, place: moves.retry(jar, place, MINE, None, "once")),
    "retry to wait": Scenario("retry", COMPLETED, lambda jar, place: moves.retry(
        jar, place, MINE, "C1", "once", states.WAITING), bad=True),
    "clean": Scenario("clean", COMPLETED, lambda jar, place: moves.clean(jar, [place], MINE), bad=True, gone=True),
    "clean what never ran": Scenario("clean", FAILED, lambda jar, place: moves.clean(jar, [place], MINE), gone=True),
}


def _prepare(home, scenario):
    """A jar with the job X at its source, and namesakes wherever it might go."""
    jar = jars.make(home)
    jars.worker(jar, OWNER, "C1")
    source = _in_claims(jar, scenario.source)
    if not (scenario.event == "complete" and scenario.gone):
        jars.put(jar, source, "X")
    for state in states.QUEUES:
        _namesake(jar, source, Place(state, "C1", "a.0"))
    _namesake(jar, source, Place(states.UNCLAIMED, None, "a.0"))
    _namesake(jar, source, Place(states.UNCLAIMED, "C1", "a.7"))
    _namesake(jar, source, Place(states.FAILED, None, "a~2.0"))
    jars.write(jar.log("a~3.0"), "what an earlier a~3 printed\n")
    os.symlink(LIVE, os.path.join(jar.completed, "a~4.0"))
    if source.state not in (states.COMPLETED, states.FAILED):
        _namesake(jar, source, Place(states.COMPLETED, None, "a.0"))
    if source.state == states.COMPLETED:
        jars.write(jar.log("a.0"), PRINTED)
        os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    if source.state == states.CLAIMS:
        jars.write(_output(jar), PRINTED)
        notes.count(jar, "there.1", "a.0", "C1", "earlier-1", "its worker died")
    return jar


def _namesake(jar, source, place):
    if place != source:
        jars.put(jar, place, f"{place.state} {place.category} {place.name}")


def _is_at_source(jar, scenario):
    return os.path.lexists(jar.path(_in_claims(jar, scenario.source)))


def _words_at_source(jar, scenario):
    path = os.path.relpath(jar.path(_in_claims(jar, scenario.source)), jar.home)
    return [word for word, found in invariants.places(jars.tree(jar)).items() if path in found]


def _act(jar, scenario):
    return lambda: scenario.act(jar, _in_claims(jar, scenario.source))


def _sweep(jar):
    """What recovery does about a dead process that owns nothing any more."""
    for name in fslook.names(jar.completed):
        reservation.void(jar, name, MINE, ATTEMPT)
    for name in fslook.names(jar.failed):
        reservation.drop_dangling(jar, name, LIVE)
    for state in states.QUEUES:
        for directory, _, files in os.walk(jar.directory(state)):
            for name in files:
                reservation.withdraw(jar, os.path.join(directory, name), MINE)
    for name in fslook.names(jar.limbo):
        if not reservation.withdraw(jar, os.path.join(jar.limbo, name), MINE) and name.startswith(layout.CLEANED):
            os.remove(os.path.join(jar.limbo, name))


def _violations(jar, scenario, before):
    """The invariants of every instant."""
    tree = jars.tree(jar)
    # A draft becomes a job by being submitted: until then limbo/ is not a place to look at.
    words = ["X"] if scenario.source.state != states.LIMBO else []
    lost = {path: text for path, text in before.items() if not (scenario.event == "clean" and _is_x(path, text))}
    return (invariants.one_place(tree, words, ["X"] if scenario.gone else []) + invariants.nothing_lost(tree, lost)
            + invariants.links(tree, ["X"] if scenario.bad else []) + invariants.no_link_is_a_job(tree)
            + invariants.untouched(tree, before, [path for path, text in before.items() if _may_move(path, text)]))


def _is_x(path, text):
    return invariants.word_of(text) == "X" or text == PRINTED


def _may_move(path, text):
    return (path.startswith(("notes/", "workers/")) or _is_x(path, text)
            or text == "-> " + layout.failed_link("a.0"))


def _end_violations(jar, scenario, before, submitted=True):
    """The invariants of every instant, and that nothing is left of the dead."""
    tree = {path: text for path, text in jars.tree(jar).items() if not path.startswith("workers/")}
    wrong = _violations(jar, scenario, before)
    if submitted:
        wrong += invariants.one_place(jars.tree(jar), [] if scenario.gone else ["X"])
        wrong += invariants.leftovers(tree, others=[LIVE])
        wrong += _half_completed(jar, scenario)
    return wrong


def _half_completed(jar, scenario):
    """What nobody will do any more for a job that is in completed/, since it has left its worker."""
    tree = jars.tree(jar)
    [found] = invariants.places(tree).get("X", [""])
    if scenario.event != "complete" or not found.startswith("completed/"):
        return []
    wrong = ["its notes are not closed"] if notes.open_attempts(jar, "a.0", "C1") else []
    return wrong + ([] if tree.get("logs/" + os.path.basename(found)) == PRINTED else ["its log is missing"])


_numbers = itertools.count()


def _jar(workplace, scenario):
    jar = _prepare(os.path.join(workplace, str(next(_numbers))), scenario)
    return jar, jars.tree(jar)


def _try(points, workplace, scenario, fault, redo=True):
    """One point: the fault, the invariants at once, the repetition (or only the sweep), the invariants at the end."""
    jar, before = _jar(workplace, scenario)
    outcome = faults.strike(_act(jar, scenario), fault, jar.home)
    wrong = [] if outcome.hit else ["the fault did not strike"]
    wrong += faults.dishonest(fault, outcome)
    wrong += _violations(jar, scenario, before)
    if not outcome.error and not outcome.died and "X" in _words_at_source(jar, scenario):
        wrong.append("it did not move, and nobody is told")
    if redo and (_is_at_source(jar, scenario) or scenario.event == "complete" and scenario.gone):
        _act(jar, scenario)()
    _sweep(jar)
    wrong += _end_violations(jar, scenario, before, submitted=redo or scenario.source.state != states.LIMBO)
    points.add(f"{faults.struck(fault, outcome)} redo={redo}", wrong)
    shutil.rmtree(jar.home)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_move_killed_at_any_operation_leaves_the_job_in_one_place(name, workplace, points):
    scenario = SCENARIOS[name]
    jar, _ = _jar(workplace, scenario)
    trace = faults.count(_act(jar, scenario), jar.home)
    for fault in faults.points(trace, BEFORE, AFTER, TORN, CUT):
        _try(points, workplace, scenario, fault, redo=True)
    for fault in faults.points(trace, BEFORE):
        _try(points, workplace, scenario, fault, redo=False)
    points.verdict()


SILENT = ["complete", "complete badly", "give up", "refuse", "cancel", "doom what was named by hand"]


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_job_never_takes_over_a_log_that_somebody_has_left_behind(name, workplace, points):
    def prepare():
        jar = _new_jar(workplace)
        jars.worker(jar, OWNER, "C1")
        jars.put(jar, _in_claims(jar, SCENARIOS[name].source), "X")
        jars.write(jar.log("a.0"), PRINTED)
        return jar
    jar = prepare()
    for fault in faults.points(faults.count(_act(jar, SCENARIOS[name]), jar.home), BEFORE, AFTER, LOST):
        jar = prepare()
        outcome = faults.strike(_act(jar, SCENARIOS[name]), fault, jar.home)
        if _is_at_source(jar, SCENARIOS[name]):
            _act(jar, SCENARIOS[name])()
        [[found]] = invariants.places(jars.tree(jar)).values()
        wrong = ["it has another's log"] if os.path.basename(found) == "a.0" else []
        points.add(faults.struck(fault, outcome), wrong + ["the log is gone"] * (not os.path.exists(jar.log("a.0"))))
    points.verdict()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_lost_reply_is_understood(name, workplace, points):
    scenario = SCENARIOS[name]
    jar, _ = _jar(workplace, scenario)
    trace = faults.count(_act(jar, scenario), jar.home)
    for fault in faults.points(trace, LOST, LATE):
        _try(points, workplace, scenario, fault)
    points.verdict()


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_error_of_any_system_call_loses_nothing_and_is_told(name, workplace, points, some):
    scenario = SCENARIOS[name]
    jar, _ = _jar(workplace, scenario)
    undisturbed = faults.strike(_act(jar, scenario), faults.EVERY_READ, jar.home)
    for fault in some(faults.all_errors(undisturbed.trace, undisturbed.reads), 3):
        _try(points, workplace, scenario, fault)
    points.verdict()


# What commands do besides moving a job: writing it, and leaving markers.

TEXTS = [jars.script(word) for word in ("one", "two", "three")]
QUEUES = ("unclaimed/", "waiting/", "held/")


def _submissions(jar):
    # An empty directory has no text, and a file of which nothing was on the disk an empty one.
    found = [text for path, text in jars.tree(jar).items() if path.startswith(QUEUES) and text is not None]
    return sorted(found), [text for text in found if text not in TEXTS]


def _new_jar(workplace):
    return jars.make(os.path.join(workplace, str(next(_numbers))))


def _submission(number):
    """What submits so many of TEXTS, one by one or many at once."""
    requests = [submission.Request(text.encode(), category="C1", state=queue[:-1])
                for text, queue in zip(TEXTS[:number], QUEUES)]
    if number == 1:
        return lambda jar: submission.submit(jar, requests[0])
    return lambda jar: submission.submit_many(jar, requests)


def _try_to_submit(points, workplace, number, fault):
    jar, done = _new_jar(workplace), []
    outcome = faults.strike(lambda: done.append(_submission(number)(jar)), fault, jar.home)
    found, torn = _submissions(jar)
    wrong = faults.dishonest(fault, outcome) + [f"a torn job: {text!r}" for text in torn]
    if done and found != sorted(TEXTS[:number]):
        wrong.append(f"submitted, but there is {found}")
    if outcome.error:
        wrong += _misreported(outcome.error.strip().rpartition("\n")[2], len(found), number)
        wrong += [f"{name} is left" for name in os.listdir(jar.limbo)]
    points.add(faults.struck(fault, outcome), wrong)
    shutil.rmtree(jar.home)


def _misreported(sentence, count, total):
    """What an error says of so many jobs that are submitted, when that is not so."""
    part = re.search(r"(\d+) of \d+ jobs are submitted", sentence)
    said = int(part[1]) if part else total if ": submitted, but" in sentence else 0
    return [f"{count} are submitted, and it says: {sentence}"] if said != count else []


@pytest.mark.parametrize("number, kinds", [(1, (BEFORE, AFTER, TORN, CUT, LOST)), (3, (BEFORE, AFTER, TORN, LOST))])
def test_a_submission_that_is_struck_anywhere_shows_whole_jobs_or_none(number, kinds, workplace, points):
    jar = _new_jar(workplace)
    for fault in faults.points(faults.count(lambda: _submission(number)(jar), jar.home), *kinds):
        _try_to_submit(points, workplace, number, fault)
    points.verdict()


@pytest.mark.parametrize("number", [1, 3])
def test_a_submission_says_truly_what_an_error_of_any_system_call_has_left_of_it(number, workplace, points):
    jar = _new_jar(workplace)
    undisturbed = faults.strike(lambda: _submission(number)(jar), faults.EVERY_READ, jar.home)
    for fault in faults.all_errors(undisturbed.trace, undisturbed.reads):
        _try_to_submit(points, workplace, number, fault)
    points.verdict()


# Command → the marker that it makes.
MARKERS = {
    "stop": (lambda jar: orders.stop(jar, ["all"]), "STOP"),
    "pause": (lambda jar: orders.pause(jar, ["all"]), "PAUSE"),
    "renew": (lambda jar: orders.renew(jar, WORKERS), "RENEW"),
}
WORKERS = ["rain.1", "rain.2"]


@pytest.mark.parametrize("name", MARKERS)
def test_a_marker_that_was_struck_anywhere_is_there_or_not_and_can_be_set_again(name, workplace, points):
    jar = _new_jar(workplace)
    order, marker = MARKERS[name]
    for worker in WORKERS:
        jars.worker(jar, worker)
    undisturbed = faults.strike(lambda: order(jar), faults.EVERY_READ, jar.home)
    for fault in [*faults.points(undisturbed.trace, BEFORE, AFTER, LOST),
                  *faults.all_errors(undisturbed.trace, undisturbed.reads)]:
        _try_to_mark(points, jar, order, marker, fault)
    points.verdict()


def _try_to_mark(points, jar, order, marker, fault):
    for worker in WORKERS:
        fsops.remove(os.path.join(jar.worker(worker), marker))
    reached = []
    outcome = faults.strike(lambda: reached.extend(order(jar)), fault, jar.home)
    wrong = faults.dishonest(fault, outcome)
    wrong += [f"{worker} has {os.listdir(jar.worker(worker))}" for worker in WORKERS
              if not {marker, "claims"}.issuperset(os.listdir(jar.worker(worker)))]
    wrong += _unmarked(jar, marker, reached)
    if not outcome.error and not outcome.died and reached != WORKERS:
        wrong.append(f"{reached} were reached, and nobody is told")
    order(jar)
    points.add(faults.struck(fault, outcome), wrong + _unmarked(jar, marker, WORKERS))


def _unmarked(jar, marker, workers):
    return [f"{worker} was not reached" for worker in workers if marker not in os.listdir(jar.worker(worker))]


# Two at once: the rival acts as a whole between two operations of the mover.

RIVAL = reservation.text("there.1", "theirs-1")
RIVAL_WORK = "there.1"


def _rival_claims(jar, word):
    """A job of the same name that another worker holds."""
    place = Place(states.CLAIMS, "C1", "a.0", jars.worker(jar, RIVAL_WORK, "C1"))
    return jars.put(jar, place, word)


def _rival_completes(bad):
    def prepare(jar):
        place = _rival_claims(jar, "R")
        output = jars.write(os.path.join(jar.worker(RIVAL_WORK), "output"), "what R printed\n")
        return lambda: moves.complete(jar, place, RIVAL, bad=bad, output=output)
    return prepare


def _rival_from_claims(move):
    def prepare(jar):
        place = _rival_claims(jar, "R")
        return lambda: move(jar, place, RIVAL)
    return prepare


def _rival_on_x(move):
    """The rival wants the very same job; it may come too late."""
    def prepare(jar):
        return lambda: move(jar)
    return prepare


RIVALS = {
    "a namesake ends well": (_rival_completes(False), []),
    "a namesake ends badly": (_rival_completes(True), ["R"]),
    "a namesake is put back": (_rival_from_claims(moves.recover), []),
    "a namesake is given up": (_rival_from_claims(moves.give_up), []),
    "a namesake is requeued to wait": (_rival_from_claims(
        lambda jar, place, mine: moves.requeue(jar, place, mine, states.WAITING)), []),
    "a namesake is requeued to be held": (_rival_from_claims(
        lambda jar, place, mine: moves.requeue(jar, place, mine, states.HELD)), []),
    "all namesakes are cancelled": (_rival_on_x(lambda jar: _cancel_all(jar)), []),
    "all namesakes are claimed": (_rival_on_x(lambda jar: _claim_all(jar)), []),
    "what is completed is retried": (_rival_on_x(lambda jar: moves.retry(
        jar, Place(states.COMPLETED, None, "a.0"), RIVAL, "C1", "twice")), []),
    "what is completed is retried, and a namesake takes its name": (_rival_on_x(lambda jar: _retry_and_hold(jar)), []),
    "what is held is released": (_rival_on_x(lambda jar: moves.release(
        jar, Place(states.HELD, "C1", "a.0"), RIVAL)), []),
}


def _cancel_all(jar):
    for state in states.QUEUES:
        moves.cancel(jar, Place(state, "C1", "a.0"), RIVAL)


def _retry_and_hold(jar):
    # A namesake that ends just now holds the name; whoever believes his earlier look carries that off as a job.
    if moves.retry(jar, Place(states.COMPLETED, None, "a.0"), RIVAL, "C1", "twice"):
        os.symlink(RIVAL, os.path.join(jar.completed, "a.0"))


def _claim_all(jar):
    claims = jars.worker(jar, "there.2", "C1")
    for name in fslook.names(jar.directory(states.UNCLAIMED, "C1")):
        moves.claim(jar, Place(states.UNCLAIMED, "C1", name), claims)
        if fslook.link_text(os.path.join(claims, "C1", name)):
            os.remove(os.path.join(claims, "C1", name))


@pytest.mark.parametrize("rival", RIVALS)
def test_two_moves_at_once_lose_and_overwrite_nothing(rival, workplace, points):
    for name, scenario in SCENARIOS.items():
        jar, _ = _jar(workplace, scenario)
        trace = faults.count(_act(jar, scenario), jar.home)
        for at in range(1, len(trace) + 1):
            _rivalry(points, workplace, scenario, name, rival, at)
    points.verdict()


def _rivalry(points, workplace, scenario, name, rival, at):
    jar, _ = _jar(workplace, scenario)
    prepare, bad = RIVALS[rival]
    act = prepare(jar)
    before = jars.tree(jar)
    words = [word for word in invariants.places(before) if not (word == "X" and scenario.gone)]
    outcome = faults.strike(_act(jar, scenario), Fault(MEANWHILE, at, act), jar.home)
    tree = jars.tree(jar)
    bad = bad + (["X"] if scenario.bad else [])
    kept = {path: text for path, text in before.items() if not (scenario.event == "clean" and _is_x(path, text))}
    wrong = [outcome.error] if outcome.error else []
    wrong += invariants.one_place(tree, words, ["X"] if scenario.gone else [])
    wrong += invariants.nothing_lost(tree, kept) + invariants.links(tree, bad) + invariants.no_link_is_a_job(tree)
    points.add(f"{name}, {rival} at {at} {outcome.trace[at - 1:at]}", wrong)
    shutil.rmtree(jar.home)
