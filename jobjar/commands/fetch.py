"""`jobjar fetch`: what jobs have made (--stage-out), brought to where they were submitted."""

import os

from jobjar import fetching, layout, selection, states
from jobjar.config import Settings
from jobjar.text import escape

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "fetch"
HELP = "bring the files that jobs have made (--stage-out) to where they were submitted"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--to", metavar="DIR", help="to this directory, not to that of the submission")
    parser.add_argument("job", nargs="+", metavar="JOB", help=selection.HELP)


def run(options: "Options", settings: Settings) -> int:
    """Print the path of each file that was written; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    target = options.to and os.path.join(os.getcwd(), options.to)
    for place in selection.jobs(jar, options.job, (states.COMPLETED, states.FAILED)):
        directory, written = fetching.fetch(jar, settings.node, place, target)
        for path in written:
            print(escape(os.path.join(directory, path)))
    return 0
