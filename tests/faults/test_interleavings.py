"""People, workers, whoever looks at waiting/ and recovery, each stopped before any operation on the jar for others.

All of them are the product's own functions, in this process; only the jobs do not really run. What is drawn: where two
jobs and an array with a cap lie, who does what with which of them, who goes on at each step, and who is killed.
"""

import itertools
import os
import random
import resource
import shutil
import threading
import time
from types import SimpleNamespace

from support import jars, melee, steps
from support.melee import Act, Run

from jobjar import (cancelling, changing, cleaning, control, jobname, journal, layout, node, notes, process,
                    registration, reservation, runner, selection, shelf, states, waiting)
from jobjar.attempts import WON, Attempts
from jobjar.errors import Fenced, JobJarError
from jobjar.layout import Place
from jobjar.recovery import Recovery

NODE, CATEGORY, CAP = "rain", "C1", 1
MAX_ATTEMPTS = 9
# No kernel gives these numbers to a process.
FIRST_PID = 2**22 + 1
USAGE = resource.getrusage(resource.RUSAGE_SELF)
OURS, HAND, ARRAY = "20260101-120000-me-123456789", "hand", "20260101-120000-me-123456700"
TASKS = [f"{ARRAY}_{index}" for index in (1, 2, 3)]
# What people do, and how often, to jobs that wait and to those that have ended.
VERBS = {"hold": 3, "release": 3, "cancel": 3, "mem": 3, "priority": 1, "move": 1, "first": 1, "retry": 1, "clean": 1}
VERBS_AFTER = {"retry": 6, "clean": 3, "cancel": 1, "hold": 1, "mem": 1}
# Where a job may lie, and how often; "bad": in completed/, having ended badly.
LIES = {states.UNCLAIMED: 4, states.HELD: 2, states.COMPLETED: 1, "bad": 1, states.FAILED: 1}
_numbers = itertools.count()


class Stage:
    """Stands for the runner: a job is at work while others act."""

    is_hurrying = False

    def __init__(self, scene, worker):
        self.scene, self.output = scene, os.path.join(scene.jar.worker(worker), "output")
        self.desk = control.Desk(scene.jar, worker, frozenset([os.geteuid()]), SimpleNamespace(fresh_now=time.time),
                                 SimpleNamespace(always=lambda *_: None), lambda _: None)

    def run(self, place, attempt, tries, asked, *_):
        stem, scene = jobname.stem(place.name), self.scene
        if not scene.begin(stem, attempt, asked):
            return runner.Outcome(runner.ENDED, 0.0, 0, USAGE)
        try:
            for _ in range(3):
                scene.steps.wait(f"runs {place.name}")
                self.desk.hear({self.desk.directory})
                self.desk.look(attempt, 0.0)
                if why := self.desk.cancelled():
                    return runner.Outcome(runner.ENDED, 0.0, 9, USAGE, why, state="CANCELLED")
        finally:
            # Nothing of a job outlives its worker here.
            scene.running.discard(stem)
        return runner.Outcome(runner.ENDED, 0.0, scene.codes[stem] << 8, USAGE, "as the test has it")

    def has_output(self):
        return False

    def tidy_scratch(self):
        pass


class Scene:
    """A jar and all who are in it; what each of them did and was told."""

    def __init__(self, home, chance, alive):
        self.jar, self.chance, self.alive = jars.make(home), chance, alive
        self.steps = steps.Steps(self.jar.home, chance, lambda _: self.look())
        self.identities, self.pids = {}, itertools.count(FIRST_PID)
        self.acts, self.runs, self.running, self.wrong, self.codes = [], {}, set(), [], {}
        self.ended, self.stems = set(), [OURS, HAND, *TASKS]
        for stem in self.stems:
            self.lay(stem)

    def lay(self, stem):
        is_task, self.codes[stem] = stem in TASKS, self.chance.choice((0, 0, 3))
        lies = self.draw({states.WAITING: 2, states.HELD: 1} if is_task else LIES)
        asks = f"#JJ --array=1-3%{CAP} --submit-dir=/ --submit-host=rain\n" if is_task else ""
        asks += "#JJ --retries=1\n" if self.codes[stem] and self.chance.random() < 0.5 else ""
        self.ended |= {stem} if lies not in states.QUEUES else set()
        category = self.chance.choice((None, CATEGORY)) if lies in states.QUEUES and not is_task else None
        place = Place("completed" if lies == "bad" else lies, category, f"{stem}.0")
        jars.write(os.path.join(self.jar.queue(place.state, category) if lies in states.QUEUES
                                else self.jar.directory(place.state), place.name), f"#!/bin/sh\n{asks}# job {stem}\n")
        if lies == "bad":
            os.symlink(f"../completed/{place.name}", os.path.join(self.jar.failed, place.name))
        if lies == states.FAILED:
            notes.add(self.jar, "rain.1", place.name, None, "cancel", why="before")

    def draw(self, weights):
        return self.chance.choices([*weights], weights.values())[0]

    # Who lives.

    def me(self):
        return self.identities[threading.current_thread().name]

    def add(self, name, act, may_die):
        me = node.myself(NODE)._replace(pid=next(self.pids), start=next(self.pids))
        self.alive[me.pid], self.identities[name] = me.start, me

        def live():
            try:
                return act()
            finally:
                # For those who judge it the process is gone, however it has ended.
                del self.alive[me.pid]
        self.steps.add(name, live, self.chance.randrange(2, 80) if may_die else None)
        return me

    def cast(self):
        """Draw who acts."""
        for number in range(self.chance.choice((1, 2))):
            self.register(self.add(f"worker{number}", self.work, self.chance.random() < 0.25))
        for number in range(self.chance.choice((2, 3))):
            stems = self.chance.choice(([OURS], [OURS], [OURS], [HAND], [OURS, HAND], TASKS, TASKS[1:2]))
            verb = self.draw(VERBS_AFTER if stems[0] in self.ended else VERBS)
            value = self.chance.randrange(100, 999) * 10 + number
            self.add(f"person{number}", lambda verb=verb, stems=stems, value=value: self.act(verb, stems, value),
                     self.chance.random() < 0.15)
        if self.chance.random() < 0.5:
            self.add("looker", self.see_to_waiting, self.chance.random() < 0.1)
        if self.chance.random() < 0.5:
            self.add("recovery", self.recover, self.chance.random() < 0.2)

    # The workers.

    def register(self, me):
        about = {"uid": os.geteuid(), "categories": [CATEGORY], "lock": process.lock_path("")}
        assert registration.write(self.jar, me, about)

    def work(self, most=2):
        me, jar = self.me(), self.jar
        name = node.owner(me)
        book, stage = journal.Journal(jar.worker(name)), Stage(self, name)
        attempts = Attempts(jar, me, book, stage, SimpleNamespace(say=lambda _: None), frozenset([os.geteuid()]),
                            self.fail, True)
        ready = waiting.Waiting(jar, name, reservation.text(name, attempts.nonce), time.time, self.wrong.append)
        try:
            for _ in range(most):
                place = self.claimed(attempts)
                if place:
                    attempts.perform(place, None, None)
                    stage.desk.end()
                    asked = attempts.attempt.vetted.request
                    if "array" in asked:
                        ready.ended(place.name, asked, attempts.attempt.has_failed)
            book.close()
            book = None
            registration.leave(jar, name)
        except Fenced:
            pass
        finally:
            if book:
                # As the kernel does it for a process that is killed.
                os.close(book._handle)

    def fail(self, error, seconds):
        raise error

    def claimed(self, attempts):
        for category in (CATEGORY, None):
            directory = self.jar.directory(states.UNCLAIMED, category)
            try:
                names = [name for name in os.listdir(directory) if os.path.isfile(os.path.join(directory, name))]
            except FileNotFoundError:
                continue
            for name in shelf.in_turn(directory, names):
                place = Place(states.UNCLAIMED, category, name)
                if not name.startswith(".") and attempts.claim(place, time.time()) == WON:
                    return place
        return None

    def begin(self, stem, attempt, asked):
        """A job begins; whether there is somebody whom that concerns."""
        if threading.current_thread() is threading.main_thread():
            return False
        at_work = {other for other in self.running if other in TASKS} if stem in TASKS else set()
        if stem in self.running or len(at_work) >= CAP:
            self.wrong.append(f"{stem} runs beside {self.running}")
        self.running.add(stem)
        self.runs.setdefault(stem, []).append(Run(attempt, self.steps.count, asked.get("mem", 0) >> 20, True))
        return True

    # The people, and who else moves jobs.

    def act(self, verb, stems, value):
        change = changing.Change(self.jar, NODE)
        begin, end, at = self.steps.count, float("inf"), len(self.acts)
        self.acts.append(Act(verb, stems, value, begin, end, {}, ""))
        try:
            if verb == "clean":
                self.clean(change, stems)
            else:
                melee.do(self.jar, change, verb, stems, value)
        except JobJarError:
            pass
        done = {jobname.stem(line.split()[0]): line.partition(" ")[2] for line in change.done}
        self.acts[at] = self.acts[at]._replace(end=self.steps.count, done=done)

    def clean(self, change, stems):
        places = changing.find(self.jar, stems, (states.COMPLETED, states.FAILED))
        ended = [place for place in places if place.state in (states.COMPLETED, states.FAILED)]
        for gone in cleaning.clean(self.jar, change.me, cleaning.choose(
                self.jar, cleaning.Criteria(places=ended), time.time())):
            change.done.append(f"{gone} is cleaned away")

    def see_to_waiting(self):
        owner = node.owner(self.me())
        look = waiting.Waiting(self.jar, owner, reservation.text(owner, node.nonce(self.me())), time.time,
                               self.wrong.append)
        for _ in range(3):
            look.hint({self.jar.waiting})
            look.look()

    def recover(self):
        for _ in range(2):
            Recovery(self.jar, self.me(), MAX_ATTEMPTS).node()

    # What must be true at each step, and in the end.

    def look(self):
        """Each job is in one place, at every instant; one that is cleaned away may be in none."""
        found = {stem: [] for stem in self.stems}
        for path in places(self.jar):
            found.setdefault(jobname.stem(path.rpartition("/")[2]), []).append(path)
        for stem, paths in found.items():
            is_gone = not paths and any(act.verb == "clean" and stem in act.stems for act in self.acts)
            if len(paths) != 1 and not is_gone:
                self.wrong.append(f"step {self.steps.count}: {stem} is in {paths}")

    def finish(self):
        """Everybody has left: the dead are recovered, all is released, and what can run runs."""
        me = node.myself(NODE)._replace(pid=next(self.pids), start=next(self.pids))
        self.alive[me.pid], self.identities["MainThread"] = me.start, me
        for _ in range(12):
            self.recover()
            change = changing.Change(self.jar, NODE)
            changing.release(change, selection.Listing(self.jar).places((states.HELD,)))
            self.see_to_waiting()
            worker = node.myself(NODE)._replace(pid=next(self.pids), start=next(self.pids))
            self.alive[worker.pid], self.identities["MainThread"] = worker.start, worker
            self.register(worker)
            self.work(9)
            self.identities["MainThread"] = me
            if not [*selection.Listing(self.jar).places(states.UNFINISHED)]:
                break

    def violations(self):
        self.look()
        wrong = [*self.wrong, *(f"{actor.name}: {actor.wrong}" for actor in self.steps.actors if actor.wrong)]
        left = [*selection.Listing(self.jar).places(states.UNFINISHED)]
        wrong += [f"{selection.show(place)} has not ended" for place in left]
        tree = jars.tree(self.jar)
        wrong += [f"{path} is left" for path, text in tree.items() if (text or "").startswith("-> reserved:")
                  or path.startswith("limbo/") and text is not None]
        wrong += [f"{path} dangles" for path, text in tree.items() if path.startswith("failed/") and text.startswith(
            "-> ") and "completed/" + path[7:] not in tree]
        lines = []
        for worker in os.listdir(self.jar.workers):
            book = notes.read_lines(os.path.join(self.jar.worker(worker), "journal"))
            wrong += melee.wrong_lines(book)
            lines += book
        ended = {line["a"] for line in lines if line["e"] == "end"}
        for stem in self.stems:
            acts, runs = [act for act in self.acts if stem in act.stems], self.runs.get(stem, [])
            wrong += [f"{stem}: {what}" for what in (*melee.wrong_ends(stem, runs, acts), *_again(runs, ended, acts),
                                                     *melee.wrong_memory(stem, runs, acts))]
        return wrong


def _again(runs, ended, acts):
    """A job whose end is recorded begins once more only when somebody has retried it."""
    for one, other in itertools.pairwise(runs):
        if one.attempt in ended and not any(act.verb == "retry" and one.begin < act.end and act.begin < other.begin
                                            for act in acts):
            yield f"it ran as {one.attempt}, ended, and ran as {other.attempt}"


def places(jar):
    """The paths at which a job may lie."""
    tops = [jar.directory(state) for state in (*states.QUEUES, states.COMPLETED, states.FAILED)]
    for worker in os.listdir(jar.workers):
        try:
            tops += [os.path.join(jar.worker(worker), name) for name in os.listdir(jar.worker(worker))
                     if layout.is_holder(name)]
        except (FileNotFoundError, NotADirectoryError):
            continue
    for top in tops:
        yield from _files(top, True)


def _files(top, is_deep):
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, False) if is_deep else ()
            elif not entry.is_symlink() and not entry.name.startswith("."):
                yield entry.path


def play(workplace, alive, monkeypatch, seed):
    """One scene; (what happened, what was wrong)."""
    alive.clear()
    random.seed(seed)
    scene = Scene(os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}"), random.Random(seed), alive)
    clock = SimpleNamespace(sleep=scene.steps.sleep, monotonic=scene.steps.monotonic, time=time.time)
    with monkeypatch.context() as patch:
        for module in (changing, cancelling):
            patch.setattr(module, "time", clock)
        mine = node.myself
        patch.setattr(node, "myself", lambda name: scene.identities.get(threading.current_thread().name) or mine(name))
        try:
            scene.cast()
            scene.steps.run()
            scene.finish()
            return scene, scene.violations()
        finally:
            shutil.rmtree(scene.jar.home)


def test_at_whatever_operation_others_come_in_between_each_job_is_in_one_place_and_what_was_said_is_true(
        workplace, points, alive, monkeypatch, full, seed):
    def one(mine, number):
        scene, wrong = play(workplace, alive, monkeypatch, f"{seed} {number}")
        mine.add(f"scene {number}", [f"{line}\n  {scene.acts}\n  " + "\n  ".join(scene.steps.told) for line in wrong[:1]])
    points.spread(range(20_000 if full else 100), one)
    points.verdict()
