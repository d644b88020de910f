"""A job's way out of claims/: it is completed, refused or given back.

Between a claim that was won and the move out of claims/ every step is insisted upon: a job whose end could not be
recorded is never taken up again by the worker that ran it.
"""

import os
from collections.abc import Callable

from jobjar import again, directives, fslook, fsnew, fsops, harvest, jobname, mounts, moves, node, notes, reservation
from jobjar import resync, runner
from jobjar.claiming import REFUSE, Vetted
from jobjar.directives import BY_KEY, OWN, Request
from jobjar.errors import TROUBLE, Fenced, UsageError
from jobjar.glance import Recent
from jobjar.journal import REFUSE as REFUSED_LINE
from jobjar.journal import REQUEUE, Journal
from jobjar.layout import Jar, Place
from jobjar.runner import Outcome, Runner
from jobjar.states import UNCLAIMED, WAITING
from jobjar.workerlog import WorkerLog


class Attempt:
    """One claim of one job: its id, what a look at the job has shown, and how often it has been tried, this one too."""

    def __init__(self, id: str, has_notes: bool = False) -> None:
        self.id, self.has_notes = id, has_notes
        self.vetted, self.tries = Vetted(REFUSE), 1
        # The final name that was tried last, if not the job's own.
        self.target: str | None = None
        # Whether it has ended in failed/.
        self.has_failed = False


class Departures:
    """How one worker's jobs leave it. Every public method may take long: it waits until what it does has been done."""

    def __init__(self, jar: Jar, me: node.Identity, journal: Journal, run: Runner, log: WorkerLog,
                 patience: Callable[[Exception, float], None]) -> None:
        """`patience(error, seconds)` waits before a step is repeated, or raises to end the worker."""
        self.jar, self.me, self.journal, self.runner, self.log = jar, me, journal, run, log
        self.patience = patience
        self.owner = node.owner(me)
        self._claims = jar.claims(self.owner)
        self._users: dict[int, str] = {}
        # NFS: there a job's way into completed/ is one of several steps that can each be told from another's.
        self._is_local = not resync.is_on_remote(jar.completed)
        self._recent = Recent(self._is_local)

    def end(self, attempt: Attempt, place: Place, outcome: Outcome,
            in_haste: Callable[[], bool] = lambda: False) -> None:
        """It has ended: say so, and bring it to completed/, or back to be repeated if it asks for that.

        `in_haste()`: whether somebody waits for this job or its worker to be gone, so that what it has made, if there
        is no room for it, is left where it is.
        """
        record = self._record(attempt, place, outcome, in_haste)
        repeated = self._again(attempt, place, record)
        if repeated:
            self._repeat(attempt, place, record, repeated)
        else:
            self._complete(attempt, place, record)

    def _record(self, attempt: Attempt, place: Place, outcome: Outcome,
                in_haste: Callable[[], bool]) -> dict[str, object]:
        """What the journal's line says of an attempt that has run to its end."""
        record = {**runner.usage_record(outcome), "node": self.me.node, "tries": attempt.tries}
        if "stage_out" in attempt.vetted.request:
            self._require_own(place)
            self._harvest(attempt.vetted.request, jobname.split(place.name)[0], record, in_haste)
        found = self.insist(lambda: self._status(attempt, place))
        submitted = jobname.submitted(place.name)
        if found:
            record["user"], record["ino"] = self._login(found.st_uid), found.st_ino
            submitted = submitted or found.st_mtime
        else:
            # It has removed itself, or is fenced: the move will tell.
            record["gone"] = True
        if submitted:
            record["submit"] = round(submitted, 3)
        if attempt.vetted.request:
            record["req"] = _asked(attempt.vetted.request)
        return record | attempt.vetted.commanded

    def _status(self, attempt: Attempt, place: Place) -> os.stat_result | None:
        path, known = self.jar.path(place), attempt.vetted.found
        # NFS: what does not change has been told when it was claimed; that it is still that file is known here, where
        # it has run.
        if not self._is_local and known is not None and mounts.inode(path) == known.st_ino:
            return known
        return _status(path)

    def _harvest(self, request: Request, base: str, record: dict[str, object], in_haste: Callable[[], bool]) -> None:
        """Carry what it was asked to make to staged/, and say so in `record`; a job that lacks some of it has FAILED.

        What could not be carried is kept where it is.
        """
        try:
            found = self.insist(lambda: harvest.carry_out(self.jar, self.me, request, self.runner.scratch, base),
                                lambda error: getattr(error, "errno", None) not in TROUBLE or in_haste())
        except (OSError, UsageError) as error:
            found = harvest.Harvest(None, [], [str(error)])
        if found.staged:
            record["staged"] = found.staged
        # A job that has ended badly need not have made all; what it has made is kept all the same.
        kept = self.insist(self.runner.keep_scratch) if found.left and "chdir" not in request else None
        why = harvest.why(found, kept)
        if why and (found.left or record["state"] == "COMPLETED"):
            record["state"] = "FAILED" if record["state"] == "COMPLETED" else record["state"]
            record["why"] = "; ".join(filter(None, (record.get("why"), why)))
            self.log.say(f"{base}: {why}")

    def _complete(self, attempt: Attempt, place: Place, record: dict[str, object]) -> None:
        attempt.has_failed = record["state"] != "COMPLETED"
        self.insist(lambda: self.journal.end(attempt.id, place.category, place.name, **record))
        output = self.runner.output if self.insist(self.runner.has_output) else None
        is_plain = self._is_local and not attempt.has_notes and attempt.target is None
        self.insist(lambda: moves.complete(
            self.jar, place, self._mine(attempt), bad=attempt.has_failed, output=output,
            first=attempt.target, detour=lambda name: self._detour(attempt, name), **self._last(attempt, place),
            at_once=fsnew.move_new if is_plain else None, recent=self._recent))

    def _again(self, attempt: Attempt, place: Place, record: dict[str, object]) -> again.Again | None:
        asked, key = attempt.vetted.request, (self.jar, place.name, place.category)
        if record["state"] == "COMPLETED" or not again.may_ask(asked):
            return None
        if self.insist(lambda: notes.cancelled(*key, attempt.id)):
            return None
        return again.decide(asked, record, self.insist(lambda: notes.tally(*key)))

    def _repeat(self, attempt: Attempt, place: Place, record: dict[str, object], how: again.Again) -> None:
        self._note_repetition(attempt, place, again.said(record, how))
        self._put_back(attempt, place, how.why, WAITING if how.until else UNCLAIMED, record)

    def _note_repetition(self, attempt: Attempt, place: Place, said: dict[str, object]) -> None:
        self._require_own(place)
        # After a power cut that spares the note alone, recovery would take the job for one lost in another attempt.
        self.insist(self.journal.sync)
        self.insist(lambda: notes.add(self.jar, self.owner, place.name, place.category, notes.REQUEUE, a=attempt.id,
                                      **said))

    def _require_own(self, place: Place) -> None:
        """Fenced when the job is another's by now; to be asked before anything is said or made in the jar's name."""
        self.insist(lambda: reservation.siblings(place))

    def _last(self, attempt: Attempt, place: Place) -> dict[str, Callable[[], None]]:
        return {"last": lambda: self._close_notes(attempt, place)} if attempt.has_notes else {}

    def _detour(self, attempt: Attempt, name: str) -> None:
        self.journal.target(attempt.id, name)
        attempt.target = name

    def _close_notes(self, attempt: Attempt, place: Place) -> None:
        if attempt.has_notes:
            notes.close(self.jar, self.owner, place.name, place.category)

    def refuse(self, attempt: Attempt, place: Place, why: str) -> None:
        """It cannot be run: say so, and bring it to failed/."""
        self._require_own(place)
        self.log.say(f"refused {place.name}: {why}")
        self.insist(lambda: self.journal.say(REFUSED_LINE, attempt.id, place.category, place.name, why))
        said, reason = (self.jar, self.owner, place.name, place.category, "refuse"), {"why": why, "a": attempt.id}
        self.insist(lambda: notes.add(*said, **reason))
        self.insist(lambda: self._close_notes(attempt, place))
        mine, attempt.has_failed = self._mine(attempt), True
        self.insist(lambda: moves.refuse(self.jar, place, mine, notes.along(*said, **reason)))

    def give_back(self, attempt: Attempt, place: Place, why: str) -> None:
        """It could not be run here, by no fault of its own: put it back, uncounted."""
        self._put_back(attempt, place, why, UNCLAIMED, {})

    def postpone(self, attempt: Attempt, place: Place, why: str) -> None:
        """It is not to be begun yet: put it where it waits for its time, uncounted."""
        self._put_back(attempt, place, why, WAITING, {})

    def quit(self, attempt: Attempt, place: Place, why: str) -> None:
        """It was told to end with its worker: put it back, uncounted."""
        if {"output", "error"}.intersection(attempt.vetted.request):
            # The next attempt must know that there was one, whose output is to stay.
            self._note_repetition(attempt, place, {"counts": False, "node": self.me.node, "why": why})
        self._put_back(attempt, place, why, UNCLAIMED, {})

    def _put_back(self, attempt: Attempt, place: Place, why: str, state: str, record: dict[str, object]) -> None:
        self.log.say(f"gave back {place.name}: {why}")
        key = attempt.id, place.category, place.name
        self.insist(lambda: self.journal.say(REQUEUE, *key, **{**record, "why": why}))
        if self.insist(self.runner.has_output):
            self.insist(lambda: fsops.move(self.runner.output, self.jar.log(place.name, attempt.id)))
        self.insist(lambda: moves.requeue(self.jar, place, self._mine(attempt), state, before=lambda name: notes.carry(
            self.jar, self.owner, place.name, place.category, name)))

    def _mine(self, attempt: Attempt) -> str:
        return reservation.text(self.owner, attempt.id)

    def _login(self, uid: int) -> str:
        if uid not in self._users:
            self._users[uid] = notes.login(uid)
        return self._users[uid]

    def insist(self, step: Callable[[], object],
               is_vain: Callable[[Exception], bool] = lambda error: False) -> object:
        """Repeat a step that may be repeated until it succeeds: a full disk must not make a job run again.

        An error of which `is_vain` says so is raised.
        """
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
                    raise Fenced(f"{self._claims} is gone: this worker has been declared dead") from None
                if is_vain(error):
                    raise
                if str(error) != told:
                    told = str(error)
                    self.log.say(f"blocked: {told}")
                self.patience(error, delay)
                delay = min(60.0, delay * 2)

    def _is_fenced(self) -> bool:
        try:
            return not fslook.is_there(*os.path.split(self._claims))
        except OSError:
            # NFS: a server that does not answer says nothing about claims/.
            return False


def _asked(request: Request) -> list[str]:
    """What a person has asked for, as the words of a command line."""
    return directives.texts({key: value for key, value in request.items() if BY_KEY[key].kind != OWN})


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
