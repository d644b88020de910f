"""The jobs of a jar as rows of a list: all that wait or run, and when they are asked for those that have ended.

Everything may move while it is looked at, and of a job that is seen in two places the later one is shown. A job's file
is opened only for columns that need it, and the journals are read only for jobs that have ended.
"""

import fnmatch
import os
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator

from jobjar import accounting, census, claiming, columns, ends, fslook, jobname, notes, reasons, selection, staff
from jobjar import states
from jobjar.columns import Row
from jobjar.errors import UsageError
from jobjar.job import BAD, COMPLETED, FAILED, PENDING, RUNNING
from jobjar.layout import Jar, Place
from jobjar.node import Identity

ACTIVE = (PENDING, RUNNING)
# What is wanted; None: whatever it is. `states`: of columns.CODES; `files`: the names of the
# files of the selected jobs; `since`, `until`: bounds of the submission; `tags`: all of these.
Wanted = namedtuple("Wanted", "states users categories named nodes since until tags files", defaults=(None,) * 9)
# `rows`, and sentences about what could not be looked at; `now`: when the look began.
Listing = namedtuple("Listing", "rows troubles now")


def look(jar: Jar, me: Identity, wanted: Wanted, needs_heads: bool = False) -> Listing:
    """The rows of the jobs that are wanted: what runs, then what waits in the order of claiming, then what has ended.

    `needs_heads`: whether each row is to have its `request`, for which a file has to be opened.
    """
    seen = census.active(jar, me)
    troubles = list(seen.troubles)
    ended = list(_ended(jar, wanted, troubles)) if _wants_ended(wanted) else []
    rows = [*_running(jar, seen), *_pending(jar, reasons.Facts(jar, seen)), *ended]
    filters = [(rule, wish) for rule, wish in zip(FILTERS, wanted) if wish is not None]
    rows = [row for row in rows if all(rule(row, wish) for rule, wish in filters)]
    if needs_heads or wanted.tags:
        rows = with_requests(jar, rows)
    if wanted.tags:
        rows = [row for row in rows if set(wanted.tags) <= set(row.request.get("tag", ()))]
    return Listing(_once(jar, rows), tuple(troubles), seen.now)


def with_requests(jar: Jar, rows: Iterable[Row]) -> list[Row]:
    """The rows with what the jobs ask for; tasks of an array that share a row are one file."""
    return [row._replace(request=asked(jar, row.place)) for row in rows]


def _is_called(row: Row, globs: Iterable[str]) -> bool:
    names = [columns.label(row) or "", row.id]
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs for name in names)


# One rule for each field of Wanted that a row can be asked for without a look at its file, in their order.
FILTERS: tuple[Callable[[Row, object], bool], ...] = (
    lambda row, wish: row.state in wish,
    lambda row, wish: row.user in wish,
    lambda row, wish: (columns.COLUMNS["category"].of(row, 0.0) or "-") in wish,
    _is_called,
    lambda row, wish: row.node is not None and not {row.node, row.node.partition(".")[0]}.isdisjoint(wish),
    lambda row, wish: row.submit is not None and row.submit >= wish,
    lambda row, wish: row.submit is not None and row.submit <= wish,
    lambda row, wish: True,
    lambda row, wish: row.place.name in wish,
)


def _wants_ended(wanted: Wanted) -> bool:
    return wanted.states is None or not set(ACTIVE).issuperset(wanted.states)


def _row(jar: Jar, place: Place, state: str, **more: object) -> Row:
    user, submit = jobname.login(place.name), jobname.submitted(place.name)
    if user is None:
        user, submit = _of_file(jar, place)
    # While it is edited it has another name.
    base, priority = jobname.split("~" in place.name and jobname.unedited(place.name) or place.name)
    # Of 100,000 jobs few are tasks.
    task = jobname.array_task(place.name) if "_" in base else None
    plain = {"reason": "", "says": "", "node": None, "worker": None, "start": None, "end": None, "request": {},
             "record": {}, **more}
    return Row(place, base, priority, user, state, submit=submit, task=task, **plain)


def _of_file(jar: Jar, place: Place) -> tuple[str | None, float | None]:
    """Owner and age of a file whose name does not say them."""
    found = fslook.status(*os.path.split(jar.path(place)))
    return (notes.login(found.st_uid), found.st_mtime) if found else (None, None)


def _running(jar: Jar, seen: census.Census) -> Iterator[Row]:
    for worker in seen.workers:
        says = "" if worker.state in staff.LIVE else f"its worker is {worker.state}"
        for place in worker.jobs:
            yield _row(jar, place, RUNNING, node=worker.node, worker=worker.name, start=worker.since, says=says)


def _pending(jar: Jar, facts: reasons.Facts) -> Iterator[Row]:
    for place in _queued(jar, facts):
        reason = reasons.of(facts, place)
        yield _row(jar, place, PENDING, reason=reason.word, says=reason.says)


def _queued(jar: Jar, facts: reasons.Facts) -> Iterator[Place]:
    """What waits, in the order of claiming; then what waits for something else, by age."""
    for category, names in facts.queues.items():
        yield from (Place(states.UNCLAIMED, category, name) for name in names)
    others = [job for job in facts.seen.jobs if job.state != states.UNCLAIMED]
    yield from sorted(others, key=lambda job: (job.state, job.category or "", *selection.age(job)))
    for item in facts.seen.foreign:
        place = Place(item.state, item.category, item.name)
        if not item.name.startswith(".") and fslook.is_file(*os.path.split(jar.path(place))):
            yield place


def of_ended(jar: Jar, place: Place) -> Row:
    """The row of one job in completed/ or failed/."""
    if place.state == states.FAILED:
        return _never_run(jar, place.name)
    record = ends.end_line(jar, place.name, None) or {}
    # Asked after completed/: the other order takes a failed job for a successful one.
    return _run(jar, place.name, fslook.is_there(jar.failed, place.name), record)


def _ended(jar: Jar, wanted: Wanted, troubles: list[str]) -> Iterator[Row]:
    def names(directory: str, is_wanted: Callable[[os.DirEntry], bool]) -> list[str]:
        return sorted(entry.name for entry in fslook.entries(directory, troubles) if is_wanted(entry)
                      and (wanted.files is None or entry.name in wanted.files))
    done = names(jar.completed, fslook.is_file_entry)
    # Asked after completed/: the other order takes a failed job for a successful one.
    bad = frozenset(names(jar.failed, os.DirEntry.is_symlink))
    records = ends.end_lines(jar, done)
    for name in done:
        yield _run(jar, name, name in bad, records.get(name, {}))
    for name in names(jar.failed, fslook.is_file_entry):
        yield _never_run(jar, name)


def _run(jar: Jar, name: str, is_bad: bool, record: dict) -> Row:
    said = record.get("state")
    row = _row(jar, Place(states.COMPLETED, None, name), (said if said in BAD else FAILED) if is_bad else COMPLETED)
    return row._replace(user=accounting.string(record, "user") or row.user, node=accounting.string(record, "node"),
                        start=accounting.number(record, "start"), end=accounting.number(record, "t"), record=record,
                        worker=accounting.worker(record), says=how(record) if is_bad else "")


def how(record: dict) -> str:
    """How a job ended that ended badly, in a few words; "" when its end line does not say."""
    why, signal, status = (accounting.string(record, "why"), accounting.number(record, "signal"),
                           accounting.number(record, "exit"))
    return why or (f"signal {signal}" if signal else f"exit status {status}" if status else "")


def _never_run(jar: Jar, name: str) -> Row:
    lines = [line for line in notes.read(jar, name) if line.get("e") in notes.BURIALS]
    last = max(lines, key=lambda line: accounting.number(line, "t") or 0, default={})
    return _row(jar, Place(states.FAILED, None, name), accounting.BURIED.get(last.get("e"), FAILED),
                end=accounting.number(last, "t"), says=accounting.string(last, "why") or "never run")


def asked(jar: Jar, place: Place) -> dict:
    """What the job at `place` asks for; nothing when its file has gone or its lines will not do."""
    try:
        return claiming.request(jar.path(place)) or {}
    except UsageError:
        return {}


def _once(jar: Jar, rows: list[Row]) -> list[Row]:
    """The rows without those of places in which a job was seen before it moved on."""
    groups: dict[str, list[Place]] = {}
    for row in rows:
        groups.setdefault(jobname.stem(row.place.name), []).append(row.place)
    doubtful = [sorted(group, key=lambda place: selection.PLACES.index(place.state))
                for group in groups.values() if len(group) > 1]
    gone = {place for group in doubtful for place in set(group).difference(selection.distinct(jar, group))}
    return [row for row in rows if row.place not in gone] if gone else rows


def collapse(rows: Iterable[Row]) -> list[Row]:
    """One row for the tasks of an array that are in one state for one reason; those that run stay alone."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        is_alone = row.task is None or row.state == RUNNING
        groups.setdefault((row.place,) if is_alone else _alike(row), []).append(row)
    return [group[0] if len(group) == 1 else _together(group) for group in groups.values()]


def _alike(row: Row) -> tuple:
    says = row.says if row.state == PENDING else ""
    return row.task[0], row.state, row.reason, says, row.place.category, row.priority


def _together(group: list[Row]) -> Row:
    tasks = tuple(row.task[1] for row in group)
    if group[0].state == PENDING:
        return group[0]._replace(tasks=tasks)
    # Each of them has run at another time, perhaps on another node.
    says = group[0].says if len({row.says for row in group}) == 1 else ""
    return group[0]._replace(tasks=tasks, node=None, worker=None, start=None, end=None, says=says, record={})
