"""One worker's attempts: claim a job, run it, and carry it to where it belongs.

Between a claim that was won and the move out of claims/ every step is insisted upon: a job whose end could not be
recorded is never taken up again by the worker that ran it.
"""

import os
import pwd
import time
from collections.abc import Callable

from jobjar import blame, fslook, fsops, jobname, moves, node, notes, reservation, runner
from jobjar.claiming import LEAVE, REFUSE, Vetted, vet
from jobjar.errors import TROUBLE, VANISHED, Fenced, UsageError
from jobjar.journal import REFUSE as REFUSED_LINE
from jobjar.journal import REQUEUE, Journal
from jobjar.layout import Jar, Place
from jobjar.runner import Outcome, Runner
from jobjar.states import CLAIMS
from jobjar.workerlog import WorkerLog

WON, LOST, LEFT = "won", "lost", "left"
# A job that crashes its node must be counted, so claims soon after a boot are made to survive a power cut.
YOUNG_BOOT = 600.0


class Attempts:
    """What one worker needs for one job after the other. Never shared between processes."""

    def __init__(self, jar: Jar, me: node.Identity, journal: Journal, run: Runner, log: WorkerLog,
                 trusted: frozenset[int], patience: Callable[[Exception, float], None]) -> None:
        """`patience(error, seconds)` waits before a step is repeated, or raises to end the worker."""
        self.jar, self.me, self.journal, self.runner, self.log = jar, me, journal, run, log
        self.owner, self.nonce = node.owner(me), node.nonce(me)
        self.claims = jar.claims(self.owner)
        self.categories: set[str] = set()
        self._view = jar.view(self.owner)
        self._trusted = trusted
        self._patience = patience
        self._count = 0
        self._attempt = ""
        self._vetted = Vetted(REFUSE)
        self._has_notes = False
        self._tries = 1
        self._target: str | None = None
        self._users: dict[int, str] = {}
        self._told: set[str] = set()

    def claim(self, place: Place, server_now: float) -> str:
        """Try for a candidate: WON, LOST (somebody was quicker), or LEFT where it is: no job, or not to be had."""
        vetted = vet(self.jar.path(place), self._trusted, server_now)
        if vetted.verdict == LEAVE:
            return LEFT
        careful = self._begin(place)
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
        self._vetted = vetted
        return WON

    def _secure(self, place: Place) -> None:
        """See to it that a claim survives a power cut, so that the attempt is counted."""
        fsops.sync_directory(os.path.join(self.claims, place.category or ""))

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.log.say(text)

    def _begin(self, place: Place) -> bool:
        """Write the intent of a new attempt; whether the claim must survive a power cut."""
        self._count += 1
        self._attempt = f"{self.nonce}-{self._count}"
        self._target = None
        self._has_notes = notes.has(self.jar, place.name)
        careful = self._has_notes or time.clock_gettime(time.CLOCK_BOOTTIME) < YOUNG_BOOT
        self._make_room(place)
        self.journal.intend(self._attempt, place.category, place.name, sync=careful)
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

    def adopt(self, place: Place, server_now: float) -> None:
        """Take up a job that was found in claims/."""
        if self._begin(place):
            self._secure(place)
        # It came by a claim that seemed to fail, and what was thought of it then is forgotten.
        self._vetted = vet(self.jar.path(place), self._trusted, server_now)

    def perform(self, place: Place, tick: Callable[[float], float], quit: Callable[[], bool]) -> Outcome:
        """Run the job that was claimed last and see it out of claims/; returns how that came out."""
        place = Place(CLAIMS, place.category, place.name, self.claims)
        # Nobody counts attempts of a job that a living worker holds, so what holds now holds to its end.
        self._tries = 1 + (self._insist(lambda: len(notes.open_attempts(self.jar, place.name, place.category)))
                           if self._has_notes else 0)
        shown = self._show(place)
        if self._vetted.verdict == REFUSE:
            outcome = Outcome(blame.REFUSED, why=self._vetted.why)
        else:
            outcome = self.runner.run(place, self._attempt, self._tries, self._vetted.request, tick, quit)
        if outcome.kind == runner.ENDED:
            self._end(place, outcome)
        elif outcome.kind == blame.REFUSED:
            self._refuse(place, outcome.why)
        else:
            self._give_back(place, outcome.why or "the worker was told to end at once")
        if shown:
            self._insist(lambda: fsops.remove(shown))
        self.runner.tidy_scratch()
        return outcome

    def _show(self, place: Place) -> str | None:
        """Link the job in claimed/; a view, so a failure is only reported."""
        name = place.name
        text = os.path.join(self._view, place.category or "", place.name)
        try:
            while not fsops.link(text, os.path.join(self.jar.claimed, name)):
                name = jobname.next_name(name)
            return os.path.join(self.jar.claimed, name)
        except OSError as error:
            self.log.say(f"no link in claimed/: {error}")
            return None

    def _end(self, place: Place, outcome: Outcome) -> None:
        record = {**runner.usage_record(outcome), "node": self.me.node, "tries": self._tries}
        found = self._insist(lambda: _status(self.jar.path(place)))
        if found:
            record["user"], record["ino"] = self._login(found.st_uid), found.st_ino
        else:
            # It has removed itself, or is fenced: the move will tell.
            record["gone"] = True
        key = self._attempt, place.category, place.name
        self._insist(lambda: self.journal.end(*key, **record))
        self._insist(lambda: moves.complete(
            self.jar, place, self._mine(), bad=record["state"] != "COMPLETED", output=self.runner.output,
            first=self._target, detour=self._detour, **self._last(place)))

    def _last(self, place: Place) -> dict[str, Callable[[], None]]:
        return {"last": lambda: self._close_notes(place)} if self._has_notes else {}

    def _detour(self, name: str) -> None:
        self.journal.target(self._attempt, name)
        self._target = name

    def _close_notes(self, place: Place) -> None:
        if self._has_notes:
            notes.close(self.jar, self.owner, place.name, place.category)

    def _refuse(self, place: Place, why: str) -> None:
        self.log.say(f"refused {place.name}: {why}")
        key = self._attempt, place.category, place.name
        self._insist(lambda: self.journal.say(REFUSED_LINE, *key, why))
        self._insist(lambda: self._note("refuse", place, why))
        self._insist(lambda: self._close_notes(place))
        self._insist(lambda: self._note_new_name(place, moves.refuse(self.jar, place, self._mine()), why))

    def _note(self, event: str, place: Place, why: str) -> None:
        notes.add(self.jar, self.owner, place.name, place.category, event, why=why, a=self._attempt)

    def _note_new_name(self, place: Place, moved: Place | None, why: str) -> None:
        if moved and moved.name != place.name:
            self._note("refuse", Place(moved.state, place.category, moved.name), why)

    def _give_back(self, place: Place, why: str) -> None:
        self.log.say(f"gave back {place.name}: {why}")
        key = self._attempt, place.category, place.name
        self._insist(lambda: self.journal.say(REQUEUE, *key, why))
        if self._insist(self.runner.has_output):
            self._insist(lambda: fsops.move(self.runner.output, self.jar.log(place.name, self._attempt)))
        self._insist(lambda: moves.requeue(self.jar, place, self._mine(), before=lambda name: notes.carry(
            self.jar, self.owner, place.name, place.category, name)))

    def _mine(self) -> str:
        return reservation.text(self.owner, self._attempt)

    def _login(self, uid: int) -> str:
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]

    def _insist(self, step: Callable[[], object]) -> object:
        """Repeat a step that may be repeated until it succeeds: a full disk must not make a job run again."""
        delay, told = 1.0, ""
        while True:
            try:
                done = step()
                if told:
                    self.log.say("goes on")
                return done
            except (OSError, UsageError) as error:
                # UsageError: somebody has mounted another file system into the jar while the job ran.
                if isinstance(error, FileNotFoundError) and self._is_fenced():
                    # No repetition mends that: the whole jar may have been removed.
                    raise Fenced(f"{self.claims} is gone: this worker has been declared dead") from None
                if str(error) != told:
                    told = str(error)
                    self.log.say(f"blocked: {told}")
                self._patience(error, delay)
                delay = min(60.0, delay * 2)

    def _is_fenced(self) -> bool:
        try:
            return not fslook.is_there(*os.path.split(self.claims))
        except OSError:
            # NFS: a server that does not answer says nothing about claims/.
            return False


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
