"""Mending what `inspection` finds, as far as that is safe: by recovery, and by a person's word that a repair is wanted.

Under the node's lock, as every recovery. Nothing is overwritten; what is removed is provably a dead process's own, or
was made by a process of this node before a reboot. Every step may be interrupted and repeated.
"""

import os
from collections import namedtuple

from jobjar import fslook, fsops, holders, layout, leavings, leftovers, moves, node, notes, process, registration
from jobjar import reservation, states, submission
from jobjar.config import Settings
from jobjar.fslook import DIRECTORY, FILE, LINK
from jobjar.inventory import Inventory
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.nodelock import only_one
from jobjar.recovery import Recovery
from jobjar.supervision import PATIENCE

# The kinds of findings that a repair can end.
MENDED = frozenset(("left-over", "before-reboot", "dangling-link", "old-view", "probe", "clock", "lock", "stranded",
                    "fenced", "caught-aside", "format"))

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
        _Before(jar, me).withdraw()
        jobs, left = Recovery(jar, me, settings.max_attempts).node()
        _sweep(jar, me)
        return Report([*jobs, *_rescue(jar, me, left)], left)


class _Before:
    """What processes of this node made before a reboot and did not remove."""

    def __init__(self, jar: Jar, me: Identity) -> None:
        self.jar, self.me = jar, me
        self.now = registration.server_now(jar)

    def withdraw(self) -> None:
        """Take it away."""
        seen = Inventory(self.jar)
        for directory, name, text in leavings.reservations(seen):
            if not self._is_meant(directory, name, leftovers.standing(self.jar, self.me, text)):
                continue
            if directory == self.jar.completed:
                reservation.void(self.jar, name, text, reservation.parse(text)[1])
            else:
                reservation.withdraw(self.jar, os.path.join(directory, name), text)
        for entry in seen.limbo:
            path = os.path.join(self.jar.limbo, entry.name)
            of = registration.parse_check(entry.name) or \
                entry.kind == DIRECTORY and registration.parse_draft(entry.name)
            text = fslook.link_text(path) if entry.kind == LINK and entry.name.startswith(layout.ASIDE) else None
            if text and self._is_meant(self.jar.limbo, entry.name, leftovers.standing(self.jar, self.me, text)):
                fsops.remove(path)
            elif of and not entry.name.startswith(layout.ASIDE) \
                    and self._is_meant(self.jar.limbo, entry.name, leftovers.of_process(self.me, *of)):
                fsops.remove_tree(path)

    def _is_meant(self, directory: str, name: str, standing: str) -> bool:
        """Whether it is of this node before a reboot, and too old for a computer that has just taken its name."""
        found = fslook.status(directory, name) if standing == leftovers.REBOOTED else None
        return found is not None and self.now - found.st_mtime > node.BEAT_VETO


def _sweep(jar: Jar, me: Identity) -> None:
    """Remove what is nobody's and no recovery looks for."""
    seen = Inventory(jar)
    for path, worker in seen.probes():
        if not registration.owns_jobs(jar, worker):
            fsops.remove(path)
    for entry in seen.limbo:
        if entry.name.startswith(registration.NOW) and leavings.is_forgotten_clock(jar.limbo, entry.name):
            fsops.remove(os.path.join(jar.limbo, entry.name))
    for name in seen.staff:
        lock = holders.dead_lock(seen, me, name)
        # Other jars have workers too, but no two have one nonce.
        if lock and not process.orphans(lock, registration.read_directory(jar.worker(name)).nonce)[0]:
            fsops.remove(lock)


def _rescue(jar: Jar, me: Identity, left: list[str]) -> list[tuple[str, None, str]]:
    """Put the files that the death of a process has left without their names into held/, each with a note."""
    rescued = []
    now = registration.server_now(jar)
    for entry in Inventory(jar).limbo:
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
            rescued.append(("rescue", None, name))
    return rescued


def _is_abandoned(path: str, me: Identity, now: float) -> bool:
    """Whether the process that renamed the file to this name is dead, or it has been there for too long."""
    # The name ends with the pid of that process and its clock, see `reservation.withdraw`.
    of, pid = os.path.basename(path).removeprefix(layout.ASIDE).split(":")[0], path.split(".")[-2:-1]
    is_mine = of.rpartition(".")[0] == me.node and pid and pid[0].isascii() and pid[0].isdigit()
    if is_mine and node.start_ticks(int(pid[0])) is None:
        return True
    found = fslook.status(*os.path.split(path))
    return found is not None and now - found.st_ctime > node.BEAT_VETO
