"""A simulated file server and the clock of whoever asks it, put where the modules of the project find their own.

Nothing here decides anything. An operation costs its worker the way there and back, and the time that the server needs
for it and for all that it was asked before.
"""

import bisect
import contextlib
import functools
import gc
import random
import sys
import time
import types
from collections import Counter, namedtuple
from collections.abc import Iterator, MutableSequence, Sequence

from jobjar import beat, fslook, jobname, shelf, watch
from jobjar.layout import Jar

# Where the clocks of all computers stand when a simulation begins, in s since the epoch.
EPOCH = 1_800_000_000.0
# A listing comes in answers of so many names; so many names are for the server as much work as one operation.
NAMES_PER_ANSWER, NAMES_PER_OPERATION = 400, 100
# What has not been changed since the simulation began was changed then, in s.
LONG_AGO = -3600.0
# What a shelf makes of a listing.
ARRANGED = ("_ranks", "_first", "_last")

Entry = namedtuple("Entry", "name")


class Shared(MutableSequence):
    """A list that many workers have alike: each has a note of its own of what it has taken out of it."""

    __slots__ = ("_base", "_taken")

    def __init__(self, base: Sequence) -> None:
        # Where in `_base` those are that have been taken, in order.
        self._base, self._taken = base, []

    def __len__(self) -> int:
        return len(self._base) - len(self._taken)

    def __getitem__(self, at: int | slice) -> object:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        return self._base[self._place(at)]

    def __setitem__(self, at: int | slice, value: object) -> None:
        self._be_alone().__setitem__(at, value)

    def __delitem__(self, at: int | slice) -> None:
        if isinstance(at, slice):
            self._be_alone().__delitem__(at)
        else:
            bisect.insort(self._taken, self._place(at))

    def insert(self, at: int, value: object) -> None:
        """As list.insert."""
        at = max(0, at + len(self)) if at < 0 else min(at, len(self))
        for number, place in enumerate(self._taken):
            if place - number == at and self._base[place] == value:
                # What has been taken is put back where it was.
                del self._taken[number]
                return
        self._be_alone().insert(at, value)

    def _be_alone(self) -> list:
        self._base, self._taken = list(self), []
        return self._base

    def _place(self, at: int) -> int:
        at = at + len(self) if at < 0 else at
        if not 0 <= at < len(self):
            raise IndexError(at)
        taken = self._taken
        return at + bisect.bisect_right(range(len(taken)), at, key=lambda number: taken[number] - number)


class Snapshot:
    """What a listing shows. `arranged`: what the shelf of the first worker has made of it who listed this."""

    def __init__(self, entries: Sequence[Entry], version: int, at: float) -> None:
        self.entries, self.version, self.at = tuple(entries), version, at
        self.arranged: dict[str, object] | None = None


class Directory:
    """One directory of the queue."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.changed = LONG_AGO
        self._version = 0
        self._last: Snapshot | None = None

    def put(self, name: str, now: float) -> None:
        """A job is submitted."""
        self.entries[name] = Entry(name)
        self._change(now)

    def remove(self, name: str, now: float) -> bool:
        """A job is claimed; False when it is not there any more."""
        if self.entries.pop(name, None) is None:
            return False
        self._change(now)
        return True

    def _change(self, now: float) -> None:
        self.changed, self._version = now, self._version + 1

    def shown(self, now: float, grain: float) -> Snapshot:
        """What is there now, or was less than `grain` seconds ago when somebody else has listed it then."""
        last = self._last
        if last is None or last.version != self._version and now - last.at >= grain:
            last = self._last = Snapshot(self.entries.values(), self._version, now)
        return last


class Server:
    """One queue of operations. `now` is the clock of the worker whose event, begun at `event`, is going on."""

    def __init__(self, rate: float, trip: float) -> None:
        self.service, self.trip = 1 / rate, trip
        self.event = self.now = self._free = 0.0
        # What the server did for whom: the time it needed, and how often.
        self.time: Counter[str] = Counter()
        self.count: Counter[str] = Counter()
        # Operations a second that workers with a job ask for all the time; the rest of the server is for the others.
        self.steady = 0.0

    def begin(self, at: float) -> None:
        """What follows happens at that time."""
        self.event = self.now = at

    def is_ahead(self) -> bool:
        """Whether the worker's clock has gone on so far that others may have done something meanwhile."""
        return self.now - self.event > self.trip

    def ask(self, what: str, weight: float = 1.0, answers: int = 1) -> float:
        """Let the server work, for as many operations as `weight` says; when it does so."""
        need = weight * self.service / max(0.05, 1 - self.steady * self.service)
        waits = max(0.0, self._free - self.event)
        self._free = max(self._free, self.event) + need
        self.time[what] += weight * self.service
        self.count[what] += answers
        self.now += waits + answers * self.trip + need
        return self.now - self.trip / 2


class World:
    """The server with the directories of one jar, to which so many workers come; `grain`: see `shown`."""

    def __init__(self, server: Server, jar: Jar, workers: int, grain: float) -> None:
        self.server, self.jar, self.workers, self.grain = server, jar, workers, grain
        self.queue: dict[str, Directory] = {}
        # When others of the directories that workers look at were changed.
        self.changes: dict[str, float] = {}
        # What the listing shows that a worker is about to make, as the server has told it already: path → when it was
        # changed when the listing began, and the names. Then: when it ends, and what was listed last.
        self.told: dict[str, tuple[float, Snapshot]] = {}
        self.told_at = 0.0
        self.listed: Snapshot | None = None

    def stamp(self, directory: str) -> int:
        """As fslook.stamp."""
        if directory in self.told:
            return _mtime(self.told[directory][0])
        self.server.ask("looks")
        found = self.queue.get(directory)
        if found is None and directory.startswith(self.jar.unclaimed + "/"):
            return -1
        return _mtime(found.changed if found else self.changes.get(directory, LONG_AGO))

    def scan(self, directory: str) -> Sequence[Entry]:
        """As fslook.scan and fslook.stream. What has been arranged already is not shown: see `arranged_once`."""
        if directory not in self.queue:
            self.server.ask("looks")
            return ()
        _, self.listed = self.told.pop(directory)
        self.server.now = max(self.server.now, self.told_at)
        return self.listed.entries

    def names(self, directory: str) -> list[str]:
        """As fslook.names, of directories in which there is nothing that matters."""
        is_common = directory == self.jar.workers
        count = self.workers if is_common else 10
        answers = count // NAMES_PER_ANSWER + 1
        self.server.ask("workers/" if is_common else "looks", answers + count / NAMES_PER_OPERATION, answers)
        return []

    def touch(self, one: beat.Beat) -> None:
        """As Beat.touch."""
        one._at, one._offset = self.server.now, EPOCH
        self.server.ask("beats")

    def forget_listing(self, _: str) -> bool:
        """As fslook.forget_listing."""
        self.server.ask("looks")
        return True

    @contextlib.contextmanager
    def installed(self, seed: int) -> Iterator[None]:
        """Let the project's code live here meanwhile."""
        stand_ins = {time: _like(time, monotonic=lambda: self.server.now, time=lambda: EPOCH + self.server.now),
                     fslook: _like(fslook, stamp=self.stamp, scan=self.scan, stream=self.scan, names=self.names,
                                   forget_listing=self.forget_listing, is_file_entry=lambda entry: True),
                     # Many workers list the same names.
                     jobname: _like(jobname, **{name: functools.cache(getattr(jobname, name))
                                                for name in ("split", "number", "array_index", "rank")}),
                     random: random.Random(seed)}
        touch, beat.Beat.touch = beat.Beat.touch, lambda one: self.touch(one)
        # What other nodes do no inotify sees.
        arrivals, watch.Arrivals.of = watch.Arrivals.of, lambda directory: None
        replaced = [(module, name, value) for module in _modules() for name, value in vars(module).items()
                    if isinstance(value, types.ModuleType) and value in stand_ins]
        try:
            for module, name, value in replaced:
                setattr(module, name, stand_ins[value])
            yield
        finally:
            beat.Beat.touch, watch.Arrivals.of = touch, arrivals
            for module, name, value in replaced:
                setattr(module, name, value)


@contextlib.contextmanager
def arranged_once(world: World) -> Iterator[None]:
    """Let what several workers list alike be arranged by the first of them, and let them share the memory for it."""
    real, rank, ranks = shelf.Shelf.list, shelf.Shelf._rank, {}

    def arranged(one: shelf.Shelf, server_now: float) -> None:
        world.listed = None
        real(one, server_now)
        shown = world.listed
        if shown is not None:
            if shown.arranged is None:
                shown.arranged, shown.entries = {name: getattr(one, name) for name in ARRANGED}, ()
            vars(one).update(shown.arranged, _ranks=Shared(shown.arranged["_ranks"]))

    def ranked(one: shelf.Shelf, name: str, known: dict[str, str] | None = None) -> shelf.Rank:
        if name not in ranks:
            ranks[name] = rank(one, name, known)
        return ranks[name]
    shelf.Shelf.list, shelf.Shelf._rank = arranged, ranked
    # There are no circles to be found among millions of names.
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        shelf.Shelf.list, shelf.Shelf._rank = real, rank


def _modules() -> list[types.ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith("jobjar.")]


def _like(module: types.ModuleType, **others: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{**vars(module), **others})


def _mtime(at: float) -> int:
    return int((EPOCH + at) * 1e9)
