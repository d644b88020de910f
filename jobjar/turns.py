"""The cap of an array: how many of its tasks may be at work at a time, on all nodes together.

No number is kept anywhere: what is counted is what lies in the jar. docs/PROTOCOL.md section 6, "Ready".
"""

import os
from collections.abc import Iterable

from jobjar import fslook, jobname, layout
from jobjar.directives import Request
from jobjar.layout import Jar


def cap(asked: Request) -> int | None:
    """How many tasks of its array may be at work at a time; None when all may, and of a job that is no task."""
    number = asked.get("array", "").partition("%")[2]
    return int(number) if number else None


class Turns:
    """Counts the tasks at work, as one process sees them."""

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        # Workers that have left, by name, inode and time of change; a later worker may have the first two as well. A
        # directory without claims/ never gets one again.
        self._left: set[tuple[str, int, int]] = set()

    def active(self, array: str) -> int:
        """How many tasks of the array are in unclaimed/ or in a worker's hands.

        Whoever has looked at waiting/ before misses none that comes from there, for the places are looked at in the
        order of a job's life; and one that goes back to the queue meanwhile is seen in its second listing.
        """
        seen = _tasks(self.jar.unclaimed, array)
        for worker in self._workers():
            seen |= _held(worker, array)
        return len(seen | _tasks(self.jar.unclaimed, array))

    def _workers(self) -> list[str]:
        """The directories of the workers that may own jobs."""
        names = [name for name in fslook.names_uncached(self.jar.workers) if layout.split_worker(name)]
        found = {(name, *_version(self.jar.worker(name))) for name in names}
        self._left &= found
        self._left |= {worker for worker in found - self._left if not _holders(self.jar.worker(worker[0]))}
        return [self.jar.worker(name) for name, *_ in found - self._left]


def _version(directory: str) -> tuple[int, int]:
    try:
        found = os.stat(directory)
    except OSError:
        return -1, -1
    return found.st_ino, found.st_mtime_ns


def _holders(worker: str) -> list[str]:
    try:
        return sorted(filter(layout.is_holder, fslook.names_uncached(worker)))
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it has just been set aside or removed.
        return []


def _held(worker: str, array: str) -> set[str]:
    """The tasks that one worker has, or whoever recovers it."""
    before, found, holders = None, set(), _holders(worker)
    # RACE: a recovery may rename what is about to be listed.
    while holders != before:
        for holder in holders:
            found |= _tasks(os.path.join(worker, holder), array)
        before, holders = holders, _holders(worker)
    return found


def _tasks(top: str, array: str) -> set[str]:
    """The ids of the array's tasks in a directory and in the categories in it."""
    found = set()
    for entry in _entries(top):
        if entry.is_dir(follow_symlinks=False):
            found.update(_of(array, (inner.name for inner in _entries(entry.path))))
        else:
            found.update(_of(array, (entry.name,)))
    return found


def _entries(directory: str) -> list[os.DirEntry]:
    try:
        return fslook.scan_uncached(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: the category, or the directory of the worker, has just gone.
        return []


def _of(array: str, names: Iterable[str]) -> list[str]:
    mark = array + "_"
    return [jobname.split(name)[0] for name in names if name.startswith(mark) and jobname.array_task(name)]
