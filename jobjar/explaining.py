"""Why a job is not running, or what has become of it, in sentences with the remedy: rule by rule and node by node.

Only what was looked at is said; when nothing stands in a job's way, that is said too, with what was looked at.
"""

import os
import pwd
import stat
from collections import namedtuple
from collections.abc import Callable, Iterator

from jobjar import accounting, census, claiming, fslook, jobname, layout, listing, notes, reasons, registration, staff
from jobjar import states, text, turns, waits
from jobjar.census import Census
from jobjar.errors import UsageError
from jobjar.job import PENDING, RUNNING
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.reasons import Facts
from jobjar.staff import Worker
from jobjar.states import HELD, UNCLAIMED

# So many lines of what a job printed are shown of one that ended badly, of so many bytes at its end.
LINES, TAIL = 10, 8192

# `reason`: of a pending job Slurm's word, else ""; `says`: sentences about the job; `workers`: name → sentences about
# what each live worker, and each that cannot be judged, has to do with it.
Explanation = namedtuple("Explanation", "place state reason says workers")


def explain(jar: Jar, me: Identity, place: Place, max_attempts: int) -> Explanation:
    """What there is to say about the job at `place`, as seen from the process `me`."""
    seen = census.active(jar, me)
    if place.state in states.QUEUES:
        facts = Facts(jar, seen)
        job = Pending(facts, place, max_attempts)
        says = [sentence for _, rule in RULES for sentence in rule(job)]
        reason = reasons.of(facts, place)
        if not says and reason == reasons.NONE:
            says = [NOTHING]
        return Explanation(place, PENDING, reason.word, [*_turn(job), *says], _workers(job))
    if place.state == states.CLAIMS:
        return Explanation(place, RUNNING, "", list(_running(seen, place)), {})
    row = listing.of_ended(jar, place)
    return Explanation(place, row.state, "", list(_ended(jar, row)), {})


class Pending:
    """A job in a queue, and what is looked at for it."""

    def __init__(self, facts: Facts, place: Place, max_attempts: int) -> None:
        self.facts, self.place, self.max_attempts = facts, place, max_attempts
        self.jar, self.now = facts.jar, facts.seen.now
        self.id = jobname.split(place.name)[0]
        self.path = self.jar.path(place)
        self.status = fslook.status(*os.path.split(self.path))
        self.notes = facts.notes(place)


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
        line = next((line for line in reversed(job.notes) if line.get("e") == "hold"), {})
        who, when = accounting.string(line, "who"), accounting.number(line, "t")
        by = f" by {who}" if who else " since it was submitted" if not job.notes else ""
        since = f" since {accounting.moment(when)}" if when else ""
        why = f": {reason.says}" if accounting.string(line, "why") else ""
        yield f"it is held{by}{since}{why}; `jobjar release {job.id}` lets it go"


def _waits(job: Pending) -> Iterator[str]:
    said = waits.reasons(job.jar, [job.place]).get(job.place)
    if said:
        yield said[1]
    task = jobname.array_task(job.place.name)
    if said and said[0] == "JobArrayTaskLimit" and task:
        yield f"{turns.Turns(job.jar).active(task[0])} tasks of its array are at work or next in the queue now"


def _failures(job: Pending) -> Iterator[str]:
    counted = notes.tally(job.jar, job.place.name, job.place.category)
    if counted.deaths:
        yield (f"its worker has died {_times(len(counted.deaths))}: when it has been begun {job.max_attempts} times"
               " (JJ_MAX_ATTEMPTS) it goes to failed/")
    again = sorted(counted.requeues.values(), key=lambda line: accounting.number(line, "t") or 0)
    if again:
        node = accounting.string(again[-1], "node")
        why = listing.how(again[-1]) or "it is not said why"
        yield (f"it was given back {_times(len(again))}, the last time on {node}: {why}; workers there leave it to"
               " those of other nodes for some seconds")


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


def _turn(job: Pending) -> Iterator[str]:
    names = job.facts.queues.get(job.place.category, [])
    if job.place.state == UNCLAIMED and job.place.name in names:
        where = f"in category {job.place.category}" if job.place.category else "among those without category"
        yield f"it is number {names.index(job.place.name) + 1} of {len(names)} {where}"


NOTHING = ("nothing stands in its way: looked at were its file, its #JJ lines, its notes, its time, its turn and every"
           " worker; one of them should claim it at its next look")

# (what the rule looks at, the rule): sentences about what stands in the job's way, and what to do about it.
RULES: tuple[tuple[str, Callable[[Pending], Iterator[str]]], ...] = (
    ("file", _file),
    ("request", _request),
    ("held", _held),
    ("waiting", _waits),
    ("failures", _failures),
    ("category", _category),
    ("drains", _drains),
)


def _workers(job: Pending) -> dict[str, list[str]]:
    """What each worker that has not left has to do with the job."""
    present = [worker for worker in job.facts.seen.workers if worker.state != staff.LEFT]
    return {worker.name: list(_worker(job, worker)) for worker in present}


def _worker(job: Pending, worker: Worker) -> Iterator[str]:
    if worker.state not in staff.LIVE:
        yield _NOT_LIVE[worker.state]
        return
    if job.place.category not in reasons.order_of(worker):
        said = " ".join(map(str, reasons.order_of(worker)[:-1]))
        yield f"does not read category {job.place.category}, only {said} and what has none"
        return
    yield from _orders(job, worker)
    if worker.state == staff.BLOCKED:
        yield f"claims nothing: {worker.reason}"
    for busy in worker.jobs:
        since = "" if worker.since is None else f" for {text.age(job.now - worker.since)}"
        yield f"is busy with {jobname.split(busy.name)[0]}{since}"
    yield from _trust(job, worker)
    if reasons.is_able(worker) and job.place.state == UNCLAIMED:
        before = job.facts.before(job.place, worker)
        yield f"has {before} jobs to claim before this one" if before else "claims this one next"


_NOT_LIVE = {
    staff.STRANDED: "is dead, and its jobs are stranded: `recover_stranded` on its node brings them back",
    staff.FENCED: "is being recovered",
    staff.UNKNOWN: "cannot be judged from here, and has not been heard of lately",
}


def _orders(job: Pending, worker: Worker) -> Iterator[str]:
    own = job.jar.worker(worker.name)
    for marker, says, remedy in _MARKERS:
        if marker in worker.markers:
            top, name = (own, marker) if marker in (layout.STOP, layout.PAUSE) else \
                (job.jar.workers, layout.DRAIN + worker.node if marker == "DRAIN" else marker)
            why = job.facts.seen.drains.get(worker.node, "") if marker == "DRAIN" else \
                worker.reason if marker == layout.PAUSE else ""
            yield (f"{says}{_by(top, name)}{': ' + why if why else ''};"
                   f" {remedy.format(worker=worker.name, node=worker.node, path=os.path.join(top, name))}")


# What is asked of workers: (marker, what it means, what to do).
_MARKERS = (
    (layout.STOP, "is told to leave", "`start_worker` starts another"),
    (layout.STOP_ALL, "is told to leave, as all are", "remove {path} and start workers"),
    ("DRAIN", "is on a drained node", "`jobjar undrain {node}`"),
    (layout.PAUSE, "is paused", "`unpause_worker {worker}`"),
    (layout.PAUSE_ALL, "is paused, as all are", "remove {path}"),
)


def _by(top: str, name: str) -> str:
    """Who has made a marker, and when."""
    found = fslook.status(top, name)
    return f" by {_login(found.st_uid)} since {accounting.moment(found.st_mtime)}" if found else ""


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _trust(job: Pending, worker: Worker) -> Iterator[str]:
    record = registration.read(job.jar, worker.name)
    uid = record.extra.get("uid") if record else None
    if type(uid) is int and job.status is not None and job.status.st_uid != uid:
        owner = _login(job.status.st_uid)
        yield (f"runs jobs of {_login(uid)}, and this one's file is {owner}'s: it refuses it, unless JJ_TRUSTED_USERS"
               f" names {owner} where it was started")


def _running(seen: Census, place: Place) -> Iterator[str]:
    worker = next((worker for worker in seen.workers if place in worker.jobs), None)
    if worker is None:
        yield f"a worker had it a moment ago, in {place.holder}: ask again"
        return
    since = "" if worker.since is None else f" since {accounting.moment(worker.since)}"
    yield f"it runs on {worker.node}{since}, by {worker.name}"
    if worker.state not in staff.LIVE:
        yield f"{worker.name} {_NOT_LIVE[worker.state]}"


def _ended(jar: Jar, row: listing.Row) -> Iterator[str]:
    when = "" if row.end is None else f" at {accounting.moment(row.end)}"
    where = f" on {row.node}" if row.node else ""
    yield f"it ended{when}{where}" + (f": {row.says}" if row.says else "") if row.place.state == states.COMPLETED else \
        f"it was never run to its end{when}: {row.says}"
    tail = last_lines(jar.log(row.place.name)) if row.state != "COMPLETED" else []
    if tail:
        yield f"the last lines of {jar.log(row.place.name)}:"
        yield from (f"  {text.escape(line)}" for line in tail)


def last_lines(path: str) -> list[str]:
    """The last lines of a log, few and not far from its end; none when there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            data = file.read(TAIL)
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    return lines[1 if size > TAIL and len(lines) > 1 else 0:][-LINES:]


def document(found: list[Explanation]) -> dict:
    """The explanations as one JSON document."""
    return {"schema": 1, "jobs": [_object(one) for one in found]}


def _object(found: Explanation) -> dict:
    return {"jobid": jobname.split(found.place.name)[0], "state": found.state, "reason": found.reason,
            "directory": found.place.state, "category": found.place.category, "says": found.says,
            "workers": [{"worker": name, "node": layout.split_worker(name)[0], "says": says}
                        for name, says in found.workers.items()]}


def render(found: Explanation) -> str:
    """The explanation as text: the job, sentences, and the workers of each node."""
    reason = f" ({found.reason})" if found.reason else ""
    lines = [f"{jobname.split(found.place.name)[0]}: {found.state}{reason}, in"
             f" {os.path.join(found.place.state, found.place.category or '')}"]
    lines += [f"  {sentence}" for sentence in found.says]
    of = None
    for name, says in found.workers.items():
        if layout.split_worker(name)[0] != of:
            of = layout.split_worker(name)[0]
            lines.append(f"node {of}:")
        lines.append(f"  {name} {', '.join(says)}")
    return "".join(text.escape(line) + "\n" for line in lines)
