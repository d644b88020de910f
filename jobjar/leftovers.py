"""What dead processes have left lying about, and that nobody needs: reservations, links in claimed/, drafts.

Only what belongs to a process that is provably gone, and responsible for no job any more, is touched. Nothing here
decides about a job; docs/PROTOCOL.md section 9, at its end.
"""

import os
import re
import time
from collections.abc import Callable, Iterator

from jobjar import drafts, fslook, fsops, layout, node, process, registration, reservation, states
from jobjar.errors import JobJarError
from jobjar.layout import Jar
from jobjar.node import Identity

# No check of a file system lasts so long, s.
CHECK_AGE = 86400
# Looking for reservations among all names takes at most one part in so many of a node's time, if that is a pause of
# more than so many seconds; and is not put off for longer than that.
PART, LEAST, LONGEST = 1000, 60.0, 86400.0

# What `node.nonce` makes, and attempt ids made of it.
_NONCE = re.compile(r"(none-)?[0-9a-f]{11}-[0-9a-f]+\.[0-9a-f]+(-[0-9]+)?")

# How it stands with the owner of a reservation. GONE: provably, and responsible for no job any more. BUSY: it lives, or
# has jobs that will be recovered. REBOOTED: of this node, before a boot; a computer cloned from this one would look the
# same, so only a person can say that it is gone. AWAY: of another node. HIDDEN: of another container of this kernel.
# NOBODY: the text is no reservation's.
GONE, BUSY, REBOOTED, AWAY, HIDDEN, NOBODY = "gone", "busy", "rebooted", "away", "hidden", "nobody"


def standing(jar: Jar, me: Identity, text: str) -> str:
    """How it stands with the owner of the reservation with this text, as far as can be said from here."""
    parsed = reservation.parse(text)
    if parsed is None:
        return NOBODY
    record = registration.read(jar, parsed[0])
    if record is not None and _is_of(record, parsed[1]):
        # A worker that has left, or was recovered, moves nothing more, dead or not.
        return BUSY if registration.owns_jobs(jar, parsed[0]) else GONE
    if record is None and registration.owns_jobs(jar, parsed[0]):
        # NFS: what cannot be read just now may say that the reservation belongs to one of those jobs.
        return BUSY
    return of_process(me, *parsed)


def of_process(me: Identity, owner: str, nonce: str) -> str:
    """As `standing`, of a process that is no worker or whose directory says nothing of it."""
    if owner.rpartition(".")[0] != me.node:
        return AWAY
    if node.is_dead_nonce(owner, nonce, me):
        return GONE
    if not _NONCE.fullmatch(nonce):
        # Of somebody else's making, who alone knows what it means.
        return HIDDEN
    if is_here(me, owner, nonce):
        return BUSY
    return HIDDEN if _binding(nonce)[:6] == _binding(node.nonce(me))[:6] else REBOOTED


def is_here(me: Identity, owner: str, nonce: str) -> bool:
    """Whether pids of the process NODE.PID with this nonce mean here what they meant there: same boot and container."""
    return owner.rpartition(".")[0] == me.node and _binding(nonce) == _binding(node.nonce(me))


def _binding(nonce: str) -> str:
    return nonce.removeprefix("none-").partition("-")[0]


def _is_of(record: registration.Record, nonce: str) -> bool:
    return f"{nonce.removeprefix('none-')}-".startswith(record.nonce + "-")


def sweep(jar: Jar, me: Identity, is_asked: bool = False) -> list[str]:
    """Withdraw the reservations of the dead, finish interrupted cleanings, remove views of what is claimed no more.

    `is_asked`: a person waits for it, so nothing is put off.
    Returns sentences about what could not be done now: one thing that cannot be removed keeps no other lying about.
    """
    left: list[str] = []

    def attempt_all(*steps: Callable) -> None:
        for step in steps:
            attempt(left, step, jar, me)
    attempt(left, _sparingly, jar, lambda: attempt_all(_withdraw, _drop_dangling), is_asked)
    attempt_all(_clear_limbo, _drop_unpublished, clear_checks, _clear_view)
    return left


def _sparingly(jar: Jar, act: Callable[[], None], is_asked: bool) -> None:
    """`act()`, which nobody waits for, unless it has taken so long the last time that it is not due yet here."""
    stamp = os.path.join(process.local_directory(), f"swept-{os.stat(jar.home).st_ino:x}")
    now, due = time.time(), fslook.mtime(*os.path.split(stamp)) or 0.0
    # The clock may have been set back since.
    if not is_asked and now < due <= now + LONGEST:
        return
    began = time.monotonic()
    act()
    pause = PART * (time.monotonic() - began)
    if pause > LEAST:
        os.close(os.open(stamp, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        due = time.time() + min(pause, LONGEST)
        os.utime(stamp, (due, due))


def attempt(left: list[str], step: Callable, *arguments: object) -> None:
    """Take one step of tidying up; when it fails, `left` gets a sentence, and the next can be taken all the same."""
    try:
        step(*arguments)
    except (OSError, JobJarError) as error:
        left.append(f"what the dead have left could not all be removed now: {error}")


def _withdraw(jar: Jar, me: Identity) -> None:
    for name, text in fslook.links(jar.completed):
        owner = _dead_owner(jar, me, text)
        if owner:
            reservation.void(jar, name, text, owner[1])
    for directory in _queues(jar):
        for name, text in fslook.links(directory):
            if name.startswith(".") and _dead_owner(jar, me, text):
                reservation.withdraw(jar, os.path.join(directory, name), text)


def _drop_dangling(jar: Jar, me: Identity) -> None:
    """Remove the links in failed/ of jobs that were retried or cleaned by somebody who died before the links went."""
    mine = reservation.text(node.owner(me), node.nonce(me))
    completed = set(fslook.names(jar.completed))
    for name, _ in fslook.links(jar.failed):
        if name not in completed:
            reservation.drop_dangling(jar, name, mine)


def _queues(jar: Jar) -> list[str]:
    found = []
    for state in states.QUEUES:
        top = jar.directory(state)
        found.append(top)
        with os.scandir(top) as entries:
            found += [e.path for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    return found


def _dead_owner(jar: Jar, me: Identity, text: str) -> tuple[str, str] | None:
    """(owner, nonce) of a reservation whose owner is provably gone and responsible for no job any more."""
    parsed = reservation.parse(text)
    if parsed is None:
        return None
    if parsed[0].rpartition(".")[0] != me.node:
        # RACE: two processes that withdraw one reservation could take away what has come in its place, so only its
        # own node does it, under that node's lock.
        return None
    return parsed if standing(jar, me, text) == GONE else None


def _clear_limbo(jar: Jar, me: Identity) -> None:
    """What was interrupted: a retry, a cleaning, a withdrawal, a registration."""
    for name, text in fslook.links(jar.limbo):
        if _dead_owner(jar, me, text):
            reservation.withdraw(jar, os.path.join(jar.limbo, name), text)
    for entry in fslook.scan(jar.limbo):
        draft = registration.parse_written(entry.name) or registration.parse_draft(entry.name) \
            or drafts.parse(entry.name)
        if entry.name.startswith(layout.CLEANED) and entry.is_file(follow_symlinks=False):
            fsops.remove(entry.path)
        elif draft and node.is_dead_nonce(*draft, me) and not drafts.named(jar, entry.name):
            # An array of which there are tasks is left for whoever submits the same again.
            fsops.remove_tree(entry.path)


def unpublished(jar: Jar) -> Iterator[tuple[str, tuple[str, str]]]:
    """(path, (owner, nonce)) of what somebody has begun to write in history/ or staged/, or was killed over."""
    for directory in (jar.history, jar.staged):
        for name in fslook.names(directory) if fslook.is_directory(directory) else ():
            of = registration.parse_draft(name)
            if of:
                yield os.path.join(directory, name), of


def _drop_unpublished(jar: Jar, me: Identity) -> None:
    for path, of in unpublished(jar):
        if node.is_dead_nonce(*of, me):
            fsops.remove_tree(path)


def clear_checks(jar: Jar, me: Identity, now: float | None = None) -> None:
    """Remove what killed checks of the file system have left in limbo/.

    Those of other nodes when they are old, if the server's `now` is told.
    """
    for name in fslook.names(jar.limbo):
        owner = registration.parse_check(name)
        if owner is None:
            continue
        made = fslook.mtime(jar.limbo, name) if now is not None else None
        if node.is_dead_nonce(*owner, me) or made is not None and made < now - CHECK_AGE:
            fsops.remove_tree(os.path.join(jar.limbo, name))


def _clear_view(jar: Jar, _: Identity) -> None:
    """Remove the links in claimed/ to what workers had who own nothing any more."""
    for name, text in fslook.links(jar.claimed):
        worker = jar.viewed(text)
        # A worker of the same name may have come since, and what it has is there.
        if worker and not registration.owns_jobs(jar, worker) and not _is_there(os.path.join(jar.claimed, text)):
            fsops.remove(os.path.join(jar.claimed, name))


def _is_there(path: str) -> bool:
    try:
        return fslook.is_there(*os.path.split(path))
    except NotADirectoryError:
        return False
