"""Submitting a copy of a job that has ended: of its file, or of what the archive has kept of it."""

import os
from collections.abc import Iterable

from jobjar import accounting, history, jobname, selection, submission
from jobjar.accounting import Record
from jobjar.errors import NoSuchJob, UsageError
from jobjar.history import Wanted
from jobjar.layout import Jar
from jobjar.submission import Request

SHOWN = 10


def submit_again(jar: Jar, words: Iterable[str], wanted: Wanted) -> list[str]:
    """Submit a copy of each job that the words mean and that is `wanted`; the ids of the copies.

    All of them are looked at before any is submitted. NoSuchJob: a word means none. UsageError: a word means several
    and is no glob, or what a job was cannot be told any more, or it was a task of an array.
    """
    chosen: dict[str, Record] = {}
    for word in words:
        chosen.update(_meant(jar, word, wanted))
    requests = [_request(jar, record) for record in chosen.values()]
    return [jobname.split(place.name)[0] for place in submission.submit_many(jar, requests)]


def _meant(jar: Jar, word: str, wanted: Wanted) -> dict[str, Record]:
    """Name → record of the jobs that a word means; of a job that ended several times, the last."""
    found = {accounting.name(record): record
             for record in history.records(jar, wanted._replace(named=selection.meaning(word)))}
    exact = {name: record for name, record in found.items() if word in (name, jobname.split(name)[0])}
    found = exact or found
    if not found:
        raise NoSuchJob(f"{word!r} names no job that has ended: `jobjar history --limit 0` lists them")
    if len(found) > 1 and not selection.is_glob(word):
        rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise UsageError(f"{word!r} could be any of {', '.join(list(found)[:SHOWN])}{rest}: write more of the name, or"
                         " a glob for all of them")
    return found


def _request(jar: Jar, record: Record) -> Request:
    name = accounting.name(record)
    if accounting.is_task(record):
        retry = "`jobjar retry` runs it again, or " if _file(jar, record, name) else "its file is gone, so "
        raise UsageError(f"{name} is a task of an array: {retry}submit the array once more")
    data = _data(jar, record, name)
    if data is None:
        raise UsageError(f"{name}: neither its file is in the jar any more nor does the archive say what its command"
                         " was: submit it as it was submitted first")
    category = jobname.noted_category(record.get("c"))
    id, priority = jobname.split(name)
    return Request(data, priority, category, jobname.word(id) if jobname.number(id + ".") else None)


def _file(jar: Jar, record: Record, name: str) -> str | None:
    """The job's file, if it is in the jar still."""
    paths = (os.path.join(directory, name) for directory in (jar.completed, jar.failed))
    return next((path for path in paths if history.is_of(path, record)), None)


def _data(jar: Jar, record: Record, name: str) -> bytes | None:
    path = _file(jar, record, name)
    if path:
        return submission.content(path)
    script, command = accounting.string(record, "script"), accounting.string(record, "command")
    if script is not None:
        return script.encode("utf-8", "surrogateescape")
    # What asks for something is more than its command.
    return None if command is None or "req" in record else submission.script(command)
