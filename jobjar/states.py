"""The life of a job, and nothing else.

A job is one file. The directory that holds the file is the state of the job; to change the state is to rename the
file. Every legal rename is a row of EVENTS, and no other module decides what is legal. Rules for this file: all that
decides legality lives here, as data; it knows no paths, no clock and no process. docs/PROTOCOL.md shows the table,
a test compares the two, and `moves` has one function per row.
"""

from jobjar.errors import UsageError

LIMBO = "limbo"
UNCLAIMED = "unclaimed"
HELD = "held"
WAITING = "waiting"
CLAIMS = "claims"
COMPLETED = "completed"
FAILED = "failed"
GONE = "gone"

# The states in which a job waits for its turn; their directories have categories.
QUEUES = (UNCLAIMED, HELD, WAITING)
# Those of a job that has not ended.
UNFINISHED = (*QUEUES, CLAIMS)


class Event:
    """A row of the table: an event takes a job from one of its sources to one of its targets."""

    def __init__(self, name: str, sources: tuple[str, ...], targets: tuple[str, ...], actor: str, when: str) -> None:
        self.name, self.sources, self.targets = name, sources, targets
        self.actor, self.when = actor, when


_OWNER = "owner or operator"
_WORKER = "that worker"
_RECOVERY = "recovery on the same node, or a person who vouches"

EVENTS = (
    Event("submit", (LIMBO,), (UNCLAIMED,), "submitter", "the job is complete and may run"),
    Event("defer", (LIMBO,), (WAITING,), "submitter", "it waits for other jobs or for a time"),
    Event("submit_held", (LIMBO,), (HELD,), "submitter", "it waits for a person"),
    Event("rescue", (LIMBO,), (HELD,), "a person who has the jar repaired",
          "it was caught in limbo/ when the withdrawal of a reservation was interrupted"),
    Event("hold", (UNCLAIMED, WAITING), (HELD,), _OWNER + "; who ends a task badly",
          "a person wants it to wait; too many of its array have failed"),
    Event("release", (HELD,), (UNCLAIMED, WAITING), _OWNER, "a person lets it go"),
    Event("alter", QUEUES, QUEUES, _OWNER, "priority or category change, within the same directory; "
          "for a change of content the job is taken into held/ and put back"),
    Event("ready", (WAITING,), (UNCLAIMED,), "who ends the last prerequisite, idle workers, recovery",
          "nothing is left to wait for"),
    Event("doom", (WAITING,), (FAILED,), "who ends the last prerequisite, idle workers, recovery",
          "what it waits for can never come"),
    Event("cancel", QUEUES, (FAILED,), _OWNER, "a person does not want it any more"),
    Event("claim", (UNCLAIMED,), (CLAIMS,), _WORKER, "the rename decides whose it is"),
    Event("refuse", (CLAIMS,), (FAILED,), _WORKER, "it cannot be run: untrusted file, exec refused"),
    Event("complete", (CLAIMS,), (COMPLETED,), _WORKER + ", or who recovers it",
          "it ended, however: exit, signal, cancelled while running, out of time or memory"),
    Event("requeue", (CLAIMS,), QUEUES, _WORKER + ", or who recovers it",
          "retry after failure, node fault, told to quit now"),
    Event("recover", (CLAIMS,), (UNCLAIMED,), _RECOVERY, "its worker died; the attempt has been counted"),
    Event("give_up", (CLAIMS,), (FAILED,), _RECOVERY, "its worker died once too often"),
    Event("retry", (COMPLETED, FAILED), (UNCLAIMED, WAITING), _OWNER, "a person wants it run again"),
    Event("clean", (COMPLETED, FAILED), (GONE,), _OWNER, "its record is in the archive"),
)

BY_NAME = {event.name: event for event in EVENTS}


def require(event: str, source: str, target: str) -> None:
    """Raise UsageError unless `event` may take a job from state `source` to state `target`."""
    row = BY_NAME[event]
    if source not in row.sources or target not in row.targets:
        raise UsageError(f"{event.replace('_', ' ')} cannot take a job from {source}/ to {target}/:"
                         f" it goes from {_list(row.sources)} to {_list(row.targets)}")
    if event == "alter" and source != target:
        raise UsageError(f"alter keeps a job in its directory: {source}/ is not {target}/")


def table() -> str:
    """The table of EVENTS as the Markdown that docs/PROTOCOL.md shows."""
    lines = ["| event | from | to | who | when |", "|---|---|---|---|---|"]
    lines += [f"| {e.name} | {_list(e.sources)} | {_list(e.targets)} | {e.actor} | {e.when} |" for e in EVENTS]
    return "\n".join(lines) + "\n"


def _list(states: tuple[str, ...]) -> str:
    return ", ".join(states)
