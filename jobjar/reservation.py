"""Holding a name before something is moved onto it, so that nothing is ever overwritten.

A reservation is a symbolic link whose text names its owner and the attempt: atomic, exclusive, and recognised by
whoever repeats the step. docs/PROTOCOL.md section 6, "Final names" and "Names in unclaimed/, held/ and waiting/".
"""

import os
import stat
import time

from jobjar import fslook, fsops, jobname, layout
from jobjar.errors import REFUSALS, Fenced, UsageError
from jobjar.layout import Jar, Place

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobjar.glance import Recent

PREFIX = "reserved:"


def text(owner: str, nonce: str) -> str:
    """The text of a reservation by process `owner` (NODE.PID) for the attempt or command `nonce`."""
    return f"{PREFIX}{owner}:{nonce}"


def parse(link: str | None) -> tuple[str, str] | None:
    """(owner, nonce) of a reservation's text, None of anything else."""
    if link is None or not link.startswith(PREFIX):
        return None
    owner, colon, nonce = link[len(PREFIX):].rpartition(":")
    return (owner, nonce) if colon else None


def hold_in_queue(directory: str, name: str, mine: str, jar: Jar) -> str:
    """Reserve a name in a queue directory: `name` if it is free, else the next. Returns the name held.

    While it is held nobody who follows the protocol moves anything onto that name.
    """
    while True:
        dot = os.path.join(directory, layout.dot_name(name))
        if fsops.link(mine, dot):
            # RACE: only after the reservation does a look that lacks the name mean that it is free.
            if not _is_used(directory, name):
                return name
            withdraw(jar, dot, mine)
        name = _next_free(name, directory)


def _is_used(directory: str, name: str) -> bool:
    # To list a long queue for each of its jobs takes a minute; a name of our own making is another job's only when
    # somebody has copied it.
    return fslook.is_there(directory, name) if jobname.number(name) else name in fslook.names(directory)


def leave_queue(directory: str, name: str, mine: str, jar: Jar) -> None:
    """Withdraw what `hold_in_queue` reserved."""
    withdraw(jar, os.path.join(directory, layout.dot_name(name)), mine)


def hold_final(jar: Jar, name: str, mine: str, bad: bool, output: bool, detour: "Callable[[str], None]",
               recent: "Recent | None" = None) -> str:
    """Reserve a final name in completed/ that is free in failed/ and logs/ too. Returns the name held.

    `bad`: the job ended badly and will be linked in failed/. `output`: there is something to move to logs/.
    `detour(next)` is called before any name but the first is tried, so that a redo can find its way. `recent`: by which
    to look whether it is free, where that will do.
    """
    # Nothing is moved there, and of names of our own only a copy is another's.
    will_do = recent is not None and (recent.is_local or not bad and not output and jobname.number(name))
    status = recent.status if will_do else fslook.status
    while True:
        path = os.path.join(jar.completed, name)
        # A redo takes a log for its own when nothing is left to be moved there: so whoever has nothing looks before it
        # holds the name, too, for it may die before it can look again.
        is_sure = output or not status(jar.logs, name) or fslook.link_text(path) == mine
        if is_sure and fsops.link(mine, path):
            if not _is_taken(jar, name, bad, output, status):
                return name
            withdraw(jar, path, mine)
        name = _next_free(name, jar.completed, jar.failed, jar.logs, mine=mine)
        detour(name)


def is_needless(jar: Jar, name: str) -> bool:
    """Whether a silent job that ended well may go to completed/NAME in one exclusive step, without holding the name."""
    # RACE: a namesake could take the name and leave it between look and step; of names of our own only a copy is one.
    is_ours = bool(jobname.number(name))
    return is_ours and fslook.is_free(f"{jar.logs}/{name}") and fslook.is_free(f"{jar.failed}/{name}")


def _next_free(name: str, *directories: str, mine: str | None = None) -> str:
    """The next candidate that listings show to be free; a thousand jobs of one name are not tried one by one."""
    taken = {name}.union(*(fslook.names(directory) for directory in directories))
    # A name that an earlier try has reserved holds that try's log and link; whoever passes it over leaves them there.
    held = {found for found, text in fslook.links(directories[0]) if text == mine} - {name} if mine else ()
    while name in taken and name not in held:
        name = jobname.next_name(name)
    return name


def leave_final(jar: Jar, name: str, mine: str) -> None:
    """Withdraw what `hold_final` reserved."""
    withdraw(jar, os.path.join(jar.completed, name), mine)


def take(jar: Jar, name: str, mine: str, act: "Callable[[], object]", is_kept: bool = False) -> object:
    """`act()`, which takes the job NAME out of completed/ or failed/ if it is there; None when somebody else does so.

    `is_kept`: after a success the reservation stays, until `leave_taken`.
    """
    # RACE: of two who take it, the second could come when a namesake's reservation has taken its name, and carry off
    # that. Only while this is held does a look that shows the job mean that nobody but a person's `mv` takes it away.
    if not fsops.link(mine, jar.taken(name)):
        return None

    def leave() -> None:
        leave_taken(jar, name, mine)
    done = use(leave, act)
    if not (done and is_kept):
        leave()
    return done


def leave_taken(jar: Jar, name: str, mine: str) -> None:
    """Withdraw what `take` has kept."""
    withdraw(jar, jar.taken(name), mine)


def _is_taken(jar: Jar, name: str, bad: bool, log_matters: bool, status: "Callable") -> bool:
    found = status(jar.failed, name)
    if found is not None:
        # A link is mine from an earlier try when I end badly; under a job that ended well it would be a lie.
        if not stat.S_ISLNK(found.st_mode) or not bad:
            return True
    return log_matters and status(jar.logs, name) is not None


def siblings(place: Place) -> list[str]:
    """The names beside a worker's job; Fenced when the worker has been declared dead, and the job is another's."""
    try:
        return fslook.names(os.path.join(place.holder, place.category or ""))
    except FileNotFoundError:
        raise Fenced(f"{place.holder} is gone: this worker has been declared dead") from None


def use(leave: "Callable[[], None]", act: "Callable[[], object]") -> object:
    """`act()`, which moves something under a reservation; when it is refused, `leave()` withdraws that."""
    # RACE: when Fenced comes out, whoever has taken the job over goes on under the same text: it is theirs to withdraw.
    try:
        return act()
    except UsageError:
        leave()
        raise
    except OSError as error:
        # NFS: a rename that was not refused may come late, and overwrite what has taken the name meanwhile: so the name
        # stays held, for the same text to try again, or for recovery when this process is dead.
        if error.errno in REFUSALS:
            leave()
        raise


def withdraw(jar: Jar, path: str, mine: str) -> bool:
    """Give up the reservation at `path`, if it is mine; True when it is gone."""
    # The dead worker's text is used by its recoverers too, so the name has to say who looks, and when.
    aside = jar.aside(f"{mine[len(PREFIX):]}.{os.getpid()}.{time.monotonic_ns()}")
    return fsops.withdraw(path, mine, aside)


def void(jar: Jar, name: str, mine: str, attempt: str) -> None:
    """Undo what a dead owner prepared under completed/NAME and did not commit: link in failed/, log, reservation."""
    if fslook.link_text(os.path.join(jar.completed, name)) != mine:
        return
    drop_failed_link(jar, name)
    if fslook.is_there(jar.logs, name):
        fsops.move(jar.log(name), jar.log(name, attempt))
    leave_final(jar, name, mine)


def drop_failed_link(jar: Jar, name: str) -> None:
    """Remove the link in failed/ that says that completed/NAME ended badly."""
    path = os.path.join(jar.failed, name)
    if fslook.link_text(path) == layout.failed_link(name):
        fsops.remove(path)


def drop_dangling(jar: Jar, name: str, mine: str) -> None:
    """Remove the link failed/NAME when no job completed/NAME is there, nor about to come. May be repeated."""
    # RACE: a namesake that is just ending badly links the same name; only under a reservation is the link nobody's.
    if fslook.is_there(jar.failed, name) and fsops.link(mine, os.path.join(jar.completed, name)):
        drop_failed_link(jar, name)
        leave_final(jar, name, mine)
