"""What a job was asked to make (--stage-out): carried to staged/ by its worker, and to the submitter by `fetch`.

Nothing that exists is overwritten, save an input that is still as the job had got it.
"""

import errno
import glob
import os
import stat
from collections.abc import Iterator

from jobjar import fslook, fsops, jobname, node, staging, store
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.layout import Jar
from jobjar.node import Identity


def record(jar: Jar, me: Identity, request: Request, scratch: str, base: str, state: str) -> dict[str, object]:
    """Carry out what the job `base`, which ended in `state`, was asked to make; what the end line says of that.

    `staged`: the name in staged/. A job that ended well and has not made all of it has FAILED, and `why` says so.
    """
    staged, missing = carry_out(jar, me, request, request.get("chdir", scratch), base)
    found = {"staged": staged} if staged else {}
    if missing and state == "COMPLETED":
        found |= {"state": "FAILED", "why": f"it has not made what --stage-out names: {', '.join(missing)}"}
    return found


def carry_out(jar: Jar, me: Identity, request: Request, top: str, base: str) -> tuple[str | None, list[str]]:
    """Carry what the job `base` was asked to make, in the directory `top`, to staged/: the name there, None when there
    was nothing, and the names for which there was nothing.

    All of it is durable, and in staged/ at once, on return. To be called when nothing of the job lives any more.
    """
    found, missing = _outputs(request, top)
    if not found:
        return None, missing
    fsops.make_directory(jar.staged, 0o755)
    draft = os.path.join(jar.staged, f".{node.owner(me)}.{node.nonce(me)}")
    # What has this name is of an earlier try.
    fsops.remove_tree(draft)
    fsops.make_directory(draft, 0o755)
    for inside, source in found.items():
        staging.make_parents(draft, os.path.dirname(inside))
        _carry(source, os.path.join(draft, inside))
    fsops.sync_file_system(draft)
    return _settle(jar, draft, base), missing


def _outputs(request: Request, top: str) -> tuple[dict[str, str], list[str]]:
    """The files that --stage-out names (path in staged/ → the file), and the names for which there is none."""
    found: dict[str, str] = {}
    missing = []
    for name in request.get("stage_out", []):
        files = dict(_files(top, name))
        found.update(files)
        if not files:
            missing.append(name)
    return found, missing


def _files(top: str, name: str) -> Iterator[tuple[str, str]]:
    """(path in staged/, file) of what a name, a pattern or a directory stands for."""
    is_pattern = any(character in name for character in "*?[")
    for one in glob.glob(name, root_dir=top, include_hidden=True) if is_pattern else [name]:
        path = os.path.join(top, one)
        if os.path.isdir(path):
            for inner, _, names in os.walk(path):
                for file in names:
                    found = os.path.join(inner, file)
                    yield os.path.join(staging.inside(one), os.path.relpath(found, path)), found
        elif os.path.isfile(path):
            yield staging.inside(one), path


def _carry(source: str, target: str) -> None:
    with open(source, "rb") as file:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while piece := file.read(store.PIECE):
                fsops.write_all(handle, piece)
            os.fchmod(handle, stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o777)
        finally:
            fsops.close(handle)


def _settle(jar: Jar, draft: str, base: str) -> str:
    """Give the directory the job's name, or the next that is free; which."""
    name = base
    while not _take_place(draft, os.path.join(jar.staged, name)):
        name = jobname.next_name(name)
    fsops.sync_directory(jar.staged)
    return name


def _take_place(draft: str, path: str) -> bool:
    try:
        # A directory takes the place of an empty one at most. Nobody else moves this one: gone, it has arrived.
        fsops.move(draft, path)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False


def fetch(jar: Jar, staged: str, target: str, before: dict[str, str]) -> list[str]:
    """Bring staged/STAGED to the directory `target`; the paths written, relative to it.

    A file there that is alike is left. One that is as the job had got it (`before`: path → SHA-256) is replaced.
    Beside any other the new one is called NAME.STAGED. UsageError when `target` or staged/STAGED is not there.
    """
    top = os.path.join(jar.staged, staged)
    for directory in (target, top):
        if not fslook.is_directory(directory):
            raise UsageError(f"{directory} is not there: nothing can be brought back from or to it")
    written = []
    for path, _, names in os.walk(top):
        for name in sorted(names):
            inside = os.path.relpath(os.path.join(path, name), top)
            written += _bring(os.path.join(path, name), target, inside, staged, before.get(inside))
    return written


def _bring(source: str, target: str, inside: str, staged: str, before: str | None) -> list[str]:
    for name in (inside, f"{inside}.{staged}"):
        final = os.path.join(target, name)
        there = store.digest_of(final)
        if there is not None and there == store.digest_of(source):
            return []
        is_free = not os.path.lexists(final)
        if is_free or name == inside and there is not None and there == before:
            staging.make_parents(target, os.path.dirname(name))
            _carry_over(source, final, is_free)
            return [name]
    raise UsageError(f"{final} is in the way: move it elsewhere")


def _carry_over(source: str, final: str, is_free: bool) -> None:
    draft = os.path.join(os.path.dirname(final), f".{os.path.basename(final)[:200]}.{os.getpid()}")
    fsops.remove(draft)
    _carry(source, draft)
    try:
        if is_free:
            # RACE: not renamed, which would overwrite what somebody has made meanwhile.
            fsops.second_name(draft, final)
            fsops.remove(draft)
        else:
            fsops.rename(draft, final)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            fsops.remove(draft)
            raise
        # A file system without links.
        fsops.rename(draft, final)
