"""notes/: what was exceptional about a job, and how often it has been tried.

One file per job and writing process, so that no two processes append to one file. docs/PROTOCOL.md section 8.
"""

import json
import os
import pwd
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import fslook, fsops
from jobjar.glance import Glance
from jobjar.layout import Jar
from jobjar.jobname import split, unedited

ATTEMPT, DONE, REQUEUE, CANCEL = "attempt", "done", "requeue", "cancel"
# How often notes/ is listed at most, in s, and how many names are kept.
LIST_AGAIN, MOST = 3.0, 10_000
# What every line says by itself; the rest is the event's own.
_COMMON = ("e", "c", "n", "t", "who")

# What counts of a job: `deaths`, the ids of attempts whose worker died, and `requeues`, id → line of those that ended
# and are repeated.
Tally = namedtuple("Tally", "deaths requeues")

# (a job's name, its category, the event, further keys)
Line = tuple[str, str | None, str, dict]

# The events whose line says how a job came to failed/ without having been run to its end.
BURIALS = ("cancel", "doom", "refuse", "give_up")


def has(jar: Jar, name: str, is_remote: bool = True) -> bool:
    """Whether there is any note about the job of this file name. `is_remote`: another node may have written it."""
    # NFS: recovery on another node may have written the first one since this node looked for it in vain.
    return fslook.is_there(jar.notes, _base(name)) if is_remote else not fslook.is_free(f"{jar.notes}/{_base(name)}")


class Noted:
    """Which jobs have notes, as a process knows that often asks: of a directory in which nothing changes one request
    to a file server for each, where `has` makes two."""

    def __init__(self, jar: Jar) -> None:
        self._jar, self._glance, self._again = jar, Glance(jar.notes), float("-inf")
        self._names: frozenset[str] | None = None

    def has(self, name: str) -> bool:
        """As `has`, where other nodes may write."""
        if self._names is None or self._glance.needs_listing():
            self._list()
        # What came in the tick of the listing shows only in the second.
        if self._names is None or self._glance.due() is not None:
            return has(self._jar, name)
        return _base(name) in self._names

    def _list(self) -> None:
        self._names, now = None, time.monotonic()
        if now < self._again:
            return
        self._again = now + LIST_AGAIN
        try:
            # As if it were young, whatever the server's clock says: it is listed twice.
            self._glance.about_to_list(float("-inf"))
            names = fslook.names(self._jar.notes)
            self._names = frozenset(names) if len(names) <= MOST else None
        except OSError:
            self._glance.has_failed()


def _base(name: str) -> str:
    """The id, also while somebody edits the job."""
    return split(unedited(name) or name)[0]


def add(jar: Jar, writer: str, name: str, category: str | None, event: str, **more: object) -> None:
    """Append one line about `name`, as `writer` (NODE.PID); durable when this returns.

    `more` are further keys: `why`, `a` (an attempt id), `closes` (attempt ids).
    """
    directory, is_new = _append(jar, writer, (name, category, event, more), fsops.sync)
    fsops.sync_directory(directory)
    if is_new:
        fsops.sync_directory(jar.notes)


def along(jar: Jar, writer: str, name: str, category: str | None, event: str,
          **more: object) -> Callable[[str], None]:
    """What says of a job under the name that it is about to get, if that is another, what `add` has said of it."""
    def before(new_name: str) -> None:
        if new_name != name:
            add(jar, writer, new_name, category, event, **more)
    return before


def add_many(jar: Jar, writer: str, lines: list[Line]) -> None:
    """As `add`, of many lines with one wait for the disk."""
    if len(lines) == 1:
        name, category, event, more = lines[0]
        add(jar, writer, name, category, event, **more)
    elif lines:
        for line in lines:
            _append(jar, writer, line, lambda handle: None)
        fsops.sync_file_system(jar.notes)


def _append(jar: Jar, writer: str, line: Line, sync: Callable[[int], None]) -> tuple[str, bool]:
    """Returns the job's directory, and whether it is new."""
    name, category, event, more = line
    directory = os.path.join(jar.notes, _base(name))
    is_new = fsops.make_directory(directory, 0o755)
    who = f"{login()}@{writer.rpartition('.')[0]}"
    text = {"e": event, "c": category, "n": name, "t": round(time.time(), 3), "who": who, **more}
    handle = fsops.open_append(os.path.join(directory, writer), 0o644)
    try:
        fsops.append(handle, json.dumps(text).encode() + b"\n")
        sync(handle)
    finally:
        fsops.close(handle)
    return directory, is_new


def login(uid: int | None = None) -> str:
    """The name of a user, or the number of one without a name; None: of the one who works here."""
    uid = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read(jar: Jar, name: str) -> list[dict]:
    """All lines about the job's id, in no order that means anything between writers."""
    directory = os.path.join(jar.notes, _base(name))
    try:
        writers = fslook.names(directory)
    except FileNotFoundError:
        return []
    lines = []
    for writer in sorted(writers):
        lines += read_lines(os.path.join(directory, writer))
    return lines


def written(jar: Jar, name: str) -> float | None:
    """When the last note about the job's id was written, by the server's clock; None when there is none."""
    directory = os.path.join(jar.notes, _base(name))
    try:
        stamps = [fslook.mtime(directory, writer) for writer in fslook.names(directory)]
    except FileNotFoundError:
        return None
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def tally(jar: Jar, name: str, category: str | None) -> Tally:
    """What counts for this category and name: all that no "done" has closed."""
    lines = [line for line in read(jar, name) if (line.get("c"), line.get("n")) == (category, name)]
    closed = {a for line in lines if line.get("e") == DONE for a in line.get("closes", ())}
    of = {event: {line["a"]: line for line in lines if line.get("e") == event and isinstance(line.get("a"), str)
                  and line["a"] not in closed} for event in (ATTEMPT, REQUEUE)}
    return Tally(set(of[ATTEMPT]), of[REQUEUE])


def open_attempts(jar: Jar, name: str, category: str | None) -> set[str]:
    """The ids of the attempts that count for this category and name because their worker died."""
    return tally(jar, name, category).deaths


def tries(jar: Jar, name: str, category: str | None) -> int:
    """How often the job has been begun so far, of all that counts."""
    counted = tally(jar, name, category)
    return len(counted.deaths.union(counted.requeues))


def retries(counted: Tally) -> int:
    """How often the job has been repeated because it had failed; what it has asked for itself is not counted."""
    return sum(line.get("counts") is True for line in counted.requeues.values())


def until(counted: Tally) -> float:
    """Until when the job is to wait before it is repeated, in s since the epoch; 0.0 when it need not."""
    return max((line["until"] for line in counted.requeues.values() if isinstance(line.get("until"), (int, float))),
               default=0.0)


def cancelled(jar: Jar, name: str, category: str | None, attempt: str) -> dict | None:
    """The line by which somebody has asked for the end of this attempt of the job; None when nobody has."""
    return next((line for line in read(jar, name) if line.get("e") == CANCEL and line.get("a") == attempt
                 and (line.get("c"), line.get("n")) == (category, name)), None)


def is_closed(jar: Jar, name: str, category: str | None, attempt: str) -> bool:
    """Whether a "done" line has closed this attempt."""
    return any(line.get("e") == DONE and (line.get("c"), line.get("n")) == (category, name)
               and attempt in line.get("closes", ()) for line in read(jar, name))


def count(jar: Jar, writer: str, name: str, category: str | None, attempt: str, why: str) -> int:
    """Count one attempt, durably; the number of attempts that count now. Counting an id twice counts once."""
    attempts = open_attempts(jar, name, category)
    if attempt not in attempts:
        add(jar, writer, name, category, ATTEMPT, a=attempt, why=why)
    return len(attempts | {attempt})


def carry(jar: Jar, writer: str, name: str, category: str | None, new_name: str,
          new_category: str | None | bool = False) -> None:
    """Take what counts along to another name, or another category, which the job is about to get."""
    target = category if new_category is False else new_category
    if (new_name, target) == (name, category):
        return
    counted, there = tally(jar, name, category), tally(jar, new_name, target)
    for attempt in sorted(counted.deaths):
        count(jar, writer, new_name, target, attempt, f"it was {name} then")
    for attempt, line in sorted(counted.requeues.items()):
        if attempt not in there.requeues:
            own = {key: value for key, value in line.items() if key not in _COMMON}
            add(jar, writer, new_name, target, REQUEUE, **own)


def close(jar: Jar, writer: str, name: str, category: str | None) -> None:
    """Say that the job is done: a later job of the same name starts counting anew."""
    add(jar, writer, name, category, DONE, closes=_counting(jar, name, category))


def closing(jar: Jar, name: str, category: str | None) -> list[Line]:
    """The line that `close` would write, if it is needed: when there is anything that counts."""
    closes = _counting(jar, name, category)
    return [(name, category, DONE, {"closes": closes})] if closes else []


def _counting(jar: Jar, name: str, category: str | None) -> list[str]:
    counted = tally(jar, name, category)
    return sorted(counted.deaths | set(counted.requeues))


def burial(jar: Jar, name: str) -> str | None:
    """The event that took the job failed/NAME there, as far as it was noted."""
    line = buried(jar, name)
    return line and line["e"]


def buried(jar: Jar, name: str) -> dict | None:
    """The last line that says how the job came to failed/, or was about to, without having been run to its end."""
    lines = [line for line in read(jar, name) if line.get("e") in BURIALS]
    return max(lines, key=lambda line: line.get("t", 0), default=None)


def in_order(lines: list[dict]) -> list[dict]:
    """The lines as they were written, by their times; of lines of one millisecond the later one stays behind."""
    return sorted(lines, key=lambda line: line["t"] if isinstance(line.get("t"), (int, float)) else 0)


def read_lines(path: str) -> list[dict]:
    """The lines of an append-only file of JSON lines; torn ones and a last piece without newline are no data."""
    try:
        with fslook.open_file(path) as file:
            data = file.read()
    except FileNotFoundError:
        return []
    return parse(data[:data.rfind(b"\n") + 1].splitlines())


def parse(lines: list[bytes]) -> list[dict]:
    """What the lines say; those that are no JSON objects are left out."""
    return [line for line in map(_parse, lines) if line is not None]


def _parse(raw: bytes) -> dict | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
