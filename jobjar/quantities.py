"""Durations in seconds, sizes in bytes, counts, yes and no, as people write them.

Pure. What `format_…` writes, `parse_…` reads back as the same number (durations to the millisecond).
"""

from jobjar.errors import UsageError

# Large to small: that is the order in which a person writes "1h30m".
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
BYTES = {"P": 1024**5, "T": 1024**4, "G": 1024**3, "M": 1024**2, "K": 1024}

BOOLEANS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}

COUNT_MAX = 999_999_999
# Beyond these, sleep() and the system's limits overflow.
DURATION_MAX = 36500 * 86400
SIZE_MAX = 2**63 - 1


def parse_duration(text: str) -> float:
    """Seconds in "90", "1.5", "90s", "5m", "1h30m" or "2d"; UsageError says what is wrong with it."""
    seconds = _thousandths(text) if text[-1:].isdigit() else _sum_of_parts(text)
    if seconds is None:
        raise UsageError(f"{text!r} is not a duration: write seconds, or 90s, 5m, 1h30m, 2d")
    if seconds > DURATION_MAX * 1000:
        raise UsageError(f"{text!r} is longer than a hundred years: write a shorter duration")
    return seconds / 1000


def _sum_of_parts(text: str) -> int | None:
    if not text:
        return None
    total = 0
    for unit, worth in SECONDS.items():
        number, found, rest = text.partition(unit)
        if not found:
            continue
        part = _thousandths(number)
        if part is None:
            return None
        total += part * worth
        text = rest
    # What is left is no unit of ours, or one that came twice or in the wrong order.
    return total if not text else None


def _thousandths(number: str) -> int | None:
    return _scaled(number, 1000)


def _scaled(number: str, factor: int) -> int | None:
    """`number` times `factor`, rounded down; None when it is not digits with at most one dot."""
    whole, dot, fraction = number.partition(".")
    digits = whole + fraction
    # isdigit() alone would take other scripts' digits; the length keeps int() within its own limit.
    if not (whole and digits.isascii() and digits.isdigit()) or len(digits) > 30 or (dot and not fraction):
        return None
    return int(digits) * factor // 10 ** len(fraction)


def parse_size(text: str) -> int:
    """Bytes in "4096", "1.5k", "100M" or "1G" (powers of 1024); UsageError says what is wrong with it."""
    factor = BYTES.get(text[-1:].upper())
    if factor is not None:
        size = _scaled(text[:-1], factor)
    else:
        size = None if "." in text else _scaled(text, 1)
    if size is None:
        raise UsageError(f"{text!r} is not a size: write bytes, or 100K, 1.5M, 2G (powers of 1024)")
    if size > SIZE_MAX:
        raise UsageError(f"{text!r} is more than any file system holds: write a smaller size")
    return size


def parse_count(text: str, least: int = 0) -> int:
    """The whole number in `text`, not below `least`; UsageError says what is wrong with it."""
    # int() alone would take "1_000" and other scripts' digits.
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < least:
        raise UsageError(f"{text!r} is not a whole number from {least} to {COUNT_MAX}: write one in digits")
    return int(text)


def parse_boolean(text: str) -> bool:
    """Whether `text` means yes; UsageError unless it is one of BOOLEANS, in capitals or not."""
    if text.lower() not in BOOLEANS:
        raise UsageError(f"{text!r} is neither yes nor no: write one of {', '.join(BOOLEANS)}")
    return BOOLEANS[text.lower()]


def format_boolean(value: bool) -> str:
    """The word that parse_boolean reads back: yes or no."""
    return "yes" if value else "no"


def format_duration(seconds: float) -> str:
    """The shortest form that parse_duration reads back: 5400 → "1h30m", 1.5 → "1.5s", 0 → "0s"."""
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    text = ""
    for unit, worth in SECONDS.items():
        count, rest = divmod(rest, worth)
        if unit == "s" and milliseconds:
            text += f"{count}.{milliseconds:03}".rstrip("0") + unit
        elif count:
            text += f"{count}{unit}"
    return text or "0s"


def format_size(size: int) -> str:
    """The size in the largest unit that it is a whole number of: 1073741824 → "1G", 1000 → "1000"."""
    for unit, worth in BYTES.items():
        if size and size % worth == 0:
            return f"{size // worth}{unit}"
    return str(size)
