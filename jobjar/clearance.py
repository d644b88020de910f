"""The directories of workers that have left, and the contents in store/ that no job needs any more.

The records of a worker's journals go to the archive before its directory goes. One process at a time does it in the
whole jar, for a worker's name may come again while one looks at it.
"""

import os
from collections import namedtuple
from collections.abc import Iterator

from jobjar import accounting, archive, claiming, drafts, fslook, fsops, journal, layout, node, notes
from jobjar import registration, reservation, settling, staging, store
from jobjar.accounting import Record
from jobjar.errors import UsageError
from jobjar.fslook import DIRECTORY, FILE, Entry
from jobjar.inventory import Inventory
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
        if any(layout.is_holder(entry.name) for entry in entries) or _is_young(jar, name, older, now):
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
    """Record and remove what `left` finds; yields the name of each that is gone, and none while another does it."""
    mine = reservation.text(node.owner(me), node.nonce(me))
    if not reservation.take(jar, _HOLD, mine, lambda: True, is_kept=True):
        return
    try:
        workers = left(jar, me, older, now).workers
        records = list(_records(jar, workers)) if workers else []
        if records:
            archive.write(jar, me, records)
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


def sweep_store(jar: Jar, now: float) -> int:
    """Remove the contents in store/ that no job in the jar needs and nobody has wanted for a day; how many they were.

    Only when every job could be asked what it needs; `now` is the file server's clock, asked before.
    """
    wanted, unasked = set(), set()
    if not fslook.is_directory(jar.store):
        return 0
    for _ in range(2):
        # RACE: a job that moves while it is looked for is found in the second round, or nothing is removed this time.
        seen = Inventory(jar)
        written = [os.path.join(jar.limbo, entry.name) for entry in seen.limbo if entry.kind == FILE]
        # Of an array that was cut short more tasks may come.
        written += map(drafts.file, drafts.unfinished(jar))
        for path in (*written, *(jar.path(job.place) for job in seen.jobs())):
            asked = _staged(jar, path)
            (unasked.add if asked is None else unasked.discard)(os.path.basename(path))
            wanted |= asked or set()
        if seen.closed:
            return 0
    return 0 if unasked else len(store.sweep(jar, wanted, now))


def _staged(jar: Jar, path: str) -> set[str] | None:
    """The contents that a job needs; None when it cannot be asked: not there, or closed to us."""
    found, head = claiming.look_into(path)
    if found is None or found.st_size and not head:
        return None
    try:
        request = settling.claimed(head)
    except UsageError:
        # Such a job is refused.
        return set()
    return staging.wanted(jar, request["staged"]) if "staged" in request else set()
