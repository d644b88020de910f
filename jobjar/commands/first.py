"""`jobjar first`: put jobs to the head of their categories, the first one named foremost."""

from jobjar import changing, layout, selection, states

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "first"
HELP = "put jobs to the head of their categories"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    change = changing.printing(jar, settings.node)
    changing.first(change, changing.find(jar, options.jobs, states.UNFINISHED))
    return 1 if change.left else 0
