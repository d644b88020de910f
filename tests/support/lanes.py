"""Several processes that share one run of the tests: each takes whole modules, until none is left.

As workers do with jobs: who makes the module's directory has it. What is marked `alone` is left for later.
"""

import json
import os
from collections.abc import Iterator

import pytest

KINDS = ("failed", "error", "passed", "skipped")


class Lane:
    """This process, as one of those that share the directory `meeting`, or as the one that runs what is left."""

    def __init__(self, meeting: str, is_last: bool) -> None:
        self.meeting, self.is_last = meeting, is_last
        self._mine: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What takes longest comes first, so that no process is left with it at the end."""
        items[:] = [item for item in items if bool(item.get_closest_marker("alone")) == self.is_last]
        ranks: dict[str, int] = {}
        for item in items:
            unit = _unit(item)
            ranks[unit] = min(ranks.get(unit, 2), _rank(item))
        items.sort(key=lambda item: ranks[_unit(item)])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what is this process's; None leaves what could not be collected to pytest."""
        if session.testsfailed:
            return None
        mine = (item for item in session.items if self.is_last or self._has(_unit(item)))
        item = next(mine, None)
        while item is not None:
            # What a test leaves standing for the next one depends on which that is, here.
            following = next(mine, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
        return True

    def _has(self, unit: str) -> bool:
        if unit not in self._mine:
            try:
                os.mkdir(os.path.join(self.meeting, unit))
                self._mine[unit] = True
            except FileExistsError:
                self._mine[unit] = False
        return self._mine[unit]


def report(meeting: str, stats: dict[str, list], skipped: list[str], figures: list) -> None:
    """Leave what this process has to say at its end for whoever adds it all up."""
    counts = {kind: len(found) for kind, found in stats.items() if kind in KINDS}
    with open(os.path.join(meeting, f"{os.getpid()}.json"), "w", encoding="utf-8") as file:
        json.dump([counts, skipped, figures], file)


def reports(meeting: str) -> Iterator[list]:
    """What they all have left: counts by kind, skipped tests with their reasons, figures."""
    for name in sorted(os.listdir(meeting)):
        if name.endswith(".json"):
            with open(os.path.join(meeting, name), encoding="utf-8") as file:
                yield json.load(file)


def _unit(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0].replace("/", ".")


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("cron"):
        return 0
    return 1 if item.get_closest_marker("slow") or "faults" in item.nodeid else 2
