r"""Lines made of a record's fields by a pattern: grun's %field language.

%field is the field as people read it, %CONVERSION:field its value as printf shows it (%-10.3f:wait, %s:jobid), %% a
percent sign; \t, \n, \r and \\ are tab, newline, return and backslash. Pure. grun's %{expression} is refused: it was a
program in Perl, and what stands in a record must never be run.
"""

import re
from collections.abc import Callable

from jobjar import accounting, text
from jobjar.accounting import FIELDS, TEXT, Record
from jobjar.errors import UsageError

_PART = re.compile(r"%%|%\{|%(?:(?P<flags>[-+ 0#]*)(?P<width>\d*)(?P<digits>\.\d+)?(?P<how>[a-zA-Z]):)?"
                   r"(?P<field>[a-z]+)|%|\\(?P<escape>[tnr\\])", re.ASCII)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
_WIDEST = 1000
_WHOLE, _REAL = "di", "eEfFgG"


def compiled(pattern: str) -> Callable[[Record], str]:
    """A function that makes the text of a record; UsageError says what is wrong with the pattern.

    The text ends in a newline, whether the pattern does or not.
    """
    parts: list[Callable[[Record], str]] = []
    at = 0
    for match in _PART.finditer(pattern):
        parts += [_fixed(pattern[at:match.start()]), _part(match)]
        at = match.end()
    end = pattern[at:]
    parts.append(_fixed(end))

    def line(record: Record) -> str:
        made = "".join(part(record) for part in parts)
        return made if made.endswith("\n") else made + "\n"
    return line


def _fixed(words: str) -> Callable[[Record], str]:
    return lambda record: words


def _part(match: re.Match) -> Callable[[Record], str]:
    if match["escape"]:
        return _fixed(_ESCAPES[match["escape"]])
    if match[0] == "%%":
        return _fixed("%")
    if match[0] == "%{":
        raise UsageError("%{…} is not supported, since it would run what stands in it as a program: use --json and a"
                         " program of yours")
    field = match["field"]
    if field is None:
        raise UsageError("a single % says nothing: write %field, or %% for a percent sign")
    check(field)
    if match["how"] is None:
        return lambda record: text.shown(accounting.shown(record, field))
    return _converted(match, field)


def _converted(match: re.Match, field: str) -> Callable[[Record], str]:
    how, width, digits = match["how"], match["width"], match["digits"] or ""
    if int(width or 0) > _WIDEST or int(digits[1:] or 0) > _WIDEST:
        raise UsageError(f"{match[0]!r} is wider than {_WIDEST} characters: write a smaller number")
    if how == "s":
        left = "-" if "-" in match["flags"] else ""
        as_text = f"%{left}{width}{digits}s"
        return lambda record: as_text % text.shown(accounting.shown(record, field))
    if how not in _WHOLE + _REAL:
        raise UsageError(f"{match[0]!r}: there is no conversion {how!r}: use s, d, f, e or g")
    if FIELDS[field].kind == TEXT:
        raise UsageError(f"{match[0]!r}: {field} is no number: write %s:{field}")
    as_number, blank = "%" + match[0][1:].partition(":")[0], f"%{width}s"
    return lambda record: _number(accounting.value(record, field), as_number, blank)


def _number(value: float | None, as_number: str, blank: str) -> str:
    return blank % "" if value is None else as_number % value


def columns(words: str) -> list[str]:
    """The fields in "jobid,state,end"; UsageError when one of them is none."""
    found = [check(word) for word in words.replace(",", " ").split()]
    if not found:
        raise UsageError(f"{words!r} names no field: there are {', '.join(FIELDS)}")
    return found


def check(field: str) -> str:
    """`field` itself, if there is such a field; else UsageError."""
    if field in FIELDS:
        return field
    advice = text.advice(field, FIELDS, f"there are {', '.join(FIELDS)}")
    raise UsageError(f"there is no field {field!r}: {advice}")
