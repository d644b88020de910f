"""A worker's whole life, killed at every operation; then its recovery, killed at every operation too.

Eight jobs: one name in two categories, failing and succeeding, silent and printing ones, one whose name is taken in
completed/, one that removes itself, one that cannot be run, one that has been tried before, and a second one of a
name that the same worker has ended already. Each job writes down that it begins and that it ends, so that two runs
at once, and jobs that were completed without having been run, are seen.
"""

import errno
import itertools
import os
import shutil

import pytest
from support import faults, invariants, jars, workers
from support.faults import AFTER, BEFORE, CUT, LATE, LOST, RAISE, TORN, Fault

from jobjar import layout, node, notes, process, starting
from jobjar.layout import Place
from jobjar.recovery import Recovery

CATEGORY = "C1"
# A worker that may not be idle can leave before it sees what was submitted just now; the next one sees it.
LIVES = 5
TERMS = starting.Terms((CATEGORY,), 0.0)

# Word → name, category, what it does when it has written down that it begins.
JOBS = {
    "first": ("a.0", None, "echo"),
    "other": ("a.0", CATEGORY, "echo; exit=3"),
    "taken": ("b.0", None, "echo"),
    "quiet": ("c.5", CATEGORY, ":; exit=4"),
    "remover": ("d", None, "echo; /bin/rm -f $JJ_JOB_FILE"),
    "broken": ("e.-1", None, ":"),
    "again": ("f.0", None, "echo"),
    "second": ("a.0", None, "echo; exit=5"),
}
BAD = ["other", "quiet", "second"]
PRINTING = ["first", "other", "taken", "again", "second"]
_numbers = itertools.count()


def _text(word, runs):
    name, _, body = JOBS[word]
    first = "#!/no/such/interpreter" if word == "broken" else "#!/bin/sh"
    body = body.replace("echo", f"echo output of {word}")
    return f"{first}\n# job {word}\nexit=0; echo b >> {runs}/{word}; {body}\necho e >> {runs}/{word}; exit $exit\n"


def _put(jar, runs, word, age=0):
    name, category, _ = JOBS[word]
    draft = jars.write(os.path.join(jar.limbo, name), _text(word, runs))
    os.utime(draft, (age, age))
    os.rename(draft, jar.path(Place("unclaimed", category, name)))


class World:
    """One jar with its jobs, and what they wrote down outside it."""

    def __init__(self, workplace, copy_of=None):
        self.top = os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}")
        self.runs = os.path.join(self.top, "runs")
        if copy_of:
            shutil.copytree(copy_of.top, self.top, symlinks=True)
            self.jar = layout.open_jar(os.path.join(self.top, "jar"))
        else:
            os.makedirs(self.runs)
            self.jar = jars.make(os.path.join(self.top, "jar"))
            self._fill()
        self.settings = workers.settings(self.jar)
        self.start = copy_of.start if copy_of else jars.tree(self.jar)

    def _fill(self):
        self.jar.queue("unclaimed", CATEGORY)
        for age, word in enumerate(JOBS):
            if word != "second":
                _put(self.jar, self.runs, word, age)
        jars.write(os.path.join(self.jar.completed, "b.0"), jars.script("earlier"))
        jars.write(self.jar.log("b.0"), "output of earlier\n")
        notes.count(self.jar, "rain.1", "f.0", None, "earlier-1", "its worker died")

    def live(self):
        """A worker from its start to its end; when it has ended `first`, somebody submits `second` under its name."""
        worker = starting.register(self.jar, self.settings, TERMS)
        perform = worker.attempts.perform

        def and_resubmit(place, *rest):
            kind = perform(place, *rest)
            with faults.unwatched():
                self.resubmit()
            return kind
        worker.attempts.perform = and_resubmit
        starting.work(self.jar, self.settings, worker, TERMS)

    def resubmit(self):
        if not self.has("second") and invariants.places(jars.tree(self.jar)).get("first", [""])[0].startswith("completed/"):
            _put(self.jar, self.runs, "second", 99)

    def has(self, word):
        return any(invariants.word_of(text) == word for text in jars.tree(self.jar).values())

    def words(self):
        return [word for word in JOBS if word != "second" or self.has("second")]

    def recover(self):
        me = node.myself(workers.NODE)
        return Recovery(self.jar, me, 3).node()

    def settle(self):
        """Wait for the orphans, recover, let more workers finish what there is."""
        bury()
        self.recover()
        for _ in range(LIVES):
            if not self.is_waiting():
                break
            outcome = faults.run(self.live, None, self.jar.home)
            if outcome.error:
                return [outcome.error]
        return []

    def is_waiting(self):
        """Whether there is a job to claim; a worker that may not be idle leaves when it has not seen one yet."""
        self.resubmit()
        found = invariants.places(jars.tree(self.jar))
        return "second" not in found or any(path.startswith("unclaimed/") for [path] in found.values())

    def remove(self):
        shutil.rmtree(self.top)

    # What is to be seen.

    def now(self):
        """The invariants of every instant."""
        tree = jars.tree(self.jar)
        kept = {path: text for path, text in self.start.items() if "# job remover" not in (text or "")}
        return (invariants.one_place(tree, self.words(), ["remover"]) + invariants.nothing_lost(tree, kept)
                + invariants.links(tree, BAD) + invariants.no_link_is_a_job(tree) + self._not_run(tree))

    def _not_run(self, tree):
        """Completed jobs that were not run to their end."""
        return [f"{word} was completed without having ended" for word, found in invariants.places(tree).items()
                if found[0].startswith("completed/") and word != "earlier" and "e" not in self.ran(word)]

    def ran(self, word):
        path = os.path.join(self.runs, word)
        return jars.read(path).replace("\n", "") if os.path.exists(path) else ""

    def in_the_end(self, crashes):
        """The invariants of a jar in which everything has come to its end."""
        tree = jars.tree(self.jar)
        return (self.now() + invariants.leftovers(tree) + self._all_ended(tree) + self._all_printed(tree)
                + self._runs(crashes) + self._notes_are_closed())

    def _all_ended(self, tree):
        found = invariants.places(tree)
        wanted = {word: "failed/" if word == "broken" else "completed/" for word in JOBS if word != "remover"}
        return [f"{word} is in {found.get(word)}" for word, place in wanted.items()
                if not found.get(word, [""])[0].startswith(place)]

    def _all_printed(self, tree):
        found = invariants.places(tree)
        return [f"{word} has no log" for word in PRINTING if word in found and
                tree.get("logs/" + found[word][0].rpartition("/")[2]) != f"output of {word}\n"]

    def _runs(self, crashes):
        wrong = []
        for word in JOBS:
            ran = self.ran(word)
            if "bb" in ran or "ee" in ran:
                wrong.append(f"{word} ran twice at once: {ran}")
            if not (word == "broken" or 1 <= ran.count("e") <= 1 + crashes):
                wrong.append(f"{word} ran {ran} with {crashes} crashes")
        return wrong

    def _notes_are_closed(self):
        return ["the notes of f.0 were not closed"] if notes.open_attempts(self.jar, "f.0", None) else []


def bury():
    """Wait until the jobs of dead workers have ended; as a subreaper this process inherits them."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def local():
    """The node-local directory, which a worker changes too."""
    return process.local_directory()


def one_life(workplace, fault):
    world = World(workplace)
    outcome = faults.run(world.live, fault, world.jar.home, local())
    return world, outcome


def try_a_life(points, workplace, fault):
    world, outcome = one_life(workplace, fault)
    if fault.kind == CUT:
        kill_orphans()
    wrong = [outcome.error] if outcome.error and not _may_say_so(fault, outcome) else []
    wrong += world.now() + world.settle() + world.in_the_end(crashes=1)
    points.add(f"{fault} {outcome.trace[-1:]}", wrong)
    world.remove()


def _may_say_so(fault, outcome):
    """A worker may refuse to leave when a claim lands at the last moment, and without space to start, and to leave."""
    if fault.kind == LATE:
        return "is not empty" in outcome.error
    return fault.kind == RAISE and any(step in outcome.error for step in ("in register", "in _leave"))


def kill_orphans():
    """After a power cut the jobs are dead too."""
    for pid in process.children():
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    bury()


def test_an_undisturbed_life_has_every_kind_of_job_in_it(workplace):
    world, outcome = one_life(workplace, None)
    assert not outcome.error
    # A worker that may not be idle can leave before it sees the second; that one of the first is what struck lives run.
    assert world.settle() == [] and world.in_the_end(crashes=0) == []
    assert workers.order(world.jar).count("a.0") == 3
    world.remove()


def trace_of_a_life(workplace):
    world, outcome = one_life(workplace, None)
    world.remove()
    return outcome.trace


def _is_visible(line):
    """Renames and links: what a kill right after them shows is not the same as one before the next operation."""
    return line.startswith(("os.rename", "os.symlink"))


def test_a_worker_killed_before_any_operation_loses_nothing(workplace, points):
    trace = trace_of_a_life(workplace)
    points.spread(faults.points(trace, BEFORE, TORN), lambda mine, fault: try_a_life(mine, workplace, fault))
    points.verdict()


def test_a_worker_killed_after_a_rename_or_by_a_power_cut_loses_nothing(workplace, points):
    trace = trace_of_a_life(workplace)
    chosen = [fault for fault in faults.points(trace, AFTER, CUT) if _is_visible(trace[fault.at - 1])]
    points.spread(chosen, lambda mine, fault: try_a_life(mine, workplace, fault))
    points.verdict()


def test_a_worker_understands_lost_replies_and_late_claims(workplace, points):
    trace = trace_of_a_life(workplace)
    points.spread(faults.points(trace, LOST, LATE), lambda mine, fault: try_a_life(mine, workplace, fault))
    points.verdict()


def test_a_full_disk_at_any_operation_loses_nothing(workplace, points):
    trace = trace_of_a_life(workplace)
    chosen = [Fault(RAISE, at, errno.ENOSPC) for at in range(1, len(trace) + 1)]
    points.spread(chosen, lambda mine, fault: try_a_life(mine, workplace, fault))
    points.verdict()


# The second fault strikes the recovery.

_dead = itertools.count(2**22 + 1)


def one_recovery(world, max_attempts=3):
    """Recovery by a process of its own, dead by the time of the next."""
    Recovery(world.jar, node.myself(workers.NODE)._replace(pid=next(_dead)), max_attempts).node()


def try_recoveries(points, workplace, at, kind, max_attempts=3):
    """A worker killed at `at`, and its recovery struck everywhere; then one that is left in peace."""
    crashed, _ = one_life(workplace, Fault(BEFORE, at))
    bury()
    copy = World(workplace, crashed)
    trace = faults.count(lambda: one_recovery(copy, max_attempts), copy.jar.home)
    copy.remove()
    chosen = faults.changes(trace) if kind == BEFORE else [fault.at for fault in faults.points(trace, kind)]
    for second in chosen:
        try_a_recovery(points, World(workplace, crashed), at, Fault(kind, second), max_attempts)
    crashed.remove()


def try_a_recovery(points, world, at, fault, max_attempts):
    outcome = faults.strike(lambda: one_recovery(world, max_attempts), fault, world.jar.home)
    wrong = [outcome.error] if outcome.error else []
    wrong += world.now()
    one_recovery(world, max_attempts)
    tree = jars.tree(world.jar)
    wrong += world.now() + invariants.leftovers(tree)
    wrong += [f"{word} is not back: {path}" for word, [path] in invariants.places(tree).items()
              if path.startswith("workers/")]
    points.add(f"worker at {at}, recovery {fault} {outcome.trace[-1:]}", wrong)
    world.remove()


@pytest.fixture
def buried(monkeypatch):
    """All orphans have ended before a recovery is struck: looking for them a thousand times takes a minute."""
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))


def test_a_recovery_killed_anywhere_after_a_worker_killed_anywhere_is_repeated(workplace, points, buried):
    ends = faults.changes(trace_of_a_life(workplace))
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, BEFORE))
    points.verdict()


def test_a_recovery_understands_lost_replies(workplace, points, buried):
    ends = faults.changes(trace_of_a_life(workplace))[::4]
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, LOST))
    points.verdict()


def test_giving_up_may_be_killed_anywhere(workplace, points, buried):
    ends = faults.changes(trace_of_a_life(workplace))[::4]
    points.spread(ends, lambda mine, at: try_recoveries(mine, workplace, at, BEFORE, max_attempts=1))
    points.verdict()
