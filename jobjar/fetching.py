"""What jobs have made (--stage-out), brought from staged/ to where they were submitted.

Nothing that exists is overwritten, save an input that is still as the job had got it.
"""

import contextlib
import errno
import os
import stat
from collections import namedtuple

from jobjar import claiming, directives, ends, fslook, fsops, harvest, node, notes, staging, store
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.layout import Jar, Place

# In the names of what is on its way to where it was submitted.
_FETCHED = ".fetched."


# `directory`: to which it was brought; `written`: the paths written there, relative to it; `has_made`: whether there
# was anything to be brought.
Fetched = namedtuple("Fetched", "directory written has_made")


def fetch(jar: Jar, here: str, place: Place, target: str | None = None) -> Fetched:
    """Bring what the finished job at `place` has made to the directory `target`, else to that of its submission.

    A note says that it was brought, so that it may be cleaned away; `here` is this node's name.

    Nothing is written of what is there already, and nothing overwritten but inputs that are as the job had got them;
    see `bring`. UsageError when nobody knows where it was submitted, or the directory is not there.
    """
    request = _request(jar, place)
    target = target or request.get("submit_dir")
    end = ends.end_line(jar, place.name, None) if "stage_out" in request else None
    if target is None:
        raise UsageError(f"{place.name} does not say where it was submitted: name a directory with --to DIR")
    if end is None or not isinstance(end.get("staged"), str):
        return Fetched(target, [], False)
    staged = os.path.basename(end["staged"])
    written = bring(jar, staged, target, staging.given(jar, request))
    _note(jar, here, place, staged)
    return Fetched(target, written, True)


def _note(jar: Jar, here: str, place: Place, staged: str) -> None:
    if harvest.is_fetched(staged, notes.read(jar, place.name)):
        return
    # Another user's job, say: it is not cleaned away, then, until its owner has fetched it.
    with contextlib.suppress(PermissionError):
        notes.add(jar, node.owner(node.myself(here)), place.name, None, harvest.FETCH, staged=staged)


def _request(jar: Jar, place: Place) -> Request:
    _, head = claiming.look_into(jar.path(place))
    return directives.read(head)


def bring(jar: Jar, staged: str, target: str, before: dict[str, str]) -> list[str]:
    """Bring staged/STAGED to the directory `target`; the paths written, relative to it.

    A file there that is alike is left. One that is as the job had got it (`before`: path → SHA-256) is replaced.
    Beside any other the new one is called NAME.STAGED. UsageError when `target` or staged/STAGED is not there.
    """
    top = os.path.join(jar.staged, staged)
    for directory in (target, top):
        if not fslook.is_directory(directory):
            raise UsageError(f"{directory} is not there: nothing can be brought back from or to it")
    written = []
    for path, directories, names in os.walk(top, onerror=_refuse_closed):
        _clear(os.path.normpath(os.path.join(target, os.path.relpath(path, top))))
        links = [name for name in directories if os.path.islink(os.path.join(path, name))]
        for name in sorted(names + links):
            inside = os.path.relpath(os.path.join(path, name), top)
            written += _bring(os.path.join(path, name), target, inside, staged, before.get(inside))
    return written


def _refuse_closed(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be listed ({error.strerror}): make it accessible to you") from None


def _bring(source: str, target: str, inside: str, staged: str, before: str | None) -> list[str]:
    for name in (inside, f"{inside}.{staged}"):
        final = os.path.join(target, name)
        _make_parents(target, os.path.dirname(name))
        if _are_alike(source, final):
            return []
        if _replaces(source, final, before if name == inside else None):
            return [name]
    raise UsageError(f"{final} is in the way: move it elsewhere")


def _make_parents(top: str, path: str) -> None:
    # A person's own links to directories are followed, in his directory.
    at = top
    for part in path.split(os.sep) if path else ():
        at = os.path.join(at, part)
        fsops.make_directory(at)


def _are_alike(source: str, final: str) -> bool:
    if os.path.islink(source) or os.path.islink(final):
        text = fslook.link_text(final)
        return text is not None and text == fslook.link_text(source)
    there = store.digest_of(final)
    return there is not None and there == store.digest_of(source)


def _replaces(source: str, final: str, before: str | None) -> bool:
    """Put the file or link `source` under the name `final`, if that is free or still has the contents `before`."""
    seen = _signature(final)
    if seen and (not seen[0] or before is None or store.digest_of(final) != before):
        return False
    draft = _draft(final)
    try:
        harvest.carry(source, draft)
        if not seen:
            return _take_free_name(draft, final)
        # RACE: while a large file was copied its owner may have gone on working on his.
        if _signature(final) != seen or store.digest_of(final) != before or _signature(final) != seen:
            return False
        return fsops.move(draft, final)
    finally:
        fsops.remove(draft)


def _draft(final: str) -> str:
    me, (directory, name) = node.myself(os.uname().nodename), os.path.split(final)
    draft = os.path.join(directory, f".{name[:150]}{_FETCHED}{me.pid}.{node.nonce(me)}")
    # What has this name is of an earlier try.
    fsops.remove(draft)
    return draft


def _clear(directory: str) -> None:
    """Remove what killed processes of this node had begun to bring there."""
    me = node.myself(os.uname().nodename)
    for name in fslook.names(directory) if fslook.is_directory(directory) else ():
        pid, _, nonce = name.rpartition(_FETCHED)[2].partition(".")
        if name.startswith(".") and _FETCHED in name and node.is_dead_nonce(f"{me.node}.{pid}", nonce, me):
            fsops.remove(os.path.join(directory, name))


def _signature(path: str) -> tuple[int, ...] | None:
    """What changes when somebody writes to a file or replaces it, first whether it is a regular one; None: no such."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    is_file = int(stat.S_ISREG(found.st_mode))
    return is_file, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _take_free_name(draft: str, final: str) -> bool:
    if os.path.islink(draft):
        return fsops.link(os.readlink(draft), final)
    try:
        # RACE: not renamed, which would overwrite what somebody has made meanwhile.
        fsops.second_name(draft, final)
        return True
    except FileExistsError:
        # NFS: a lost reply says "exists" of what I have just made.
        return os.path.samestat(os.lstat(draft), os.lstat(final))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
    # A file system without links: written under its own name, exclusively.
    try:
        harvest.carry(draft, final)
    except FileExistsError:
        return False
    return True
