"""`jobjar cancel`: end jobs that run, and keep those that wait from running."""

from jobjar import cancelling, changing, layout, parameters

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "cancel"
HELP = "cancel jobs, whether they wait or run"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("jobs", nargs="+", metavar="JOB",
                        help="an id, a fragment of one, a glob, an array, ID_[1-10], last")
    parser.add_argument("--reason", metavar="TEXT", default="", type=parameters.line,
                        help="shown to whoever wonders why")


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    places = changing.find(jar, options.jobs, changing.UNFINISHED)
    change = changing.printing(jar, settings.node)
    cancelling.cancel(change, places, options.reason, settings.order_time)
    return 1 if change.left else 0
