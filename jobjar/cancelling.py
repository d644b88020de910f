"""Cancelling jobs, whether they wait or run: what is wanted of each is noted first, then done.

A job that waits goes to failed/. The worker of one that runs is ordered to end it; if that worker dies first, recovery
reads the note and does not run the job again.
"""

import os
import time
from collections.abc import Iterable

from jobjar import control, ends, fslook, jobname, moves, node, notes, registration
from jobjar.changing import ENDED, ROUNDS, Change, Verb
from jobjar.control import CANCEL, Order
from jobjar.journal import History
from jobjar.layout import Place
from jobjar.process import GRACE
from jobjar.states import CLAIMS, COMPLETED, FAILED, HELD, QUEUES, UNCLAIMED, WAITING

# In this order, lest the end of one task of an array makes the next one ready.
ORDER = (WAITING, HELD, UNCLAIMED, CLAIMS, COMPLETED, FAILED)
# Seconds between two looks, which grow from the first to the second, and after how many a new attempt is looked for.
SHORTEST, LONGEST = 0.01, 0.25
LOOK_ANEW = 1.0
# What a dead worker's recovery may need to come to its end, in s.
RECOVERY = 1.0


def cancel(change: Change, places: Iterable[Place], reason: str = "", order_time: float = 5.0) -> None:
    """End jobs that run, and keep those that wait from running; `order_time`: the workers' JJ_ORDER_TIME.

    On return they have ended, or it is said of which that is not so yet.
    """
    cancelling = _Cancelling(change, reason, time.monotonic() + order_time + GRACE + 1)
    todo = sorted(places, key=lambda place: ORDER.index(place.state))
    for _ in range(ROUNDS):
        if todo:
            change.apply(todo, cancelling.verb())
            todo = cancelling.end_running()
    for place in todo:
        change.could_not(place, "is put back and claimed again whenever it is looked for: try again")


class _Cancelling:
    def __init__(self, change: Change, reason: str, deadline: float) -> None:
        self.change, self.jar, self.reason, self.deadline = change, change.jar, reason, deadline
        self._why = reason or "cancelled"
        self._running: list[_Running] = []
        self._noted: set[str] = set()

    def verb(self) -> Verb:
        """What is done to those that wait; those that run are kept in mind."""
        self._noted = set(fslook.names(self.jar.notes))
        return Verb(QUEUES, self._otherwise, self._lines, self._move, lambda place: "cancelled")

    def _otherwise(self, place: Place) -> None:
        if place.state == CLAIMS:
            self._running.append(_Running(place, self.change.inode(place)))
        elif place.state == FAILED and notes.burial(self.jar, place.name) == CANCEL:
            self.change.did(place, "was cancelled already")
        else:
            self.change.could_not(place, ENDED)

    def _lines(self, place: Place) -> list[notes.Line]:
        lines = [(place.name, place.category, CANCEL, {"why": self._why})]
        if jobname.split(place.name)[0] in self._noted:
            lines += notes.closing(self.jar, place.name, place.category)
        return lines

    def _move(self, place: Place) -> Place | None:
        return moves.cancel(self.jar, place, self.change.mine, notes.along(
            self.jar, self.change.writer, place.name, place.category, CANCEL, why=self._why))

    def end_running(self) -> list[Place]:
        """See all that run to their ends; those that are in a queue again, where they can be cancelled."""
        running, self._running, back, pause = self._running, [], [], SHORTEST
        for one in running:
            self._order(one)
        while running and time.monotonic() < self.deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST)
            left = [one for one in running if not self._is_there(one.place)]
            back += self._see_off(left)
            running = [one for one in running if one not in left]
            for one in running:
                self._look_anew(one)
            if all(one.is_dead and time.monotonic() > one.since + RECOVERY for one in running):
                break
        for one in running:
            self._give_up(one)
        return back

    def _is_there(self, place: Place) -> bool:
        try:
            return fslook.is_there(*os.path.split(self.jar.path(place)))
        except NotADirectoryError:
            # Somebody has put a file where the category was.
            return False

    def _order(self, one: "_Running") -> None:
        """Note that this attempt is not wanted, and tell its worker."""
        one.since = time.monotonic()
        record = registration.read(self.jar, one.worker)
        attempt = History(os.path.dirname(one.place.holder)).attempt(one.place.category, one.place.name)
        one.is_dead = record is not None and registration.verdict(self.jar, record, self.change.me) == node.DEAD
        if attempt is None and one.is_dead:
            attempt = f"none-{record.nonce}"
        # NFS: what the worker has written is seen here a second later; until then there is nothing to be ordered.
        if attempt is None or attempt == one.attempt:
            return
        one.attempt = attempt
        notes.add(self.jar, self.change.writer, one.place.name, one.place.category, CANCEL, a=attempt, why=self._why)
        if not one.is_dead:
            who = f"{notes.login()}@{self.change.me.node}"
            one.path = control.publish(self.jar, one.worker, self.change.writer, self.change.token,
                                       Order(CANCEL, attempt, who, self.reason), one.place)

    def _look_anew(self, one: "_Running") -> None:
        # RACE: the attempt for which the order was meant may have been repeated by the same worker.
        if time.monotonic() > one.since + LOOK_ANEW and not one.is_dead:
            self._order(one)

    def _see_off(self, gone: list["_Running"]) -> list[Place]:
        """Say how those have ended that are in claims/ no more; those that are to be cancelled somewhere else."""
        back = []
        found = self.change.again({one.place: one.ino for one in gone}) if gone else {}
        for one in gone:
            place = found.get(one.place)
            if one.path:
                control.withdraw(one.path)
            if place is None:
                continue
            if place.state in (COMPLETED, FAILED):
                self._say_end(one, place)
            else:
                back.append(place)
        return back

    def _say_end(self, one: "_Running", place: Place) -> None:
        end = ends.end_line(self.jar, place.name, one.place.category, one.place.holder) or {}
        state = end.get("state", "COMPLETED") if place.state == COMPLETED else CANCEL
        if state in ("CANCELLED", CANCEL):
            self.change.did(place, f"cancelled while it was running on {one.worker.rpartition('.')[0]}")
        else:
            self.change.could_not(place, f"has ended by itself before it could be cancelled: {state}")

    def _give_up(self, one: "_Running") -> None:
        of = one.worker.rpartition(".")[0]
        if one.is_dead:
            self.change.did(one.place, f"cancelled: its worker {one.worker} is dead, and recovery will not run it"
                                       " again")
        else:
            self.change.could_not(one.place, f"is to be ended, but {of} has not answered yet: its worker looks for"
                                             f" orders every JJ_ORDER_TIME; if {of} is down, `recover_stranded --node"
                                             f" {of} --dead` brings back what it had, without this job")


class _Running:
    """A job in a worker's hands that is to be ended."""

    def __init__(self, place: Place, ino: int | None) -> None:
        self.place, self.ino = place, ino
        self.worker = os.path.basename(os.path.dirname(place.holder))
        self.attempt: str | None = None
        self.path: str | None = None
        self.is_dead = False
        self.since = 0.0
