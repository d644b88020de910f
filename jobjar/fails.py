"""--max-fails: when so many tasks of an array have failed, the rest of it is held.

Whoever ends a task badly looks, after that has been committed; recovery does so for a worker that died before it could.
Every step may be repeated. docs/PROTOCOL.md section 6, "Max-fails".
"""

import os
from collections.abc import Iterator

from jobjar import fslook, fsops, jobname, layout, moves, notes, reservation
from jobjar.directives import Request
from jobjar.errors import Fenced
from jobjar.layout import Jar, Place
from jobjar.states import HELD, UNCLAIMED, WAITING


def enforce(jar: Jar, writer: str, mine: str, name: str, asked: Request) -> list[Place]:
    """After the task `name`, which asks for `asked`, has failed: hold the rest of its array if that is too many.

    `writer`: NODE.PID of this process; `mine`: the text of its reservations. Returns what has been held.
    """
    task, limit = jobname.array_task(name), asked.get("max_fails")
    if task is None or limit is None or "array" not in asked or not _are_failed(jar, task[0], limit):
        return []
    array = task[0]
    # RACE: others see as many failures. Who comes second leaves it to the first; when that one dies, to its recovery.
    if not fsops.link(mine, os.path.join(jar.held, layout.dot_name(array))):
        return []
    try:
        why = f"{limit} of its tasks have failed (--max-fails={limit}): look at them, then `jobjar release {array}`"
        notes.add(jar, writer, jobname.join(array, 0), None, "hold", why=why)
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


def _are_failed(jar: Jar, array: str, limit: int) -> bool:
    """Whether at least `limit` tasks of the array have failed."""
    found = [entry for entry in fslook.scan_uncached(jar.failed) if _is_of(array, entry.name)]
    if len(found) < limit:
        return False
    # A link whose target is missing says nothing yet.
    return sum(not entry.is_symlink() or fslook.is_there(jar.completed, entry.name) for entry in found) >= limit


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
        return []
