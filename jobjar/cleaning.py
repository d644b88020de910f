"""Cleaning away jobs that have ended: first their records go to the archive, then they go.

Every step may be interrupted, and the next cleaning completes it: a record is on the disk before its job is touched,
and what belongs to a job that is gone is found by its record.
"""

import os
import time
from collections import namedtuple
from collections.abc import Iterable, Iterator

from jobjar import accounting, archive, census, ends, fslook, fsops, history, jobname, layout, moves, node, notes
from jobjar import registration, reservation, states, text
from jobjar.accounting import Record
from jobjar.fslook import FILE, LINK
from jobjar.layout import Jar, Place
from jobjar.node import Identity

# Which of the jobs that have ended: `older`: so many seconds ago; `keep`: all but so many of the newest; `ended`: in
# these states; `places`: these alone. None: whatever it is.
Criteria = namedtuple("Criteria", "older keep ended places", defaults=(None,) * 4)
# A job to be cleaned away, and its record.
Chosen = namedtuple("Chosen", "place record")

BATCH = 1000
# A script of our own making is kept in the archive if it is no longer; of others the command alone, if it is not.
SCRIPT_MAX = 4096
# What belongs to a job with a name made by hand may belong to a new one of that name when it is younger, in s.
SAFE_AGE = 3600.0

_NEVER_RAN = {"cancel": "CANCELLED"}
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
    if end is None or place.state == states.FAILED:
        record = _without_end(place, found, is_bad, said)
    else:
        record = {**end, "as": place.name} if end.get("n") != place.name else dict(end)
    return {**record, "size": found.st_size, **({"notes": said} if said else {})}


def _without_end(place: Place, found: os.stat_result, is_bad: bool, said: list[Record]) -> Record:
    """The record of a job of which no journal says how it ended, as of one that never ran to its end."""
    last = max((line for line in said if accounting.number(line, "t") is not None and line.get("n") == place.name),
               key=lambda line: line["t"], default={})
    state = "COMPLETED" if place.state == states.COMPLETED and not is_bad else _NEVER_RAN.get(last.get("e"), "FAILED")
    # A rename changes the ctime, and nothing has touched the file since it came here.
    record = {"e": archive.JOB, "a": None, "c": last.get("c"), "n": place.name, "t": round(found.st_ctime, 3),
              "state": state, "user": history.login(found.st_uid), "ino": found.st_ino}
    return record if "why" not in last else {**record, "why": last["why"]}


def clean(jar: Jar, me: Identity, chosen: list[Chosen]) -> Iterator[tuple[str, Record]]:
    """Record these jobs and clean them away; yields the id and the record of each that is gone.

    Those that somebody else has taken away meanwhile are passed over.
    """
    records = [_with_command(jar, one) for one in chosen]
    if records:
        archive.write(jar, me, time.strftime("%Y%m%d-%H%M%S", time.gmtime()), records)
    mine = reservation.text(node.owner(me), node.nonce(me))
    by_name = {one.place.name: record for one, record in zip(chosen, records)}
    for at in range(0, len(chosen), BATCH):
        for place in moves.clean(jar, [one.place for one in chosen[at:at + BATCH]], mine):
            yield jobname.split(place.name)[0], by_name[place.name]


def _with_command(jar: Jar, one: Chosen) -> Record:
    """The record with what is needed to submit the job once more, where that is little."""
    script = history.script(jar.path(one.place), one.record.get("ino"))
    command = accounting.command(script) if script else None
    more: Record = {"cleaned": round(time.time(), 3)}
    if command is not None and len(script) <= SCRIPT_MAX:
        more["command"] = command
        if script != b"#!/bin/sh -f\n" + os.fsencode(command) + b"\n":
            more["script"] = script.decode("utf-8", "surrogateescape")
    return {**one.record, **more}


def attachments(jar: Jar, now: float) -> list[str]:
    """The attempt logs and notes of jobs that were cleaned away and are nowhere in the jar; their paths."""
    logs = [name for name in fslook.names(jar.logs) if _LOG_MARK in name]
    directories = fslook.names(jar.notes)
    ids = {_id_of_log(name) for name in logs} | set(directories)
    gone = _cleaned(jar, ids - _present(jar)) if ids else set()
    paths = [(name, os.path.join(jar.logs, log)) for log in logs if (name := _id_of_log(log)) in gone]
    paths += [(name, os.path.join(jar.notes, name)) for name in directories if name in gone]
    return [path for name, path in paths if jobname.number(name + ".") or _age(path, now) > SAFE_AGE]


def remove_attachments(paths: Iterable[str]) -> None:
    """Remove what `attachments` has found."""
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            for writer in fslook.names(path):
                fsops.remove(os.path.join(path, writer))
            # RACE: when somebody has just written another, it stays.
            fsops.remove_directory(path)
        else:
            fsops.remove(path)


def _id_of_log(name: str) -> str:
    return jobname.split(name.rpartition(_LOG_MARK)[0])[0]


def _cleaned(jar: Jar, ids: set[str]) -> set[str]:
    """Those of the ids whose jobs the archive says to have been cleaned away."""
    found = set()
    for path in archive.files(jar) if ids else ():
        for block in archive.lines(path):
            marked = [line for line in block if b'"cleaned": ' in line]
            found |= {jobname.split(accounting.name(record))[0] for record in notes.parse(marked) if "cleaned" in record}
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
    inside = [os.path.join(path, name) for name in fslook.names(path)] if os.path.isdir(path) else []
    stamps = [found for part in (path, *inside) if (found := fslook.mtime(*os.path.split(part))) is not None]
    return now - max(stamps, default=now)
