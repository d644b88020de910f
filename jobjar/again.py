"""Whether a job that has ended badly is to be repeated, when, and where rather not."""

import time
from collections import namedtuple

from jobjar import fslook, notes, staff
from jobjar.directives import Request
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from jobjar.staff import Worker

# For so many seconds the node on which it has failed leaves it to workers of others, even if none of them is free. For
# as long a look at them holds; and so long one may need to take it when it has woken up.
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


class Others:
    """The workers of other nodes, as one worker sees them."""

    def __init__(self, jar: Jar, me: Identity, longest: float) -> None:
        """`longest`: for how many seconds a worker that waits for jobs may sleep."""
        self.jar, self._me, self._longest = jar, me, longest + FOR_OTHERS
        self._seen: list[Worker] = []
        self._looked_at = float("-inf")

    def leave(self, place: Place, server_now: float) -> float:
        """For how many seconds to leave the job to them, since it has failed on this node; then ask again."""
        if not notes.has(self.jar, place.name):
            return 0.0
        counted = notes.tally(self.jar, place.name, place.category).requeues.values()
        last = max((line for line in counted if line.get("counts")), key=lambda line: line["t"], default={})
        if last.get("node") != self._me.node:
            return 0.0
        # By this node's own clock, which may have been set since.
        since = time.time() - max(last["t"], last.get("until") or 0.0)
        if abs(since) >= self._longest:
            return 0.0
        # The time of a note is rounded, so it may lie ahead.
        return max(0.0, min(FOR_OTHERS, self._patience(place.category, server_now) - max(0.0, since)))

    def _patience(self, category: str | None, server_now: float) -> float:
        """How long after its failure a job of this category is left to them."""
        if time.monotonic() - self._looked_at >= FOR_OTHERS:
            self._seen = [worker for worker in staff.look(self.jar, self._me, set(fslook.names(self.jar.workers)),
                                                          server_now, []) if worker.node != self._me.node]
            self._looked_at = time.monotonic()
        if any(worker.state == staff.IDLE and category in (None, worker.node, *worker.categories)
               for worker in self._seen):
            # NFS: no inotify wakes it up, so it comes when it has slept.
            return self._longest
        # One that has a job may soon have none.
        return FOR_OTHERS if any(worker.state in staff.LIVE for worker in self._seen) else 0.0
