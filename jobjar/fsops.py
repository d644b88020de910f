"""The only module that renames, links, syncs and unlinks; what network file systems do to that lives here.

`fstree` and `fsnew` beside it belong to it: what is done to a whole tree, and one kind of rename.

Every function takes absolute paths. Nothing here knows what a path means. The three names below are the seam at
which tests inject faults into what raises no audit event.
"""

import errno
import os
import stat

from jobjar import fslook
from jobjar.errors import REFUSALS, Fenced, UsageError
from jobjar.fstree import remove_tree as remove_tree, sync_file_system as sync_file_system

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_write, _fsync, _close = os.write, os.fsync, os.close


def rename(source: str, target: str) -> None:
    """The bare rename, for names that nobody else can hold; OSError as it comes, EXDEV in words."""
    try:
        os.rename(source, target)
    except OSError as error:
        _refuse_two_file_systems(error, source, target)
        raise


def move(source: str, target: str) -> bool:
    """Rename `source` to `target`, a name that the caller has reserved.

    True: it is at the target. False: somebody else was quicker and took the source away. Fenced: the source's
    directory is gone. OSError: it is still where it was; unless the error is one of REFUSALS it may arrive yet.
    """
    open_end = None
    for last in (False, True):
        try:
            os.rename(source, target)
            return True
        except OSError as error:
            _refuse_two_file_systems(error, source, target)
            # NFS: of a request that was not refused nobody knows whether the server will carry it out after all.
            open_end = open_end or (None if error.errno in REFUSALS else error)
            try:
                # NFS: the reply may have been lost after the server had done it; only the source's directory knows.
                has_moved = _after_error(source, target)
            except OSError as blind:
                # That one may not look is no refusal of the move.
                raise (open_end if open_end and blind.errno in REFUSALS else blind) from None
            if has_moved is not None:
                return has_moved
            if last:
                raise open_end or error
    raise AssertionError("unreachable")


def _after_error(source: str, target: str) -> bool | None:
    """Whether it has moved to `target`; False: somebody else has taken it; None: it is still where it was."""
    directory, name = os.path.split(source)
    try:
        if name in fslook.names_uncached(directory):
            return None
    except FileNotFoundError:
        raise Fenced(f"{directory} is gone: its jobs have been taken over") from None
    return fslook.is_file_listed(*os.path.split(target))


def _refuse_two_file_systems(error: OSError, source: str, target: str) -> None:
    if error.errno == errno.EXDEV:
        raise UsageError(f"{source} and {target} lie on different file systems: a jar must be on one,"
                         " so put JJ_HOME and JJ_WORKER_HOME on the same") from None


def claim(source: str, target: str) -> int:
    """Try to win `source` by renaming it into a directory of one's own: 0 when won, else the errno; Fenced when one's
    own directory is gone."""
    try:
        os.rename(source, target)
        return 0
    except OSError as error:
        _refuse_two_file_systems(error, source, target)
        directory, name = os.path.split(target)
        try:
            # NFS: whatever the error says, what is in my own directory is mine.
            return 0 if name in fslook.names_uncached(directory) else error.errno
        except FileNotFoundError:
            raise Fenced(f"{directory} is gone: this worker has been declared dead") from None


def link(text: str, path: str) -> bool:
    """Make the symbolic link `path` that says `text`: True when it is there, now or from before; False = name taken."""
    try:
        os.symlink(text, path)
        return True
    except FileExistsError:
        # NFS: a lost reply makes the client ask twice; RACE: an earlier try of mine may have died after this step.
        # Looked for in the directory first, lest a name cache say that there is nothing.
        return fslook.is_there(*os.path.split(path)) and fslook.link_text(path) == text


def second_name(path: str, other: str) -> None:
    """Give one's own file `path` a second name, `other`, which must be free; OSError as it comes."""
    os.link(path, other)


def withdraw(path: str, text: str, aside: str) -> bool:
    """Give up the reservation `path` if it is `text`; `aside` is a fresh name in limbo/. True when it is gone."""
    if fslook.link_text(path) != text:
        return False
    try:
        # RACE: when it is gone somebody withdrew it for me; NFS: or the reply was lost, and it lies aside.
        move(path, aside)
    except Fenced:
        # The directory is gone, and the reservation with it.
        pass
    found = fslook.status(*os.path.split(aside))
    if found is None:
        return True
    if stat.S_ISLNK(found.st_mode) and os.readlink(aside) == text:
        remove(aside)
        return True
    _put_back(aside, path, text, stat.S_ISLNK(found.st_mode))
    return False


def _put_back(aside: str, path: str, text: str, is_link: bool) -> None:
    # RACE: another had withdrawn mine, and by the time of the rename somebody's file or reservation stood there.
    if is_link:
        # When the name is taken again, what this link reserved has been done without it.
        link(os.readlink(aside), path)
        remove(aside)
    elif link(text, path):
        os.rename(aside, path)
    else:
        raise OSError(errno.EEXIST, "a file has lost its name to another, and waits here for a person", aside)


def make_directory(path: str, mode: int = 0o777) -> bool:
    """Make one directory, whose parent must exist; False when it is there already, UsageError when a file is."""
    try:
        os.mkdir(path, mode)
        return True
    except FileExistsError:
        # NFS: a lost reply says "exists" of what I have just made.
        if not fslook.is_directory(path):
            raise UsageError(f"{path} is in the way: it is not a directory, so move it elsewhere") from None
        return False


def remove(path: str) -> bool:
    """Unlink; False when it was not there."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


def remove_directory(path: str) -> bool:
    """rmdir; True when it is gone, False when something is in it or it is no directory."""
    try:
        os.rmdir(path)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR):
            raise
        return error.errno == errno.ENOENT


def create(path: str, data: "bytes | Iterable[bytes]", mode: int, synced: bool = True) -> None:
    """Write a new file, exclusively; on any error nothing is left behind. FileExistsError when the name is taken."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            for piece in (data,) if isinstance(data, bytes) else data:
                write_all(handle, piece)
            os.fchmod(handle, mode)
            if synced:
                _named(_fsync, handle)
        finally:
            # NFS: a full disk may show up only here, so it is checked like a write.
            close(handle)
    except BaseException:
        try:
            remove(path)
        except OSError:
            # Of two errors the first one is the reason.
            pass
        raise


def create_own(path: str, data: "bytes | Iterable[bytes]", mode: int) -> None:
    """As `create`, for a name that nobody else makes: what is there is of an earlier try."""
    try:
        create(path, data, mode)
    except FileExistsError:
        # NFS: or of this one, whose first reply was lost.
        remove(path)
        create(path, data, mode)


def publish(path: str, data: bytes, mode: int = 0o644) -> None:
    """Make or replace the small file `path` whole: written beside it, synced, renamed, the directory synced."""
    from jobjar import node
    directory, name = os.path.split(path)
    # Another node or container may have a process of this number, and even this node's name.
    draft = os.path.join(directory, f".{name}.{node.nonce(node.myself(''))}")
    create_own(draft, data, mode)
    if not move(draft, path):
        raise FileNotFoundError(errno.ENOENT, "somebody has taken away what was about to get its name", draft)
    sync_directory(directory)


def _named(act: "Callable", handle: int, *arguments: object) -> object:
    try:
        return act(handle, *arguments)
    except OSError as error:
        # For a descriptor the system names no file, and a person has to know where there is no room.
        error.filename = error.filename or fslook.path_of(handle)
        raise


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`; a short write goes on where it stopped."""
    view = memoryview(data)
    while view:
        view = view[_named(_write, handle, view):]


def open_append(path: str, mode: int = 0o600) -> int:
    """A descriptor for appending lines to `path`, which is made if absent; a torn last line is ended first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            _named(_write, handle, b"\n")
        return handle
    except BaseException:
        os.close(handle)
        raise


def append(handle: int, line: bytes) -> None:
    """Append one line with one write; readers skip the torn one that a short write leaves."""
    if _named(_write, handle, line) != len(line) and _named(_write, handle, b"\n" + line) != len(line) + 1:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), fslook.path_of(handle))


def sync(handle: int) -> None:
    """Bring what was written through `handle` to the disk, or raise."""
    _named(_fsync, handle)


def close(handle: int) -> None:
    """Close; errors count, for on NFS they are those of the writes."""
    # Asked for first: after a close the number means nothing, or another file.
    path = fslook.path_of(handle)
    try:
        _close(handle)
    except OSError as error:
        error.filename = error.filename or path
        raise


def sync_directory(path: str) -> None:
    """Make the renames into and out of `path` survive a power cut, where the file system can."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _named(_fsync, handle)
    except OSError as error:
        # Some FUSE file systems cannot sync a directory, and have nothing to sync.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def touch(path: str, mode: int = 0o644) -> None:
    """Make the empty file `path`, or set its mtime to the server's now."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode))
    os.utime(path)


def touch_again(path: str) -> None:
    """Set the mtime of a file of one's own, which is nearly always there, to the server's now."""
    # On NFS one request, where `touch` makes three.
    os.utime(path)


def nudge(directory: str) -> None:
    """Make all clients list `directory` anew where they take no advice, by an mtime that is as old as it was."""
    found = os.stat(directory)
    os.utime(directory, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
