"""A worker's directory: how it comes into being, what it says of its owner, how it is left.

It appears complete or not at all, and `claims/` in it is made once and never again. docs/PROTOCOL.md section 5.
"""

import errno
import json
import os
from collections import namedtuple

from jobjar import beat, fslook, fsops, layout, node
from jobjar.errors import Fenced, JobJarError
from jobjar.layout import Jar
from jobjar.node import Identity

# Begins the names of the files by which the server's clock is asked.
NOW = ".now."

# What worker.json says; `extra` holds the keys that are no part of the identity.
Record = namedtuple("Record", "worker identity nonce extra")


def write(jar: Jar, me: Identity, extra: dict) -> bool:
    """Make the directory NODE.PID, complete; False when another process holds the name.

    On return the worker may own jobs, so anybody who finds it dead will recover it.
    """
    owner, nonce = node.owner(me), node.nonce(me)
    draft = os.path.join(jar.limbo, f".{owner}.{nonce}")
    # RACE: only a process with my pid and my start can have made it, which is me, interrupted.
    fsops.remove_tree(draft)
    try:
        _draw_up(draft, json.dumps({**me._asdict(), "nonce": nonce, **extra}, indent=1) + "\n")
        if not _publish(draft, jar.worker(owner), nonce):
            return False
        fsops.sync_directory(jar.workers)
        return True
    finally:
        # After a success it is not there any more.
        fsops.remove_tree(draft)


def _draw_up(draft: str, text: str) -> None:
    fsops.make_directory(draft, 0o755)
    fsops.create_own(os.path.join(draft, "worker.json"), text.encode(), 0o644)
    fsops.make_directory(os.path.join(draft, layout.CLAIMS), 0o755)
    fsops.make_directory(os.path.join(draft, layout.ORDERS), 0o755)
    fsops.touch(os.path.join(draft, "beat"))
    fsops.sync_directory(draft)


def parse_draft(name: str) -> tuple[str, str] | None:
    """(owner, nonce) of the unfinished directory of that name in limbo/; None when it is something else."""
    parts = name.removeprefix(".").rsplit(".", 2)
    # What a process of a node called "array" would make is rather left lying about than taken for something else.
    is_other = not name.startswith(".") or name.startswith(layout.ARRAY)
    if is_other or len(parts) < 3 or not layout.split_worker(parts[0]):
        return None
    return parts[0], f"{parts[1]}.{parts[2]}"


def parse_check(name: str) -> tuple[str, str] | None:
    """(owner, nonce) of the process that made this name in limbo/ to measure the file system; None of other names."""
    if not name.startswith(layout.CHECK):
        return None
    return parse_draft("." + name.removeprefix(layout.CHECK).removesuffix(layout.OFFER))


def parse_written(name: str) -> tuple[str, str] | None:
    """(owner, nonce) of the process that made this name in limbo/ for a changed copy of a job, or for an order.

    None of other names.
    """
    prefix = next(filter(name.startswith, (layout.EDIT, layout.ORDER)), None)
    return parse_draft("." + name.removeprefix(prefix)) if prefix else None


def _publish(draft: str, target: str, nonce: str) -> bool:
    if fslook.is_there(*os.path.split(target)):
        return False
    try:
        # RACE: a target that was made since has claims/ in it, so the rename refuses it.
        fsops.rename(draft, target)
        return True
    except OSError:
        # NFS: the reply may have been lost; my own nonce in the target says so. The lookup in the fresh directory
        # comes first, for the rename's own lookup has left "not there" in the name cache.
        is_there = fslook.is_there(*os.path.split(target))
        record = read_directory(target)
        if record is not None and record.nonce == nonce:
            return True
        if not is_there:
            raise
        return False


def probe(jar: Jar, owner: str) -> None:
    """Prove that whatever a job comes through is one file system, by moving a file of one's own through it."""
    first, claims, *rest = [os.path.join(directory, layout.PROBE + owner)
                            for directory in (jar.limbo, jar.claims(owner), *_stations(jar))]
    fsops.touch(first)
    try:
        fsops.move(first, claims)
    except FileNotFoundError:
        raise Fenced(f"{jar.claims(owner)} is gone: this worker has been declared dead") from None
    for source, target in zip((claims, *rest), rest):
        fsops.move(source, target)
    fsops.remove(rest[-1])


def _stations(jar: Jar) -> tuple[str, ...]:
    """Where a probe comes to after claims/; not into the queues, whose readers would be woken for nothing."""
    return jar.logs, jar.failed, jar.completed


def clear_probe(jar: Jar, owner: str) -> None:
    """Remove what a registration that was interrupted left outside the worker's directory."""
    for directory in (jar.limbo, *_stations(jar)):
        fsops.remove(os.path.join(directory, layout.PROBE + owner))


def undo(jar: Jar, me: Identity) -> None:
    """Take back one's own registration, of a worker that has claimed nothing; what has been fenced is left."""
    owner, nonce = node.owner(me), node.nonce(me)
    clear_probe(jar, owner)
    fsops.remove(os.path.join(jar.claims(owner), layout.PROBE + owner))
    try:
        leave(jar, owner)
    except JobJarError:
        return
    # RACE: whoever has left owns nothing, so another process of the same name may have set it aside and be there now.
    set_aside(jar, owner, nonce)
    fsops.remove_tree(jar.worker(owner + layout.SET_ASIDE + nonce))


def read(jar: Jar, worker: str) -> Record | None:
    """What the worker's directory says of its owner; None when it says nothing that can be understood."""
    record = read_directory(jar.worker(worker))
    # A copy of another worker's directory would get that one declared dead.
    return record if record and record.worker == worker else None


def read_directory(directory: str) -> Record | None:
    """As `read`, for a directory of any name."""
    try:
        with fslook.open_file(os.path.join(directory, "worker.json")) as file:
            data = json.load(file)
        identity = Identity(*(data.pop(field) for field in Identity._fields))
        record = Record(f"{identity.node}.{identity.pid}", identity, data.pop("nonce"), data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if _is_proof(record) else None


def _is_proof(record: Record) -> bool:
    """Whether all is of its kind: a number that is written as text equals no process's, which would look dead."""
    of = record.identity
    return all(type(number) is int for number in (of.pid, of.start, of.pidns)) \
        and all(isinstance(text, str) for text in (of.node, of.boot, of.machine, record.nonce))


def workers(jar: Jar, of: str | None = None) -> list[str]:
    """The names of all workers' directories, or of those on the node `of`; also of workers that have left."""
    found = []
    for name in fslook.names(jar.workers):
        parts = layout.split_worker(name)
        if parts and of in (None, parts[0]):
            found.append((parts, name))
    return [name for _, name in sorted(found)]


def verdict(jar: Jar, record: Record, me: Identity) -> str:
    """ALIVE or DEAD, with proof, else UNKNOWN."""
    if record.extra.get("uid", os.geteuid()) != os.geteuid():
        # What other users run may be hidden from us, and so may what their jobs have left running.
        return node.UNKNOWN
    if record.identity.boot == me.boot or record.identity.node != me.node:
        return node.verdict(record.identity, me)
    touched = fslook.mtime(jar.worker(record.worker), "beat")
    age = node.BEAT_VETO if touched is None else server_now(jar) - touched
    return node.verdict(record.identity, me, age)


def server_now(jar: Jar) -> float:
    """The file server's clock, in seconds since the epoch, by a short-lived dot file in limbo/."""
    return beat.server_time(os.path.join(jar.limbo, f"{NOW}{os.uname().nodename}.{os.getpid()}"))


def owns_jobs(jar: Jar, worker: str) -> bool:
    """Whether the worker, or whoever fenced it, may still be responsible for jobs."""
    try:
        names = fslook.names(jar.worker(worker))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(map(layout.is_holder, names))


def set_aside(jar: Jar, worker: str, token: str) -> bool:
    """Rename a directory that owns nothing to NODE.PID.old-TOKEN, so that its name is free; True when it is.

    `token` must be of the owner's making: then one that has come since is never taken for it.
    """
    try:
        return fsops.move(jar.worker(worker), jar.worker(worker + layout.SET_ASIDE + token))
    except OSError as error:
        # RACE: somebody has set the same one aside, and what is here now is a newcomer's.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise


def leave(jar: Jar, worker: str) -> None:
    """Remove claims/, which says that the worker owns nothing any more; the rest of its directory stays.

    JobJarError when a job is inside; Fenced when claims/ is gone already.
    """
    claims = jar.claims(worker)
    try:
        names = fslook.names(claims)
    except FileNotFoundError:
        raise Fenced(f"{claims} is gone: this worker has been declared dead") from None
    for name in names:
        fsops.remove_directory(os.path.join(claims, name))
    if not fsops.remove_directory(claims):
        raise JobJarError(f"{claims} is not empty: `recover_stranded` brings back what is in it")
