"""`jobjar pause-worker`: ask workers to sleep after the job that they run.

It makes PAUSE in the directory of each worker that is there now; workers that start later are not paused.
"""

from jobjar import layout, orders, status
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "pause-worker"
HELP = "pause workers after the job that they run"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="all, NODE or NODE.PID")


def run(options: "Options", settings: Settings) -> int:
    """Print the workers that will sleep; the exit status is 0. NoSuchJob when a target names none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    status.tell_reached(options.targets, orders.pause(jar, options.targets))
    return 0
