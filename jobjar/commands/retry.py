"""`jobjar retry`: have jobs run again that have ended."""

import sys

from jobjar import changing, ends, layout, retrying, selection, states
from jobjar.errors import NoSuchJob, UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "retry"
HELP = "run jobs again that have ended"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.usage = "[--home DIR] (JOB ... | --failed [--pattern GLOB])"
    parser.add_argument("--failed", action="store_true", help="all that have failed, and were not cancelled")
    parser.add_argument("--pattern", metavar="GLOB", help="of those, the ones whose ids are like this")
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=selection.HELP)


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none; of
    all that have failed there may be none."""
    if options.failed == bool(options.jobs) or options.pattern is not None and not options.failed:
        raise UsageError("say which jobs: either by their ids, or with --failed and perhaps --pattern")
    jar = layout.open_jar(settings.home, settings.worker_home)
    change = changing.printing(jar, settings.node)
    retrying.retry(change, _failed(jar, options.pattern) if options.failed
                   else changing.find(jar, options.jobs, (states.COMPLETED, states.FAILED)))
    return 1 if change.left else 0


def _failed(jar: layout.Jar, pattern: str | None) -> list[layout.Place]:
    found = ends.failed(jar, "*" if pattern is None else pattern)
    if not found and pattern is not None:
        raise NoSuchJob(f"no job that has failed has an id like {pattern!r}: `jobjar list --state=F` shows those that"
                        " have failed")
    if not found:
        print("jobjar retry: no job has failed", file=sys.stderr)
    return found
