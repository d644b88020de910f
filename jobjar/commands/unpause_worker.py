"""`jobjar unpause-worker`: let paused workers go on.

It removes PAUSE from the workers' directories; a worker that was not paused is none the worse for it.
"""

from jobjar import layout, orders, status
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "unpause-worker"
HELP = "let paused workers go on"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="all, NODE or NODE.PID")


def run(options: "Options", settings: Settings) -> int:
    """Print the workers that may go on; the exit status is 0. NoSuchJob when a target names none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    status.tell_reached(options.targets, orders.unpause(jar, options.targets))
    return 0
