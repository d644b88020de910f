"""A worker's whole life (support/lives.py), killed at every operation; then its recovery, killed at every one too."""

import itertools

import pytest
from support import faults, invariants, jars, lives, workers
from support.faults import AFTER, BEFORE, CUT, LATE, LOST, TORN, Fault

from jobjar import node, notes, process, resync
from jobjar.recovery import Recovery


def test_an_undisturbed_life_has_every_kind_of_job_in_it(workplace):
    world, outcome = lives.one_life(workplace, None)
    assert not outcome.error
    # A worker that may not be idle can leave before it sees the second; that one of the first is what struck lives run.
    assert world.settle() == [] and world.in_the_end(crashes=0) == []
    assert workers.order(world.jar).count("a.0") == 3
    world.remove()


def _is_visible(line):
    """Renames and links: what a kill right after them shows is not the same as one before the next operation."""
    return line.startswith(("os.rename", "os.symlink"))


def test_a_worker_killed_before_any_operation_loses_nothing(workplace, points):
    trace = lives.trace(workplace)
    points.spread(faults.points(trace, BEFORE, TORN), lambda mine, fault: lives.try_one(mine, workplace, fault))
    points.verdict()


def test_a_worker_killed_after_a_rename_or_by_a_power_cut_loses_nothing(workplace, points):
    trace = lives.trace(workplace)
    chosen = [fault for fault in faults.points(trace, AFTER, CUT) if _is_visible(trace[fault.at - 1])]
    points.spread(chosen, lambda mine, fault: lives.try_one(mine, workplace, fault))
    points.verdict()


def test_a_worker_understands_lost_replies_and_late_claims(workplace, points):
    trace = lives.trace(workplace)
    points.spread(faults.points(trace, LOST, LATE), lambda mine, fault: lives.try_one(mine, workplace, fault))
    points.verdict()


def test_an_error_of_any_system_call_loses_nothing_and_ends_no_worker_that_has_started(workplace, points, some):
    chosen = some(lives.all_errors(workplace), 11)
    points.spread(chosen, lambda mine, fault: lives.try_one(mine, workplace, fault))
    points.verdict()


def test_where_other_computers_may_write_a_worker_that_is_struck_loses_nothing_either(workplace, points, some,
                                                                                      monkeypatch):
    """It claims a job before it reads it, and reserves each final name."""
    monkeypatch.setattr(resync, "is_on_remote", lambda directory: True)
    trace = lives.trace(workplace)
    chosen = [*some(faults.points(trace, BEFORE, AFTER, CUT, LOST, LATE), 12), *some(lives.all_errors(workplace), 80)]
    points.spread(chosen, lambda mine, fault: lives.try_one(mine, workplace, fault))
    points.verdict()


# The second fault strikes the recovery.

_dead = itertools.count(2**22 + 1)


def one_recovery(world, max_attempts=3):
    """Recovery by a process of its own, dead by the time of the next; what it had to leave."""
    return Recovery(world.jar, node.myself(workers.NODE)._replace(pid=next(_dead)), max_attempts).node().left


def try_recoveries(points, workplace, at, choose, max_attempts=3):
    """A worker killed at `at`, and its recovery struck by all that `choose(trace, reads)` gives."""
    crashed, _ = lives.one_life(workplace, Fault(BEFORE, at))
    lives.bury()
    copy = lives.World(workplace, crashed)
    undisturbed = faults.strike(lambda: one_recovery(copy, max_attempts), faults.EVERY_READ, copy.jar.home)
    copy.remove()
    for fault in choose(undisturbed.trace, undisturbed.reads):
        try_a_recovery(points, lives.World(workplace, crashed), at, fault, max_attempts)
    crashed.remove()


def try_a_recovery(points, world, at, fault, max_attempts):
    """The recovery that is struck; then one that is left in peace."""
    stranded = [word for word, path in places(world).items() if path.startswith("workers/")]
    left = []
    outcome = faults.strike(lambda: left.extend(one_recovery(world, max_attempts)), fault, world.jar.home)
    wrong = faults.dishonest(fault, outcome)
    wrong += world.now()
    if not outcome.died and not outcome.error and not left:
        wrong += [f"nobody is told that {line}" for line in not_back(world)]
    one_recovery(world, max_attempts)
    wrong += world.now() + invariants.leftovers(jars.tree(world.jar)) + not_back(world)
    wrong += miscounted(world, stranded)
    points.add(f"worker at {at}, recovery {faults.struck(fault, outcome)}", wrong)
    world.remove()


def not_back(world):
    """The jobs that a dead worker has still."""
    return [f"{word} is in {path}" for word, path in places(world).items() if path.startswith("workers/")]


def places(world):
    """Word → where the job lies."""
    return {word: path for word, [path] in invariants.places(jars.tree(world.jar)).items()}


def miscounted(world, stranded):
    """The jobs that were put back and whose lost attempt was not counted, or more than once."""
    wrong = []
    for word in stranded:
        state, *category, name = places(world)[word].split("/")
        count = len(notes.open_attempts(world.jar, name, category[0] if category else None))
        if state == "unclaimed" and count != 1 + (word == "again"):
            wrong.append(f"{word} was put back with {count} attempts")
    return wrong


def killed(trace, reads):
    return [Fault(BEFORE, at) for at in faults.changes(trace)]


def unanswered(trace, reads):
    return faults.points(trace, LOST)


@pytest.fixture
def buried(monkeypatch):
    """All orphans have ended before a recovery is struck: looking for them a thousand times takes a minute."""
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))


def test_a_copied_world_is_recovered_like_the_one_it_is_a_copy_of(workplace, buried):
    ends = (at for at, line in enumerate(lives.trace(workplace), 1) if line.startswith("os.rename")
            and "/claims/" in line and line.endswith("/completed/a.0"))
    crashed, _ = lives.one_life(workplace, Fault(BEFORE, next(ends)))
    lives.bury()
    copy = lives.World(workplace, crashed)
    one_recovery(copy)
    # Its end line names the inode of the file that was run.
    assert places(copy)["other"] == "completed/a.0"
    copy.remove()
    crashed.remove()


def test_a_recovery_killed_anywhere_after_a_worker_killed_anywhere_is_repeated(workplace, points, buried):
    ends = faults.changes(lives.trace(workplace))
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, killed))
    points.verdict()


def test_a_recovery_understands_lost_replies(workplace, points, buried, some):
    ends = some(faults.changes(lives.trace(workplace)), 4)
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, unanswered))
    points.verdict()


def test_an_error_of_any_system_call_of_a_recovery_is_told_and_mended_by_the_next(workplace, points, buried, some):
    ends = some(faults.changes(lives.trace(workplace)), 8)
    points.spread(ends, lambda mine, at: try_recoveries(
        mine, workplace, at, lambda trace, reads: some(faults.all_errors(trace, reads), 24)))
    points.verdict()


def test_giving_up_may_be_killed_anywhere(workplace, points, buried, some):
    ends = some(faults.changes(lives.trace(workplace)), 4)
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, killed, max_attempts=1))
    points.verdict()
