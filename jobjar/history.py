"""What has ended: the records of journals and archive, chosen and in their order.

Of 100,000 lines few are wanted, and to parse one costs ten times as much as to look at its beginning. So lines are
chosen by their bytes as far as that is sound, and only what is left is parsed.
"""

import json
import os
import re
import stat
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator

from jobjar import accounting, archive, fslook, notes, states
from jobjar.accounting import Record
from jobjar.journal import END, REQUEUE, TARGET
from jobjar.layout import Jar, Place

# What is wanted. `users`, `states`, `categories` (None among them: uncategorized), `nodes`: one of these;
# `named(name)`: whether a job of this name is meant; `grep`: what must be found in name or command; `since`, `until`:
# bounds of the time of the end; `attempts`: those too that were repeated; `limit`: so many of the newest. None:
# whatever it is.
Wanted = namedtuple("Wanted", "users states categories nodes named grep since until attempts limit",
                    defaults=(None,) * 8 + (False, None))

# How a line begins that was written by these programs. A line that begins otherwise may say the same, and is parsed.
_HEAD = re.compile(rb'\{"e": "(end|requeue|job)", "a": (null|"[^"\\]*"), "c": (null|"[^"\\]*"), "n": "([^"\\]*)",'
                   rb' "t": ([0-9.]+)[,}]')
# A longer command is not shown.
HEAD = 2**16
_INTENT = b'{"e": "claim",'
_OTHER_NAME = b'"as": "'
_EVENTS = (END, REQUEUE, archive.JOB)


def records(jar: Jar, wanted: Wanted) -> list[Record]:
    """The records of what has ended, the newest last; of an attempt that stands in several, the one that says most."""
    # RACE: a job has its line before it comes to completed/.
    there = set(fslook.names(jar.completed))
    search = _Search(wanted if wanted.grep is None else wanted._replace(limit=None))
    for path in (*archive.files(jar), *archive.journals(jar)):
        for block in archive.lines(path):
            search.take(block)
    search.take(json.dumps(record).encode() for record in _unrecorded(jar, wanted, there - search.finals()))
    return _finished(jar, search, wanted)


def _unrecorded(jar: Jar, wanted: Wanted, silent: set[str]) -> Iterator[Record]:
    """The records of the jobs that came to failed/ without having been run to an end, and of those in completed/, the
    `silent`, of which no line tells: it was lost in a power cut, or somebody has removed it."""
    entries = list(fslook.entries(jar.failed, []))
    places = [Place(states.FAILED, None, entry.name) for entry in entries if fslook.is_file_entry(entry)]
    places += [Place(states.COMPLETED, None, name) for name in silent if not name.startswith(".")]
    bad = {entry.name for entry in entries if entry.is_symlink()}
    found = []
    for place in places:
        # RACE: one that is not there has just been retried or cleaned away; a reservation is no job.
        if (wanted.named is None or wanted.named(place.name)) \
                and (seen := fslook.status(jar.directory(place.state), place.name)) and stat.S_ISREG(seen.st_mode):
            found.append((seen, place))
    found.sort(key=lambda one: one[0].st_ctime)
    if wanted == Wanted(named=wanted.named, attempts=wanted.attempts, limit=wanted.limit) and wanted.limit:
        # Each of them costs a look into notes/.
        found = found[-wanted.limit:]
    for seen, place in found:
        yield without_end(place, seen, place.name in bad, notes.read(jar, place.name))


def without_end(place: Place, seen: os.stat_result, is_bad: bool, said: list[Record]) -> Record:
    """The record of a job of which no journal says how it ended, as of one that never ran to its end.

    `seen`: its file; `is_bad`: whether a link in failed/ says so; `said`: its notes.
    """
    lines = [line for line in said if accounting.number(line, "t") is not None and line.get("n") == place.name]
    last = max(lines, key=lambda line: line["t"], default={})
    is_good = place.state == states.COMPLETED and not is_bad
    state = "COMPLETED" if is_good else accounting.BURIED.get(last.get("e"), "FAILED")
    # A rename changes the ctime, and nothing has touched the file since it came here.
    record = {"e": archive.JOB, "a": None, "c": last.get("c"), "n": place.name, "t": round(seen.st_ctime, 3),
              "state": state, "user": notes.login(seen.st_uid), "ino": seen.st_ino}
    return record if "why" not in last else {**record, "why": last["why"]}


def _finished(jar: Jar, search: "_Search", wanted: Wanted) -> list[Record]:
    found = []
    for record in search.newest_first():
        if len(found) == wanted.limit:
            break
        if wanted.grep is None or wanted.grep.search(accounting.name(record)) \
                or wanted.grep.search(command(jar, record) or ""):
            found.append(record)
    return found[::-1]


def command(jar: Jar, record: Record) -> str | None:
    """The command that the record is about, where one was submitted; from then on the record has it."""
    if "command" not in record:
        inode = record.get("ino")
        # Of those without an end line some are in the one directory, some in the other.
        head = next(filter(None, (script(os.path.join(directory, accounting.name(record)), inode)
                                  for directory in _directories(jar, record))), None)
        record["command"] = accounting.command(head, len(head) < HEAD) if head else None
    return accounting.string(record, "command")


def _directories(jar: Jar, record: Record) -> tuple[str, ...]:
    """Where the job may lie that the record is about."""
    return (jar.completed, jar.failed) if record.get("e") == archive.JOB else (jar.completed,)


def script(path: str, inode: object) -> bytes | None:
    """What the job's file at `path` begins with; None when what is there is another."""
    try:
        # What has this name by now may be something else, which must not make us wait.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with open(handle, "rb") as file:
        return file.read(HEAD) if _is_of(os.fstat(handle), inode) else None


def is_of(path: str, record: Record) -> bool:
    """Whether the file there is the job of the record, as far as can be said: names made by hand come again."""
    try:
        return _is_of(os.lstat(path), record.get("ino"))
    except (OSError, ValueError):
        return False


def _is_of(found: os.stat_result, inode: object) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_ino == inode


class _Search:
    """The lines that may be wanted, as far as they have been read."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.targets: dict[str, str] = {}
        # The names that lines tell of, as JSON has them, and others.
        self._raw_names: set[bytes] = set()
        self._names: set[str] = set()
        # Attempt → (time, line); of a line without attempt its beginning stands for it.
        self._kept: dict[bytes, tuple[float, bytes]] = {}
        self._floor = float("-inf") if wanted.since is None else wanted.since
        self._ceiling = float("inf") if wanted.until is None else wanted.until
        self._room = None if wanted.limit is None else 2 * wanted.limit + 1000
        self._may_have = _raw_filter(wanted)
        self._categories = wanted.categories and {json.dumps(category).encode() for category in wanted.categories}

    def take(self, lines: Iterable[bytes]) -> None:
        """Look at further lines."""
        for line in lines:
            if line.startswith(_INTENT):
                continue
            head = _HEAD.match(line)
            if head is None:
                self._take_unusual(line)
                continue
            event, attempt, category, name, time = head.groups()
            if event != b"requeue":
                self._raw_names.add(name)
            if _OTHER_NAME in line:
                self._names.update(name for record in notes.parse([line]) if (name := accounting.string(record, "as")))
            if event == b"requeue" and not self._is_told(line):
                continue
            try:
                at = float(time)
            except ValueError:
                continue
            if self._floor <= at <= self._ceiling and self._is_meant(category, name) and self._has_all(line):
                self._keep(attempt if attempt != b"null" else head[0], at, line)

    def _is_told(self, line: bytes) -> bool:
        """Whether repeated attempts are wanted, and this one ran at all."""
        return self.wanted.attempts and b'"state": ' in line

    def _is_meant(self, category: bytes, name: bytes) -> bool:
        if self._categories and category not in self._categories:
            return False
        return self.wanted.named is None or self.wanted.named(name.decode())

    def _has_all(self, line: bytes) -> bool:
        # That the bytes are there does not mean that they stand in the right place.
        return self._may_have is None or \
            self._may_have(line) and any(_has_all(self.wanted, record) for record in notes.parse([line]))

    def _take_unusual(self, line: bytes) -> None:
        """A target line, a line about a name with unusual characters, one of somebody else's making, a torn one."""
        for record in notes.parse([line]):
            attempt, event, time = record.get("a"), record.get("e"), accounting.number(record, "t")
            if event in (END, TARGET, archive.JOB):
                self._names.update(filter(None, (accounting.string(record, "n"), accounting.string(record, "as"))))
            if event == TARGET and isinstance(attempt, str) and isinstance(record.get("as"), str):
                self.targets[attempt] = record["as"]
            elif event not in _EVENTS or time is None or not isinstance(record.get("n"), str):
                continue
            elif event == REQUEUE and not (self.wanted.attempts and "state" in record):
                continue
            elif self._floor <= time <= self._ceiling and _has_all(self.wanted, record):
                self._keep(json.dumps(attempt).encode() if isinstance(attempt, str) else line, time, line)

    def _keep(self, key: bytes, time: float, line: bytes) -> None:
        old = self._kept.get(key)
        if old is None or len(old[1]) < len(line):
            self._kept[key] = time, line
        if self._room is not None and len(self._kept) > self._room:
            newest = sorted(self._kept.items(), key=_time, reverse=True)[:self.wanted.limit]
            self._kept = dict(newest)
            self._floor = max(self._floor, newest[-1][1][0]) if newest else float("inf")

    def finals(self) -> set[str]:
        """The names of which any line tells that a job has ended under it."""
        return self._names.union(map(bytes.decode, self._raw_names))

    def newest_first(self) -> Iterator[Record]:
        """What has been kept, parsed, and the final names that other lines say."""
        lines = [line for _, (_, line) in sorted(self._kept.items(), key=_time, reverse=True)]
        for at in range(0, len(lines), 1000):
            for record in archive.parse(lines[at:at + 1000]):
                final = self.targets.get(record.get("a")) if self.targets else None
                if final is not None:
                    record.setdefault("as", final)
                yield record


def _time(item: tuple) -> float:
    return item[1][0]


def _raw_filter(wanted: Wanted) -> Callable[[bytes], bool] | None:
    """Whether a line can have all the values that are wanted, by its bytes; None when it has to have none.

    With a backslash in it, it always can.
    """
    spellings = [tuple(spelling for word in words for spelling in _spellings(word))
                 for words in (wanted.users, wanted.states, wanted.nodes) if words]
    if not spellings:
        return None
    return lambda line: b"\\" in line or all(any(text in line for text in texts) for texts in spellings)


def _spellings(word: str) -> tuple[bytes, ...]:
    """The word as JSON writes it, and as it may without a backslash."""
    plain = json.dumps(word)
    return (plain.encode(),) if word.isascii() else (plain.encode(), f'"{word}"'.encode("utf-8", "surrogatepass"))


def _has_all(wanted: Wanted, record: Record) -> bool:
    name = record.get("n")
    return all(not words or record.get(key) in words for key, words in (
        ("user", wanted.users), ("state", wanted.states), ("c", wanted.categories), ("node", wanted.nodes))) \
        and isinstance(name, str) and (wanted.named is None or wanted.named(name))
