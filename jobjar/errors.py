"""The errors that a person can mend, each with its exit status.

Each message is one sentence that names the file and the remedy. A lost race is never an exception but a return
value, and an OSError is left as it is until somebody is to be told: `of_system` knows those that a person can mend.
"""

import errno
import os

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# The node or the server is in trouble, whatever the job: nothing is to be gained by trying the next.
TROUBLE = frozenset((*NO_ROOM, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE,
                     errno.EROFS, errno.ETIMEDOUT, errno.ENOTCONN, errno.EINTR))
# The name is not there any more, or the directory that it was in: another was quicker.
VANISHED = (errno.ENOENT, errno.ESTALE)
# What the system says of a mistake of ours, which no waiting mends.
DEFECTS = frozenset((errno.EBADF, errno.EFAULT, errno.EINVAL))
# The server has understood and refused: nothing has happened, and nothing will.
REFUSALS = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG,
                      errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.EMLINK))


class JobJarError(Exception):
    """Something that a person can mend; `str()` of it is the whole message."""

    exit_status = 1


class UsageError(JobJarError):
    """The request itself is wrong: an option, a name, a setting, a file that is no job."""

    exit_status = 2


class NoSuchJob(JobJarError):
    """No job, worker or node of that name."""

    exit_status = 3


class TryAgain(JobJarError):
    """Nothing is wrong with the request, but not now: no space, no quota, a server that fails."""

    exit_status = 75


class Fenced(JobJarError):
    """This worker's claims/ is gone: somebody declared it dead, and its jobs belong to them now."""


def vanished(id: str, home: str) -> NoSuchJob:
    """The error of whoever waits for a job that has disappeared from the jar at `home`."""
    return NoSuchJob(f"{id} is nowhere in {home}: somebody has removed it")


def of_system(error: OSError) -> JobJarError | None:
    """The sentence for an error of the operating system that a person can mend; None of all others."""
    path = at_fault(error)
    if error.errno in NO_ROOM:
        return TryAgain(f"{path or 'a file of the jar'}: {error.strerror}: make room there and try again")
    if path and error.errno == errno.EROFS:
        return UsageError(f"{path} is on a file system mounted read-only: mount it writable, or choose another place")
    if path and error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"{path}: {error.strerror}: make it accessible to you, or work as the jar's user")
    return None


def at_fault(error: OSError) -> str | None:
    """The file or directory that the error is about: of a rename, the directory that refuses it; None if unknown."""
    if error.filename2 is None:
        return error.filename
    ends = [os.path.dirname(path) for path in (error.filename2, error.filename)]
    # The system names both ends, the source first, and does not say which of them refuses.
    closed = [path for path in ends if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK)]
    return (closed or ends)[0]
