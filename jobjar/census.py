"""One look at the whole jar: what waits, who runs what, what has ended, and what needs a person. It changes nothing.

Everything may move while it is looked at. Places are visited in the order of a job's life, so a job that moves on
meanwhile may be seen twice but is not missed. Ages are by this computer's clock and are for people; nothing is decided
by them. The state of a worker, in our own words:

    IDLE      waits for a job              RUNNING   has a job
    PAUSED    has none and is to pause     STOPPING  is to leave, at once or after its job (STOP, STOP_ALL, DRAIN)
    LEFT      owns nothing any more        STRANDED  provably dead, and its jobs have not been recovered
    FENCED    its jobs have been taken over and that recovery has not ended
    UNKNOWN   nothing can be said: it cannot be judged from here and its last contact is long ago

A worker of another node cannot be judged from here; with a recent contact it is shown as its directory has it.
"""

import os
import stat
import time
from collections import namedtuple
from collections.abc import Iterator

from jobjar import fslook, layout, node, notes, orders, registration, states
from jobjar.layout import Jar, Place
from jobjar.node import Identity

IDLE, RUNNING, PAUSED, STOPPING = "IDLE", "RUNNING", "PAUSED", "STOPPING"
LEFT, STRANDED, FENCED, UNKNOWN = "LEFT", "STRANDED", "FENCED", "UNKNOWN"
# Those of whom it may be expected that they do what they say.
LIVE = (IDLE, RUNNING, PAUSED, STOPPING)

# Seconds without a beat after which a worker that cannot be judged is shown as UNKNOWN.
CONTACT_LOST = node.BEAT_VETO
# Seconds after which a file in limbo/ has probably been forgotten there.
DRAFT_OLD = 3600.0

# `jobs`: Places; `since`: when the job came to it; `contact`: its last beat (both seconds since the epoch, or None);
# `markers`: the names of those that act on it; `categories`: what it reads besides its node's and uncategorized.
Worker = namedtuple("Worker", "name node pid state jobs since contact markers categories")
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
    now, troubles, foreign = time.time(), [], []
    drafts = _drafts(jar, now, troubles)
    jobs = [job for state in reversed(states.QUEUES) for job in _queue(jar, state, foreign, troubles)]
    common = {entry.name for entry in _entries(jar.workers, troubles)}
    staff = _workers(jar, me, common, now, troubles)
    done = _completed(jar, troubles)
    failed = _failed(jar, done, troubles)
    markers = tuple(m for m in (layout.STOP_ALL, layout.PAUSE_ALL) if m in common)
    drains = orders.drains_among(jar, common)
    return Census(tuple(sorted(jobs, key=_order)), tuple(sorted(foreign, key=_order)), tuple(staff), tuple(done),
                  tuple(failed), tuple(drafts), drains, markers, tuple(troubles), now)


def workers(jar: Jar, me: Identity) -> list[Worker]:
    """All workers, also those that have left, by node and pid."""
    common = {entry.name for entry in _entries(jar.workers, [])}
    return _workers(jar, me, common, time.time(), [])


def queued(jar: Jar, state: str) -> list[Place]:
    """The jobs in unclaimed/, held/ or waiting/, by category and name."""
    return sorted(_queue(jar, state, [], []), key=_order)


def claimed(jar: Jar) -> list[Place]:
    """The jobs that workers have, also dead ones; each with the directory that holds it."""
    found = []
    for name in registration.workers(jar):
        found += _holdings(jar.worker(name), {entry.name for entry in _entries(jar.worker(name), [])}, [])
    return found


def completed(jar: Jar) -> list[str]:
    """The names of the jobs that were run to completion, however they ended."""
    return _completed(jar, [])


def failed(jar: Jar) -> list[Failed]:
    """The jobs that need a person: those that ended badly and those that never ran to completion, with the reason."""
    return _failed(jar, _completed(jar, []), [])


def unread(census: Census) -> dict[str | None, int]:
    """The categories (None: uncategorized) that no live worker reads, each with the number of jobs waiting there."""
    live = [worker for worker in census.workers if worker.state in LIVE]
    read = {category for worker in live for category in (None, worker.node, *worker.categories)}
    counts = {}
    for job in census.jobs:
        if job.state == states.UNCLAIMED and job.category not in read:
            counts[job.category] = counts.get(job.category, 0) + 1
    return counts


def _order(item: Place | Foreign) -> tuple:
    return states.QUEUES.index(item.state), item.category or "", item.name


def _entries(directory: str, troubles: list[str]) -> list[os.DirEntry]:
    """What a listing shows, dot names too; nothing, and a sentence in `troubles`, when it cannot be listed."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it was there a moment ago; a status must come to its end whatever happens meanwhile.
        return []
    except OSError as error:
        troubles.append(f"{directory} cannot be looked into: {error.strerror}")
        return []


def _queue(jar: Jar, state: str, foreign: list[Foreign], troubles: list[str]) -> Iterator[Place]:
    for entry in _entries(jar.directory(state), troubles):
        # Without looking behind links: they may lead in circles, and no worker follows them.
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            for inner in _entries(entry.path, troubles):
                yield from _judged(state, entry.name, inner, foreign)
        else:
            yield from _judged(state, None, entry, foreign)


def _judged(state: str, category: str | None, entry: os.DirEntry, foreign: list[Foreign]) -> Iterator[Place]:
    """The job that the entry is, or none; what will never be claimed goes to `foreign`."""
    if entry.name.startswith(".") and entry.is_symlink():
        # A reservation.
        return
    try:
        why = _why_not(entry.name, entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        # RACE: a worker has claimed it.
        return
    except OSError as error:
        why = f"cannot be looked at: {error.strerror}"
    if why is None:
        yield Place(state, category, entry.name)
    else:
        foreign.append(Foreign(state, category, entry.name, why))


def _why_not(name: str, mode: int) -> str | None:
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


def _workers(jar: Jar, me: Identity, common: set[str], now: float, troubles: list[str]) -> list[Worker]:
    found = sorted((parts, name) for name in common if (parts := layout.split_worker(name)))
    return [_worker(jar, me, name, common, now, troubles) for _, name in found]


def _worker(jar: Jar, me: Identity, name: str, common: set[str], now: float, troubles: list[str]) -> Worker:
    of, pid = layout.split_worker(name)
    unseen = len(troubles)
    own = {entry.name for entry in _entries(jar.worker(name), troubles)}
    owns = layout.CLAIMS in own or any(map(_is_fence, own))
    if not owns:
        state = UNKNOWN if len(troubles) > unseen else LEFT
        return Worker(name, of, pid, state, (), None, None, (), ())
    jobs = tuple(_holdings(jar.worker(name), own, troubles))
    record = registration.read(jar, name)
    contact = _mtime(jar.worker(name), "beat")
    markers = _markers(own, common, of)
    verdict = _verdict(record, name, me, contact, now)
    return Worker(name, of, pid, _state(verdict, layout.CLAIMS in own, jobs, markers, contact, now), jobs,
                  _since(jobs), contact, markers, _categories(record))


def _is_fence(name: str) -> bool:
    return name.startswith(layout.RECOVERING)


def _holdings(directory: str, own: set[str], troubles: list[str]) -> Iterator[Place]:
    """The jobs in a worker's claims/, or in what has been made of it."""
    for holder in sorted(own):
        if holder != layout.CLAIMS and not _is_fence(holder):
            continue
        top = os.path.join(directory, holder)
        for entry in _entries(top, troubles):
            if entry.is_dir(follow_symlinks=False):
                for inner in filter(_is_job, _entries(entry.path, troubles)):
                    yield Place(states.CLAIMS, entry.name, inner.name, top)
            elif _is_job(entry):
                yield Place(states.CLAIMS, None, entry.name, top)


def _is_job(entry: os.DirEntry) -> bool:
    return entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")


def _markers(own: set[str], common: set[str], of: str) -> tuple[str, ...]:
    mine = [marker for marker in (layout.STOP, layout.PAUSE, layout.RENEW) if marker in own]
    everybodys = [marker for marker in (layout.STOP_ALL, layout.PAUSE_ALL) if marker in common]
    return (*mine, *everybodys, *(["DRAIN"] if layout.DRAIN + of in common else []))


def _verdict(record: registration.Record | None, name: str, me: Identity, contact: float | None, now: float) -> str:
    """As `registration.verdict`, which cannot be asked here: it writes a file to learn the server's time."""
    if record is None or record.worker != name:
        return node.UNKNOWN
    return node.verdict(record.identity, me, node.BEAT_VETO if contact is None else now - contact)


def _state(verdict: str, has_claims: bool, jobs: tuple, markers: tuple, contact: float | None, now: float) -> str:
    if verdict == node.DEAD:
        return STRANDED
    if not has_claims:
        return FENCED
    if verdict == node.UNKNOWN and (contact is None or now - contact > CONTACT_LOST):
        return UNKNOWN
    if not {layout.STOP, layout.STOP_ALL, "DRAIN"}.isdisjoint(markers):
        return STOPPING
    if jobs:
        return RUNNING
    return IDLE if {layout.PAUSE, layout.PAUSE_ALL}.isdisjoint(markers) else PAUSED


def _since(jobs: tuple[Place, ...]) -> float | None:
    """When the first job came to its worker: its directory was last changed then. A file's own times go with it."""
    if not jobs:
        return None
    top, last = os.path.split(os.path.join(jobs[0].holder, jobs[0].category or "").rstrip("/"))
    return _mtime(top, last)


def _mtime(directory: str, name: str) -> float | None:
    try:
        found = fslook.status(directory, name)
    except OSError:
        # It cannot be looked into; whoever listed it has said so.
        return None
    return found.st_mtime if found else None


def _categories(record: registration.Record | None) -> tuple[str, ...]:
    said = record.extra.get("categories") if record else None
    return tuple(c for c in said if isinstance(c, str)) if isinstance(said, list) else ()


def _completed(jar: Jar, troubles: list[str]) -> list[str]:
    _refresh(jar.completed)
    return sorted(entry.name for entry in _entries(jar.completed, troubles) if _is_job(entry))


def _failed(jar: Jar, done: list[str], troubles: list[str]) -> list[Failed]:
    """What is in failed/, to be asked after `done` was listed: the other order takes a failed job for a success."""
    _refresh(jar.failed)
    ended, found = set(done), []
    for entry in _entries(jar.failed, troubles):
        if _is_job(entry):
            found.append(Failed(entry.name, False, _reason(jar, entry.name)))
        # A link whose target is missing says nothing yet: the job is about to be completed or cleaned away.
        elif entry.is_symlink() and entry.name in ended:
            found.append(Failed(entry.name, True, "it ended badly"))
    return sorted(found)


def _refresh(directory: str) -> None:
    try:
        fslook.forget_listing(directory)
    except OSError:
        # It will be listed next, and what is wrong with it said then.
        pass


def _reason(jar: Jar, name: str) -> str:
    """Why the job failed/NAME never ran to completion: what was noted last about it."""
    try:
        lines = [line for line in notes.read(jar, name) if isinstance(line.get("why"), str)]
    except OSError:
        lines = []
    # Of lines of one millisecond the later one counts.
    said = sorted(lines, key=lambda line: line["t"] if isinstance(line.get("t"), (int, float)) else 0)
    return said[-1]["why"] if said else "no reason has been noted"


def _drafts(jar: Jar, now: float, troubles: list[str]) -> list[Draft]:
    names = [entry.name for entry in _entries(jar.limbo, troubles) if not entry.name.startswith(".")]
    drafts = [Draft(name, since) for name in sorted(names) if (since := _mtime(jar.limbo, name)) is not None]
    return [draft for draft in drafts if now - draft.since > DRAFT_OLD]
