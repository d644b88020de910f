"""Why a pending job is not running: one word of Slurm's and, where that says too little, a few of our own.

RULES are asked in their order, and the first that applies is the reason. What one look at the jar has shown is asked
for no further than a rule needs it: no job's file is opened, save those in waiting/.
"""

from collections import namedtuple
from collections.abc import Callable
from functools import cached_property

from jobjar import fslook, jobname, layout, notes, shelf, staff, waits
from jobjar.census import Census
from jobjar.layout import Jar, Place
from jobjar.staff import Worker
from jobjar.states import HELD, UNCLAIMED, WAITING

# `word` is Slurm's, `says` is ours or "".
Reason = namedtuple("Reason", "word says", defaults=("",))
# Every worker that could take it may do so at once.
NONE = Reason("None", "a worker is about to look")

# The events after which a job may lie in held/; one that is being edited lies there under another name.
_HOLDERS, _EDIT = ("hold", "rescue"), ("edit",)
# What the states and markers of a worker that claims nothing are called.
UNABLE = {staff.PAUSED: "paused", staff.STOPPING: "stopping", staff.BLOCKED: "blocked"}


class Facts:
    """What one look at the jar says of its pending jobs; each thing is found out when it is first asked for."""

    def __init__(self, jar: Jar, seen: Census) -> None:
        self.jar, self.seen = jar, seen
        self.live = [worker for worker in seen.workers if worker.state in staff.LIVE]
        self.never = {(item.state, item.category, item.name): item.reason for item in seen.foreign}
        self._readers: dict[str | None, list[Worker]] = {}
        self._first: dict[str | None, int] = {}

    def readers(self, category: str | None) -> list[Worker]:
        """The live workers that look into this category."""
        if category not in self._readers:
            self._readers[category] = [worker for worker in self.live if category in order_of(worker)]
        return self._readers[category]

    def able(self, category: str | None) -> list[Worker]:
        """Those of them that will claim another job."""
        return [worker for worker in self.readers(category) if is_able(worker)]

    @cached_property
    def queues(self) -> dict[str | None, list[str]]:
        """Category → the names of the jobs in unclaimed/ in the order in which they are claimed."""
        found: dict[str | None, list[str]] = {}
        for job in self.seen.jobs:
            if job.state == UNCLAIMED:
                found.setdefault(job.category, []).append(job.name)
        return {category: shelf.in_turn(self.jar.directory(UNCLAIMED, category), names)
                for category, names in found.items()}

    @cached_property
    def _ranks(self) -> dict[str | None, dict[str, int]]:
        return {category: {name: at for at, name in enumerate(names)} for category, names in self.queues.items()}

    def before(self, place: Place, worker: Worker) -> int:
        """How many jobs this worker would claim before the one at `place`, which is in a category that it reads."""
        return self._elsewhere(place.category, worker) + self._ranks.get(place.category, {}).get(place.name, 0)

    def _elsewhere(self, category: str | None, worker: Worker) -> int:
        order = order_of(worker)
        return sum(len(self.queues.get(earlier, ())) for earlier in order[:order.index(category)])

    def fewest_before(self, place: Place) -> int:
        """How many jobs come before this one for the worker for which they are fewest."""
        category = place.category
        if category not in self._first:
            counts = (self._elsewhere(category, worker) for worker in self.able(category))
            self._first[category] = min(counts, default=0)
        return self._first[category] + self._ranks.get(category, {}).get(place.name, 0)

    @cached_property
    def noted(self) -> frozenset[str]:
        """The ids of the jobs about which there are notes."""
        return frozenset(entry.name for entry in fslook.entries(self.jar.notes, []))

    def notes(self, place: Place) -> list[dict]:
        """What has been noted about the job and its array, the newest last."""
        return about(self.jar, place.name) if not self.noted.isdisjoint(ids(place.name)) else []

    @cached_property
    def waits(self) -> dict[Place, tuple[str, str]]:
        """The jobs in waiting/, with what they wait for."""
        return waits.reasons(self.jar, [job for job in self.seen.jobs if job.state == WAITING])


def ids(name: str) -> list[str]:
    """The ids under which there may be notes about a job: its own, but for an edit, and its array's."""
    task = jobname.array_task(name)
    return [jobname.split(jobname.unedited(name) or name)[0], *(task[:1] if task else ())]


def about(jar: Jar, name: str) -> list[dict]:
    """What has been noted about the job of this file name, the newest last."""
    return notes.in_order([line for id in ids(name) for line in notes.read(jar, jobname.join(id, 0))])


def order_of(worker: Worker) -> list[str | None]:
    """The categories in the order in which the worker looks into them."""
    return [*dict.fromkeys((worker.node, *worker.categories)), None]


def is_able(worker: Worker) -> bool:
    """Whether the worker will claim another job, now or after the one that it has."""
    return worker.state not in UNABLE and {layout.PAUSE, layout.PAUSE_ALL}.isdisjoint(worker.markers)


def why_unable(worker: Worker) -> str:
    """One word for why it will not."""
    return UNABLE.get(worker.state, UNABLE[staff.PAUSED])


def of(facts: Facts, place: Place) -> Reason:
    """Why the job at `place`, in one of the queues, is not running."""
    return next((reason for rule in RULES if (reason := rule(facts, place))), NONE)


def _never_claimed(facts: Facts, place: Place) -> Reason | None:
    why = facts.never.get((place.state, place.category, place.name))
    return Reason("BadConstraints", why) if why else None


def _held(facts: Facts, place: Place) -> Reason | None:
    if place.state != HELD:
        return None
    line = held_by(facts, place)
    why, who = line.get("why"), line.get("who")
    return Reason("JobHeldUser", why if isinstance(why, str) and why else f"by {who}" if isinstance(who, str) else "")


def held_by(facts: Facts, place: Place) -> dict:
    """The note that says how the job at `place` came to held/; an empty one when there is none."""
    events = _HOLDERS + (_EDIT if jobname.unedited(place.name) else ())
    return next((line for line in reversed(facts.notes(place)) if line.get("e") in events), {})


def _waits(facts: Facts, place: Place) -> Reason | None:
    # RACE: it has been made ready since.
    return Reason(*facts.waits.get(place, NONE)) if place.state == WAITING else None


def _nobody_reads_it(facts: Facts, place: Place) -> Reason | None:
    if facts.readers(place.category):
        return None
    return Reason("ReqNodeNotAvail", f"no live worker reads {place.category}" if facts.live and place.category
                  else "no worker is there")


def _nobody_claims(facts: Facts, place: Place) -> Reason | None:
    if facts.able(place.category):
        return None
    words = [why_unable(worker) for worker in facts.readers(place.category)]
    says = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return Reason("ReqNodeNotAvail", f"workers: {says}")


def _others_first(facts: Facts, place: Place) -> Reason | None:
    return Reason("Priority") if facts.fewest_before(place) else None


def _all_busy(facts: Facts, place: Place) -> Reason | None:
    return Reason("Resources") if all(worker.state == staff.RUNNING for worker in facts.able(place.category)) else None


# Each gives the reason, or None when what it looks at does not stand in the job's way.
RULES: tuple[Callable[[Facts, Place], Reason | None], ...] = (
    _never_claimed, _held, _waits, _nobody_reads_it, _nobody_claims, _others_first, _all_busy)
