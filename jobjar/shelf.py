"""The candidates of one category, and when to list it anew: one listing serves many claims.

A listing is a hint. It is renewed by the clock, at once when inotify says so, and never so often that listings cost
more than a twentieth of the worker's time. Where that is too seldom for what comes meanwhile, inotify says the names of
what comes; and of a queue that is deeper than a worker can use only the best are kept, and then the next best.
"""

import bisect
import heapq
import itertools
import os
import random
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache

from jobjar import fslook, jobname, states
from jobjar.glance import Glance
from jobjar.jobname import Rank
from jobjar.layout import Jar
from jobjar.watch import Arrivals

RENEW_AFTER = 1.0
LOOK_AGAIN_AFTER = 0.5
COST_FACTOR = 20
# A listing of so many seconds may not be renewed each second.
DEAR = RENEW_AFTER / COST_FACTOR
# Candidates that are kept: more than are used while a longer queue may not be listed anew, in 12 MB.
MOST = 50_000
# How much wider a worker chooses after an attempt that somebody else was quicker at, and how much less so after one
# that it has won: in balance it loses one of seven.
WIDER, LESS_WIDE = 2.0, 0.89
# After how many seconds a candidate that was not to be had is looked at again, at the latest.
LOOK_AGAIN_AT_LAST = 60.0


class Shelf:
    """The candidates of one category, best first."""

    def __init__(self, jar: Jar, category: str | None) -> None:
        self.category = category
        self.directory = jar.directory(states.UNCLAIMED, category)
        self.glance = Glance(self.directory)
        # Where something appears first: the directory, or the nearest that exists above it.
        self.watched = self.directory
        self.is_hinted = False
        self._ranks: list[Rank] = []
        # Between these the last listing has kept all that it has shown; None for the second: it has shown nothing more.
        self._first: Rank | None = None
        self._last: Rank | None = None
        self._arrivals: Arrivals | None = None
        self._has_left = False
        # Those that were not to be had, since when there are any, and how many seconds the looks at them have taken.
        self._vain: set[str] = set()
        self._vain_since = self._vain_cost = self._taken_at = 0.0
        # Whether one of these may have changed since.
        self._is_owed = False
        self._passed_over: dict[str, float] = {}
        self._numbers: dict[str, str] = {}
        # From how many of the best a candidate is drawn.
        self._width = 1.0
        self._listed_at = self._looked_at = float("-inf")
        self._cost = 0.0

    def has_candidates(self) -> bool:
        """Whether there is anything left to try without a new listing."""
        return bool(self._ranks)

    def take(self) -> str:
        """A candidate, taken off the shelf; it may be gone already. The best, as long as nobody else was quicker."""
        ranks, at = self._ranks, 0
        if self._width >= 2.0:
            # RACE: workers that all try the same job lose all but one. A lower priority waits its turn all the same.
            alike = bisect.bisect_left(ranks, (ranks[0][0] + 1,), 0, min(int(self._width), len(ranks)))
            at = random.randrange(alike)
        self._taken_at = time.monotonic()
        return ranks.pop(at)[-1]

    def put_back(self, name: str) -> None:
        """Undo `take`."""
        bisect.insort(self._ranks, self._rank(name))

    def has_won(self) -> None:
        """A candidate was had: the next is drawn from fewer."""
        self._width = max(1.0, self._width * LESS_WIDE)

    def leave(self, is_lost: bool) -> None:
        """A candidate was not had: it is offered again if the next listing shows it.

        `is_lost`: because somebody else was quicker; the next is drawn from more.
        """
        self._has_left = True
        if is_lost:
            self._width = max(1.0, min(self._width * WIDER, len(self._ranks)))

    def look_again(self, name: str) -> None:
        """A candidate was not to be had: it is looked at again, for chmod changes no directory.

        Not so soon that such looks keep those behind it from their turn.
        """
        now = time.monotonic()
        if not self._vain:
            self._vain_since, self._vain_cost = now, 0.0
        self._vain.add(name)
        self._vain_cost += now - self._taken_at
        self._has_left = True

    def pass_over(self, name: str, seconds: float) -> None:
        """Leave a candidate to itself for so long: what cannot be started now must not keep others from starting."""
        self._passed_over[name] = time.monotonic() + seconds
        self._has_left = True

    def is_due(self) -> bool:
        """Whether to `list`: a hint or an empty list are reasons, and so is time."""
        if self._is_ready():
            return True
        if not self._may_list():
            return False
        if self.is_hinted:
            return True
        now = time.monotonic()
        if now - self._looked_at < self._interval():
            return False
        self._looked_at = now
        return self._has_left or self.glance.needs_listing()

    def due_in(self) -> float | None:
        """Seconds until `is_due` will say yes, as far as that is known, else None."""
        if self._is_ready():
            return 0.0
        now = time.monotonic()
        wishes = [0.0 if self.is_hinted else self.glance.due(), self._vain_until() - now if self._is_owed else None,
                  *(until - now for until in self._passed_over.values())]
        wished = min((wish for wish in wishes if wish is not None), default=None)
        if wished is None:
            return None
        # Never sooner than `is_due` would allow: a worker that is told to look at once, in vain, looks without end.
        allowed = self._listed_at + COST_FACTOR * self._cost
        if not self.is_hinted:
            allowed = max(allowed, self._looked_at + self._interval())
        return max(wished, allowed - now)

    def _is_ready(self) -> bool:
        """Whether there is something to be had, whatever the last listing has cost."""
        return self._is_used_up() or self.is_hinted and self._arrivals is not None

    def _is_used_up(self) -> bool:
        return self._last is not None and not self._ranks

    def _may_list(self) -> bool:
        return time.monotonic() - self._listed_at >= COST_FACTOR * self._cost

    def _vain_until(self) -> float:
        return self._vain_since + min(COST_FACTOR * self._vain_cost, LOOK_AGAIN_AT_LAST)

    def _interval(self) -> float:
        return RENEW_AFTER if self._ranks else LOOK_AGAIN_AFTER

    def list(self, server_now: float) -> None:
        """List the directory and keep the best of what may be jobs; where that may not be yet, hear what has come."""
        is_hinted, self.is_hinted = self.is_hinted, False
        if self._may_list():
            self._is_owed |= is_hinted
            self._list_anew(server_now)
            return
        if self._is_used_up():
            self._list_on()
        if is_hinted and not self._arrivals:
            # What has come may stand before what is shown now.
            self.is_hinted = True
        if self._arrivals:
            self._hear(self._arrivals.names())

    def _list_anew(self, server_now: float) -> None:
        began = time.monotonic()
        if self._cost >= DEAR or self._listed_at < 0.0:
            self._listen()
        self.glance.about_to_list(server_now)
        self._passed_over = {name: until for name, until in self._passed_over.items() if until > began}
        if began >= self._vain_until():
            self._vain.clear()
        self._is_owed &= bool(self._vain)
        self._first = self._last = None
        try:
            self._keep(self._shown())
        except OSError:
            self.glance.has_failed()
            raise
        self._has_left = bool(self._passed_over or self._vain)
        self._listed_at = self._looked_at = time.monotonic()
        self._cost = self._listed_at - began
        if self._cost < DEAR:
            self._listen_no_more()

    def _list_on(self) -> None:
        """List once more, for what the last listings have shown and not kept."""
        first, last = self._first, self._last
        self._keep(rank for rank in self._shown() if not first <= rank <= last)
        self._first = min(first, self._first or first)

    def _keep(self, ranks: Iterable[Rank]) -> None:
        best = list(itertools.islice(ranks, MOST + 1))
        if len(best) > MOST:
            best = heapq.nsmallest(MOST + 1, itertools.chain(best, ranks))
        else:
            # In a third of the time.
            best.sort()
        self._last = best[MOST - 1] if len(best) > MOST else None
        self._first = best[0] if best else None
        self._ranks = best[:MOST]

    def _shown(self) -> Iterator[Rank]:
        """What a listing shows; nothing when there is no such directory, or it is not ours to read."""
        known, self._numbers = self._numbers, {}
        try:
            for entry in fslook.stream(self.directory):
                # NFS: many a listing does not say what a name is, and to ask costs a request for each; what is named as
                # jobs are is looked at when it is tried.
                is_candidate = jobname.is_dated(entry.name) or fslook.is_file_entry(entry)
                if is_candidate and entry.name not in self._passed_over and entry.name not in self._vain:
                    yield self._rank(entry.name, known)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass

    def _rank(self, name: str, known: dict[str, str] | None = None) -> Rank:
        base, _, extension = name.rpartition(".")
        array, mark, index = base.rpartition("_")
        if mark and (shared := _shared(array, extension)) and index.isascii() and index.isdigit() and len(index) < 10:
            return *shared, int(index), name
        number = jobname.number(name)
        if not number:
            # Of a name that is not of our making: from its file; asked once as long as it is listed.
            known = self._numbers if known is None else known
            number = known.get(name) or _number_of_file(os.path.join(self.directory, name))
            if len(self._numbers) < MOST:
                self._numbers[name] = number
        return jobname.rank(name, number)

    def _listen(self) -> None:
        """From now on, be told the names of what comes."""
        if self._arrivals is None:
            self._arrivals = Arrivals.of(self.directory)
        elif self._arrivals.names() is None:
            self._listen_no_more()

    def _listen_no_more(self) -> None:
        if self._arrivals:
            self._arrivals.close()
            self._arrivals = None

    def _hear(self, names: set[str] | None) -> None:
        """Put what has come among the candidates."""
        if names is None:
            # Too many came, or the directory has gone: a listing will tell, as soon as it may be.
            self._listen_no_more()
            self.is_hinted = True
            return
        for name in names:
            if not name.startswith(".") and name not in self._passed_over:
                rank = self._rank(name)
                self._vain.discard(name)
                # What comes behind those that are kept is listed after them.
                if self._last is None or rank <= self._last:
                    bisect.insort(self._ranks, rank)


@lru_cache(1024)
def _shared(array: str, extension: str) -> tuple[int, str] | None:
    """Where all tasks of an array stand, for deep queues are arrays, most times; None when it is no name of ours."""
    task = f"{array}_1.{extension}"
    number = jobname.number(task)
    return jobname.rank(task, number)[:2] if number else None


def in_turn(directory: str, names: Iterable[str]) -> list[str]:
    """The names of jobs in a category's directory in the order in which workers try them."""
    numbers = ((name, jobname.number(name) or _number_of_file(os.path.join(directory, name))) for name in names)
    return [rank[-1] for rank in sorted(jobname.rank(name, number) for name, number in numbers)]


def _number_of_file(path: str) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return "0"
    seconds, rest = divmod(found.st_mtime_ns, 10**9)
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds)) + f"{rest:09d}"
