"""Where the jobs are, and what speaks of them: is each in one place, and does every link and log belong to a job?"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator

from jobjar import census, fslook, jobname, layout, reservation
from jobjar.findings import INFORMATION, PERSON, THREAT, UNTIDY, Finding
from jobjar.fslook import FILE, LINK, Entry
from jobjar.inventory import Inventory, Seen, is_job, is_probe


def find(seen: Inventory) -> Iterator[Finding]:
    """What is wrong with the places of jobs, the links in failed/ and claimed/, and the logs."""
    yield from _twice(seen)
    yield from _completed(seen)
    # When completed/ is out of sight nobody can say what belongs to nothing in it.
    if os.path.isdir(seen.jar.completed) and not seen.is_closed(seen.jar.completed):
        yield from _failed(seen)
        yield from _logs(seen)
    yield from _claimed(seen)
    for (state, category), entries in seen.queues.items():
        for entry in entries:
            yield from _queued(seen, state, category, entry)


def _twice(seen: Inventory) -> Iterator[Finding]:
    """The files that lie in more than one place."""
    places: dict[int, list[Seen]] = {}
    for job in seen.jobs():
        places.setdefault(job.ino, []).append(job)
    for jobs in places.values():
        jobs = _suspects(jobs)
        if len(jobs) < 2:
            continue
        # RACE: a job that moved on while the directories were listed was seen twice. What is in two places in both of
        # these rounds was in both of them at one time, between the rounds.
        first = [_identity(seen, job) for job in jobs]
        again = [_identity(seen, job) for job in jobs]
        known = {identity for identity in first if identity}
        for identity in known:
            same = [job for job, a, b in zip(jobs, first, again) if a == b == identity]
            if len(same) > 1:
                yield from _names(seen, same, identity)


def _suspects(jobs: list[Seen]) -> list[Seen]:
    """Those jobs of one file that should not be; the tasks of an array are meant to, each once."""
    arrays = {(jobname.array_task(job.place.name) or (None,))[0] for job in jobs}
    if len(arrays) > 1 or None in arrays:
        return jobs
    count = Counter(_stem(job.place.name) for job in jobs)
    return [job for job in jobs if count[_stem(job.place.name)] > 1]


def _stem(name: str) -> str:
    """The id without what it gets when a name is taken."""
    return re.sub(r"~\d+$", "", jobname.split(name)[0])


def _identity(seen: Inventory, job: Seen) -> tuple[int, int] | None:
    found = fslook.status(*os.path.split(seen.jar.path(job.place)))
    return (found.st_dev, found.st_ino) if found and stat.S_ISREG(found.st_mode) else None


def _names(seen: Inventory, same: list[Seen], identity: tuple[int, int]) -> Iterator[Finding]:
    """One file under several names. Under one id they are one job; else somebody has made several jobs of one file."""
    by_id: dict[str, list[str]] = {}
    for job in same:
        by_id.setdefault(_stem(job.place.name), []).append(seen.jar.path(job.place))
    for paths in by_id.values():
        if len(paths) > 1:
            yield Finding(THREAT, "two-places", paths[0], f"this job is the same file as {_some(paths[1:])}, and would"
                          " be run once for each: find out which is right, and remove the other names", identity)
    if len(by_id) > 1:
        paths = sorted(paths[0] for paths in by_id.values())
        yield Finding(INFORMATION, "shared-file", paths[0], f"one file with {_some(paths[1:])}: each name is a job of"
                      " its own, and whoever writes into one changes them all", identity)


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _completed(seen: Inventory) -> Iterator[Finding]:
    for entry in seen.completed:
        path = os.path.join(seen.jar.completed, entry.name)
        if entry.name.startswith("."):
            yield from _dot_name(path, entry)
        elif entry.kind == LINK:
            text = fslook.link_text(path)
            if text is not None and reservation.parse(text) is None:
                yield _foreign(path, f"a symbolic link to {text}, which is no job and holds no name for one", entry)
        elif entry.kind != FILE:
            yield _foreign(path, "not a regular file, so no job", entry)


def _dot_name(path: str, entry: Entry) -> Iterator[Finding]:
    # `leavings` looks at probes.
    if not is_probe(*os.path.split(path)):
        yield _foreign(path, "its name begins with a dot, so nobody looks at it", entry)


def _foreign(path: str, why: str, entry: Entry) -> Finding:
    return Finding(PERSON, "foreign", path, f"{why}: move it elsewhere or remove it", (entry.kind, entry.ino))


def _failed(seen: Inventory) -> Iterator[Finding]:
    done = {entry.name: entry for entry in seen.completed}
    for entry in seen.failed:
        path, there = os.path.join(seen.jar.failed, entry.name), done.get(entry.name)
        if entry.name.startswith("."):
            yield from _dot_name(path, entry)
        elif entry.kind == LINK:
            yield from _link(path, entry, there)
        elif entry.kind != FILE:
            yield _foreign(path, "not a regular file, so no job", entry)
        elif there is not None and there.kind == FILE:
            other = os.path.join(seen.jar.completed, entry.name)
            yield Finding(PERSON, "one-name", path, f"{other} is another job of the same name and looks as if it had"
                          " ended badly: give the file in failed/ another name", (entry.ino, there.ino))


def _link(path: str, entry: Entry, there: Entry | None) -> Iterator[Finding]:
    text = fslook.link_text(path)
    if text is not None and text != layout.failed_link(entry.name):
        yield Finding(PERSON, "wrong-link", path, f"a symbolic link to {text}, not to {layout.failed_link(entry.name)}:"
                      " it says nothing about a job, so remove it", (entry.ino,))
    # A reservation: that job is about to be completed, or its owner is looked for elsewhere.
    elif text is not None and (there is None or there.kind not in (FILE, LINK)):
        yield Finding(UNTIDY, "dangling-link", path, "it says that a job ended badly that is not in completed/ any"
                      " more: `jobjar check --repair` or, in time, `recover_stranded` removes it", (entry.ino,))


def _logs(seen: Inventory) -> Iterator[Finding]:
    known = {entry.name for entry in seen.completed if entry.kind in (FILE, LINK)}
    for entry in seen.logs:
        path = os.path.join(seen.jar.logs, entry.name)
        if entry.name.startswith("."):
            yield from _dot_name(path, entry)
        elif entry.kind != FILE:
            yield _foreign(path, "no job has printed this", entry)
        elif entry.name not in known and ".attempt-" not in entry.name:
            yield Finding(INFORMATION, "log-alone", path, "what a job has printed that is not in completed/: it removed"
                          " itself, or somebody has taken it away; remove the log if nobody needs it", (entry.ino,))


def _claimed(seen: Inventory) -> Iterator[Finding]:
    for entry in seen.claimed:
        path = os.path.join(seen.jar.claimed, entry.name)
        text = fslook.link_text(path)
        if entry.kind != LINK:
            yield Finding(THREAT if is_job(entry) else PERSON, "not-a-view", path, "only links lie in claimed/, and no"
                          " worker looks for jobs there: if it is a job, move it to unclaimed/", (entry.ino,))
        elif text is not None and seen.jar.viewed(text) is None:
            yield Finding(PERSON, "foreign", path, f"a symbolic link to {text}, where no worker of {seen.jar.workers}"
                          " has its claims/: set JJ_WORKER_HOME as the workers have it, or else remove the link",
                          (entry.kind, entry.ino))
        elif text is not None and not seen.owns(seen.jar.viewed(text)):
            yield Finding(UNTIDY, "old-view", path, "a link to a job that its worker does not have any more:"
                          " `recover_stranded` or `jobjar check --repair` removes it", (entry.ino, text))


def _queued(seen: Inventory, state: str, category: str | None, entry: Entry) -> Iterator[Finding]:
    path = os.path.join(seen.jar.directory(state, category), entry.name)
    if category is None and entry.kind == fslook.DIRECTORY and not entry.name.startswith("."):
        return
    if entry.kind == LINK and entry.name.startswith("."):
        text = fslook.link_text(path)
        if text is not None and reservation.parse(text) is None:
            yield _foreign(path, f"a symbolic link to {text}, which holds no name for a job", entry)
        return
    try:
        why = census.why_not(entry.name, os.lstat(path).st_mode)
    except FileNotFoundError:
        # RACE: a worker has claimed it.
        return
    if why is not None:
        yield Finding(PERSON, "not-a-job", path, f"nobody will ever claim this: {why}", (entry.kind, entry.ino))
