"""`jobjar start-worker`: one worker on this node, in the background, and its name on stdout.

Categories on the command line replace JJ_CATEGORIES; with none, JJ_CATEGORIES count.
"""

import sys

from jobjar import jobname, layout, starting, supervision
from jobjar.config import Settings
from jobjar.errors import JobJarError
from jobjar.quantities import parse_duration

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "start-worker"
HELP = "start a worker on this node"
STRICT = False


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("categories", nargs="*", metavar="CATEGORY",
                        help="the categories to read, in this order, before uncategorized jobs (default JJ_CATEGORIES)")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground until the worker ends")
    parser.add_argument("--idle-exit", metavar="SECONDS", type=parse_duration,
                        help="end after so long without a job (default: never)")


def run(options: "Options", settings: Settings) -> int:
    """Start it; the exit status is 0 when it has registered (--foreground: when it has left in order)."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    drained = supervision.why_drained(jar, settings)
    if drained:
        raise JobJarError(drained)
    why = supervision.why_none(jar, settings)
    if why:
        print(f"{why}, so the new one ends at once", file=sys.stderr)
    categories = tuple(jobname.check_category(c) for c in options.categories)
    terms = starting.Terms(categories, options.idle_exit)
    if options.foreground:
        return starting.foreground(jar, settings, terms)
    print(starting.start(jar, settings, terms))
    return 0
