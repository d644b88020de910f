"""A handle on one submitted job: where it is, how it ended, what it printed.

Invariant: everything is asked afresh of the directories. A job may move on while it is looked for, so the places are
visited in the order of its life, and none of the answers need be true any more when they arrive.
"""

import errno
import os
import time
from collections.abc import Iterable

from jobjar import accounting, census, directives, ends, fslook, glance, jobname, notes, states
from jobjar.errors import UsageError, vanished
from jobjar.handles import Handle
from jobjar.layout import Jar, Place

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"
TIMEOUT, OUT_OF_MEMORY, NODE_FAIL = "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"
# How a job can have ended, other than well.
BAD = (FAILED, CANCELLED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL)

LOOKS = 3
# Seconds between two looks of wait(), which grow from the first to the second.
SHORTEST, LONGEST = 0.01, 1.0
# A job that has not been seen for so many seconds is gone: on a network an answer can be 60 s old.
LOST_AFTER = 60.0

# failed/ of each jar → its mtime and what an uncached listing has shown that was not too young to be believed.
_listings: dict[str, tuple[int, frozenset[str]]] = {}


class Job(Handle):
    """One job. `name`, `category` and `id` are those with which it was seen last.

    It is followed when its priority or category changes, if it has a name that we made.
    """

    def __init__(self, jar: Jar, place: Place) -> None:
        self._jar = jar
        self._place = place
        # The claims directory in which the job was seen last.
        self._holder = place.holder

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    @property
    def name(self) -> str:
        """The name of its file."""
        return self._place.name

    @property
    def id(self) -> str:
        """Its name without the priority: what `submit_job` prints."""
        return jobname.split(self._place.name)[0]

    @property
    def category(self) -> str | None:
        """The category in which it was submitted; None: uncategorized, or a job that was found in completed/."""
        return self._place.category

    @property
    def place(self) -> Place | None:
        """Where it is now; None when it is nowhere in the jar."""
        return self._find()

    @property
    def path(self) -> str | None:
        """Where its file is now; None when it is nowhere in the jar."""
        place = self._find()
        return self._jar.path(place) if place else None

    @property
    def state(self) -> str | None:
        """PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL (its worker
        died, and it was not to be run again); None when nothing in the jar says it.

        COMPLETED: it was run to its end and its exit status was 0. A job whose file is gone is judged by the journals.
        """
        place = self._find()
        if place is None:
            end = self.end_line()
            return end.get("state") if end else None
        if place.state == states.COMPLETED:
            # Asked after completed/: the other order takes a failed job for a successful one.
            return self._how_bad() if _has_failed(self._jar, place.name) else COMPLETED
        if place.state == states.FAILED:
            return accounting.BURIED.get(notes.burial(self._jar, place.name), FAILED)
        return PENDING if place.state in states.QUEUES else RUNNING

    def _how_bad(self) -> str:
        """The state of a job that has ended badly, by its end line: that it has, failed/ says."""
        end = self.end_line()
        return end["state"] if end is not None and end.get("state") in BAD else FAILED

    def wait(self, timeout: float | None = None) -> str | None:
        """Wait until the job has ended; returns its last state, or None when `timeout` seconds are over.

        NoSuchJob when the job has disappeared from the jar.
        """
        begin = seen = time.monotonic()
        pause = SHORTEST
        while True:
            now = time.monotonic()
            state = self._state_if_reached(now > seen + LOST_AFTER)
            if state not in (None, PENDING, RUNNING):
                return state
            if timeout is not None and now >= begin + timeout:
                return None
            seen = seen if state is None else now
            if now > seen + LOST_AFTER:
                raise vanished(self.id, self._jar.home)
            time.sleep(pause if timeout is None else min(pause, begin + timeout - now))
            pause = min(pause * 1.5, LONGEST)

    def _places(self, states: Iterable[str]) -> list[Place]:
        place = self._find()
        if place is None:
            raise vanished(self.id, self._jar.home)
        return [place]

    def _state_if_reached(self, is_last: bool) -> str | None:
        try:
            return self.state
        except OSError as error:
            # NFS: the server exports the jar anew; that may pass.
            if error.errno != errno.ESTALE or is_last:
                raise
            return None

    @property
    def exit_status(self) -> int | None:
        """What the job returned, 128 + N when the signal N ended it; None while, or if for ever, that is unknown."""
        place = self._find()
        if place is not None and place.state != states.COMPLETED:
            return None
        return ends.status(self.end_line())

    def request(self) -> directives.Request:
        """What the job asks for in its file; {} when it cannot be read."""
        # Whoever submits has no need of it.
        from jobjar import claiming
        _, head = claiming.look_into(self.path or "")
        try:
            return directives.read(head)
        except UsageError:
            # No worker would run it.
            return {}

    def output(self) -> str:
        """What the job has printed so far, both streams; bytes that are no UTF-8 are replaced.

        "" for a silent job and for one that has not been started.
        """
        for _ in range(LOOKS):
            place = self._find()
            if place is None or place.holder is None:
                break
            text = _text(os.path.join(os.path.dirname(place.holder), "output"))
            # RACE: the worker may have gone on to another job, whose output that would be.
            if self._find() == place:
                return text
        return _text(self._jar.log(self._place.name))

    def _find(self) -> Place | None:
        """Where the job is, or None when it was not seen anywhere in three looks."""
        for _ in range(LOOKS):
            place = self._where_expected() or self._where_else()
            if place is not None:
                # completed/ and failed/ do not say what the category was.
                category = place.category if place.state not in (states.COMPLETED, states.FAILED) else self.category
                self._place = place._replace(category=category)
                self._holder = place.holder or self._holder
                return place
        return None

    def _where_expected(self) -> Place | None:
        """One lookup in each place where the job is if nothing unusual happened, in the order of its life."""
        jar, name, category = self._jar, self.name, self.category
        for state in states.QUEUES:
            if _is_file(jar.directory(state, category), name):
                return Place(state, category, name)
        claimed = self._claimed()
        if claimed is not None:
            return claimed
        for state in (states.COMPLETED, states.FAILED):
            if _is_file(jar.directory(state), name):
                return Place(state, None, name)
        return None

    def _claimed(self) -> Place | None:
        """The worker's place that claimed/ points to, if the job really is there."""
        text = fslook.link_text(os.path.join(self._jar.claimed, self.name))
        path = os.path.normpath(os.path.join(self._jar.claimed, text or ""))
        head, name = os.path.split(path)
        holder, category = (os.path.dirname(head), self.category) if self.category else (head, None)
        if text is None or name != self.name or not _is_file(head, name):
            return None
        return Place(states.CLAIMS, category, name, holder)

    def _where_else(self) -> Place | None:
        """A look at everything: a worker without a link in claimed/, or another priority, category or ~N."""
        jar = self._jar
        for state in states.QUEUES:
            for place in census.queued(jar, state):
                if self._is_mine(place.name):
                    return place
        for place in census.claimed(jar):
            if self._is_mine(place.name):
                return place
        for state in (states.COMPLETED, states.FAILED):
            # NFS: the listing's word is taken, for a lookup may have a cached "no" from the time before the job came.
            for entry in fslook.entries(jar.directory(state), []):
                if self._is_mine(entry.name) and fslook.is_file_entry(entry):
                    return Place(state, None, entry.name)
        return None

    def _is_mine(self, name: str) -> bool:
        if name == self.name:
            return True
        # Another name is surely that of the same job only if we made it: others need not be unique.
        return jobname.number(self.name) is not None and jobname.stem(name) == jobname.stem(self.name)

    def end_line(self) -> dict | None:
        """What the journals say of its end, with the keys of docs/PROTOCOL.md section 7; None when they say nothing."""
        return ends.end_line(self._jar, self.name, self.category, self._holder)


def _has_failed(jar: Jar, name: str) -> bool:
    """Whether the job completed/NAME ended badly; to be asked after it was seen there."""
    if fslook.is_there(jar.failed, name):
        return True
    # NFS: a lookup's "no" may be older than the link, and there is no second look at a job that has ended.
    stamp = fslook.stamp(jar.failed)
    known = _listings.get(jar.failed)
    # A stamp that cannot be asked for is the same twice and says nothing.
    if known is not None and known[0] == stamp != -1:
        return name in known[1]
    # The server's clock cannot be behind the last change that it has noted.
    is_racy = fslook.stamp(jar.completed) - stamp < glance.RACY * 1e9
    names = frozenset(fslook.names_uncached(jar.failed))
    if not is_racy:
        _listings[jar.failed] = stamp, names
    return name in names


def _is_file(directory: str, name: str) -> bool:
    try:
        return fslook.is_file(directory, name)
    except NotADirectoryError:
        return False


def _text(path: str) -> str:
    for is_sure in (False, True):
        try:
            with fslook.open_file(path) as file:
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            # NFS: that it was not there when somebody asked earlier may be remembered.
            if is_sure or not fslook.is_there(*os.path.split(path)):
                break
    return ""
