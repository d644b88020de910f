"""Points in time, as people write them: 2026-12-24T18:00, 18:00, tomorrow, now+2h.

Pure but for the time zone of this process: without a Z behind them, times are local.
"""

import time

from jobjar import parameters
from jobjar.errors import UsageError


def parse(text: str) -> float | str:
    """A time in s since the epoch; of one that depends on when it is said ("now+2h", "18:00"), the text itself."""
    resolve(text, 0.0)
    return text if _is_relative(text) else resolve(text, 0.0)


def is_relative(value: float | str) -> bool:
    """Whether what `parse` has given depends on when it is said."""
    return isinstance(value, str) and _is_relative(value)


def _is_relative(text: str) -> bool:
    return text.startswith(("now", "tomorrow", "today")) or "-" not in text


def resolve(value: float | str, now: float) -> float:
    """The time, in s since the epoch, that `parse` had given as a number or a text, said at `now`."""
    if not isinstance(value, str):
        return float(value)
    if value == "now":
        return now
    if value.startswith("now+"):
        # As the field has it: "now+2hours" is not taken, and a bare number would be seconds to some.
        return now + parameters.limit(value[4:])
    day, _, hour = value.rpartition("T") if "T" in value else value.rpartition(" ")
    if value in ("tomorrow", "today") or not hour:
        day, hour = value, "00:00"
    if _is_relative(value):
        return _next(day, hour, now, value)
    return _absolute(value)


def _next(day: str, hour: str, now: float, text: str) -> float:
    """The next time that it is `hour`, of today or tomorrow when the text says so."""
    if day not in ("", "today", "tomorrow"):
        raise _no_moment(text)
    today = time.localtime(now)
    clock = _time(hour, text)
    found = _local(*today[:3], *clock)
    if day == "tomorrow" or not day and found <= now:
        found = _local(today[0], today[1], today[2] + 1, *clock)
    return found


def _absolute(text: str) -> float:
    is_utc = text.endswith("Z")
    date, _, hour = text.removesuffix("Z").replace(" ", "T").partition("T")
    numbers = date.split("-")
    if len(numbers) != 3 or not all(n.isascii() and n.isdigit() and len(n) < 5 for n in numbers):
        raise _no_moment(text)
    year, month, day = map(int, numbers)
    clock = _time(hour or "00:00", text)
    if not (1970 <= year <= 2999 and 1 <= month <= 12 and 1 <= day <= 31):
        raise _no_moment(text)
    if is_utc:
        import calendar
        return float(calendar.timegm((year, month, day, *clock)))
    return _local(year, month, day, *clock)


def _time(text: str, whole: str) -> tuple[int, int, int]:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(n.isascii() and n.isdigit() and len(n) <= 2 for n in parts):
        raise _no_moment(whole)
    hour, minute, second = (*map(int, parts), 0)[:3]
    if hour > 23 or minute > 59 or second > 60:
        raise _no_moment(whole)
    return hour, minute, second


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))


def _no_moment(text: str) -> UsageError:
    return UsageError(f"{text!r} is no time: write 2026-12-24T18:00, 18:00, tomorrow, tomorrow 8:00 or now+2h")


def show(value: float | str) -> str:
    """A time as `parse` reads it, whatever the time zone of the reader."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value)) if isinstance(value, (int, float)) else str(value)
