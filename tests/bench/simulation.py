"""Many workers of the project on one jar, on a simulated file server: what each does next is the project's own code.

Whenever a worker would ask the server for long, or has to wait, others go on; so his code is left and entered again
where the server would answer. docs/scale.md says what is simulated and what is not.
"""

import heapq
import random
import time
import types
from collections import Counter, namedtuple
from collections.abc import Iterator

from bench import model
from bench.world import EPOCH, NAMES_PER_ANSWER, NAMES_PER_OPERATION, Directory, Server, Snapshot, World, arranged_once

from jobjar import attempts, claiming, shelf, signs, states, waiting, worker
from jobjar.beat import Beat
from jobjar.layout import Jar, Place

# Workers come to life within so many seconds, as cron starts them; those that wait for a stream are there, and look
# within so many.
START, THERE = 10.0, 60.0
# What a worker needs to sort one name, and to make its directory (operations).
SORT_TIME, REGISTRATION = 2e-6, 20
# The urgent jobs of a run, and their priority.
URGENT, PRIORITY = 5, 9
# With more workers than that, whoever lists within GRAIN seconds sees the same: sorting is what takes long here.
MANY, GRAIN = 1000, 0.25

# What is simulated. `load`: the share of the workers that the submissions keep busy; None: all jobs wait from the
# beginning. `length`: of a job, on average; `rtt`: to the server and back; both s. `job_ops`: the operations for one
# job. `limit`: of events, after which the run is cut short.
Plan = namedtuple("Plan", "workers jobs length rtt server_ops categories seed load job_ops limit",
                  defaults=(36.0, 0.0005, 20_000, 1, 1, None, model.JOB, 2_000_000))


class Trying(Exception):
    """A worker is about to try for a candidate of this shelf."""

    def __init__(self, shelf: shelf.Shelf, place: Place) -> None:
        self.shelf, self.place = shelf, place


class Listing(Exception):
    """A worker is about to list these shelves."""

    def __init__(self, shelves: list[shelf.Shelf]) -> None:
        self.shelves = shelves


class Queue(claiming.Queue):
    """The project's, which says once more what was due when a worker goes on where `Listing` has left him."""

    again: list[shelf.Shelf] | None = None

    def due(self) -> list[shelf.Shelf]:
        """As the project's."""
        again, self.again = self.again, None
        return super().due() if again is None else again


class Worker(worker.Worker):
    """The project's, with nothing behind him that would touch a disk."""

    def __init__(self, jar: Jar, number: int, categories: tuple[str, ...], server: Server) -> None:
        said = types.SimpleNamespace
        watch = said(handle=None, once=lambda directory, written=False: directory, always=lambda *_: None)
        self.jar, self.name, self.server = jar, f"n{number}.1", server
        self.me = said(node=f"n{number}", pid=1)
        self.directory, self.claims = jar.worker(self.name), jar.claims(self.name)
        self.settings, self.log = said(pause_time=60, order_time=5), said(say=print)
        self.bell = said(watch=watch, changed=set, requests_to_end=0)
        self.journal, self.runner = said(rotate=lambda: None), said(leave_scratch=lambda: None)
        self.room, self.faults = said(is_short=lambda: False), said(pauses=lambda: False)
        self.desk = said(hear=lambda changed: None)
        self.attempts = said(categories=set(), claim=lambda place, now: self.result)
        self.beat = Beat(self.directory, print)
        self.queue = Queue(jar, self.me.node, categories)
        self._own = claiming.Claims(self.claims)
        self.signs = signs.Signs(jar, self.me, self.beat, watch, self.log)
        self.waiting = waiting.Waiting(jar, self.name, "", self.beat.fresh_now, print, watch)
        self._idle_exit = self._idle_since = None
        self._pause = 1.0
        self.result, self.is_told = "", False

    def go_on(self, shelves: list[shelf.Shelf]) -> None:
        """The server has told what is on these shelves, which were due: they are to be listed now."""
        self.queue.again, self.is_told = shelves, True

    def learn(self, tried: Trying, result: str) -> None:
        """What became of an attempt."""
        self.result = result
        super()._claim(tried.shelf, tried.place)

    def has_ended(self) -> None:
        """What Worker._perform leaves behind after a job that ended well."""
        self._idle_since, self._pause = None, 1.0
        self.signs.expire()

    def _list(self, shelves: list[shelf.Shelf]) -> None:
        if shelves and not self.is_told:
            raise Listing(shelves)
        self.is_told = False
        super()._list(shelves)

    def _claim(self, shelf: shelf.Shelf, place: Place) -> bool:
        raise Trying(shelf, place)

    def _wait(self, seconds: float) -> None:
        # Nothing wakes it: what others do on their nodes no inotify sees.
        self.server.now += seconds


class Simulation:
    """One run. `claimed`: (when, number of the category, name) in their order; the names of the jobs, with the time of
    their submission, are in `submitted`, by category, and in `urgent` with what they have waited for."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self._random, self.jar = plan, random.Random(plan.seed), Jar("/jar")
        self.server = Server(plan.server_ops, plan.rtt)
        # Whoever is there has read the names of all workers long ago.
        newcomers = plan.workers if plan.load is None else 0
        self.world = World(self.server, self.jar, newcomers, GRAIN if plan.workers > MANY else 0.0)
        self.categories = [f"C{number}" for number in range(plan.categories)] if plan.categories > 1 else [None]
        self.shelves = [Directory() for _ in self.categories]
        paths = [self.jar.directory(states.UNCLAIMED, category) for category in self.categories]
        self.world.queue = dict(zip(paths, self.shelves))
        self.submitted: list[dict[str, float]] = [{} for _ in self.categories]
        self.urgent: dict[str, float | None] = {}
        self.claimed: list[tuple[float, int, str]] = []
        # Attempts that came too late: for the look, for the rename.
        self.missed: Counter[str] = Counter()
        # When jobs began and ended.
        self.runs: list[tuple[float, float]] = []
        self.events = 0
        self._heap: list[tuple[float, int, Iterator[float]]] = []
        self._number = self._left = 0
        self._until = 0.0

    def run(self) -> "Simulation":
        """Until all has been claimed, when all was there from the beginning, else as long as submissions come."""
        with self.world.installed(self.plan.seed), arranged_once(self.world):
            self._begin()
            for number in range(self.plan.workers):
                self._push(self._random.uniform(0, START if self.plan.load is None else THERE), self._live(number))
            while (self._left or self.server.event < self._until) and self.events < self.plan.limit:
                self.events += 1
                at, _, life = heapq.heappop(self._heap)
                self.server.begin(at)
                after = next(life, None)
                if after is not None:
                    self._push(after, life)
        return self

    def _push(self, at: float, life: Iterator[float]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, self._number, life))

    # Jobs.

    def _begin(self) -> None:
        plan, rate = self.plan, self.plan.workers / self.plan.length
        if plan.load is None:
            for number in range(plan.jobs):
                self._submit((number - plan.jobs) / 1000, number % len(self.categories))
            lasts = max(START, plan.jobs / rate)
        else:
            lasts = self._until = plan.jobs / rate / plan.load
            self._push(0.0, self._arrive(rate * plan.load))
        self._push(0.1 * lasts, self._hurry(0.7 * lasts / URGENT))

    def _submit(self, at: float, number: int, priority: int = 0) -> str:
        seconds, micros = divmod(round((EPOCH + at) * 1e6), 10**6)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
        name = f"{stamp}-u-{micros:06d}{self._number % 1000:03d}.{priority}"
        self._number += 1
        self.submitted[number][name] = at
        self.shelves[number].put(name, at)
        self._left += self.plan.load is None
        return name

    def _arrive(self, rate: float) -> Iterator[float]:
        while True:
            self._submit(self.server.event, self._random.randrange(len(self.categories)))
            yield self.server.event + self._random.expovariate(rate)

    def _hurry(self, pause: float) -> Iterator[float]:
        for _ in range(URGENT):
            self.urgent[self._submit(self.server.event, self._random.randrange(len(self.categories)), PRIORITY)] = None
            yield self.server.event + pause

    # Workers. Each of these yields when it is to be gone on with.

    def _live(self, number: int) -> Iterator[float]:
        at, server = number % len(self.categories), self.server
        category = self.categories[at]
        one = Worker(self.jar, number, (category,) if category else (), server)
        if self.plan.load is None:
            self.world.changes[self.jar.workers] = server.now
            server.ask("registration", REGISTRATION, REGISTRATION)
        while True:
            if server.is_ahead():
                yield server.now
            one._reason_to_end()
            tried = yield from self._look(one)
            if tried and (yield from self._try(one, tried, at)):
                yield from self._perform(one)

    def _look(self, one: Worker) -> Iterator[float]:
        """Up to an attempt, or, without a candidate, to the end of a sleep."""
        server = self.server
        while True:
            tried = shelves = None
            try:
                one._look()
                return None
            except Trying as error:
                tried = error
            except Listing as error:
                shelves = error.shelves
            if server.is_ahead():
                yield server.now
            if tried:
                return tried
            began = server.now
            self.world.told = yield from self._list([shelf.directory for shelf in shelves])
            server.now, self.world.told_at = began, server.now
            one.go_on(shelves)

    def _list(self, directories: list[str]) -> Iterator[float]:
        """The server's part in listings, answer by answer; returns what `World.told` has."""
        found: dict[str, tuple[float, Snapshot]] = {}
        for path in directories:
            there = self.world.queue.get(path)
            count, changed = (len(there.entries), there.changed) if there else (0, 0.0)
            answers = count // NAMES_PER_ANSWER + 1
            for number in range(answers):
                yield self.server.ask("listings", 1 + count / answers / NAMES_PER_OPERATION)
                self.server.now += self.server.trip / 2
                # Later answers show later changes: the middle stands for all.
                if there and number == answers // 2:
                    found[path] = changed, there.shown(self.server.event, self.world.grain)
            self.server.count["with names"] += count > 0
            self.server.now += count * SORT_TIME
        return found

    def _try(self, one: Worker, tried: Trying, at: int) -> Iterator[float]:
        """Look at a candidate's file and rename it; whether that was done."""
        server, there, name = self.server, self.shelves[at], tried.place.name
        for step in ("look", "rename"):
            yield server.ask("attempts")
            server.now += server.trip / 2
            if name not in there.entries:
                self.missed[step] += 1
                one.learn(tried, attempts.LOST)
                return False
        there.remove(name, server.event)
        self._left -= self.plan.load is None
        self.claimed.append((server.event, at, name))
        if name in self.urgent:
            self.urgent[name] = server.event - self.submitted[at][name]
        one.learn(tried, attempts.WON)
        return True

    def _perform(self, one: Worker) -> Iterator[float]:
        server, rate = self.server, model.LOOK / one.settings.order_time
        before = (self.plan.job_ops - 2) // 2
        self.world.changes[one.claims] = server.now
        server.ask("jobs", before, before)
        took = self._random.uniform(0.8, 1.2) * self.plan.length
        self.runs.append((server.now, server.now + took))
        server.steady += rate
        yield server.now + took
        server.steady -= rate
        self.world.changes[one.claims] = server.now
        server.ask("jobs", self.plan.job_ops - 2 - before, self.plan.job_ops - 2 - before)
        one.has_ended()
