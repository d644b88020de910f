"""What becomes of the jobs of a worker that has died, one by one: completed, put back or given up.

Every step may be interrupted and repeated. docs/PROTOCOL.md section 9, step 3.
"""

import os
import time
from collections import namedtuple

from jobjar import again, claiming, fails, fslook, fsops, moves, node, notes, reservation, waits
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.journal import REQUEUE, History, Journal, current
from jobjar.layout import Jar, Place
from jobjar.registration import Record
from jobjar.states import WAITING

# `jobs`: (event, category, name) of each job that was moved; `left`: sentences about what had to be left as it is.
Report = namedtuple("Report", "jobs left")

GIVE_UP = "give_up"


class Salvage:
    """What one recovery does about jobs that it has won. What it moves is told to `report`."""

    def __init__(self, jar: Jar, me: node.Identity, max_attempts: int, report: Report) -> None:
        self.jar, self.writer = jar, node.owner(me)
        self.max_attempts, self.report = max_attempts, report
        # The names, in failed/, of jobs of the worker that is seen to.
        self._given_up: list[str] = []

    def job(self, record: Record, history: History, place: Place) -> None:
        """Deal with one job that lies in a directory which has been won."""
        attempt = history.attempt(place.category, place.name) or f"none-{record.nonce}"
        mine = reservation.text(record.worker, attempt)
        end = history.end(attempt)
        if end is not None and end.get("ino") in (None, os.lstat(self.jar.path(place)).st_ino):
            self._complete(record, history, place, mine, attempt, end)
            return
        self._keep_output(record, attempt)
        for name in self._reserved_by(mine):
            reservation.void(self.jar, name, mine, attempt)
        if notes.is_closed(self.jar, place.name, place.category, attempt):
            # An earlier recovery had decided to give it up and died before the move.
            said = notes.buried(self.jar, place.name) or {}
            self._bury(place, mine, said.get("e", GIVE_UP), said.get("why", ""))
            return
        burial = self._burial(record, history, place, attempt)
        if burial:
            self._give_up(place, mine, *burial)
        else:
            self._put_back(place, mine)

    def _burial(self, record: Record, history: History, place: Place, attempt: str) -> tuple[str, str] | None:
        """(event, reason) of the end of a job whose attempt has come to nothing; None: it is counted, and to be run."""
        key = self.jar, place.name, place.category
        cancelled = notes.cancelled(*key, attempt)
        if cancelled:
            return notes.CANCEL, again.why_cancelled(cancelled)
        line = notes.tally(*key).requeues.get(attempt)
        if line is not None and not history.is_given_back(attempt):
            # It had ended, and what its worker was about to say of that has been noted.
            self._say(record, attempt, place, line)
        if line is not None or history.is_given_back(attempt):
            return None
        why = f"worker {record.worker} died while it had the job"
        tries = notes.count(self.jar, self.writer, place.name, place.category, attempt, why)
        if "no_requeue" in self._asked(self.jar.path(place)):
            return GIVE_UP, f"{why}, and it is never to be begun twice (--no-requeue)"
        if tries >= self.max_attempts:
            return GIVE_UP, f"{why}, for the {_ordinal(tries)} time: the limit is JJ_MAX_ATTEMPTS"
        return None

    def _say(self, record: Record, attempt: str, place: Place, line: dict) -> None:
        journal = self._journal(record)
        try:
            said = {key: line[key] for key in again.SAID if key in line}
            journal.say(REQUEUE, attempt, place.category, place.name, **{"why": "", **said})
        finally:
            journal.close()

    def _journal(self, record: Record) -> Journal:
        # The one that has been read: a new one beside it would say nothing to whoever has to go on with this.
        directory = self.jar.worker(record.worker)
        return Journal(directory, current(directory))

    def _put_back(self, place: Place, mine: str) -> None:
        """To unclaimed/, or to waiting/ while a delay that was noted runs on."""
        def before(name: str) -> None:
            notes.carry(self.jar, self.writer, place.name, place.category, name)
        if waits.until(self.jar, place) > time.time():
            self._done("requeue", place, moves.requeue(self.jar, place, mine, WAITING, before=before))
        else:
            self._done("recover", place, moves.recover(self.jar, place, mine, before=before))

    def _asked(self, path: str) -> Request:
        """What the job at `path` asks for; nothing when it is not there or cannot be understood."""
        try:
            return claiming.request(path) or {}
        except UsageError:
            # The next worker that claims it says so.
            return {}

    def _keep_output(self, record: Record, attempt: str) -> None:
        """Keep what a lost attempt printed, under a name by which a mistaken live worker cannot move it."""
        directory = self.jar.worker(record.worker)
        if fslook.is_there(directory, "output"):
            fsops.move(os.path.join(directory, "output"), os.path.join(directory, f"output.{attempt}"))

    def _complete(self, record: Record, history: History, place: Place, mine: str, attempt: str, end: dict) -> None:
        journal = self._journal(record)
        try:
            moved = moves.complete(
                self.jar, place, mine, bad=end.get("state") != "COMPLETED", first=history.target(attempt),
                output=os.path.join(self.jar.worker(record.worker), "output"),
                detour=lambda name: journal.target(attempt, name), last=lambda: self._close_notes(place))
        finally:
            journal.close()
        self._done("complete", place, moved)

    def _give_up(self, place: Place, mine: str, event: str, why: str) -> None:
        notes.add(self.jar, self.writer, place.name, place.category, event, why=why)
        self._close_notes(place)
        self._bury(place, mine, event, why)

    def _bury(self, place: Place, mine: str, event: str, why: str) -> None:
        before = notes.along(self.jar, self.writer, place.name, place.category, event, why=why)
        self._done(GIVE_UP, place, moves.give_up(self.jar, place, mine, before))

    def finish(self, record: Record, history: History) -> None:
        """Do what is still to be done when jobs of this worker have failed: hold the rest of their arrays."""
        attempt, name = history.last
        mine = reservation.text(record.worker, record.nonce)
        # Of the last one, whoever has moved it may have died before this. Of one given up no journal need speak.
        ends = [(self.jar.completed, history.target(attempt) or name), (self.jar.failed, name)]
        ends += [(self.jar.failed, given_up) for given_up in self._given_up]
        for directory, final in dict.fromkeys(ends):
            if fslook.is_file(directory, final):
                fails.enforce(self.jar, self.writer, mine, final, self._asked(os.path.join(directory, final)))
        self._given_up.clear()

    def _close_notes(self, place: Place) -> None:
        if notes.has(self.jar, place.name):
            notes.close(self.jar, self.writer, place.name, place.category)

    def _done(self, event: str, place: Place, moved: Place | None) -> None:
        if moved is not None:
            self.report.jobs.append((event, place.category, moved.name))
            if event == GIVE_UP:
                self._given_up.append(moved.name)

    def _reserved_by(self, mine: str) -> list[str]:
        return [name for name, text in fslook.links(self.jar.completed) if text == mine]


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
