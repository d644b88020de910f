"""One look at the whole jar: what waits, who runs what, what has ended, and what needs a person. It changes nothing.

Everything may move while it is looked at. Places are visited in the order of a job's life, so a job that moves on
meanwhile may be seen twice but is not missed. Ages are by this computer's clock and are for people; nothing is decided
by them.
"""

import os
import stat
import time
from collections import namedtuple
from collections.abc import Iterator

from jobjar import fslook, layout, notes, orders, registration, staff, states
from jobjar.errors import TryAgain
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.staff import Worker

# Seconds after which a file in limbo/ has probably been forgotten there.
DRAFT_OLD = 3600.0

# What lies in a queue and will never be claimed, and why.
Foreign = namedtuple("Foreign", "state category name reason")
# `ran`: True = a link, the job completed/NAME ended badly; False = the file itself, it never ran to completion.
Failed = namedtuple("Failed", "name ran reason")
Draft = namedtuple("Draft", "name since")
# `jobs`: the Places of unclaimed/, held/ and waiting/; `drains`: node → reason; `markers`: STOP_ALL, PAUSE_ALL;
# `troubles`: sentences about what could not be looked at; `now`: when the look began.
Census = namedtuple("Census", "jobs foreign workers completed failed drafts drains markers troubles now")


def look(jar: Jar, me: Identity) -> Census:
    """Everything there is to say about the jar, as seen from the process `me`; out of date on return."""
    troubles = []
    drafts = _drafts(jar, time.time(), troubles)
    seen = active(jar, me)
    done = _completed(jar, troubles)
    failed = _failed(jar, done, troubles)
    return seen._replace(jobs=tuple(sorted(seen.jobs, key=_order)), foreign=tuple(sorted(seen.foreign, key=_order)),
                         completed=tuple(done), failed=tuple(failed), drafts=tuple(drafts),
                         troubles=(*seen.troubles, *troubles))


def active(jar: Jar, me: Identity) -> Census:
    """What waits and who runs what, in the order in which directories were listed; nothing of what has ended."""
    now, troubles, foreign = time.time(), [], []
    jobs = [job for state in reversed(states.QUEUES) for job in _queue(jar, state, foreign, troubles)]
    common = {entry.name for entry in fslook.entries(jar.workers, troubles)}
    workers = staff.look(jar, me, common, now, troubles)
    markers = tuple(m for m in (layout.STOP_ALL, layout.PAUSE_ALL) if m in common)
    drains = orders.drains_among(jar, common)
    return Census(tuple(jobs), tuple(foreign), tuple(workers), (), (), (), drains, markers, tuple(troubles), now)


def workers(jar: Jar, me: Identity) -> list[Worker]:
    """All workers, also those that have left, by node and pid."""
    common = {entry.name for entry in fslook.entries(jar.workers, [])}
    return staff.look(jar, me, common, time.time(), [])


def queued(jar: Jar, state: str) -> list[Place]:
    """The jobs in unclaimed/, held/ or waiting/, by category and name."""
    return sorted(_queue(jar, state, [], []), key=_order)


def claimed(jar: Jar) -> list[Place]:
    """The jobs that workers have, also dead ones; each with the directory that holds it."""
    found = []
    for name in registration.workers(jar):
        found += staff.holdings(jar.worker(name), {entry.name for entry in fslook.entries(jar.worker(name), [])}, [])
    return found


def completed(jar: Jar) -> list[str]:
    """The names of the jobs that were run to completion, however they ended. TryAgain: they cannot be seen."""
    troubles: list[str] = []
    return _all_of(_completed(jar, troubles), troubles)


def failed(jar: Jar) -> list[Failed]:
    """The jobs that need a person: those that ended badly and those that never ran to completion, with the reason.

    TryAgain: not all can be seen.
    """
    troubles: list[str] = []
    return _all_of(_failed(jar, _completed(jar, troubles), troubles), troubles)


def _all_of(found: list, troubles: list[str]) -> list:
    if troubles:
        # None would be taken for the answer.
        raise TryAgain(f"{troubles[0]}: nobody can say from here what has ended; try again, or mend that first")
    return found


def unread(census: Census) -> dict[str | None, int]:
    """The categories (None: uncategorized) that no live worker reads, each with the number of jobs waiting there."""
    live = [worker for worker in census.workers if worker.state in staff.LIVE]
    read = {category for worker in live for category in (None, worker.node, *worker.categories)}
    counts = {}
    for job in census.jobs:
        if job.state == states.UNCLAIMED and job.category not in read:
            counts[job.category] = counts.get(job.category, 0) + 1
    return counts


def _order(item: Place | Foreign) -> tuple:
    return states.QUEUES.index(item.state), item.category or "", item.name


def _queue(jar: Jar, state: str, foreign: list[Foreign], troubles: list[str]) -> Iterator[Place]:
    for entry in fslook.entries(jar.directory(state), troubles):
        # Without looking behind links: they may lead in circles, and no worker follows them.
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            for inner in fslook.entries(entry.path, troubles):
                yield from _judged(state, entry.name, inner, foreign)
        else:
            yield from _judged(state, None, entry, foreign)


def _judged(state: str, category: str | None, entry: os.DirEntry, foreign: list[Foreign]) -> Iterator[Place]:
    """The job that the entry is, or none; what will never be claimed goes to `foreign`."""
    if entry.name.startswith(".") and entry.is_symlink():
        # A reservation.
        return
    try:
        why = why_not(entry.name, entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        # RACE: a worker has claimed it.
        return
    except OSError as error:
        why = f"cannot be looked at: {error.strerror}"
    if why is None:
        yield Place(state, category, entry.name)
    else:
        foreign.append(Foreign(state, category, entry.name, why))


def why_not(name: str, mode: int) -> str | None:
    """Why no worker will ever claim it; None when one will."""
    if name.startswith("."):
        return "its name begins with a dot"
    if stat.S_ISDIR(mode):
        return "a directory inside a category: only one level is read"
    if stat.S_ISLNK(mode):
        return "a symbolic link: only files are run"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return None if mode & stat.S_IXUSR else "not executable: make it so with chmod +x"


def _completed(jar: Jar, troubles: list[str]) -> list[str]:
    return sorted(entry.name for entry in fslook.entries(jar.completed, troubles) if fslook.is_file_entry(entry))


def _failed(jar: Jar, done: list[str], troubles: list[str]) -> list[Failed]:
    """What is in failed/, to be asked after `done` was listed: the other order takes a failed job for a success."""
    ended, found = set(done), []
    for entry in fslook.entries(jar.failed, troubles):
        if fslook.is_file_entry(entry):
            found.append(Failed(entry.name, False, _reason(jar, entry.name)))
        # A link whose target is missing says nothing yet: the job is about to be completed or cleaned away.
        elif entry.is_symlink() and entry.name in ended:
            found.append(Failed(entry.name, True, "it ended badly"))
    return sorted(found)


def _reason(jar: Jar, name: str) -> str:
    """Why the job failed/NAME never ran to completion: what was noted last about it."""
    try:
        lines = [line for line in notes.read(jar, name) if isinstance(line.get("why"), str)]
    except OSError:
        lines = []
    said = notes.in_order(lines)
    return said[-1]["why"] if said else "no reason has been noted"


def _drafts(jar: Jar, now: float, troubles: list[str]) -> list[Draft]:
    names = [entry.name for entry in fslook.entries(jar.limbo, troubles) if not entry.name.startswith(".")]
    drafts = [Draft(name, since) for name in sorted(names) if (since := fslook.mtime(jar.limbo, name)) is not None]
    return [draft for draft in drafts if now - draft.since > DRAFT_OLD]
