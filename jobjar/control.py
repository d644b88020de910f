"""Orders to running jobs: what a person wants of one attempt, as a file in its worker's orders/.

Published by rename, so that it is there whole or not at all; meant for one attempt, so that it can never strike
another; removed by the worker when it has been obeyed or has come too late. docs/PROTOCOL.md section 5, "Orders".
"""

import json
import os
import stat
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import fslook, fsops, layout
from jobjar.beat import Beat
from jobjar.errors import TROUBLE
from jobjar.glance import Glance
from jobjar.layout import Jar, Place
from jobjar.watch import Watch

CANCEL = "cancel"
# No order is longer, in bytes.
SIZE_MAX = 65536

# `attempt`: for which one it is; `who` (login@node) wants it, and `why`, which may be "".
Order = namedtuple("Order", "what attempt who why")


def publish(jar: Jar, worker: str, writer: str, token: str, order: Order, place: Place) -> str | None:
    """Put an order about the job at `place` before the worker NODE.PID, durably.

    `writer` is this process, NODE.PID, and `token` its nonce and a word of this command. Returns the order's path, None
    when the worker has no directory any more. OSError as it comes.
    """
    path = os.path.join(jar.orders(worker), f"{token}-{order.attempt}")
    # Not beside it, where nobody would know whose it is when its maker has been killed.
    draft = os.path.join(jar.limbo, f"{layout.ORDER}{writer}.{token}")
    data = {"order": order.what, "a": order.attempt, "c": place.category, "n": place.name, "t": round(time.time(), 3),
            "who": order.who, "why": order.why}
    fsops.create_own(draft, json.dumps(data).encode() + b"\n", 0o644)
    try:
        # Nobody else knows the draft's name, so when it is gone it has been moved.
        fsops.move(draft, path)
        fsops.sync_directory(jar.orders(worker))
    except FileNotFoundError:
        # RACE: it has been set aside since, so it has ended.
        return None
    finally:
        fsops.remove(draft)
    return path


def withdraw(path: str) -> None:
    """Take an order back that nobody needs any more; nothing when the worker has removed it already."""
    fsops.remove(path)


class Desk:
    """The orders to one worker, looked at while it has a job running."""

    def __init__(self, jar: Jar, worker: str, trusted: frozenset[int], beat: Beat, watch: Watch,
                 report: Callable[[str], None]) -> None:
        self.directory = jar.orders(worker)
        self._trusted, self._beat, self._report = trusted, beat, report
        self._glance = Glance(self.directory)
        self._is_told = False
        self._looked_at = float("-inf")
        # What is to be obeyed, with its path.
        self._order: Order | None = None
        self._path = ""
        self._left: set[str] = set()
        watch.always(self.directory, None)

    def hear(self, changed: set[str]) -> None:
        """Take note of directories in which something has happened."""
        self._is_told |= self.directory in changed

    def look(self, attempt: str, interval: float) -> None:
        """Read the orders if one has come, or if `interval` seconds have passed and something there has changed.

        `attempt` is the running one; what is meant for another is removed.
        """
        now = time.monotonic()
        if not self._is_told and now - self._looked_at < interval:
            return
        self._looked_at = now
        if not self._glance.needs_listing() and not self._is_told:
            return
        # Until they have been read, whatever happens.
        self._is_told = True
        self._glance.about_to_list(self._beat.fresh_now())
        for name in self._names():
            if not name.startswith("."):
                self._take(os.path.join(self.directory, name), attempt)
        self._is_told = False

    def cancelled(self) -> str | None:
        """Why the running job is to be cancelled; None when nobody wants that."""
        order = self._order
        if order is None:
            return None
        return f"cancelled by {order.who}" + (f": {order.why}" if order.why else "")

    def end(self) -> None:
        """The running job has left: what was obeyed is removed."""
        if self._order is not None:
            self._order = None
            fsops.remove(self._path)

    def _names(self) -> list[str]:
        try:
            return fslook.names(self.directory)
        except FileNotFoundError:
            # Somebody has removed it, and can order nothing any more.
            return []

    def _take(self, path: str, attempt: str) -> None:
        data = self._read(path)
        if data is None:
            if path not in self._left:
                self._left.add(path)
                self._report(f"{path} is left alone: no regular file with one name, of a user whom this worker trusts")
            return
        order = _parsed(data)
        if order is None or order.what != CANCEL:
            self._report(f"{path} is not obeyed: it is no order that this worker understands")
        elif order.attempt == attempt and self._order in (None, order):
            if self._order is None:
                self._order, self._path = order, path
                self._report(f"order: {self.cancelled()}")
            return
        # One for an earlier attempt has come too late, and needs no word.
        fsops.remove(path)

    def _read(self, path: str) -> bytes | None:
        """What the file says; None when it is nothing that may be obeyed."""
        try:
            # O_NONBLOCK: what is there may be a fifo.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in TROUBLE:
                raise
            return None
        try:
            found = os.fstat(handle)
            is_proper = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid in self._trusted
            return os.read(handle, SIZE_MAX) if is_proper else None
        finally:
            os.close(handle)


def _parsed(data: bytes) -> Order | None:
    try:
        line = json.loads(data)
        order = Order(line["order"], line["a"], line["who"], line["why"])
    except (ValueError, TypeError, KeyError):
        return None
    return order if all(isinstance(text, str) for text in order) else None
