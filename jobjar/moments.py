"""Points in time, as people write them: 2026-12-24T18:00, 18:00, tomorrow, now+2h.

Pure but for the time zone of this process: without a Z behind them, times are local.
"""

import math
import time

from jobjar import parameters, quantities
from jobjar.errors import UsageError

NOW, TODAY, TOMORROW = "now", "today", "tomorrow"


def parse(text: str) -> float | str:
    """A time in s since the epoch; of one that depends on when it is said ("now+2h", "18:00"), the text itself."""
    moment = resolve(text, 0.0)
    return text if _is_relative(text) else moment


def is_relative(value: float | str) -> bool:
    """Whether what `parse` has given depends on when it is said."""
    return isinstance(value, str) and _is_relative(value)


def _is_relative(text: str) -> bool:
    return text.startswith((NOW, TODAY, TOMORROW)) or "-" not in text


def resolve(value: float | str, now: float) -> float:
    """The time, in s since the epoch, that `parse` had given as a number or a text, said at `now`."""
    if not isinstance(value, str):
        return float(value)
    if value == NOW:
        return now
    if value.startswith(NOW + "+"):
        # As the field has it, save that a bare number is refused: it would be seconds to some and minutes to others.
        return now + parameters.limit(value[len(NOW) + 1:])
    if _is_relative(value):
        return _next(value, now)
    return _absolute(value)


def _next(text: str, now: float) -> float:
    """The next time that it is the hour in `text`; or that hour of today or tomorrow, midnight when there is none."""
    if text in (TODAY, TOMORROW):
        day, hour = text, "00:00"
    else:
        day, _, hour = text.rpartition("T") if "T" in text else text.rpartition(" ")
    if day not in ("", TODAY, TOMORROW):
        raise _no_moment(text)
    clock = _time(hour, text)
    date = time.localtime(now)[:3]
    following = time.localtime(_local(*date, 12, 0, 0)[-1] + 86400)[:3]
    if day:
        return _local(*(date if day == TODAY else following), *clock)[0]
    # When the clocks go back an hour comes twice, and the first may be over.
    return next(moment for moment in (*_local(*date, *clock), *_local(*following, *clock)) if moment > now)


def past(text: str, now: float) -> float:
    """The time in `text`, said at `now` by somebody who looks back: "18:00" is the last one that there was.

    Besides what `parse` takes: yesterday, now-2h, and 2h or 30d for so long ago.
    """
    date = time.localtime(now)[:3]
    previous = time.localtime(_local(*date, 12, 0, 0)[0] - 86400)[:3]
    if text == "yesterday":
        return _local(*previous, 0, 0, 0)[0]
    ago = text.removeprefix(NOW + "-")
    if ago != text or text[:1].isdigit() and text[-1:] in quantities.SECONDS:
        return now - quantities.parse_duration(ago)
    if text[:1].isdigit() and _is_relative(text):
        clock = _time(text, text)
        return max(moment for moment in (*_local(*previous, *clock), *_local(*date, *clock)) if moment <= now)
    return resolve(parse(text), now)


def _absolute(text: str) -> float:
    is_utc = text.endswith("Z")
    date, mark, hour = text.removesuffix("Z").replace(" ", "T").partition("T")
    numbers = date.split("-")
    if len(numbers) != 3 or not all(n.isascii() and n.isdigit() and len(n) < 5 for n in numbers):
        raise _no_moment(text)
    clock = _time(hour if mark else "00:00", text)
    # Here alone, for few jobs wait for a time.
    import datetime
    try:
        moment = datetime.datetime(*map(int, numbers), *clock, tzinfo=datetime.timezone.utc)
    except ValueError:
        # There is no 30th of February.
        raise _no_moment(text) from None
    if not 1970 <= moment.year <= 2999:
        raise _no_moment(text)
    return moment.timestamp() if is_utc else _local(*map(int, numbers), *clock)[0]


def _time(text: str, whole: str) -> tuple[int, int, int]:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(n.isascii() and n.isdigit() and len(n) <= 2 for n in parts):
        raise _no_moment(whole)
    hour, minute, second = (*map(int, parts), 0)[:3]
    if hour > 23 or minute > 59 or second > 59:
        raise _no_moment(whole)
    return hour, minute, second


def _local(*numbers: int) -> list[float]:
    """When it is that here, the first time first; of an hour that is left out, when the clocks go forward, an hour
    later.
    """
    found = {time.mktime((*numbers, 0, 0, is_summer)) for is_summer in (0, 1)}
    told = sorted(moment for moment in found if time.localtime(moment)[:6] == numbers)
    return told or [max(found)]


def _no_moment(text: str) -> UsageError:
    return UsageError(f"{text!r} is no time: write 2026-12-24T18:00, 18:00, tomorrow, tomorrow 8:00 or now+2h")


def show(value: float | str) -> str:
    """A time as `parse` reads it, whatever the time zone of the reader; whole seconds, never too early."""
    if isinstance(value, str):
        return value
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(math.ceil(value)))
