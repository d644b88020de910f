"""What stands in a pending job's way, as far as the job itself and the jar go: one rule for each thing to look at.

What its workers have to do with it is said in `explaining`.
"""

import os
import stat
from collections.abc import Callable, Iterator

from jobjar import accounting, census, claiming, fslook, jobname, listing, notes, reasons, text, trust, turns, waits
from jobjar.config import Settings
from jobjar.errors import UsageError
from jobjar.layout import Place
from jobjar.reasons import Facts
from jobjar.states import HELD, UNCLAIMED


class Pending:
    """A job in a queue, and what is looked at for it."""

    def __init__(self, facts: Facts, place: Place, settings: Settings) -> None:
        self.facts, self.place, self.settings = facts, place, settings
        self.jar, self.now = facts.jar, facts.seen.now
        self.id = jobname.split(place.name)[0]
        self.path = self.jar.path(place)
        self.status = fslook.status(*os.path.split(self.path))
        # What it says itself, as (Slurm's word, a sentence); None when it does not stand in its own way.
        self.said = waits.reasons(self.jar, [place]).get(place)


def _file(job: Pending) -> Iterator[str]:
    found = job.status
    if found is None:
        yield f"{job.path} is not there any more: it has just moved on, so ask again"
        return
    why = census.why_not(job.place.name, found.st_mode)
    if why:
        yield f"no worker will ever claim it: {why}"
    elif found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"it is set-id, so the worker that claims it will refuse it: chmod ug-s {text.escape(job.path)}"
    elif found.st_nlink > 1 and not trust.is_private(job.jar, job.settings):
        yield "its file has several names, so the worker that claims it will refuse it: put a copy in its place"
    elif not found.st_size and job.now - found.st_mtime < claiming.EMPTY_AGE:
        yield "its file is empty, and is left alone until it is two seconds old"


def _request(job: Pending) -> Iterator[str]:
    try:
        claiming.request(job.path)
    except UsageError as error:
        yield f"the worker that claims it will refuse it, for its #JJ lines will not do: {error}"


def _held(job: Pending) -> Iterator[str]:
    if job.place.state == HELD:
        reason = reasons.of(job.facts, job.place)
        line = reasons.held_by(job.facts, job.place)
        who, when = accounting.string(line, "who"), accounting.number(line, "t")
        by = f" by {who}" if who else "" if line else " since it was submitted"
        since = f" since {accounting.moment(when)}" if when else ""
        why = f": {reason.says}" if accounting.string(line, "why") else ""
        yield f"it is held{by}{since}{why}; `jobjar release {job.id}` lets it go"


def _waits(job: Pending) -> Iterator[str]:
    if job.said:
        yield job.said[1]
    task = jobname.array_task(job.place.name)
    if job.said and job.said[0] == "JobArrayTaskLimit" and task:
        yield f"{turns.Turns(job.jar).active(task[0])} tasks of its array are at work or next in the queue now"


def _failures(job: Pending) -> Iterator[str]:
    counted = notes.tally(job.jar, job.place.name, job.place.category)
    if counted.deaths:
        yield (f"its worker has died {_times(len(counted.deaths))}: when it has been begun"
               f" {job.settings.max_attempts} times (JJ_MAX_ATTEMPTS) it goes to failed/")
    again = sorted(counted.requeues.values(), key=lambda line: accounting.number(line, "t") or 0)
    if again:
        node = accounting.string(again[-1], "node")
        why = listing.how(again[-1]) or "it is not said why"
        yield (f"it was given back {_times(len(again))}, the last time on {node}: {why}; workers there leave it to"
               " those of other nodes for a while")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _category(job: Pending) -> Iterator[str]:
    if job.place.state == UNCLAIMED and not job.facts.readers(job.place.category):
        if job.place.category is None or not job.facts.live:
            yield "no live worker is there: `start_worker` on some node starts one"
        else:
            yield (f"no live worker reads category {job.place.category}: `start_worker {job.place.category}` starts one"
                   f" that does, and `jobjar move {job.id}` takes the job to another category")


def _drains(job: Pending) -> Iterator[str]:
    for of, why in job.facts.seen.drains.items():
        yield f"node {of} is drained{': ' + why if why else ''}; `jobjar undrain {of}` lets workers work there"


def turn(job: Pending) -> Iterator[str]:
    """The job's place in the order of claiming, of a job that may be claimed."""
    names = job.facts.queues.get(job.place.category, [])
    if job.place.state == UNCLAIMED and job.place.name in names:
        where = f"in category {job.place.category}" if job.place.category else "among those without category"
        yield f"it is number {names.index(job.place.name) + 1} of {len(names)} {where}"


NOTHING = ("nothing stands in its way: looked at were its file, its #JJ lines, its notes, its time, its turn and every"
           " worker; one of them should claim it at its next look")

# Each gives sentences about what stands in the job's way, and what to do about it.
RULES: tuple[Callable[[Pending], Iterator[str]], ...] = (_file, _request, _held, _waits, _failures, _category, _drains)
