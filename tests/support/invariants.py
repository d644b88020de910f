"""The checker of docs/PROTOCOL.md section 10: each function returns the violations that it sees, as sentences.

They look at trees (`jars.tree`), so that one look serves them all. A job is told from all others by the word in its
text (`jars.script`), whatever its file is called.
"""

import json
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable

from support import processes

from jobjar import layout, reservation, states

HELPERS = 3

Tree = dict[str, str | None]


class Points:
    """Counts the points at which something was struck, and keeps the violations that followed."""

    def __init__(self) -> None:
        self.count, self.wrong = 0, []

    def add(self, what: str, violations: Iterable[str]) -> None:
        self.count += 1
        self.wrong += [f"{what}: {line}" for line in violations]

    def spread(self, items: Iterable[object], act: Callable[["Points", object], object]) -> None:
        """`act(points, item)` for all items, in a few helpers at once."""
        items, reports = list(items), []
        for number in range(HELPERS):
            report = os.memfd_create("points")
            pid = os.fork()
            if pid == 0:
                _help(act, items[number::HELPERS], report)
            reports.append((pid, report))
        for pid, report in reports:
            os.waitpid(pid, 0)
            with open(report, encoding="utf-8") as file:
                count, wrong = json.loads(os.pread(file.fileno(), 1 << 26, 0) or '[0, ["a helper died"]]')
            self.count += count
            self.wrong += wrong

    def verdict(self) -> None:
        assert not self.wrong, f"{len(self.wrong)} violations at {self.count} points:\n" + "\n".join(self.wrong[:20])


def _help(act: Callable[[Points, object], object], items: list[object], report: int) -> None:
    mine = Points()
    try:
        processes.become_subreaper()
        for item in items:
            act(mine, item)
    except BaseException:
        mine.wrong.append(traceback.format_exc())
    finally:
        os.pwrite(report, json.dumps([mine.count, mine.wrong]).encode(), 0)
        os._exit(0)


def word_of(text: str | None) -> str | None:
    """The identity of the job with this text."""
    lines = (text or "").split("\n", 2)
    return lines[1].removeprefix("# job ") if len(lines) > 1 and lines[1].startswith("# job ") else None


def places(tree: Tree) -> dict[str, list[str]]:
    """Word → where jobs of that word lie; limbo/ is no place."""
    found: dict[str, list[str]] = {}
    for path, text in tree.items():
        word = word_of(text)
        if word and _is_place(path):
            found.setdefault(word, []).append(path)
    return found


def _is_place(path: str) -> bool:
    parts = path.split("/")
    if any(part.startswith(".") for part in parts):
        return False
    if parts[0] == "workers":
        return len(parts) in (4, 5) and (parts[2] == layout.CLAIMS or parts[2].startswith(layout.RECOVERING))
    if parts[0] in states.QUEUES:
        return len(parts) in (2, 3)
    return parts[0] in (states.COMPLETED, states.FAILED) and len(parts) == 2


def one_place(tree: Tree, words: Iterable[str], gone: Iterable[str] = ()) -> list[str]:
    """Invariant 1: each submitted job is in exactly one place; those in `gone` may be in none."""
    found = places(tree)
    return [f"job {word} is in {found.get(word, 'no place')}" for word in words
            if len(found.get(word, ())) != 1 and not (word in gone and word not in found)]


def nothing_lost(tree: Tree, before: Tree) -> list[str]:
    """Invariant 2: every text of a file that was there `before` is somewhere still; journals and notes apart."""
    return [f"a file was lost: {text!r}" for text in _texts(before) - _texts(tree)]


def _texts(tree: Tree) -> Counter:
    return Counter(text for path, text in tree.items() if text and not text.startswith("-> ")
                   and not path.startswith("notes/") and not path.endswith(("/journal", "/log")))


def untouched(tree: Tree, before: Tree, mine: Iterable[str]) -> list[str]:
    """What belongs to others is where it was; `mine` are the paths that may have changed."""
    mine = set(mine)
    return [f"{path} was {text!r} and is {tree.get(path)!r}" for path, text in before.items()
            if text is not None and path not in mine and tree.get(path) != text]


def links(tree: Tree, bad: Iterable[str]) -> list[str]:
    """Invariant 6: a job in completed/ is linked in failed/ if it ended badly (`bad`, words) and only then."""
    bad, wrong = set(bad), []
    for path, text in tree.items():
        word = word_of(text)
        if path.startswith("completed/") and word:
            link = tree.get("failed/" + path[len("completed/"):])
            if link is not None and not link.startswith("-> "):
                wrong.append(f"{path} and the file in failed/ are two jobs of one final name")
            elif (link is not None) != (word in bad):
                wrong.append(f"{path}, job {word}, ended {'badly' if word in bad else 'well'} and says otherwise")
    return wrong


def no_link_is_a_job(tree: Tree) -> list[str]:
    """A symbolic link under a job's own name in a queue could be claimed, and a job be renamed over it."""
    return [f"{path} is a link" for path, text in tree.items() if (text or "").startswith("-> ")
            and path.split("/")[0] in states.QUEUES and not path.split("/")[-1].startswith(".")]


def leftovers(tree: Tree, others: Iterable[str] = ()) -> list[str]:
    """What recovery mends and has left; reservations whose text is in `others` belong to the living."""
    others = set(others)
    return [line for path, text in tree.items() if text is not None or path.startswith("workers/")
            for line in _leftover(tree, path, path.split("/"), text or "", others)]


def _leftover(tree: Tree, path: str, parts: list[str], text: str, others: set[str]) -> list[str]:
    is_link = text.startswith("-> ")
    if is_link and text[3:].startswith(reservation.PREFIX) and text[3:] not in others:
        return [f"a reservation is left: {path} {text}"]
    if parts[0] in ("limbo", "claimed") or parts[-1].startswith(layout.PROBE):
        return [f"{path} {text} is left"]
    if parts[0] == "failed" and is_link and "completed/" + parts[-1] not in tree:
        return [f"{path} dangles"]
    if parts[0] == "workers" and len(parts) > 2 and _is_work(parts[2]):
        return [f"{path} is left of a worker that is gone"]
    return []


def _is_work(name: str) -> bool:
    return name in (layout.CLAIMS, "scratch") or name.startswith(layout.RECOVERING)
