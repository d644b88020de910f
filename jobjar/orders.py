"""What people ask of workers: markers, which workers look for between jobs. STOP beats PAUSE.

A marker is set when a listing shows its name, whatever it is and whatever it contains. Asking for something writes
only into the directories of workers that have not left, so that nothing is ever left behind for a later worker.
"""

import os
from collections import namedtuple
from collections.abc import Callable, Iterable

from jobjar import config, fslook, fsops, layout, registration
from jobjar.errors import NoSuchJob, UsageError
from jobjar.layout import Jar

# `stop`, `pause`, `renew`: whether it is asked for; `drain`: the reason, "" when none is given, None when not drained.
Markers = namedtuple("Markers", "stop pause renew drain")

ALL = "all"
REASON_MAX = 1000


def read(jar: Jar, worker: str, node: str) -> Markers:
    """What is asked of the worker NODE.PID now; another marker may be there on return."""
    # NFS: a lookup of one name may be answered from a cache as old as 60 s, so the directories are listed instead.
    try:
        own, common = fslook.names(jar.worker(worker)), fslook.names(jar.workers)
    except FileNotFoundError:
        # Somebody has removed the worker's directory. It cannot claim without one, and where it could be stopped
        # and recovered is gone, so it must leave.
        return Markers(True, False, False, None)
    return Markers(layout.STOP in own or layout.STOP_ALL in common, layout.PAUSE in own or layout.PAUSE_ALL in common,
                   layout.RENEW in own, _reason(jar, node) if layout.DRAIN + node in common else None)


def named(markers: Markers) -> str:
    """The instructions that markers are, in a few words for people."""
    told = (layout.STOP, markers.stop), (layout.PAUSE, markers.pause), (layout.RENEW, markers.renew), \
        ("DRAIN", markers.drain is not None)
    return " ".join(word for word, is_set in told if is_set) or "none"


def stop(jar: Jar, targets: list[str]) -> list[str]:
    """Ask workers to leave after the job they run. Returns the workers that were reached.

    `targets`: "all", NODE (whole, or up to its first dot) or NODE.PID, in any mixture. Workers that have left already
    are not reached, and workers that start later are not affected. NoSuchJob, with nothing done at all, when a target
    names no worker and no node of a worker; UsageError when it could be several nodes.
    """
    return _each(jar, _resolve(jar, targets), lambda directory: _set(directory, layout.STOP))


def pause(jar: Jar, targets: list[str]) -> list[str]:
    """Ask workers to sleep after the job they run, until they are unpaused; otherwise as `stop`."""
    return _each(jar, _resolve(jar, targets), lambda directory: _set(directory, layout.PAUSE))


def unpause(jar: Jar, targets: list[str]) -> list[str]:
    """Take back `pause`; a worker that was not paused is reached too. Otherwise as `stop`."""
    return _each(jar, _resolve(jar, targets), lambda directory: _clear(directory, layout.PAUSE))


def renew(jar: Jar, workers: list[str]) -> list[str]:
    """Ask the workers of these names to leave between jobs for a successor. Returns those that were reached."""
    return _each(jar, workers, lambda directory: _set(directory, layout.RENEW))


def missed(targets: list[str], reached: list[str]) -> list[str]:
    """Those of the targets of which no worker was reached, since all of them have left already."""
    names = set(reached)
    for node, _ in map(layout.split_worker, reached):
        names |= {ALL, node, node.partition(".")[0]}
    return [target for target in targets if target not in names]


def _resolve(jar: Jar, targets: list[str]) -> list[str]:
    """The workers' directories that the targets mean, each once; those of workers that have left are among them."""
    known = registration.workers(jar)
    found = {}
    for target in targets:
        # Only listed names match, so a target such as "../x" reaches nothing.
        found |= dict.fromkeys(known if target == ALL else _resolve_one(jar, target, known))
    return list(found)


def _resolve_one(jar: Jar, target: str, known: list[str]) -> list[str]:
    if target in known:
        return [target]
    node = _node(target, {layout.split_worker(name)[0] for name in known})
    if node is None:
        raise NoSuchJob(f"{target!r} names no worker and no node in {jar.workers}: `system_status` lists them")
    return [name for name in known if layout.split_worker(name)[0] == node]


def _node(target: str, nodes: set[str]) -> str | None:
    """The node of that name, else the one whose name begins with it before the first dot; None when there is none."""
    if target in nodes:
        return target
    near = sorted(node for node in nodes if node.partition(".")[0] == target)
    if len(near) > 1:
        raise UsageError(f"{target!r} could be any of {', '.join(near)}: write the whole name")
    return near[0] if near else None


def _each(jar: Jar, workers: list[str], act: Callable[[str], None]) -> list[str]:
    return [name for name in workers if _reach(jar.worker(name), act)]


def _reach(directory: str, act: Callable[[str], None]) -> bool:
    """Do `act` to a worker's directory; False when the worker has left."""
    try:
        if layout.CLAIMS not in fslook.names(directory):
            return False
        act(directory)
        return True
    except FileNotFoundError:
        # RACE: it has been set aside since, so its worker has left.
        return False
    except PermissionError as error:
        raise UsageError(f"{error.filename} cannot be changed by you: ask the owner of {directory}") from None


def _set(directory: str, marker: str) -> None:
    # One that is there may belong to somebody else, and says all that is to be said.
    if marker not in fslook.names(directory):
        fsops.touch(os.path.join(directory, marker))


def _clear(directory: str, marker: str) -> None:
    # NFS: a name can be listed while its lookup still says "absent", and then a bare unlink would not be sent.
    for _ in range(2):
        if marker in fslook.names(directory):
            fsops.remove(os.path.join(directory, marker))


def drain(jar: Jar, node: str, reason: str = "") -> None:
    """Keep workers from working and starting on `node` until `undrain`; a drain that is there gets the new reason.

    UsageError when `node` cannot be a node's name or the reason is not one line of text.
    """
    if not reason.isprintable() or len(reason.encode("utf-8", "surrogateescape")) > REASON_MAX:
        raise UsageError(f"the reason is not one line of at most {REASON_MAX} bytes without control characters:"
                         " write a shorter or a plainer one")
    text = (reason + "\n").encode("utf-8", "surrogateescape") if reason else b""
    fsops.publish(jar.drain(_check_node(node)), text)


def _check_node(node: str) -> str:
    """`node` itself when it can be a node's name, else UsageError."""
    if not node:
        raise UsageError("the node's name is empty: write it as `uname -n` prints it there")
    return config.KEYS["JJ_NODE"].parse(node)


def undrain(jar: Jar, node: str) -> bool:
    """Let workers work and start on `node` again; False when it was not drained."""
    was_drained = layout.DRAIN + node in fslook.names(jar.workers)
    _clear(jar.workers, layout.DRAIN + node)
    return was_drained


def drains(jar: Jar) -> dict[str, str]:
    """The drained nodes, each with the reason or ""."""
    return drains_among(jar, fslook.names(jar.workers))


def drains_among(jar: Jar, names: Iterable[str]) -> dict[str, str]:
    """As `drains`, for a listing of the workers' directory."""
    nodes = sorted(name.removeprefix(layout.DRAIN) for name in names if name.startswith(layout.DRAIN))
    return {node: _reason(jar, node) for node in nodes if node}


def _reason(jar: Jar, node: str) -> str:
    return _text(jar.drain(node))


def why_paused(jar: Jar, worker: str) -> str:
    """What the worker's PAUSE says, "" when nothing: a worker that has paused itself says why."""
    return _text(os.path.join(jar.worker(worker), layout.PAUSE))


def _text(marker: str) -> str:
    """The text of a marker that was listed; anybody may have made it, so it may say anything or nothing."""
    try:
        # O_NONBLOCK: what is there may be a fifo.
        handle = os.open(marker, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.read(handle, REASON_MAX).decode("utf-8", "surrogateescape").strip()
        finally:
            os.close(handle)
    except OSError:
        # The name alone is the order: it counts when it cannot be read, and when it was removed just now.
        return ""
