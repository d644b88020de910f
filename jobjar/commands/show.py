"""`jobjar show`: everything about a job: where it is, what it asks for, its attempts, what it used, notes, files.

It changes nothing in the jar.
"""

from jobjar import details, layout, node, selection
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "show"
HELP = "show everything about a job, also about one that has ended"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("job", metavar="JOB", nargs="+", help=selection.HELP)


def run(options: "Options", settings: Settings) -> int:
    """Print what there is; the exit status is 0."""
    found = details.find(layout.open_jar(settings.home, settings.worker_home), node.myself(settings.node), options.job)
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps(details.document(found), indent=1))
    else:
        print(details.render(found), end="")
    return 0
