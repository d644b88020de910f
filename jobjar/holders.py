"""Who has jobs, and may they be waited for? The workers, living and dead, with what they hold and leave."""

import os
from collections.abc import Iterator

from jobjar import family, fslook, layout, leavings, leftovers, node, process, registration, staff
from jobjar.findings import INFORMATION, PERSON, THREAT, UNTIDY, Finding
from jobjar.fslook import DIRECTORY
from jobjar.inventory import Inventory, Seen
from jobjar.layout import RECOVERING
from jobjar.node import Identity
from jobjar.staff import Worker

# Seconds that a server in trouble may need to take down the end of a job, by its clock.
SETTLED = 60.0

_MARKERS = (layout.STOP_ALL, layout.PAUSE_ALL)


def find(seen: Inventory, me: Identity) -> Iterator[Finding]:
    """What is wrong with the workers."""
    common = {entry.name for entry in seen.workers}
    known = {worker.name: worker for worker in staff.look(seen.jar, me, common, seen.now, [])}
    for name in seen.staff:
        if seen.is_closed(seen.jar.worker(name)):
            # That nobody can look into it is said elsewhere.
            continue
        if name in known and seen.owns(name):
            yield from _worker(seen, me, known[name])
            yield from _waits(seen, known[name])
        elif seen.owns(name):
            yield _set_aside(seen, name)
        else:
            yield from _lock(seen, me, name)
        yield from _left(seen, name)
    yield from _strange(seen, set(known))


def _worker(seen: Inventory, me: Identity, worker: Worker) -> Iterator[Finding]:
    directory, held = seen.jar.worker(worker.name), seen.held[worker.name]
    proof = tuple(job.ino for job in held)
    record = registration.read(seen.jar, worker.name)
    if record is None:
        yield Finding(THREAT if held else PERSON, "no-worker-json", directory, f"it has no worker.json that can be"
                      f" read, so nobody can say whether its worker lives{_with(held)}: restore it, or, if you know"
                      " that the worker is dead, move what is in claims/ to unclaimed/ and remove claims/", proof)
    elif worker.state == staff.STRANDED:
        if not _is_being_recovered(seen, me, worker.name):
            yield _stranded(directory, held, record, proof)
    elif worker.state == staff.FENCED:
        if not _is_being_recovered(seen, me, worker.name) and seen.age(directory) > leavings.OLD:
            yield Finding(THREAT if held else PERSON, "fenced", directory, "its jobs were taken over long ago by a"
                          f" recovery that has not ended{_with(held)}: `recover_stranded` on node {worker.node}, or, if"
                          f" that is down, `recover_stranded --node {worker.node} --dead`", proof)
    elif worker.state == staff.UNKNOWN:
        yield Finding(PERSON if held else INFORMATION, "unknown", directory, "it cannot be judged from here and has not"
                      f" been heard of lately{_with(held)}: `jobjar check` on node {worker.node} can say more; if that"
                      f" is down for good, `recover_stranded --node {worker.node} --dead`", proof)
    elif record.identity.node == me.node:
        yield from _here(seen, me, worker, record, held)


def _here(seen: Inventory, me: Identity, worker: Worker, record: registration.Record,
          held: list[Seen]) -> Iterator[Finding]:
    """A worker of this node that may well live."""
    of = record.identity
    if of.machine and of.machine == me.machine and of.boot != me.boot:
        yield Finding(INFORMATION, "young-reboot", seen.jar.worker(worker.name), "it is of another boot of this node,"
                      f" or of a computer cloned from it, and was heard of lately{_with(held)}: if this node has just"
                      " been booted, look again in three minutes", tuple(job.ino for job in held))
    elif held and node.verdict(of, me) == node.ALIVE:
        yield from _living(seen, worker, held)


def _waits(seen: Inventory, worker: Worker) -> Iterator[Finding]:
    """A worker that has a reason to claim nothing; a person who has paused it knows that already."""
    if worker.reason:
        # How much room there is would be another number at each look.
        why = worker.reason if worker.state == staff.PAUSED else "less is free than its JJ_MIN_FREE: make room"
        yield Finding(INFORMATION, "claims-nothing", seen.jar.worker(worker.name), f"{worker.state}, {why}")


def _with(held: list[Seen]) -> str:
    return f", with {len(held)} {'job' if len(held) == 1 else 'jobs'}" if held else ""


def _stranded(directory: str, held: list[Seen], record: registration.Record, proof: tuple) -> Finding:
    uid = record.extra.get("uid", os.geteuid())
    how = "`recover_stranded` or `jobjar check --repair` brings back what it has" if uid == os.geteuid() else \
        f"`recover_stranded` of the user with the number {uid} brings back what it has"
    return Finding(THREAT if held else UNTIDY, "stranded", directory, f"its worker is dead{_with(held)}: {how}", proof)


def _is_being_recovered(seen: Inventory, me: Identity, worker: str) -> bool:
    """Whether another living process of this node has fenced all that the worker had, and is about to see to it."""
    holders = [entry.name for entry in seen.staff[worker] if layout.is_holder(entry.name)]
    return all(name.startswith(RECOVERING) and _lives(name.removeprefix(RECOVERING), me) for name in holders)


def _lives(fence: str, me: Identity) -> bool:
    # The nonce of the recovery ends with its pid in hex; a number for each of its fences follows.
    nonce, _, _ = fence.rpartition("-")
    try:
        owner = f"{me.node}.{int(nonce.rpartition('.')[2], 16)}"
    except ValueError:
        return False
    # What this very process has fenced, before it looks, it had to leave.
    return nonce != node.nonce(me) and leftovers.of_process(me, owner, nonce) == leftovers.BUSY


def _living(seen: Inventory, worker: Worker, held: list[Seen]) -> Iterator[Finding]:
    """A living worker of this node: does it run what it has?"""
    first, log = seen.jar.path(held[0].place), os.path.join(seen.jar.worker(worker.name), "log")
    proof = tuple(job.ino for job in held)
    # A worker that has just written down how a job ended may wait for the disk for a while before it moves it.
    written = fslook.mtime(seen.jar.worker(worker.name), "journal")
    if not family.has_children(worker.pid) and written is not None and seen.now - written > SETTLED:
        yield Finding(PERSON, "not-run", first, "its worker lives and runs nothing: it is paused, or cannot write down"
                      f" how the job has ended; {log} may say why", proof)
    elif len(held) > 1:
        yield Finding(INFORMATION, "two-jobs", seen.jar.worker(worker.name), f"its worker has {len(held)} jobs, since a"
                      " rename came late: it runs them one after the other", proof)


def _set_aside(seen: Inventory, name: str) -> Finding:
    held, directory = seen.held[name], seen.jar.worker(name)
    return Finding(THREAT if held else PERSON, "not-a-worker", directory, "no recovery looks here, for it is not called"
                   f" NODE.PID, and yet it has claims/ or recovering.*{_with(held)}: move jobs to unclaimed/, and what"
                   " is empty then remove with rmdir", tuple(job.ino for job in held))


def _lock(seen: Inventory, me: Identity, name: str) -> Iterator[Finding]:
    path = dead_lock(seen, me, name)
    if path and os.path.exists(path):
        yield Finding(UNTIDY, "lock", path, f"the lock file of a worker that is gone ({name}):"
                      " `jobjar check --repair` removes it")


def dead_lock(seen: Inventory, me: Identity, name: str) -> str | None:
    """The path of the lock file of a worker of this node that is provably dead and owns nothing, else None."""
    record = registration.read_directory(seen.jar.worker(name))
    if record is None or seen.owns(name):
        return None
    how = leftovers.of_process(me, record.worker, record.nonce)
    path = process.lock_of(record.nonce)
    # Lock files are on the node itself, so that what was there before its last boot is dead without any doubt.
    return path if how in (leftovers.GONE, leftovers.REBOOTED) and record.extra.get("lock") == path else None


def _left(seen: Inventory, name: str) -> Iterator[Finding]:
    for entry in seen.staff[name]:
        if ".left-" in entry.name:
            yield Finding(INFORMATION, "left", os.path.join(seen.jar.worker(name), entry.name), "what a job has left"
                          " and its worker could not remove: remove it when nobody needs it", (entry.ino,))


def _strange(seen: Inventory, known: set[str]) -> Iterator[Finding]:
    for entry in seen.workers:
        is_marker = entry.name in _MARKERS or entry.name.startswith(layout.DRAIN)
        is_worker = entry.kind == DIRECTORY and (
            entry.name in known or layout.former_worker(entry.name) or seen.owns(entry.name))
        if not (is_marker or is_worker or entry.name.startswith(".")):
            yield Finding(INFORMATION, "strange", os.path.join(seen.jar.workers, entry.name), "neither a worker nor a"
                          " marker that workers know: if it was meant as one, look at its spelling",
                          (entry.kind, entry.ino))
