"""store/: the contents of files that jobs need, each kept once under its SHA-256.

A content never changes, so whoever finds it need not ask whose it is. What no job refers to any more is taken away a
day after it was last wanted: a submission that counts on a content touches it first. docs/PROTOCOL.md section 2.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable

from jobjar import fslook, fsops
from jobjar.errors import JobJarError
from jobjar.layout import Jar

PIECE = 2**20
# How long a content is kept that nobody refers to, by the server's clock, in s.
KEPT = 86400.0


def path_of(jar: Jar, digest: str) -> str:
    """Where the content of that SHA-256, 64 hexadecimal digits, lies or would lie."""
    return os.path.join(jar.store, digest[:2], digest)


class Deposit:
    """Contents on their way into the store. Each gets its name when all are on the disk: what has it is whole."""

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        # SHA-256 → where that is written.
        self._drafts: dict[str, str] = {}

    def put_bytes(self, data: bytes) -> str:
        """Write `data` down; its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        if not self._is_there(digest):
            self._write(digest, lambda handle: fsops.write_all(handle, data))
        return digest

    def put(self, path: str) -> str:
        """Write down what the regular file `path` contains now; its SHA-256. What is there already is not written.

        JobJarError when the file changes while it is read.
        """
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if not self._is_there(digest):
                file.seek(0)
                self._write(digest, lambda handle: _copy(file, handle, digest, path))
        return digest

    def _is_there(self, digest: str) -> bool:
        if digest in self._drafts:
            return True
        try:
            # Before it is relied upon: whoever sweeps leaves what was touched within a day.
            os.utime(path_of(self.jar, digest))
            return True
        except FileNotFoundError:
            return False

    def _write(self, digest: str, write: Callable[[int], None]) -> None:
        directory = os.path.dirname(path_of(self.jar, digest))
        fsops.make_directory(self.jar.store, 0o755)
        fsops.make_directory(directory, 0o755)
        draft = os.path.join(directory, f".{digest}.{os.uname().nodename}.{os.getpid()}")
        # What has this name is of an earlier process of this number.
        fsops.remove(draft)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._drafts[digest] = draft
        try:
            write(handle)
        finally:
            fsops.close(handle)

    def settle(self) -> None:
        """Let all of it be in the store, durably. A job that refers to it may be submitted only afterwards."""
        # A content that a power cut has torn would be relied upon by whoever has the same to keep.
        fsops.sync_file_system(self.jar.store)
        for digest, draft in self._drafts.items():
            # RACE: another may have kept the same content just now; the two are alike.
            fsops.move(draft, path_of(self.jar, digest))
        self._drafts.clear()
        fsops.sync_file_system(self.jar.store)

    def drop(self) -> None:
        """Take away what has not been settled."""
        for draft in self._drafts.values():
            fsops.remove(draft)
        self._drafts.clear()


def _copy(file: io.BufferedReader, handle: int, digest: str, path: str) -> None:
    seen = hashlib.sha256()
    while piece := file.read(PIECE):
        seen.update(piece)
        fsops.write_all(handle, piece)
    if seen.hexdigest() != digest:
        raise JobJarError(f"{path} was changed while it was read: submit again when nobody writes to it")


def get(jar: Jar, digest: str, target: str, mode: int) -> None:
    """Make the new file `target` with that content; FileExistsError when the name is taken.

    JobJarError when the content is not there, or is not what it was.
    """
    path, seen = path_of(jar, digest), hashlib.sha256()
    if not fslook.is_there(*os.path.split(path)):
        raise JobJarError(f"{path} is not there: somebody has removed what the job needs")
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                seen.update(piece)
                fsops.write_all(handle, piece)
        os.fchmod(handle, mode)
    finally:
        fsops.close(handle)
    if seen.hexdigest() != digest:
        raise JobJarError(f"{path} is not what was put there: submit the job again")


def digest_of(path: str) -> str | None:
    """The SHA-256 of what a regular file contains; None when there is no such file."""
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def sweep(jar: Jar, wanted: Iterable[str], now: float) -> list[str]:
    """Take away what is older than KEPT at the server's time `now` and is not among the `wanted` SHA-256; the digests.

    `wanted` must have been collected after `now` was asked for, from all jobs of the jar.
    """
    kept, gone = set(wanted), []
    for part in fslook.names(jar.store) if fslook.is_directory(jar.store) else ():
        for entry in fslook.entries(os.path.join(jar.store, part), []):
            if entry.name not in kept and _is_old(entry, now):
                if fsops.remove(entry.path) and not entry.name.startswith("."):
                    gone.append(entry.name)
    return gone


def _is_old(entry: os.DirEntry, now: float) -> bool:
    found = fslook.status(*os.path.split(entry.path))
    return found is not None and stat.S_ISREG(found.st_mode) and now - found.st_mtime > KEPT
