"""Why a job could not be started, and whose fault that is: the job's, the node's, or a full disk's."""

import errno
import os
import struct

from jobjar import fslook, launch
from jobjar.errors import NO_ROOM, TROUBLE, VANISHED, Fenced

# REFUSED by the system because of the job; FAULT of the node. BUSY: somebody is still writing the file. FULL: there is
# no room in the jar for what every job needs.
REFUSED, FAULT, BUSY, FULL = "refused", "fault", "busy", "full"


def of_start(error: OSError, path: str) -> tuple[str, str]:
    """Whose fault it is that the claimed job `path` was not started, and why, in words; Fenced if claims/ is gone."""
    if isinstance(error, launch.Unmet):
        return FAULT if error.errno in TROUBLE else REFUSED, error.why
    directory, name = os.path.split(path)
    try:
        if name not in fslook.names_uncached(directory):
            return REFUSED, "the job's file was gone before it could be started"
        is_noexec = error.errno == errno.EACCES and os.statvfs(directory).f_flag & os.ST_NOEXEC
    except FileNotFoundError:
        raise Fenced(f"{directory} is gone: this worker has been declared dead") from None
    except OSError as worse:
        return FAULT, f"this node could not start it, nor look at it: {worse}"
    if is_hidden(error, path):
        return FAULT, "this node's cache says that it is not there, and a listing shows it"
    if error.errno == errno.EIO and _is_cut_off(path):
        # The kernel's word for it, and also for a server in trouble, which no job pays for.
        return REFUSED, "it is damaged, perhaps cut off: submit it again, whole"
    if error.errno in TROUBLE:
        return of_node(error), f"this node could not start it: {error.strerror}"
    if error.errno == errno.ETXTBSY:
        return BUSY, "somebody has the file open for writing: submit it by mv from limbo/"
    if is_noexec:
        return FAULT, f"the jar's file system is mounted noexec on this node: {directory}"
    return REFUSED, _why_not(error, path)


def is_hidden(error: OSError, path: str) -> bool:
    """Whether the file is there although a lookup has not found it."""
    # NFS: a claim whose reply was lost leaves "not there" in the name cache, for as long as a minute.
    try:
        return error.errno in VANISHED and fslook.is_file_listed(*os.path.split(path)) \
            and not os.path.lexists(path)
    except OSError:
        return False


def of_node(error: OSError) -> str:
    """FULL or FAULT: whether it is for want of room alone that this node could not do what every job needs."""
    return FULL if error.errno in NO_ROOM else FAULT


def _is_cut_off(path: str) -> bool:
    """Whether it is a program (ELF) that is shorter than it says itself; a script says nothing of its length."""
    try:
        with open(path, "rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(64)
            if head[:4] != b"\x7fELF":
                return False
            is_wide = head[4:5] == b"\2"
            # Where its table of segments is, how long an entry of that is, and how many there are.
            at, = struct.unpack_from("=Q" if is_wide else "=I", head, 32 if is_wide else 28)
            length, number = struct.unpack_from("=HH", head, 54 if is_wide else 42)
            file.seek(at)
            table = file.read(min(length * number, 2**16))
        # Of each segment, where it begins in the file and how long it is there.
        ends = (struct.unpack_from("=8xQ16xQ" if is_wide else "=4xI8xI", table, k * length) for k in range(number))
        return any(begin + extent > size for begin, extent in ends)
    except struct.error:
        return True
    except (OSError, ValueError):
        return False


def is_text(path: str) -> bool:
    """Whether it looks like a script, which without #! is the shell's."""
    try:
        with open(path, "rb") as file:
            return b"\0" not in file.read(80)
    except OSError:
        # The shell could not read it either.
        return False


def _why_not(error: OSError, path: str) -> str:
    try:
        with open(path, "rb") as file:
            first = file.read(256).split(b"\n")[0]
    except OSError:
        first = b""
    interpreter = os.fsdecode(first[2:].strip().split()[0]) if first[:2] == b"#!" and first[2:].strip() else ""
    if first.startswith(b"#!") and first.endswith(b"\r"):
        return "its first line ends in a carriage return (Windows line ends): mend it with dos2unix"
    if error.errno == errno.ENOENT and not interpreter:
        return "it is a program whose loader is not on this node: build it for this node's system"
    if error.errno == errno.ENOENT:
        return f"interpreter {interpreter!r} of its first line is not on this node"
    if error.errno == errno.ENOEXEC:
        return "it is a program for another machine, or damaged: build it for this node's architecture"
    if error.errno == errno.EACCES:
        return f"interpreter {interpreter!r} of its first line may not be executed" if interpreter else \
            "it may not be executed by the worker's user: chmod it"
    return f"it could not be started: {error.strerror}"
