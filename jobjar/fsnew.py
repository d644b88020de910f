"""Renaming onto a name only if nothing is there, in one step: the os module has no word for that. A part of `fsops`."""

import os
from collections.abc import Callable
from functools import cache

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def move_new(source: str, target: str) -> bool:
    """Rename `source` to `target` if nothing is there; False: it was not done, whatever the reason.

    Not where other computers may write. NFS: a request that is carried out twice says of its own work that the name is
    taken.
    """
    return rename_new(os.fsencode(source), os.fsencode(target)) == 0


def rename_new(source: bytes, target: bytes) -> int:
    """The bare system call; other than 0: it has failed, as it does where the kernel or the file system lacks it.

    A seam for tests, as it raises no audit event.
    """
    return _system_call()(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE)


@cache
def _system_call() -> Callable[..., int]:
    import ctypes
    # Not every C library has it.
    return getattr(ctypes.CDLL(None), "renameat2", lambda *_: -1)
