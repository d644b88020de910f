"""What another node has written is seen here: the caches of a network file system are told to forget a job's files.

Nothing is asked of, or told to, files on this computer's own disks. Errors are nobody's: a directory that is not there
has nothing to forget.
"""

import itertools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator

from jobjar import directives, fsadvice, fslook, mounts

# So many lines of a job's file, and so much of each, are looked through for words that look like paths.
LINES, GLANCE = 20, 4096
# How often the kernel is asked what is mounted, s.
ASK_AGAIN = 60.0
# Nobody waits for more directories than this.
MOST = 100


def path_words(line: str) -> list[str]:
    """The words in a command line, or in several, that look like paths: those with a slash or a dot within them.

    Of --file=PATH, >PATH and the like only the path counts, of a glob what comes before the first directory with a
    wildcard.
    """
    found = {}
    for word in line.replace("'", " ").replace('"', " ").split():
        word = word.rpartition("=")[2].lstrip("0123456789<>&|(@").rstrip(";)&|")
        for wildcard in "*?[$`{":
            head, mark, _ = word.partition(wildcard)
            word = head.rpartition("/")[0] + "/" if mark and "/" in head else head
        if ("/" in word or "." in word.strip(".")) and "://" not in word and not word.startswith(("-", "#!")):
            found[word] = None
    return list(found)


class Caches:
    """The caches of network file systems, as a process that lives long has to do with them."""

    def __init__(self) -> None:
        self._remotes: set[int] = set()
        self._due = float("-inf")
        # The last job, as `forget_job` takes it.
        self._job: tuple[dict, list[str], str | None] = {}, [], None

    def forget(self, request: dict, path: str, head: bytes, scratch: str) -> None:
        """As `forget_job`, for the job at `path`, which is to work in `scratch` unless it says where; its file begins
        with `head`.

        Nothing, not even a system call, where no other computer may write.
        """
        now = time.monotonic()
        if now >= self._due:
            # What is mounted when it is needed comes later.
            self._remotes, self._due = remotes(), now + ASK_AGAIN
        if self._remotes:
            # What another node makes in the scratch directory matters when it is to be carried away from there.
            self._job = request, paths_in(path, head), scratch if "stage_out" in request else None
            self.forget_again()

    def forget_again(self) -> None:
        """The same, of the job of the last `forget`."""
        if self._remotes:
            forget_job(self._remotes, *self._job)


def forget_job(remote: set[int], request: dict, paths: list[str], directory: str | None) -> None:
    """Make the next look at the files of a job ask the server, those on the mounts with these numbers.

    These are its working directory, what its `request` names, and the `paths` that its file names. `directory`: the
    working directory of a job that names none; None when nothing there can be another's.
    """
    named = [str(request[key]) for key in ("output", "error", "input") if key in request]
    forget(remote, request.get("chdir", directory), [*named, *request.get("stage_out", []), *paths])


def paths_in(path: str, head: bytes = b"") -> list[str]:
    """The words that look like paths in the first lines of a job's file that are no comments; [] of a program.

    `head`: how it begins, as far as that is known already.
    """
    if 0 < len(head) < directives.GLANCE:
        # That is all of it.
        data = _telling(head.splitlines(keepends=True))
    else:
        try:
            with fslook.open_file(path) as file:
                data = _telling(iter(lambda: file.readline(GLANCE), b""))
        except OSError:
            # RACE: it has moved on; or a program that may be run and not read.
            return []
    return [] if b"\0" in data else path_words(data.decode("utf-8", "surrogateescape"))


def _telling(lines: Iterable[bytes]) -> bytes:
    return b"".join(itertools.islice((line for line in lines if not line.startswith(b"#")), LINES))


def forget(remote: set[int], directory: str | None, paths: Iterable[str] = ()) -> None:
    """Make the next look at `directory`, and at these paths as seen from there, ask the server; without a directory
    only at paths that begin with a slash."""
    files = [os.path.join(directory or "", path) for path in paths]
    files = [path for path in files if path.startswith("/")]
    own = [] if directory is None else [directory]
    # NFS: that a directory was made or replaced elsewhere is told by the one above, when that is opened.
    _each(remote, _above([*own, *files]), fslook.stamp)
    _each(remote, [*own, *(path if os.path.isdir(path) else os.path.dirname(path) for path in files)],
          _forget_directory)
    _each(remote, files, _forget_file, os.path.dirname)


def _above(paths: Iterable[str]) -> Iterator[str]:
    """The directories above each path, from the top."""
    for path in paths:
        at = 0
        while (at := path.find("/", at) + 1) > 0:
            yield path[:at]


def _each(remote: set[int], paths: Iterable[str], act: Callable[[str], object],
          where: Callable[[str], str] = str) -> None:
    """Let `act` have each of the paths that is on one of these mounts, `where` it is said to lie."""
    for path in itertools.islice(dict.fromkeys(paths), MOST):
        place = mounts.place(where(path))
        if place is not None and place.mount in remote:
            act(path)


def remotes() -> set[int]:
    """The numbers of the mounts on which other computers may write; none on nearly all computers, which stop here."""
    return mounts.numbers(is_remote)


def is_on_remote(directory: str) -> bool:
    """Whether other computers may change what is in this directory; True where nobody can say that they may not."""
    # In a chroot the table of mounts may lack the one that it is on, and there are more kinds than are known here.
    mount = mounts.of(directory)
    return mount is None or is_remote(mount.kind) or mount.kind not in fsadvice.ALONE


def is_remote(kind: str) -> bool:
    """Whether other computers may change what is on a file system of this kind."""
    return kind in (*fsadvice.NFS, *fsadvice.PARALLEL, *fsadvice.WINDOWS, "9p", "afs", "virtiofs", "fuse") \
        or kind.startswith("fuse.")


def _forget_directory(directory: str) -> None:
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
