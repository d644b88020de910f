"""The protocol: one public function per event of `states.EVENTS`, and nothing else that moves a job.

Each function takes the job's Place and returns its new one, or None when somebody else was quicker. `mine` is the
text of the caller's reservations (see `reservation.text`): whoever repeats a move after a crash passes the same text
and so recognises what was done already. Notes and journal lines that explain a move are written before it, by the
caller. Fenced means that the directory the job came from has been taken over: touch nothing more.
"""

import os

from jobjar import fslook, fsops, jobname, layout, reservation, states
from jobjar.layout import Jar, Place

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobjar.glance import Recent


def _nothing(*_: str) -> None:
    pass


def submit(jar: Jar, name: str, category: str | None) -> Place:
    """limbo/NAME → unclaimed/: from now on any worker may take it. The name must be fresh, one of our own making."""
    return _from_limbo(jar, "submit", name, states.UNCLAIMED, category)


def defer(jar: Jar, name: str, category: str | None) -> Place:
    """limbo/NAME → waiting/, to be made ready later. The name must be fresh, one of our own making."""
    return _from_limbo(jar, "defer", name, states.WAITING, category)


def submit_held(jar: Jar, name: str, category: str | None) -> Place:
    """limbo/NAME → held/, for a person to release. The name must be fresh, one of our own making."""
    return _from_limbo(jar, "submit_held", name, states.HELD, category)


def rescue(jar: Jar, place: Place, name: str) -> Place | None:
    """limbo/ → held/ under `name`, a fresh name of our own making: a file that a death has left without its name."""
    states.require("rescue", place.state, states.HELD)
    return _moved(jar, place, Place(states.HELD, None, name))


def hold(jar: Jar, place: Place, mine: str | None, name: str | None = None, is_kept: bool = False,
         before: "Callable[[str], None]" = _nothing) -> Place | None:
    """unclaimed/ or waiting/ → held/, under another `name` if one is given. `before`: as in `recover`, `is_kept`: as in
    `alter`. `mine` None: by one bare rename, of a task whose name is of our own making and not in held/ already."""
    if mine is not None:
        return _into_queue(jar, "hold", place, states.HELD, mine, name=name, before=before, is_kept=is_kept)
    states.require("hold", place.state, states.HELD)
    jar.queue(states.HELD, place.category)
    return _moved(jar, place, place._replace(state=states.HELD))


def release(jar: Jar, place: Place, mine: str, state: str = states.UNCLAIMED, name: str | None = None,
            before: "Callable[[str], None]" = _nothing) -> Place | None:
    """held/ → unclaimed/, or waiting/ when `state` says so; under another `name` if one is given."""
    return _into_queue(jar, "release", place, state, mine, name=name, before=before)


def alter(jar: Jar, place: Place, mine: str, name: str, category: str | None, is_kept: bool = False,
          before: "Callable[[str], None]" = _nothing) -> Place | None:
    """Give a queued job another priority or category; its directory stays the same.

    `is_kept`: `name` is one of `jobname.edited`, and stays reserved until this process has moved the job on: until then
    nobody else does.
    """
    if (name, category) == (place.name, place.category) and not is_kept:
        return place
    return _into_queue(jar, "alter", place, place.state, mine, name=name, category=category, before=before,
                       is_kept=is_kept)


def ready(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """waiting/ → unclaimed/, by one bare rename if the name is of our own making. `before`: see recover."""
    if not jobname.number(place.name):
        return _into_queue(jar, "ready", place, states.UNCLAIMED, mine, before=before)
    states.require("ready", place.state, states.UNCLAIMED)
    # A releaser that died between a reservation and its rename once let a job be released twice.
    jar.queue(states.UNCLAIMED, place.category)
    return _moved(jar, place, Place(states.UNCLAIMED, place.category, place.name))


def doom(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """waiting/ → failed/: what it waits for can never come. `before`: see recover."""
    return _into_failed(jar, "doom", place, mine, before)


def cancel(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """A queued job → failed/, never started. `before`: see recover."""
    return _into_failed(jar, "cancel", place, mine, before)


def claim(jar: Jar, place: Place, claims: str) -> int:
    """unclaimed/ → `claims`, whose subdirectory for the category must exist. 0 when won, else the errno.

    Fenced when `claims` is gone. On return another process may already have fenced the winner.
    """
    states.require("claim", place.state, states.CLAIMS)
    return fsops.claim(jar.path(place), jar.path(Place(states.CLAIMS, place.category, place.name, claims)))


def refuse(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """claims/ → failed/: it cannot be run, and never was. `before`: see recover."""
    return _into_failed(jar, "refuse", place, mine, before)


def complete(jar: Jar, place: Place, mine: str, *, bad: bool, output: str | None = None, first: str | None = None,
             detour: "Callable[[str], None]" = _nothing, last: "Callable[[], None]" = _nothing,
             at_once: "Callable[[str, str], bool] | None" = None, recent: "Recent | None" = None) -> Place | None:
    """claims/ → completed/, however the job ended; steps 3 to 7 of "Complete" in docs/PROTOCOL.md.

    The end line must be in the journal already. `bad`: link it in failed/. `output`: what it printed, moved to logs/.
    `first`: the target that the journal names for this attempt, when there is one. `detour(name)` writes such a
    target line. `last()` is called just before the commit. `at_once`: `fsnew.move_new`, when there is no `first` and no
    `last`, and no other computer writes to the jar. `recent`: as in `reservation.hold_final`. None: the job's file is
    gone, it removed itself; what it printed is in logs/ then, too.
    """
    states.require("complete", place.state, states.COMPLETED)
    printed = output is not None and _is_something(output)
    if at_once and not bad and not printed and reservation.is_needless(jar, place.name) \
            and at_once(jar.path(place), f"{jar.completed}/{place.name}"):
        return Place(states.COMPLETED, None, place.name)
    final = reservation.hold_final(jar, first or place.name, mine, bad, printed, detour, recent)
    if printed:
        fsops.move(output, jar.log(final))
    # A worker that is fenced by now must learn it before it says in notes/ or failed/ what is not its to say.
    is_here = not bad and last is _nothing or place.name in reservation.siblings(place)
    if bad and is_here:
        fsops.link(layout.failed_link(final), os.path.join(jar.failed, final))
        # After a power cut the commit may be on the disk and a link of before it not, and the job look successful.
        fsops.sync_directory(jar.failed)
    last()
    if is_here and fsops.move(jar.path(place), os.path.join(jar.completed, final)):
        return Place(states.COMPLETED, None, final)
    reservation.leave_final(jar, final, mine)
    return None


def requeue(jar: Jar, place: Place, mine: str, state: str = states.UNCLAIMED,
            before: "Callable[[str], None]" = _nothing) -> Place | None:
    """claims/ → a queue, by its living worker: the attempt has ended and is to be repeated. `before`: see recover."""
    return _into_queue(jar, "requeue", place, state, mine, before=before)


def recover(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """A dead worker's job → unclaimed/. Its attempt must have been counted; `before(name)` hears its new name."""
    return _into_queue(jar, "recover", place, states.UNCLAIMED, mine, before=before)


def give_up(jar: Jar, place: Place, mine: str, before: "Callable[[str], None]" = _nothing) -> Place | None:
    """A dead worker's job → failed/: it has been tried often enough. `before`: see recover."""
    return _into_failed(jar, "give_up", place, mine, before)


def retry(jar: Jar, place: Place, mine: str, category: str | None, attempt: str,
          state: str = states.UNCLAIMED) -> Place | None:
    """completed/ or failed/ → unclaimed/, or waiting/ when `state` says so. What it printed stays, as the log of
    `attempt`, or of `attempt`~2 … when there is one."""
    states.require("retry", place.state, state)
    return reservation.take(jar, place.name, mine, lambda: _retry(jar, place, mine, category, attempt, state)
                            if _is_job(jar, place) else None)


def _retry(jar: Jar, place: Place, mine: str, category: str | None, attempt: str, state: str) -> Place | None:
    if fslook.is_there(jar.logs, place.name):
        fsops.move(jar.log(place.name), _saved_log(jar, place.name, attempt))
    moved = _into_queue(jar, "retry", place, state, mine, category=category)
    if moved and place.state == states.COMPLETED:
        # Until here the link dangles, which says "not yet"; the other way round the job would look successful, and so
        # it would after a power cut that undoes the move alone.
        fsops.sync_directory(jar.directory(moved.state, moved.category))
        reservation.drop_dangling(jar, place.name, mine)
    return moved


def _saved_log(jar: Jar, name: str, attempt: str) -> str:
    """A path that is free for what an attempt has printed; nobody else makes one while the job is taken."""
    path, number = jar.log(name, attempt), 1
    # The clocks of nodes differ, so what is thought to be the last attempt may be one whose log was saved long ago.
    while fslook.is_there(*os.path.split(path)):
        number += 1
        path = jar.log(name, f"{attempt}~{number}")
    return path


def clean(jar: Jar, places: list[Place], mine: str,
          is_meant: "Callable[[Place], bool]" = lambda place: True) -> list[Place]:
    """completed/ or failed/ → gone, with their logs, and one wait for the disk. Their records must be in the archive.

    `is_meant(place)` is asked when nobody else can take the job away. Returns those that this process has cleaned.
    """
    taken: list[Place] = []
    try:
        for place in places:
            states.require("clean", place.state, states.GONE)
            if reservation.take(jar, place.name, mine, lambda: _set_out(jar, place, is_meant), is_kept=True):
                taken.append(place)
    finally:
        if taken:
            # After a power cut that undoes the moves and not what follows, a failed job would look successful.
            fsops.sync_directory(jar.limbo)
        for place in taken:
            reservation.drop_dangling(jar, place.name, mine)
            fsops.remove(jar.cleaned(place.name))
            reservation.leave_taken(jar, place.name, mine)
    return [Place(states.GONE, None, place.name) for place in taken]


def _set_out(jar: Jar, place: Place, is_meant: "Callable[[Place], bool]") -> bool:
    """Take a job out of sight that nobody else takes away."""
    if not _is_job(jar, place) or not is_meant(place):
        return False
    fsops.remove(jar.log(place.name))
    return fsops.move(jar.path(place), jar.cleaned(place.name))


def _from_limbo(jar: Jar, event: str, name: str, state: str, category: str | None) -> Place:
    states.require(event, states.LIMBO, state)
    target = os.path.join(jar.queue(state, category), name)
    # False too is success: nobody but us moves a draft, so it has arrived and gone on, to a quick worker.
    fsops.move(os.path.join(jar.limbo, name), target)
    return Place(state, category, name)


def _into_queue(jar: Jar, event: str, place: Place, state: str, mine: str, *, name: str | None = None,
                category: str | None | bool = False, before: "Callable[[str], None]" = _nothing,
                is_kept: bool = False) -> Place | None:
    states.require(event, place.state, state)
    category = place.category if category is False else category
    directory = jar.queue(state, category)
    held = reservation.hold_in_queue(directory, name or place.name, mine, jar)

    def leave() -> None:
        reservation.leave_queue(directory, held, mine, jar)
    _tell(before, held, leave)
    return _under_reservation(jar, place, Place(state, category, held), mine, leave, is_kept)


def _into_failed(jar: Jar, event: str, place: Place, mine: str, before: "Callable[[str], None]") -> Place | None:
    states.require(event, place.state, states.FAILED)
    # completed/ arbitrates for failed/ too, so that a name is never in both for two different jobs.
    name = jobname.unedited(place.name) if place.state == states.HELD else None
    held = reservation.hold_final(jar, name or place.name, mine, bad=False, output=False, detour=_nothing)

    def leave() -> None:
        reservation.leave_final(jar, held, mine)
    _tell(before, held, leave)
    return _under_reservation(jar, place, Place(states.FAILED, None, held), mine, leave)


def _tell(before: "Callable[[str], None]", name: str, leave: "Callable[[], None]") -> None:
    try:
        before(name)
    except OSError:
        leave()
        raise


def _under_reservation(jar: Jar, place: Place, target: Place, mine: str, leave: "Callable[[], None]",
                       is_kept: bool = False) -> Place | None:
    move = _moved_from_editor if place.state == states.HELD and jobname.unedited(place.name) else _moved
    moved = reservation.use(leave, lambda: move(jar, place, target, mine))
    if not (moved and is_kept):
        leave()
    return moved


def _moved_from_editor(jar: Jar, place: Place, target: Place, mine: str) -> Place | None:
    """As `_moved`, of a job that somebody has, or had, in held/ to change its contents; None if he has it still."""
    directory = jar.directory(states.HELD, place.category)
    # RACE: he is about to rename the changed copy over it, which would be a second job if this one were gone.
    if not fsops.link(mine, os.path.join(directory, layout.dot_name(place.name))):
        return None

    def leave() -> None:
        reservation.leave_queue(directory, place.name, mine, jar)
    moved = reservation.use(leave, lambda: _moved(jar, place, target, mine))
    leave()
    return moved


def _moved(jar: Jar, source: Place, target: Place, _: str = "") -> Place | None:
    return target if fsops.move(jar.path(source), jar.path(target)) else None


def _is_job(jar: Jar, place: Place) -> bool:
    # RACE: another was quicker, and the name is a namesake's reservation now, whose log and link are not ours either.
    return fslook.is_file(jar.directory(place.state), place.name)


def _is_something(output: str) -> bool:
    try:
        return os.stat(output).st_size > 0
    except FileNotFoundError:
        return False
