"""A whole `jobjar clean`, of jobs and a worker's directory, killed at every operation: no record is ever lost."""

import itertools
import os
import shutil
import time

from support import faults, invariants, jars
from support.accounts import end, failed, journal
from support.faults import AFTER, BEFORE, CUT, LOST, TORN
from test_cleaning import furnish

from jobjar import cleaning, clearance, history, inspection, layout, leftovers, node, notes
from jobjar.cleaning import Criteria
from jobjar.history import Wanted
from jobjar.layout import Place

ME = node.myself("rain")
WORKER, GONE = "rain.77", "rain.78"
OLD = 10 * 86400
_numbers, _dead = itertools.count(), itertools.count(2**22 + 1)


def prepare(workplace):
    """A jar with a job that ended well, one that ended badly, one that never ran, one that waits, and two workers."""
    jar = jars.make(os.path.join(workplace, str(next(_numbers))))
    inodes = {}
    for name in ("good", "bad"):
        path = jar.path(jars.put(jar, Place("completed", None, name)))
        inodes[name] = os.stat(path).st_ino
        jars.write(jar.log(name), f"what {name} printed\n")
    os.symlink(layout.failed_link("bad"), os.path.join(jar.failed, "bad"))
    jars.put(jar, Place("failed", None, "never"))
    jars.put(jar, Place("unclaimed", None, "waits"))
    for name in ("bad", "never", "waits"):
        notes.add(jar, WORKER, name, None, "retry", why="a person wanted it")
        os.utime(os.path.join(jar.notes, name, WORKER), (time.time() - OLD,) * 2)
        os.utime(os.path.join(jar.notes, name), (time.time() - OLD,) * 2)
    os.utime(jars.write(jar.log("bad", "once"), "an attempt of bad\n"), (time.time() - OLD,) * 2)
    journal(jar, WORKER, end(1, "good", ino=inodes["good"]), failed(2, "bad", ino=inodes["bad"]))
    journal(jar, GONE, end(3, "long-gone", a="other-3"))
    for worker in (WORKER, GONE):
        furnish(jar, worker)
        for name in (*os.listdir(jar.worker(worker)), "."):
            os.utime(os.path.join(jar.worker(worker), name), (time.time() - OLD,) * 2)
    return jar


def act(jar, later=60.0):
    """What the command does, `later` than now, as a process that nobody else is."""
    me, now = ME._replace(pid=next(_dead)), time.time() + later
    list(cleaning.clean(jar, me, cleaning.choose(jar, Criteria(older=0.0), now)))
    cleaning.remove_attachments(cleaning.attachments(jar, now))
    list(clearance.clear(jar, me, 3600.0, now))


NAMES = ("bad", "good", "long-gone", "never")


def violations(jar):
    """At every instant: who is not in the jar any more is in the archive; and nobody else has lost anything."""
    known = [record["n"] for record in history.records(jar, Wanted())]
    wrong = [f"{name} is recorded {known.count(name)} times" for name in NAMES if known.count(name) != 1]
    tree = jars.tree(jar)
    wrong += invariants.one_place(tree, ["waits"], ["good", "bad", "never"])
    wrong += [] if f"notes/waits/{WORKER}" in tree else ["the notes of another job are gone"]
    # Without the link a job that ended badly would look successful.
    is_there = not (tree.get("completed/bad") or "-> ").startswith("-> ")
    return wrong + (["bad looks successful"] if is_there and "failed/bad" not in tree else [])


def end_violations(jar):
    """When another has completed it: nothing is left."""
    tree = {path for path in jars.tree(jar) if not path.startswith("history/")}
    left = tree - {"FORMAT", "unclaimed/waits", f"notes/waits/{WORKER}",
                   *(name for name in (*layout.DIRECTORIES, "workers"))}
    return violations(jar) + [f"left: {path}" for path in sorted(left)]


def try_one(points, workplace, fault):
    """The fault, the invariants, what recovery does, the cleaning once more, the invariants at the end."""
    jar = prepare(workplace)
    outcome = faults.strike(lambda: act(jar), fault, jar.home)
    wrong = [] if outcome.hit else ["the fault did not strike"]
    wrong += faults.dishonest(fault, outcome) + violations(jar)
    leftovers.sweep(jar, ME)
    # What has just been touched may be somebody else's, and is left alone for an hour.
    act(jar, later=7200.0)
    wrong += end_violations(jar) + [finding.says for finding in inspection.inspect(jar, ME)]
    points.add(faults.struck(fault, outcome), wrong)
    shutil.rmtree(jar.home)


def test_a_cleaning_killed_at_any_operation_loses_no_record_and_is_completed_by_the_next(workplace, points, some):
    jar = prepare(workplace)
    trace = faults.count(lambda: act(jar), jar.home)
    assert end_violations(jar) == [] and len(trace) > 30
    for fault in some(faults.points(trace, BEFORE, AFTER, TORN, CUT, LOST), 3):
        try_one(points, workplace, fault)
    points.verdict()


def test_an_error_of_any_system_call_loses_no_record(workplace, points, some):
    jar = prepare(workplace)
    trace = faults.count(lambda: act(jar), jar.home)
    other = prepare(workplace)
    reads = faults.count_reads(lambda: act(other), other.home)
    for fault in some(faults.all_errors(trace, reads), 12):
        try_one(points, workplace, fault)
    points.verdict()
