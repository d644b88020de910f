"""One supervisor at a time per node and user.

The lock is node-local and on a fixed path, so that cron and a terminal mean the same one; it guards nothing in the
jar, whose safety rests on renames alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jobjar import process

# Earlier ones follow a symbolic link that somebody else has put in the lock's place.
OLDEST = (3, 20, 3)


@contextmanager
def only_one(seconds: float = 0.0) -> Iterator[bool]:
    """Hold this node's lock for this user; yields False when somebody else still has it after `seconds`."""
    import filelock
    if tuple(map(int, filelock.__version__.split(".")[:3])) < OLDEST:
        raise ImportError(f"{filelock.__version__} is older than {'.'.join(map(str, OLDEST))}", name="filelock")
    lock = filelock.UnixFileLock(os.path.join(process.local_directory(), "node.lock"))
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
