"""Waiting for many jobs at once: which have ended, how, and how long the others may take. It changes nothing.

One look costs two stamps when nothing has happened, else a listing of completed/ and failed/, however many jobs there
are. A few jobs are looked up one by one, which is quicker where completed/ is long.
"""

import errno
import os
import time
from collections import namedtuple
from collections.abc import Callable, Iterable

from jobjar import accounting, census, ends, fslook, glance, history, jobname, resync, selection, states, text
from jobjar.errors import NoSuchJob, vanished
from jobjar.job import BAD, COMPLETED, FAILED, LONGEST, LOST_AFTER, PENDING, RUNNING, SHORTEST, Job
from jobjar.layout import Jar, Place
from jobjar.watch import Alarm

# So many jobs are looked up one by one.
FEW = 4
# A look may take this share of the time, and no two follow each other sooner than this, s.
COST_FACTOR, PAUSE = 20, 0.02
# How often jobs are looked for that may have been given another name or place, s: at first, and at last.
RELOCATE, RELOCATE_AT_LAST = 5.0, 30.0

# `status`: what the job returned, 128 + N when the signal N ended it; None when nobody knows, or it never ran.
Ended = namedtuple("Ended", "job state status")


def find(jar: Jar, words: Iterable[str]) -> tuple[list[Job], list[Ended]]:
    """The jobs that the words mean, and how those have ended that were cleaned away. NoSuchJob and UsageError as
    `selection.jobs`."""
    words = list(words)
    try:
        return [Job(jar, place) for place in selection.jobs(jar, words)], []
    except NoSuchJob:
        found: dict[Place, None] = {}
        gone: list[Ended] = []
        for word in words:
            try:
                found |= dict.fromkeys(selection.jobs(jar, [word]))
            except NoSuchJob as error:
                gone += _archived(jar, word, error)
        return [Job(jar, place) for place in found], gone


def _archived(jar: Jar, word: str, error: NoSuchJob) -> list[Ended]:
    known = {accounting.name(record): record
             for record in history.records(jar, history.Wanted(named=selection.meaning(word)))}
    places = [Place(states.COMPLETED, None, name) for name in known]
    if not places:
        raise error
    if not selection.is_glob(word):
        selection.one(word, places)
    return [Ended(Job(jar, place), accounting.string(record, "state") or FAILED, ends.status(record))
            for place, record in zip(places, known.values())]


class Awaited:
    """Jobs that are waited for together. `ended` has those that have ended, in the order in which that was seen."""

    def __init__(self, jar: Jar, jobs: list[Job]) -> None:
        self.jar = jar
        self.ended: list[Ended] = []
        # Of two of one name, made by hand, nobody could say which has ended.
        self._pending = {job.name: job for job in jobs}
        self.total = len(self._pending)
        self._alarm = Alarm()
        self._begun = time.monotonic()
        # When the jar was seen last, and when each job that is nowhere to be seen was missed first.
        self._reached = self._begun
        self._missed: dict[str, float] = {}
        self._stamps: tuple[int, int] | None = None
        self._changed_at = self._listed_at = float("-inf")
        self._cost = 0.0
        self._relocate_at, self._relocate_every = self._begun + RELOCATE, RELOCATE

    def wait(self, timeout: float | None = None, first: bool = False, tell: Callable[[], object] = bool) -> bool:
        """Wait until all jobs have ended, or the `first` of them; False when `timeout` seconds are over.

        `tell()` is called now and then. NoSuchJob when one has disappeared from the jar.
        """
        pause = SHORTEST
        while True:
            self._alarm.arm(self.jar.completed, self.jar.failed)
            began, count = time.monotonic(), len(self.ended)
            self._try_to_look(began)
            now = time.monotonic()
            if not self._pending or first and self.ended:
                return True
            left = self._begun + timeout - now if timeout is not None else LONGEST
            if left <= 0:
                return False
            tell()
            pause = SHORTEST if len(self.ended) > count else min(pause * 1.5, LONGEST)
            # Where others end one job after the other, each of them would wake this one.
            time.sleep(min(left, max(PAUSE, COST_FACTOR * (now - began))))
            self._alarm.sleep(min(pause, left))

    def _try_to_look(self, now: float) -> None:
        try:
            self._look(now)
            self._reached = now
        except OSError as error:
            # NFS: the server exports the jar anew; that may pass.
            if error.errno != errno.ESTALE or now > self._reached + LOST_AFTER:
                raise

    def _look(self, now: float) -> None:
        if len(self._pending) <= FEW:
            self._look_up(now)
            return
        if self._may_have_changed(now):
            self._list(now)
        if now >= self._relocate_at:
            self._relocate(now)
            self._relocate_every = min(RELOCATE_AT_LAST, self._relocate_every * 1.5)
            self._relocate_at = time.monotonic() + self._relocate_every

    def _look_up(self, now: float) -> None:
        """One job after the other, as handles look."""
        for name, job in list(self._pending.items()):
            state = job.state
            # It may have another name by now.
            self._pending[job.name] = self._pending.pop(name)
            if state is None:
                self._miss(job, now)
                continue
            self._missed.pop(job.id, None)
            if state not in (PENDING, RUNNING):
                self._end(job, state)

    def _may_have_changed(self, now: float) -> bool:
        """Whether completed/ or failed/ are to be listed: until they have been as they are for longer than a tick."""
        stamps = fslook.stamp(self.jar.completed), fslook.stamp(self.jar.failed)
        if stamps != self._stamps or -1 in stamps:
            self._stamps, self._changed_at = stamps, now
        return self._listed_at <= self._changed_at + glance.AGAIN_AFTER

    def _list(self, now: float) -> None:
        """Find those that have ended under the names that are known."""
        self._listed_at = now
        # NFS: completed/ first: a job that has ended badly is in failed/ before.
        done = self._named(self.jar.completed)
        bad = self._named(self.jar.failed)
        for name in list(self._pending):
            if name in done and fslook.is_file_entry(done[name]):
                self._end(self._pending[name], FAILED if name in bad else COMPLETED)
            elif name in bad and fslook.is_file_entry(bad[name]):
                self._end(self._pending[name], FAILED)

    def _named(self, directory: str) -> dict[str, object]:
        """The entries of a directory that have the name of a job that is waited for."""
        return {entry.name: entry for entry in fslook.scan_uncached(directory) if entry.name in self._pending}

    def _relocate(self, now: float) -> None:
        """Find the jobs that are not where they were: each may have another priority, category or ~N by now."""
        jar = self.jar
        # In the order of a job's life, so that one that moves on meanwhile is not missed.
        there = [place for state in reversed(states.QUEUES) for place in census.queued(jar, state)]
        there += census.claimed(jar)
        names = {place.name for place in there}
        strays = {jobname.stem(name): job for name, job in self._pending.items() if name not in names}
        self._missed = {id: since for id, since in self._missed.items() if jobname.stem(id) in strays}
        if not strays:
            return
        there += [Place(state, None, entry.name) for state in (states.COMPLETED, states.FAILED)
                  for entry in fslook.entries(jar.directory(state), []) if fslook.is_file_entry(entry)]
        found = {jobname.stem(place.name): place for place in there if jobname.number(place.name) is not None}
        for name, job in strays.items():
            place = found.get(name)
            if place is not None:
                self._rename(job, place)
            elif job.name in self._pending:
                self._miss(job, now)

    def _rename(self, job: Job, place: Place) -> None:
        """Go on with a job under its new name; the listings are to be looked at for it once more."""
        self._pending.pop(job.name, None)
        self._pending[place.name] = Job(self.jar, place)
        self._stamps = None

    def _miss(self, job: Job, now: float) -> None:
        since = self._missed.setdefault(job.id, now)
        state = job.state if now >= since + LOST_AFTER else None
        if state not in (None, PENDING, RUNNING):
            # It has removed itself, or somebody has since: the journals know how it ended.
            self._end(job, state)
        elif state is None and now >= since + LOST_AFTER:
            raise vanished(job.id, self.jar.home)

    def _end(self, job: Job, state: str) -> None:
        self._pending.pop(job.name, None)
        self.ended.append(Ended(job, state, 0 if state == COMPLETED else None))

    def explain(self) -> None:
        """Put into `ended` what the journals say of the jobs that have ended badly: state and exit status."""
        bad = [ended.job for ended in self.ended if ended.state != COMPLETED]
        # Handles know where each job was; for many, every journal is read once.
        lines = ends.end_lines(self.jar, (job.name for job in bad)) if len(bad) > FEW else {}
        for at, (job, state, status) in enumerate(self.ended):
            if state == COMPLETED:
                continue
            end = lines.get(job.name)
            state, status = (end.get("state"), ends.status(end)) if end else (job.state, job.exit_status)
            self.ended[at] = Ended(job, state if state in BAD else FAILED, status)

    def progress(self) -> str:
        """How far it has come, in a few words: "12 of 100 have ended, 1 of them badly, about 3m left"."""
        done, bad = len(self.ended), sum(ended.state != COMPLETED for ended in self.ended)
        said = f"{done} of {self.total} have ended" + (f", {bad} of them badly" if bad else "")
        passed = time.monotonic() - self._begun
        return said + (f", about {text.age(passed / done * (self.total - done))} left" if 0 < done < self.total else "")


def resync_after(jobs: list[Job]) -> None:
    """See to it that what these jobs have written on other nodes is seen in this process's next looks."""
    remote = resync.remotes()
    # Nearly all computers' work lies on their own disks.
    if not remote:
        return
    here = os.getcwd()
    resync.forget(remote, here)
    # The tasks of an array are copies of one file.
    alike = {(jobname.array_task(job.name) or (job.id,))[0]: job for job in jobs}
    for job in list(alike.values())[:resync.MOST]:
        resync.forget_job(remote, job.request(), resync.paths_in(job.path or ""), here)
