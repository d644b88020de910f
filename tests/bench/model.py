"""What a jar asks of its file server in a second: a function of nodes, workers, length of jobs and depth of the queue.

Operations are requests; a listing is its answers and, for its names, as many operations more as the server could have
served meanwhile. Measured costs stand at the top; `python tests/bench/model.py` writes the table into docs/scale.md.
"""

import os
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this directory: its modules are those of `bench`.
sys.path[:1] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

from bench.world import NAMES_PER_ANSWER, NAMES_PER_OPERATION  # noqa: E402
from support import figures, processes  # noqa: E402

# Requests on NFSv4 (`make bench BENCH=network`): for a silent job of 0.1 s or more, its run included; for a look of an
# idle worker, with its beat; for a look beside a job.
JOB, IDLE_LOOK, LOOK = 17, 9.4, 3
# What a node needs for one name of a listing, s; and of its time looking for reservations takes one part in so many.
NAME_TIME, PART = 12e-6, 1000
# Of so many attempts one is lost, in balance.
LOST = 7
# Seconds between the looks of an idle worker, beside a job, and of cron at workers and at what the dead have left.
PAUSE, ORDERS, CHECK, RECOVER = 60, 5, 60, 300

# `busy`: the share of the workers that have a job; `waiting`: in unclaimed/; `completed`: in completed/; `changes`: of
# workers/ in a minute, by workers that come.
Case = namedtuple("Case", "nodes per_node length waiting categories completed changes busy",
                  defaults=(1, 100_000, 1, 0.9))
CASES = [Case(10, 10, 36, 1000), Case(100, 10, 36, 10_000), Case(100, 10, 600, 100_000), Case(100, 100, 36, 10_000),
         Case(100, 100, 36, 100_000, 16), Case(1000, 1, 36, 10_000), Case(1000, 10, 36, 10_000, 16),
         Case(10_000, 1, 36, 10_000), Case(10_000, 1, 36, 10_000, 16), Case(10_000, 1, 600, 100_000, 16),
         Case(10_000, 10, 360, 10_000, 16)]
KINDS = ("jobs", "lost attempts", "listings", "beside jobs", "idle", "workers/", "recovery")
HEADINGS = ("nodes", "workers", "job", "waiting", "queues", "jobs an hour", *KINDS, "all")


def listing(names: float) -> float:
    """Operations for the listing of a directory with so many names."""
    return 1 + names / NAMES_PER_ANSWER + names / NAMES_PER_OPERATION


def claims(case: Case) -> float:
    """Jobs that are claimed in a second, if nothing stands in the way."""
    return case.busy * case.nodes * case.per_node / case.length


def operations(case: Case) -> dict[str, float]:
    """Operations in a second, by KINDS."""
    workers, rate = case.nodes * case.per_node, claims(case)
    # Who runs a job of more than a second lists the queue before the next one; others do so each second.
    lists = min(rate, workers * case.busy)
    # A change is seen at the next look, and what one worker of a node has listed its kernel shows to the others.
    seen = min(case.changes, 60 / ORDERS) / 60 * case.nodes * listing(workers)
    checks = case.nodes / CHECK * (1 + min(1, case.changes) * listing(workers) + 4 * case.per_node)
    pause = max(RECOVER, PART * NAME_TIME * (2 * case.completed + case.waiting))
    sweeps = case.nodes * (10 / RECOVER + (2 * listing(case.completed) + listing(case.waiting)) / pause)
    return {"jobs": rate * JOB, "lost attempts": rate / (LOST - 1),
            "listings": lists * listing(case.waiting / case.categories),
            "beside jobs": case.busy * workers * (LOOK / ORDERS + 1 / 60),
            "idle": (1 - case.busy) * workers * IDLE_LOOK / PAUSE, "workers/": seen + checks, "recovery": sweeps}


def table(cases: list[Case]) -> str:
    """Rows for a page."""
    lines = [HEADINGS, ("---",) * len(HEADINGS)]
    for case in cases:
        found = operations(case)
        lines.append((f"{case.nodes:,}", f"{case.nodes * case.per_node:,}", f"{case.length} s", f"{case.waiting:,}",
                      f"{case.categories}", f"{round(claims(case) * 3600, -2):,.0f}",
                      *(f"{found[kind]:,.0f}" for kind in KINDS), f"{sum(found.values()):,.0f}"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    figures.publish(table(CASES) + "\n", os.path.join(processes.TOP, "docs", "scale.md"), "tests/bench/model.py")
