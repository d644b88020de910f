"""A worker: obey markers, find, claim, run, complete, sleep.

It runs one job at a time, survives any job and any bad file, and stops touching the jar the moment it finds itself
fenced. docs/PROTOCOL.md section 5 has the order of its looks.
"""

import random
import time

from jobjar import claiming, fitness, node, registration, reservation, trust
from jobjar.attempts import EARLY, LEFT, LOST, WON, Attempts
from jobjar.beat import INTERVAL, Beat
from jobjar.blame import BUSY, FAULT, FULL
from jobjar.claiming import Claims, Queue
from jobjar.config import Settings
from jobjar.control import Desk
from jobjar.departures import Attempt
from jobjar.errors import DEFECTS, Fenced
from jobjar.journal import Journal
from jobjar.layout import Jar, Place
from jobjar.runner import ENDED, QUIT, Runner
from jobjar.shelf import Shelf
from jobjar.signs import Signs
from jobjar.waiting import Waiting
from jobjar.watch import Bell
from jobjar.workerlog import WorkerLog

STOPPED, RENEWED, IDLE, FENCED = "stopped", "renewed", "idle", "fenced"
LOOK_AT_MARKERS = 1.0


class Worker:
    """One registered worker. `run` says why it ended; `leave` must follow, unless it was fenced."""

    def __init__(self, jar: Jar, me: node.Identity, settings: Settings, categories: tuple[str, ...], bell: Bell,
                 base: dict[str, str], lock: int, trusted: frozenset[int]) -> None:
        self.jar, self.me, self.settings, self.bell = jar, me, settings, bell
        self.name = node.owner(me)
        self.directory, self.claims = jar.worker(self.name), jar.claims(self.name)
        self.log = WorkerLog(self.directory)
        self.beat = Beat(self.directory, self.log.say)
        self.journal = Journal(self.directory)
        self.queue = Queue(jar, me.node, categories)
        self.runner = Runner(jar, self.name, lock, settings.max_log, settings.limit_factor,
                             {**base, "JJ_NODE": me.node}, self._wait, self.log.say)
        self.attempts = Attempts(jar, me, self.journal, self.runner, self.log, trusted, self._be_patient,
                                 trust.is_private(jar, settings), _longest(settings.pause_time))
        self.blockade = fitness.Blockade(self.log.say)
        self.room = fitness.Room(jar.home, settings.min_free, self.log.say)
        self.faults = fitness.Faults(jar, self.name, me.node, self.runner.is_fit, self.log.say)
        self._own = Claims(self.claims)
        self.signs = Signs(jar, me, self.beat, bell.watch, self.log)
        self.desk = Desk(jar, self.name, trusted, self.beat, bell.watch, self.log.say)
        self.waiting = Waiting(jar, self.name, reservation.text(self.name, self.attempts.nonce), self.beat.fresh_now,
                               self.log.say, bell.watch)
        self._idle_exit: float | None = None
        self._idle_since: float | None = None
        self._pause = 1.0

    def run(self, idle_exit: float | None = None) -> str:
        """Work until told to end; STOPPED, RENEWED, IDLE (after `idle_exit` seconds without a job) or FENCED."""
        self._idle_exit = idle_exit
        self.beat.touch()
        try:
            while True:
                try:
                    reason = self._reason_to_end()
                    place = None if reason else self._look()
                except OSError as error:
                    self._be_blocked(error)
                    continue
                if reason:
                    self.log.say(f"ends: {reason}")
                    return reason
                if place:
                    self._perform(place)
        except Fenced as error:
            self.log.say(f"fenced: {error}")
            return FENCED

    def leave(self) -> None:
        """Give up the right to own jobs; the directory stays. Fenced when somebody else has taken it."""
        self.runner.clear_scratch()
        self.journal.close()
        registration.leave(self.jar, self.name)

    def _reason_to_end(self) -> str | None:
        now = time.monotonic()
        self._hear()
        if self.signs.are_due(LOOK_AT_MARKERS):
            try:
                self.signs.look()
            except OSError:
                # Who is to end does so whatever they say, and does not sleep any more: it would ask without end.
                if not self.bell.requests_to_end:
                    raise
        markers = self.signs.markers
        if markers.stop or markers.drain is not None or self.bell.requests_to_end:
            return STOPPED
        if markers.renew:
            return RENEWED
        return IDLE if now >= self._idle_end() else None

    def _idle_end(self) -> float:
        """When this worker has been idle for long enough to end; infinity when that is not to happen (now)."""
        if self._idle_exit is None or self._idle_since is None:
            return float("inf")
        # It only rests before it looks at what it knows to have come.
        if self.waiting.is_wanted or any(shelf.is_hinted for shelf in self.queue.shelves):
            return float("inf")
        return self._idle_since + self._idle_exit

    def _hear(self) -> bool:
        """Take note of what inotify says; whether it says anything."""
        changed = self.bell.changed()
        self.queue.hint(changed)
        self.waiting.hint(changed)
        self.signs.hear(changed)
        self.desk.hear(changed)
        return bool(changed)

    def _look(self) -> Place | None:
        """A job that is this worker's now; None after a sleep, because of a pause or because there is none."""
        if self.signs.markers.pause:
            return self._wait_out(self.settings.pause_time)
        if self.faults.pauses() or self.room.is_short():
            return self._wait_out(min(self.settings.pause_time, fitness.LOOK_FOR_ROOM))
        place = self._next()
        if place is None and not self.queue.has_candidates():
            self._idle()
        return place

    def _wait_out(self, seconds: float) -> None:
        """Sleep, whatever comes into the queue: this worker may not take it."""
        self._idle_since = None
        self._sleep(_spread(seconds), is_deaf=True)

    def _be_blocked(self, error: OSError) -> None:
        """Sleep off an error between jobs: time, or a person who changes rights, may mend it."""
        if error.errno in DEFECTS:
            raise error
        self.blockade.begin(str(error))
        # Whether there is a job nobody knows, so it is not idle.
        self._idle_since = None
        self._sleep(self._backed_off())

    def _next(self) -> Place | None:
        """A job that is this worker's now; None when there is none, or when it is time to look at the markers."""
        while True:
            due = self.queue.due()
            self._list(due)
            # Behind the listing: no namesake of a late find can be among its candidates.
            if due or not self.queue.has_candidates():
                found = self._found()
                if found:
                    return found
                if self.waiting.is_due() and self.waiting.look():
                    self.queue.renew()
                    continue
            candidate = self.queue.take()
            if candidate is None or self.signs.are_due(LOOK_AT_MARKERS):
                return self.queue.put_back(candidate)
            shelf, place = candidate
            if self._claim(shelf, place):
                return place

    def _claim(self, shelf: Shelf, place: Place) -> bool:
        result = None
        try:
            result = self.attempts.claim(place, self.beat.server_now())
        finally:
            if result == WON:
                shelf.has_won()
            elif result == EARLY:
                shelf.pass_over(place.name, self.attempts.rest)
            elif result == LEFT:
                shelf.look_again(place.name)
            else:
                # NFS: "gone" may be a cached answer; and what a full disk has prevented is still there to be had.
                shelf.leave(result == LOST)
        return result == WON

    def _list(self, shelves: list[Shelf]) -> None:
        if shelves:
            self.journal.rotate()
        for shelf in shelves:
            # Armed before the listing, so that nothing can slip in between.
            shelf.watched = self.bell.watch.once(shelf.directory)
            shelf.list(self.beat.fresh_now())

    def _found(self) -> Place | None:
        """A job that is in claims/ although no claim was seen to succeed."""
        place = self._own.find(self.attempts.categories, self.beat.fresh_now)
        if not place:
            return None
        # NFS: the rename came late, or its success was reported as a failure.
        self.log.say(f"found {place.name} in claims/")
        if self.attempts.adopt(place, self.beat.server_now()) == WON:
            return place
        return self.queue.pass_over(place, self.attempts.rest)

    def _perform(self, place: Place) -> None:
        outcome = self.attempts.perform(place, self._tick, lambda: self.bell.requests_to_end > 1, self.desk.cancelled,
                                        lambda: self.bell.requests_to_end > 0 or self.signs.say_leave())
        self.attempts.departures.insist(self.desk.end)
        self._end_task(place.name, self.attempts.attempt)
        if not self.runner.is_hurrying:
            # NFS: what another node asked for meanwhile no inotify has seen, and the next job may take hours.
            self.signs.expire()
        self._idle_since = None
        if outcome.kind == BUSY:
            self.queue.pass_over(place, claiming.PASS_OVER)
        elif outcome.kind == FULL:
            self.blockade.begin(outcome.why)
            self._wait_out(self._backed_off())
        elif outcome.kind == FAULT:
            self._recover_from(place, outcome.why)
        elif outcome.kind in (ENDED, QUIT):
            self._pause = 1.0
            self.blockade.end()
            self.faults.end_row()

    def _end_task(self, name: str, attempt: Attempt) -> None:
        asked = attempt.vetted.request
        if "array" in asked and self.waiting.ended(name, asked, attempt.has_failed):
            self.queue.renew()

    def _recover_from(self, place: Place, why: str) -> None:
        """After a job that this node could not start: give the node time, and other jobs and workers their turn."""
        rest, leave = self.faults.count(place, why)
        self.queue.pass_over(place, leave)
        if rest:
            self._wait_out(rest)
        # Whatever its directory's mtime says, there may be a marker of its own making.
        self.signs.is_told = True

    def _tick(self, ran: float) -> float:
        """Called while a job runs: look at the markers and for orders, say that the worker lives."""
        self._hear()
        try:
            self.desk.look(self.attempts.attempt.id, self.settings.order_time)
            if self.signs.are_due(self.settings.order_time):
                self.signs.look()
        except OSError as error:
            # Nothing that can be looked at later may end a worker that has a job running.
            self.log.say(f"no look at the markers or the orders: {error}")
        return self.settings.order_time

    def _idle(self) -> None:
        if self._idle_since is None:
            self._idle_since = time.monotonic()
        dues = [self._own.due(), self.waiting.due_in(), *(shelf.due_in() for shelf in self.queue.shelves)]
        self._sleep(min([self._backed_off(), *(due for due in dues if due is not None)]))

    def _backed_off(self) -> float:
        seconds, self._pause = _spread(min(self._pause, self.settings.pause_time)), self._pause * 2
        # To wake up for a beat asks a file server as much as a look, which beats.
        return seconds if seconds > _longest(INTERVAL) else min(seconds, INTERVAL - 1.0)

    def _sleep(self, seconds: float, is_deaf: bool = False) -> None:
        """Sleep between jobs, for `seconds` or until what it looks for happens; `is_deaf`: it looks for markers."""
        self.runner.leave_scratch()
        self.beat.touch()
        until = min(time.monotonic() + min(seconds, self.signs.due()), self._idle_end())
        while not self.bell.requests_to_end and time.monotonic() < until:
            self._wait(until - time.monotonic())
            if self._hear() and (self.signs.is_told or not is_deaf):
                break
        self.signs.expire()

    def _wait(self, seconds: float) -> None:
        """Sleep, keeping the journal's promise of a second and the beat's of a minute."""
        due = self.journal.due()
        self.bell.wait(min(seconds, INTERVAL if due is None else due))
        if due is not None and self.journal.due() == 0.0:
            self._sync_journal()
        self.beat.keep()

    def _sync_journal(self) -> None:
        try:
            self.journal.sync()
        except OSError as error:
            # A job may be running; the journal says when to try again.
            self.log.say(f"the journal is not on the disk: {error}")

    def _be_patient(self, error: Exception, seconds: float) -> None:
        if self.bell.requests_to_end > 1:
            raise error
        self.bell.wait(seconds)
        self.beat.touch()


def _spread(seconds: float) -> float:
    """About so many seconds, so that not all workers ask the server at once."""
    return random.uniform(2 * seconds - _longest(seconds), _longest(seconds))


def _longest(seconds: float) -> float:
    """The longest time that `_spread` makes of so many seconds."""
    return seconds + min(10.0, seconds / 10)
