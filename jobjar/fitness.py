"""Whether a worker may take jobs: is there room on the disk, and can this node start anything at all?

A sick node must not eat the queue, and no job pays for the faults of a node. Whatever is said here is said once, when
it begins and when it ends.
"""

import os
import time
from collections.abc import Callable

from jobjar import fslook, fsops, layout, text
from jobjar.layout import Jar, Place

# How often the file system is asked at most, and by a worker that waits for room at least, in s.
ASK_AGAIN = 1.0
LOOK_FOR_ROOM = 5.0
# So many faults in a row pause the worker. After the first it rests for so long, after each further one for longer, and
# leaves the job to others for a while; for longer when it seems to be the job, in s.
IN_A_ROW = 3
REST = 1.0
TRY_AGAIN = 5.0
LEAVE = 60.0


class Blockade:
    """Why a worker can do nothing just now, in its log: once when that begins and once when it is over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._why = ""

    def begin(self, why: str) -> None:
        """It can do nothing, because of `why`; only another reason is said while that lasts."""
        if self._since is None:
            self._since = time.monotonic()
        if why != self._why:
            self._why = why
            self._say(f"blocked: {why}")

    def end(self) -> None:
        """It can work again."""
        if self._since is not None:
            # The first line may not have found room, so the second is complete without it.
            self._say(f"goes on after having been blocked for {text.age(time.monotonic() - self._since)}")
            self._since, self._why = None, ""


class Room:
    """Whether the jar's file system has the room without which nothing is claimed (JJ_MIN_FREE)."""

    def __init__(self, home: str, least: tuple[int, int], say: Callable[[str], None]) -> None:
        self._home, self._least = home, least
        self._blockade = Blockade(say)
        self._asked_at = float("-inf")
        self._is_short = False

    def is_short(self) -> bool:
        """Whether there is too little. The answer is up to ASK_AGAIN old, so that short jobs cost no look each."""
        if time.monotonic() - self._asked_at < ASK_AGAIN:
            return self._is_short
        lack = fslook.shortage(self._home, self._least)
        if lack is None:
            self._blockade.end()
        elif not self._is_short:
            # How much is free is another number at each look.
            self._blockade.begin(lack)
        self._asked_at, self._is_short = time.monotonic(), lack is not None
        return self._is_short


class Faults:
    """Jobs in a row that this node could not start; after IN_A_ROW of them the worker pauses itself.

    A job that was started, however it ended, ends the row; one that was refused, or that somebody is still writing,
    says nothing about the node. One bad job must not pause a worker: when all in the row were the same job, the node
    has to start a program of its own (`is_fit`), and if it can, the job is left to others for longer.
    """

    def __init__(self, jar: Jar, worker: str, node: str, is_fit: Callable[[], bool],
                 say: Callable[[str], None]) -> None:
        self._marker = os.path.join(jar.worker(worker), layout.PAUSE)
        self._worker, self._node = worker, node
        self._is_fit, self._say = is_fit, say
        self._row: list[Place] = []
        self._unwritten: str | None = None
        self._is_told = False

    def end_row(self) -> None:
        """A job was started."""
        self._row.clear()

    def count(self, place: Place, why: str) -> tuple[float, float]:
        """This job could not be started: for how long to rest, and for how long to leave the job to others, in s."""
        self._row.append(place)
        if len(self._row) < IN_A_ROW:
            return len(self._row) * REST, TRY_AGAIN
        row, self._row = self._row, []
        if len(set(row)) == 1 and self._is_fit():
            self._say(f"{place.name} cannot be started, though this node can start others: left to other workers")
            return 0.0, LEAVE
        self._pause(why)
        return 0.0, 0.0

    def _pause(self, why: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        said = text.escape(f"{self._worker} paused itself, `unpause_worker {self._worker}` when this is mended:"
                           f" {IN_A_ROW} jobs in a row could not be started on {self._node}, the last because: {why}")
        self._unwritten = f"{when}: {said}"
        # The log has a time of its own.
        self._say(said)
        self._is_told = False
        self.pauses()

    def pauses(self) -> bool:
        """Whether the worker is to pause though no marker has said so; one that could not be made is tried again."""
        if self._unwritten is None:
            return False
        try:
            self._mark(self._unwritten)
            self._unwritten = None
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                self._say(f"paused without a marker, which cannot be made: {error}")
        return True

    def _mark(self, why: str) -> None:
        try:
            # Not renamed into place, which might overwrite what a person has just put there. What is read in the midst
            # of it is an empty marker, and that is an order too.
            fsops.create(self._marker, why.encode() + b"\n", 0o644)
        except FileExistsError:
            return
        except OSError:
            # An empty file may find a place where a text does not.
            fsops.touch(self._marker)
