"""The entries of an array: one text for each index, kept as comment lines at the end of the job's file.

Each stands behind "#:" on a line of its own. Behind them stand, on lines of one width, the numbers of the bytes at
which each begins and the last one ends, so that an entry among a hundred thousand is found with two reads. An entry
is a line of a file, an item of a JSON list, or one item of each of several lists, with a tab between them. What could
be misread in a comment is written as `\\0` and three octal digits.
"""

import json
import os
import re

from jobjar.errors import UsageError

MARK = b"#:"
# A number of a byte on its line, with its "#" and its newline.
WIDTH = 16
# What fits into one environment variable, and into the arguments of one program, leaving room for others.
ENTRY_MAX, TOGETHER_MAX = 100_000, 1_000_000
# How much each costs there besides its own length.
EACH = 100

# A tab stands between items, so one inside an item is written differently, too.
_MISREAD = re.compile(rb"[\0-\x1f\x7f\\]")
_WRITTEN = re.compile(rb"\\0([0-3][0-7][0-7])")
_TABLE = re.compile(rb"(?:#[0-9]{14}\n)*")
_NO_ASCII = re.compile(rb"[\0-\x1f\x7f-\xff\\]")


def of_lines(data: bytes) -> list[bytes]:
    """The lines of a file, each without its newline, as entries."""
    found = data.split(b"\n")
    if not found[-1]:
        del found[-1]
    # One look at all of it, for nearly always nothing has to be written differently.
    return found if _is_plain(data.replace(b"\n", b"")) else [_write(line) for line in found]


def of_json(data: bytes) -> list[bytes]:
    """The items of a JSON list as entries, each as JSON on one line; UsageError when it is no list."""
    try:
        items = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"that is no JSON ({error}): write a list, as [1, \"two\", {{\"x\": 3}}]") from None
    if not isinstance(items, list):
        raise UsageError("that is JSON, but no list: write [ before it and ] behind it")
    return [_write(_compact(item)) for item in items]


def _compact(item: object) -> bytes:
    try:
        return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half of a pair of surrogates, which only JSON's own escapes can say.
        return json.dumps(item, separators=(",", ":")).encode()


def of_product(lists: list[list[str]]) -> list[bytes]:
    """All ways to take one item of each list as entries; the last list varies fastest."""
    found = [b""]
    for number, items in enumerate(lists):
        tab = b"\t" if number else b""
        written = [_write(os.fsencode(item)) for item in items]
        found = [before + tab + item for before in found for item in written]
    return found


def _is_plain(data: bytes) -> bool:
    if _MISREAD.search(data):
        return False
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        # Python takes no such comment.
        return False


def _write(item: bytes) -> bytes:
    if _is_plain(item):
        return item
    try:
        item.decode()
        misread = _MISREAD
    except UnicodeDecodeError:
        misread = _NO_ASCII
    return misread.sub(lambda found: b"\\0%03o" % found[0][0], item)


def texts(entry: bytes) -> list[str]:
    """What the items of an entry are; an entry that is no product has one."""
    return [os.fsdecode(_WRITTEN.sub(lambda found: bytes([int(found[1], 8)]), item)) for item in entry.split(b"\t")]


def check(found: list[bytes], label: str) -> list[bytes]:
    """`found` itself; UsageError when one of these entries cannot be a variable of a job, or there is none."""
    if not found:
        raise UsageError(f"{label}: the list is empty, so there is nothing to be done: put something into it")
    for number, entry in enumerate(found, 1):
        if b"\\0000" in entry:
            raise UsageError(f"{label}: entry {number} contains a NUL character, which no variable can: leave it out")
        if len(entry) > ENTRY_MAX:
            raise UsageError(f"{label}: entry {number} is longer than {ENTRY_MAX} bytes: put it into a file, and its"
                             " name into the list")
    return found


def block(found: list[bytes], at: int) -> bytes:
    """The lines that hold these entries, to be put at byte `at`, the end of a file that ends with a newline."""
    lines = [MARK + entry + b"\n" for entry in found]
    numbers = [at]
    for line in lines:
        numbers.append(numbers[-1] + len(line))
    return b"".join(lines) + b"".join(b"#%014d\n" % number for number in numbers)


def read(path: str, total: int, first: int, count: int) -> list[bytes]:
    """The entries number `first` (from 0) and following, `count` of them, of a file that holds `total`.

    UsageError when they are not there: somebody has changed the file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = os.fstat(handle).st_size - (total + 1 - first) * WIDTH
        table = os.pread(handle, (count + 1) * WIDTH, max(at, 0))
        if len(table) == (count + 1) * WIDTH and _TABLE.fullmatch(table):
            begin, end = int(table[1:WIDTH]), int(table[1 - WIDTH:])
            lines = os.pread(handle, end - begin, begin).split(b"\n") if begin <= end else []
            if len(lines) == count + 1 and all(line.startswith(MARK) for line in lines[:-1]):
                return [line[len(MARK):] for line in lines[:-1]]
    finally:
        os.close(handle)
    raise UsageError(f"the entries at the end of {path} are not as its #JJ lines say: submit the array again")
