"""store/: the contents of files that jobs need, each kept once under its SHA-256.

A content never changes, so whoever finds it need not ask whose it is. What no job refers to any more is taken away a
day after it was last wanted: a submission that counts on a content touches it first. docs/PROTOCOL.md section 2.
"""

import hashlib
import os
import stat
from collections.abc import Iterable

from jobjar import fslook, fsops
from jobjar.errors import JobJarError
from jobjar.layout import Jar

PIECE = 2**20
# How long a content is kept that nobody refers to, by the server's clock, in s.
KEPT = 86400.0


def path_of(jar: Jar, digest: str) -> str:
    """Where the content of that SHA-256, 64 hexadecimal digits, lies or would lie."""
    return os.path.join(jar.store, digest[:2], digest)


def put_bytes(jar: Jar, data: bytes) -> str:
    """Keep `data`; its SHA-256. Not synced: see `make_durable`."""
    digest = hashlib.sha256(data).hexdigest()
    if not _is_wanted_again(jar, digest):
        _publish(jar, digest, lambda handle: fsops.write_all(handle, data))
    return digest


def put(jar: Jar, path: str) -> str:
    """Keep what the regular file `path` contains now; its SHA-256. What is there already is not written again.

    JobJarError when the file changes while it is read. Not synced: see `make_durable`.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not _is_wanted_again(jar, digest):
            file.seek(0)
            _publish(jar, digest, lambda handle: _copy(file, handle, digest, path))
    return digest


def _is_wanted_again(jar: Jar, digest: str) -> bool:
    path = path_of(jar, digest)
    try:
        # Before it is relied upon: whoever sweeps leaves what was touched within a day.
        os.utime(path)
        return True
    except FileNotFoundError:
        return False


def _copy(file: object, handle: int, digest: str, path: str) -> None:
    seen = hashlib.sha256()
    while piece := file.read(PIECE):
        seen.update(piece)
        fsops.write_all(handle, piece)
    if seen.hexdigest() != digest:
        raise JobJarError(f"{path} was changed while it was read: submit again when nobody writes to it")


def _publish(jar: Jar, digest: str, write: object) -> None:
    path = path_of(jar, digest)
    directory = os.path.dirname(path)
    fsops.make_directory(jar.store, 0o755)
    fsops.make_directory(directory, 0o755)
    draft = os.path.join(directory, f".{digest}.{os.uname().nodename}.{os.getpid()}")
    # What has this name is of an earlier process of this number.
    fsops.remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            write(handle)
        finally:
            fsops.close(handle)
        # RACE: another may have kept the same content just now; the two are alike.
        fsops.move(draft, path)
    except BaseException:
        fsops.remove(draft)
        raise


def make_durable(jar: Jar) -> None:
    """Bring all that was put to the disk. A job that refers to it may be submitted only afterwards."""
    fsops.sync_file_system(jar.store)


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
