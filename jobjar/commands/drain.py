"""`jobjar drain`: keep workers from working and starting on a node, for maintenance.

It makes the marker DRAIN.NODE, which counts until `jobjar undrain`, also for workers that start later.
"""

import sys

from jobjar import layout, orders, registration
from jobjar.config import Settings
from jobjar.text import escape

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "drain"
HELP = "keep workers off a node until it is undrained"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("node", metavar="NODE", help="the node, by its whole name")
    parser.add_argument("--reason", metavar="TEXT", default="", help="shown to whoever wonders why nothing runs there")


def run(options: "Options", settings: Settings) -> int:
    """Print the workers that will leave; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    workers = registration.workers(jar, options.node)
    # Looked at first: an idle one leaves at once.
    present = [worker for worker in workers if registration.owns_jobs(jar, worker)]
    orders.drain(jar, options.node, options.reason)
    for worker in present:
        print(escape(worker))
    if not workers:
        # A marker with a mistyped name keeps nobody off anything, and nothing else would tell.
        print(f"no worker has been on {escape(options.node)} so far: if that is not its whole name,"
              " undrain it and write the name as `uname -n` prints it there", file=sys.stderr)
    return 0
