"""What a power cut may leave of a directory tree: the legal states are enumerated and built.

`Recorder` writes down what is done to a tree, and what of it is synced. After a cut at any moment some of it is on
the disk and some is not: file contents that were not synced are there not at all, in part, as zeros or whole; a
change of a name that was not synced with its directory is there or not. A rename is one change, even between two
directories, and no change is there without those it builds on: earlier ones of the same name, and the making of its
directory. Journalling file systems keep all changes in order, or those of one directory, or none (`ORDERS`).
"""

import os
import random
import stat
from collections import namedtuple
from collections.abc import Callable, Iterator

from support import faults

# What was done: `verb` is name (entries changed: (directory, name, inode or None)), data (inode, bytes at its end),
# mode, sync (inode or None for all) or fact, which the test has noted.
Step = namedtuple("Step", "verb inode detail")
ORDERS = ("all in order", "each directory in order", "in any order")
# What may be there of the part of a file that was not synced.
CONTENTS = ("nothing", "half", "zeros", "whole")

ROOT = 0


class Recorder:
    """Records what this process does below `top`; also the model of the tree from which states are built."""

    def __init__(self, top: str) -> None:
        self.top, self.steps = top, []
        self.entries: dict[int, dict[str, int]] = {ROOT: {}}
        self.texts: dict[int, str] = {}
        self.modes: dict[int, int] = {}
        self.begin_data: dict[int, bytes] = {}
        self._known_needs: dict[tuple[int, str], set[int]] = {}
        self._number = 0
        self._real: dict[int, int] = {}
        self._scan(top, ROOT)
        self.begin = {inode: dict(names) for inode, names in self.entries.items()}
        self.begin_modes = dict(self.modes)

    def _scan(self, path: str, inode: int) -> None:
        for name in os.listdir(path):
            inner = os.path.join(path, name)
            found = os.lstat(inner)
            number = self._fresh(found.st_ino)
            self.entries[inode][name] = number
            self.modes[number] = stat.S_IMODE(found.st_mode)
            if stat.S_ISDIR(found.st_mode):
                self.entries[number] = {}
                self._scan(inner, number)
            elif stat.S_ISLNK(found.st_mode):
                self.texts[number] = os.readlink(inner)
            else:
                with open(inner, "rb") as file:
                    self.begin_data[number] = file.read()

    def _fresh(self, real: int | None = None) -> int:
        self._number += 1
        if real is not None:
            self._real[real] = self._number
        return self._number

    # Recording.

    def record(self, act: Callable[[], object]) -> None:
        """Do `act()` and write down all of its changes."""
        recorder = self

        class Injector(faults._Injector):
            def hook(self, event: str, arguments: tuple) -> None:
                self.arguments = arguments
                super().hook(event, arguments)

            def _step(self, verb: str, text: str, perform: Callable, paths: list[str]) -> None:
                recorder.take(verb, paths, self.arguments if verb == "os.chmod" else ())

            def _seam_write(self, handle: int, data: bytes) -> int:
                recorder.wrote(handle, bytes(data))
                return os.write(handle, data)

            def _sync_all(self, path: str) -> None:
                recorder.steps.append(Step("sync", None, None))

        injector = Injector(None, [self.top])
        injector.begin()
        try:
            act()
        finally:
            injector.end()

    def note(self, *fact: object) -> None:
        """Something has become true that the states of later moments are to be judged by."""
        self.steps.append(Step("fact", None, fact))

    def wrote(self, handle: int, data: bytes) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        self.steps.append(Step("data", self._find(path), data))

    def take(self, verb: str, paths: list[str], arguments: tuple) -> None:
        """One operation, which is about to happen."""
        if verb == "os.chmod":
            self.steps.append(Step("mode", self._find(paths[0]), arguments[1]))
        act = {"open": self._open, "os.mkdir": self._mkdir, "os.symlink": self._symlink, "os.rename": self._rename,
               "renameat2": self._rename_new,
               "os.remove": self._remove, "os.rmdir": self._remove, "fsync": self._sync}.get(verb)
        if act:
            act(*paths)

    def _locate(self, path: str) -> tuple[int, str]:
        """(inode of the directory, name)."""
        parts = os.path.relpath(path, self.top).split(os.sep)
        inode = ROOT
        for part in parts[:-1]:
            inode = self.entries[inode].get(part, -1)
        return inode, parts[-1]

    def _find(self, path: str) -> int | None:
        directory, name = self._locate(path)
        return self.entries.get(directory, {}).get(name)

    def _change(self, *changes: tuple[int, str, int | None]) -> None:
        for directory, name, inode in changes:
            if inode is None:
                self.entries[directory].pop(name, None)
            else:
                self.entries[directory][name] = inode
        self.steps.append(Step("name", None, changes))

    def _open(self, path: str) -> None:
        directory, name = self._locate(path)
        if directory in self.entries and name not in self.entries[directory]:
            inode = self._fresh()
            self.modes[inode], self.begin_modes[inode] = 0o600, 0o600
            self._change((directory, name, inode))

    def _mkdir(self, path: str) -> None:
        directory, name = self._locate(path)
        if directory in self.entries and name not in self.entries[directory]:
            inode = self._fresh()
            self.entries[inode] = {}
            self.begin[inode] = {}
            self.modes[inode] = self.begin_modes[inode] = 0o755
            self._change((directory, name, inode))

    def _symlink(self, text: str, path: str) -> None:
        directory, name = self._locate(path)
        if directory in self.entries and name not in self.entries[directory]:
            inode = self._fresh()
            self.texts[inode] = text
            self._change((directory, name, inode))

    def _rename_new(self, source: str, target: str) -> None:
        if self._find(target) is None:
            self._rename(source, target)

    def _rename(self, source: str, target: str) -> None:
        (old, name), (new, other) = self._locate(source), self._locate(target)
        inode = self.entries.get(old, {}).get(name)
        if inode is None or new not in self.entries or self.entries.get(self.entries[new].get(other, -1)):
            return
        self._change((old, name, None), (new, other, inode))

    def _remove(self, path: str) -> None:
        directory, name = self._locate(path)
        inode = self.entries.get(directory, {}).get(name)
        # A directory that holds something is not removed, and no directory is unlinked.
        if inode is not None and not self.entries.get(inode):
            self._change((directory, name, None))

    def _sync(self, path: str) -> None:
        inode = ROOT if path == self.top else self._find(path)
        if inode is not None:
            self.steps.append(Step("sync", inode, None))

    # States.

    def cuts(self) -> range:
        """The moments at which the power may be cut: numbers of steps that have happened."""
        return range(len(self.steps) + 1)

    def facts(self, cut: int) -> list[tuple]:
        """What was noted before the cut."""
        return [step.detail for step in self.steps[:cut] if step.verb == "fact"]

    def states(self, cut: int, chance: random.Random, number: int) -> Iterator["State"]:
        """Different legal states after a cut: the extremes of each order, and up to `number` others of each."""
        seen = set()
        for order in ORDERS:
            forced = self._close(self._forced(cut), cut, order)
            names = [at for at in range(cut) if self.steps[at].verb == "name" and at not in forced]
            chosen = [forced, forced | set(names)]
            for _ in range(number if names else 0):
                some = set(chance.sample(names, chance.randrange(1, min(len(names), 4) + 1)))
                # Few are there, or few are missing.
                few, most = self._close(forced | some, cut, order), set(names) - self._rest(some, names, order)
                chosen += [few, forced | most]
            for done in chosen:
                for content in CONTENTS:
                    state = State(self, cut, frozenset(done), content)
                    if state.key() not in seen:
                        seen.add(state.key())
                        yield state

    def _rest(self, undone: set[int], names: list[int], order: str) -> set[int]:
        """`undone` and all that builds on it."""
        undone = set(undone)
        for at in names:
            if order == ORDERS[0] and at > min(undone) or self._needs(at, order) & undone:
                undone.add(at)
        return undone

    def _forced(self, cut: int) -> set[int]:
        """The changes of names that are surely on the disk."""
        forced = set()
        for at in range(cut):
            step = self.steps[at]
            if step.verb == "sync":
                forced |= {earlier for earlier in range(at) if self.steps[earlier].verb == "name"
                           and (step.inode is None or step.inode in self._directories(earlier))}
        return forced

    def _directories(self, at: int) -> set[int]:
        return {directory for directory, _, _ in self.steps[at].detail}

    def _close(self, done: set[int], cut: int, order: str) -> set[int]:
        """`done` and all that it builds on."""
        done, todo = set(done), sorted(done)
        if order == ORDERS[0]:
            return {at for at in range(max(done, default=-1) + 1) if self.steps[at].verb == "name"}
        while todo:
            needed = self._needs(todo.pop(), order) - done
            done |= needed
            todo += needed
        return done

    def _needs(self, at: int, order: str) -> set[int]:
        """The changes that change `at` builds on at once."""
        if (at, order) not in self._known_needs:
            self._known_needs[at, order] = {earlier for earlier in range(at) if self.steps[earlier].verb == "name"
                                            and self._builds_on(at, earlier, order)}
        return self._known_needs[at, order]

    def _builds_on(self, at: int, earlier: int, order: str) -> bool:
        mine, theirs = self.steps[at].detail, self.steps[earlier].detail
        if order == ORDERS[1] and self._directories(at) & self._directories(earlier):
            return True
        touched = {(directory, name) for directory, name, _ in mine}
        made = {inode for _, _, inode in theirs}
        # Its directory's being there, its own name's past, and what was inside a directory that is removed.
        return bool(touched & {(directory, name) for directory, name, _ in theirs}) \
            or bool(made & self._directories(at)) or bool(self._removed(at) & self._directories(earlier))

    def _removed(self, at: int) -> set[int]:
        """Directories that step `at` removes for good."""
        detail = self.steps[at].detail
        if len(detail) != 1 or detail[0][2] is not None:
            return set()
        directory, name, _ = detail[0]
        before = [self.begin[directory].get(name)]
        before += [inode for step in self.steps[:at] if step.verb == "name" for d, n, inode in step.detail
                   if (d, n) == (directory, name) and inode is not None]
        return set(before[-1:]) & set(self.entries)


class State:
    """One state of the tree after a power cut."""

    def __init__(self, record: Recorder, cut: int, done: frozenset[int], content: str) -> None:
        self.record, self.cut, self.done, self.content = record, cut, done, content
        self.entries = {inode: dict(names) for inode, names in record.begin.items()}
        for at in sorted(done):
            for directory, name, inode in record.steps[at].detail:
                if inode is None:
                    self.entries[directory].pop(name, None)
                else:
                    self.entries[directory][name] = inode
        self.files = dict(self._files())

    def _files(self) -> Iterator[tuple[int, tuple[bytes, int]]]:
        present = {inode for names in self.entries.values() for inode in names.values()}
        for inode in present - set(self.entries) - set(self.record.texts):
            yield inode, self._read(inode)

    def _read(self, inode: int) -> tuple[bytes, int]:
        """(contents, mode) of a file."""
        safe = whole = self.record.begin_data.get(inode, b"")
        safe_mode = mode = self.record.begin_modes[inode]
        for step in self.record.steps[:self.cut]:
            if step.verb == "data" and step.inode == inode:
                whole += step.detail
            elif step.verb == "mode" and step.inode == inode:
                mode = step.detail
            elif step.verb == "sync" and step.inode in (None, inode):
                safe, safe_mode = whole, mode
        rest = whole[len(safe):]
        if self.content == "nothing":
            return safe, safe_mode
        return safe + {"half": rest[:len(rest) // 2], "zeros": bytes(len(rest)), "whole": rest}[self.content], mode

    def key(self) -> tuple:
        """Two states of one key are the same."""
        return tuple(sorted(self._walk(ROOT, "")))

    def _walk(self, inode: int, prefix: str) -> Iterator[tuple]:
        for name, inner in self.entries[inode].items():
            if inner in self.entries:
                yield prefix + name, None
                yield from self._walk(inner, f"{prefix}{name}/")
            else:
                yield prefix + name, self.record.texts.get(inner) or self.files[inner]

    def build(self, top: str) -> None:
        """Make the tree at `top`."""
        os.mkdir(top)
        self._build(ROOT, top)

    def _build(self, inode: int, path: str) -> None:
        for name, inner in self.entries[inode].items():
            target = os.path.join(path, name)
            if inner in self.entries:
                os.mkdir(target)
                self._build(inner, target)
            elif inner in self.record.texts:
                os.symlink(self.record.texts[inner], target)
            else:
                data, mode = self.files[inner]
                with open(target, "xb") as file:
                    file.write(data)
                os.chmod(target, mode)
                os.utime(target, (0, 0))

    def __repr__(self) -> str:
        undone = [self.record.steps[at].detail for at in range(self.cut)
                  if self.record.steps[at].verb == "name" and at not in self.done]
        return f"cut after {self.cut} steps, undone {undone[:4]}, of what was not synced {self.content} is there"
