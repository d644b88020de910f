"""What a list of jobs shows: a row's columns, how they are shown, sorted and chosen.

Pure but for the time zone of this process. The names of columns that `jobjar history` has too are the same there.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable

from jobjar import accounting, directives, jobname, text
from jobjar.accounting import COUNT, MOMENT, SECONDS, TEXT
from jobjar.errors import UsageError

# The schema of the JSON document: a new number when a key changes its meaning or goes.
SCHEMA = 1
# Slurm's states that ours can be, with Slurm's letters.
CODES = {"PENDING": "PD", "RUNNING": "R", **accounting.STATES}
# Reasons whose word says too little; "" is that of a job that does not wait.
_TO_BE_EXPLAINED = ("", "JobHeldUser", "ReqNodeNotAvail", "BadConstraints")

# One job. `id`, `priority`: of its name; `user`: of its name, else of its file; `submit`, `start`, `end`: s since the
# epoch, or None. `reason`, `says`: of a pending job Slurm's word and ours; of others `says` alone. `request`: what it
# asks for, {} unless it was looked for; `record`: its end line, {} likewise. `task`: (array's id, index), of what may
# be a task; `tasks`: the indices, when one row stands for several tasks.
Row = namedtuple("Row", "place id priority user state reason says node worker submit start end request record task"
                 " tasks", defaults=((),))
# `of(row, now)`: the value, or None; `kind`: as in `accounting`; `opens`: whether it needs the job's file opened.
Column = namedtuple("Column", "heading kind help of opens", defaults=(False,))


def job_id(row: Row) -> str:
    """The job's id; of several tasks that of the array, with their indices."""
    return f"{row.task[0]}_[{ranges(row.tasks)}]" if row.tasks else row.id


def label(row: Row) -> str | None:
    """The word of -i in a name that we made, or the name that somebody else has made."""
    return jobname.word(row.task[0] if row.tasks else row.id)


def elapsed(row: Row, now: float) -> float | None:
    """For how long it has run, up to its end; None when that is not known."""
    if row.start is None:
        return 0.0 if row.state == "PENDING" else None
    return max(0.0, (now if row.end is None else row.end) - row.start)


def where(row: Row) -> str:
    """Where it runs or ran, or why it does not."""
    why = ": ".join(part for part in (row.reason, row.says if row.reason in _TO_BE_EXPLAINED else "") if part)
    return " ".join(part for part in (row.node, f"({why})" if why else "") if part) or "-"


def _asked(key: str) -> Callable[[Row, float], object]:
    option = directives.BY_KEY[key]

    def of(row: Row, now: float) -> object:
        value = row.request.get(key)
        return None if value is None else text.Words(" ".join(value) if option.many else option.show(value))
    return of


COLUMNS: dict[str, Column] = {
    "jobid": Column("JOBID", TEXT, "its id; tasks of an array that wait together are one line",
                    lambda r, now: job_id(r)),
    "category": Column("CATEGORY", TEXT, "its category", lambda r, now: r.place.category or r.record.get("c")),
    "name": Column("NAME", TEXT, "the word of -i, or the name that somebody gave to the file", lambda r, now: label(r)),
    "user": Column("USER", TEXT, "who submitted it", lambda r, now: r.user),
    "priority": Column("PRIO", COUNT, "its priority", lambda r, now: r.priority),
    "st": Column("ST", TEXT, "its state in Slurm's letters: " + " ".join(CODES.values()),
                 lambda r, now: CODES.get(r.state, r.state)),
    "time": Column("TIME", SECONDS, "for how long it has run", elapsed),
    "where": Column("NODE(REASON)", TEXT, "where it runs or ran, or why it does not run", lambda r, now: where(r)),
    "state": Column("STATE", TEXT, "its state", lambda r, now: r.state),
    "node": Column("NODE", TEXT, "where it runs or ran", lambda r, now: r.node),
    "reason": Column("REASON", TEXT, "why it waits, in Slurm's words; of a job that has ended badly, how",
                     lambda r, now: r.reason or r.says),
    "worker": Column("WORKER", TEXT, "the worker that has it", lambda r, now: r.worker),
    "submit": Column("SUBMIT", MOMENT, "when it was submitted", lambda r, now: r.submit),
    "age": Column("AGE", SECONDS, "how long ago that was", lambda r, now: r.submit and max(0.0, now - r.submit)),
    "start": Column("START", MOMENT, "when it was started", lambda r, now: r.start),
    "end": Column("END", MOMENT, "when it had ended", lambda r, now: r.end),
    "exitcode": Column("EXITCODE", TEXT, "exit status and signal: 1:0, 0:9",
                       lambda r, now: accounting.exit_code(r.record)),
    "file": Column("FILE", TEXT, "the name of its file", lambda r, now: r.place.name),
    "tag": Column("TAG", TEXT, "its tags", _asked("tag"), True),
    "comment": Column("COMMENT", TEXT, "its comment", _asked("comment"), True),
    "cpus": Column("CPUS", TEXT, "the processors that it asks for", _asked("cpus"), True),
    "mem": Column("MEM", TEXT, "the memory that it asks for", _asked("mem"), True),
    "limit": Column("LIMIT", TEXT, "the time that it asks for", _asked("time"), True),
}
DEFAULT = ("jobid", "category", "name", "user", "priority", "st", "time", "where")


def need_heads(names: Iterable[str]) -> bool:
    """Whether the jobs' files have to be opened for these columns."""
    return any(COLUMNS[name].opens for name in names)


def choose(words: str) -> tuple[str, ...]:
    """The columns that a person names, separated by commas; UsageError when there is no such column."""
    return tuple(_known(name) for name in words.split(","))


def _known(name: str) -> str:
    """The column of this name, or with this word at its head."""
    for key, column in COLUMNS.items():
        if name == key or name.upper() == column.heading:
            return key
    advice = text.advice(name.lower(), COLUMNS, f"choose among {', '.join(COLUMNS)}")
    raise UsageError(f"there is no column {name!r}: {advice}")


def order(words: str) -> list[tuple[str, bool]]:
    """(column, whether descending) of "priority,-time"; UsageError when there is no such column."""
    return [(_known(name.removeprefix("-")), name.startswith("-")) for name in words.split(",")]


def state(words: str) -> tuple[str, ...]:
    """The states that a person names, by word or letters, separated by commas; UsageError for others."""
    known = {**{word: word for word in CODES}, **{code: word for word, code in CODES.items()}}
    for name in words.split(","):
        if name.upper() not in known:
            raise UsageError(f"there is no state {name!r}: choose among {', '.join(CODES)}, or their letters"
                             f" {', '.join(CODES.values())}")
    return tuple(known[name.upper()] for name in words.split(","))


def in_order(rows: list[Row], by: Iterable[tuple[str, bool]], now: float) -> list[Row]:
    """The rows sorted; those for which a column has no value come last."""
    rows = list(rows)
    for name, is_descending in reversed(list(by)):
        of = COLUMNS[name].of
        keyed = [(of(row, now), row) for row in rows]
        some = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=is_descending)
        rows = [row for _, row in some] + [row for value, row in keyed if value is None]
    return rows


def _shown(column: Column, row: Row, now: float) -> str | int:
    value = column.of(row, now)
    if value is None or value == "":
        return "-"
    return accounting.show(column.kind, int(value) if column.kind == SECONDS else value)


def table(rows: list[Row], names: tuple[str, ...], now: float, has_header: bool) -> str:
    """The rows as lines in columns."""
    lines = [tuple(COLUMNS[name].heading for name in names)] if has_header else []
    lines += [tuple(_shown(COLUMNS[name], row, now) for name in names) for row in rows]
    return text.columns(lines) if lines else ""


def document(rows: list[Row], names: tuple[str, ...], troubles: Iterable[str], now: float) -> dict:
    """The rows as one JSON document; times are seconds since the epoch. Columns that need a job's file are in it when
    they are among `names`."""
    keys = [name for name, column in COLUMNS.items() if name != "where" and (name in names or not column.opens)]
    return {"schema": SCHEMA, "now": now, "jobs": [_object(row, keys, now) for row in rows], "troubles": list(troubles)}


def _object(row: Row, keys: Iterable[str], now: float) -> dict:
    array, index = row.task or (None, None)
    # How a job has ended stands in "detail".
    return {**{key: COLUMNS[key].of(row, now) for key in keys}, "reason": row.reason,
            "directory": row.place.state, "array": array, "index": index, "detail": row.says}


def ranges(indices: Iterable[int]) -> str:
    """Indices as an array's are written: "3-10,15,20-30:5"."""
    rest, parts = sorted(indices), []
    at = 0
    while at < len(rest):
        step = rest[at + 1] - rest[at] if at + 1 < len(rest) else 1
        end = at
        while end + 1 < len(rest) and rest[end + 1] - rest[end] == step:
            end += 1
        if end - at < 2 and step > 1:
            end = at
        parts.append(str(rest[at]) if end == at else f"{rest[at]}-{rest[end]}" + (f":{step}" if step > 1 else ""))
        at = end + 1
    return ",".join(parts)
