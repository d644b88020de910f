"""How jobs have ended, as the journals say: the last end line for what is, or was, completed/NAME.

Read only. A journal is read whole, but of its lines only those that may matter are parsed.
"""

import fnmatch
import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator

from jobjar import archive, census, fslook, jobname, journal, layout, notes
from jobjar.layout import Jar, Place
from jobjar.states import COMPLETED, FAILED

# The clocks of nodes and server differ by no more than this, in s, if all is well.
CLOCKS = 5.0


def end_line(jar: Jar, name: str, category: str | None, holder_hint: str | None = None) -> dict | None:
    """The last end line in any worker's journal for the job that is, or was, completed/NAME; None when there is none.

    `category` None: it is not known. `holder_hint`: the claims directory in which the job was seen last, whose
    worker's journal is read first.
    """
    found = None
    if holder_hint is not None:
        for _, path in sorted(_journals_of(os.path.dirname(holder_hint)), reverse=True):
            found = found or _last_end(path, name, category)
        if found is not None and found["t"] >= _enough(jar, name):
            return found
    for changed, path in _journals(jar):
        # A journal that was not written since holds no later line.
        if found is not None and found["t"] > changed + CLOCKS:
            break
        end = _last_end(path, name, category)
        if end is not None and (found is None or end["t"] > found["t"]):
            found = end
    return found


def _enough(jar: Jar, name: str) -> float:
    """The time from which an end line by the worker that had the job last must be its last one, s since the epoch."""
    if jobname.number(name) is None or notes.has(jar, name):
        # Names made by hand come again, and a job that was retried has several ends.
        return float("inf")
    found = fslook.status(jar.completed, name)
    # A person may have moved it back and had it run again; names of one file have their changes in common.
    return found.st_ctime - CLOCKS if found is not None and found.st_nlink == 1 else float("-inf")


def end_lines(jar: Jar, names: Iterable[str], failed: Collection[str] | None = None) -> dict[str, dict]:
    """As `end_line`, of many jobs at once: every journal is read once. Those without an end line are left out.

    `failed`: the names in failed/, when a line that contradicts them is to be passed over: the clocks of nodes differ,
    and what looks like a job's last end may be an earlier one's.
    """
    wanted, found = frozenset(names), {}
    for _, path in _journals(jar) if wanted else ():
        for final, end in _all_ends(path):
            is_believed = failed is None or (end.get("state") != "COMPLETED") == (final in failed)
            if final in wanted and is_believed and (final not in found or end["t"] > found[final]["t"]):
                found[final] = end
    return found


def _all_ends(path: str) -> Iterator[tuple[str, dict]]:
    """As `_ends`, of a whole journal or file of the archive, which may be long."""
    with contextlib.suppress(FileNotFoundError), fslook.open_file(path) as file:
        targets = {attempt: final for block in archive.blocks(file)
                   for attempt, final in _targets(notes.parse([line for line in block if b'"target"' in line])).items()}
        file.seek(0)
        for block in archive.blocks(file):
            yield from _ends(archive.parse([line for line in block if b'"end"' in line]), targets)


def status(end: dict | None) -> int | None:
    """What the job returned, 128 + N when the signal N ended it; None when its end line does not say."""
    if end is None:
        return None
    return 128 + end["signal"] if end.get("signal") else end.get("exit")


def _journals(jar: Jar) -> list[tuple[float, str]]:
    """(mtime, path) of all journals, the one that was written last first; also of workers that were set aside.

    And of the archive, to which the lines of journals go that are removed.
    """
    found = [(os.stat(path).st_mtime, path) for path in archive.files(jar)]
    for worker in fslook.names(jar.workers):
        if layout.split_worker(worker) or layout.former_worker(worker):
            found += _journals_of(jar.worker(worker))
    return sorted(found, reverse=True)


def _journals_of(directory: str) -> list[tuple[float, str]]:
    try:
        with os.scandir(directory) as entries:
            return [(entry.stat().st_mtime, entry.path) for entry in entries if journal.is_journal(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it was set aside or rotated just now; whoever asks again finds it.
        return []


def _last_end(path: str, final: str, category: str | None) -> dict | None:
    """The last end line in a journal whose job's file went to completed/FINAL."""
    data = _data(path)
    named = notes.parse(_lines_with(data, final))
    # What else is said of an attempt may be that its job went to another name, or came to this one from another.
    attempts = {line["a"] for line in named if isinstance(line.get("a"), str)}
    lines = [line for attempt in attempts for line in notes.parse(_lines_with(data, attempt))]
    ends = [end for name, end in _ends(lines, _targets(lines)) if name == final and category in (None, end.get("c"))]
    return max(ends, key=lambda end: end["t"]) if ends else None


def _targets(lines: list[dict]) -> dict[str, str]:
    """Attempt → the last name that target lines among `lines` say it took."""
    return {line.get("a"): line.get("as") for line in lines if line.get("e") == journal.TARGET}


def _ends(lines: list[dict], targets: dict[str, str]) -> Iterator[tuple[str, dict]]:
    """(final name, end line) for each end line among `lines`."""
    for line in lines:
        if line.get("e") == journal.END and isinstance(line.get("t"), (int, float)):
            yield targets.get(line.get("a"), line.get("as", line.get("n"))), line


def _data(path: str) -> bytes:
    """The whole lines of a journal."""
    try:
        with fslook.open_file(path) as file:
            data = file.read()
    except FileNotFoundError:
        # RACE: rotated just now, to a name that is, or will be, listed too.
        return b""
    return data[:data.rfind(b"\n") + 1]


def _lines_with(data: bytes, word: str) -> Iterator[bytes]:
    """The lines in which the text `word` stands, as JSON writes it."""
    raw = json.dumps(word).encode()
    at = data.find(raw)
    while at >= 0:
        end = data.index(b"\n", at)
        yield data[data.rfind(b"\n", 0, at) + 1:end]
        at = data.find(raw, end)


def why_never(jar: Jar, name: str) -> str:
    """Why the job has not been run to its end, as its notes have it, or that nobody knows how it ended."""
    lines = [line for line in notes.read(jar, name) if line.get("why")]
    if lines:
        return str(max(lines, key=lambda line: line.get("t", 0))["why"])
    return "how it ended is written nowhere"


def failed(jar: Jar, pattern: str = "*") -> list[Place]:
    """The jobs that have failed and whose id matches the pattern; those that somebody has cancelled are not among
    them."""
    found = [item for item in census.failed(jar) if fnmatch.fnmatchcase(jobname.split(item.name)[0], pattern)]
    known = end_lines(jar, [item.name for item in found if item.ran])
    return [Place(COMPLETED if item.ran else FAILED, None, item.name) for item in found
            if not _is_cancelled(jar, item, known.get(item.name, {}))]


def _is_cancelled(jar: Jar, item: census.Failed, end: dict) -> bool:
    return end.get("state") == "CANCELLED" if item.ran else notes.burial(jar, item.name) == "cancel"
