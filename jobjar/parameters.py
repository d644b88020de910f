"""What may be written as the value of a job's option: text → value, or a UsageError that says how to mend it.

Pure. `directives.OPTIONS` says which of these belongs to which option. What `show_…` writes is read back as the same.
"""

import os

from jobjar import quantities, words
from jobjar.errors import UsageError

# How many tasks an array may have, its greatest index, and how long the text that says its indices may be.
ARRAY_MAX, INDEX_MAX, ARRAY_TEXT_MAX = 1_000_000, 999_999_999, 65_536
TEXT_MAX = 1000
# Linux starts no program with a variable of 128 KiB.
VARIABLE_MAX = 128 * 1024 - 1
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "ALRM": 14, "TERM": 15, "CONT": 18,
            "STOP": 19, "TSTP": 20, "XCPU": 24, "WINCH": 28}
NONE, ALL = "NONE", "ALL"
# Variables with such names are the worker's to set.
OURS = "JJ_"


def line(text: str) -> str:
    """One line of text."""
    if not text or not text.isprintable() or len(text) > TEXT_MAX:
        raise UsageError(f"{text[:40]!r} is not one line of 1 to {TEXT_MAX} characters without control characters:"
                         " write a plainer one")
    return text


def program(text: str) -> str:
    """A program and its first arguments, as the words of a line."""
    if not words.split(line(text)):
        raise UsageError(f"{text!r} names no program: write one, and its first arguments behind it")
    return text


def names(text: str) -> list[str]:
    """Names with commas between them."""
    found = text.split(",")
    if not all(found):
        raise UsageError(f"{text!r} names nothing in one place: write names with commas between them, or leave the"
                         " option out")
    return found


def count(text: str) -> int:
    """A whole number."""
    return quantities.parse_count(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    return quantities.parse_count(text, 1)


def nice(text: str) -> int:
    """A nice value that everybody may ask for."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > 19:
        why = ", for only root may have one below 0" if text.startswith("-") else ""
        raise UsageError(f"{text!r} is no nice value: write a whole number from 0 to 19{why}")
    return int(text)


def cpus(text: str) -> float:
    """A number of processors, whole or a decimal fraction, above 0."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9 or not float(text):
        raise UsageError(f"{text!r} is no number of processors: write a number above 0, as 4 or 0.5")
    return float(text) if fraction else int(whole)


def show_number(value: float) -> str:
    """A number without needless digits."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def limit(text: str) -> float:
    """A duration above 0, in s: with units (90m, 1h30m), or as the field writes it ([D-]HH:MM:SS, MM:SS, D-HH)."""
    if text.isascii() and text.replace(".", "", 1).isdigit():
        raise UsageError(f"{text!r} would be minutes to some and seconds to others: write {text}m or {text}s")
    try:
        seconds = _clock(text) if ":" in text or "-" in text else quantities.parse_duration(text)
    except UsageError:
        # It would advise to write plain seconds.
        seconds = 0.0
    if not 0 < seconds <= quantities.DURATION_MAX:
        raise UsageError(f"{text!r} is no duration above 0 and below a hundred years: write it as 90m, 1h30m, HH:MM:SS"
                         " or D-HH:MM:SS")
    return seconds


def _clock(text: str) -> float:
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    numbers = [*([days] if dash else []), *parts]
    if len(parts) > 3 or not dash and len(parts) < 2 or not all(n.isascii() and n.isdigit() and len(n) < 7
                                                                for n in numbers):
        return 0.0
    # As the field has it: with days, what is missing are the seconds and the minutes; else the hours.
    full = parts + ["0"] * (3 - len(parts)) if dash else ["0"] * (3 - len(parts)) + parts
    hours, minutes, seconds = map(int, full)
    return float(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds)


def show_duration(value: float) -> str:
    """A duration as `limit` reads it."""
    return quantities.format_duration(value)


def size(text: str) -> int:
    """A size above 0, in bytes, with its unit; whole kilobytes."""
    if text.isascii() and text.isdigit():
        raise UsageError(f"{text!r} would be megabytes to some and bytes to others: write {text}M, or {text}K, {text}G")
    try:
        # What cannot be said in kilobytes could not be written again as it was.
        kilobytes = -(-quantities.parse_size(text) // 1024)
    except UsageError:
        kilobytes = 0
    if not 0 < kilobytes * 1024 <= quantities.SIZE_MAX:
        raise UsageError(f"{text!r} is no size above 0 that memory or a disk may have: write it as 500M, 1.5G or 100K")
    return kilobytes * 1024


def show_size(value: int) -> str:
    """A size as `size` reads it; rounded up to kilobytes."""
    return quantities.format_size(-(-int(value) // 1024) * 1024)


def signal(text: str) -> str:
    """A signal and how many seconds before the end: "USR1@60"."""
    name, at, seconds = text.partition("@")
    number = signal_number(name)
    before = quantities.parse_count(seconds) if at else 60
    return f"{number if number not in _SIGNALS.values() else signal_name(number)}@{before}"


def signal_number(text: str) -> int:
    """The number of the signal USR1, SIGUSR1, usr1 or 10."""
    name = text.upper().removeprefix("SIG")
    if name in _SIGNALS:
        return _SIGNALS[name]
    if name.isascii() and name.isdigit() and len(name) < 3 and 0 < int(name) < 65:
        return int(name)
    raise UsageError(f"{text!r} is no signal: write USR1, TERM, INT or a number")


def signal_name(number: int) -> str:
    """The name of a signal without SIG, or its number."""
    return next((name for name, known in _SIGNALS.items() if known == number), str(number))


def export(text: str) -> str:
    """NONE, ALL, or names and assignments separated by commas; ALL or NONE may be among them."""
    parts = text.split(",")
    if NONE in parts and ALL in parts:
        raise UsageError(f"{text[:40]!r} asks for all variables and for none: leave out {NONE} or {ALL}")
    for part in parts:
        name, equals, _ = part.partition("=")
        if not name or not name.isprintable() or any(c.isspace() for c in name):
            raise UsageError(f"{part[:40]!r} is no variable: write NONE, ALL, or names and assignments with commas"
                             " between them, as HOME,LEVEL=3")
        if name.startswith(OURS):
            raise UsageError(f"{name} is set by the worker, as all names that begin with {OURS}: choose another name")
        # What is here already may have any name: a function that bash exports, for example.
        if equals and not (name.isascii() and name.isidentifier()):
            raise UsageError(f"{name[:40]!r} is no name of a variable to a shell: write letters, digits and _, and no"
                             " digit first")
        variable(part if equals else part + "=")
    return text


def variable(text: str) -> str:
    """NAME=VALUE."""
    name, equals, _ = text.partition("=")
    if not equals or not name or "\0" in text:
        raise UsageError(f"{text[:40]!r} is no variable with its value: write NAME=VALUE")
    if len(os.fsencode(text)) > VARIABLE_MAX:
        raise UsageError(f"{name[:40]} is longer than the {VARIABLE_MAX} bytes that a program can be given: write it"
                         " into a file that the job reads")
    return text


def path(text: str) -> str:
    """A path, relative ones too."""
    if not text or "\0" in text:
        raise UsageError(f"{text!r} cannot be a path: name a file or directory")
    return text


def paths(text: str) -> list[str]:
    """Paths separated by commas; a backslash makes a comma, or a backslash, a part of a path."""
    found, at = [""], 0
    while at < len(text):
        is_plain = text[at:at + 2] in ("\\,", "\\\\")
        at += is_plain
        if text[at] == "," and not is_plain:
            found.append("")
        else:
            found[-1] += text[at]
        at += 1
    return [path(part) for part in found]


def show_path(value: str) -> str:
    """One path as `paths` reads it."""
    return value.replace("\\", "\\\\").replace(",", "\\,")


def open_mode(text: str) -> str:
    """append or truncate."""
    if text not in ("append", "truncate"):
        raise UsageError(f"{text!r} is neither append nor truncate: write one of them")
    return text


def codes(text: str) -> list[int]:
    """Exit statuses separated by commas."""
    found = [quantities.parse_count(part, 1) for part in text.split(",")]
    if any(code > 255 for code in found):
        raise UsageError(f"{text!r} is no list of exit statuses: write numbers from 1 to 255, as 85,99")
    return found


def show_list(value: list) -> str:
    """A list with commas."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple, range)) else str(value)


def umask(text: str) -> int:
    """A umask, in octal digits."""
    if not text or len(text) > 4 or any(c not in "01234567" for c in text):
        raise UsageError(f"{text!r} is no umask: write octal digits, as 022")
    return int(text, 8)


def show_umask(value: int) -> str:
    """A umask in octal digits."""
    return f"{value:03o}"


def array(text: str) -> str:
    """Indices: numbers, ranges and steps, separated by commas, and perhaps how many at a time: "1-100:2,200%5"."""
    indices(text)
    return text


def indices(text: str) -> tuple[list[range], int | None]:
    """The ranges of an array's indices, in order, and how many tasks may be at work at a time, None for all.

    "%5" alone has no ranges: a list says how many there are. UsageError: it is wrong, holds an index twice, or more
    than ARRAY_MAX of them.
    """
    if len(text) > ARRAY_TEXT_MAX:
        raise UsageError(f"{text[:40]!r}… are more than {ARRAY_TEXT_MAX} characters: submit several arrays")
    body, percent, cap = text.partition("%")
    ranges = [_range(part, text) for part in body.split(",")] if body or not percent else []
    if sum(len(one) for one in ranges) > ARRAY_MAX:
        raise UsageError(f"{text!r} are more than {ARRAY_MAX} tasks: submit several arrays")
    if any(one[-1] > INDEX_MAX for one in ranges):
        raise UsageError(f"{text!r} holds an index above {INDEX_MAX}: write smaller ones")
    _require_different(ranges, text)
    return ranges, quantities.parse_count(cap, 1) if percent else None


def _range(part: str, text: str) -> range:
    span, colon, step = part.partition(":")
    first, dash, last = span.partition("-")
    numbers = [first, last if dash else first, step if colon else "1"]
    if colon and not dash or not all(n.isascii() and n.isdigit() and len(n) < 19 for n in numbers):
        raise UsageError(f"{text!r} are no indices: write 1-100, 1-99:2, 3,7,20-30 or 1-1000%5")
    low, high, by = map(int, numbers)
    if high < low or not by:
        raise UsageError(f"{part!r} in {text!r} counts nothing: write the smaller index first, and a step above 0")
    return range(low, high + 1, by)


def _require_different(ranges: list[range], text: str) -> None:
    seen: set[int] = set()
    for one in ranges if len(ranges) > 1 else ():
        twice = seen.intersection(one)
        if twice:
            raise UsageError(f"{min(twice)} stands twice in {text!r}: write each index once")
        seen.update(one)
