"""Who must end a running job, why, with which signal and when.

A job is ended by a person, by the worker's end, by its time limit or by its memory. It is asked to first (TERM), and
has GRACE seconds to put its things in order; then it is killed, with all that it has started.
"""

import signal
import time
from collections.abc import Callable

from jobjar import process, quantities
from jobjar.directives import Request

TIMEOUT, OUT_OF_MEMORY, CANCELLED = "TIMEOUT", "OUT_OF_MEMORY", "CANCELLED"
# Not the job's end: the worker's.
QUIT = "quit"
# How soon a job that has been told to end is looked at again, in s.
PRESSING = 0.2


class Ending:
    """The end of one running job. `reason`: why it was told to end, None until then; `why`: the same as a sentence."""

    def __init__(self, leader: int, request: Request, quit: Callable[[], bool],
                 cancelled: Callable[[], str | None]) -> None:
        self.reason: str | None = None
        self.why = ""
        # When it was told, on the monotonic clock: a computer that sleeps takes none of a job's time.
        self.told: float | None = None
        self._leader, self._quit, self._cancelled = leader, quit, cancelled
        self._limit: float | None = request.get("time")

    def look(self, ran: float) -> float:
        """Do what is due when it has run for `ran` seconds; returns after how many more it must be called again."""
        if self.reason in (None, QUIT):
            self._find_reason(ran)
        if self.reason:
            self._press()
            return PRESSING
        return max(0.0, self._limit - ran) if self._limit else float("inf")

    def _find_reason(self, ran: float) -> None:
        why = self._cancelled()
        if why is not None:
            self._decide(CANCELLED, why)
        elif self.reason:
            return
        elif self._quit():
            self._decide(QUIT, "the worker was told to end at once")
        elif self._limit and ran >= self._limit:
            self._decide(TIMEOUT, f"its --time of {quantities.format_duration(self._limit)} is over")

    def _decide(self, reason: str, why: str) -> None:
        self.reason, self.why = reason, why

    def _press(self) -> None:
        now = time.monotonic()
        if self.told is None:
            self.told = now
            process.signal_session(self._leader, signal.SIGTERM)
        elif now - self.told > process.GRACE:
            process.signal_session(self._leader, signal.SIGKILL)
