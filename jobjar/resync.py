"""What another node has written is seen here: the caches of a network file system are told to forget a job's files.

Nothing is asked of, or told to, files on this computer's own disks. Errors are nobody's: a directory that is not there
has nothing to forget.
"""

import os
import stat
from collections.abc import Iterable

from jobjar import fsadvice, fslook, mounts

# So much of a job's file is looked through for words that look like paths.
GLANCE = 4096
# Nobody waits for more directories than this.
MOST = 100


def path_words(line: str) -> list[str]:
    """The words in a command line, or in several, that look like paths: those with a slash in them.

    Files without one lie in the working directory. Of --file=PATH, >PATH and the like only the path counts, of a
    glob what comes before the first directory with a wildcard.
    """
    found = {}
    for word in line.replace("'", " ").replace('"', " ").split():
        word = word.rpartition("=")[2].lstrip("0123456789<>&|(@").rstrip(";)&|")
        for wildcard in "*?[$`{":
            head, mark, _ = word.partition(wildcard)
            word = head.rpartition("/")[0] + "/" if mark and "/" in head else head
        if "/" in word and "://" not in word and not word.startswith(("-", "#!")):
            found[word] = None
    return list(found)


def again(directory: str, paths: Iterable[str] = ()) -> None:
    """Make the next look at `directory`, and at these paths as seen from there, ask the server."""
    remote = remotes()
    if not remote:
        return
    files = [os.path.join(directory, path) for path in paths]
    directories = [directory, *(path if os.path.isdir(path) else os.path.dirname(path) for path in files)]
    for path in list(dict.fromkeys(directories))[:MOST]:
        place = mounts.place(path)
        if place is not None and place.mount in remote:
            _forget(path)
    for path in list(dict.fromkeys(files))[:MOST]:
        place = mounts.place(os.path.dirname(path))
        if place is not None and place.mount in remote:
            _forget_file(path)


def remotes() -> set[int]:
    """The numbers of the mounts on which other computers may write; none on nearly all computers, which stop here."""
    return mounts.numbers(is_remote)


def is_remote(kind: str) -> bool:
    """Whether other computers may change what is on a file system of this kind."""
    return kind in (*fsadvice.NFS, *fsadvice.PARALLEL, *fsadvice.WINDOWS, "9p", "afs") or kind.startswith("fuse.")


def _forget(directory: str) -> None:
    try:
        fslook.forget_listing(directory)
    except OSError:
        pass


def _forget_file(path: str) -> None:
    try:
        # A fifo must not make us wait, nor a device do anything.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return
        # NFS: opening asks whether it has changed.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    except OSError:
        pass
