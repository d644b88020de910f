"""`make simulate`, or python tests/bench/simulate.py: up to 10,000 workers on one jar, on a simulated file server.

Without options the runs of docs/scale.md, which take some minutes; with options one run.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this directory: its modules are those of `bench`.
sys.path[:1] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

from bench import model  # noqa: E402
from bench.simulation import Plan, Simulation  # noqa: E402
from support import figures, processes  # noqa: E402

PAGE = os.path.join(processes.TOP, "docs", "scale.md")
# Seconds for which jobs come one by one.
STREAM = 300
# The server's time: headings of the table → what was asked for.
KINDS = {"attempts": ("attempts",), "listings": ("listings",), "looks": ("looks", "workers/", "beats"),
         "jobs": ("jobs", "registration"), "beside jobs": ("beside jobs",)}
HEADINGS = ("workers", "job", "categories", "load", "claims/s", "busy", "lost", "listings", "server", *KINDS,
            "wait", "moved", "urgent")


def main(words: list[str]) -> int:
    """Simulate what was asked for and print it."""
    asked = _parse(words)
    plans, found = _plans(asked), []
    with concurrent.futures.ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for report in pool.map(result, plans) if len(plans) > 1 else map(result, plans):
            print(f"{report['workers']} workers, {report['length']:g} s …", file=sys.stderr, flush=True)
            found.append(report)
    print(json.dumps(found, indent=2) if asked.json else table(found))
    if asked.publish:
        figures.publish(table(found) + "\n", PAGE, "make simulate")
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description="The project's own workers on one jar, on a simulated"
                                     " file server.")
    parser.add_argument("--workers", type=int, help="so many workers, and one run")
    parser.add_argument("--jobs", type=int, help="so many jobs in all (default: three for each worker, or more)")
    parser.add_argument("--length", type=float, help="seconds that a job runs on average (default 36)")
    parser.add_argument("--rtt", type=float, help="seconds to the server and back (default 0.0005)")
    parser.add_argument("--server-ops", type=float, help="operations that it does in a second (default 20000)")
    parser.add_argument("--categories", type=int, help="as many queues, each with its share of the workers (default 1)")
    parser.add_argument("--load", type=float, help="jobs come one by one, and keep this share of the workers busy"
                        " (default: all wait from the beginning)")
    parser.add_argument("--limit", type=int, help="events after which a run is cut short (default 2000000)")
    parser.add_argument("--seed", type=int, help="where chance begins (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON document with all figures")
    parser.add_argument("--quick", action="store_true", help="some runs of a few seconds")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/scale.md")
    return parser.parse_args(words)


def _plans(asked: argparse.Namespace) -> list[Plan]:
    given = {name: value for name in Plan._fields if (value := getattr(asked, name, None)) is not None}
    if asked.workers:
        return [plan(**given)]
    if asked.quick:
        runs = [(10, 1, 1, None), (100, 36, 1, None), (100, 36, 1, 0.8), (1000, 36, 16, None)]
    else:
        runs = [*itertools.product((10, 100, 1000, 10_000), (1, 36, 600), (1,), (None,)),
                *itertools.product((1000, 10_000), (1, 36, 600), (16,), (None,)),
                *itertools.product((100, 1000, 10_000), (36,), (1, 16), (0.8,))]
    return [plan(workers, length=length, categories=categories, load=load, **given)
            for workers, length, categories, load in runs]


def plan(workers: int, jobs: int = 0, length: float = 36.0, **more: object) -> Plan:
    """A run; without a number of `jobs` as many as show what happens when all workers have begun."""
    load = more.get("load")
    if not jobs:
        jobs = min(30_000, max(1000, 3 * workers, int(30 * workers / length))) if load is None \
            else int(STREAM * load * workers / length)
    return Plan(workers, jobs, length, **more)


def result(plan: Plan) -> dict[str, object]:
    """All figures of one run; times in s, shares of 1."""
    done = Simulation(plan).run()
    server, claims = done.server, len(done.claimed)
    lasted = server.event if plan.load is not None or done.events >= plan.limit else done.claimed[-1][0]
    ran = sum(max(0.0, min(ended, lasted) - began) for began, ended in done.runs)
    spent = {**server.time, "beside jobs": ran * model.LOOK / model.ORDERS * server.service}
    missed, listings = done.missed.total(), server.count["with names"]
    waits = [when - done.submitted[at][name] for when, at, name in done.claimed if name not in done.urgent]
    moved = displacements(done)
    hurried = [waited for waited in done.urgent.values() if waited is not None]
    return {**plan._asdict(), "claims": claims, "events": done.events, "is_cut_short": done.events >= plan.limit,
            "seconds": lasted, "claims_per_second": claims / lasted, "busy": ran / lasted / plan.workers,
            "missed": dict(done.missed), "lost": missed / max(1, missed + claims),
            "listings": listings, "listings_per_worker_minute": listings / plan.workers / lasted * 60,
            "server": {kind: sum(spent.get(name, 0.0) for name in names) / lasted for kind, names in KINDS.items()},
            "operations": dict(server.count),
            "wait": quantiles(waits, 0.5, 0.99), "moved": quantiles(moved, 0.5, 1.0),
            "urgent": quantiles(hurried, 0.5, 1.0), "urgent_left": len(done.urgent) - len(hurried)}


def displacements(done: Simulation) -> list[float]:
    """Between each job's place among the claims and among the submissions, in multiples of the workers that read its
    category; urgent ones apart."""
    readers, found = done.plan.workers / len(done.categories), []
    for at, submitted in enumerate(done.submitted):
        places = {name: place for place, name in enumerate(sorted(set(submitted) - set(done.urgent)))}
        order = [name for _, number, name in done.claimed if number == at and name in places]
        found += [abs(place - places[name]) / readers for place, name in enumerate(order)]
    return found


def quantiles(values: list[float], *shares: float) -> list[float]:
    """The values below which these shares of all lie; empty without any."""
    values = sorted(values)
    return [values[min(len(values) - 1, int(share * len(values)))] for share in shares] if values else []


def table(found: list[dict]) -> str:
    """Reports as rows for a page."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(report: dict) -> tuple[str, ...]:
    server, load = report["server"], report["load"]
    return (f"{report['workers']:,}", f"{report['length']:g} s", str(report["categories"]),
            "all at once" if load is None else f"{load:.0%}",
            _short(report["claims_per_second"]) + ("*" if report["is_cut_short"] else ""), f"{report['busy']:.0%}",
            f"{report['lost']:.0%}", _short(report["listings_per_worker_minute"]), f"{sum(server.values()):.0%}",
            *(f"{server[kind]:.0%}" for kind in KINDS), "" if load is None else _pair(report["wait"]),
            _pair(report["moved"]), _pair(report["urgent"]))


def _pair(values: list[float]) -> str:
    return " / ".join(map(_short, values)) or "none"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
