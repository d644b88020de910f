"""Which job a worker tries next, and what a look at its file says of it. A rename decides whose the job is."""

import os
import stat
from collections import namedtuple
from collections.abc import Callable, Iterable

from jobjar import accounting, directives, fslook, fsops, settling, states
from jobjar.errors import Fenced, UsageError
from jobjar.glance import Glance
from jobjar.layout import Jar, Place
from jobjar.shelf import Shelf

PASS_OVER = 60.0
# An empty file this young may be one that somebody is still copying.
EMPTY_AGE = 2.0

CLAIM, REFUSE, LEAVE = "claim", "refuse", "leave"
# What a look at a file has shown: one of these, what it asks for, why to refuse it, its command as noted, its status
# (None: there is none that can be opened).
Vetted = namedtuple("Vetted", "verdict request why commanded found head", defaults=({}, "", {}, None, b""))


class Claims:
    """One worker's claims/: whatever job is there is this worker's, however it came."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._glances: dict[str | None, Glance] = {}

    def find(self, categories: Iterable[str], server_now: Callable[[], float]) -> Place | None:
        """A job in claims/ or one of these categories in it, where something has changed; Fenced when it is gone.

        `server_now()` tells the file server's time.
        """
        wanted = (None, *sorted(categories))
        # Of a category that has been removed nothing more is due: a worker that waited for it would never sleep.
        self._glances = {category: glance for category, glance in self._glances.items() if category in wanted}
        for category in wanted:
            glance = self._glances.get(category) or Glance(os.path.join(self.directory, category or ""))
            self._glances[category] = glance
            if glance.needs_listing():
                for entry in self._entries(glance, server_now()):
                    if self._is_job(entry):
                        # It is looked for again until it is gone from there, even if it cannot be taken up now.
                        del self._glances[category]
                        return Place(states.CLAIMS, category, entry.name, self.directory)
        return None

    def _entries(self, glance: Glance, server_now: float) -> list[os.DirEntry]:
        glance.about_to_list(server_now)
        try:
            return fslook.scan(glance.directory)
        except FileNotFoundError:
            raise Fenced(f"{self.directory} is gone: this worker has been declared dead") from None
        except OSError:
            glance.has_failed()
            raise

    def _is_job(self, entry: os.DirEntry) -> bool:
        if entry.is_symlink():
            # RACE: somebody's reservation, claimed from an old listing; it was never a job.
            fsops.remove(entry.path)
            return False
        # NFS: the listing says what it is, for the lookup that a failed claim has made may have left a cached "no".
        return fslook.is_file_entry(entry)

    def due(self) -> float | None:
        """Seconds until a racy listing is to be repeated, else None."""
        dues = (glance.due() for glance in self._glances.values())
        return min((due for due in dues if due is not None), default=None)


class Queue:
    """All categories of one worker, in its order."""

    def __init__(self, jar: Jar, node: str, categories: tuple[str, ...]) -> None:
        wanted = dict.fromkeys((node, *categories))
        self.shelves = [Shelf(jar, category) for category in wanted] + [Shelf(jar, None)]

    def hint(self, changed: set[str]) -> None:
        """Take note of directories in which something has appeared."""
        for shelf in self.shelves:
            if shelf.watched in changed:
                shelf.is_hinted = True

    def renew(self) -> None:
        """Let all shelves be listed as soon as may be: something has been put there."""
        for shelf in self.shelves:
            shelf.is_hinted = True

    def due(self) -> list[Shelf]:
        """The shelves that are to be listed now."""
        return [shelf for shelf in self.shelves if shelf.is_due()]

    def has_candidates(self) -> bool:
        """Whether there is anything left to try without a new listing."""
        return any(shelf.has_candidates() for shelf in self.shelves)

    def pass_over(self, place: Place, seconds: float) -> None:
        """See `Shelf.pass_over`."""
        for shelf in self.shelves:
            if shelf.category == place.category:
                shelf.pass_over(place.name, seconds)

    def take(self) -> tuple[Shelf, Place] | None:
        """The best candidate, taken off its shelf; None when there is none. It may be gone already."""
        for shelf in self.shelves:
            if shelf.has_candidates():
                return shelf, Place(states.UNCLAIMED, shelf.category, shelf.take())
        return None

    def put_back(self, candidate: tuple[Shelf, Place] | None) -> None:
        """Undo `take`."""
        if candidate is not None:
            shelf, place = candidate
            shelf.put_back(place.name)


def vet(path: str, trusted: frozenset[int], server_now: float, several: bool = False) -> Vetted:
    """Whether to CLAIM the candidate at `path`, to REFUSE it (untrusted, asking for nonsense) or to LEAVE it.

    `several`: whether its file may have several names.
    """
    found, head = look_into(path)
    if not _may_be_had(found, server_now):
        return Vetted(LEAVE, found=found)
    if found.st_uid not in trusted or found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return Vetted(REFUSE, why="its owner is not trusted by this worker, or it is set-id")
    if found.st_nlink > 1 and not several:
        # By another name, in a directory of his, somebody could have given a file of the owner's to this worker.
        return Vetted(REFUSE, why="its file has several names, which it may have in a private jar only: copy it")
    try:
        is_whole = len(head) == found.st_size
        return Vetted(CLAIM, settling.claimed(head), commanded=accounting.commanded(head, is_whole), found=found,
                      head=head)
    except UsageError as error:
        return Vetted(REFUSE, why=f"its #JJ lines will not do: {error}")


def glimpse(path: str, server_now: float) -> Vetted:
    """As `vet`, as far as can be said without opening the candidate: whether to CLAIM or to LEAVE it."""
    found = fslook.known(path)
    return Vetted(CLAIM if _may_be_had(found, server_now) else LEAVE, found=found)


def _may_be_had(found: os.stat_result | None, server_now: float) -> bool:
    return found is not None and stat.S_ISREG(found.st_mode) and _is_executable(found) \
        and not (found.st_size == 0 and server_now - found.st_mtime < EMPTY_AGE)


def has_changed(path: str, vetted: Vetted, is_remote: bool) -> bool:
    """Whether the file at `path` is another than the one that was vetted; `is_remote`: other nodes may change it."""
    new, old = look_into(path)[0] if is_remote else fslook.known(path), vetted.found
    return new is not None and (new.st_ino, new.st_size, new.st_mtime_ns) != (old.st_ino, old.st_size, old.st_mtime_ns)


def request(path: str) -> directives.Request | None:
    """What the job at `path` asks for; None when there is no file that can be opened. UsageError: its #JJ lines will
    not do."""
    found, head = look_into(path)
    return settling.claimed(head) if found is not None and stat.S_ISREG(found.st_mode) else None


def look_into(path: str) -> tuple[os.stat_result | None, bytes]:
    """The status of a job's file, None of what cannot be opened, and the beginning in which its request may stand."""
    for how in (os.O_RDONLY, os.O_PATH):
        try:
            # NFS: opening asks the server; a name that is only looked up may be answered from a cache.
            handle = os.open(path, how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            # A program may be executable without being readable.
            continue
        except OSError:
            return None, b""
        try:
            found = os.fstat(handle)
            return found, _head(handle) if how == os.O_RDONLY and stat.S_ISREG(found.st_mode) else b""
        finally:
            os.close(handle)
    return None, b""


def _head(handle: int) -> bytes:
    head = os.pread(handle, directives.GLANCE, 0)
    while directives.GLANCE <= len(head) < directives.HEAD_MAX and directives.may_go_on(head):
        more = os.pread(handle, len(head), len(head))
        if not more:
            break
        head += more
    return head


def _is_executable(found: os.stat_result) -> bool:
    return bool(found.st_mode & (0o100 if found.st_uid == os.geteuid() else 0o111))
