"""The directories of workers that have left: their journals' records go to the archive, then the directory goes.

One process at a time does it, in the whole jar: a worker's name may come again while one looks at it.
"""

import os
import time
from collections import namedtuple
from collections.abc import Iterator

from jobjar import accounting, archive, fslook, fsops, journal, layout, node, notes, registration, reservation
from jobjar.accounting import Record
from jobjar.fslook import DIRECTORY, FILE, Entry
from jobjar.layout import Jar
from jobjar.node import Identity

# What a worker's directory may hold that nobody needs when it has left and its records are in the archive.
_PLAIN = ("worker.json", "log", "log.1", "beat", layout.STOP, layout.PAUSE, layout.RENEW)
# No job can be called so.
_HOLD = ".workers"

# `workers`: the directories to be removed; `kept`: sentences about those in which something is left for a person.
Left = namedtuple("Left", "workers kept")


def left(jar: Jar, me: Identity, older: float, now: float) -> Left:
    """The directories of workers that left longer than `older` seconds before `now`, by the file server's clock."""
    workers, kept = [], []
    for name in sorted(fslook.names(jar.workers)):
        if not layout.split_worker(name) and not layout.former_worker(name):
            continue
        entries = _listing(jar.worker(name))
        if not entries or any(layout.is_holder(entry.name) for entry in entries) or _is_young(jar, name, older, now):
            continue
        record = registration.read(jar, name)
        if layout.split_worker(name) and (not record or registration.verdict(jar, record, me) == node.ALIVE):
            continue
        needed = [entry.name for entry in entries if not _is_plain(jar.worker(name), entry)]
        if needed:
            kept.append(f"{jar.worker(name)} is kept for what a person may need: {', '.join(needed)}")
        else:
            workers.append(name)
    return Left(workers, kept)


def _listing(directory: str) -> list[Entry]:
    try:
        return fslook.survey(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it has just been set aside.
        return []


def _is_young(jar: Jar, name: str, older: float, now: float) -> bool:
    stamps = [fslook.mtime(jar.worker(name), entry.name) for entry in _listing(jar.worker(name))]
    stamps.append(fslook.mtime(jar.workers, name))
    # Who has just left may still be writing his last words.
    return now - max((stamp for stamp in stamps if stamp is not None), default=now) <= max(older, node.BEAT_VETO)


def _is_plain(directory: str, entry: Entry) -> bool:
    if entry.kind == DIRECTORY:
        return entry.name == "orders"
    if entry.kind != FILE:
        return False
    return entry.name in _PLAIN or journal.is_journal(entry.name) \
        or entry.name == "output" and fslook.is_empty_file(directory, entry.name)


def clear(jar: Jar, me: Identity, older: float, now: float) -> Iterator[str]:
    """Record and remove what `left` finds; yields the name of each that is gone.

    TryAgain is not raised for another who does the same: then there is nothing to be done.
    """
    mine = reservation.text(node.owner(me), node.nonce(me))
    if not reservation.hold_taken(jar, _HOLD, mine):
        return
    try:
        workers = left(jar, me, older, now).workers
        records = list(_records(jar, workers)) if workers else []
        if records:
            archive.write(jar, me, time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-workers", records)
        for name in workers:
            aside = _set_aside(jar, name)
            if aside and fsops.remove_tree(jar.worker(aside)):
                yield name
    finally:
        reservation.leave_taken(jar, _HOLD, mine)


def _set_aside(jar: Jar, name: str) -> str | None:
    """The directory's name after it was given one that no worker can come to have; None when it is another's now."""
    if layout.former_worker(name):
        return name
    record = registration.read(jar, name)
    if record is None or not registration.set_aside(jar, name, record.nonce):
        return None
    return name + layout.SET_ASIDE + record.nonce


def _records(jar: Jar, workers: list[str]) -> Iterator[Record]:
    """The records in the journals of these workers, but for those that the archive has."""
    known = {record.get("a") for path in archive.files(jar) for block in archive.lines(path)
             for record in notes.parse(block)}
    for worker in workers:
        paths = archive.journals_of(jar.worker(worker))
        lines = [line for path in paths for block in archive.lines(path) for line in notes.parse(_of_interest(block))]
        targets = {line.get("a"): line["as"] for line in lines if line.get("e") == journal.TARGET and "as" in line}
        for line in lines:
            attempt = accounting.string(line, "a")
            if attempt is None or attempt in known or line.get("e") == journal.TARGET:
                continue
            known.add(attempt)
            yield {**line, "as": targets[attempt]} if attempt in targets else line


def _of_interest(block: list[bytes]) -> list[bytes]:
    return [line for line in block if b'"end"' in line or b'"target"' in line
            or b'"requeue"' in line and b'"state"' in line]
