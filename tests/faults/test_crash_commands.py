"""Every command that changes jobs, killed at every operation; then recovery, and the command once more.

In this process: a command is what its module does after it has found its jobs, as a process that is dead afterwards.
"""

import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import time
from collections import namedtuple

import pytest
from support import faults, invariants, jars, workers
from support.accounts import end, journal
from support.faults import AFTER, BEFORE, CUT, LOST, TORN, Fault

from jobjar import cancelling, changing, claiming, clearance, directives, editing, ends, fetching, fslook, harvest
from jobjar import inspection, jobname, layout, mending, node, notes, process, registration, reservation, retrying, spool
from jobjar import staging, states, store, submission
from jobjar.findings import INFORMATION
from jobjar.journal import Journal
from jobjar.layout import Place
from jobjar.recovery import Recovery
from jobjar.spool import Spool

NODE, CATEGORY, WORKER = "here", "C1", "here.77"
ARRAY = "20261121-101500-me-000001000"
PRINTED = "what X printed\n"
# No kernel gives a process such numbers, so their owners are dead, provably.
_dead, _numbers = itertools.count(2**22 + 1), itertools.count()

# `put(jar)` makes the jobs, all of the word X; `act(change, places)` is the command, of the jobs at these places.
# `wanted`: the id of each of them → what holds of it, asked with the jar and its place, when the command has done its
# work; `may`: the states in which they may be when it was killed; `is_bad`: whether they end badly; `is_crowded`:
# whether there are namesakes wherever they go.
Scenario = namedtuple("Scenario", "put act wanted may is_bad is_crowded", defaults=(False, True))


def person(jar):
    """A Change by a process that is dead as soon as it has acted."""
    change = changing.Change(jar, NODE)
    change.me = change.me._replace(pid=next(_dead))
    change.writer, change.token = node.owner(change.me), f"{node.nonce(change.me)}-{next(_numbers)}"
    change.mine = reservation.text(change.writer, change.token)
    return change


# The jobs.

def in_queue(state, name="a.0", asks=""):
    return lambda jar: put(jar, Place(state, CATEGORY, name), "X", asks)


def put(jar, place, word, asks=""):
    """A job of that word."""
    path = jar.path(place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    jars.write(path, f"#!/bin/sh\n# job {word}\n" + (f"#JJ {asks}\n" if asks else ""))


def ended(state, name="a.0", asks="", number=1):
    """A job of CATEGORY that ended so, and has printed something."""
    def make(jar):
        place = Place("completed", None, name)
        put(jar, place, "X", asks)
        jars.write(jar.log(name), PRINTED)
        journal(jar, WORKER, end(number, name, c=CATEGORY, ino=os.stat(jar.path(place)).st_ino, state=state))
        if state != "COMPLETED":
            os.symlink(layout.failed_link(name), os.path.join(jar.failed, name))
    return make


def buried(event, name="a.0"):
    """A job of CATEGORY that has come to failed/ by this event."""
    def make(jar):
        put(jar, Place("failed", None, name), "X")
        notes.count(jar, "there.1", name, CATEGORY, "earlier-1", "its worker died")
        notes.add(jar, "there.1", name, CATEGORY, event, why="so it was")
    return make


def tasks(jar):
    """The tasks of an array, names of one file."""
    first = Place(states.UNCLAIMED, CATEGORY, f"{ARRAY}_1.0")
    put(jar, first, "X", "--submit-dir=/ --array=1-3")
    for index in (2, 3):
        os.link(jar.path(first), jar.path(first._replace(name=f"{ARRAY}_{index}.0")))


def several(jar):
    for name in ("a.0", "b.0", "c.0"):
        in_queue(states.UNCLAIMED, name)(jar)


# What is to have come of them.

def lies_in(state, category=CATEGORY, priority=0):
    def is_so(jar, place):
        return (place.state, place.category, jobname.split(place.name)[1]) == (state, category, priority)
    return is_so


def is_cancelled(jar, place):
    return place.state == "failed" and notes.burial(jar, place.name) == "cancel"


def is_retried():
    def is_so(jar, place):
        counts = notes.tally(jar, place.name, CATEGORY)
        kept = [name for name in fslook.names(jar.logs) if jars.read(jar.log(name)) == PRINTED]
        is_back = lies_in(states.UNCLAIMED)(jar, place) or lies_in(states.WAITING)(jar, place)
        return is_back and not any(counts) and all(".attempt-" in name for name in kept)
    return is_so


def asks_for(**wanted):
    def is_so(jar, place):
        asked = claiming.request(jar.path(place))
        return place.state in states.QUEUES and "~edit" not in place.name \
            and all(asked.get(key) == value for key, value in wanted.items())
    return is_so


def wishes(*words):
    request = {}
    directives.take(request, list(words))
    return request


def edit(*words):
    return lambda change, places: editing.edit(change, places, wishes(*words))


def edit_text(change, places):
    editing.edit_text(change, places, lambda data: data if b"true" in data else data + b"true\n")


def retry_failed(change, _):
    retrying.retry(change, ends.failed(change.jar))


LATER = "--begin=2999-01-01"
QUEUED, HELD, WAITING = in_queue(states.UNCLAIMED), in_queue(states.HELD), in_queue(states.WAITING, asks=LATER)
WITH_CAP = "--submit-dir=/ --array=1-4%1"
MEM = 3 * 2**30


def on_one(put, act, done, may, id="a", **more):
    return Scenario(put, act, {id: done}, {*may.split()}, **more)


SCENARIOS = {
    "hold": on_one(QUEUED, lambda change, places: changing.hold(change, places, "not yet"),
                   lies_in("held"), "unclaimed held"),
    "hold what waits": on_one(WAITING, changing.hold, lies_in("held"), "waiting held"),
    "release": on_one(HELD, changing.release, lies_in("unclaimed"), "held unclaimed"),
    "release to wait": on_one(in_queue(states.HELD, asks=LATER), changing.release,
                              lies_in("waiting"), "held waiting"),
    "move": on_one(QUEUED, lambda change, places: changing.alter(change, places, category="C2"),
                   lies_in("unclaimed", "C2"), "unclaimed"),
    "move what is held": on_one(HELD, lambda change, places: changing.alter(change, places, category=None),
                                lies_in("held", None), "held"),
    "first": on_one(QUEUED, changing.first, lambda jar, place: jobname.split(place.name)[1] > 7, "unclaimed"),
    "edit": on_one(QUEUED, edit("--mem=3G"), asks_for(mem=MEM), "unclaimed held"),
    "edit what is held": on_one(HELD, edit("--mem=3G"), asks_for(mem=MEM), "held"),
    "edit what waits": on_one(WAITING, edit("--mem=3G"), asks_for(mem=MEM), "waiting held"),
    "edit all of it": on_one(QUEUED, edit("--mem=3G", "--priority=5", "--category=C2"), asks_for(mem=MEM),
                             "unclaimed held"),
    "edit the text": on_one(QUEUED, edit_text, lambda jar, place: jars.read(jar.path(place)).endswith("true\n"),
                            "unclaimed held"),
    "cancel": on_one(QUEUED, cancelling.cancel, is_cancelled, "unclaimed failed"),
    "cancel what is held": on_one(HELD, cancelling.cancel, is_cancelled, "held failed"),
    "cancel what waits": on_one(WAITING, cancelling.cancel, is_cancelled, "waiting failed"),
    "retry": on_one(ended("COMPLETED"), retrying.retry, is_retried(), "completed unclaimed"),
    "retry what failed": on_one(ended("FAILED"), retrying.retry, is_retried(), "completed unclaimed", is_bad=True),
    "retry a task": on_one(ended("FAILED", f"{ARRAY}_1.0", asks=WITH_CAP), retrying.retry, is_retried(),
                           "completed waiting unclaimed", f"{ARRAY}_1", is_bad=True),
    "retry what was cancelled": on_one(buried("cancel"), retrying.retry, is_retried(), "failed unclaimed"),
    "retry what was given up": on_one(buried("give_up"), retrying.retry, is_retried(), "failed unclaimed"),
    "retry all that failed": Scenario(
        lambda jar: [make(jar) for make in (ended("FAILED", "b.0"), ended("TIMEOUT", "c.0", number=2), buried("cancel"),
                                            buried("give_up", "d.0"))],
        retry_failed, {"a": is_cancelled, "b": is_retried(), "c": is_retried(), "d": is_retried()},
        {"completed", "failed", "unclaimed"}, is_bad=True, is_crowded=False),
    "hold several": Scenario(several, changing.hold, dict.fromkeys("abc", lies_in("held")), {"unclaimed", "held"}),
    "cancel several": Scenario(several, cancelling.cancel, dict.fromkeys("abc", is_cancelled), {"unclaimed", "failed"}),
    "cancel an array": Scenario(tasks, cancelling.cancel, {f"{ARRAY}_{index}": is_cancelled for index in (1, 2, 3)},
                                {"unclaimed", "failed"}),
    "edit a task": Scenario(
        tasks, lambda change, places: editing.edit(change, [place for place in places if "_2" in place.name],
                                                   wishes("--mem=3G")),
        {f"{ARRAY}_1": asks_for(mem=None), f"{ARRAY}_2": asks_for(mem=MEM), f"{ARRAY}_3": asks_for(mem=None)},
        {"unclaimed", "held"}),
}


# What must hold.

def stem(path):
    """The id of a job, whatever was made of it when the name was taken or while it is edited."""
    return re.sub(r"(~edit)?(~\d+)?$", "", jobname.split(os.path.basename(path))[0])


def subjects(jar):
    """The id of each of the jobs that the command is about → where it is."""
    found = {}
    for path in invariants.places(jars.tree(jar)).get("X", ()):
        found.setdefault(stem(path), []).append(path)
    return found


def place_of(path):
    state, *category, name = path.split("/")
    return Place(state, category[0] if category else None, name)


def violations(jar, scenario, before):
    """The invariants of every instant."""
    tree, found = jars.tree(jar), subjects(jar)
    wrong = [f"{id} is in {found.get(id, 'no place')}" for id in scenario.wanted if len(found.get(id, ())) != 1]
    others = {path: text for path, text in before.items() if "# job X\n" not in (text or "")}
    return wrong + invariants.nothing_lost(tree, others) + invariants.no_link_is_a_job(tree) + invariants.links(
        tree, ["X"] if scenario.is_bad else [])


def tidy(jar):
    """What recovery should have mended and has not, and what nobody would be told of."""
    said = inspection.inspect(jar, node.myself(NODE))
    wrong = [f"{one.kind}: {one.path}: {one.says}" for one in said if one.severity != INFORMATION]
    wrong += [line for line in invariants.leftovers(jars.tree(jar)) if "/claims/" not in line]
    return wrong + [f"{path} is left" for path in jars.tree(jar) if "/." in path]


def done(jar, scenario):
    found = subjects(jar)
    return [f"{id} is in {found[id]}, which is not what was wanted" for id, is_so in scenario.wanted.items()
            if id in found and not is_so(jar, place_of(found[id][0]))]


def prepare(workplace, scenario):
    jar = jars.make(os.path.join(workplace, f"commands-{next(_numbers)}"))
    scenario.put(jar)
    put(jar, Place("unclaimed", CATEGORY, "z.7"), "z")
    if scenario.is_crowded:
        for place in (*(Place(state, category, "a.0") for state in states.QUEUES for category in (CATEGORY, "C2")),
                      Place("unclaimed", CATEGORY, "a.8"), Place("completed", None, "a.0"),
                      Place("failed", None, "a~2.0")):
            if not os.path.lexists(jar.path(place)) and not os.path.lexists(os.path.join(jar.failed, place.name)):
                put(jar, place, str(place), LATER if place.state == "waiting" else "")
    return jar


def act(jar, scenario):
    """The command, of the jobs where they are now."""
    change = person(jar)
    scenario.act(change, [place_of(path) for paths in subjects(jar).values() for path in paths])
    return change


def recover(jar):
    return Recovery(jar, node.myself(NODE)._replace(pid=next(_dead)), 3).node().left


def try_one(points, workplace, scenario, fault):
    """The command struck by `fault`; recovery and the command once more, or the other way round."""
    for is_at_once in (False, True):
        jar = prepare(workplace, scenario)
        before = jars.tree(jar)
        outcome = faults.strike(lambda: act(jar, scenario), fault, jar.home)
        wrong = [] if outcome.hit else ["the fault did not strike"]
        wrong += faults.dishonest(fault, outcome) + violations(jar, scenario, before)
        if is_at_once:
            act(jar, scenario)
            wrong += violations(jar, scenario, before)
        wrong += recover(jar)
        states_now = {path.split("/")[0] for paths in subjects(jar).values() for path in paths}
        wrong += [f"it is in {states_now}"] if not states_now <= scenario.may else []
        wrong += tidy(jar)
        act(jar, scenario)
        wrong += recover(jar) + violations(jar, scenario, before) + tidy(jar) + done(jar, scenario)
        points.add(f"{faults.struck(fault, outcome)}, {'again at once' if is_at_once else 'recovered first'}", wrong)
        shutil.rmtree(jar.home)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(inspection, "PAUSES", (0.0,))
    monkeypatch.setattr(changing, "PAUSE", 0.0)
    # No orphan of the dead is alive: looking for them a thousand times takes a minute.
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_command_killed_at_any_operation_is_completed_by_the_same_command(name, workplace, points, some):
    scenario = SCENARIOS[name]
    jar = prepare(workplace, scenario)
    trace = faults.count(lambda: act(jar, scenario), jar.home)
    recover(jar)
    assert done(jar, scenario) == tidy(jar) == []
    for fault in some(faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST), 16):
        try_one(points, workplace, scenario, fault)
    points.verdict()


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_error_of_any_system_call_of_a_command_loses_nothing_and_is_told(name, workplace, points, some):
    scenario = SCENARIOS[name]
    jar = prepare(workplace, scenario)
    undisturbed = faults.strike(lambda: act(jar, scenario), faults.EVERY_READ, jar.home)
    # One error that is a refusal, and one after which nobody knows what has happened.
    chosen = [fault for fault in faults.all_errors(undisturbed.trace, undisturbed.reads)
              if fault.more in (errno.ENOSPC, errno.EIO)]
    for fault in some(chosen, 50):
        jar, told = prepare(workplace, scenario), []
        before = jars.tree(jar)
        outcome = faults.strike(lambda: told.append(act(jar, scenario)), fault, jar.home)
        wrong = faults.dishonest(fault, outcome) + violations(jar, scenario, before)
        wrong += recover(jar) + tidy(jar)
        if not outcome.error and not told[0].left:
            wrong += [f"nobody is told, and {line}" for line in done(jar, scenario)]
        act(jar, scenario)
        wrong += recover(jar) + violations(jar, scenario, before) + tidy(jar) + done(jar, scenario)
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()


@pytest.mark.parametrize("name", ["cancel", "cancel what is held"])
def test_why_a_job_is_in_failed_is_noted_under_its_name_there_before_it_comes(name, workplace):
    jar = prepare(workplace, SCENARIOS[name])
    trace = faults.count(lambda: act(jar, SCENARIOS[name]), jar.home)
    [at] = [at for at, line in enumerate(trace, 1) if line.startswith("os.rename") and "→" in line and "/failed/" in line]
    jar = prepare(workplace, SCENARIOS[name])
    assert faults.strike(lambda: act(jar, SCENARIOS[name]), Fault(AFTER, at), jar.home).died
    [place] = map(place_of, subjects(jar)["a"])
    # A namesake has taken its own.
    assert place.name == "a~3.0" and is_cancelled(jar, place)


# A job that runs on another node, whose worker does not answer.

FAR = node.myself("there")._replace(boot="0" * 36, machine="another", pid=77)
RUNNING = Place(states.CLAIMS, CATEGORY, "a.0")


def far_away(workplace):
    """A jar with the job X, which runs there."""
    jar = jars.make(os.path.join(workplace, f"commands-{next(_numbers)}"))
    assert registration.write(jar, FAR, {"uid": os.geteuid(), "lock": ""})
    put(jar, running(jar), "X")
    work = Journal(jar.worker(node.owner(FAR)))
    work.intend(f"{node.nonce(FAR)}-1", CATEGORY, "a.0", sync=True)
    work.close()
    return jar


def running(jar):
    return RUNNING._replace(holder=jar.claims(node.owner(FAR)))


def cancel_far_away(jar):
    change = person(jar)
    # Nobody is waited for.
    cancelling.cancel(change, [running(jar)], order_time=-60.0)


def orders(jar):
    """What its worker may obey, and what is wrong with what is there besides."""
    top = jar.orders(node.owner(FAR))
    names = fslook.names(top) if os.path.isdir(top) else []
    given = [json.loads(jars.read(os.path.join(top, name))) for name in names if not name.startswith(".")]
    return given, [f"{name} is in orders/" for name in names if name.startswith(".")]


def is_noted(jar):
    return notes.cancelled(jar, "a.0", CATEGORY, f"{node.nonce(FAR)}-1") is not None


def test_a_cancel_of_a_running_job_killed_anywhere_is_an_order_or_none_and_counts_when_its_node_is_lost(
        workplace, points):
    jar = far_away(workplace)
    trace = faults.count(lambda: cancel_far_away(jar), jar.home)
    assert len(orders(jar)[0]) == 1 and is_noted(jar) and tidy(jar) == []
    for fault in faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST):
        for is_repeated in (False, True):
            jar = far_away(workplace)
            outcome = faults.strike(lambda: cancel_far_away(jar), fault, jar.home)
            wrong = faults.dishonest(fault, outcome) + recover(jar) + tidy(jar)
            if is_repeated:
                cancel_far_away(jar)
            given, more = orders(jar)
            wrong += more + ["an order, and no note"] * (bool(given) and not is_noted(jar))
            wrong += ["nobody is told to end it"] * (is_repeated and not given)
            is_unwanted = is_noted(jar)
            recovery = Recovery(jar, node.myself(NODE)._replace(pid=next(_dead)), 3)
            wrong += recovery.vouched(recovery.believe("there")).left + tidy(jar)
            [place] = map(place_of, subjects(jar)["a"])
            if (place.state == "failed" and is_cancelled(jar, place)) != is_unwanted:
                wrong.append(f"it is in {place}, and {'was' if is_unwanted else 'was not'} cancelled")
            points.add(f"{faults.struck(fault, outcome)}, {'repeated' if is_repeated else 'once'}", wrong)
    points.verdict()


# What a job has made.

MADE = {"one": "1\n" * 5000, "two/three": "3\n"}


def harvested(jar, name):
    """What is wrong with a directory in staged/."""
    top = os.path.join(jar.staged, name)
    found = {path.removeprefix(f"staged/{name}/"): text for path, text in jars.tree(jar).items()
             if path.startswith(f"staged/{name}/")}
    return [] if found == MADE else [f"{top} has {list(found)}"]


def test_a_worker_killed_while_it_carries_out_what_a_job_has_made_leaves_all_of_it_or_nothing(workplace, points):
    top = os.path.join(workplace, "made")
    for name, text in MADE.items():
        os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
        jars.write(os.path.join(top, name), text)

    def carry_out(jar):
        worker = node.myself(NODE)._replace(pid=next(_dead))
        return harvest.carry_out(jar, worker, {"stage_out": ["one", "two"]}, top, "a")[0]
    jar = jars.make(os.path.join(workplace, "harvest"))
    trace = faults.count(lambda: carry_out(jar), jar.home)
    assert harvested(jar, "a") == tidy(jar) == []
    for fault in faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST):
        jar = jars.make(os.path.join(workplace, f"harvest-{next(_numbers)}"))
        outcome = faults.strike(lambda: carry_out(jar), fault, jar.home)
        wrong = faults.dishonest(fault, outcome) + recover(jar) + tidy(jar)
        name = carry_out(jar)
        wrong += ["a name is taken twice"] * (name not in ("a", "a~2")) + tidy(jar)
        for name in fslook.names(jar.staged):
            wrong += harvested(jar, name)
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()


def test_a_fetch_that_is_killed_is_completed_by_the_next_which_leaves_nothing_half_made(workplace, points):
    jar = jars.make(os.path.join(workplace, "fetch"))
    for name, text in MADE.items():
        os.makedirs(os.path.dirname(os.path.join(jar.home, "staged/a", name)), exist_ok=True)
        jars.write(os.path.join(jar.home, "staged/a", name), text)

    def fetch(target):
        return fetching.bring(jar, "a", target, {"one": hashlib.sha256(b"given\n").hexdigest()})

    def prepare():
        target = os.path.join(workplace, f"fetched-{next(_numbers)}")
        os.mkdir(target)
        # An input, as the job had got it, and what somebody has made meanwhile.
        jars.write(os.path.join(target, "one"), "given\n")
        os.mkdir(os.path.join(target, "two"))
        jars.write(os.path.join(target, "two", "three"), "somebody's\n")
        return target
    target = prepare()
    wanted = {"one": MADE["one"], "two/three": "somebody's\n", "two/three.a": MADE["two/three"]}
    for fault in faults.points(faults.count(lambda: fetch(target), target), BEFORE, AFTER, TORN, LOST):
        target = prepare()
        outcome = faults.run(lambda: fetch(target), fault, target)
        wrong = faults.dishonest(fault, outcome)
        fetch(target)
        points.add(faults.struck(fault, outcome), wrong + [f"there is {jars.tree(target)}"] * (
            jars.tree(target) != wanted))
    points.verdict()


# What a job brings along.

def test_a_submission_killed_while_it_keeps_files_for_its_job_leaves_whole_contents_that_go_when_nobody_wants_them(
        workplace, points):
    top = os.path.join(workplace, "brought")
    os.makedirs(top)
    for name in ("one", "two", "alike"):
        jars.write(os.path.join(top, name), f"{name[0]}\n" * 5000)
    jars.write(os.path.join(top, "three"), "o\n" * 5000)

    def keep(jar):
        return staging.prepare(jar, {"snapshot": "."}, top)
    jar = jars.make(os.path.join(workplace, "store"))
    trace = faults.count(lambda: keep(jar), jar.home)
    assert torn(jar) == []
    for fault in faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST):
        jar = jars.make(os.path.join(workplace, f"store-{next(_numbers)}"))
        outcome = faults.strike(lambda: keep(jar), fault, jar.home)
        wrong = faults.dishonest(fault, outcome) + torn(jar)
        given = keep(jar)
        wrong += torn(jar) + [f"{item} is missing" for item in staging.items(jar, given["staged"])
                              if not os.path.exists(store.path_of(jar, item.digest))]
        # No job names them: nothing is left in the end, of drafts neither.
        clearance.sweep_store(jar, time.time() + store.KEPT + 60)
        wrong += [f"{path} is left" for path, text in jars.tree(jar).items() if path.startswith("store/") and text]
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()


def torn(jar):
    """The contents that are not what their names say."""
    found = {path: text for path, text in jars.tree(jar).items() if path.count("/") == 2 and path.startswith("store/")}
    return [f"{path} is torn" for path, text in found.items() if not os.path.basename(path).startswith(".")
            and hashlib.sha256(text.encode()).hexdigest() != os.path.basename(path)]


# What `jobjar run` prints through.

def submit_as_run(jar):
    """What its client does up to the submission, and the note of whose spool it is."""
    mine = Spool(jar, node.myself(NODE)._replace(pid=next(_dead)))
    text = f"#!/bin/sh\n# job X\n#JJ --output={mine.file('out')} --error={mine.file('err')}\n"
    mine.note(jobname.split(submission.submit(jar, submission.Request(text.encode())).name)[0])


def end_it(jar, *spools):
    """What has been submitted is run by hand, and prints into its spool."""
    for path in (path for paths in subjects(jar).values() for path in paths):
        with open(os.path.join(spools[0], "out"), "a", encoding="utf-8") as out:
            out.write(PRINTED)
        os.rename(os.path.join(jar.home, path), os.path.join(jar.completed, os.path.basename(path)))


def test_of_a_client_of_run_that_is_killed_nothing_is_lost_and_nothing_left_that_nobody_is_told_of(
        workplace, points, own_local):
    jar = jars.make(os.path.join(workplace, "run"))
    trace = faults.count(lambda: submit_as_run(jar), jar.home)
    for fault in faults.points(trace, BEFORE, AFTER, TORN, LOST):
        jar = jars.make(os.path.join(workplace, f"run-{next(_numbers)}"))
        outcome = faults.strike(lambda: submit_as_run(jar), fault, jar.home)
        wrong = faults.dishonest(fault, outcome) + recover(jar)
        spools = [os.path.join(jar.limbo, name) for name in fslook.names(jar.limbo) if name.startswith(layout.RUN)]
        is_known = bool(spools) and spool.job_of(spools[0]) is not None
        wrong += ["it is said to be another's"] * (is_known and spool.job_of(spools[0]) not in subjects(jar))
        wrong += ["a job whose spool is gone"] * (bool(subjects(jar)) and not spools)
        end_it(jar, *spools)
        mending.mend(jar, workers.settings(jar, JJ_NODE=NODE))
        kept = [text for path, text in jars.tree(jar).items() if text == PRINTED]
        wrong += [f"of {subjects(jar)} is kept {kept}"] * (len(kept) != len(subjects(jar)))
        said = {one.path for one in inspection.inspect(jar, node.myself(NODE)) if one.kind == "spool-of-nobody"}
        wrong += [f"{spools}, known {is_known}, told {said}"] * (said != (set() if is_known else set(spools)))
        points.add(faults.struck(fault, outcome), wrong)
        shutil.rmtree(jar.home)
    points.verdict()
