"""Cleaning away jobs that have ended: first their records go to the archive, then they go.

Every step may be interrupted, and the next cleaning completes it: a record is on the disk before its job is touched,
and what belongs to a job that is gone is found by its record.
"""

import contextlib
import os
import time
from collections import namedtuple
from collections.abc import Iterator

from jobjar import accounting, archive, census, ends, fslook, fsops, history, jobname, moves, node, notes
from jobjar import reservation, states
from jobjar.accounting import Record
from jobjar.fslook import FILE, LINK
from jobjar.layout import Jar, Place
from jobjar.node import Identity

# Which of the jobs that have ended: `older`: so many seconds ago; `keep`: all but so many of the newest; `ended`: in
# these states; `places`: these alone. None: whatever it is.
Criteria = namedtuple("Criteria", "older keep ended places", defaults=(None,) * 4)
# A job to be cleaned away, and its record.
Chosen = namedtuple("Chosen", "place record")

# The paths of attempt logs, and of directories with notes.
Attached = namedtuple("Attached", "logs notes")

BATCH = 1000
# A script of our own making is kept in the archive if it is no longer; of others the command alone, if it is not.
SCRIPT_MAX = 4096
# What belongs to a job with a name made by hand may belong to a new one of that name when it is younger, in s.
SAFE_AGE = 3600.0

_LOG_MARK = ".attempt-"


def choose(jar: Jar, criteria: Criteria, now: float) -> list[Chosen]:
    """The jobs that the criteria mean, the oldest first; `now` is the file server's clock."""
    places = _ended(jar) if criteria.places is None else criteria.places
    known = ends.end_lines(jar, [place.name for place in places])
    failed = {entry.name for entry in fslook.survey(jar.failed) if entry.kind == LINK}
    noted = set(fslook.names(jar.notes))
    found = [Chosen(place, record) for place in places
             if (record := _record(jar, place, known.get(place.name), place.name in failed, noted)) is not None]
    found = [one for one in found if (criteria.older is None or one.record["t"] <= now - criteria.older)
             and (criteria.ended is None or one.record.get("state") in criteria.ended)]
    found.sort(key=lambda one: one.record["t"])
    return found if criteria.keep is None else found[:max(0, len(found) - criteria.keep)]


def _ended(jar: Jar) -> list[Place]:
    # In this order, as whoever asks how they ended.
    return [Place(state, None, entry.name) for state in (states.COMPLETED, states.FAILED)
            for entry in fslook.survey(jar.directory(state)) if entry.kind == FILE and not entry.name.startswith(".")]


def _record(jar: Jar, place: Place, end: Record | None, is_bad: bool, noted: set[str]) -> Record | None:
    """What the archive is to say of a job, but for its command; None when it is gone."""
    found = fslook.status(jar.directory(place.state), place.name)
    if found is None:
        return None
    said = notes.read(jar, place.name) if jobname.split(place.name)[0] in noted else []
    if end is None or place.state == states.FAILED or end.get("ino") != found.st_ino:
        # Names made by hand come again, and then the end is an earlier job's.
        record = history.without_end(place, found, is_bad, said)
    else:
        record = {**end, "as": place.name} if end.get("n") != place.name else dict(end)
    return {**record, "size": found.st_size, **({"notes": said} if said else {})}


def clean(jar: Jar, me: Identity, chosen: list[Chosen]) -> Iterator[str]:
    """Record these jobs and clean them away; yields the id of each that is gone.

    Those that somebody else has taken away meanwhile are passed over.
    """
    records = [_with_command(jar, one) for one in chosen]
    if records:
        archive.write(jar, me, records)
    mine = reservation.text(node.owner(me), node.nonce(me))
    for at in range(0, len(chosen), BATCH):
        for place in moves.clean(jar, [one.place for one in chosen[at:at + BATCH]], mine):
            yield jobname.split(place.name)[0]


def _with_command(jar: Jar, one: Chosen) -> Record:
    """The record with what is needed to submit the job once more, where that is little."""
    script = history.script(jar.path(one.place), one.record.get("ino"))
    command = accounting.command(script, len(script) < history.HEAD) if script else None
    more: Record = {"cleaned": round(time.time(), 3)}
    if command is not None and len(script) <= SCRIPT_MAX:
        more["command"] = command
        # A task of an array is not submitted alone.
        if script != b"#!/bin/sh -f\n" + os.fsencode(command) + b"\n" and not accounting.is_task(one.record):
            more["script"] = script.decode("utf-8", "surrogateescape")
    return {**one.record, **more}


def attachments(jar: Jar, now: float) -> Attached:
    """What belonged to jobs that were cleaned away and are nowhere in the jar; `now` is the file server's clock."""
    logs = [name for name in fslook.names(jar.logs) if _LOG_MARK in name]
    directories = fslook.names(jar.notes)
    ids = {_id_of_log(name) for name in logs} | set(directories)
    gone = _cleaned(jar, ids - _present(jar)) if ids else set()
    return Attached([path for log in logs if (path := _removable(jar.logs, log, _id_of_log(log), gone, now))],
                    [path for name in directories if (path := _removable(jar.notes, name, name, gone, now))])


def _removable(directory: str, name: str, job: str, gone: set[str], now: float) -> str | None:
    path = os.path.join(directory, name)
    return path if job in gone and (jobname.number(job + ".") or _age(path, now) > SAFE_AGE) else None


def remove_attachments(found: Attached) -> None:
    """Remove what `attachments` has found."""
    for path in found.logs:
        fsops.remove(path)
    for path in found.notes:
        for writer in fslook.names(path):
            fsops.remove(os.path.join(path, writer))
        # RACE: when somebody has just written another, it stays.
        fsops.remove_directory(path)


def _id_of_log(name: str) -> str:
    return jobname.split(name.rpartition(_LOG_MARK)[0])[0]


def _cleaned(jar: Jar, ids: set[str]) -> set[str]:
    """Those of the ids whose jobs the archive says to have been cleaned away."""
    found = set()
    for path in archive.files(jar) if ids else ():
        for block in archive.lines(path):
            marked = notes.parse([line for line in block if b'"cleaned": ' in line])
            found |= {jobname.split(accounting.name(record))[0] for record in marked if "cleaned" in record}
    return ids & found


def _present(jar: Jar) -> set[str]:
    """The ids of all jobs in the jar."""
    # RACE: a job that comes back from a worker's claims/ between the two looks is seen by the next.
    found = [place.name for _ in range(2) for place in
             (*(place for state in states.QUEUES for place in census.queued(jar, state)), *census.claimed(jar))]
    found += [place.name for place in _ended(jar)]
    return {jobname.split(name)[0] for name in found}


def _age(path: str, now: float) -> float:
    """Seconds since the file, or the youngest in the directory, was changed."""
    stamps = [fslook.mtime(*os.path.split(path))]
    with contextlib.suppress(NotADirectoryError):
        stamps += [fslook.mtime(path, name) for name in fslook.names(path)]
    return now - max((stamp for stamp in stamps if stamp is not None), default=now)
