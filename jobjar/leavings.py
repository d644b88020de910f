"""What processes have left lying about when they died: reservations, probes, and what is in limbo/.

Whatever may belong to a living process is passed over.
"""

import os
from collections.abc import Iterator

from jobjar import census, drafts, feeding, fslook, jobname, layout, leftovers, node, registration, spool
from jobjar.findings import PERSON, THREAT, UNTIDY, Finding
from jobjar.fslook import DIRECTORY, FILE, LINK, Entry
from jobjar.inventory import Inventory, is_probe
from jobjar.leftovers import AWAY, BUSY, GONE, HIDDEN, NOBODY, REBOOTED
from jobjar.node import Identity

# Seconds after which what cannot be judged has probably been forgotten, by the server's clock: for people alone.
OLD = census.DRAFT_OLD

_MAKINGS = {layout.CHECK: "a check of the file system", layout.EDIT: "a changed copy of a job",
            layout.ORDER: "an order to a worker, not given yet,"}
_WITHDRAW = "`jobjar check --repair` or, in time, `recover_stranded`"
_SAYS = {
    GONE: (UNTIDY, "left-over", "{what} of a process that is gone: {withdraw} removes it"),
    REBOOTED: (PERSON, "before-reboot", "{what} of a process of this node before a reboot, which nobody but you can"
               " call dead: `jobjar check --repair` removes it"),
    AWAY: (UNTIDY, "of-another-node", "{what} of a process of node {node}, made long ago: {withdraw} there removes it"),
    HIDDEN: (PERSON, "of-a-container", "{what} of a process of another container on this computer, made long ago: if"
             " that has ended, remove it"),
}


def find(seen: Inventory, me: Identity) -> Iterator[Finding]:
    """Reservations, probes, and all in limbo/ that no living process is about to deal with."""
    for directory, name, text in reservations(seen):
        yield from _standing(os.path.join(directory, name), "a name held by a link", text, seen, me)
    for path, worker in seen.probes():
        # While its worker owns something it is either alive, or recovery will see to it.
        if not seen.owns(worker):
            yield Finding(UNTIDY, "probe", path, "a worker that died while it started has left it:"
                          " `jobjar check --repair` removes it")
    for entry in seen.limbo:
        yield from _in_limbo(seen, me, entry)
    for path, of in leftovers.unpublished(seen.jar):
        how = leftovers.of_process(me, *of)
        if how != BUSY:
            yield from _say(seen, how, path, "something unfinished", of[0].rpartition(".")[0], of)


def reservations(seen: Inventory) -> Iterator[tuple[str, str, str]]:
    """(directory, name, text) of the links in completed/ and of the dot links in the queues."""
    places = [(seen.jar.completed, entry) for entry in seen.completed]
    places += [(seen.jar.directory(*queue), entry) for queue, entries in seen.queues.items()
               for entry in entries if entry.name.startswith(".")]
    for directory, entry in places:
        text = fslook.link_text(os.path.join(directory, entry.name)) if entry.kind == LINK else None
        if text is not None:
            yield directory, entry.name, text


def _standing(path: str, what: str, text: str, seen: Inventory, me: Identity) -> Iterator[Finding]:
    how = leftovers.standing(seen.jar, me, text)
    if how not in (BUSY, NOBODY):
        yield from _say(seen, how, path, what, text.rpartition(":")[0].rpartition(".")[0].partition(":")[2], (text,))


def _say(seen: Inventory, how: str, path: str, what: str, of: str, proof: tuple) -> Iterator[Finding]:
    if how in (AWAY, HIDDEN) and seen.age(path) < OLD:
        return
    severity, kind, says = _SAYS[how]
    yield Finding(severity, kind, path, says.format(what=what, node=of, withdraw=_WITHDRAW), proof)


def _in_limbo(seen: Inventory, me: Identity, entry: Entry) -> Iterator[Finding]:
    path, proof = os.path.join(seen.jar.limbo, entry.name), (entry.kind, entry.ino)
    draft = registration.parse_draft(entry.name)
    if entry.name.startswith(layout.ASIDE):
        yield from _aside(seen, me, path, entry)
    elif entry.name.startswith(layout.CLEANED) and entry.kind == FILE:
        yield Finding(UNTIDY, "left-over", path, f"a job that was being cleaned away: {_WITHDRAW} removes it", proof)
    elif entry.name.startswith(layout.TAKE) and entry.kind == LINK:
        text = fslook.link_text(path)
        if text is not None:
            yield from _standing(path, "a job held by a link", text, seen, me)
    elif is_forgotten_clock(seen, entry.name):
        yield Finding(UNTIDY, "clock", path, "an empty file by which a process asked for the server's time:"
                      " `jobjar check --repair` removes it", proof)
    elif entry.name.startswith(tuple(_MAKINGS)):
        of = registration.parse_check(entry.name) or registration.parse_written(entry.name)
        how = leftovers.of_process(me, *of) if of else BUSY
        if how != BUSY:
            what = next(what for prefix, what in _MAKINGS.items() if entry.name.startswith(prefix))
            yield from _say(seen, how, path, what, of[0].rpartition(".")[0], proof)
    elif entry.name.startswith(layout.ARRAY):
        yield from _array(seen, me, path, entry)
    elif entry.name.startswith(layout.RUN) and entry.kind == DIRECTORY:
        yield from _spool(seen, me, path, entry)
    elif draft and entry.kind == DIRECTORY:
        how = leftovers.of_process(me, *draft)
        if how != BUSY:
            yield from _say(seen, how, path, "an unfinished worker's directory", draft[0].rpartition(".")[0], proof)
    elif seen.age(path) > OLD and not is_probe(seen.jar.limbo, entry.name):
        yield Finding(PERSON, "old-draft", path, "it has been here for more than an hour and was never submitted: if"
                      " nobody is writing it any more, move it to unclaimed/ or remove it", proof)


def _array(seen: Inventory, me: Identity, path: str, entry: Entry) -> Iterator[Finding]:
    """An array that is being submitted, or was when its submitter died."""
    of, draft = drafts.parse(entry.name), drafts.named(seen.jar, entry.name)
    how = leftovers.of_process(me, *of) if of else HIDDEN
    if how == BUSY or how in (AWAY, HIDDEN) and seen.age(path) < OLD:
        return
    if draft is None:
        yield from _say(seen, how, path, "an unfinished array", of[0].rpartition(".")[0] if of else "?",
                        (entry.kind, entry.ino))
        return
    array = jobname.split(draft.name)[0]
    yield Finding(PERSON, "cut-short", path, f"of the array {array} some tasks were never submitted, for the process"
                  f" {draft.owner} died: submit the same there once more, and they follow, or `jobjar cancel {array}`",
                  (entry.ino,))


def _spool(seen: Inventory, me: Identity, path: str, entry: Entry) -> Iterator[Finding]:
    of = spool.parse(entry.name)
    # Of a client of another node, or in another container, nobody can say here whether it lives; it may for days.
    if not of or leftovers.of_process(me, *of) not in (GONE, REBOOTED):
        return
    job = spool.job_of(path)
    if job is None:
        yield Finding(PERSON, "spool-of-nobody", path, "a `jobjar run` was killed, and nothing says whose job prints"
                      " here: look at what is in it, and remove it when no job does", (entry.ino,))
    else:
        rest = f"; if it waits for the rest of its input, `jobjar cancel {job}`" if feeding.is_cut_short(path) else ""
        yield Finding(UNTIDY, "spool", path, f"what job {job} has printed, whose `jobjar run` was killed: when the job"
                      f" has ended, `jobjar check --repair` moves it to logs/{rest}", (entry.ino,))


def _aside(seen: Inventory, me: Identity, path: str, entry: Entry) -> Iterator[Finding]:
    if entry.kind == FILE:
        yield Finding(THREAT, "caught-aside", path, "a job, or a file of somebody's, that took a name which was just"
                      " being given up by a process that died: `jobjar check --repair` puts it into held/",
                      (entry.ino,))
        return
    text = fslook.link_text(path)
    if entry.kind == LINK and text is not None and leftovers.standing(seen.jar, me, text) != NOBODY:
        yield from _standing(path, "a name that was being given up", text, seen, me)
    else:
        yield Finding(PERSON, "caught-aside", path, "something of somebody's that took a name which was just being"
                      " given up by a process that died: put it where it belongs", (entry.ino,))


def is_forgotten_clock(seen: Inventory, name: str) -> bool:
    """Whether it is a file of `registration.server_now` that no process can be using: its own is gone, or it is old."""
    limbo = seen.jar.limbo
    if not name.startswith(registration.NOW) or not fslook.is_empty_file(limbo, name):
        return False
    of, _, pid = name.removeprefix(registration.NOW).rpartition(".")
    if of == os.uname().nodename and pid.isascii() and pid.isdigit() and node.start_ticks(int(pid)) is None:
        return True
    return seen.age(os.path.join(limbo, name)) > OLD
