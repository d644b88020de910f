"""What a job's file name says: id, priority, age; and how a fresh name is made.

Pure: the time, the login and the random digits are passed in. The grammar is docs/PROTOCOL.md section 3.
No regular expressions: every submit_job and every listing of a worker comes through here.
"""

from jobjar.errors import UsageError

NAME_MAX = 255
ID_MAX = 64
CATEGORY_MAX = 100
_EDITED = "~edit"
# Priority (negative), age, array index, name.
Rank = tuple[int, str, int, str]


def split(name: str) -> tuple[str, int]:
    """(id, priority) of a job's file name; priority 0 when the name carries none."""
    base, dot, extension = name.rpartition(".")
    if dot and base and _is_priority(extension):
        return base, int(extension)
    return name, 0


def is_dated(name: str) -> bool:
    """Whether a name begins with a date, as those do that the programs make: a quick look, where `number` is sure."""
    return name[8:9] == "-" and name[:8].isdigit()


def stem(name: str) -> str:
    """The id without what a job gets that is put back under another name: ID of ID~2.5."""
    return split(name)[0].partition("~")[0]


def join(base: str, priority: int) -> str:
    """The file name that says both, the priority always written."""
    return f"{base}.{priority}"


def _is_priority(text: str) -> bool:
    digits = text[1:] if text[:1] in ("+", "-") else text
    # isdigit() alone would take other scripts' digits, and int() takes "1_000".
    return 0 < len(digits) <= 9 and digits.isascii() and digits.isdigit()


def parse_priority(text: str) -> int:
    """The priority that a person typed; UsageError says what is wrong with it."""
    if not _is_priority(text):
        raise UsageError(f"priority {text!r} is not a whole number of at most nine digits, such as 10 or -3")
    return int(text)


def next_name(name: str) -> str:
    """The name to try when `name` is taken: a.5 → a~2.5 → a~3.5 …, cut to what a file system takes."""
    base, dot, extension = name.rpartition(".")
    if not (dot and base and _is_priority(extension)):
        base, extension = name, None
    stem, tilde, count = base.rpartition("~")
    if tilde and stem and count.isascii() and count.isdigit() and len(count) < 9:
        suffix = f"~{int(count) + 1}"
    else:
        stem, suffix = base, "~2"
    if extension is not None:
        suffix += "." + extension
    return _cut(stem, suffix) + suffix


def _cut(stem: str, suffix: str) -> str:
    """As much of `stem` as leaves room for `suffix`."""
    cut = stem.encode("utf-8", "surrogateescape")[:NAME_MAX - len(suffix)]
    # A cut inside a character would make bytes that some file systems refuse.
    while len(stem.encode("utf-8", "surrogateescape")) > len(cut):
        stem = stem[:-1]
    return stem


def edited(name: str) -> str:
    """The name in held/ under which one process has the job while it changes its contents: a.5 → a~edit.5."""
    base, priority = split(name)
    suffix = f"{_EDITED}.{priority}"
    return _cut(base, suffix) + suffix


def unedited(name: str) -> str | None:
    """The name of a job that was given to it by `edited`, or the next when that was taken, as it was before; else
    None."""
    base, priority = split(name)
    stem, mark, count = base.rpartition(_EDITED)
    return join(stem, priority) if stem and mark and (not count or count[0] == "~" and count[1:].isdigit()) else None


def number(name: str) -> str | None:
    """The 23 digits (date, time, N) of a name that we made, else None."""
    at = _digits_at(name)
    return name[:8] + name[9:15] + name[at:at + 9] if at else None


def rank(name: str, number: str) -> Rank:
    """Where a job stands in the order of claiming, the least first; `number`: its age, as `number` has it."""
    base, priority = split(name)
    return -priority, number, array_index(base), name


def submitted(name: str) -> float | None:
    """When a job was submitted, in s since the epoch, as a name that we made says it; None of others."""
    at, month = _digits_at(name), name[4:6]
    # A person may have given a name any digits.
    if not at or not "01" <= month <= "12":
        return None
    seconds = int(name[9:11]) * 3600 + int(name[11:13]) * 60 + int(name[13:15]) + int(name[at:at + 6]) / 1e6
    return _days(int(name[:4]), int(month), int(name[6:8])) * 86400 + seconds


def _days(year: int, month: int, day: int) -> int:
    """How many days lie between a day and 1 January 1970."""
    # By hand, for calendar takes a third of a start of the interpreter. In years that begin with March a leap day is
    # the last one.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469


def login(name: str) -> str | None:
    """Who submitted it, as far as a name that we made says it; None of others."""
    at = _digits_at(name)
    return name[16:at - 1] if at else None


def word(base: str) -> str | None:
    """The word that was put into the id `base` by -i, or the whole of an id that we did not make."""
    at = _digits_at(base + ".")
    if not at:
        return base
    return base[at + 10:].partition("~")[0] if base[at + 9:at + 10] == "-" else None


def _digits_at(name: str) -> int:
    """Where N begins in a name that we made; 0 in all others."""
    stamp = name[:8] + name[9:15]
    # Other scripts have digits of their own.
    if len(name) < 27 or name[8] != "-" or name[15] != "-" or not (stamp.isascii() and stamp.isdigit()):
        return 0
    at = name.find("-", 16)
    while at > 0:
        digits = name[at + 1:at + 10]
        if len(digits) == 9 and digits.isascii() and digits.isdigit() and name[at + 10:at + 11] in ("-", "_", ".", "~"):
            return at + 1
        at = name.find("-", at + 1)
    return 0


def array_index(base: str) -> int:
    """The digits behind the last underscore; it only ever orders names of one number."""
    tail = base.rpartition("_")[2]
    return int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 10 else 0


def array_task(name: str) -> tuple[str, int] | None:
    """(the array's id, the index) that the name of a task says, whatever its priority and its "~"; None of a name
    that cannot be a task's. Whether it is one is known from what the job asks for, never from its name alone."""
    array, mark, tail = split(name)[0].rpartition("_")
    digits = tail.partition("~")[0]
    if mark and len(digits) < 10 and digits.isascii() and digits.isdigit() and number(name):
        return array, int(digits)
    return None


def unique(stamp: str, digits: str, login: str, id: str | None, priority: int, index: int | None = None) -> str:
    """A fresh name. `stamp` is UTC as YYYYMMDD-HHMMSS, `digits` the nine of microseconds and chance."""
    base = f"{stamp}-{plain(login)}-{digits}"
    if id is not None:
        base += "-" + check_id(id)
    if index is not None:
        base += f"_{index}"
    return join(base, priority)


def plain(login: str) -> str:
    """A login as names have it."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in login)[:32] or "nobody"


def check_id(id: str) -> str:
    """`id` itself, when it may stand in a job's name; else UsageError."""
    return _check("identifier", id, ID_MAX)


def check_category(category: str) -> str:
    """`category` itself, when it may name a category; else UsageError."""
    _check("category", category, CATEGORY_MAX)
    if category.startswith((".", "-")):
        raise UsageError(f"category {category!r} begins with {category[0]!r}: begin it with a letter or a digit")
    if "," in category:
        raise UsageError(f"category {category!r} contains a comma, which separates categories: leave it out")
    return category


def noted_category(found: object) -> str | None:
    """The category that somebody has noted; None too of what cannot be one."""
    try:
        return None if found is None else check_category(found)
    except UsageError:
        return None


def is_part(found: object) -> bool:
    """Whether it is a text that can be part of a file's name."""
    return isinstance(found, str) and found != "" and "/" not in found and "\0" not in found


def _check(what: str, text: str, longest: int) -> str:
    if not isinstance(text, str):
        raise UsageError(f"the {what} is {text!r}, which is no text: use a plain word")
    if not text:
        raise UsageError(f"the {what} is empty: leave the option out or give it a word")
    if "/" in text or ".." in text:
        raise UsageError(f"{what} {text!r} contains '/' or '..': use a plain word")
    if not text.isprintable() or any(c.isspace() for c in text):
        raise UsageError(f"{what} {text!r} contains a blank or a control character: use a plain word")
    if len(text.encode("utf-8", "surrogateescape")) > longest:
        raise UsageError(f"{what} {text[:20]!r}… is longer than {longest} bytes: use a shorter word")
    return text
