"""The signals that interrupt a command which has something to put in order first.

Outside of `allowed()` a signal is only taken note of, so that no step is left half done; inside, it ends what waits.
"""

import contextlib
import signal
from collections.abc import Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A signal has come; `number` is the first one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """While its block lasts, signals do no more than this: they are counted, and the first one's `number` is kept.

    Those that were ignored before, as in the background of a script, or under nohup, are ignored still.
    """

    def __init__(self) -> None:
        self.number = 0
        self._received = self._heeded = 0
        self._is_allowed = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in NUMBERS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _take(self, number: int, _: object) -> None:
        self._received += 1
        self.number = self.number or number
        self._end_what_waits()

    def _end_what_waits(self) -> None:
        if self._is_allowed and self._received > self._heeded:
            self._is_allowed = False
            raise Interrupted(self.number)

    def heed(self) -> bool:
        """Whether a signal has come since this was asked last."""
        before, self._heeded = self._heeded, self._received
        return self._heeded > before

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that a signal ends with Interrupted, also one that has come before and was not heeded."""
        self._is_allowed = True
        try:
            self._end_what_waits()
            yield
        finally:
            self._is_allowed = False
