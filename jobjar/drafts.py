"""An array that is being submitted: its directory in limbo/, which stays until the last task is in its queue.

`limbo/.array.NODE.PID.NONCE-COUNT/` holds the file of which all tasks are names, called BASE.PRIORITY, and a symbolic
link `to`, which is made last and says to which queue they go: "unclaimed/C". Tasks are published in the order of their
indices. So whoever finds the directory of a submitter that is provably gone knows what is missing: all beyond the
greatest index that is anywhere in the jar. Who does it is decided by renaming the directory. See docs/PROTOCOL.md,
section 6.
"""

import itertools
import json
import os
import re
from collections import namedtuple
from collections.abc import Iterator

from jobjar import fslook, fsops, jobname, journal, layout, node, registration, states
from jobjar.layout import Jar
from jobjar.node import Identity

TO = "to"
# A draft: its directory's path, the NODE.PID and NONCE-COUNT of its owner, BASE.PRIORITY, and what the link says.
Draft = namedtuple("Draft", "path owner nonce name to")

_count = itertools.count(1)
# The directories that this process is about to empty; others of its own have been given up.
_busy: set[str] = set()


def file(draft: Draft) -> str:
    """The path of the file of which all tasks are names."""
    return os.path.join(draft.path, draft.name)


def part(draft: Draft, name: str) -> str:
    """Where in the draft the file of a task is made that is to be renamed into its queue."""
    return os.path.join(draft.path, "." + name)


def target(state: str, category: str | None) -> str:
    """What the link `to` says of an array that goes there."""
    return os.path.join(state, category) if category else state


def parse(name: str) -> tuple[str, str] | None:
    """(owner, nonce) of the process that made this name in limbo/ for an array; None of other names."""
    if not name.startswith(layout.ARRAY):
        return None
    return registration.parse_draft("." + name.removeprefix(layout.ARRAY))


def make(jar: Jar, me: Identity, name: str, to: str, data: bytes, mode: int) -> Draft:
    """A new one, complete and safe from a power cut; when that fails it means nothing, and recovery removes it."""
    draft = _own(jar, me, name, to)
    try:
        fsops.make_directory(draft.path, 0o755)
        fsops.create(file(draft), data, mode)
        fsops.sync_directory(draft.path)
        # The link comes last: what is incomplete has none.
        fsops.link(to, os.path.join(draft.path, TO))
        fsops.sync_directory(draft.path)
        fsops.sync_directory(jar.limbo)
        return draft
    except BaseException:
        try:
            drop(draft)
        except OSError:
            # Of two errors the first one is the reason.
            pass
        raise


def _own(jar: Jar, me: Identity, name: str, to: str) -> Draft:
    owner, nonce = node.owner(me), f"{node.nonce(me)}-{next(_count)}"
    path = os.path.join(jar.limbo, f"{layout.ARRAY}{owner}.{nonce}")
    _busy.add(path)
    return Draft(path, owner, nonce, name, to)


def renew(draft: Draft, data: bytes, mode: int) -> None:
    """Put another copy into the draft, for the tasks to come: the file has as many names as one may have."""
    new = os.path.join(draft.path, ".new")
    fsops.create_own(new, data, mode)
    # The old one goes on as the tasks that were made of it.
    fsops.move(new, file(draft))


def let_go(draft: Draft) -> None:
    """Leave it as it is, for whoever submits the same again."""
    _busy.discard(draft.path)


def drop(draft: Draft) -> None:
    """Remove the directory: nothing of its array is missing, or nothing is to come."""
    try:
        # The link first, durably: without it the directory means nothing, even if something in it resists.
        fsops.remove(os.path.join(draft.path, TO))
        fsops.sync_directory(draft.path)
    finally:
        fsops.remove_tree(draft.path)
        _busy.discard(draft.path)


def unfinished(jar: Jar) -> Iterator[Draft]:
    """The complete ones, as they are now; some may be about to be emptied by their owners."""
    return filter(None, (named(jar, name) for name in fslook.names_uncached(jar.limbo)))


def named(jar: Jar, name: str) -> Draft | None:
    """What the directory of this name in limbo/ holds; None when it is incomplete, so that nothing came of it, or no
    array's."""
    of, path = parse(name), os.path.join(jar.limbo, name)
    to = fslook.link_text(os.path.join(path, TO)) if of else None
    try:
        names = [name for name in fslook.names(path) if name != TO and not name.startswith(".")] if to else []
    except FileNotFoundError:
        # RACE: it was finished, or taken over, a moment ago.
        return None
    return Draft(path, *of, names[0], to) if names else None


def is_of(draft: Draft, me: Identity) -> bool:
    """Whether it is this process's own, given up when a submission failed."""
    return draft.owner == node.owner(me) and draft.nonce.startswith(node.nonce(me) + "-") and draft.path not in _busy


def take_over(jar: Jar, me: Identity, draft: Draft) -> Draft | None:
    """Make the draft of somebody who is gone one's own; None when another was quicker."""
    mine = _own(jar, me, draft.name, draft.to)
    is_mine = False
    try:
        # A submitter that is not gone after all finds no file any more of which to make another task.
        is_mine = fsops.move(draft.path, mine.path)
        for name in fslook.names(mine.path) if is_mine else ():
            if name.startswith("."):
                # Parts that were not finished.
                fsops.remove(os.path.join(mine.path, name))
    finally:
        if not is_mine:
            let_go(mine)
    return mine if is_mine else None


def withdraw(jar: Jar, me: Identity, array: str) -> bool:
    """Let no further task of the array appear, which is being submitted or was cut short; False when it is neither."""
    mine = [take_over(jar, me, draft) for draft in unfinished(jar) if jobname.split(draft.name)[0] == array]
    for draft in filter(None, mine):
        drop(draft)
    return any(mine)


def greatest(jar: Jar, array: str) -> int:
    """The greatest index of the array's tasks that are or were in the jar, -1 for none; nobody may be adding any."""
    # A task moves on, and sometimes back, while the directories are listed; what was claimed is in a journal before.
    return max((index for _ in range(2) for index in _indices(jar, array)), default=-1)


def _indices(jar: Jar, array: str) -> Iterator[int]:
    for name in _names(jar):
        task = jobname.array_task(name) if name.startswith(array) else None
        if task and task[0] == array:
            yield task[1]
    pattern = re.compile(re.escape(json.dumps(array)[1:-1].encode()) + rb"_([0-9]{1,9})[~.\"]")
    for path in _records(jar):
        with fslook.open_file(path) as lines:
            yield from (int(found[1]) for line in lines for found in pattern.finditer(line))


def _names(jar: Jar) -> Iterator[str]:
    """The names of all jobs, and what there is besides of those that are gone."""
    for state in (states.WAITING, states.UNCLAIMED, states.HELD):
        yield from _deep(jar.directory(state))
    for worker in fslook.names_uncached(jar.workers):
        for holder in filter(layout.is_holder, _listed(jar.worker(worker))):
            yield from _deep(os.path.join(jar.worker(worker), holder))
    for directory in (jar.completed, jar.failed, jar.logs, jar.notes):
        yield from fslook.names_uncached(directory)


def _deep(top: str) -> Iterator[str]:
    for entry in _scanned(top):
        yield entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _listed(entry.path)


def _listed(directory: str) -> list[str]:
    return [entry.name for entry in _scanned(directory)]


def _scanned(directory: str) -> list[os.DirEntry]:
    try:
        return fslook.scan_uncached(directory)
    except (FileNotFoundError, NotADirectoryError):
        # RACE: a worker has left, or has been fenced; in workers/ lie files too.
        return []


def _records(jar: Jar) -> Iterator[str]:
    """The journals of all workers, and the archive of what was cleaned away."""
    for directory in (*(jar.worker(worker) for worker in _listed(jar.workers)), jar.history):
        for name in _listed(directory):
            if journal.is_journal(name) or directory == jar.history and not name.startswith("."):
                yield os.path.join(directory, name)
