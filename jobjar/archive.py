"""history/: the records of what was cleaned away, and all other files that say how jobs ended.

One file of JSON lines for each cleaning, complete or not there. Nobody changes one afterwards, and nothing but a
person removes one. docs/PROTOCOL.md section 7.
"""

import contextlib
import io
import json
import os
import time
from collections.abc import Iterable, Iterator

from jobjar import fslook, fsops, journal, layout, node, notes
from jobjar.layout import Jar
from jobjar.node import Identity

SUFFIX = ".jsonl"
# Of a job that was cleaned away and of which no journal said how it ended.
JOB = "job"
# How much of a file is read at a time.
BLOCK = 2**20


def write(jar: Jar, me: Identity, records: Iterable[dict]) -> str:
    """Publish a new file of records, on the disk when this returns; its path."""
    if fsops.make_directory(jar.history, 0o755):
        fsops.sync_directory(jar.home)
    token = f"{node.owner(me)}.{node.nonce(me)}"
    draft = os.path.join(jar.history, f".{token}")
    fsops.create_own(draft, _pieces(records), 0o644)
    seconds, rest = divmod(time.time_ns(), 10**9)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
    path = os.path.join(jar.history, f"{stamp}-{rest:09}-{token}{SUFFIX}")
    # Nobody else knows the draft's name, so when it is gone it has been moved.
    fsops.move(draft, path)
    fsops.sync_directory(jar.history)
    return path


def _pieces(records: Iterable[dict]) -> Iterator[bytes]:
    """The records as lines, so many at a time that it matters neither how many they are nor how many writes."""
    lines, size = [], 0
    for record in records:
        lines.append(json.dumps(record).encode() + b"\n")
        size += len(lines[-1])
        if size > BLOCK:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def files(jar: Jar) -> list[str]:
    """The paths of the archive's files, the oldest first."""
    return [os.path.join(jar.history, name) for name in sorted(_names(jar))
            if name.endswith(SUFFIX) and not name.startswith(".")]


def _names(jar: Jar) -> list[str]:
    try:
        return fslook.names(jar.history)
    except FileNotFoundError:
        # Nothing was ever cleaned away.
        return []


def journals(jar: Jar) -> Iterator[str]:
    """The paths of all journals, also of rotated ones and of workers that were set aside."""
    for worker in sorted(fslook.names(jar.workers)):
        if layout.split_worker(worker) or layout.former_worker(worker):
            yield from journals_of(jar.worker(worker))


def journals_of(directory: str) -> list[str]:
    """The paths of one worker's journals, the oldest first."""
    try:
        found = [name for name in fslook.names(directory) if journal.is_journal(name)]
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it has been set aside or removed just now.
        return []
    return [os.path.join(directory, name) for name in sorted(found, key=_age)]


def _age(name: str) -> tuple[bool, int, str]:
    number = name.removeprefix("journal.")
    return not number.isdigit(), int(number) if number.isdigit() and len(number) < 10 else 0, name


def lines(path: str) -> Iterator[list[bytes]]:
    """The whole lines of a journal or of a file of the archive, a block at a time; none when it is not there."""
    with contextlib.suppress(FileNotFoundError), fslook.open_file(path) as file:
        yield from blocks(file)


def blocks(file: io.BufferedReader) -> Iterator[list[bytes]]:
    """As `lines`, of an open file."""
    rest = b""
    while block := file.read(BLOCK):
        *whole, rest = (rest + block).split(b"\n")
        yield whole


def parse(lines: list[bytes]) -> list[dict]:
    """As `notes.parse`, of many lines at once: in two thirds of the time, and their keys are there once."""
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return notes.parse(lines)
    # Torn lines may add up to something else.
    is_whole = len(found) == len(lines) and all(type(record) is dict for record in found)
    return found if is_whole else notes.parse(lines)
