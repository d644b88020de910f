"""`jobjar hold`: keep jobs from beginning until they are released."""

from jobjar import changing, layout, parameters, selection, states

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "hold"
HELP = "keep jobs from beginning until they are released"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)
    parser.add_argument("--reason", metavar="TEXT", default="", type=parameters.line,
                        help="shown to whoever wonders why")


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    change = changing.printing(jar, settings.node)
    changing.hold(change, changing.find(jar, options.jobs, states.UNFINISHED), options.reason)
    return 1 if change.left else 0
