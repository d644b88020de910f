"""One worker's attempts: claim a job, run it, and see it out of claims/ (`departures`)."""

import os
import time
from collections.abc import Callable

from jobjar import again, blame, fsops, jobname, moves, node, notes, resync, runner
from jobjar.claiming import CLAIM, LEAVE, PASS_OVER, REFUSE, Vetted, glimpse, has_changed, vet
from jobjar.departures import Attempt, Departures
from jobjar.directives import Request
from jobjar.errors import TROUBLE, VANISHED, Fenced, UsageError
from jobjar.journal import Journal
from jobjar.layout import Jar, Place
from jobjar.runner import Outcome, Runner
from jobjar.states import CLAIMS
from jobjar.workerlog import WorkerLog

WON, LOST, GONE, LEFT, EARLY = "won", "lost", "gone", "left", "early"
# A job that crashes its node must be counted, so claims soon after a boot are made to survive a power cut.
YOUNG_BOOT = 600.0


class Attempts:
    """What one worker needs for one job after the other. Never shared between processes."""

    def __init__(self, jar: Jar, me: node.Identity, journal: Journal, run: Runner, log: WorkerLog,
                 trusted: frozenset[int], patience: Callable[[Exception, float], None], several: bool = False,
                 longest: float = PASS_OVER) -> None:
        """`patience(error, seconds)` waits before a step is repeated, or raises to end it. `several`: as `vet`;
        `longest`: as `again.Others`."""
        self.jar, self.journal, self.runner, self.log = jar, journal, run, log
        self.nonce = node.nonce(me)
        self.departures = Departures(jar, me, journal, run, log, patience)
        self.claims = jar.claims(node.owner(me))
        self.categories: set[str] = set()
        self._view = jar.view(node.owner(me))
        self._trusted, self._several = trusted, several
        # NFS: where another node can have changed a file it is opened, not only looked up.
        self._is_remote = resync.is_on_remote(jar.unclaimed)
        self._noted = notes.Noted(jar)
        self._others = again.Others(jar, me, longest)
        self._count = 0
        self.rest = 0.0
        self.attempt = Attempt("")
        # The link of the running job.
        self._shown: str | None = None
        self._told: set[str] = set()

    def claim(self, place: Place, server_now: float) -> str:
        """Try for a candidate: WON, LOST (somebody was quicker), GONE (that was known before it was tried), or LEFT
        where it is: no job, or not to be had.

        EARLY: it is to be left for as many seconds as `rest` says.
        """
        has_notes = self._has_notes(place.name)
        # NFS: opened before, it would have to be opened and read again for its run; so it is read when it has been won.
        # What has notes may have to be left to other nodes.
        is_unread = self._is_remote and not has_notes
        vetted = glimpse(self.jar.path(place), server_now) if is_unread else self._vet(place, server_now)
        if vetted.verdict == LEAVE:
            # To find that it is gone has cost the server as much as to lose it.
            return LEFT if vetted.found is not None else LOST if self._is_remote else GONE
        if vetted.request and self._is_early(place, vetted.request, server_now):
            return EARLY
        careful = self._begin(place, vetted.request, has_notes)
        try:
            code = moves.claim(self.jar, place, self.claims)
        except UsageError as error:
            # A category on a file system of its own: the others are to be had.
            self._tell_once(str(error))
            return LEFT
        if code in VANISHED:
            return LOST
        if code in TROUBLE:
            raise OSError(code, os.strerror(code), self.jar.path(place))
        if code:
            self._tell_once(f"{place.name} cannot be claimed: {os.strerror(code)}")
            return LEFT
        if careful:
            self._secure(place)
        self.attempt.vetted = vetted
        won = Place(CLAIMS, place.category, place.name, self.claims)
        if is_unread:
            return self._read(won, server_now)
        if vetted.verdict == CLAIM and has_changed(self.jar.path(won), vetted, self._is_remote):
            # RACE: somebody has changed what it asks for and put it back, since it was looked at and before the rename.
            return self.adopt(won, server_now)
        return WON

    def _has_notes(self, name: str) -> bool:
        return self._noted.has(name) if self._is_remote else notes.has(self.jar, name, is_remote=False)

    def _vet(self, place: Place, server_now: float) -> Vetted:
        return vet(self.jar.path(place), self._trusted, server_now, self._several)

    def _read(self, place: Place, server_now: float) -> str:
        """See what a job asks for that was claimed unread: WON, or EARLY when it has been put back."""
        vetted = self.attempt.vetted = self._vet(place, server_now)
        if "no_requeue" in vetted.request:
            self.journal.sync()
            self._secure(place)
        return self._decide(place, vetted.verdict == LEAVE, server_now)

    def _decide(self, place: Place, is_unread: bool, server_now: float) -> str:
        """Whether a job in claims/ is to be run now: WON, or EARLY when it has been put back."""
        if is_unread:
            # Run now, it would have nothing of what it may ask for.
            self.rest = PASS_OVER
            self.departures.give_back(self.attempt, place, "it cannot be read, or is no job any more")
            return EARLY
        if self._is_early(place, self.attempt.vetted.request, server_now):
            self.departures.postpone(self.attempt, place, "its time has not come")
            return EARLY
        return WON

    def _is_early(self, place: Place, asked: Request, server_now: float) -> bool:
        self.rest = asked.get("begin", 0.0) - time.time()
        if self.rest <= 0.0 and "retries" in asked:
            self.rest = self._others.leave(place, server_now)
        # Somebody may give it another time meanwhile.
        self.rest = min(self.rest, PASS_OVER)
        return self.rest > 0.0

    def _secure(self, place: Place) -> None:
        """See to it that a claim survives a power cut, so that the attempt is counted."""
        fsops.sync_directory(os.path.join(self.claims, place.category or ""))

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.log.say(text)

    def _begin(self, place: Place, asked: Request, has_notes: bool) -> bool:
        """Write the intent of a new attempt; whether the claim must survive a power cut."""
        self._count += 1
        self.attempt = Attempt(f"{self.nonce}-{self._count}", has_notes)
        careful = self.attempt.has_notes or "no_requeue" in asked \
            or time.clock_gettime(time.CLOCK_BOOTTIME) < YOUNG_BOOT
        self._make_room(place)
        self.journal.intend(self.attempt.id, place.category, place.name, sync=careful)
        return careful

    def _make_room(self, place: Place) -> None:
        """See to it that claims/ has the job's category, and no category where the job is to be."""
        category = place.category
        if category is None and place.name in self.categories:
            fsops.remove_directory(os.path.join(self.claims, place.name))
            self.categories.discard(place.name)
        if category is None or category in self.categories:
            return
        try:
            fsops.make_directory(os.path.join(self.claims, category), 0o755)
        except FileNotFoundError:
            raise Fenced(f"{self.claims} is gone: this worker has been declared dead") from None
        self.categories.add(category)

    def adopt(self, place: Place, server_now: float) -> str:
        """Take up a job that was found in claims/: WON, or EARLY when it has been put back."""
        # What was thought of it before it came is forgotten.
        vetted = self._vet(place, server_now)
        if self._begin(place, vetted.request, self._has_notes(place.name)):
            self._secure(place)
        self.attempt.vetted = vetted
        # One that is not executable, say, is refused when it is to be started.
        return self._decide(place, vetted.verdict == LEAVE and vetted.found is None, server_now)

    def perform(self, place: Place, tick: Callable[[float], float], quit: Callable[[], bool],
                cancelled: Callable[[], str | None] = lambda: None,
                is_to_leave: Callable[[], bool] = lambda: False) -> Outcome:
        """Run the job that was claimed last and see it out of claims/; returns how that came out.

        `tick`, `quit` and `cancelled` as in `Runner.run`; `is_to_leave()`: whether somebody wants this worker to leave.
        """
        def in_haste() -> bool:
            tick(0.0)
            return cancelled() is not None or is_to_leave()
        place = Place(CLAIMS, place.category, place.name, self.claims)
        attempt, out = self.attempt, self.departures
        if attempt.has_notes:
            # Nobody counts attempts of a job that a living worker holds, so what holds now holds to its end.
            attempt.tries += out.insist(lambda: notes.tries(self.jar, place.name, place.category))
        self._shown = None
        if not self.runner.is_hurrying:
            self._show(place)
        outcome = self._run(place, tick, quit, cancelled)
        if outcome.kind == runner.QUIT and "no_requeue" in attempt.vetted.request:
            # It has begun, and is not to begin again.
            why = "its worker was told to end at once, and it is never to be begun twice (--no-requeue)"
            outcome = outcome._replace(kind=runner.ENDED, state="CANCELLED", why=why)
        if outcome.kind == runner.ENDED:
            out.end(attempt, place, outcome, in_haste)
        elif outcome.kind == blame.REFUSED:
            out.refuse(attempt, place, outcome.why)
        elif outcome.kind == runner.QUIT:
            out.quit(attempt, place, outcome.why or "the worker was told to end at once")
        else:
            out.give_back(attempt, place, outcome.why)
        if self._shown:
            out.insist(lambda: fsops.remove(self._shown))
        self.runner.tidy_scratch()
        return outcome

    def _run(self, place: Place, tick: Callable[[float], float], quit: Callable[[], bool],
             cancelled: Callable[[], str | None]) -> Outcome:
        """Run the job to its end, with what its file asks for when nobody writes it any more."""
        attempt, path, deadline = self.attempt, self.jar.path(place), time.monotonic() + runner.BUSY_TEXT

        def is_another() -> bool:
            return attempt.vetted.found is not None and has_changed(path, attempt.vetted, self._is_remote)
        while attempt.vetted.verdict != REFUSE:
            outcome = self.runner.run(place, attempt.id, attempt.tries, attempt.vetted.request, tick, quit, cancelled,
                                      lambda: self._show(place), attempt.vetted.head, is_another)
            if outcome.kind != blame.BUSY or time.monotonic() > deadline or not is_another():
                return outcome
            # RACE: what it asks for had not been written yet when it was read.
            attempt.vetted = self._vet(place, time.time())
            asked = attempt.vetted.request
            if attempt.vetted.verdict == LEAVE or asked.get("begin", 0.0) > time.time():
                return outcome
            if "no_requeue" in asked:
                self.departures.insist(self.journal.sync)
                self.departures.insist(lambda: self._secure(place))
        return Outcome(blame.REFUSED, why=attempt.vetted.why)

    def _show(self, place: Place) -> None:
        """Link the job in claimed/, if it is not there; a view, so a failure is only reported."""
        if self._shown:
            return
        name = place.name
        text = f"{self._view}/{place.category}/{name}" if place.category else f"{self._view}/{name}"
        try:
            while not fsops.link(text, path := f"{self.jar.claimed}/{name}"):
                name = jobname.next_name(name)
            self._shown = path
        except OSError as error:
            self.log.say(f"no link in claimed/: {error}")
