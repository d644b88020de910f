"""`jobjar stop-worker`: ask workers to leave after the job that they run.

It makes STOP in the directory of each worker that is there now; workers that start later are not stopped.
"""

from jobjar import layout, orders, status
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "stop-worker"
HELP = "stop workers after the job that they run"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="all, NODE or NODE.PID")


def run(options: "Options", settings: Settings) -> int:
    """Print the workers that will leave; the exit status is 0. NoSuchJob when a target names none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    status.tell_reached(options.targets, orders.stop(jar, options.targets))
    return 0
