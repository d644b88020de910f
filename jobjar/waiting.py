"""waiting/: whoever waits there for nothing any more is made ready. docs/PROTOCOL.md section 6, "Ready".

Looked at by idle workers, by whoever lists the queue, by recovery, and when a task of an array has ended that may not
have all its tasks at work at once. A rename decides who has made a job ready.
"""

import heapq
import os
import random
import time
from collections.abc import Callable

from jobjar import fails, fslook, jobname, moves, notes, turns, waits
from jobjar.directives import Request
from jobjar.errors import Fenced, JobJarError
from jobjar.glance import Glance
from jobjar.layout import Jar, Place
from jobjar.shelf import COST_FACTOR, RENEW_AFTER
from jobjar.states import WAITING
from jobjar.watch import Watch

# So many of those whose turn or time comes next are kept in mind after a listing: of each array, and of all others.
KEPT = 256
# When a task has ended, a look for the next one that costs no more seconds than CHEAP is always worth it; any other may
# take this share of the time.
CHEAP, TURN_FACTOR = 0.05, 4
# Seconds until the next look after one that has failed.
AFTER_ERROR = 10.0

# (when, index, place) of a job that waits.
Waiter = tuple[float, int, Place]


class Waiting:
    """waiting/ as one process knows it, by its last listing: a hint, as every listing."""

    def __init__(self, jar: Jar, writer: str, mine: str, server_now: Callable[[], float],
                 report: Callable[[str], None], watch: Watch | None = None) -> None:
        """`writer`: this process, NODE.PID; `mine`: the text of its reservations; `server_now()` tells the file
        server's time; `report` hears what went wrong: nothing here fails."""
        self.jar, self._writer, self._mine, self._report = jar, writer, mine, report
        self._server_now, self._watch = server_now, watch
        self._turns, self._waits = turns.Turns(jar), waits.Waits(jar)
        self._glances = {jar.waiting: Glance(jar.waiting)}
        self._watched: set[str] = set()
        # Those that wait for a time alone, under None, and those of each array with a cap; the first comes first.
        self._waiters: dict[str | None, list[Waiter]] = {}
        self._caps: dict[str, int] = {}
        # What `KEPT` has left out is found by listing again.
        self._has_more: set[str | None] = set()
        # Whether it has become somebody's turn since the last look, and it is this process that is to see to it.
        self.is_wanted = self._is_hinted = False
        self._looked_at = self._ended_at = float("-inf")
        # What the last look cost, s, and how much of that was for listing waiting/, which serves many turns.
        self._cost = self._listing = 0.0

    def hint(self, changed: set[str]) -> None:
        """Take note of directories in which something has appeared."""
        self._is_hinted |= not self._watched.isdisjoint(changed)

    def is_due(self) -> bool:
        """Whether to look: something or somebody's time has come, or it may be the turn of an array's next task."""
        if self._rest() > 0:
            return False
        if self._is_hinted or self.is_wanted or self._next() <= time.time():
            return True
        now = time.monotonic()
        if now - self._looked_at < RENEW_AFTER:
            return False
        self._looked_at = now
        return any(array is not None for array in self._waiters) or self._needs_listing()

    def due_in(self) -> float | None:
        """Seconds until `is_due` will say yes, as far as that is known, else None."""
        dues = [glance.due() for glance in self._glances.values()]
        dues = [max(due, self._looked_at + RENEW_AFTER - time.monotonic()) for due in dues if due is not None]
        if self._is_hinted or self.is_wanted:
            dues.append(0.0)
        first = self._next()
        if first != float("inf"):
            dues.append(first - time.time())
        return max(0.0, self._rest(), min(dues)) if dues else None

    def _rest(self) -> float:
        """For how long not to look, so that looking costs at most a twentieth of the time; when it may be the turn of
        an array's next task, a fifth."""
        pause = TURN_FACTOR * self._turn_cost() if self.is_wanted else COST_FACTOR * self._cost
        return self._ended_at + pause - time.monotonic()

    def _turn_cost(self) -> float:
        cost = self._cost - self._listing
        return cost if cost > CHEAP else 0.0

    def _next(self) -> float:
        """When the next one's time comes that has not come yet, in s since the epoch."""
        now = time.time()
        firsts = ((array, waiters[0][0]) for array, waiters in self._waiters.items())
        return min((when for array, when in firsts if array is None or when > now), default=float("inf"))

    def look(self) -> int:
        """Make ready whoever waits for nothing any more, and doom whose #JJ lines will not do; how many have moved."""
        self._looked_at = time.monotonic()
        return self._paid(self._look)

    def _look(self) -> int:
        if self._is_hinted or self._needs_listing():
            self._list()
        self.is_wanted = False
        return self._see_to_times() + sum([self._fill(array) for array in [*self._caps]])

    def ended(self, name: str, asked: Request, has_failed: bool) -> int:
        """The task `name` of an array has ended: make the next one ready if there is one; how many have moved.

        When it `has_failed`, the rest of its array may have to be held.
        """
        task = jobname.array_task(name)
        if has_failed and "max_fails" in asked:
            self._paid(lambda: len(fails.enforce(self.jar, self._writer, self._mine, name, asked)))
        if task is None or turns.cap(asked) is None:
            return 0
        self.is_wanted = True
        return 0 if self._rest() > 0 else self._paid(lambda: self._next_of(task[0]))

    def _next_of(self, array: str) -> int:
        self.is_wanted = False
        moved = self._fill(array)
        if array not in self._waiters and (self._is_hinted or self._needs_listing()):
            self._list()
            moved += self._fill(array)
        return moved

    def _paid(self, act: Callable[[], int]) -> int:
        """`act()`, whose cost is remembered; 0 when it fails, which is reported."""
        began, least = time.monotonic(), 0.0
        self._listing = 0.0
        try:
            return act()
        except (OSError, JobJarError) as error:
            # Whom it has kept from moving nobody has in mind any more.
            self._is_hinted, least = True, AFTER_ERROR / COST_FACTOR
            self._report(f"waiting/ could not be looked after: {error}")
            return 0
        finally:
            self._ended_at = time.monotonic()
            self._cost = max(least, self._ended_at - began)

    # Listing.

    def _needs_listing(self) -> bool:
        return any([glance.needs_listing() for glance in self._glances.values()])

    def _list(self) -> None:
        """List the directory and its categories, and sort who waits there."""
        began, now = time.monotonic(), self._server_now()
        old, self._glances, self._watched, self._is_hinted = self._glances, {}, set(), False
        found: list[tuple[Place, int]] = []
        categories = [None]
        for category in categories:
            directory = self.jar.directory(WAITING, category)
            glance = self._glances[directory] = old.get(directory) or Glance(directory)
            if self._watch:
                # Armed before the listing, so that nothing can slip in between.
                self._watched.add(self._watch.once(directory))
            for entry in self._entries(glance, now):
                # NFS: many a listing does not say what a name is, and to ask costs a request for each.
                if jobname.number(entry.name):
                    found.append((Place(WAITING, category, entry.name), entry.inode()))
                elif category is None and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    categories.append(entry.name)
                elif fslook.is_file_entry(entry):
                    found.append((Place(WAITING, category, entry.name), entry.inode()))
        self._sort(found)
        self._listing += time.monotonic() - began

    def _entries(self, glance: Glance, now: float) -> list[os.DirEntry]:
        glance.about_to_list(now)
        try:
            return fslook.scan(glance.directory)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        except OSError:
            glance.has_failed()
            raise

    def _sort(self, found: list[tuple[Place, int]]) -> None:
        self._waits.renew({ino for _, ino in found})
        self._waiters, self._caps, self._has_more = {}, {}, set()
        for place, ino in found:
            wanted = self._waits.of(place, ino)
            if wanted is None:
                continue
            wait, when = wanted
            array, index = (wait.cap is not None and jobname.array_task(place.name)) or (None, 0)
            if array is not None:
                self._caps[array] = wait.cap
            self._waiters.setdefault(array, []).append((when, index, place))
        for array, waiters in self._waiters.items():
            if len(waiters) > KEPT:
                self._has_more.add(array)
            # By the time first: so the first of those whose time has come is the same whoever looks, and when.
            self._waiters[array] = heapq.nsmallest(KEPT, waiters, key=_order)

    # Moving.

    def _see_to_times(self) -> int:
        """Make ready all whose time has come, of those that wait for nothing else."""
        now, waiters = time.time(), self._waiters.get(None, [])
        come = [waiter for waiter in waiters if waiter[0] <= now]
        self._keep(None, waiters[len(come):])
        # Others do the same just now: in one order they would all try for the same ones.
        random.shuffle(come)
        return sum([self._release(place) for _, _, place in come])

    def _fill(self, array: str) -> int:
        """Make ready as many tasks of the array as it may have at work; how many that were."""
        moved, waiters = 0, [*self._waiters.get(array, ())]
        try:
            while waiters and waiters[0][0] <= time.time():
                place = waiters[0][2]
                # RACE: first who waits, then how many are at work: so of two processes that find a free place, the one
                # that looks later either tries for the same task or sees the other's among those at work.
                if fslook.is_there(self.jar.directory(WAITING, place.category), place.name):
                    if self._turns.active(array) >= self._caps[array]:
                        break
                    moved += self._release(place)
                del waiters[0]
        finally:
            self._keep(array, waiters)
        return moved

    def _keep(self, array: str | None, waiters: list[Waiter]) -> None:
        if waiters:
            self._waiters[array] = waiters
        elif self._waiters.pop(array, None) is not None and array in self._has_more:
            self._is_hinted = True

    def _release(self, place: Place) -> bool:
        """Make one ready, or doom it, after a last look at what it asks for; whether this process has moved it."""
        wait = waits.read(self.jar.path(place))
        if wait is None:
            return False
        if wait.wrong:
            said = self.jar, self._writer, place.name, place.category, "doom"
            notes.add(*said, why=wait.wrong)
            return moves.doom(self.jar, place, self._mine, notes.along(*said, why=wait.wrong)) is not None
        if max(wait.begin, waits.until(self.jar, place)) > time.time():
            # What was known of it was out of date.
            self._is_hinted = True
            return False
        try:
            return moves.ready(self.jar, place, self._mine, before=lambda name: notes.carry(
                self.jar, self._writer, place.name, place.category, name)) is not None
        except Fenced:
            # RACE: its category has been removed, which nobody could do before the job had gone.
            return False


def _order(waiter: Waiter) -> tuple[float, int, str]:
    return waiter[0], waiter[1], waiter[2].name
