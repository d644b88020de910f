"""Bringing back the jobs of dead workers.

Whoever wins the rename of a dead worker's claims/ owns its jobs; whoever does not touches nothing. Every step may be
interrupted and repeated. docs/PROTOCOL.md section 9.
"""

import os
import stat
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import fslook, fsops, layout, moves, node, notes, process, registration, reservation
from jobjar.errors import Fenced
from jobjar.journal import History, Journal
from jobjar.layout import Jar, Place
from jobjar.registration import Record
from jobjar.states import CLAIMS

# Longer than any listing is cached: acdirmax of a Linux NFS client and a little more.
CACHE_TIME = 65.0

# `jobs`: (event, category, name) of each job that was moved; `left`: sentences about what had to be left as it is.
Report = namedtuple("Report", "jobs left")


class Recovery:
    """One run of recovery by one process. Only one at a time per node and user may exist (see `supervision`)."""

    def __init__(self, jar: Jar, me: node.Identity, max_attempts: int, kill_orphans: bool = False) -> None:
        self.jar, self.me = jar, me
        self.writer = node.owner(me)
        self.nonce = node.nonce(me)
        self.max_attempts = max_attempts
        self.kill_orphans = kill_orphans
        self.report = Report([], [])
        self._fences = 0

    def node(self) -> Report:
        """Recover every provably dead worker of this node, then withdraw the reservations of the dead."""
        for worker in registration.workers(self.jar, self.me.node):
            try:
                if registration.owns_jobs(self.jar, worker):
                    self._judge(worker)
            except OSError as error:
                self.report.left.append(f"worker {worker} could not be recovered now: {error}")
        self.sweep()
        return self.report

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
            self.report.left.append(f"worker {worker} cannot be judged from here (another container, or a boot less"
                                    f" than {node.BEAT_VETO:.0f} s ago): it is left alone until it can be")

    def vouched(self, of: str) -> Report:
        """Recover all workers of the node `of`, because a person says that it is down."""
        fenced = []
        for worker in registration.workers(self.jar, of):
            record = registration.read(self.jar, worker)
            if registration.owns_jobs(self.jar, worker) and record is not None:
                self._fence(worker)
                fenced.append(record)
        if fenced:
            # NFS: another client may still act on what it has cached; after this it cannot find anything there.
            time.sleep(CACHE_TIME)
        for record in fenced:
            self.worker(record, is_local=False)
        self.sweep()
        return self.report

    def worker(self, record: Record, is_local: bool = True) -> bool:
        """Recover one dead worker; True when it owns nothing any more. `is_local`: its processes would be here."""
        self._fence(record.worker)
        if is_local and record.identity.boot == self.me.boot and not self._is_alone(record):
            return False
        history = History(self.jar.worker(record.worker))
        try:
            while directories := self._recovering(record.worker):
                for directory in directories:
                    self._empty(record, history, directory)
        except Fenced:
            # RACE: another recoverer has fenced this one, and goes on where it was.
            return False
        self._tidy(record)
        return True

    def _fence(self, worker: str) -> None:
        """Make the dead worker's jobs this process's own, by renaming what holds them."""
        for name in [layout.CLAIMS, *(os.path.basename(d) for d in self._recovering(worker))]:
            self._fences += 1
            source = os.path.join(self.jar.worker(worker), name)
            target = os.path.join(self.jar.worker(worker), f"{layout.RECOVERING}{self.nonce}-{self._fences}")
            if name == layout.CLAIMS and not fslook.is_there(self.jar.worker(worker), name):
                continue
            fsops.move(source, target)

    def _recovering(self, worker: str) -> list[str]:
        directory = self.jar.worker(worker)
        return [os.path.join(directory, name) for name in fslook.names(directory)
                if name.startswith(layout.RECOVERING)]

    def _is_alone(self, record: Record) -> bool:
        """Whether nothing that the dead worker started lives; reports it, or ends it if told to."""
        living, found = process.orphans(record.extra.get("lock"), record.nonce)
        if living and self.kill_orphans:
            process.kill_orphans(found)
            living, found = process.orphans(record.extra.get("lock"), record.nonce)
        if living:
            named = ", ".join(f"{o.pid} ({o.command})" for o in found) or "one that cannot be named"
            self.report.left.append(f"a job of dead worker {record.worker} still runs as process {named}: wait for its"
                                    " end, or use `recover_stranded --kill-orphans`")
        return not living

    def _empty(self, record: Record, history: History, directory: str) -> None:
        """See out all that is in one fenced directory, then remove it."""
        for category, name in _contents(directory):
            place = Place(CLAIMS, category, name, directory)
            if _is_job(self.jar.path(place), name):
                self._job(record, history, place)
        for name in fslook.names(directory):
            fsops.remove_directory(os.path.join(directory, name))
        fsops.remove_directory(directory)

    def _job(self, record: Record, history: History, place: Place) -> None:
        attempt = history.attempt(place.category, place.name) or f"none-{record.nonce}"
        mine = reservation.text(record.worker, attempt)
        end = history.end(attempt)
        if end is not None:
            self._complete(record, history, place, mine, attempt, end)
            return
        for name in self._reserved_by(mine):
            reservation.void(self.jar, name, mine, attempt)
        why = f"worker {record.worker} died while it had the job"
        if notes.is_closed(self.jar, place.name, place.category, attempt):
            # An earlier recovery had decided to give it up and died before the move.
            self._done("give_up", place, moves.give_up(self.jar, place, mine))
            return
        tries = notes.count(self.jar, self.writer, place.name, place.category, attempt, why)
        if tries >= self.max_attempts:
            self._give_up(place, mine, f"{why}, for the {_ordinal(tries)} time: the limit is JJ_MAX_ATTEMPTS")
        else:
            carry = self._carry(place)
            self._done("recover", place, moves.recover(self.jar, place, mine, before=carry))

    def _complete(self, record: Record, history: History, place: Place, mine: str, attempt: str, end: dict) -> None:
        journal = Journal(self.jar.worker(record.worker))
        try:
            moved = moves.complete(
                self.jar, place, mine, bad=end.get("state") != "COMPLETED", first=history.target(attempt),
                output=os.path.join(self.jar.worker(record.worker), "output"),
                detour=lambda name: journal.target(attempt, name), last=lambda: self._close_notes(place))
        finally:
            journal.close()
        self._done("complete", place, moved)

    def _give_up(self, place: Place, mine: str, why: str) -> None:
        notes.add(self.jar, self.writer, place.name, place.category, "give_up", why=why)
        self._close_notes(place)
        self._done("give_up", place, moves.give_up(self.jar, place, mine))

    def _close_notes(self, place: Place) -> None:
        if notes.has(self.jar, place.name):
            notes.close(self.jar, self.writer, place.name, place.category)

    def _carry(self, place: Place) -> Callable[[str], None]:
        """Take the attempts along to a new name, when the old one is occupied."""
        def carry(name: str) -> None:
            if name != place.name:
                for attempt in sorted(notes.open_attempts(self.jar, place.name, place.category)):
                    notes.count(self.jar, self.writer, name, place.category, attempt, f"it was {place.name} then")
        return carry

    def _done(self, event: str, place: Place, moved: Place | None) -> None:
        if moved is not None:
            self.report.jobs.append((event, place.category, moved.name))

    def _reserved_by(self, mine: str) -> list[str]:
        return [name for name, text in _links(self.jar.completed) if text == mine]

    def _tidy(self, record: Record) -> None:
        """Remove what a dead worker leaves lying about that nobody needs."""
        registration.clear_probe(self.jar, record.worker)
        fsops.remove_tree(os.path.join(self.jar.worker(record.worker), "scratch"))
        part = os.path.join(os.sep + record.worker, layout.CLAIMS) + os.sep
        for name, text in _links(self.jar.claimed):
            if part in text:
                fsops.remove(os.path.join(self.jar.claimed, name))
        if record.extra.get("lock"):
            fsops.remove(record.extra["lock"])

    def sweep(self) -> None:
        """Withdraw the reservations whose owner is dead and owns nothing, and finish interrupted cleanings."""
        for name, text in _links(self.jar.completed):
            owner = self._dead_owner(text)
            if owner:
                reservation.void(self.jar, name, text, owner[1])
        for directory in self._queues():
            for name, text in _links(directory):
                if name.startswith(".") and self._dead_owner(text):
                    reservation.withdraw(self.jar, os.path.join(directory, name), text)
        for name in fslook.names(self.jar.limbo):
            if name.startswith(layout.CLEANED):
                reservation.finish_clean(self.jar, name[len(layout.CLEANED):])

    def _queues(self) -> list[str]:
        found = []
        for state in ("unclaimed", "held", "waiting"):
            top = self.jar.directory(state)
            found.append(top)
            with os.scandir(top) as entries:
                found += [e.path for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
        return found

    def _dead_owner(self, text: str) -> tuple[str, str] | None:
        """(owner, nonce) of a reservation whose owner is provably gone and responsible for no job any more."""
        parsed = reservation.parse(text)
        if parsed is None:
            return None
        owner, nonce = parsed
        record = registration.read(self.jar, owner)
        if record is not None and f"{nonce.removeprefix('none-')}-".startswith(record.nonce + "-"):
            # A worker that has left, or was recovered, moves nothing more, dead or not.
            return None if registration.owns_jobs(self.jar, owner) else parsed
        return parsed if node.is_dead_nonce(owner, nonce, self.me) else None


def _contents(directory: str) -> list[tuple[str | None, str]]:
    """(category, name) of all that lies in a fenced directory."""
    found: list[tuple[str | None, str]] = []
    for name in _names(directory):
        path = os.path.join(directory, name)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            found += [(name, inner) for inner in _names(path)]
        else:
            found.append((None, name))
    return found


def _names(directory: str) -> list[str]:
    try:
        return fslook.names(directory)
    except FileNotFoundError:
        raise Fenced(f"{directory} is gone: another recovery has taken it over") from None


def _is_job(path: str, name: str) -> bool:
    """Whether this is a job; what is a probe or somebody's reservation is removed and counts for nothing."""
    if os.path.islink(path) or name.startswith(layout.PROBE):
        fsops.remove(path)
        return False
    return True


def _links(directory: str) -> list[tuple[str, str]]:
    """(name, text) of the symbolic links in a directory."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.is_symlink()]
    found = ((name, fslook.link_text(os.path.join(directory, name))) for name in names)
    return [(name, text) for name, text in found if text is not None]


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
