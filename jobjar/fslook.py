"""Asking the file system about what other processes change; it changes nothing itself.

Answers are hints: each may be out of date when it arrives, and only a rename decides.
"""

import errno
import io
import os
import stat

from jobjar import quantities
from jobjar.errors import TROUBLE

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE, LINK, DIRECTORY, OTHER = "file", "link", "directory", "other"
NO_ADVICE = (errno.EINVAL, errno.ENOTSUP, errno.ESPIPE, errno.ENOSYS)


class Entry:
    """What a listing shows of a name."""

    def __init__(self, name: str, kind: str, ino: int) -> None:
        # The inode is the listing's own, which some file systems give another value than lstat.
        self.name, self.kind, self.ino = name, kind, ino


def _once_more(ask: "Callable") -> "Callable":
    """What a stale handle answers counts only when asking from the top of the path finds it stale again."""
    def asked(*arguments: object) -> object:
        try:
            return ask(*arguments)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # NFS: the directory was removed and made again, or the server exports it anew.
            return ask(*arguments)
    # By hand, for functools is half of what this module costs at the start of submit_job.
    asked.__name__, asked.__doc__ = ask.__name__, ask.__doc__
    return asked


@_once_more
def names(directory: str) -> list[str]:
    """The names in `directory`, freshly asked; already out of date when they arrive."""
    # NFS: opening a directory revalidates its attributes, so a listing is as fresh as the server's clock allows.
    return os.listdir(directory)


def names_uncached(directory: str) -> list[str]:
    """As `names`, as the server has them and no cache does: after an error, and where a rename can not decide."""
    forget_listing(directory)
    return names(directory)


def open_file(path: str) -> io.BufferedReader:
    """A regular file, to be read. FileNotFoundError also of what is none: a fifo would keep its reader waiting."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    is_regular = False
    try:
        is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    finally:
        if not is_regular:
            file.close()
    if not is_regular:
        raise FileNotFoundError(errno.ENOENT, "no regular file is there", path)
    return file


def path_of(handle: int) -> str:
    """The path of an open file, for people: it may have another by now."""
    path = f"/proc/self/fd/{handle}"
    return link_text(path) or path


def is_there(directory: str, name: str) -> bool:
    """Whether `name` exists in `directory`, whatever it is; asked of the freshly opened directory."""
    return status(directory, name) is not None


@_once_more
def status(directory: str, name: str) -> os.stat_result | None:
    """lstat of `name` in the freshly opened `directory`, or None."""
    try:
        # NFS: a lookup through a directory opened just now does not answer from a name cache up to 60 s old.
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        os.fstat(handle)
        return os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return None
    finally:
        os.close(handle)


def known(path: str) -> os.stat_result | None:
    """lstat as this node knows it, or None: all that there is to know where no other node changes anything."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def is_free(path: str) -> bool:
    """Whether nothing is at `path`, as far as this node knows; False when that cannot be said."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def is_directory(path: str) -> bool:
    """Whether `path` is a directory or a link to one; unlike os.path.isdir it does not take an error for a no."""
    try:
        # NFS: that it was not there a while ago may be remembered, unless the directory that it is in is asked afresh.
        return is_there(*os.path.split(path)) and stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_file(directory: str, name: str) -> bool:
    """Whether a lookup finds a regular file of that name."""
    found = status(directory, name)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_file_listed(directory: str, name: str) -> bool:
    """Whether an uncached listing of `directory` shows `name` as something other than a symbolic link."""
    # NFS: a lookup may answer "no" from a cached failure for as long as 60 s; a listing does not.
    forget_listing(directory)
    return any(entry.name == name and not entry.is_symlink() for entry in stream(directory))


@_once_more
def scan(directory: str) -> list[os.DirEntry]:
    """What a listing shows, dot names too."""
    with os.scandir(directory) as found:
        return list(found)


def stream(directory: str) -> "Iterator[os.DirEntry]":
    """As `scan`, one after the other: of a million names not all are in memory at a time."""
    with _opened(directory) as found:
        yield from found


@_once_more
def _opened(directory: str) -> "Iterator[os.DirEntry]":
    return os.scandir(directory)


def scan_uncached(directory: str) -> list[os.DirEntry]:
    """As `scan`, as the server has it and no cache does."""
    forget_listing(directory)
    return scan(directory)


def entries(directory: str, troubles: list[str]) -> "Iterator[os.DirEntry]":
    """As `stream`, uncached; nothing, and a sentence in `troubles`, when it cannot be listed."""
    # NFS: whoever only looks has no clock of the server to tell whether a listing is too young to be believed.
    try:
        forget_listing(directory)
        yield from stream(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: it was there a moment ago; whoever only looks must come to an end whatever happens meanwhile.
        return
    except OSError as error:
        troubles.append(f"{directory} cannot be looked into: {error.strerror}")


def is_file_entry(entry: os.DirEntry) -> bool:
    """Whether a listing shows a regular file that could be a job's: no link, and no dot name."""
    if entry.name.startswith("."):
        return False
    if entry.is_file(follow_symlinks=False):
        return True
    if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
        return False
    try:
        entry.stat(follow_symlinks=False)
        return False
    except FileNotFoundError:
        # NFS: the listing does not say what it is, and the lookup that was to tell is a cached "no".
        return True


def is_empty_file(directory: str, name: str) -> bool:
    """Whether `name` in `directory` is a regular file without contents."""
    found = status(directory, name)
    return found is not None and stat.S_ISREG(found.st_mode) and not found.st_size


def mtime(directory: str, name: str) -> float | None:
    """When `name` in `directory` was changed, by the server's clock; None when that cannot be said."""
    try:
        found = status(directory, name)
    except OSError:
        # It cannot be looked into; whoever listed it has said so.
        return None
    return found.st_mtime if found else None


def room(directory: str) -> tuple[int | None, int | None]:
    """Bytes and inodes that others than root may still take there; None for what its file system does not count."""
    try:
        found = os.statvfs(directory)
    except OSError as error:
        # Some FUSE file systems cannot be asked.
        if error.errno != errno.ENOSYS:
            raise
        return None, None
    # btrfs and some network file systems have no number of inodes, a tmpfs without limits none of blocks either.
    return found.f_bavail * found.f_frsize if found.f_blocks else None, found.f_favail if found.f_files else None


def shortage(directory: str, least: tuple[int, int]) -> str | None:
    """The sentence that says why nothing is claimed there, with `least` bytes and inodes wanted; None with enough."""
    # Not even asked, where a person wants nothing of it.
    size, inodes = room(directory) if any(least) else (None, None)
    if size is not None and size < least[0]:
        from jobjar import text
        return f"{text.size(size)} free on {directory}, JJ_MIN_FREE is {quantities.format_size(least[0])}: make room"
    if inodes is not None and inodes < least[1]:
        return f"{inodes} inodes free on {directory}, JJ_MIN_FREE is {least[1]} of them: remove files there"
    return None


def stamp(directory: str) -> int:
    """The mtime of `directory` in ns, asked of the server, -1 when it is not there."""
    try:
        return _stamp(directory)
    except OSError:
        return -1


@_once_more
def _stamp(directory: str) -> int:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


@_once_more
def forget_listing(directory: str) -> bool:
    """Make the next listing of `directory` come from the server; False when its file system takes no such advice."""
    # NFS: two changes within one tick of the server's clock leave the second invisible to a client that
    # listed in between, for ever; dropping the directory's cached pages cures it without changing it.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    except OSError as error:
        if error.errno not in NO_ADVICE:
            raise
        return False
    finally:
        os.close(handle)


def survey(directory: str) -> list[Entry]:
    """What is in `directory`, as its server has it now and no cache does; links are not followed."""
    return [Entry(entry.name, _kind(entry), entry.inode()) for entry in scan_uncached(directory)]


def _kind(entry: os.DirEntry) -> str:
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return DIRECTORY
    return FILE if entry.is_file(follow_symlinks=False) else OTHER


@_once_more
def link_text(path: str) -> str | None:
    """What the symbolic link `path` says, None when it is no link, not there or closed to us."""
    try:
        return os.readlink(path)
    except OSError as error:
        # A server in trouble has not said that a reservation is another's: a name would be passed over, or kept.
        if error.errno in TROUBLE:
            raise
        return None


def links(directory: str) -> list[tuple[str, str]]:
    """(name, text) of the symbolic links in `directory`."""
    names = [entry.name for entry in stream(directory) if entry.is_symlink()]
    found = ((name, link_text(os.path.join(directory, name))) for name in names)
    return [(name, text) for name, text in found if text is not None]
