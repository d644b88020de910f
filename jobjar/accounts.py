"""Records of what has ended, as people and programs read them: tables, one JSON document, CSV, sums."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from jobjar import accounting, formats, history, moments, text
from jobjar.accounting import FIELDS, MOMENT, SECONDS, TEXT, Record, Sum
from jobjar.layout import Jar

# So many records are looked at together, field by field: as many as a processor's cache holds.
BLOCK = 100
COLUMNS = ("jobid", "user", "category", "state", "exitcode", "end", "wait", "elapsed", "totalcpu", "maxrss", "node",
           "command")
_SUMS = {"jobs": None, "failed": None, "elapsed": SECONDS, "totalcpu": SECONDS, "wait": SECONDS}


def table(jar: Jar, records: list[Record], columns: Iterable[str]) -> str:
    """A line for each record, under headings; a column that is empty everywhere is left out."""
    fields = list(columns)
    rows = [row for block in _blocks(jar, records, fields)
            for row in zip(*(accounting.column(block, field) for field in fields))]
    return text.table(rows, tuple(field.upper() for field in fields)) if rows else ""


def lines(jar: Jar, records: list[Record], pattern: str) -> Iterator[str]:
    """A text for each record, as the %field pattern says."""
    make = formats.compiled(pattern)
    return map(make, _completed(jar, records, pattern))


def _completed(jar: Jar, records: Iterable[Record], asked: Iterable[str]) -> Iterator[Record]:
    """The records with their commands, if these are among what is asked for: else no file is opened."""
    has_command = "command" in asked
    for record in records:
        if has_command:
            history.command(jar, record)
        yield record


def _blocks(jar: Jar, records: list[Record], asked: Iterable[str]) -> Iterator[list[Record]]:
    """The records as `_completed`, many at a time."""
    for at in range(0, len(records), BLOCK):
        yield list(_completed(jar, records[at:at + BLOCK], asked))


def document(jar: Jar, records: list[Record], columns: Iterable[str] | None) -> Iterator[str]:
    """One JSON document, in pieces; times are seconds since the epoch, durations seconds, sizes bytes."""
    fields = list(columns or FIELDS)
    yield f'{{"home": {json.dumps(jar.home)}, "records": ['
    mark = "\n "
    for block in _blocks(jar, records, fields):
        values = zip(*(map(FIELDS[field].of, block) for field in fields))
        yield mark + ",\n ".join([json.dumps(dict(zip(fields, found))) for found in values])
        mark = ",\n "
    yield "]}\n"


def comma_separated(jar: Jar, records: list[Record], columns: Iterable[str] | None) -> Iterator[str]:
    """A heading and a line for each record; the times are UTC as 2026-12-24T18:00:00Z, all else as in JSON."""
    fields = list(columns or FIELDS)
    yield _rows([fields])
    for block in _blocks(jar, records, fields):
        yield _rows(zip(*([_cell(FIELDS[field].kind, value) for value in map(FIELDS[field].of, block)]
                          for field in fields)))


def _cell(kind: str, value: object) -> object:
    if isinstance(value, str):
        # Bytes that are no UTF-8 could not be printed.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if kind != MOMENT or value is None:
        return value
    try:
        return moments.show(value)
    except (OverflowError, ValueError, OSError):
        return value


def _rows(rows: Iterable[Iterable[object]]) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def sums_table(records: list[Record]) -> str:
    """What the records come to, for each user and for each category."""
    users, categories, everything = accounting.totals(records)
    last = ("all", *_shown(everything))
    parts = []
    for heading, sums in (("USER", users), ("CATEGORY", categories)):
        rows = [(which, *_shown(found)) for which, found in sums.items()]
        parts.append(text.columns([(heading, *map(str.upper, _SUMS)), *rows, last]))
    return "\n".join(parts)


def _shown(found: Sum) -> list[object]:
    return [value if kind is None else accounting.show(kind, value)
            for kind, value in zip(_SUMS.values(), found)]


def sums_document(jar: Jar, records: list[Record]) -> str:
    """As `sums_table`, for JSON."""
    users, categories, everything = accounting.totals(records)
    return json.dumps({"home": jar.home, "user": {which: found._asdict() for which, found in users.items()},
                       "category": {which: found._asdict() for which, found in categories.items()},
                       "all": everything._asdict()}, indent=1) + "\n"


def sums_comma_separated(records: list[Record]) -> str:
    """As `sums_table`, as CSV."""
    users, categories, everything = accounting.totals(records)
    rows = [[of, _cell(TEXT, which), *found] for of, sums in (("user", users), ("category", categories))
            for which, found in sums.items()]
    return _rows([["of", "which", *_SUMS], *rows, ["all", "", *everything]])
