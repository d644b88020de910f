"""Several processes that share one run of the tests: each takes whole modules, until none is left.

As workers do with jobs: who makes the module's directory has it. Modules that need what this node has only once share
one directory, so they run one after the other in one process.
"""

import json
import os

import pytest


class Lane:
    """This process, as one of those that share the directory `meeting`."""

    def __init__(self, meeting: str) -> None:
        self.meeting = meeting
        self._mine: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What takes longest comes first, so that no process is left with it at the end."""
        ranks: dict[str, int] = {}
        for item in items:
            unit = _unit(item)
            ranks[unit] = min(ranks.get(unit, 2), _rank(item))
        items.sort(key=lambda item: ranks[_unit(item)])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """True, which says that it has been run, of what is another's."""
        return None if self._has(_unit(item)) else True

    def _has(self, unit: str) -> bool:
        if unit not in self._mine:
            try:
                os.mkdir(os.path.join(self.meeting, unit))
                self._mine[unit] = True
            except FileExistsError:
                self._mine[unit] = False
        return self._mine[unit]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Leave the counts for whoever adds them up."""
        counts = {kind: len(found) for kind, found in terminalreporter.stats.items()
                  if kind in ("passed", "failed", "error", "skipped")}
        with open(os.path.join(self.meeting, f"{os.getpid()}.json"), "w", encoding="utf-8") as file:
            json.dump(counts, file)


def _unit(item: pytest.Item) -> str:
    return "node_lock" if item.get_closest_marker("node_lock") else item.nodeid.partition("::")[0].replace("/", ".")


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("cron"):
        return 0
    return 1 if item.get_closest_marker("slow") or item.get_closest_marker("node_lock") else 2
