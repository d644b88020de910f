"""Submitting an array: one file, and a name of it in the queue for each task; or a copy for each.

Invariant: each task appears once, in the order of the indices, and the draft in limbo/ stays until the last one has.
A submission that was cut short is completed by submitting the same again, under the same id: docs/PROTOCOL.md
section 6.
"""

import errno
import os
from bisect import bisect_right

from jobjar import drafts, fslook, fsops, jobname, leftovers, node, registration, resync, states, submission
from jobjar.drafts import Draft
from jobjar.errors import NO_ROOM, JobJarError, TryAgain, at_fault
from jobjar.expansion import Batch
from jobjar.layout import Jar, Place
from jobjar.leftovers import BUSY, GONE, REBOOTED
from jobjar.node import Identity

# How many names one file gets, its draft's among them; ext4 takes 65,000.
NAMES_MAX = 60_000
# How many copies are written before the disk is waited for.
COPIES = 1000
# What file systems say that have no second names for a file.
_NO_NAMES = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_EVENTS = {states.UNCLAIMED: "submit", states.WAITING: "defer", states.HELD: "submit_held"}


def submit(jar: Jar, batch: Batch, me: Identity, several: bool) -> str:
    """Submit an array; its id. Durable on return, and perhaps some of it is done.

    `several`: whether one file may have several names in this jar. UsageError: a file is in the way of the category.
    TryAgain: no space, or another process may be submitting the same. When it fails half-way, or is interrupted, the
    sentence says how much is submitted, and that submitting the same again completes it.
    """
    # The tasks beyond the cap wait for their turn.
    rest = states.WAITING if batch.cap and batch.state == states.UNCLAIMED else batch.state
    places = [Place(state, batch.category, "") for state in (batch.state, rest)]
    for place in places:
        states.require(_EVENTS[place.state], states.LIMBO, place.state)
        # What is in the way of a category is better found before any task is submitted.
        jar.queue(place.state, place.category)
    work = _Work(jar, batch, *_draft(jar, batch, me), several)
    try:
        work.publish(*(jar.directory(place.state, place.category) for place in places))
        submission.make_durable(jar, places)
        drafts.drop(work.draft)
    except BaseException as error:
        work.cut_short(error)
        raise
    return work.array


def _draft(jar: Jar, batch: Batch, me: Identity) -> tuple[Draft, int]:
    """A new draft, or that of an earlier submission of the same that was cut short; how many of its tasks appeared."""
    for old in drafts.unfinished(jar):
        if _is_same(old, batch) and _is_given_up(jar, old, me):
            draft = drafts.take_over(jar, me, old)
            if draft:
                return draft, _appeared(jar, batch, draft)
    name = submission.fresh_name(batch.priority, batch.id)
    return drafts.make(jar, me, name, drafts.target(batch.state, batch.category), batch.data, submission.MODE), 0


def _appeared(jar: Jar, batch: Batch, draft: Draft) -> int:
    """How many of its tasks are or were in the jar: all up to the last that is."""
    return bisect_right(batch.indices, drafts.greatest(jar, jobname.split(draft.name)[0]))


def _is_same(draft: Draft, batch: Batch) -> bool:
    fresh = submission.fresh_name(batch.priority, batch.id)
    if draft.to != drafts.target(batch.state, batch.category) or _kind(draft.name) != _kind(fresh):
        return False
    found = fslook.status(draft.path, draft.name)
    # In a shared jar somebody else's file may lie there.
    if found is None or found.st_uid != os.geteuid() or found.st_size != len(batch.data):
        return False
    with open(drafts.file(draft), "rb") as file:
        return file.read() == batch.data


def _kind(name: str) -> str:
    """What a fresh name says besides its time and number: login, id and priority."""
    number = jobname.number(name)
    return name[15:].replace(number[14:], "", 1) if number else name


def _is_given_up(jar: Jar, draft: Draft, me: Identity) -> bool:
    """Whether nobody is going on with it; TryAgain when that cannot be said from here."""
    if drafts.is_of(draft, me):
        return True
    how = leftovers.of_process(me, draft.owner, draft.nonce)
    if how in (GONE, BUSY):
        return how == GONE
    made = fslook.mtime(*os.path.split(draft.path))
    if how == REBOOTED and made is not None and made < registration.server_now(jar) - node.BEAT_VETO:
        # A computer cloned from this one would look the same; but it would hardly submit the same, and for so long.
        return True
    array = jobname.split(draft.name)[0]
    raise TryAgain(f"{draft.path}: the process {draft.owner} is submitting the same array, or has died over it, which"
                   f" cannot be said from here: wait a moment, or submit it there again, or `jobjar cancel {array}`")


class _Work:
    """The publishing of one array's tasks; `done`: how many of them have appeared."""

    def __init__(self, jar: Jar, batch: Batch, draft: Draft, done: int, several: bool) -> None:
        self.jar, self.batch, self.draft, self.done, self._several = jar, batch, draft, done, several
        self.array, priority = jobname.split(draft.name)
        self._suffix = f".{priority}"
        self._is_remote = resync.is_on_remote(jar.limbo)

    def publish(self, directory: str, rest: str) -> None:
        """Let the tasks appear that are not there yet: in `directory`, those beyond the cap in `rest`."""
        total = len(self.batch.indices)
        for target, end in ((directory, min(self.batch.cap or total, total)), (rest, total)):
            while self.done < end:
                if self._several:
                    self._link(target, end)
                else:
                    self._copy(target, end)

    def _link(self, directory: str, end: int) -> None:
        """Make names of the draft's file, as many as it may get; if it may get none, that is remembered."""
        source = drafts.file(self.draft)
        names = os.stat(source).st_nlink
        if names >= NAMES_MAX:
            self._renew()
            names = 1
        for index in self.batch.indices[self.done:min(end, self.done + NAMES_MAX - names)]:
            name = f"{self.array}_{index}{self._suffix}"
            target = os.path.join(directory, name)
            # NFS: a server that was restarted may make a link once more, whose task has been claimed since; no rename.
            new = drafts.part(self.draft, name) if self._is_remote else target
            if not self._has_second_name(source, new):
                return
            if self._is_remote:
                # False too is success, as with copies.
                fsops.move(new, target)
            self.done += 1

    def _has_second_name(self, source: str, new: str) -> bool:
        """Make it; False when the draft's file gets no more names: the next tasks are names of another, or copies."""
        try:
            fsops.second_name(source, new)
        except FileExistsError:
            # NFS: a lost reply makes the client ask twice. Nobody else makes this name.
            pass
        except OSError as error:
            if error.errno in _NO_NAMES or error.errno == errno.EMLINK and os.stat(source).st_nlink < 2:
                self._several = False
            elif error.errno == errno.EMLINK:
                self._renew()
            else:
                raise
            return False
        return True

    def _renew(self) -> None:
        drafts.renew(self.draft, self.batch.data, submission.MODE)

    def _copy(self, directory: str, end: int) -> None:
        """Write some copies, wait once for the disk, and move them."""
        numbers = range(self.done, min(end, self.done + COPIES))
        names = [f"{self.array}_{index}{self._suffix}" for index in self.batch.indices[numbers.start:numbers.stop]]
        for number, name in zip(numbers, names):
            fsops.create(drafts.part(self.draft, name), self.batch.alone(number), submission.MODE, synced=False)
        fsops.sync_file_system(self.draft.path)
        for name in names:
            # False too is success: nobody but us moves it, so it has arrived and gone on, to a quick worker.
            fsops.move(drafts.part(self.draft, name), os.path.join(directory, name))
            self.done += 1

    def cut_short(self, error: BaseException) -> None:
        """Say what became of the array when its submission fails; without any task it is as if it had not been.

        For a KeyboardInterrupt another with the sentence is raised, for an OSError a TryAgain or JobJarError, for any
        other error nothing.
        """
        total = len(self.batch.indices)
        # An interrupt may have come between a task and its being counted.
        appeared = self.done or self._recount()
        if appeared == 0:
            said = "nothing is submitted"
            self._give_up()
        else:
            drafts.let_go(self.draft)
            said = f"{appeared or 'some'} of {total} tasks of the array {self.array} are submitted: submit the same" \
                   " again, and the others follow"
        if appeared == total:
            said = f"all of the array {self.array} is submitted, but remove {self.draft.path}, if it is there, before" \
                   " you submit the same again"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(said) from None
        if isinstance(error, OSError):
            reason = f"{at_fault(error) or self.jar.limbo}: {error.strerror}: {said}"
            if error.errno in NO_ROOM:
                raise TryAgain(f"{reason}, when there is room") from None
            raise JobJarError(reason) from error

    def _recount(self) -> int | None:
        try:
            return _appeared(self.jar, self.batch, self.draft)
        except OSError:
            return None

    def _give_up(self) -> None:
        try:
            drafts.drop(self.draft)
        except OSError:
            # Of two errors the first one is the reason; what is left is taken up by the same submission.
            pass
