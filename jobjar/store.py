"""store/: the contents of files that jobs need, each kept once under its SHA-256.

A content never changes, so whoever finds it need not ask whose it is. What no job refers to any more is taken away a
day after it was last wanted: a submission that counts on a content touches it first. docs/PROTOCOL.md section 2.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from jobjar import fslook, fsops
from jobjar.errors import JobJarError, TryAgain
from jobjar.layout import Jar

PIECE = 2**20
# How long a content is kept that nobody refers to, by the server's clock, in s.
KEPT = 86400.0
# How often a submission keeps anew what was removed meanwhile.
ROUNDS = 3


def path_of(jar: Jar, digest: str) -> str:
    """Where the content of that SHA-256, 64 hexadecimal digits, lies or would lie."""
    return os.path.join(jar.store, digest[:2], digest)


class Deposit:
    """What one submission wants kept. A job that refers to it may be submitted when `settle` has returned.

    To be used in a `with` statement, at the end of which what was not made durable is removed.
    """

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        # What writes each content anew; the drafts of those that were not there.
        self._wanted: dict[str, Callable[[int], None]] = {}
        self._drafts: dict[str, str] = {}

    def __enter__(self) -> "Deposit":
        return self

    def __exit__(self, *_: object) -> None:
        for draft in self._drafts.values():
            with contextlib.suppress(OSError):
                fsops.remove(draft)

    def put_bytes(self, data: bytes) -> str:
        """Keep `data`; its SHA-256."""
        return self._put(_sha256(data).hexdigest(), lambda handle: fsops.write_all(handle, data))

    def put(self, path: str) -> str:
        """Keep what the regular file `path` contains now; its SHA-256. What is there already is not written again.

        JobJarError when the file changes while it is read, or there is no room for it.
        """
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            self._require_room(path, size)
            seen = _sha256()
            for piece in _pieces(file, path, size):
                seen.update(piece)
        return self._put(seen.hexdigest(), lambda handle: _copy(path, handle, seen.hexdigest()))

    def _require_room(self, path: str, size: int) -> None:
        # A file that only seems to be so long, as some of the kernel's do, is not even read.
        free = fslook.room(self.jar.home)[0] if size > PIECE else None
        if free is not None and size > free:
            raise TryAgain(f"{path} is longer than there is room in {self.jar.home}: make room there and try again")

    def _put(self, digest: str, write: Callable[[int], None]) -> str:
        if digest not in self._wanted:
            self._wanted[digest] = write
            if not _is_wanted_again(self.jar, digest):
                self._write(digest)
        return digest

    def _write(self, digest: str) -> None:
        mode = _make_directories(self.jar, digest)
        draft = _beside(path_of(self.jar, digest))
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        self._drafts[digest] = draft
        try:
            self._wanted[digest](handle)
            if stat.S_IMODE(os.fstat(handle).st_mode) != mode and mode & 0o022:
                os.fchmod(handle, mode)
        finally:
            fsops.close(handle)

    def settle(self) -> None:
        """Bring all that was put to the disk, under its name; TryAgain when it is removed as fast as it is put."""
        for _ in range(ROUNDS):
            # Before the names: after a power cut none of them must stand for less than it promises.
            self._publish()
            # RACE: whoever sweeps may have looked at the age of one just before it was touched.
            gone = [digest for digest in self._wanted if not fslook.is_there(*os.path.split(path_of(self.jar, digest)))]
            for digest in gone:
                self._write(digest)
            if not gone:
                return
        raise TryAgain(f"{path_of(self.jar, gone[0])} was removed while it was counted on: try again")

    def _publish(self) -> None:
        if self._drafts:
            fsops.sync_file_system(self.jar.store)
        for digest, draft in list(self._drafts.items()):
            # RACE: another may have kept the same content just now; the two are alike.
            if not fsops.move(draft, path_of(self.jar, digest)):
                raise TryAgain(f"{draft} was removed by somebody while it was needed: try again")
            del self._drafts[digest]
        # RACE: what was there already may have got its name just now, from another who has not synced it yet.
        fsops.sync_file_system(self.jar.store)


def _make_directories(jar: Jar, digest: str) -> int:
    """Make what a content lies in, open to those to whom store/ is; the mode of the content."""
    fsops.make_directory(jar.store, 0o755)
    mode = stat.S_IMODE(os.stat(jar.store).st_mode)
    directory = os.path.dirname(path_of(jar, digest))
    if fsops.make_directory(directory, 0o755) and mode & 0o022:
        # Of several users each is to be able to add to what another has begun, and to touch what he counts on.
        os.chmod(directory, mode)
    return mode & 0o666 if mode & 0o022 else 0o644


def _beside(path: str) -> str:
    directory, name = os.path.split(path)
    # Nobody else has such a name, on whatever node or in whatever container.
    return os.path.join(directory, f".{name}.{os.urandom(8).hex()}")


def _is_wanted_again(jar: Jar, digest: str) -> bool:
    """Touch the content, if it is there and is what it is to be; otherwise it has to be written."""
    path = path_of(jar, digest)
    try:
        # Before it is relied upon: whoever sweeps leaves what was touched within a day.
        os.utime(path)
    except (FileNotFoundError, PermissionError):
        # Another user's, in a jar that was made for one: it is replaced, if that may be.
        return False
    return digest_of(path) == digest


def _opened(path: str) -> object:
    # What was a file a moment ago may be a fifo now, and that would wait for a writer.
    return open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _pieces(file: object, path: str, size: int) -> Iterator[bytes]:
    """What is in the open file, which is `size` long: JobJarError when that is not so, and none is without an end."""
    while piece := file.read(PIECE):
        size -= len(piece)
        if size < 0:
            break
        yield piece
    if size:
        raise JobJarError(f"{path} was changed while it was read, or is no file of a disk: submit again when nobody"
                          " writes to it")


def _sha256(data: bytes = b"") -> object:
    # It takes as long to load as a tenth of a worker, whose jobs seldom bring files.
    import hashlib
    return hashlib.sha256(data)


def _copy(path: str, handle: int, digest: str) -> None:
    seen = _sha256()
    with _opened(path) as file:
        for piece in _pieces(file, path, os.fstat(file.fileno()).st_size):
            seen.update(piece)
            fsops.write_all(handle, piece)
    if seen.hexdigest() != digest:
        raise JobJarError(f"{path} was changed while it was read: submit again when nobody writes to it")


def get(jar: Jar, digest: str, target: str, mode: int) -> None:
    """Make the new file `target` with that content; FileExistsError when the name is taken.

    JobJarError when the content is not there, or is not what it was.
    """
    with _found(jar, digest) as file:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            seen = _sha256()
            while piece := file.read(PIECE):
                seen.update(piece)
                fsops.write_all(handle, piece)
            os.fchmod(handle, mode)
        finally:
            fsops.close(handle)
    _require(seen.hexdigest() == digest, jar, digest)


def get_bytes(jar: Jar, digest: str) -> bytes:
    """That content; JobJarError as from `get`."""
    with _found(jar, digest) as file:
        data = file.read()
    _require(_sha256(data).hexdigest() == digest, jar, digest)
    return data


def _found(jar: Jar, digest: str) -> object:
    directory, name = os.path.split(path_of(jar, digest))
    if fslook.is_there(directory, name):
        with contextlib.suppress(FileNotFoundError):
            return _opened(os.path.join(directory, name))
    # RACE: whoever sweeps has taken it aside for a moment, to see whether somebody has just counted on it.
    for aside in fslook.names(directory) if fslook.is_directory(directory) else ():
        path = os.path.join(directory, aside)
        if aside.startswith(f".{name}.") and digest_of(path) == digest:
            with contextlib.suppress(FileNotFoundError):
                return _opened(path)
    with contextlib.suppress(FileNotFoundError):
        return _opened(os.path.join(directory, name))
    raise JobJarError(f"{os.path.join(directory, name)} is not there: somebody has removed what the job needs, so"
                      " submit it again")


def _require(is_whole: bool, jar: Jar, digest: str) -> None:
    if not is_whole:
        raise JobJarError(f"{path_of(jar, digest)} is not what was put there: submit the job again")


def digest_of(path: str) -> str | None:
    """The SHA-256 of what a regular file contains; None when there is no such file."""
    try:
        with _opened(path) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            seen = _sha256()
            while piece := file.read(PIECE):
                seen.update(piece)
            return seen.hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def sweep(jar: Jar, wanted: Iterable[str], now: float) -> list[str]:
    """Take away what is older than KEPT at the server's time `now` and is not among the `wanted` SHA-256; the digests.

    `wanted` must have been collected after `now` was asked for, from all jobs of the jar.
    """
    kept, gone = set(wanted), []
    for part in fslook.names(jar.store) if fslook.is_directory(jar.store) else ():
        for entry in fslook.entries(os.path.join(jar.store, part), []):
            if entry.name.startswith("."):
                _clear(entry.path, kept, now)
            elif entry.name not in kept and _is_old(entry.path, now) and _take_away(entry.path, now):
                gone.append(entry.name)
    return gone


def _take_away(path: str, now: float) -> bool:
    """Remove a content, unless somebody has begun to count on it meanwhile."""
    aside = _beside(path)
    if not fsops.move(path, aside):
        return False
    # RACE: who touches it by its name from now on finds that it is not there, and keeps it anew.
    if _is_old(aside, now):
        return fsops.remove(aside)
    _put_back(aside, path)
    return False


def _put_back(aside: str, path: str) -> None:
    # RACE: it may have been kept anew meanwhile, and then the two are alike.
    fsops.move(aside, path)


def _clear(path: str, kept: set[str], now: float) -> None:
    """A draft, or a content that a sweep which was killed has left aside."""
    directory, name = os.path.split(path)
    digest = name[1:65]
    if digest in kept and not fslook.is_there(directory, digest) and digest_of(path) == digest:
        _put_back(path, os.path.join(directory, digest))
    elif _is_old(path, now):
        fsops.remove(path)


def _is_old(path: str, now: float) -> bool:
    found = fslook.status(*os.path.split(path))
    return found is not None and stat.S_ISREG(found.st_mode) and now - found.st_mtime > KEPT
