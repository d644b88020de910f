"""`jobjar undrain`: let workers work and start on a drained node again.

It removes the marker DRAIN.NODE.
"""

from jobjar import layout, orders
from jobjar.config import Settings
from jobjar.errors import NoSuchJob

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "undrain"
HELP = "let workers work on a drained node again"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("node", metavar="NODE", help="the node, as `jobjar status` shows it")


def run(options: "Options", settings: Settings) -> int:
    """Undrain the node; the exit status is 0. NoSuchJob when it was not drained."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    if not orders.undrain(jar, options.node):
        raise NoSuchJob(f"{options.node!r} is not drained: `jobjar status` shows the nodes that are")
    return 0
