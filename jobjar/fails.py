"""--max-fails: when so many tasks of an array have failed, the rest of it is held.

Whoever ends a task badly looks, after that has been committed; recovery does so for a worker that died before it could.
Every step may be repeated. docs/PROTOCOL.md section 6, "Max-fails".
"""

import os
from collections.abc import Iterator

from jobjar import fslook, fsops, jobname, layout, moves, notes, registration, reservation
from jobjar.directives import Request
from jobjar.errors import Fenced
from jobjar.layout import Jar, Place
from jobjar.states import HELD, UNCLAIMED, WAITING


def enforce(jar: Jar, writer: str, mine: str, name: str, asked: Request) -> list[Place]:
    """After the task `name`, which asks for `asked`, has failed: hold the rest of its array if that is too many.

    `writer`: NODE.PID of this process; `mine`: the text of its reservations. Returns what has been held.
    """
    task, limit = jobname.array_task(name), asked.get("max_fails")
    if task is None or limit is None or "array" not in asked or (count := _failed(jar, task[0], limit)) < limit:
        return []
    array = task[0]
    # RACE: others see as many failures. Who comes second leaves it to the first; when that one dies, to its recovery.
    if not fsops.link(mine, os.path.join(jar.held, layout.dot_name(array))):
        return []
    try:
        why = f"{count} of its tasks have failed (--max-fails={limit}): look at them, then `jobjar release {array}`"
        notes.add(jar, writer, jobname.join(array, 0), None, "hold", why=why, failed=count)
        return _hold_rest(jar, array, mine)
    finally:
        reservation.leave_queue(jar.held, array, mine, jar)


def _hold_rest(jar: Jar, array: str, mine: str) -> list[Place]:
    there = set(_tasks(jar, array, HELD))
    # Those in waiting/ first, so that none slips past.
    rest = (place for state in (WAITING, UNCLAIMED) for place in _tasks(jar, array, state))
    return [moved for moved in (_hold(jar, place, mine, there) for place in rest) if moved]


def _hold(jar: Jar, place: Place, mine: str, there: set[Place]) -> Place | None:
    # A namesake is a copy that somebody has made.
    is_free = place._replace(state=HELD) not in there
    try:
        return moves.hold(jar, place, None if is_free else mine)
    except Fenced:
        # RACE: somebody has removed the category, and whatever was in it.
        return None


def release(jar: Jar, name: str) -> list[notes.Line]:
    """What is to be noted before the task `name` is released by a person, for what has failed until then is not to
    count any more; nothing of a task whose array was not held because of it."""
    task = jobname.array_task(name)
    array = task and jobname.join(task[0], 0)
    if array is None or not any(line.get("e") == "hold" and "failed" in line for line in notes.read(jar, array)):
        return []
    return [(array, None, "release", {"at": registration.server_now(jar)})]


def _failed(jar: Jar, array: str, limit: int) -> int:
    """How many tasks of the array have failed since a person has last released any; 0 if no `limit` have ever."""
    found = [entry for entry in fslook.scan_uncached(jar.failed) if _is_of(array, entry.name)]
    if len(found) < limit:
        return 0
    released = [line["at"] for line in notes.read(jar, jobname.join(array, 0))
                if line.get("e") == "release" and isinstance(line.get("at"), (int, float))]
    since = max(released, default=float("-inf"))
    return sum(_has_failed(jar, entry, since) for entry in found)


def _has_failed(jar: Jar, entry: os.DirEntry, since: float) -> bool:
    # A link whose target is missing says nothing yet.
    if entry.is_symlink() and not fslook.is_there(jar.completed, entry.name):
        return False
    lines = notes.in_order(notes.read(jar, entry.name))
    said = [line["e"] for line in lines if line.get("e") in (notes.CANCEL, "retry")]
    # That a person did not want it says nothing about the others.
    return said[-1:] != [notes.CANCEL] and _failed_at(jar, entry) > since


def _failed_at(jar: Jar, entry: os.DirEntry) -> float:
    """When the task failed, by the server's clock."""
    found = fslook.status(jar.failed, entry.name)
    if found is None:
        # RACE: it has just been retried.
        return float("-inf")
    # The names of one file have their ctime in common; but why one came there was noted just before.
    return notes.written(jar, entry.name) or found.st_ctime if found.st_nlink > 1 else found.st_ctime


def _is_of(array: str, name: str) -> bool:
    return name.startswith(array + "_") and jobname.array_task(name) is not None


def _tasks(jar: Jar, array: str, state: str) -> Iterator[Place]:
    """The array's tasks in a queue."""
    for entry in fslook.scan_uncached(jar.directory(state)):
        if _is_of(array, entry.name):
            yield Place(state, None, entry.name)
        elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from (Place(state, entry.name, name) for name in _names(entry.path) if _is_of(array, name))


def _names(directory: str) -> list[str]:
    try:
        return fslook.names_uncached(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: the category has just been removed.
        return []
