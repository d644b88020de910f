"""Whether a job that has ended badly is to be repeated, when, and where rather not."""

import time
from collections import namedtuple

from jobjar import notes, registration
from jobjar.directives import Request
from jobjar.layout import Jar, Place, split_worker

# For so many seconds the node on which it has failed leaves it to workers of others.
FOR_OTHERS = 5.0

# What notes say of an attempt that is repeated, besides which one it was.
SAID = ("state", "exit", "signal", "node", "why")

# `counts`: whether it is one of its --retries; `until`: when it may begin, in s since the epoch, or None: at once.
Again = namedtuple("Again", "counts until why")


def may_ask(asked: Request) -> bool:
    """Whether a job with this request is ever repeated because of how it has ended."""
    return "retries" in asked or "requeue_on" in asked


def decide(asked: Request, record: dict, counted: notes.Tally) -> Again | None:
    """How a job that has ended as `record`, the end line, says is to be repeated; None when it is not."""
    if record["state"] in ("COMPLETED", "CANCELLED") or "gone" in record or "no_requeue" in asked:
        return None
    until = round(time.time() + asked["retry_delay"], 3) if "retry_delay" in asked else None
    if record["state"] == "FAILED" and record["exit"] in asked.get("requeue_on", ()):
        return Again(False, until, f"its exit status {record['exit']} asks for it (--requeue-on)")
    number, limit = 1 + notes.retries(counted), asked.get("retries", 0)
    if number > limit:
        return None
    how = f"with exit status {record['exit']}" if not record["signal"] else f"by signal {record['signal']}"
    return Again(True, until, f"it ended as {record['state']}, {how}: retry {number} of {limit}")


def said(record: dict, how: Again) -> dict[str, object]:
    """What the note says of an attempt that has ended as `record` says and is to be repeated."""
    line = {key: record[key] for key in SAID if key in record} | {"counts": how.counts, "why": how.why}
    return {**line, "until": how.until} if how.until else line


def why_cancelled(line: dict) -> str:
    """The reason why a job is not repeated that somebody has cancelled, as the note `line` has it."""
    return f"it was cancelled while it ran, by {line.get('who')}" + (f": {line['why']}" if line.get("why") else "")


def for_others(jar: Jar, place: Place, node: str) -> float:
    """For how many seconds a worker of `node` should leave the job to others, since it has failed there just now."""
    if not notes.has(jar, place.name):
        return 0.0
    failures = [line for line in notes.tally(jar, place.name, place.category).requeues.values() if line.get("counts")]
    last = max(failures, key=lambda line: line["t"], default={})
    if last.get("node") != node:
        return 0.0
    # By this node's own clock.
    rest = max(last["t"], last.get("until") or 0.0) + FOR_OTHERS - time.time()
    return min(rest, FOR_OTHERS) if rest > 0 and _are_others(jar, node) else 0.0


def _are_others(jar: Jar, node: str) -> bool:
    return any(split_worker(worker)[0] != node and registration.owns_jobs(jar, worker)
               for worker in registration.workers(jar))
