"""What a job was asked to make (--stage-out), carried to staged/ by its worker; `fetching` brings it to the submitter.

Whatever a job leaves there, the worker comes to an end with it: what cannot be carried because of the job is said, and
kept for a person. An OSError that comes out of here is of the node or the jar.
"""

import errno
import fnmatch
import os
import stat
from collections import namedtuple
from collections.abc import Iterator

from jobjar import fslook, fsops, jobname, node, staging, store
from jobjar.directives import Request
from jobjar.errors import TROUBLE, JobJarError, UsageError
from jobjar.layout import Jar
from jobjar.node import Identity

# `staged`: the name in staged/, None when nothing is there; `missing`: what --stage-out names and is not there; `left`:
# a few words each about what is there and could not be carried.
Harvest = namedtuple("Harvest", "staged missing left")

# The event of a note which says that the results called `staged` were fetched.
FETCH = "fetch"

# So many things are named in a sentence, and the others counted.
NAMED_MAX = 5


def why(found: Harvest, kept: str | None) -> str | None:
    """The sentence for a job that was to make more than was carried; None when all was. `kept`: where the rest is."""
    told = [f"it has not made what --stage-out names: {', '.join(found.missing)}"] if found.missing else []
    if found.left:
        more = [f"{len(found.left) - NAMED_MAX} more"] if len(found.left) > NAMED_MAX else []
        told.append(f"what --stage-out names could not be carried whole: {', '.join(found.left[:NAMED_MAX] + more)}")
    if kept:
        told.append(f"all that it has made is in {kept}")
    return "; ".join(told) or None


def carry_out(jar: Jar, me: Identity, request: Request, scratch: str, base: str) -> Harvest:
    """Carry what the job `base` was asked to make, in its --chdir or else in `scratch`, to staged/.

    All of it is durable, and in staged/ at once, on return. To be called when nothing of the job lives any more. It may
    be called again after an error.
    """
    top = request.get("chdir", scratch)
    found, missing, left = _outputs(request, top)
    if not found:
        return Harvest(None, missing, left)
    fsops.make_directory(jar.staged, 0o755)
    draft = os.path.join(jar.staged, f".{node.owner(me)}.{node.nonce(me)}")
    # What has this name is of an earlier try.
    fsops.remove_tree(draft)
    fsops.make_directory(draft, 0o755)
    try:
        done = [inside for inside, source in found.items() if _try(source, draft, inside, top == scratch, left)]
        if not done:
            return Harvest(None, missing, left)
        fsops.sync_file_system(draft)
        return Harvest(_settle(jar, draft, base), missing, left)
    finally:
        # After a success it is not there any more.
        fsops.remove_tree(draft)


def _outputs(request: Request, top: str) -> tuple[dict[str, str], list[str], list[str]]:
    """What --stage-out names (path in staged/ → the file or link), the names for which there is none, and what there is
    that cannot be carried."""
    found: dict[str, str] = {}
    missing: list[str] = []
    left: list[str] = []
    walked: set[str] = set()
    for name in request.get("stage_out", []):
        files: dict[str, str] = {}
        told = len(left)
        for one in _matching(top, name, left):
            # What is named may be a link; what is found in a directory stays one.
            files.update(_files(staging.inside(one), os.path.realpath(os.path.join(top, one)), walked, left))
        if not files and told == len(left):
            missing.append(name)
        for inside, path in files.items():
            if found.setdefault(inside, path) != path:
                left.append(f"{inside} (there are two of that name)")
    if "chdir" not in request:
        left += _leading_out(found, walked.union(found.values()), os.path.realpath(top))
    return found, missing, left


def _matching(top: str, name: str, left: list[str]) -> list[str]:
    """The paths that a name or a pattern stands for."""
    found = ["/" if name.startswith("/") else ""]
    for part in filter(None, name.split("/")):
        if any(character in part for character in "*?["):
            found = [os.path.join(one, match) for one in found for match in
                     sorted(fnmatch.filter(_names(os.path.join(top, one), one, left), part))]
        else:
            found = [os.path.join(one, part) for one in found]
    return found


def _names(directory: str, shown: str, left: list[str]) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        left.append(_said(shown, error))
        return []


def _files(inside: str, path: str, walked: set[str], left: list[str]) -> Iterator[tuple[str, str]]:
    """(path in staged/, path) of what `path` is, or of all that is in that directory; no link in it is followed.

    The directories are added to `walked`.
    """
    top, ahead = path, [(inside, path)]
    while ahead:
        inside, path = ahead.pop()
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                yield inside, path
                continue
            names = os.listdir(path)
        except OSError as error:
            if path != top or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                left.append(_said(inside, error))
            continue
        walked.add(path)
        ahead += [(os.path.join(inside, name), os.path.join(path, name)) for name in sorted(names, reverse=True)]


def _leading_out(found: dict[str, str], carried: set[str], top: str) -> list[str]:
    """What is said of links to something in the job's directory, which is removed, that is not carried itself."""
    told = []
    for inside, path in found.items():
        target = os.path.realpath(path) if os.path.islink(path) else path
        if target not in carried and target.startswith(top + os.sep) and os.path.lexists(target):
            told.append(f"{inside} (a link to {os.path.relpath(target, top)}, which is not named)")
    return told


def _said(inside: str, error: Exception) -> str:
    """A few words about what cannot be carried; the error of a node in trouble is raised."""
    if isinstance(error, OSError) and error.errno in TROUBLE:
        raise error
    return f"{inside} ({error.strerror if isinstance(error, OSError) else error})"


def _try(source: str, draft: str, inside: str, may_link: bool, left: list[str]) -> bool:
    """Carry one file or link; False, and a few words in `left`, when that cannot be because of what it is."""
    try:
        staging.make_parents(draft, os.path.dirname(inside))
        carry(source, os.path.join(draft, inside), may_link)
        return True
    except (OSError, JobJarError) as error:
        left.append(_said(inside, error))
        return False


def carry(source: str, target: str, may_link: bool = False) -> None:
    """Make `target` a copy of the regular file or the symbolic link `source`; FileExistsError when the name is taken.

    `may_link`: `source` is about to be removed, and may lend its contents instead. UsageError for anything else.
    """
    found = os.lstat(source)
    if stat.S_ISLNK(found.st_mode):
        if not fsops.link(os.readlink(source), target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    elif not stat.S_ISREG(found.st_mode):
        raise UsageError("no regular file")
    elif not (may_link and _is_lent(source, target, found)):
        _copy(source, target)


def _is_lent(source: str, target: str, found: os.stat_result) -> bool:
    """Whether `target` is a second name of the file now: that takes no room, and no time for many gigabytes."""
    # A file with other names, or of other users, is not this job's alone.
    if found.st_nlink != 1 or found.st_uid != os.geteuid() or found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return False
    try:
        fsops.second_name(source, target)
        return True
    except OSError as error:
        if error.errno in TROUBLE:
            raise
        # Another file system, or one without links.
        return False


def _copy(source: str, target: str) -> None:
    # Whatever has come to be there: a fifo keeps nobody waiting, and no link leads elsewhere.
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("no regular file")
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while piece := file.read(store.PIECE):
                fsops.write_all(handle, piece)
            os.fchmod(handle, stat.S_IMODE(found.st_mode) & 0o777)
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
        # A directory takes the place of an empty one at most.
        if fsops.move(draft, path):
            return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    raise FileNotFoundError(errno.ENOENT, "somebody has taken away what was about to get its name", draft)


def is_fetched(staged: str, said: list[dict]) -> bool:
    """Whether one of a job's notes says that somebody has fetched staged/STAGED."""
    return any(line.get("e") == FETCH and line.get("staged") == staged for line in said)


def awaited(jar: Jar, staged: object, said: list[dict]) -> str | None:
    """The directory of results, by what the end line calls `staged`, that is there and that nobody has fetched."""
    if not isinstance(staged, str) or is_fetched(staged, said):
        return None
    path = os.path.join(jar.staged, os.path.basename(staged))
    return path if fslook.is_directory(path) else None
