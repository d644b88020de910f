"""Everything that there is to say about one job: where it is, what it asks for, its attempts, its notes, its files."""

import os
from collections import namedtuple
from collections.abc import Iterable

from jobjar import accounting, claiming, columns, directives, fslook, history, jobname, listing, reasons
from jobjar import selection, states, text
from jobjar.accounting import FIELDS, MOMENT, SECONDS, Record
from jobjar.columns import Row
from jobjar.errors import NoSuchJob, TryAgain
from jobjar.job import PENDING, RUNNING
from jobjar.layout import Jar, Place
from jobjar.node import Identity

# `row`: None of a job that was cleaned away; `records`: its attempts as far as they have ended, the last one last;
# `notes`: the lines about it, the newest last; `now`: when the look began.
Details = namedtuple("Details", "jar row records notes now")

ATTEMPT = ("attempt", "state", "exitcode", "node", "start", "end")
# What tasks of an array that are alike have in common.
_COMMON = ("STATE", "DETAIL", "COMMAND", "NAME", "NUMBER", "CATEGORY", "PRIORITY", "USER", "SUBMITTED")
USAGE = ("exitcode", "usercpu", "systemcpu", "totalcpu", "maxrss", "minflt", "majflt", "inblock", "oublock", "nvcsw",
         "nivcsw", "tries", "attempt")


def find(jar: Jar, me: Identity, words: Iterable[str]) -> list[Details]:
    """What there is to say about the jobs that the words mean, also about those that were cleaned away.

    NoSuchJob, UsageError: as `selection.jobs`. TryAgain: a job has moved on meanwhile.
    """
    found = []
    for word in words:
        try:
            found += _in_jar(jar, me, selection.jobs(jar, [word]))
        except NoSuchJob:
            gone = _cleaned(jar, word)
            if not gone:
                raise
            found += gone
    return found


def _in_jar(jar: Jar, me: Identity, places: list[Place]) -> list[Details]:
    files = frozenset(place.name for place in places)
    is_active = all(place.state not in (states.COMPLETED, states.FAILED) for place in places)
    seen = listing.look(jar, me, listing.Wanted(listing.ACTIVE if is_active else None, files=files), True)
    records = _records(jar, {jobname.stem(name) for name in files})
    return [_of(jar, _row(seen.rows, place), records, seen.now) for place in places]


def _row(rows: list[Row], place: Place) -> Row:
    """The row of the job that was at `place`; it may have moved on since."""
    near = [row for row in rows if row.place.name == place.name]
    for row in near:
        if row.place == place:
            return row
    if not near:
        raise TryAgain(f"{place.name} has just moved on: ask again")
    return near[-1]


def _records(jar: Jar, stems: set[str]) -> dict[str, list[Record]]:
    """The records of all attempts of the jobs with these ids."""
    found: dict[str, list[Record]] = {}
    wanted = history.Wanted(named=lambda name: jobname.stem(name) in stems, attempts=True)
    for record in history.records(jar, wanted):
        found.setdefault(jobname.stem(accounting.name(record)), []).append(record)
    return found


def _of(jar: Jar, row: Row, records: dict[str, list[Record]], now: float) -> Details:
    own = records.get(jobname.stem(row.place.name), [])
    if jobname.number(row.place.name) is None:
        # Names made by hand come again.
        own = [record for record in own if history.is_of(jar.path(row.place), record)]
    return Details(jar, row, own, reasons.about(jar, row.place.name), now)


def _cleaned(jar: Jar, word: str) -> list[Details]:
    groups: dict[str, list[Record]] = {}
    for record in history.records(jar, history.Wanted(named=selection.meaning(word), attempts=True)):
        groups.setdefault(jobname.split(accounting.name(record))[0], []).append(record)
    return [Details(jar, None, records, [], 0.0) for records in groups.values()]


def document(found: Iterable[Details]) -> dict:
    """All of it as one JSON document; times are seconds since the epoch."""
    return {"schema": 1, "jobs": [_object(one) for one in found]}


def _object(one: Details) -> dict:
    row, last = one.row, one.records[-1] if one.records else {}
    attempts = [{field: accounting.value(record, field) for field in FIELDS} for record in one.records]
    if row is None:
        return {"jobid": jobname.split(accounting.name(last))[0], "state": accounting.string(last, "state"),
                "directory": None, "path": None, "attempts": attempts, "notes": []}
    return {
        **columns.document([row], columns.COLUMNS, (), one.now)["jobs"][0],
        "path": one.jar.path(row.place), "number": jobname.number(row.place.name), "command": _command(one),
        "request": directives.texts(row.request), "logs": _logs(one), "attempts": attempts, "notes": one.notes,
    }


def render(found: Iterable[Details]) -> str:
    """All of it as text, in sections; a paragraph for each job, and one for the tasks of an array that are alike."""
    groups: dict[object, list[Details]] = {}
    for at, one in enumerate(found):
        groups.setdefault(_alike(one) or at, []).append(one)
    return "\n".join(_one(group[0]) if len(group) == 1 else _several(group) for group in groups.values())


def _alike(one: Details) -> tuple | None:
    """What is shown of a task and may be the same of others; None of a job that is shown alone."""
    row = one.row
    if row is None or row.task is None or row.state == RUNNING:
        return None
    return (row.task[0], row.place.state, row.state, row.reason, row.says, row.place.category, row.priority,
            _command(one), *directives.texts(row.request), _noted(one))


def _several(group: list[Details]) -> str:
    """Tasks of an array: what they have in common, and a line for each attempt."""
    one = group[0]._replace(row=group[0].row._replace(tasks=tuple(task.row.task[1] for task in group)))
    pairs = [("JOBID", columns.job_id(one.row)), *((key, value) for key, value in _plain(one) if key in _COMMON)]
    rows = [(str(task.row.task[1]), *(accounting.shown(record, field) for field in ATTEMPT))
            for task in group for record in task.records]
    return (text.columns([pair for pair in pairs if pair[1] not in ("", None)]) + _asked(one)
            + _attempts(rows, ("task", *ATTEMPT)) + _noted(one))


def _one(one: Details) -> str:
    if one.row is None:
        return text.columns([("JOBID", jobname.split(accounting.name(one.records[-1]))[0]),
                             ("STATE", f"{accounting.string(one.records[-1], 'state')}; cleaned away, this is what the"
                                       " archive has")]) + _own(one) + _usage(one)
    return (text.columns([pair for pair in _plain(one) if pair[1] not in ("", None)]) + _asked(one) + _own(one)
            + _usage(one) + _noted(one))


def _asked(one: Details) -> str:
    asked = [f"  {text.sentence(word)}\n" for word in directives.texts(one.row.request)
             if accounting.SPOOL not in word]
    return "asked for:\n" + "".join(asked) if asked else ""


def _plain(one: Details) -> list[tuple[str, object]]:
    row, now = one.row, one.now
    why = f" ({columns.where(row._replace(node=None)).strip('()')})" if row.reason or row.says else ""
    wait = None if row.submit is None else (now if row.start is None else row.start) - row.submit
    return [
        ("JOBID", row.id), ("STATE", row.state + why),
        ("DETAIL", row.says if row.state == PENDING else ""),
        ("FILE", one.jar.path(row.place)), ("COMMAND", _command(one)),
        ("NAME", columns.label(row)), ("NUMBER", jobname.number(row.place.name)),
        ("ARRAY", row.task and f"{row.task[0]}, task {row.task[1]}"),
        ("CATEGORY", columns.COLUMNS["category"].of(row, now)), ("PRIORITY", str(row.priority)), ("USER", row.user),
        ("SUBMITTED", accounting.show(MOMENT, row.submit)),
        ("WAITED", accounting.show(SECONDS, wait and max(0.0, wait)) if row.start or row.state == PENDING else ""),
        ("STARTED", accounting.show(MOMENT, row.start)), ("ENDED", accounting.show(MOMENT, row.end)),
        ("ELAPSED", accounting.show(SECONDS, columns.elapsed(row, now)) if row.start else ""),
        ("NODE", row.node), ("WORKER", row.worker), *(("OUTPUT", path) for path in _logs(one)),
    ]


def _command(one: Details) -> str | None:
    found, head = claiming.look_into(one.jar.path(one.row.place))
    command = accounting.command(head, len(head) == found.st_size) if found else None
    return None if command is None else text.Words(command)


def _logs(one: Details) -> list[str]:
    """The files in which there is what the job has printed, as far as Job Jar has chosen them."""
    row = one.row
    names = [one.jar.log(row.place.name, attempt) for record in one.records
             if (attempt := accounting.string(record, "a"))]
    if row.state == RUNNING:
        names.append(os.path.join(os.path.dirname(row.place.holder), "output"))
    elif row.place.state == states.COMPLETED:
        names.append(one.jar.log(row.place.name))
    return [path for path in names if fslook.is_there(*os.path.split(path))]


def _own(one: Details) -> str:
    return _attempts([tuple(accounting.shown(record, field) for field in ATTEMPT) for record in one.records], ATTEMPT)


def _attempts(rows: list[tuple], fields: tuple[str, ...]) -> str:
    return "attempts that have ended:\n" + _indented(text.table(rows, tuple(map(str.upper, fields)))) if rows else ""


def _usage(one: Details) -> str:
    if not one.records or one.row is not None and one.row.state in listing.ACTIVE:
        return ""
    pairs = [(field, str(shown)) for field in USAGE if (shown := accounting.shown(one.records[-1], field)) != ""]
    return "used by the last one:\n" + _indented(text.columns(pairs))


def _noted(one: Details) -> str:
    edits = [line for line in one.notes if line.get("e") == "edit"]
    # What to do if it has come to nothing is said of the one that may have: the last, while the job has its name.
    over = set(map(id, edits[:-1] if jobname.unedited(one.row.place.name) else edits))
    lines = [" ".join(filter(None, (accounting.show(MOMENT, accounting.number(line, "t")),
                                    accounting.string(line, "e"), _by(line, id(line) not in over))))
             for line in one.notes]
    return "notes:\n" + _indented("".join(text.sentence(line) + "\n" for line in lines)) if lines else ""


def _by(line: dict, has_why: bool) -> str:
    who, why = accounting.string(line, "who"), has_why and (accounting.string(line, "why") or listing.how(line))
    return (f"by {who}" if who else "") + (f": {why}" if why else "")


def _indented(lines: str) -> str:
    return "".join(f"  {line}\n" for line in lines.splitlines())
