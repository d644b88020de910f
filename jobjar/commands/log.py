"""`jobjar log`: what jobs have printed so far, and with -f what they go on to print."""

import os
import sys
import time

from jobjar import ends, gone, layout, selection, states, text
from jobjar.following import Follower
from jobjar.job import Job
from jobjar.printing import OutputError
from jobjar.watch import Alarm

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "log"
HELP = "print what jobs have printed"
# Seconds between two looks, which grow from the first to the second.
SHORTEST, LONGEST = 0.02, 0.5


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on while they run, and wait for those that have"
                        " not begun")
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)


def run(options: "Options", settings: "Settings") -> int:
    """Print it, and why a job has never been run to its end; the exit status is 0, however the jobs have ended."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    jobs = [Job(jar, place) for place in gone.find(jar, options.jobs)]
    followers = [Follower(jar, job) for job in jobs]
    printer = Printer(len(followers) > 1)
    for follower in followers:
        printer.copy(follower)
        for path in follower.earlier():
            print(f"{text.escape(follower.job.id)}: what an earlier attempt printed is in {text.escape(path)}",
                  file=sys.stderr)
    if options.follow:
        follow(followers, printer)
    for job in jobs:
        place = job.place
        if place is not None and place.state == states.FAILED:
            print(f"{text.escape(job.id)}: {job.state}: {text.escape(ends.why_never(jar, job.name))}",
                  file=sys.stderr)
    return 0


def follow(followers: list[Follower], printer: "Printer") -> None:
    """Print what the jobs go on to print, until all have ended."""
    alarm, pause = Alarm(), SHORTEST
    while True:
        # Armed before the looks, so that nothing can slip in between.
        for follower in followers:
            follower.arm(alarm)
        moved = sum(printer.copy(follower) for follower in followers)
        followers = [follower for follower in followers if not follower.has_ended]
        if not followers:
            return
        pause = SHORTEST if moved else min(pause * 1.5, LONGEST)
        # Where others print and end one after the other, each of them would wake this one.
        time.sleep(SHORTEST)
        alarm.sleep(pause)


class Printer:
    """Prints on standard output, with a heading wherever another of several jobs begins."""

    def __init__(self, has_headings: bool) -> None:
        self._has_headings = has_headings
        self._last: Follower | None = None

    def copy(self, follower: Follower) -> int:
        """Print what is new of one job; how many bytes that was."""
        sys.stdout.flush()
        try:
            return follower.copy(sys.stdout.fileno(), lambda: self._head(follower))
        except OSError as error:
            # What a file of the jar is the matter with has its name.
            raise error if error.filename else OutputError(error) from None

    def _head(self, follower: Follower) -> None:
        if self._has_headings and self._last is not follower:
            gap = "\n" if self._last else ""
            os.write(sys.stdout.fileno(), f"{gap}==> {text.escape(follower.job.id)} <==\n".encode())
        self._last = follower
