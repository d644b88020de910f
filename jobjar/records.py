"""Journals and notes: can they be read, and does each completed job have its end line?"""

import os
from collections import namedtuple
from collections.abc import Iterable, Iterator

from jobjar import archive, fslook, notes, registration
from jobjar.findings import INFORMATION, PERSON, Finding
from jobjar.fslook import DIRECTORY, FILE, Entry
from jobjar.inventory import Inventory, is_job
from jobjar.journal import END, TARGET, is_journal

# What a file of JSON lines holds: how many of its lines cannot be read, and of which jobs its end and target lines
# speak, by their names, final names and inodes.
Said = namedtuple("Said", "bad jobs")


class Records:
    """Reads what it is asked about, and a file that has not changed since only once."""

    def __init__(self) -> None:
        self._known: dict[tuple, Said] = {}

    def find(self, seen: Inventory) -> Iterator[Finding]:
        """Lines that cannot be read, things that are no notes, and jobs whose end nobody has written down."""
        ended: set[str | int] = set()
        archived = seen.listing(seen.jar.history)
        files = (os.path.join(seen.jar.history, entry.name) for entry in archived if _is_archive(entry))
        for path in (*_journals(seen), *files):
            said = self._read(seen, path)
            ended |= said.jobs
            yield from _garbled(path, said)
        for entry in seen.listing(seen.jar.notes):
            yield from self._notes(seen, entry)
        for entry in archived:
            yield from _archived(seen, entry)
        for entry in seen.completed:
            if is_job(entry) and ended.isdisjoint((entry.ino, entry.name)):
                yield Finding(INFORMATION, "no-end-line", os.path.join(seen.jar.completed, entry.name), "no journal"
                              " says how it ended: it ended in the second before a power cut, or its worker's directory"
                              " was removed, or somebody has put it there", (entry.ino,))

    def _notes(self, seen: Inventory, entry: Entry) -> Iterator[Finding]:
        directory = os.path.join(seen.jar.notes, entry.name)
        if entry.kind != DIRECTORY:
            yield Finding(PERSON, "foreign", directory, "no directory with notes about a job: move it elsewhere or"
                          " remove it", (entry.kind, entry.ino))
            return
        for writer in seen.listing(directory):
            path = os.path.join(directory, writer.name)
            if writer.kind == FILE:
                yield from _garbled(path, self._read(seen, path))

    def _read(self, seen: Inventory, path: str) -> Said:
        try:
            with fslook.open_file(path) as file:
                found = os.fstat(file.fileno())
                key = path, found.st_ino, found.st_size, found.st_mtime_ns
                if key not in self._known:
                    self._known[key] = _said(file)
                return self._known[key]
        except FileNotFoundError:
            # RACE: it has been rotated or set aside; the next look finds it.
            pass
        except OSError as error:
            seen.closed.append((path, error.strerror))
        return Said(0, set())


def _journals(seen: Inventory) -> Iterator[str]:
    for worker, own in seen.staff.items():
        yield from (os.path.join(seen.jar.worker(worker), entry.name) for entry in own
                    if entry.kind == FILE and is_journal(entry.name))


def _said(lines: Iterable[bytes]) -> Said:
    bad, said = 0, set()
    # One at a time: a journal may be as long as a year.
    for raw in lines:
        # A last piece without newline is still being written, or was torn by a death and will be ended by the next
        # writer.
        if raw == b"\n" or not raw.endswith(b"\n"):
            continue
        (line,) = notes.parse([raw]) or [None]
        if line is None:
            bad += 1
        elif line.get("e") == END:
            said.update(value for value in (line.get("n"), line.get("as"), line.get("ino"))
                        if isinstance(value, (str, int)))
        elif line.get("e") == TARGET and isinstance(line.get("as"), str):
            said.add(line["as"])
    return Said(bad, said)


def _is_archive(entry: Entry) -> bool:
    return entry.kind == FILE and entry.name.endswith(archive.SUFFIX) and not entry.name.startswith(".")


def _archived(seen: Inventory, entry: Entry) -> Iterator[Finding]:
    path = os.path.join(seen.jar.history, entry.name)
    # `leavings` looks at what was not finished.
    is_draft = entry.kind == FILE and registration.parse_draft(entry.name)
    if not is_draft and not _is_archive(entry):
        yield Finding(PERSON, "foreign", path, "no file of records: move it elsewhere or remove it",
                      (entry.kind, entry.ino))


def _garbled(path: str, said: Said) -> Iterator[Finding]:
    if said.bad:
        count = "a line" if said.bad == 1 else f"{said.bad} lines"
        yield Finding(INFORMATION, "garbled", path, f"{count} in it cannot be read, as after a full disk or a power"
                      " cut: what was said there is lost, and readers pass it over", (said.bad,))
