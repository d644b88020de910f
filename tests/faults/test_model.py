"""Random operations on a jar, and a reference model that says after each of them what the jar must look like.

The operations are the product's own functions, all in this process; only the jobs do not really run, and a table of
processes says who lives. A process is killed at a random operation on the jar, others go on, and recovery comes
sooner or later and may be killed too. A divergence is made as short as it gets and printed with its seed.
"""

import itertools
import json
import os
import random
import resource
import shutil
from types import SimpleNamespace

from support import faults, jars, model
from support.faults import BEFORE, Fault
from support.model import Death, Model

from jobjar import (blame, census, claiming, job, jobname, moves, node, notes, orders, registration, reservation,
                    runner, staff, submission)
from jobjar.attempts import WON, Attempts
from jobjar.journal import Journal
from jobjar.layout import Place
from jobjar.recovery import Recovery
from jobjar.states import COMPLETED, FAILED, QUEUES

NODE, CATEGORY = "rain", "C1"
NAMES = ("a.0", "a.5", "b", "c~3.-1")
STEPS, WORKERS = 200, 3
# No kernel gives these numbers to a process.
FIRST_PID = 2**22 + 1
USAGE = resource.getrusage(resource.RUSAGE_SELF)
# What commands reserve names with that are not killed.
COMMAND = reservation.text("rain.1", "command-1")
_numbers = itertools.count()


class Divergence(AssertionError):
    """The jar is not what the model says."""


class Stage:
    """Stands for the runner: a job does at once what the test has thought of."""

    is_hurrying = False

    def __init__(self, directory):
        self.output = os.path.join(directory, "output")

    def play(self, kind, code, text, victim):
        self.part, self.tries = (kind, code, text, victim), None

    def run(self, place, attempt, tries, *_):
        kind, code, text, victim = self.part
        self.tries = tries
        with faults.unwatched():
            if text:
                jars.write(self.output, text, 0o600)
            if victim:
                os.remove(victim)
        return runner.Outcome(kind, 0.0, code << 8, USAGE, "as the test has it")

    def has_output(self):
        return os.path.exists(self.output)

    def tidy_scratch(self):
        pass


class Hand:
    """A living worker, as far as it moves jobs."""

    def __init__(self, jar, me):
        self.me, self.name = me, node.owner(me)
        self.journal, self.stage = Journal(jar.worker(self.name)), Stage(jar.worker(self.name))
        self.attempts = Attempts(jar, me, self.journal, self.stage, SimpleNamespace(say=lambda _: None),
                                 frozenset([os.geteuid()]), self.fail)
        self.place = None

    def fail(self, error, seconds):
        raise error

    def die(self):
        os.close(self.journal._handle)


class World:
    """A jar and its model; each step is one of the methods named in WEIGHTS and says what it did."""

    def __init__(self, home, alive):
        self.jar, self.model, self.alive = jars.make(home), Model(), alive
        self.hands, self.handles, self.ages, self.cancelled = {}, {}, {}, {}
        # Jobs that somebody was killed over who might have had a word to say about them.
        self.unsaid = set()
        self.pids, self.starts = itertools.count(FIRST_PID), itertools.count(1)
        self.steps = 0

    def close(self):
        for hand in self.hands.values():
            hand.die()
        shutil.rmtree(self.jar.home)

    # What all steps are made of.

    def identity(self, pid=None):
        me = node.myself(NODE)._replace(pid=pid or next(self.pids), start=next(self.starts))
        self.alive[me.pid] = me.start
        return me

    def strike(self, act, at):
        """Do it, killed before its `at`-th operation; whether it died."""
        outcome = faults.strike(act, Fault(BEFORE, at) if at else None, self.jar.home)
        if outcome.error:
            raise Divergence(outcome.error)
        return outcome.died

    def choose(self, *states):
        """A job in one of these states, or None."""
        found = [path for path in sorted(self.model.jobs) if path.split("/")[0] in states]
        return self.random.choice(found) if found else None

    def place(self, path):
        state, *category, name = path.split("/")
        return Place(state, category[0] if category else None, name)

    def category(self):
        return self.random.choice((None, CATEGORY))

    def new(self, path, age, place=None):
        found = os.lstat(os.path.join(self.jar.home, path)).st_ino
        self.model.jobs[path] = found
        self.ages[found] = age
        if place:
            self.handles[found] = job.Job(self.jar, place)
        return path

    # Submitters.

    def submit(self):
        request = submission.Request(b"#!/bin/sh\n", self.random.randrange(-1, 2), self.category())
        place = submission.submit(self.jar, request)
        return self.new(self.relative(place), jobname.number(place.name), place)

    def relative(self, place):
        return os.path.relpath(self.jar.path(place), self.jar.home)

    def mv(self):
        name, category, age = self.random.choice(NAMES), self.category(), self.random.randrange(10)
        path = "/".join(["unclaimed", *([category] if category else []), name])
        if path in self.model.jobs:
            return None
        draft = jars.write(os.path.join(self.jar.limbo, name), "#!/bin/sh\n")
        os.utime(draft, (age, age))
        os.rename(draft, os.path.join(self.jar.queue("unclaimed", category), name))
        return self.new(path, f"1970010100000{age}000000000")

    def defer(self, move=moves.defer):
        name = submission.fresh_name(self.random.randrange(2))
        jars.write(os.path.join(self.jar.limbo, name), "#!/bin/sh\n")
        place = move(self.jar, name, self.category())
        return self.new(self.relative(place), jobname.number(name), place)

    def submit_held(self):
        return self.defer(moves.submit_held)

    # Owners and operators.

    def command(self, path, act, target):
        """A command of its own process moves a job, and may be killed; its place is then looked up."""
        me = self.identity()
        mine = reservation.text(node.owner(me), node.nonce(me))
        died = self.strike(lambda: act(mine), self.random.choice((0, 0, 0, self.random.randrange(1, 9))))
        del self.alive[me.pid]
        seen = picture(self.jar)
        if not died or seen.get(path) != self.model.jobs[path]:
            self.model.move(path, target)
        if died:
            self.observe(node.owner(me), seen)
        return f"{path} → {target}{' killed' if died else ''}"

    def hold(self):
        path = self.choose("unclaimed", "waiting")
        if path:
            place = self.place(path)
            return self.command(path, lambda mine: moves.hold(self.jar, place, mine),
                                self.model.queue("held", place.category, place.name))

    def release(self):
        path = self.choose("held")
        if path:
            place = self.place(path)
            # Only names of our own making may wait.
            state = self.random.choice(("unclaimed", "waiting")) if jobname.number(place.name) else "unclaimed"
            return self.command(path, lambda mine: moves.release(self.jar, place, mine, state),
                                self.model.queue(state, place.category, place.name))

    def alter(self):
        path, category = self.choose(*QUEUES), self.category()
        if path:
            place = self.place(path)
            name = jobname.join(jobname.split(place.name)[0], self.random.randrange(9))
            same = (name, category) == (place.name, place.category)
            target = path if same else self.model.queue(place.state, category, name)
            return self.command(path, lambda mine: moves.alter(self.jar, place, mine, name, category), target)

    def cancel(self):
        path = self.choose(*QUEUES)
        if path:
            place = self.place(path)
            final = self.model.final(place.name)
            for name in {place.name, final}:
                self.note(place._replace(name=name), "cancel")
            self.cancelled[self.model.jobs[path]] = True
            return self.command(path, lambda mine: moves.cancel(self.jar, place, mine), f"failed/{final}")

    def note(self, place, event):
        notes.add(self.jar, "rain.1", place.name, place.category, event, why="a person wants it so")
        self.model.noted.add(jobname.split(place.name)[0])

    def ready(self):
        path = self.choose("waiting")
        if path:
            moves.ready(self.jar, self.place(path), COMMAND)
            self.model.move(path, path.replace("waiting", "unclaimed", 1))
            return path

    def doom(self):
        path = self.choose("waiting")
        if path:
            place = self.place(path)
            self.note(place, "doom")
            self.cancelled[self.model.jobs[path]] = False
            moves.doom(self.jar, place, COMMAND)
            self.model.move(path, f"failed/{place.name}")
            return path

    def retry(self):
        path, category, word = self.choose(COMPLETED, FAILED), self.category(), f"retried-{next(self.starts)}"
        if path:
            place, me = self.place(path), self.identity()
            moves.retry(self.jar, place, reservation.text(node.owner(me), node.nonce(me)), category, word)
            del self.alive[me.pid]
            if place.name in self.model.logs:
                self.model.logs[f"{place.name}.attempt-{word}"] = self.model.logs.pop(place.name)
            self.model.move(path, target := self.model.queue("unclaimed", category, place.name))
            self.model.bad -= {place.name} if place.state == COMPLETED else set()
            return f"{path} → {target}"

    def clean(self):
        path = self.choose(COMPLETED, FAILED)
        if path:
            place, me = self.place(path), self.identity()
            moves.clean(self.jar, [place], reservation.text(node.owner(me), node.nonce(me)))
            del self.alive[me.pid]
            self.handles.pop(self.model.jobs.pop(path), None)
            self.model.logs.pop(place.name, None)
            self.model.bad -= {place.name} if place.state == COMPLETED else set()
            return path

    def order(self):
        name = self.random.choice(("stop", "pause", "unpause"))
        target = self.random.choice(sorted(self.model.workers) or [""])
        if not target:
            return None
        target = self.random.choice((target, "all", NODE))
        reached = getattr(orders, name)(self.jar, [target])
        owning = [w for w, markers in self.model.workers.items() if markers is not None]
        meant = [w for w in owning if target in ("all", NODE, w)]
        if sorted(reached) != sorted(meant):
            raise Divergence(f"{name} {target} reached {reached}, not {meant}")
        for worker in meant:
            markers = self.model.workers[worker]
            markers.discard("pause") if name == "unpause" else markers.add(name)
        return f"{name} {target}"

    def drain(self):
        drained = orders.drains(self.jar)
        (orders.undrain if drained else orders.drain)(self.jar, NODE)
        return "undrain" if drained else "drain"

    # Workers.

    def register(self):
        if len(self.hands) >= WORKERS:
            return None
        # Numbers come round: one of a worker that owns nothing any more, now and then.
        former = [int(name.rpartition(".")[2]) for name, owns in sorted(self.model.workers.items()) if owns is None]
        me = self.identity(self.random.choice([None, *former]))
        if not registration.write(self.jar, me, {"uid": os.geteuid(), "lock": ""}):
            record = registration.read(self.jar, node.owner(me))
            assert registration.set_aside(self.jar, node.owner(me), record.nonce)
            assert registration.write(self.jar, me, {"uid": os.geteuid(), "lock": ""})
        self.hands[node.owner(me)] = Hand(self.jar, me)
        self.model.workers[node.owner(me)] = set()
        return node.owner(me)

    def a_hand(self, is_fit):
        fit = [hand for name, hand in sorted(self.hands.items()) if is_fit(hand, self.model.workers[name])]
        return self.random.choice(fit) if fit else None

    def claim(self):
        hand = self.a_hand(lambda hand, markers: not hand.place and not markers)
        best = self.next_in_line()
        if not hand or not best or orders.drains(self.jar):
            return None
        queue = claiming.Queue(self.jar, NODE, (CATEGORY,))
        for shelf in queue.shelves:
            shelf.list(0.0)
        _, place = queue.take()
        if self.relative(place) != best:
            raise Divergence(f"{self.relative(place)} was chosen before {best}")
        results = []
        died = self.strike(lambda: results.append(hand.attempts.claim(place, 1e12)), self.blow())
        if results == [WON] or died and best not in picture(self.jar):
            self.model.claim(hand.name, best, hand.attempts.attempt.id)
            hand.place = place
        elif not died:
            raise Divergence(f"{best} could not be claimed: {results}")
        return f"{hand.name} {best}{self.bury(hand) if died else ''}"

    def blow(self):
        return self.random.choice((0, 0, 0, self.random.randrange(1, 25)))

    def next_in_line(self):
        for category in (CATEGORY, None):
            shelf = [path for path in self.model.jobs if path.startswith("unclaimed/")
                     and self.place(path).category == category]
            if shelf:
                return min(shelf, key=self.rank)
        return None

    def rank(self, path):
        base, priority = jobname.split(self.place(path).name)
        return -priority, self.ages[self.model.jobs[path]], jobname.array_index(base), self.place(path).name

    def finish(self):
        hand = self.a_hand(lambda hand, _: hand.place)
        if not hand:
            return None
        kind = self.random.choice((runner.ENDED,) * 6 + (runner.QUIT, blame.REFUSED))
        code, is_gone = self.random.choice((0, 0, 3)), kind == runner.ENDED and self.random.random() < 0.1
        claim = self.model.claims[hand.name]
        printed = self.random.choice((f"said by {claim.attempt}\n", "")) if kind != blame.REFUSED else ""
        held = self.model.held(hand.name)
        ino = self.model.jobs[held]
        hand.stage.play(kind, code, printed, os.path.join(self.jar.home, held) if is_gone else None)
        expected = 1 + (len(self.model.tries.get((claim.category, claim.name), ())) if claim.noted else 0)
        died = self.strike(lambda: hand.attempts.perform(hand.place, None, None), self.blow())
        if hand.stage.tries not in (expected, None):
            raise Divergence(f"{held} heard that this is attempt {hand.stage.tries}, not {expected}")
        told = f"{hand.name} {held} {kind} {code} {printed!r}{' gone' if is_gone else ''}"
        hand.place = None
        self.cancelled[ino] = False
        if died:
            self.unsaid.add(ino)
            return told + self.bury(hand, kind, code, printed)
        self.finished(hand.name, kind, code, printed, is_gone)
        return told

    def finished(self, worker, kind, code, printed, is_gone=False):
        """What the model makes of it."""
        claim, held = self.model.claims[worker], self.model.held(worker)
        if is_gone:
            self.handles.pop(self.model.jobs.pop(held), None)
        if kind == runner.ENDED:
            self.model.complete(worker, bool(code), printed)
        elif kind == runner.QUIT:
            if printed:
                self.model.logs[f"{claim.name}.attempt-{claim.attempt}"] = printed
            self.model.put_back(worker)
        else:
            self.model.noted.add(jobname.split(claim.name)[0])
            self.model.tries.pop((claim.category, claim.name), None)
            self.model.move(held, f"failed/{self.model.final(claim.name)}")
            del self.model.claims[worker]

    def leave(self):
        hand = self.a_hand(lambda hand, markers: not hand.place and "stop" in markers)
        if hand:
            hand.journal.close()
            registration.leave(self.jar, hand.name)
            del self.hands[hand.name], self.alive[hand.me.pid]
            self.model.workers[hand.name] = None
            return hand.name

    def kill(self):
        hand = self.a_hand(lambda *_: True)
        return hand.name + self.bury(hand) if hand else None

    def bury(self, hand, kind=None, code=None, printed=""):
        """A worker has died: find out how far it had come."""
        hand.die()
        del self.hands[hand.name], self.alive[hand.me.pid]
        seen, claim = picture(self.jar), self.model.claims.get(hand.name)
        if claim:
            self.resolve(hand, seen, claim, kind, code, printed)
        self.model.dead.setdefault(hand.name, Death())
        self.observe(hand.name, seen)
        return " killed"

    def resolve(self, hand, seen, claim, kind, code, printed):
        held = self.model.held(hand.name)
        journal = lines(os.path.join(self.jar.worker(hand.name), "journal"))
        events = {line["e"]: line for line in journal if line["a"] == claim.attempt}
        if self.model.jobs[held] not in seen.values():
            # It had removed itself; what it had printed may be in logs/.
            self.handles.pop(self.model.jobs.pop(held), None)
            del self.model.claims[hand.name]
            self.model.tries = self.counted()
            self.model.logs.update(self.freed_logs(seen, claim, printed))
        elif seen.get(held) != self.model.jobs[held]:
            self.finished(hand.name, kind, code, printed)
        else:
            output = printed if hand.stage.has_output() else None
            self.model.dead[hand.name] = Death(events.get("end", {}).get("state"), "requeue" in events,
                                               events.get("target", {}).get("as"), output)
            self.model.tries = self.counted()
            self.model.noted |= {jobname.split(claim.name)[0]} & set(os.listdir(self.jar.notes))
        kept = f"logs/{claim.name}.attempt-{claim.attempt}"
        if kept in seen:
            self.model.logs[kept[5:]] = printed

    def freed_logs(self, seen, claim, printed):
        name = self.model.final(claim.name)
        is_held = str(seen.get(f"completed/{name}", "")).startswith("-> ")
        return {name: printed} if printed and f"logs/{name}" in seen and not is_held else {}

    def counted(self):
        keys = [*self.model.tries]
        return {key: found for key in keys if (found := notes.open_attempts(self.jar, key[1], key[0]))}

    def observe(self, owner, seen):
        """What a dead process has left, and nothing but what it may leave."""
        expected = self.model.picture()
        left = {path: text for path, text in seen.items() if path not in expected}
        tag = f"-> {reservation.PREFIX}{owner}:"
        for path, text in left.items():
            top, _, name = path.partition("/")
            is_its_own = str(text).startswith(tag) or top == "claimed" and f"/{owner}/" in text
            if not is_its_own and not (top in ("failed", "logs") and left.get(f"completed/{name}", "").startswith(tag)):
                raise Divergence(f"{owner} has left {path}: {text}")
        self.model.left.setdefault(owner, {}).update(left)

    def recover(self):
        """Recovery of the node, which may be killed twice before it comes to its end."""
        first = None
        for at in (*self.random.choice(((), (), (self.random.randrange(1, 60),),
                                        (self.random.randrange(1, 60), self.random.randrange(1, 60)))), None):
            me = self.identity()
            first = first or me.start
            died = self.strike(lambda: Recovery(self.jar, me, model.MAX_ATTEMPTS).node(), at)
            del self.alive[me.pid]
            if not died:
                break
        dead = [w for w, owns in self.model.workers.items() if owns is not None and w not in self.hands]
        for worker in sorted(dead, key=lambda name: int(name.rpartition(".")[2])):
            ino = self.model.jobs.get(self.model.held(worker)) if worker in self.model.claims else None
            self.model.recover(worker)
            self.cancelled[ino] = False
            self.unsaid |= {ino} if me.start > first else set()
        self.model.sweep()
        for path in sorted(self.model.jobs):
            if path.startswith("waiting/"):
                # None of these jobs waits for anything.
                self.model.move(path, path.replace("waiting", "unclaimed", 1))
        return ", ".join(dead) or "nobody"

    # What is to be seen.

    def check(self, closely):
        seen, expected = picture(self.jar), self.model.picture()
        wrong = [f"{path}: {seen.get(path)!r} instead of {expected.get(path)!r}"
                 for path in sorted({*seen, *expected}) if seen.get(path) != expected.get(path)]
        for worker in self.hands:
            markers, said = self.model.workers[worker], orders.read(self.jar, worker, NODE)
            if (said.stop, said.pause) != ("stop" in markers, "pause" in markers):
                wrong.append(f"{worker} reads {said}, set are {markers}")
        if closely:
            wrong += self.check_the_count() + self.check_the_census() + self.check_the_handles()
        if wrong:
            raise Divergence("\n".join(wrong))

    def check_the_count(self):
        found = {key: notes.open_attempts(self.jar, key[1], key[0]) for key in self.model.tries}
        return [f"of {key} {found[key]} count, not {tries}" for key, tries in self.model.tries.items()
                if tries != found[key]]

    def check_the_census(self):
        seen = census.look(self.jar, node.myself(NODE))
        states = {worker: staff.LEFT if owns is None else self.hands_state(worker)
                  for worker, owns in self.model.workers.items()}
        queued = {path for path in self.model.jobs if path.split("/")[0] in QUEUES}
        mute = [failed.name for failed in seen.failed if "no reason" in failed.reason
                and self.model.jobs[f"failed/{failed.name}"] not in self.unsaid]
        facts = [({worker.name: worker.state for worker in seen.workers}, states),
                 (set(seen.completed), self.names(COMPLETED)),
                 ({failed.name for failed in seen.failed if failed.ran}, self.model.bad),
                 ({failed.name for failed in seen.failed if not failed.ran}, self.names(FAILED)),
                 ({self.relative(place) for place in seen.jobs}, queued), (mute, [])]
        return [f"the census shows {shown}, not {true}" for shown, true in facts if shown != true]

    def hands_state(self, worker):
        if worker not in self.hands:
            return staff.STRANDED
        if "stop" in self.model.workers[worker] or orders.drains(self.jar):
            return staff.STOPPING
        if worker in self.model.claims:
            return staff.RUNNING
        return staff.PAUSED if "pause" in self.model.workers[worker] else staff.IDLE

    def names(self, state):
        return {path.partition("/")[2] for path in self.model.jobs if path.startswith(state + "/")}

    def check_the_handles(self):
        paths, wrong = {ino: path for path, ino in self.model.jobs.items()}, []
        for ino in random.Random(self.steps).sample(sorted(self.handles), min(3, len(self.handles))):
            true, shown = self.state_of(paths[ino], ino), self.handles[ino].state
            if shown != true:
                wrong.append(f"the handle of {paths[ino]} says {shown}, not {true}")
        return wrong

    def state_of(self, path, ino):
        top, _, name = path.partition("/")
        if top == COMPLETED:
            return job.FAILED if name in self.model.bad else job.COMPLETED
        if top == FAILED:
            return job.CANCELLED if self.cancelled.get(ino) else job.FAILED
        return job.PENDING if top in QUEUES else job.RUNNING


WEIGHTS = {"submit": 8, "mv": 14, "defer": 3, "submit_held": 3, "hold": 4, "release": 7, "alter": 6, "cancel": 4,
           "ready": 5, "doom": 1, "retry": 4, "clean": 2, "order": 5, "drain": 1, "register": 8, "claim": 24,
           "finish": 22, "leave": 6, "kill": 2, "recover": 5}


def lines(path):
    """The whole JSON lines of a file, read without the product."""
    found = []
    for raw in jars.read(path).split("\n")[:-1]:
        try:
            found.append(json.loads(raw))
        except ValueError:
            continue
    return found


def picture(jar):
    """What the model speaks of: jobs by their inodes, links and logs by their texts."""
    found = {}
    for top in (*QUEUES, "completed", "failed", "logs", "claimed", "limbo"):
        _look(jar.directory(top), top + "/", found)
    with os.scandir(jar.workers) as workers:
        for worker in workers:
            if ".old-" not in worker.name and worker.is_dir():
                for name in os.listdir(worker.path):
                    if name.startswith(("claims", "recovering.")):
                        _look(os.path.join(worker.path, name), f"workers/{worker.name}/{name}/", found)
    return found


def _look(directory, prefix, found):
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_symlink():
                found[prefix + entry.name] = "-> " + os.readlink(entry.path)
            elif entry.is_dir():
                _look(entry.path, f"{prefix}{entry.name}/", found)
            else:
                found[prefix + entry.name] = jars.read(entry.path) if prefix == "logs/" else entry.inode()


def play(workplace, alive, seed, chosen):
    """Do the steps of these numbers; (number of the step that diverged or None, how, what was done)."""
    world, told = World(os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}"), alive), []
    alive.clear()
    try:
        for number in chosen:
            if world.steps == STEPS:
                break
            # Each step has its own chance, so that one can be left out without changing the others.
            world.random = random.Random(f"{seed} {number}")
            act = world.random.choices([*WEIGHTS], WEIGHTS.values())[0]
            try:
                what = getattr(world, act)()
                if what is not None:
                    world.steps += 1
                    told.append(f"{number}: {act} {what}")
                    world.check(closely=world.steps % 10 == 0)
            except Exception as error:
                return number, f"{type(error).__name__}: {error}", [*told, f"{number}: {act}"]
        return None, "", told
    finally:
        world.close()


def shorten(diverges, chosen):
    """A short part of these steps that still diverges: the shortest beginning, less what can be left out of it."""
    low, high = 0, len(chosen)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if diverges(chosen[:middle]) else (middle + 1, high)
    chosen, size = chosen[:high], max(1, high // 2)
    while size:
        for start in range(len(chosen) - size, -1, -size):
            if diverges(shorter := chosen[:start] + chosen[start + size:]):
                chosen = shorter
        size //= 2
    return chosen


def try_a_seed(points, workplace, alive, seed):
    """`seed`: the one to be told; a world's steps are counted in `points`."""
    at, how, told = play(workplace, alive, seed, range(STEPS * 3))
    if at is None:
        for line in told:
            points.add(line, [])
        return
    short = shorten(lambda chosen: play(workplace, alive, seed, chosen)[0] is not None, list(range(at + 1)))
    _, how, told = play(workplace, alive, seed, short)
    points.add(f"seed {seed}, {len(short)} steps", ["\n  " + "\n  ".join(told) + f"\n{how}"])


def test_the_jar_is_what_the_model_says_after_every_step(workplace, points, alive, full, seed):
    points.spread(range(seed, seed + (1000 if full else 10)),
                  lambda mine, one: try_a_seed(mine, workplace, alive, one))
    points.verdict()
