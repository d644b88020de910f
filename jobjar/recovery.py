"""Bringing back the jobs of dead workers.

Whoever wins the rename of a dead worker's claims/ owns its jobs; whoever does not touches nothing. Every step may be
interrupted and repeated. docs/PROTOCOL.md section 9.
"""

import itertools
import os
import stat
import time
from collections.abc import Callable

from jobjar import fslook, fsops, layout, leftovers, node, process, registration, reservation
from jobjar.errors import Fenced, JobJarError
from jobjar.journal import History
from jobjar.layout import Jar, Place
from jobjar.registration import Record
from jobjar.salvage import Report, Salvage
from jobjar.states import CLAIMS
from jobjar.waiting import Waiting

# Numbers the fences of this process, so that no two of them have one name.
_fences = itertools.count(1)


class Recovery:
    """One run of recovery by one process. Only one at a time per node and user may exist (see `supervision`)."""

    def __init__(self, jar: Jar, me: node.Identity, max_attempts: int, kill_orphans: bool = False) -> None:
        self.jar, self.me = jar, me
        self.writer = node.owner(me)
        self.nonce = node.nonce(me)
        self.kill_orphans = kill_orphans
        self.report = Report([], [])
        self._salvage = Salvage(jar, me, max_attempts, self.report)

    def node(self, is_asked: bool = False) -> Report:
        """Recover every provably dead worker of this node, then withdraw the reservations of the dead. `is_asked`: as
        `leftovers.sweep`."""
        for worker in self._owners(self.me.node):
            self._attempt(worker, lambda: self._judge(worker))
        return self._finish(is_asked)

    def _owners(self, of: str) -> list[str]:
        return [worker for worker in registration.workers(self.jar, of) if registration.owns_jobs(self.jar, worker)]

    def _attempt(self, worker: str, act: Callable[[], object]) -> None:
        """What goes wrong with one worker's jobs must not keep those of the others stranded."""
        try:
            act()
        except (OSError, JobJarError) as error:
            self.report.left.append(f"worker {worker} could not be recovered now: {error}")

    def _judge(self, worker: str) -> None:
        record = registration.read(self.jar, worker)
        if record is None:
            self.report.left.append(f"{self.jar.worker(worker)} has no worker.json that can be read, so nobody can"
                                    " say whether its worker lives: restore it, or move what is in claims/ yourself")
            return
        verdict = registration.verdict(self.jar, record, self.me)
        if verdict == node.DEAD:
            self.worker(record)
        elif verdict == node.UNKNOWN:
            self.report.left.append(f"worker {worker} cannot be judged from here (another user, another container, or"
                                    f" a boot less than {node.BEAT_VETO:.0f} s ago): it is left alone until it can be")

    def believe(self, of: str) -> list[Record]:
        """Fence all workers of the node `of`, because a person says that it is down; those to be recovered later.

        Later: when no cache can show what has been fenced, for another client may still act on what it sees there.
        """
        fenced: list[Record] = []
        for worker in self._owners(of):
            self._attempt(worker, lambda: self._believe(worker, fenced))
        return fenced

    def vouched(self, fenced: list[Record]) -> Report:
        """Recover the workers that `believe` has fenced."""
        for record in fenced:
            self._attempt(record.worker, lambda: self.worker(record))
        return self._finish()

    def _finish(self, is_asked: bool = False) -> Report:
        self.report.left.extend(leftovers.sweep(self.jar, self.me, is_asked))
        # The dead may have ended what others wait for, or their delays may have run out with nobody there.
        mine = reservation.text(self.writer, self.nonce)
        Waiting(self.jar, self.writer, mine, time.time, self.report.left.append).look()
        return self.report

    def _believe(self, worker: str, fenced: list[Record]) -> None:
        """Fence a worker that nobody but a person can call dead; whatever can be proved needs no vouching."""
        record = registration.read(self.jar, worker)
        verdict = registration.verdict(self.jar, record, self.me) if record else None
        if verdict == node.UNKNOWN:
            self._fence(worker)
            fenced.append(record)
        elif verdict == node.ALIVE:
            self.report.left.append(f"worker {worker} lives, here on this node: it is left alone, so stop it first")
        else:
            self._judge(worker)

    def worker(self, record: Record) -> bool:
        """Recover one dead worker; True when it owns nothing any more."""
        try:
            fenced = self._fence(record.worker)
            # Where the same kernel runs, what a job has left running can be seen, whatever a person says.
            if record.identity.boot == self.me.boot and not self._is_alone(record):
                return False
            self._see_out(record, fenced)
        except Fenced:
            # RACE: another recoverer has fenced this one, and goes on where it was.
            return False
        return not registration.owns_jobs(self.jar, record.worker)

    def _fence(self, worker: str) -> list[str]:
        """Make the dead worker's jobs this process's own, by renaming what holds them; the directories won."""
        holders = filter(layout.is_holder, fslook.names(self.jar.worker(worker)))
        won = []
        for name in holders:
            target = os.path.join(self.jar.worker(worker), f"{layout.RECOVERING}{self.nonce}-{next(_fences)}")
            if fsops.move(os.path.join(self.jar.worker(worker), name), target):
                won.append(target)
        return won

    def _see_out(self, record: Record, fenced: list[str]) -> None:
        """Empty the directories that were won, and those alone: what another recoverer has won is not ours."""
        history = History(self.jar.worker(record.worker))
        for directory in fenced:
            self._empty(record, history, directory)
        self._salvage.finish(record, history)
        # Before they go, for nobody looks again at a worker that owns nothing.
        self._tidy(record)
        for directory in fenced:
            while not fsops.remove_directory(directory):
                if not self._empty(record, history, directory):
                    self.report.left.append(f"{directory} holds something that is no job: look at it and remove it")
                    return

    def _is_alone(self, record: Record) -> bool:
        """Whether nothing that the dead worker started lives; reports it, or ends it if told to."""
        lock = str(record.extra.get("lock", ""))
        living, found = process.orphans(lock, record.nonce)
        if living and self.kill_orphans:
            process.kill_orphans(found)
            living, found = process.orphans(lock, record.nonce)
        if living:
            named = ", ".join(f"{o.pid} ({o.command})" for o in found) or "one that cannot be named"
            self.report.left.append(f"a job of dead worker {record.worker} still runs as process {named}: wait for its"
                                    f" end, or use `recover_stranded{self._vouching(record)} --kill-orphans`")
        return not living

    def _vouching(self, record: Record) -> str:
        node = record.identity.node
        return "" if node == self.me.node else f" --node {node} --dead"

    def _empty(self, record: Record, history: History, directory: str) -> bool:
        """See out all that is in one fenced directory; False when it held nothing that could be dealt with."""
        seen = False
        for category, name in _contents(directory):
            place = Place(CLAIMS, category, name, directory)
            if _is_job(*os.path.split(self.jar.path(place))):
                self._salvage.job(record, history, place)
                seen = True
        for name in _names(directory):
            fsops.remove_directory(os.path.join(directory, name))
        return seen

    def _tidy(self, record: Record) -> None:
        """Remove what a dead worker leaves lying about that nobody needs."""
        registration.clear_probe(self.jar, record.worker)
        scratch = os.path.join(self.jar.worker(record.worker), "scratch")
        # NFS: an error may pass, and nobody will look again.
        if not (fsops.remove_tree(scratch) or fsops.remove_tree(scratch)):
            self.report.left.append(f"{scratch} could not be removed whole: look at it and remove it")
        fsops.remove(process.lock_path(record.nonce))


def _contents(directory: str) -> list[tuple[str | None, str]]:
    """(category, name) of all that lies in a fenced directory."""
    found: list[tuple[str | None, str]] = []
    for name in _names(directory):
        status = fslook.status(directory, name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            found += [(name, inner) for inner in _names(os.path.join(directory, name))]
        else:
            found.append((None, name))
    return found


def _names(directory: str) -> list[str]:
    try:
        return fslook.names(directory)
    except FileNotFoundError:
        raise Fenced(f"{directory} is gone: another recovery has taken it over") from None


def _is_job(directory: str, name: str) -> bool:
    """Whether this is a job; what is a probe or somebody's reservation is removed and counts for nothing."""
    found = fslook.status(directory, name)
    if found is not None and stat.S_ISLNK(found.st_mode) or name.startswith(layout.PROBE):
        fsops.remove(os.path.join(directory, name))
        return False
    # NFS: a file that was removed while open stays a while as .nfs…
    return not name.startswith(".")
