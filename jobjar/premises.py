"""The directories of a jar themselves: are they there, on one file system, and open to its user alone?"""

import os
from collections.abc import Iterator

from jobjar import layout, mounts, trust
from jobjar.findings import PERSON, THREAT, UNTIDY, Finding
from jobjar.inventory import Inventory
from jobjar.layout import Jar


def find(seen: Inventory) -> Iterator[Finding]:
    """What is wrong with the directories and with FORMAT."""
    if _is_bare(seen):
        yield Finding(PERSON, "missing", seen.jar.home, "nothing of a jar is in it: the next command or worker makes"
                      " one, and if there has been one, correct JJ_HOME or mount what it is on")
        return
    yield from _format(seen.jar)
    here = mounts.place(seen.jar.limbo)
    is_read_only = bool(os.statvfs(seen.jar.home).f_flag & os.ST_RDONLY)
    if is_read_only:
        yield Finding(PERSON, "read-only", seen.jar.home, "it is mounted read-only here, so nothing can be submitted or"
                      " run: mount it writable")
    directories = _directories(seen)
    for directory in directories:
        if not os.path.isdir(directory):
            yield _missing(directory)
        else:
            if not is_read_only:
                yield from _usable(directory)
            # Where limbo/ is not to be had, nothing can be compared with it.
            if here is not None and mounts.place(directory) not in (here, None):
                yield Finding(THREAT, "other-file-system", directory, f"it is on another file system than"
                              f" {seen.jar.limbo}, so jobs cannot be renamed from one to the other: put the whole"
                              " jar on one")
    for directory in dict.fromkeys((*trust.guarded(seen.jar), *directories)):
        yield from _private(directory)
    for path, error in seen.closed:
        if path not in directories:
            yield Finding(PERSON, "closed", path, f"it cannot be looked into ({error}), so not everything was looked"
                      " at: make it accessible to you")


def _is_bare(seen: Inventory) -> bool:
    return not seen.workers and not any(os.path.lexists(os.path.join(seen.jar.home, part))
                                        for part in ("FORMAT", *layout.DIRECTORIES))


def _directories(seen: Inventory) -> list[str]:
    categories = [seen.jar.directory(state, category) for state, category in seen.queues if category]
    return [*(os.path.join(seen.jar.home, name) for name in layout.DIRECTORIES), seen.jar.workers, *categories]


def _format(jar: Jar) -> Iterator[Finding]:
    path, said = os.path.join(jar.home, "FORMAT"), layout.format_of(jar)
    if said is None:
        yield Finding(UNTIDY, "format", path, "it is not there: the next command or worker makes it")
    elif not said.isdigit():
        yield Finding(THREAT, "format", path, f"it says {said!r} instead of a number, so no program works with this"
                      f" jar: `echo {layout.FORMAT} > FORMAT` in {jar.home} if it was made by this version")


def _missing(directory: str) -> Finding:
    if os.path.lexists(directory):
        return Finding(THREAT, "missing", directory, "it is in the way: a directory of the jar has to be there")
    return Finding(THREAT, "missing", directory, "it is not there: whatever was in it must be looked for before the"
                   " next command or worker makes an empty one in its place")


def _usable(directory: str) -> Iterator[Finding]:
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        yield Finding(PERSON, "closed", directory, f"you may not read and change it: chmod u+rwx {directory}, or work"
                      " as its owner")


def _private(directory: str) -> Iterator[Finding]:
    try:
        doubt = trust.doubt(directory, os.geteuid())
    except (FileNotFoundError, PermissionError):
        # That it is missing or closed has been said; or it was a category that somebody has removed meanwhile.
        return
    if doubt:
        yield Finding(PERSON, "open-to-others", directory, doubt)
