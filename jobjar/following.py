"""What a job prints, wherever that goes: the worker's output while it runs, logs/ afterwards, or files of its own.

Read only. `Follower` copies what is new each time it is asked, so that a job can be followed from place to place.
"""

import os
import stat
from collections.abc import Callable

from jobjar import fslook, jobname, layout, notes, resync, states, terms
from jobjar.errors import UsageError
from jobjar.job import Job
from jobjar.layout import Jar, Place
from jobjar.streaming import Tail, open_to_read
from jobjar.watch import Alarm

_GAP = b"\n[jobjar: "
_GAP_WITHIN = 131072


class Follower:
    """One job's output. `has_begun`, `has_ended`: as the last `copy` found the job."""

    def __init__(self, jar: Jar, job: Job) -> None:
        self.jar, self.job = jar, job
        self.has_begun = self.has_ended = False
        self._is_remote = resync.is_on_remote(jar.logs)
        # Those of its files that were found, by device and inode: they go with the file when it is renamed.
        self._tails: dict[tuple[int, int], Tail] = {}
        self._own: list[str] | None = None

    def copy(self, to: int, before: Callable[[], None] = bool) -> int:
        """Copy what is new to the descriptor `to`; how many bytes that was.

        `before()` is called when there is something. Errors of `to` as they come.
        """
        for _ in range(2):
            place = self.job.place
            handles = [handle for path in self._paths(place) if (handle := open_to_read(path)) is not None]
            try:
                # RACE: a worker goes on to another job, whose output that would be; then the job is elsewhere too.
                if self.job.place == place:
                    self._judge(place)
                    return sum(self._copy_one(handle, to, before) for handle in handles)
            finally:
                for handle in handles:
                    os.close(handle)
        return 0

    def arm(self, alarm: Alarm) -> None:
        """Let the alarm's next sleep end when the job begins, prints something or ends, as far as that is seen here."""
        place = self.job.place
        if place is not None and place.holder is not None:
            alarm.arm(os.path.dirname(place.holder), written=True)
            for directory in {os.path.dirname(path) for path in self._files(place)}:
                alarm.arm(directory, written=True)
        alarm.arm(self.jar.claimed, self.jar.completed, self.jar.failed)

    def _judge(self, place: Place | None) -> None:
        self.has_ended = place is None or place.state in (states.COMPLETED, states.FAILED)
        self.has_begun |= self.has_ended or place.state == states.CLAIMS

    def _paths(self, place: Place | None) -> list[str]:
        """Where its output is while it is at `place`."""
        if place is None or place.state in states.QUEUES:
            return []
        if place.holder is not None:
            return [os.path.join(os.path.dirname(place.holder), "output"), *self._files(place)]
        return [self.jar.log(place.name), *self._files(place)]

    def _files(self, place: Place) -> list[str]:
        """The files that its request names for what it prints."""
        if self._own is None:
            request = self.job.request()
            self._own = _named(self.jar, self.job, place, request) if {"output", "error"} & request.keys() else []
        return self._own

    def _copy_one(self, handle: int, to: int, before: Callable[[], None]) -> int:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            # A job may name a directory, and is refused, or a fifo, of which this would take away what others read.
            return 0
        tail = self._tails.setdefault((found.st_dev, found.st_ino), Tail("", self._is_remote))
        if found.st_size < tail.offset:
            tail.offset = _behind_gap(handle, found.st_size)
        if found.st_size > tail.offset:
            before()
        copied = count = tail.copy_from(handle, to, self.has_ended)
        while count and self.has_ended:
            count = tail.copy_from(handle, to, True)
            copied += count
        return copied

    def earlier(self) -> list[str]:
        """The files with what attempts have printed that did not complete the job."""
        name = self.job.name
        found = [os.path.join(self.jar.logs, entry) for entry in sorted(fslook.names(self.jar.logs))
                 if entry.startswith(name + ".attempt-")]
        # What a worker had left when it died is still in its directory.
        lost = {f"output.{line.get('a')}" for line in notes.read(self.jar, name) if line.get("e") == notes.ATTEMPT}
        for worker in fslook.names(self.jar.workers) if lost else ():
            if layout.split_worker(worker) or layout.former_worker(worker):
                found += [os.path.join(self.jar.worker(worker), entry)
                          for entry in sorted(lost.intersection(_names(self.jar.worker(worker))))]
        return found


def _names(directory: str) -> list[str]:
    try:
        return fslook.names(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it was set aside just now, or is no directory at all.
        return []


def _behind_gap(handle: int, size: int) -> int:
    """Where to go on in a file of which a worker has cut out the middle: where it says so, else at the end."""
    begin = max(0, size - _GAP_WITHIN)
    at = os.pread(handle, _GAP_WITHIN, begin).rfind(_GAP)
    return begin + at if at >= 0 else size


def _named(jar: Jar, job: Job, place: Place, request: dict) -> list[str]:
    """The paths of the job's own output files."""
    worker = place.holder and layout.split_worker(os.path.basename(os.path.dirname(place.holder)))
    node = worker[0] if worker else (job.end_line() or {}).get("node", "")
    plain = {"JJ_JOB_FILE": jar.path(place), "JJ_NODE": node, "JJ_JOB_ID": jobname.split(job.name)[0],
             "JJ_ATTEMPT": "1"}
    try:
        start = terms.of(request, place.name, plain, 1.0).terms
    except (OSError, UsageError):
        # RACE: it has moved on; or the worker will refuse it.
        return []
    return list(dict.fromkeys(path for path in (start.output, start.error) if path)) if start else []
