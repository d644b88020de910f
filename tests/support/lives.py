"""A worker's whole life, as a scenario to be struck: nine jobs, the worker that runs them, and what must hold.

One name in two categories, failing and succeeding, silent and printing jobs, one of a name such as submit_job makes,
one whose name is taken in completed/, one that removes itself, one that cannot be run, one that has been tried before, and a second one of a name that the
same worker has ended already. Each job writes down that it begins and that it ends, so that two runs at once, and
jobs that were completed without having been run, are seen.
"""

import itertools
import os
import shutil

from support import faults, invariants, jars, workers
from support.faults import CUT, LATE, Fault

from jobjar import family, layout, node, notes, process, starting
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
    "plain": ("20261121-101500-me-000001000.0", None, ":"),
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


def _copy(source, target):
    """Jobs keep their inodes, which end lines name; nobody writes into them, as into everything else."""
    is_job = "/claims/" in source or "/recovering." in source or "/unclaimed/" in source
    (os.link if is_job else shutil.copy2)(source, target)


class World:
    """One jar with its jobs, and what they wrote down outside it."""

    def __init__(self, workplace, copy_of=None):
        self.top = os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}")
        self.runs = os.path.join(self.top, "runs")
        if copy_of:
            shutil.copytree(copy_of.top, self.top, symlinks=True, copy_function=_copy)
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
        _hurry(worker)
        perform = worker.attempts.perform

        def and_resubmit(place, *rest):
            kind = perform(place, *rest)
            with faults.unwatched():
                self.resubmit()
            return kind
        worker.attempts.perform = and_resubmit
        starting.work(self.jar, worker, TERMS)

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

    def logs(self):
        """What all workers have logged."""
        return "".join(text or "" for path, text in jars.tree(self.jar).items() if path.endswith("/log"))

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


def _hurry(worker):
    """Let the worker repeat what has failed at once: a campaign has no seconds to wait at each point."""
    out, back_off = worker.attempts.departures, worker._backed_off
    be_patient = out.patience
    out.patience = lambda error, seconds: be_patient(error, seconds / 100)
    worker._backed_off = lambda: back_off() / 100


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


def one_life(workplace: str, fault: Fault | None) -> tuple[World, faults.Outcome]:
    """A worker's life in a jar of its own, struck by `fault`."""
    world = World(workplace)
    outcome = faults.run(world.live, fault, world.jar.home, local())
    return world, outcome


def trace(workplace: str) -> list[str]:
    """The operations of an undisturbed life."""
    return _undisturbed(workplace).trace


def all_errors(workplace: str) -> list[Fault]:
    """Each error at each operation and each look of a life."""
    outcome = _undisturbed(workplace)
    return faults.all_errors(outcome.trace, outcome.reads)


def _undisturbed(workplace: str) -> faults.Outcome:
    world, outcome = one_life(workplace, faults.EVERY_READ)
    world.remove()
    return outcome


def try_one(points: invariants.Points, workplace: str, fault: Fault) -> None:
    """One point: a life that is struck, the invariants at once, its recovery and other lives, those of the end."""
    world, outcome = one_life(workplace, fault)
    if not outcome.hit:
        # No two lives ask quite the same questions: this one has ended before it came to that.
        world.remove()
        return
    if fault.kind == CUT:
        kill_orphans()
    wrong = [outcome.error] if outcome.error and not _may_say_so(fault, outcome) else []
    if fault.kind in (faults.RAISE, faults.READ) and "in _leave" in outcome.error and "Errno" not in world.logs():
        wrong.append("a worker could not leave, and its log does not say so")
    wrong += world.now() + world.settle() + world.in_the_end(crashes=int(outcome.died))
    points.add(faults.struck(fault, outcome), wrong)
    world.remove()


def _may_say_so(fault: Fault, outcome: faults.Outcome) -> bool:
    """A worker may refuse to leave when a claim lands at the last moment, and on an error to start, and to leave."""
    if fault.kind == LATE:
        return "is not empty" in outcome.error
    return fault.kind in (faults.RAISE, faults.READ) and any(
        step in outcome.error for step in ("in register", "in _leave"))


def kill_orphans() -> None:
    """After a power cut the jobs are dead too."""
    for pid in family.children():
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    bury()
