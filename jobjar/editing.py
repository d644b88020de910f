"""Changing what a job asks for, or its whole text, before it begins.

The job is taken into held/ first, under a name that nobody else moves while it is held; a changed copy takes the place
of its file there; then it is put back to where it was. A task of an array gets a file of its own that way. Whatever
goes wrong, the job is put back as it was; if its editor dies, it stays in held/ with a note that says where it was.
"""

import os
import stat
from collections.abc import Callable, Iterable

from jobjar import directives, entries, fslook, fsops, jobfile, jobname, layout, moves, notes, preparation
from jobjar import settling
from jobjar.changing import ENDED, Change, Verb, queue_for
from jobjar.directives import BY_KEY, PLACE, Request
from jobjar.errors import UsageError
from jobjar.layout import Place
from jobjar.states import CLAIMS, COMPLETED, FAILED, HELD, QUEUES, WAITING

# What is changed by another name or place; what is worked out once, at the submission.
BY_MOVING = ("priority", "category")
AT_SUBMISSION = ("snapshot", "stage_in")
# What has no effect in the text of a job that is there already → what has.
_INSTEAD = {"priority": "--priority is changed by `jobjar edit JOB --priority=N`",
            "category": "--category is changed by `jobjar edit JOB --category=CATEGORY`",
            "hold": "--hold does its work at the submission: `jobjar hold JOB` holds it"}

# The text of a job's file → the new one; UsageError when the job is to stay as it is.
Rewrite = Callable[[bytes], bytes]


def edit(change: Change, places: Iterable[Place], wishes: Request) -> None:
    """Change what jobs ask for; a value that is given takes the place of the one, or all those, of before.

    UsageError, and nothing is changed, for what cannot be changed any more.
    """
    for key in wishes:
        if _is_fixed(key) and key not in BY_MOVING:
            raise UsageError(_too_late(key))
    said = " ".join(directives.texts(wishes))
    asked = {key: value for key, value in wishes.items() if key not in BY_MOVING}
    rewrite = (lambda data: _asking(data, asked, change.me.node)) if asked else (lambda data: data)
    _apply(change, places, rewrite, lambda place: f"is changed: {said}", wishes)


def edit_text(change: Change, places: Iterable[Place], editor: Rewrite) -> None:
    """Let `editor` change the texts of jobs; what `doubt` finds is refused."""
    said = ""

    def rewrite(data: bytes) -> bytes:
        nonlocal said
        if b"\0" in data:
            raise UsageError("is a program and no text, so it cannot be edited: give options instead")
        new = editor(data)
        why = doubt(new, data)
        if why:
            raise UsageError(why)
        said = "is as it was: nothing was changed" if new == data else "is changed"
        return new
    _apply(change, places, rewrite, lambda place: said, {})


def doubt(new: bytes, old: bytes) -> str | None:
    """Why the text `new` cannot take the place of `old`: no worker would obey it, or it would have no effect."""
    if old.strip() and not new.strip():
        return "has lost all of its text: `jobjar cancel` ends a job that is not to run"
    if b"\0" in new:
        return "would be a program and no text: submit that as a job of its own"
    try:
        _refuse_what_has_no_effect(directives.read(new[:directives.HEAD_MAX]), _said(old))
        settling.claimed(new[:directives.HEAD_MAX])
    except UsageError as error:
        return f"its #JJ lines will not do: {error}"
    return None


def _said(data: bytes) -> Request:
    """What the lines of a text ask for, as far as they can be read."""
    request: Request = {}
    for line in directives.block(data[:directives.HEAD_MAX]).split(b"\n"):
        try:
            found = directives.read(line)
        except UsageError:
            # It is to be mended.
            continue
        for key, value in found.items():
            request[key] = request.get(key, []) + value if BY_KEY[key].many else value
    return request


def _refuse_what_has_no_effect(new: Request, old: Request) -> None:
    """UsageError, with what would do it, for an option that does nothing in the file of a job that is there already."""
    for key in filter(_is_fixed, new):
        if new[key] != old.get(key):
            raise UsageError(_INSTEAD.get(key) or _too_late(key))


def _is_fixed(key: str) -> bool:
    return key in AT_SUBMISSION or BY_KEY[key].kind == PLACE


def _too_late(key: str) -> str:
    return (f"--{BY_KEY[key].name} does its work at the submission and cannot be changed: cancel the job, and submit it"
            " anew")


def _asking(data: bytes, wishes: Request, node_name: str) -> bytes:
    """The file that asks for these things too."""
    old = directives.read(data[:directives.HEAD_MAX])
    both = {key: value for key, value in old.items() if key != "env" or "export" not in wishes} | wishes
    new = preparation.resolved(both, node_name)
    for key in ("submit_dir", "submit_host"):
        # Where it was submitted stays as it was.
        if key in old:
            new[key] = old[key]
        else:
            new.pop(key, None)
    return jobfile.written(data, new)


def _apply(change: Change, places: Iterable[Place], rewrite: Rewrite, says: Callable[[Place], str],
           wishes: Request) -> None:
    def lines(place: Place) -> list[notes.Line]:
        where = os.path.join(place.state, place.category or "", place.name)
        return [(place.name, place.category, "edit", {"why": f"it was taken out of {where} to be changed; if that has"
                                                             " come to nothing, release it"})]

    def move(place: Place) -> Place | None:
        editing = _Editing(change, place)
        return editing.run(rewrite, wishes) if editing.take() else None
    wrong = change.refusing({CLAIMS: "is running, so it cannot be changed any more", COMPLETED: ENDED, FAILED: ENDED})
    for place in places:
        try:
            change.apply([place], Verb(QUEUES, wrong, lines, move, says))
        except _TakenAway as error:
            change.could_not(place, str(error))
        except UsageError as error:
            change.could_not(place, str(error) + ": it is as it was")


class _TakenAway(UsageError):
    """A person has moved or removed the file of a job while this process was changing it."""

    def __init__(self) -> None:
        super().__init__("was moved or removed by somebody while it was being changed, so nothing more is done to it:"
                         " look where it is, and change it again")


class _Editing:
    """One job while its editor has it. `place`: where it was; `taken`: where it is."""

    def __init__(self, change: Change, place: Place) -> None:
        self.change, self.jar, self.place = change, change.jar, place
        self.name = jobname.unedited(place.name) or place.name
        self.taken: Place | None = None

    def take(self) -> bool:
        """Take the job; False when somebody else was quicker."""
        name, mine = jobname.edited(self.name), self.change.mine
        if self.place.state == HELD:
            self.taken = moves.alter(self.jar, self.place, mine, name, self.place.category, is_kept=True)
        else:
            self.taken = moves.hold(self.jar, self.place, mine, name, is_kept=True)
        return self.taken is not None

    def run(self, rewrite: Rewrite, wishes: Request) -> Place | None:
        """Change the job and put it back; whatever happens, it is put back. _TakenAway when it is gone."""
        try:
            self._rewrite(rewrite)
        except BaseException:
            self._put_back({})
            raise
        moved = self._put_back(wishes)
        if moved is None:
            raise _TakenAway
        return moved

    def _rewrite(self, rewrite: Rewrite) -> None:
        path = self.jar.path(self.taken)
        found = fslook.status(*os.path.split(path))
        if found is None:
            return
        with fslook.open_file(path) as file:
            data = file.read()
        body, rest = _parted(data, path)
        new = rewrite(body)
        if new == body:
            return
        if rest:
            new += b"" if new.endswith(b"\n") else b"\n"
            new += entries.block(rest, len(new))
        self._replace(path, new, found)

    def _replace(self, path: str, data: bytes, found: os.stat_result) -> None:
        draft = os.path.join(self.jar.limbo, f"{layout.EDIT}{self.change.writer}.{self.change.token}")
        fsops.create_own(draft, data, stat.S_IMODE(found.st_mode))
        try:
            if found.st_uid != os.geteuid():
                _give(draft, found.st_uid)
            # Its age, where its name does not say it.
            os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
            # This process's own name, from which nobody moves it who keeps to the protocol; but people have `mv`.
            changed = os.stat(draft)
            if not _is(path, found) or not fsops.move(draft, path) or not _is(path, changed):
                raise _TakenAway
        finally:
            fsops.remove(draft)
        fsops.sync_directory(os.path.dirname(path))

    def _put_back(self, wishes: Request) -> Place | None:
        category = wishes.get("category", self.place.category)
        name = jobname.join(jobname.split(self.name)[0], wishes["priority"]) if "priority" in wishes else self.name
        carry = self.change.carry(self.place._replace(name=self.name), category)
        if category != self.place.category and self.place.state != HELD:
            # The name in the new category is held before the old one is given up, so that it stays this process's own.
            self.taken = moves.alter(self.jar, self.taken, self.change.mine, self.taken.name, category, is_kept=True)
        if self.taken is None:
            return None
        if self.place.state == HELD:
            return moves.alter(self.jar, self.taken, self.change.mine, name, category, before=carry)
        # What waited may wait for what only its notes say.
        state = WAITING if self.place.state == WAITING else queue_for(self.jar, self.taken)
        return moves.release(self.jar, self.taken, self.change.mine, state, name, before=carry)


def _is(path: str, file: os.stat_result) -> bool:
    found = fslook.status(*os.path.split(path))
    return found is not None and found.st_ino == file.st_ino


def _give(path: str, uid: int) -> None:
    try:
        os.chown(path, uid, -1)
    except PermissionError:
        raise UsageError("belongs to another user, and the workers would not trust a copy that is yours: let him change"
                         " it") from None


def _parted(data: bytes, path: str) -> tuple[bytes, list[bytes]]:
    """(the file without its entries, its entries)."""
    try:
        total = directives.read(data[:directives.HEAD_MAX]).get("entries")
    except UsageError:
        # It is to be mended.
        total = None
    if total is None:
        return data, []
    found = entries.read(path, total, 0, total)
    return data[:len(data) - len(entries.block(found, 0))], found
