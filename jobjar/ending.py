"""Who must end a running job, why, with which signal and when.

A job is ended by a person, by the worker's end, by its time limit or by its memory. It is asked to first (TERM), and
has GRACE seconds to put its things in order; then it is killed, with all that it has started. One that has used up its
memory is killed at once: what it does in its grace, it would do at the cost of all others on the node.
"""

import signal
import time
from collections.abc import Callable

from jobjar import family, parameters, process, quantities
from jobjar.directives import Request

TIMEOUT, OUT_OF_MEMORY, CANCELLED = "TIMEOUT", "OUT_OF_MEMORY", "CANCELLED"
# Not the job's end: the worker's.
QUIT = "quit"
# How soon a job that has been told to end is looked at again, and how often the memory of one that has said how much
# it uses, in s.
PRESSING, LOOK_AT_MEMORY = 0.2, 0.5


class Ending:
    """The end of one running job. `reason`: why it was told to end, None until then; `why`: the same as a sentence.

    `told`: when, on the monotonic clock; `family`: whom.
    """

    def __init__(self, leader: int, request: Request, factor: float, quit: Callable[[], bool],
                 cancelled: Callable[[], str | None], feeder: int | None = None) -> None:
        self.reason: str | None = None
        self.why = ""
        self.told: float | None = None
        self.family: set[int] = set()
        self._leader, self._quit, self._cancelled = leader, quit, cancelled
        self._limit: float = request.get("time", float("inf"))
        self._warning, self._warn_at = _warning(request)
        self._memory = family.Memory(request["mem"] * factor, feeder) if "mem" in request else None

    @property
    def peak(self) -> int:
        """The most memory that the job's processes were seen to have together, in KiB; 0 if nobody looked."""
        return self._memory.peak // 1024 if self._memory else 0

    def look(self, ran: float) -> float:
        """Do what is due when it has run for `ran` seconds; returns after how many more it must be called again."""
        if self.reason in (None, QUIT):
            self._find_reason(ran)
        if self.reason:
            self._press()
            return PRESSING
        if ran >= self._warn_at:
            self._warn_at = float("inf")
            family.send_group(self._leader, self._warning)
        due = max(0.0, min(self._limit, self._warn_at) - ran)
        return min(due, LOOK_AT_MEMORY) if self._memory else due

    def _find_reason(self, ran: float) -> None:
        why = self._cancelled()
        if why is not None:
            self._decide(CANCELLED, why)
        elif self.reason:
            return
        elif self._quit():
            self._decide(QUIT, "the worker was told to end at once")
        elif ran >= self._limit:
            self._decide(TIMEOUT, f"its --time of {quantities.format_duration(self._limit)} is over")
        elif self._memory and (found := self._memory.excess()):
            self._decide(OUT_OF_MEMORY, f"its processes had {found // 2**20}M of memory together, and were allowed"
                         f" {int(self._memory.most) // 2**20}M: give it more with --mem")
            self.told = time.monotonic() - process.GRACE

    def _decide(self, reason: str, why: str) -> None:
        self.reason, self.why = reason, why

    def _press(self) -> None:
        now = time.monotonic()
        if self.told is None:
            self.told = now
            self.family = family.tell(self._leader, signal.SIGTERM)
        elif now - self.told >= process.GRACE:
            # Again and again, for what is born meanwhile was not there to be told.
            family.tell(self._leader, signal.SIGKILL)


def _warning(request: Request) -> tuple[int, float]:
    """The signal with which a job wants to be warned, and after how many seconds of its run."""
    if "signal" not in request or "time" not in request:
        return 0, float("inf")
    name, _, before = request["signal"].partition("@")
    return parameters.signal_number(name), max(0.0, request["time"] - int(before))
