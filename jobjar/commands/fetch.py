"""`jobjar fetch`: what jobs have made (--stage-out), brought to where they were submitted."""

import os
import sys

from jobjar import fetching, jobname, layout, selection, states
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
    """Print the path of each file that was written; the exit status is 1 when none of the jobs has made anything."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    target = options.to and os.path.join(os.getcwd(), options.to)
    has_made = False
    for place in selection.jobs(jar, options.job, (states.COMPLETED, states.FAILED)):
        fetched = fetching.fetch(jar, settings.node, place, target)
        has_made |= fetched.has_made
        for path in fetched.written:
            print(escape(os.path.join(fetched.directory, path)))
        if not fetched.written:
            print(f"jobjar fetch: {escape(jobname.split(place.name)[0])}: {_nothing(fetched)}", file=sys.stderr)
    return 0 if has_made else 1


def _nothing(fetched: fetching.Fetched) -> str:
    return f"all that it has made is in {escape(fetched.directory)} already" if fetched.has_made else \
        "it has made nothing that --stage-out names"
