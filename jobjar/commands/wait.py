"""`jobjar wait`: until jobs have ended; how, its exit status says."""

import sys
import time

from jobjar import awaiting, layout, selection, text
from jobjar.awaiting import Awaited
from jobjar.job import COMPLETED
from jobjar.quantities import parse_duration

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "wait"
HELP = "wait until jobs have ended"
TIME_IS_UP = 124
# Of the jobs that ended badly, so many are named.
SHOWN = 10
# How often it says how far it has come: on a terminal, and elsewhere, s.
EVERY, EVERY_IN_LOGS = 1.0, 60.0


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=f"{selection.HELP}; an array's id is all its tasks")
    parser.add_argument("--timeout", metavar="TIME", type=parse_duration, help="give up after so long, with exit status"
                        " 124")
    parser.add_argument("--any", action="store_true", help="wait only until one of them has ended, and print its id")
    parser.add_argument("--return", action="store_true", help="exit with the job's own status, of several jobs the"
                        " highest")


def run(options: "Options", settings: "Settings") -> int:
    """Wait; the exit status is 0 when all have ended well, 1 when one has not, 124 when the time is up."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    jobs, gone = awaiting.find(jar, options.jobs)
    awaited = Awaited(jar, jobs)
    progress = Progress(awaited)
    try:
        is_over = bool(options.any and gone) or awaited.wait(options.timeout, options.any, progress.tell)
    finally:
        progress.clear()
    awaited.explain()
    awaiting.resync_after([ended.job for ended in awaited.ended])
    if not is_over:
        print(f"the time is up: {awaited.progress()}", file=sys.stderr)
        return TIME_IS_UP
    ended = gone + awaited.ended
    if options.any:
        print("".join(f"{text.escape(one.job.id)}\n" for one in ended), end="")
    tell_bad(ended)
    return status_of(ended, getattr(options, "return"))


def status_of(ended: list[awaiting.Ended], own: bool) -> int:
    """The exit status for jobs that ended so: 0 or 1, or the highest that a job had of its `own`."""
    bad = [one for one in ended if one.state != COMPLETED]
    if not bad:
        return 0
    # Of a job that never ran, or whose end line is lost, nobody knows more than that it has not ended well.
    return max(one.status or 1 for one in bad) if own else 1


def tell_bad(ended: list[awaiting.Ended]) -> None:
    """Say on standard error which jobs have not ended well."""
    bad = [one for one in ended if one.state != COMPLETED]
    for one in bad[:SHOWN]:
        how = "" if one.status is None else f", exit status {one.status}"
        print(f"{text.escape(one.job.id)}: {one.state}{how}", file=sys.stderr)
    if len(bad) > SHOWN:
        print(f"… and {len(bad) - SHOWN} more that have not ended well", file=sys.stderr)


class Progress:
    """Says on standard error how far many jobs have come: on a terminal in a line that is written over."""

    def __init__(self, awaited: Awaited) -> None:
        self._awaited = awaited
        self._is_terminal = sys.stderr.isatty()
        self._every = EVERY if self._is_terminal else EVERY_IN_LOGS
        self._due = time.monotonic() + self._every

    def tell(self) -> None:
        """Say it if it is time."""
        if self._awaited.total > 1 and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            said = self._awaited.progress()
            print(f"\r{said}\x1b[K" if self._is_terminal else said, end="" if self._is_terminal else "\n",
                  file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._is_terminal and self._awaited.total > 1:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
