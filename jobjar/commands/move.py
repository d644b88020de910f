"""`jobjar move`: put jobs that have not begun into another category."""

from jobjar import changing, jobname, layout, selection, states
from jobjar.errors import UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "move"
HELP = "put jobs into another category"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.usage = "[--home DIR] JOB ... (--category CATEGORY | --uncategorized)"
    parser.add_argument("-c", "--category", type=jobname.check_category, help="the category")
    parser.add_argument("--uncategorized", action="store_true", help="out of any category")
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    if options.uncategorized == (options.category is not None):
        raise UsageError("say where the jobs are to go: with either --category CATEGORY or --uncategorized")
    jar = layout.open_jar(settings.home, settings.worker_home)
    change = changing.printing(jar, settings.node)
    changing.alter(change, changing.find(jar, options.jobs, states.UNFINISHED), category=options.category)
    return 1 if change.left else 0
