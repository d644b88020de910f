"""Mending what `inspection` finds, as far as that is safe: by recovery, and by a person's word that a repair is wanted.

Under the node's lock, as every recovery. Nothing is overwritten; what is removed is provably a dead process's own, or
was made by a process of this node before a reboot. Every step may be interrupted and repeated.
"""

import os
from collections import namedtuple
from collections.abc import Callable

from jobjar import drafts, fslook, fsops, holders, jobname, layout, leavings, leftovers, moves, node, notes
from jobjar import process, registration, reservation, spool, states, submission
from jobjar.config import Settings
from jobjar.fslook import DIRECTORY, FILE, LINK
from jobjar.inventory import Inventory
from jobjar.job import Job
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.nodelock import only_one
from jobjar.recovery import Recovery
from jobjar.supervision import PATIENCE

# The kinds of findings that a repair can end.
MENDED = frozenset(("left-over", "before-reboot", "dangling-link", "old-view", "probe", "clock", "lock", "stranded",
                    "fenced", "caught-aside", "format", "spool"))

# `jobs`: (event, category, name) of each job that was moved; `left`: sentences about what had to be left as it is.
Report = namedtuple("Report", "jobs left")


def mend(jar: Jar, settings: Settings) -> Report | None:
    """Recover what dead workers of this node left, and put the rest in order; None when a recovery is at work still.

    The caller is a person, who says by calling that no computer cloned from this one works under the same node name.
    """
    with only_one(PATIENCE) as mine:
        if not mine:
            return None
        me = node.myself(settings.node)
        left: list[str] = []
        leftovers.attempt(left, lambda: _Before(jar, me, left).withdraw())
        jobs, stranded = Recovery(jar, me, settings.max_attempts).node(is_asked=True)
        leftovers.attempt(left, _sweep, jar, me, left)
        leftovers.attempt(left, _keep_spools, jar, me, left)
        leftovers.attempt(left, _rescue, jar, me, jobs, left)
        # The same disk or the same right may have kept several things from being mended.
        return Report(jobs, list(dict.fromkeys(stranded + left)))


class _Before:
    """What processes of this node made before a reboot and did not remove. `left` gets sentences about what stays."""

    def __init__(self, jar: Jar, me: Identity, left: list[str]) -> None:
        self.jar, self.me, self.left = jar, me, left
        self.now = registration.server_now(jar)

    def withdraw(self) -> None:
        """Take it away."""
        seen = Inventory(self.jar)
        for directory, name, text in leavings.reservations(seen):
            if not self._is_meant(directory, name, leftovers.standing(self.jar, self.me, text)):
                continue
            if directory == self.jar.completed:
                self._attempt(reservation.void, self.jar, name, text, reservation.parse(text)[1])
            else:
                self._attempt(reservation.withdraw, self.jar, os.path.join(directory, name), text)
        for entry in seen.limbo:
            path = os.path.join(self.jar.limbo, entry.name)
            of = registration.parse_check(entry.name) or registration.parse_written(entry.name) or \
                entry.kind == DIRECTORY and _unfinished(self.jar, entry.name)
            is_link = entry.kind == LINK and entry.name.startswith((layout.ASIDE, layout.TAKE))
            text = fslook.link_text(path) if is_link else None
            if text and self._is_meant(self.jar.limbo, entry.name, leftovers.standing(self.jar, self.me, text)):
                self._attempt(reservation.withdraw, self.jar, path, text)
            elif of and not entry.name.startswith(layout.ASIDE):
                self._remove(path, of)
        for path, of in leftovers.unpublished(self.jar):
            self._remove(path, of)

    def _remove(self, path: str, of: tuple[str, str]) -> None:
        if self._is_meant(*os.path.split(path), leftovers.of_process(self.me, *of)):
            fsops.remove_tree(path)

    def _attempt(self, step: Callable, *arguments: object) -> None:
        leftovers.attempt(self.left, step, *arguments)

    def _is_meant(self, directory: str, name: str, standing: str) -> bool:
        """Whether it is of this node before a reboot, and too old for a computer that has just taken its name."""
        found = fslook.status(directory, name) if standing == leftovers.REBOOTED else None
        is_old = found is not None and self.now - found.st_mtime > node.BEAT_VETO
        if found is not None and not is_old:
            self.left.append(f"{os.path.join(directory, name)} is so young that another computer of this node's name"
                             " may have made it: try again in three minutes")
        return is_old


def _unfinished(jar: Jar, name: str) -> tuple[str, str] | None:
    """(owner, nonce) of an unfinished directory of that name in limbo/, of which nothing has come yet."""
    if name.startswith(layout.RUN):
        # What a job has printed.
        return None
    return registration.parse_draft(name) or (drafts.parse(name) if not drafts.named(jar, name) else None)


def _sweep(jar: Jar, me: Identity, left: list[str]) -> None:
    """Remove what is nobody's and no recovery looks for."""
    seen = Inventory(jar)
    for path, worker in seen.probes():
        if not registration.owns_jobs(jar, worker):
            leftovers.attempt(left, fsops.remove, path)
    for entry in seen.limbo:
        if leavings.is_forgotten_clock(seen, entry.name):
            leftovers.attempt(left, fsops.remove, os.path.join(jar.limbo, entry.name))
    for name in seen.staff:
        lock = holders.dead_lock(seen, me, name)
        # Other jars have workers too, but no two have one nonce.
        if lock and not process.orphans(lock, registration.read_directory(jar.worker(name)).nonce)[0]:
            fsops.remove(lock)


def _keep_spools(jar: Jar, me: Identity, left: list[str]) -> None:
    """Put into logs/ what jobs have printed for a `jobjar run` that was killed."""
    now = registration.server_now(jar)
    for entry in fslook.survey(jar.limbo):
        of, path = spool.parse(entry.name), os.path.join(jar.limbo, entry.name)
        standing = leftovers.of_process(me, *of) if of else leftovers.BUSY
        is_old = (fslook.mtime(jar.limbo, entry.name) or now) < now - node.BEAT_VETO
        if standing != leftovers.GONE and (standing != leftovers.REBOOTED or not is_old):
            continue
        id = spool.job_of(path)
        place = Job(jar, Place(states.UNCLAIMED, None, jobname.join(id, 0))).place if id else None
        if place is not None and place.state not in (states.COMPLETED, states.FAILED):
            left.append(f"{path} stays until job {id} has ended, which prints there")
        elif id:
            leftovers.attempt(left, spool.keep, jar, path, place.name if place else jobname.join(id, 0))


def _rescue(jar: Jar, me: Identity, jobs: list[tuple], left: list[str]) -> None:
    """Put the files that the death of a process has left without their names into held/, each with a note."""
    now = registration.server_now(jar)
    for entry in fslook.survey(jar.limbo):
        if not entry.name.startswith(layout.ASIDE) or entry.kind != FILE:
            continue
        path = os.path.join(jar.limbo, entry.name)
        if not _is_abandoned(path, me, now):
            left.append(f"{path} is so young that its process may be at work still: try again in three minutes")
            continue
        name = submission.fresh_name()
        notes.add(jar, node.owner(me), name, None, "rescue", why=f"found as {path}: a process died while the file had"
                  " no name, and whether it is a job, and has been run already, only a person can say")
        moved = moves.rescue(jar, Place(states.LIMBO, None, entry.name), name)
        if moved:
            fsops.sync_directory(jar.held)
            jobs.append(("rescue", None, name))


def _is_abandoned(path: str, me: Identity, now: float) -> bool:
    """Whether the process that renamed the file to this name is dead, or it has been there for too long."""
    # The name ends with the pid of that process and its clock, see `reservation.withdraw`.
    text, pid, _ = ["", "", *os.path.basename(path).removeprefix(layout.ASIDE).rsplit(".", 2)][-3:]
    if leftovers.is_here(me, *text.rpartition(":")[::2]) and pid.isascii() and pid.isdigit() \
            and node.start_ticks(int(pid)) is None:
        return True
    found = fslook.status(*os.path.split(path))
    return found is not None and now - found.st_ctime > node.BEAT_VETO
