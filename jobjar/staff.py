"""The workers of a jar as one look shows them. The state of a worker, in our own words:

    IDLE      waits for a job              RUNNING   has a job
    PAUSED    has none and is to pause     STOPPING  is to leave, at once or after its job (STOP, STOP_ALL, DRAIN)
    LEFT      owns nothing any more        STRANDED  provably dead, and its jobs have not been recovered
    FENCED    its jobs have been taken over and that recovery has not ended
    BLOCKED   would wait for a job, but the jar has less room than its JJ_MIN_FREE, so it claims nothing
    UNKNOWN   nothing can be said: it cannot be judged from here and its last contact is long ago

A worker of another node cannot be judged from here; with a recent contact it is shown as its directory has it.
"""

import os
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import cache

from jobjar import fslook, layout, node, orders, registration, states
from jobjar.layout import Jar, Place
from jobjar.node import Identity

IDLE, RUNNING, PAUSED, BLOCKED, STOPPING = "IDLE", "RUNNING", "PAUSED", "BLOCKED", "STOPPING"
LEFT, STRANDED, FENCED, UNKNOWN = "LEFT", "STRANDED", "FENCED", "UNKNOWN"
# Those of whom it may be expected that they do what they say.
LIVE = (IDLE, RUNNING, PAUSED, BLOCKED, STOPPING)

# Seconds without a beat after which a worker that cannot be judged is shown as UNKNOWN.
CONTACT_LOST = node.BEAT_VETO

# `jobs`: Places; `since`: when the job came to it; `contact`: its last beat (both seconds since the epoch, or None);
# `markers`: the names of those that act on it; `categories`: what it reads besides its node's and uncategorized.
# `reason`: why it is PAUSED, if it has said so itself, or BLOCKED; else "".
Worker = namedtuple("Worker", "name node pid state jobs since contact markers categories reason")


def look(jar: Jar, me: Identity, common: set[str], now: float, troubles: list[str]) -> list[Worker]:
    """All workers, also those that have left, by node and pid; `common`: what lies in the workers' directory."""
    found = sorted((parts, name) for name in common if (parts := layout.split_worker(name)))
    seen = [_worker(jar, me, name, common, now, troubles) for _, name in found]
    # Nothing that a worker writes can be relied on when the disk is full, so its own look is made here once more.
    lack = cache(lambda least: _lack(jar, least, troubles))
    return [_explained(jar, worker, lack) for worker in seen]


def _worker(jar: Jar, me: Identity, name: str, common: set[str], now: float, troubles: list[str]) -> Worker:
    of, pid = layout.split_worker(name)
    unseen = len(troubles)
    own = {entry.name for entry in fslook.entries(jar.worker(name), troubles)}
    if not any(map(layout.is_holder, own)):
        state = UNKNOWN if len(troubles) > unseen else LEFT
        return Worker(name, of, pid, state, (), None, None, (), (), "")
    jobs = tuple(holdings(jar.worker(name), own, troubles))
    record = registration.read(jar, name)
    contact = fslook.mtime(jar.worker(name), "beat")
    markers = _markers(own, common, of)
    verdict = _verdict(record, name, me, contact, now)
    return Worker(name, of, pid, _state(verdict, layout.CLAIMS in own, jobs, markers, contact, now), jobs,
                  _since(jobs), contact, markers, _categories(record), "")


def _explained(jar: Jar, worker: Worker, lack: Callable[[tuple[int, int]], str | None]) -> Worker:
    """The worker with the reason why it does nothing, if it is known."""
    if worker.state == PAUSED and layout.PAUSE in worker.markers:
        return worker._replace(reason=orders.why_paused(jar, worker.name))
    if worker.state == IDLE and (why := lack(_min_free(registration.read(jar, worker.name)))):
        return worker._replace(state=BLOCKED, reason=why)
    return worker


def _lack(jar: Jar, least: tuple[int, int], troubles: list[str]) -> str | None:
    try:
        return fslook.shortage(jar.home, least)
    except OSError as error:
        troubles.append(f"{jar.home} does not say how much room there is: {error.strerror}")
        return None


def _min_free(record: registration.Record | None) -> tuple[int, int]:
    """What must be free for the worker, as worker.json has it; nothing, when it says nothing that can be understood."""
    said = record.extra.get("min_free") if record else None
    is_understood = isinstance(said, list) and len(said) == 2 and all(type(number) is int for number in said)
    return tuple(said) if is_understood else (0, 0)


def holdings(directory: str, own: set[str], troubles: list[str]) -> Iterator[Place]:
    """The jobs in a worker's claims/, or in what has been made of it."""
    for holder in filter(layout.is_holder, sorted(own)):
        top = os.path.join(directory, holder)
        for entry in fslook.entries(top, troubles):
            if entry.is_dir(follow_symlinks=False):
                for inner in filter(fslook.is_file_entry, fslook.entries(entry.path, troubles)):
                    yield Place(states.CLAIMS, entry.name, inner.name, top)
            elif fslook.is_file_entry(entry):
                yield Place(states.CLAIMS, None, entry.name, top)


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
    return fslook.mtime(top, last)


def _categories(record: registration.Record | None) -> tuple[str, ...]:
    said = record.extra.get("categories") if record else None
    return tuple(c for c in said if isinstance(c, str)) if isinstance(said, list) else ()
