"""What a campaign has measured: printed at its end, and kept on a page of docs/ when that is asked for.

A figure belongs to one test and is one plain line. The short form of a test, in `make test`, prints its figures too,
but only those of the full form, `make faults`, are published.
"""

import os
import platform
import re
import time

from support import jars, processes

# The seed of a run that names none: the short form strikes at the same places every time.
SEED = 20261121
PAGE = os.path.join(processes.TOP, "docs", "reliability.md")


class Figures:
    """The figures of one run of the tests, in the order in which they came."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        self.lines: dict[str, list[str]] = {}
        self._points: dict[str, list[int]] = {}
        self._began = time.monotonic()

    def add(self, test: str, line: str) -> None:
        """One more line about a test."""
        self.lines.setdefault(test, []).append(line)

    def add_points(self, test: str, count: int, violations: int) -> None:
        """Points at which a test has struck, added to those of its other parameters."""
        total = self._points.setdefault(test, [0, 0])
        total[0] += count
        total[1] += violations
        self.lines.setdefault(test, [])

    def dump(self) -> list:
        """All of them, for `merge` in another process."""
        return [self.lines, self._points]

    def merge(self, dumped: list) -> None:
        """Add those of another process."""
        lines, points = dumped
        for test, found in lines.items():
            self.lines.setdefault(test, []).extend(found)
        for test, (count, violations) in points.items():
            self.add_points(test, count, violations)

    def text(self) -> list[str]:
        """All of them, a line each."""
        found = [f"{test}: {line}" for test in self.lines for line in self._of(test)]
        if self._points:
            count, violations = (sum(column) for column in zip(*self._points.values()))
            found.append(f"all points: {count}, {violations} violations")
        return found

    def _of(self, test: str) -> list[str]:
        struck = self._points.get(test)
        return [*([f"{struck[0]} points, {struck[1]} violations"] if struck else []), *self.lines[test]]

    def table(self) -> str:
        """As a table of the page, under a sentence that says where they were measured."""
        rows = "".join(f"| `{test}` | {'; '.join(self._of(test))} |\n" for test in sorted(self.lines))
        return f"{self.circumstances()}\n\n| test | figures |\n|---|---|\n{rows}"

    def circumstances(self) -> str:
        """The seed and the machine."""
        minutes = (time.monotonic() - self._began) / 60
        return (f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())}, seed {self.seed}, {minutes:.0f} minutes on"
                f" {len(os.sched_getaffinity(0))} cores: Linux {platform.release()}, Python {platform.python_version()},"
                f" jars on {file_system('/tmp')} and, by the thousand, on {file_system(jars.FAST)}.")


def publish(text: str, path: str = PAGE, maker: str = "make faults") -> None:
    """Replace the figures of a page, made by that command, by these."""
    block = re.compile(rf"(<!-- figures: made by {maker} -->\n).*?(<!-- /figures -->)", re.S)
    page = jars.read(path)
    assert block.search(page), f"{path} has no place for figures"
    draft = path + ".new"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(block.sub(lambda found: found[1] + text + found[2], page))
    os.rename(draft, path)


def file_system(path: str) -> str:
    """The type of the file system that `path` lies on."""
    path, best = os.path.realpath(path), ("", "an unknown file system")
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, point, kind, *_ = line.split()
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
                best = point, kind
    return best[1]
