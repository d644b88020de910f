"""The census as people and programs read it.

Only what the census says is shown; each name is escaped for the terminal, and as it is in the JSON document, where
json escapes it (a byte b that is no UTF-8 is U+DC00 + b there, as Python has it).
"""

import os
import sys
from collections.abc import Iterator

from jobjar import census, orders, staff, states, text
from jobjar.census import Census
from jobjar.staff import Worker

# Of what needs a person, so many are shown; the others are counted. The JSON document has them all.
SHOWN = 10


def render(seen: Census) -> str:
    """The whole status as text: counts, workers, then what needs a person; ends with a newline."""
    sections = [_counts(seen), _workers(seen), *_attention(seen)]
    return "\n".join(section for section in sections if section)


def document(seen: Census) -> dict:
    """The whole status as one JSON document; times are seconds since the epoch."""
    return {
        "now": seen.now,
        "jobs": [{"state": job.state, "category": job.category, "name": job.name} for job in seen.jobs],
        "workers": [_worker_document(worker) for worker in seen.workers],
        "completed": list(seen.completed),
        "failed": [item._asdict() for item in seen.failed],
        "foreign": [item._asdict() for item in seen.foreign],
        "drafts": [item._asdict() for item in seen.drafts],
        "drains": seen.drains,
        "markers": list(seen.markers),
        "unread": [{"category": category, "jobs": count} for category, count in census.unread(seen).items()],
        "troubles": list(seen.troubles),
    }


def tell_reached(targets: list[str], reached: list[str]) -> None:
    """Print the workers that an order has reached, and a message for each target that has reached none."""
    for worker in reached:
        print(text.escape(worker))
    for target in orders.missed(targets, reached):
        said = "there is no worker" if target == orders.ALL else f"{text.escape(target)} has left already"
        print(said, file=sys.stderr)


def _worker_document(worker: Worker) -> dict:
    return {**worker._asdict(), "jobs": [{"category": job.category, "name": job.name} for job in worker.jobs]}


def _counts(seen: Census) -> str:
    bad = sum(item.ran for item in seen.failed)
    rows = [row for state in states.QUEUES for row in _queue_rows(seen, state)]
    rows.append(("claimed", "", sum(len(worker.jobs) for worker in seen.workers), ""))
    rows.append(("completed", "", len(seen.completed), f"{bad} ended badly" if bad else ""))
    never = len(seen.failed) - bad
    rows.append(("failed", "", len(seen.failed), f"{never} never ran to the end" if never else ""))
    return text.table(rows, ("STATE", "CATEGORY", "JOBS", "OF THESE"))


def _queue_rows(seen: Census, state: str) -> list[tuple]:
    counts = {}
    for job in seen.jobs:
        if job.state == state:
            counts[job.category] = counts.get(job.category, 0) + 1
    # A person who sees no line for a state does not know that it is empty.
    return [(state, _shown(category), count, "") for category, count in counts.items()] or [(state, "", 0, "")]


def _shown(category: str | None) -> str:
    # No category can begin with a dash.
    return category or "-"


def _workers(seen: Census) -> str:
    present = [_row(worker, seen.now) for worker in seen.workers if worker.state != staff.LEFT]
    left = len(seen.workers) - len(present)
    shown = "no worker is there: `start_worker` starts one\n"
    if present:
        shown = text.table(present, ("WORKER", "STATE", "JOB", "FOR", "LAST SEEN", "MARKERS", "CATEGORIES"))
    return shown + (f"and {left} that have left\n" if left else "")


def _row(worker: Worker, now: float) -> tuple:
    contact = "never" if worker.contact is None else text.age(now - worker.contact) + " ago"
    since = "" if worker.since is None else text.age(now - worker.since)
    return (worker.name, worker.state, " ".join(job.name for job in worker.jobs), since, contact,
            " ".join(worker.markers), " ".join(worker.categories))


def _attention(seen: Census) -> Iterator[str]:
    """What a person may want to do something about, one section for each kind."""
    yield _section("failed jobs, with what they printed in logs/",
                   [(item.name, item.reason) for item in seen.failed])
    yield _section("workers that claim nothing",
                   [(worker.name, f"{worker.state}: {worker.reason}") for worker in seen.workers if worker.reason])
    yield _section("stranded workers, whose jobs `recover_stranded` brings back on their node",
                   _in_state(seen, staff.STRANDED, staff.FENCED))
    yield _section("workers that cannot be judged from here and have not been heard of lately",
                   _in_state(seen, staff.UNKNOWN))
    yield _section("files that will never be claimed",
                   [(os.path.join(item.state, item.category or "", item.name), item.reason) for item in seen.foreign])
    yield _section("categories with jobs that no live worker reads",
                   [(_shown(category), f"{count} waiting") for category, count in census.unread(seen).items()])
    yield _section("drained nodes, free again with `jobjar undrain NODE`", list(seen.drains.items()))
    yield _section("markers for all workers, also new ones, until somebody removes them",
                   [(marker,) for marker in seen.markers])
    yield _section("files that have been in limbo/ for more than an hour",
                   [(draft.name, text.age(seen.now - draft.since)) for draft in seen.drafts])
    yield _section("not everything could be looked at", [(trouble,) for trouble in seen.troubles])


def _in_state(seen: Census, *wanted: str) -> list[tuple]:
    return [(worker.name, f"{worker.state}, jobs: {len(worker.jobs)}, last seen {_row(worker, seen.now)[4]}")
            for worker in seen.workers if worker.state in wanted]


def _section(title: str, rows: list[tuple]) -> str:
    if not rows:
        return ""
    lines = text.columns(rows[:SHOWN]).splitlines()
    if len(rows) > SHOWN:
        lines.append(f"… and {len(rows) - SHOWN} more")
    return f"{title} ({len(rows)}):\n" + "".join(f"  {line}\n" for line in lines)
