"""Cleaning away jobs that have ended: first their records go to the archive, then they go.

Every step may be interrupted, and the next cleaning completes it: a record is on the disk before its job is touched,
and what belongs to a job that is gone is found by its record.
"""

import contextlib
import os
import time
from collections import namedtuple
from collections.abc import Callable, Iterator

from jobjar import accounting, archive, ends, fslook, fsops, harvest, history, jobname, moves, node, notes
from jobjar import reservation, selection, states
from jobjar.accounting import Record
from jobjar.fslook import FILE, LINK
from jobjar.layout import Jar, Place
from jobjar.node import Identity

# Which of the jobs that have ended: `older`: so many seconds ago; `keep`: all but so many of the newest; `ended`: in
# these states; `places`: these alone. None: whatever it is.
Criteria = namedtuple("Criteria", "older keep ended places", defaults=(None,) * 4)
# A job to be cleaned away, and its record. `ended`: when; `inode` and `changed`: of its file, as it was seen; `is_bad`:
# whether failed/ said that it had ended badly; `traces`: see there; None when the file has one name.
Chosen = namedtuple("Chosen", "place record ended inode changed is_bad traces")

# The paths of attempt logs, of directories with notes, and of those with what jobs have made.
Attached = namedtuple("Attached", "logs notes results")

BATCH = 1000
# A script of our own making is kept in the archive if it is no longer; of others the command alone, if it is not.
SCRIPT_MAX = 4096
# What belongs to a job with a name made by hand may belong to a new one of that name when it is younger, in s.
SAFE_AGE = 3600.0

_LOG_MARK = ".attempt-"
_ENDED = (states.COMPLETED, states.FAILED)


def choose(jar: Jar, criteria: Criteria, now: float) -> list[Chosen]:
    """The jobs that the criteria mean, the oldest first; `now` is the file server's clock."""
    places = _ended(jar) if criteria.places is None else criteria.places
    failed = {entry.name for entry in fslook.survey(jar.failed) if entry.kind == LINK}
    known = ends.end_lines(jar, [place.name for place in places], failed)
    noted = set(fslook.names(jar.notes))
    found = [one for place in places
             if (one := _candidate(jar, place, known.pop(place.name, None), place.name in failed, noted)) is not None]
    found = [one for one in found if (criteria.older is None or one.ended <= now - criteria.older)
             and (criteria.ended is None or one.record.get("state") in criteria.ended)]
    found.sort(key=lambda one: (one.ended, one.record["t"]))
    return found if criteria.keep is None else found[:max(0, len(found) - criteria.keep)]


def held_back(jar: Jar, chosen: list[Chosen]) -> tuple[list[Chosen], list[str]]:
    """Those that may go; and a sentence about each that has made what nobody has fetched yet, and stays."""
    kept = {one.place: path for one in chosen
            if (path := harvest.awaited(jar, one.record.get("staged"), one.record.get("notes", [])))}
    told = [f"{jobname.split(place.name)[0]} stays, for nobody has fetched what it has made: `jobjar fetch` it, or"
            f" remove {path}" for place, path in kept.items()]
    return [one for one in chosen if one.place not in kept], told


def _ended_at(jar: Jar, place: Place, record: Record, found: os.stat_result) -> float:
    """When it ended, or later: the clock of its node may be slow, and the server has seen it come there."""
    came = found.st_ctime
    if found.st_nlink > 1 and (log := fslook.status(jar.logs, place.name)):
        # The names of one file have their changes in common.
        came = log.st_ctime
    return max(record["t"], came)


def _ended(jar: Jar) -> list[Place]:
    # In this order, as whoever asks how they ended.
    return [Place(state, None, entry.name) for state in _ENDED
            for entry in fslook.survey(jar.directory(state)) if entry.kind == FILE and not entry.name.startswith(".")]


def _candidate(jar: Jar, place: Place, end: Record | None, is_bad: bool, noted: set[str]) -> Chosen | None:
    """A job with what the archive is to say of it, but for its command; None when it is gone."""
    found = fslook.status(jar.directory(place.state), place.name)
    if found is None:
        return None
    said = notes.read(jar, place.name) if jobname.split(place.name)[0] in noted else []
    if end is None or place.state == states.FAILED or end.get("ino") != found.st_ino:
        # Names made by hand come again, and then the end is an earlier job's.
        record = history.without_end(place, found, is_bad, said)
    else:
        record = end
        if end.get("n") != place.name:
            record["as"] = place.name
    record["size"] = found.st_size
    if said:
        record["notes"] = said
    return Chosen(place, record, _ended_at(jar, place, record, found), found.st_ino, found.st_ctime_ns, is_bad,
                  _traces(jar, place) if found.st_nlink > 1 else None)


def _traces(jar: Jar, place: Place) -> tuple:
    """What differs when a job whose file has several names has been run once more: its log, and its notes."""
    log = fslook.status(jar.logs, place.name)
    return log and (log.st_ino, log.st_mtime_ns), len(notes.read(jar, place.name))


def _is_as_chosen(jar: Jar, one: Chosen) -> bool:
    """Whether it is the job, and the end, that was chosen; to be asked while nobody else can take the job away."""
    # RACE: it may have been retried and run anew since, and what it has made is not what was to go.
    found = fslook.status(jar.directory(one.place.state), one.place.name)
    is_bad = fslook.is_there(jar.failed, one.place.name)
    if found is None or found.st_ino != one.inode or is_bad != (one.is_bad or one.place.state == states.FAILED):
        return False
    # Each rename of any of its names gives a file another ctime.
    return found.st_ctime_ns == one.changed if one.traces is None else one.traces == _traces(jar, one.place)


def clean(jar: Jar, me: Identity, chosen: list[Chosen]) -> Iterator[str]:
    """Record these jobs and clean them away; yields the id of each that is gone.

    Those that somebody else has taken away meanwhile, or had run again, are passed over.
    """
    if chosen:
        archive.write(jar, me, (_with_command(jar, one) for one in chosen))
    mine = reservation.text(node.owner(me), node.nonce(me))
    by_place = {one.place: one for one in chosen}
    for at in range(0, len(chosen), BATCH):
        for place in moves.clean(jar, [one.place for one in chosen[at:at + BATCH]], mine,
                                 lambda place: _is_as_chosen(jar, by_place[place])):
            yield jobname.split(place.name)[0]


def _with_command(jar: Jar, one: Chosen) -> Record:
    """The record with what is needed to submit the job once more, where that is little."""
    script = history.script(jar.path(one.place), one.record.get("ino"))
    command = accounting.command(script, len(script) < history.HEAD) if script else None
    more: Record = {"cleaned": round(time.time(), 3)}
    if command is not None and len(script) <= SCRIPT_MAX:
        more["command"] = command
        # A task of an array is not submitted alone, nor is a job without the client for which it ran.
        is_alone = not accounting.is_task(one.record) and not accounting.is_of_run(script)
        if script != b"#!/bin/sh -f\n" + os.fsencode(command) + b"\n" and is_alone:
            more["script"] = script.decode("utf-8", "surrogateescape")
    return {**one.record, **more}


def attachments(jar: Jar, now: float) -> Attached:
    """What belonged to jobs that were cleaned away and are nowhere in the jar; `now` is the file server's clock."""
    logs = [name for name in fslook.names(jar.logs) if _LOG_MARK in name]
    directories = fslook.names(jar.notes)
    results = [name for name in fslook.names(jar.staged) if not name.startswith(".")] \
        if fslook.is_directory(jar.staged) else []
    makers = {maker for name in results for maker in (name, _stem(name))}
    ids = {_id_of_log(name) for name in logs} | set(directories)
    present = _present(jar) if ids or makers else None
    if present is None:
        return Attached([], [], [])
    gone, fetched = _cleaned(jar, ids - present), _cleaned(jar, makers - present, _is_fetched)
    # What the runs of one job have made is named by one stem, which is present as long as any job of that name.
    fetched = {_stem(maker) for maker in fetched} - present
    return Attached([path for log in logs if (path := _removable(jar.logs, log, _id_of_log(log), gone, now))],
                    [path for name in directories if (path := _removable(jar.notes, name, name, gone, now))],
                    [path for name in results
                     if (path := _removable(jar.staged, name, _stem(name), fetched, now))])


def _stem(id: str) -> str:
    # An id may end like a priority.
    return jobname.stem(jobname.join(id, 0))


def _removable(directory: str, name: str, job: str, gone: set[str], now: float) -> str | None:
    path = os.path.join(directory, name)
    return path if job in gone and (jobname.number(job + ".") or _age(path, now) > SAFE_AGE) else None


def remove_attachments(found: Attached) -> None:
    """Remove what `attachments` has found."""
    for path in found.logs:
        fsops.remove(path)
    for path in found.results:
        fsops.remove_tree(path)
    for path in found.notes:
        for writer in fslook.names(path):
            fsops.remove(os.path.join(path, writer))
        # RACE: when somebody has just written another, it stays.
        fsops.remove_directory(path)


def _id_of_log(name: str) -> str:
    return jobname.split(name.rpartition(_LOG_MARK)[0])[0]


def _is_fetched(record: Record) -> bool:
    staged, said = record.get("staged"), record.get("notes")
    return isinstance(staged, str) and isinstance(said, list) and harvest.is_fetched(staged, said)


def _cleaned(jar: Jar, ids: set[str], is_meant: Callable[[Record], bool] = lambda record: True) -> set[str]:
    """Those of the ids whose jobs the archive says to have been cleaned away, by a record that is meant."""
    found = set()
    for path in archive.files(jar) if ids else ():
        for block in archive.lines(path):
            marked = notes.parse([line for line in block if b'"cleaned": ' in line])
            found |= {jobname.split(accounting.name(record))[0] for record in marked
                      if "cleaned" in record and is_meant(record)}
    return ids & found


def _present(jar: Jar) -> set[str] | None:
    """The ids of all jobs in the jar; None when some of it could not be looked into."""
    # RACE: a job that is retried meanwhile is seen by the first look, one that comes back from a worker's claims/ by
    # the last.
    looks = [(selection.Listing(jar), where) for where in (_ENDED, selection.PLACES, selection.PLACES)]
    found = {jobname.unedited(place.name) or place.name for look, where in looks for place in look.places(where)}
    if any(look.troubles for look, _ in looks):
        return None
    # A job that was put back under another name keeps what it had under its own.
    return {name for one in found for name in (jobname.split(one)[0], jobname.stem(one))}


def _age(path: str, now: float) -> float:
    """Seconds since the file, or the youngest in the directory, was changed."""
    stamps = [fslook.mtime(*os.path.split(path))]
    with contextlib.suppress(NotADirectoryError):
        stamps += [fslook.mtime(path, name) for name in fslook.names(path)]
    return now - max((stamp for stamp in stamps if stamp is not None), default=now)
