"""What a job waits for: a time, or its turn among the tasks of an array that may not all be at work at once.

The time is what it asks for with --begin, or what was noted when it was put back with a delay.
"""

import time
from collections import namedtuple
from collections.abc import Iterable

from jobjar import claiming, fslook, jobname, moments, notes, text, turns
from jobjar.errors import UsageError
from jobjar.layout import Jar, Place
from jobjar.states import UNCLAIMED, WAITING

# What a job's file asks for: `begin` (s since the epoch, or 0.0), `cap` of its array or None, `wrong`: why its #JJ
# lines will not do, or None.
Wait = namedtuple("Wait", "begin cap wrong", defaults=(0.0, None, None))


def read(path: str) -> Wait | None:
    """What the job at `path` waits for; None when it is not there."""
    try:
        asked = claiming.request(path)
    except UsageError as error:
        return Wait(wrong=f"its #JJ lines will not do: {error}")
    return None if asked is None else Wait(asked.get("begin", 0.0), turns.cap(asked))


def until(jar: Jar, place: Place) -> float:
    """Until when the job is to wait as it was noted, in s since the epoch; 0.0 when nothing was."""
    return notes.until(notes.tally(jar, place.name, place.category)) if notes.has(jar, place.name) else 0.0


class Waits:
    """What many jobs wait for. The names of one file, as an array's, are one reading of it."""

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        self._files: dict[int, Wait] = {}
        self._until: dict[tuple[str | None, str], float] = {}
        self._noted: set[str] = set()

    def renew(self, inodes: set[int]) -> None:
        """Before many are asked for: forget what is known of files other than these, and see who has notes."""
        self._files = {ino: wait for ino, wait in self._files.items() if ino in inodes}
        self._noted = set(fslook.names(self.jar.notes))
        now = time.time()
        # What has come may have been noted anew since.
        self._until = {key: when for key, when in self._until.items() if when > now}

    def of(self, place: Place, ino: int) -> tuple[Wait, float] | None:
        """What the job at `place` with this inode waits for, and until when by its file and its notes together.

        None: it is not there.
        """
        wait = self._files.get(ino)
        if wait is None:
            wait = read(self.jar.path(place))
            if wait is None:
                return None
            self._files[ino] = wait
        if jobname.split(place.name)[0] not in self._noted:
            return wait, wait.begin
        key = place.category, place.name
        if key not in self._until:
            self._until[key] = until(self.jar, place)
        return wait, max(wait.begin, self._until[key])


def reasons(jar: Jar, places: Iterable[Place]) -> dict[Place, tuple[str, str]]:
    """Why jobs are not run yet, as (Slurm's word, a sentence), as far as they themselves are the reason.

    Of jobs in waiting/ there is always one; of those in unclaimed/ when their time has not come. Of all other places,
    and of jobs that are not there any more, nothing is said.
    """
    known, now, said = Waits(jar), time.time(), {}
    known.renew(set())
    for place in places:
        if place.state in (WAITING, UNCLAIMED):
            status = fslook.status(jar.directory(place.state, place.category), place.name)
            found = known.of(place, status.st_ino) if status else None
            reason = _reason(place, *found, now) if found else None
            if reason:
                said[place] = reason
    return said


def _reason(place: Place, wait: Wait, when: float, now: float) -> tuple[str, str] | None:
    if wait.wrong:
        return "BadConstraints", f"{wait.wrong}: it goes to failed/ as soon as a worker looks at it"
    if place.state == UNCLAIMED:
        when = wait.begin
    if when > now:
        return "BeginTime", f"it waits until {moments.show(when)}"
    if place.state == UNCLAIMED:
        return None
    task = jobname.array_task(place.name)
    if wait.cap is not None and task:
        most = text.counted(wait.cap, "task")
        return "JobArrayTaskLimit", f"it waits for its turn: {most} of {task[0]} may be at work at a time"
    return "Priority", "it waits for nothing more, and is made ready as soon as a worker looks at it"
