"""Which file system a directory is on, and how it was mounted: the kernel's table of mounts."""

import os
from collections import namedtuple
from collections.abc import Callable

# `options`: name → value, "" for those that have none; what the kernel shows of the mount and of the file system.
Mount = namedtuple("Mount", "point kind source options")
# `device`: the file system's number; `mount`: the kernel's number of the mount through which it is reached, or None.
Place = namedtuple("Place", "device mount")

TABLE = "/proc/self/mountinfo"


def of(directory: str) -> Mount | None:
    """The mount that `directory` is on, through whatever links; None when the kernel does not tell."""
    there = place(directory)
    wanted = there.mount if there else None
    return next((mount for identity, mount in map(parse, _lines()) if identity == wanted), None)


def numbers(is_meant: Callable[[str], bool]) -> set[int]:
    """The kernel's numbers of the mounts whose kind is meant; a `Place` has such a number."""
    # No more is read of a line than that: a worker asks this before the first job after a rest.
    return {int(line.partition(" ")[0]) for line in _lines() if is_meant(_kind(line))}


def _kind(line: str) -> str:
    return line.partition(" - ")[2].partition(" ")[0]


def _lines() -> list[str]:
    try:
        with open(TABLE, encoding="utf-8", errors="surrogateescape") as table:
            return table.readlines()
    except OSError:
        return []


def place(directory: str) -> Place | None:
    """Where `directory` is: only within one place can be renamed; None when it is not there.

    A directory that is bound to another place has its device number, and is another mount all the same.
    """
    try:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return Place(os.fstat(handle).st_dev, _told(handle, "mnt_id:"))
    finally:
        os.close(handle)


def inode(path: str) -> int | None:
    """The inode of what is at `path` as this node knows it, without asking any server; None when the kernel does not
    tell (before Linux 5.14), or there is nothing."""
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _told(handle, "ino:")
    finally:
        os.close(handle)


def _told(handle: int, what: str) -> int | None:
    try:
        with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as file:
            found = [line.split()[1] for line in file if line.startswith(what)]
    except OSError:
        return None
    return int(found[0]) if found else None


def parse(line: str) -> tuple[int, Mount]:
    """(number, mount) of one line of the table."""
    before, _, after = line.rstrip("\n").partition(" - ")
    identity, _, _, _, point, own = before.split(" ")[:6]
    kind, source, shared = after.split(" ")[:3]
    return int(identity), Mount(_plain(point), kind, _plain(source), _options(f"{shared},{own}"))


def _options(text: str) -> dict[str, str]:
    found = dict(_plain(word).partition("=")[::2] for word in text.split(","))
    if "ro" in found:
        # A mount may be closed to writing where its file system is not, and the other way round.
        found.pop("rw", None)
    return found


def _plain(text: str) -> str:
    # The table writes blanks, tabs, newlines and the backslash as three octal digits.
    first, *rest = text.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)
