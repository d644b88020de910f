"""What was measured: rows of a table, as text, Markdown and JSON.

A row counts by its ratios to a yardstick that ran in turn with it: what else the machine does strikes both alike. A
row without a yardstick counts by the median of what was measured.
"""

import statistics
from collections import namedtuple
from collections.abc import Callable, Sequence

# What is asked of a row's ratio, or of its median where it has no yardstick: `sign` is ">=" or "<=".
Goal = namedtuple("Goal", "sign number")
SIGNS = {">=": "≥", "<=": "≤"}
HEADINGS = ("section", "what", "Job Jar", "yardstick", "ratio", "goal", "reached")


class Row:
    """One figure: `ours` and `base`, if there is one, were measured in the same rounds."""

    def __init__(self, section: str, what: str, unit: str, ours: Sequence[float], yardstick: str = "",
                 base: Sequence[float] = (), goal: Goal | None = None) -> None:
        self.section, self.what, self.unit = section, what, unit
        self.ours, self.yardstick, self.base, self.goal = list(ours), yardstick, list(base), goal

    def ratios(self) -> list[float]:
        """What each round has of its yardstick; empty without one."""
        return [one / other for one, other in zip(self.ours, self.base)]

    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None when there is none."""
        if self.goal is None:
            return None
        found = statistics.median(self.ratios() or self.ours)
        return found >= self.goal.number if self.goal.sign == ">=" else found <= self.goal.number

    def cells(self) -> tuple[str, ...]:
        """The row as texts, in the order of HEADINGS."""
        ratios = self.ratios()
        goal = f"{SIGNS[self.goal.sign]} {self.goal.number:g}{'' if ratios else ' ' + self.unit}" if self.goal else ""
        base = f"{self.yardstick}: {_spread(self.base)} {self.unit}" if ratios else ""
        return (self.section, self.what, f"{_spread(self.ours)} {self.unit}", base, _spread(ratios) if ratios else "",
                goal, {None: "", True: "yes", False: "no"}[self.is_reached()])

    def document(self) -> dict[str, object]:
        """The row for JSON: all rounds, the median ratio, and the goal."""
        ratios = self.ratios()
        return {"section": self.section, "what": self.what, "unit": self.unit, "ours": self.ours,
                "yardstick": self.yardstick or None, "base": self.base, "ratios": ratios,
                "ratio": statistics.median(ratios) if ratios else None,
                "goal": f"{self.goal.sign} {self.goal.number:g}" if self.goal else None, "reached": self.is_reached()}


def in_turn(rounds: int, *acts: Callable[[], float]) -> list[list[float]]:
    """What each of these has measured, called in turn; the order turns round with every round."""
    found: list[list[float]] = [[] for _ in acts]
    for number in range(rounds):
        order = range(len(acts)) if number % 2 == 0 else reversed(range(len(acts)))
        for at in order:
            found[at].append(acts[at]())
    return found


def text(rows: Sequence[Row]) -> str:
    """A table for a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + "\n" for line in lines)


def markdown(rows: Sequence[Row]) -> str:
    """A table for a page."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _spread(values: Sequence[float]) -> str:
    """The median, and between which values it lies."""
    low, middle, high = (_short(value) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
