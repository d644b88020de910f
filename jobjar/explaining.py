"""Why a job is not running, or what has become of it, in sentences with the remedy: rule by rule and node by node.

Only what was looked at is said; when nothing stands in a job's way, that is said too, with what was looked at.
"""

import os
from collections import namedtuple
from collections.abc import Iterable, Iterator

from jobjar import accounting, census, columns, fslook, jobname, layout, listing, notes, obstacles, reasons
from jobjar import registration, staff, states, text
from jobjar.census import Census
from jobjar.config import Settings
from jobjar.job import PENDING, RUNNING
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.obstacles import Pending
from jobjar.reasons import Facts, Reason
from jobjar.staff import Worker
from jobjar.states import UNCLAIMED

# So many lines of what a job printed are shown of one that ended badly, of so many bytes at its end.
LINES, TAIL = 10, 8192

# `reason`: of a pending job Slurm's word, else ""; `says`: sentences about the job; `workers`: name → sentences about
# what each live worker, and each that cannot be judged, has to do with it.
Explanation = namedtuple("Explanation", "place state reason says workers")


class Own(str):
    """A sentence about one job alone. Of several that are alike otherwise `together` is said, or what it says of the
    first."""

    def __new__(cls, sentence: str, together: str = "") -> "Own":
        """`together`: what to say of several, "" for what holds for the first."""
        one = super().__new__(cls, sentence)
        one.together = together
        return one

    def of_several(self) -> str:
        """What to say of several jobs, of which this is about the first."""
        return self.together or self.replace("it is number", "the first of them is number").replace(
            "this one", "the first of them")


def explain_all(jar: Jar, me: Identity, places: Iterable[Place], settings: Settings) -> list[Explanation]:
    """What there is to say about the jobs at these places, after one look at the jar."""
    facts = Facts(jar, census.active(jar, me))
    return [explain(jar, me, place, settings, facts) for place in places]


def explain(jar: Jar, me: Identity, place: Place, settings: Settings, facts: Facts | None = None) -> Explanation:
    """What there is to say about the job at `place`, as seen from the process `me` with these settings.

    `facts`: what a look at the jar has shown; None to look now.
    """
    facts = facts or Facts(jar, census.active(jar, me))
    if place.state in states.QUEUES:
        job = Pending(facts, place, settings)
        says = [sentence for rule in obstacles.RULES for sentence in rule(job)]
        # A list opens no file of a job in the queue, and does not know.
        reason = Reason(*job.said) if job.said and place.state == UNCLAIMED else reasons.of(facts, place)
        if not says and reason == reasons.NONE:
            says = [obstacles.NOTHING]
        return Explanation(place, PENDING, reason.word, [*map(Own, obstacles.turn(job)), *says], _workers(job))
    if place.state == states.CLAIMS:
        return Explanation(place, RUNNING, "", list(_running(facts.seen, place)), {})
    row = listing.of_ended(jar, place)
    return Explanation(place, row.state, "", list(_ended(jar, row)), {})


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
    if reasons.is_able(worker):
        before = job.facts.before(job.place, worker) if job.place.state == UNCLAIMED else None
        yield "could take it then" if before is None else \
            Own(f"has {text.counted(before, 'job')} to claim before this one" if before else "claims this one next")


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
    return f" by {notes.login(found.st_uid)} since {accounting.moment(found.st_mtime)}" if found else ""


def _trust(job: Pending, worker: Worker) -> Iterator[str]:
    record = registration.read(job.jar, worker.name)
    uid = record.extra.get("uid") if record else None
    if type(uid) is int and job.status is not None and job.status.st_uid != uid:
        owner = notes.login(job.status.st_uid)
        yield (f"runs jobs of {notes.login(uid)}, and this one's file is {owner}'s: it refuses it, unless"
               f" JJ_TRUSTED_USERS names {owner} where it was started")


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
    says = f": {row.says}" if row.says else ""
    yield Own(f"it ended{when}{where}{says}", f"they have ended{says}") if row.place.state == states.COMPLETED else \
        Own(f"it was never run to its end{when}{says}", f"they were never run to their ends{says}")
    tail = last_lines(jar.log(row.place.name)) if row.state != "COMPLETED" else []
    if tail:
        yield Own(f"the last lines of {jar.log(row.place.name)}:", "the last lines of each of their logs:")
        yield from (f"  {text.sentence(line)}" for line in tail)


def last_lines(path: str) -> list[str]:
    """The last lines of a log, few and not far from its end; none when there is none."""
    try:
        with fslook.open_file(path) as file:
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


def render(found: Iterable[Explanation]) -> str:
    """The explanations as text, one paragraph for all tasks of an array of which the same is said."""
    groups: dict[tuple, list[Explanation]] = {}
    for one in found:
        groups.setdefault(_alike(one), []).append(one)
    return "\n".join(map(_paragraph, groups.values()))


def _alike(found: Explanation) -> tuple:
    """What is said of the job, and may be said of another task of its array."""
    task, id = jobname.array_task(found.place.name), jobname.split(found.place.name)[0]
    if task is None:
        return (found.place,)
    sentences = [found.says, *found.workers.values()]
    return (task[0], found.place.state, found.place.category, found.state, found.reason, *found.workers,
            *(tuple(getattr(one, "together", one).replace(id, "") for one in says) for says in sentences))


def _paragraph(group: list[Explanation]) -> str:
    found, id = group[0], jobname.split(group[0].place.name)[0]
    if len(group) == 1:
        return _render(found, id)
    tasks = [jobname.array_task(one.place.name) for one in group]
    called = f"{tasks[0][0]}_[{columns.ranges(index for _, index in tasks)}]"

    def said(sentences: list[str]) -> list[str]:
        return [(one.of_several() if isinstance(one, Own) else one).replace(id, called) for one in sentences]
    workers = {name: said(says) for name, says in found.workers.items()}
    return _render(found._replace(says=said(found.says), workers=workers), called)


def _render(found: Explanation, called: str) -> str:
    """One explanation: the job, sentences, and the workers of each node."""
    reason = f" ({found.reason})" if found.reason else ""
    lines = [f"{called}: {found.state}{reason}, in {os.path.join(found.place.state, found.place.category or '')}"]
    lines += [f"  {sentence}" for sentence in found.says]
    of = None
    for name, says in found.workers.items():
        if layout.split_worker(name)[0] != of:
            of = layout.split_worker(name)[0]
            lines.append(f"node {of}:")
        lines.append(f"  {name} {', '.join(says)}")
    return "".join(text.sentence(line) + "\n" for line in lines)
