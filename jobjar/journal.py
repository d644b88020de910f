"""A worker's journal: what it meant to do and what came of it; the accounting record.

Append only, one writer: the worker, and after a fence whoever recovers it. docs/PROTOCOL.md section 7.
"""

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable

from jobjar import fslook, fsops, jobname
from jobjar.notes import read_lines

CLAIM, END, TARGET, REQUEUE, REFUSE = "claim", "end", "target", "requeue", "refuse"
ROTATE_AT = 4 * 2**20
# Seconds within which lines are to be on the disk, and after how many at most a sync that has failed is tried again.
SOON, AT_LAST = 1.0, 60.0

Key = tuple[str | None, str]

# A line never contains itself: to look for that takes a third of the time.
_in_json = json.JSONEncoder(check_circular=False).encode


def is_journal(name: str) -> bool:
    """Whether a file of this name in a worker's directory is a journal, the current one or one that was rotated."""
    return name == "journal" or name.startswith("journal.")


class Journal:
    """The open journal of one worker directory. Not shared between processes."""

    def __init__(self, directory: str, path: str | None = None) -> None:
        """`path`: that of the file to go on with, when it is not called "journal"."""
        self.directory = directory
        path = path or os.path.join(directory, "journal")
        self._handle, self.path = fsops.open_append(path, 0o644), path
        if not os.fstat(self._handle).st_size:
            # What is synced into a new file is lost all the same when its name is.
            fsops.sync_directory(directory)
        self._is_torn = self._is_doubtful = False
        self._unsynced: list[bytes] = []
        self._due_at: float | None = None
        self._patience = SOON
        self._ended: set[Key] = set()

    def intend(self, attempt: str, category: str | None, name: str, sync: bool = False) -> None:
        """Say that `attempt` is about to claim the job. A claim that is lost leaves a harmless line.

        Synced when this journal holds an end, or the like, of the same category and name: after a power cut that
        must not be taken for this attempt's.
        """
        self._append({"e": CLAIM, "a": attempt, "c": category, "n": name, "t": _now()})
        if sync or (category, name) in self._ended:
            self.sync()

    def end(self, attempt: str, category: str | None, name: str, **more: object) -> None:
        """Say how `attempt` ended; `more` holds the keys of docs/PROTOCOL.md. Synced at once if it ended badly."""
        self._append({"e": END, "a": attempt, "c": category, "n": name, "t": _now(), **more})
        self._ended.add((category, name))
        if more.get("state") != "COMPLETED":
            self.sync()

    def target(self, attempt: str, final: str) -> None:
        """Say that `final` is about to be tried as the attempt's final name; a redo looks there first. Synced."""
        self._append({"e": TARGET, "a": attempt, "as": final})
        self.sync()

    def say(self, event: str, attempt: str, category: str | None, name: str, why: str, **more: object) -> None:
        """Say why the attempt came to nothing: REQUEUE or REFUSE. `more`: as in `end`, of one that has run. Synced."""
        self._append({"e": event, "a": attempt, "c": category, "n": name, "t": _now(), **more, "why": why})
        self._ended.add((category, name))
        self.sync()

    def _append(self, line: dict) -> None:
        text = _in_json(line).encode() + b"\n"
        self._do(lambda: self._write(text))
        self._unsynced.append(text)
        if self._due_at is None:
            self._due_at = time.monotonic() + SOON

    def _write(self, text: bytes) -> None:
        # After an error a piece of a line may be there, and whatever is written behind it would be lost with it.
        start, self._is_torn = b"\n" if self._is_torn else b"", True
        fsops.append(self._handle, start + text)
        self._is_torn = False

    def sync(self) -> None:
        """Bring all lines to the disk."""
        self._do(self._sync)

    def _sync(self) -> None:
        # NFS: a sync that has failed has lost what was written before it, and the next one would say that all is well.
        was_doubtful, self._is_doubtful = self._is_doubtful, True
        # Each failure makes the file longer, by all that is written again.
        self._due_at, self._patience = time.monotonic() + self._patience, min(AT_LAST, 2 * self._patience)
        if was_doubtful:
            self._write_again()
        fsops.sync(self._handle)
        self._is_doubtful = False
        self._unsynced.clear()
        self._due_at, self._patience = None, SOON

    def _write_again(self) -> None:
        """Write once more what may be lost. A line may be there twice then, and says the same both times."""
        if self._unsynced:
            self._write(b"".join(self._unsynced))

    def _do(self, step: Callable[[], object]) -> object:
        """A step on the open file; when its handle has gone stale, on the file of that name, and all over again."""
        try:
            return step()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # NFS: the server exports it anew, or somebody has put another file in its place.
            self._reopen()
            return step()

    def _reopen(self) -> None:
        old, self._handle = self._handle, fsops.open_append(self.path, 0o644)
        self._is_doubtful = True
        with contextlib.suppress(OSError):
            os.close(old)
        self._write_again()

    def due(self) -> float | None:
        """Seconds until the lines must be on the disk (a second after the first of them); None when they are.

        After a sync that has failed: until it should be tried again.
        """
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    def rotate(self) -> None:
        """Begin a new file when this one has grown large. Only between jobs, with nothing in claims/.

        OSError also when the lines of earlier jobs cannot be brought to the disk: there should be no more of them then.
        """
        if self._is_doubtful:
            self.sync()
        if self._do(lambda: os.fstat(self._handle).st_size) < ROTATE_AT:
            return
        self.sync()
        if os.path.basename(self.path) == "journal":
            numbered = f"{self.path}.{1 + _newest(self.directory)}"
            fsops.move(self.path, numbered)
            self.path = numbered
        old = self._handle
        # Opened before the old one is closed: an error must not leave a number that soon means another file. Until it
        # succeeds the newest numbered one is the current journal.
        self.__init__(self.directory)
        fsops.close(old)

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        fsops.close(self._handle)


class History:
    """What a dead worker's current journal says about the jobs that it left."""

    def __init__(self, directory: str) -> None:
        self._last: dict[Key, str] = {}
        self._ends: dict[str, dict] = {}
        self._targets: dict[str, str] = {}
        self._given_back: set[str] = set()
        # The attempt that was begun last, and the name of its job.
        self.last = "", ""
        for line in read_lines(current(directory)):
            self._take(line)

    def _take(self, line: dict) -> None:
        event, attempt = line.get("e"), line.get("a")
        if not jobname.is_part(attempt) or not isinstance(line.get("c"), str | None):
            return
        if event == CLAIM:
            key = line.get("c"), line.get("n")
            # Lines that are written again, and cut off by a death, end with an earlier one.
            self._last[key] = max(attempt, self._last.get(key, attempt), key=_number)
            self.last = max((attempt, key[1]), self.last, key=lambda last: _number(last[0]))
        elif event == END:
            self._ends[attempt] = line
        elif event == TARGET and jobname.is_part(line.get("as")):
            self._targets[attempt] = line["as"]
        elif event == REQUEUE:
            self._given_back.add(attempt)

    def attempt(self, category: str | None, name: str) -> str | None:
        """The id of the last intent for this category and name; None when there is none."""
        return self._last.get((category, name))

    def end(self, attempt: str | None) -> dict | None:
        """The end line of this attempt, the only one that may be believed; None when it may not have ended."""
        return self._ends.get(attempt)

    def target(self, attempt: str) -> str | None:
        """The final name that the attempt was about to take when it died, if not the job's own."""
        return self._targets.get(attempt)

    def is_given_back(self, attempt: str) -> bool:
        """Whether the worker had ended the attempt itself, to have it repeated without being counted."""
        return attempt in self._given_back


def _number(attempt: str) -> int:
    """The COUNT of an attempt's id; 0 when it has none."""
    count = attempt.rpartition("-")[2]
    return int(count) if count.isascii() and count.isdigit() else 0


def _newest(directory: str) -> int:
    """The number of the newest journal that was rotated; 0 when there is none."""
    return max((int(name[8:]) for name in fslook.names(directory)
                if name.startswith("journal.") and name[8:].isdigit()), default=0)


def current(directory: str) -> str:
    """The path of the journal in which the worker of this directory has written last."""
    path = os.path.join(directory, "journal")
    if fslook.is_there(directory, "journal") or not (number := _newest(directory)):
        return path
    return f"{path}.{number}"


def _now() -> float:
    return round(time.time(), 3)
