"""All that lies in a jar, listed once and freshly, for whoever judges it.

Everything may move while it is listed. The order is such that what belongs together is seen in the right order: a
link in failed/ and a log are there only after a reservation in completed/ was, and an end line before the job came
there; so completed/ is listed after those and before the journals are read.
"""

import errno
import os
import time
from collections import namedtuple
from collections.abc import Iterator

from jobjar import fslook, layout, registration, states
from jobjar.fslook import DIRECTORY, FILE, Entry
from jobjar.layout import Jar, Place

# A job somewhere: its Place and the number of its file.
Seen = namedtuple("Seen", "place ino")


class Inventory:
    """What the directories of `jar` held, and when. `closed`: (directory, error) of those that could not be listed."""

    def __init__(self, jar: Jar) -> None:
        self.jar = jar
        self.now = _now(jar)
        self.closed: list[tuple[str, str]] = []
        self.claimed = self.listing(jar.claimed)
        self.failed = self.listing(jar.failed)
        self.logs = self.listing(jar.logs)
        self.limbo = self.listing(jar.limbo)
        # (state, category or None) → what is directly in it
        self.queues = dict(self._queues())
        self.workers = self.listing(jar.workers)
        # Worker's directory, also one set aside → what is in it
        self.staff = {entry.name: self.listing(jar.worker(entry.name)) for entry in self.workers
                      if entry.kind == DIRECTORY and not entry.name.startswith(".")}
        # Worker's directory → what is in its claims/ and whatever that was renamed to
        self.held = {name: list(self._held(jar.worker(name), own)) for name, own in self.staff.items()}
        self.completed = self.listing(jar.completed)

    def listing(self, directory: str) -> list[Entry]:
        """What a fresh listing shows; nothing when the directory is not there or cannot be listed."""
        try:
            if not os.access(directory, os.X_OK, effective_ids=True) and os.path.isdir(directory):
                # It can perhaps be listed, and nothing in it be looked at.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            # NFS: a file that was removed while open stays a while as .nfs…
            return [entry for entry in fslook.survey(directory) if not entry.name.startswith(".nfs")]
        except (FileNotFoundError, NotADirectoryError):
            # RACE: it has been set aside or emptied. The directories of the jar itself are looked for elsewhere.
            return []
        except OSError as error:
            self.closed.append((directory, error.strerror))
            return []

    def _queues(self) -> Iterator[tuple[tuple[str, str | None], list[Entry]]]:
        for state in reversed(states.QUEUES):
            top = self.listing(self.jar.directory(state))
            yield (state, None), top
            for entry in top:
                if entry.kind == DIRECTORY and not entry.name.startswith("."):
                    yield (state, entry.name), self.listing(self.jar.directory(state, entry.name))

    def _held(self, directory: str, own: list[Entry]) -> Iterator[Seen]:
        for holder in own:
            if not layout.is_holder(holder.name):
                continue
            top = os.path.join(directory, holder.name)
            for entry in self.listing(top):
                if entry.kind == DIRECTORY:
                    yield from (_seen(entry.name, inner, top) for inner in self.listing(os.path.join(top, entry.name))
                                if is_job(inner))
                elif is_job(entry):
                    yield _seen(None, entry, top)

    def jobs(self) -> Iterator[Seen]:
        """All jobs, wherever they are."""
        for (state, category), entries in self.queues.items():
            yield from (Seen(Place(state, category, e.name), e.ino) for e in entries if is_job(e))
        for held in self.held.values():
            yield from held
        yield from (Seen(Place(states.COMPLETED, None, e.name), e.ino) for e in self.completed if is_job(e))
        yield from (Seen(Place(states.FAILED, None, e.name), e.ino) for e in self.failed if is_job(e))

    def probes(self) -> Iterator[tuple[str, str]]:
        """(path, worker) of the files by which workers prove, when they start, that all is one file system."""
        for directory, entries in ((self.jar.limbo, self.limbo), (self.jar.logs, self.logs),
                                   (self.jar.failed, self.failed), (self.jar.completed, self.completed)):
            yield from ((os.path.join(directory, entry.name), entry.name.removeprefix(layout.PROBE))
                        for entry in entries if is_probe(directory, entry.name))

    def owns(self, worker: str) -> bool:
        """Whether the worker, or whoever fenced it, may still be responsible for jobs."""
        return self.is_closed(self.jar.worker(worker)) or \
            any(layout.is_holder(entry.name) for entry in self.staff.get(worker, ()))

    def age(self, path: str) -> float:
        """Seconds since the file was last written or moved, by the server's clock; 0 when it is not there."""
        found = fslook.status(*os.path.split(path))
        return self.now - max(found.st_mtime, found.st_ctime) if found else 0.0

    def is_closed(self, directory: str) -> bool:
        """Whether it is there and could not be listed, so that nothing can be said of what is in it."""
        return any(directory == closed for closed, _ in self.closed)


def _now(jar: Jar) -> float:
    """The file server's clock, for what is told a person about an age may make him act; else this computer's."""
    try:
        return registration.server_now(jar)
    except OSError:
        # Nothing can be written there, or there is no limbo/.
        return time.time()


def _seen(category: str | None, entry: Entry, holder: str) -> Seen:
    return Seen(Place(states.CLAIMS, category, entry.name, holder), entry.ino)


def is_job(entry: Entry) -> bool:
    """Whether it may be a job, as far as a listing tells."""
    return entry.kind == FILE and not entry.name.startswith(".")


def is_probe(directory: str, name: str) -> bool:
    """Whether it is such a file of a worker's; what only has such a name, and says something, is a person's."""
    return name.startswith(layout.PROBE) and fslook.is_empty_file(directory, name)
