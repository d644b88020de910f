"""`jobjar status`: what waits, who runs what, and what needs a person.

It changes nothing in the jar.
"""

from jobjar import census, layout, node, status
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "status"
HELP = "show what waits, who runs what, and what needs a person"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: "Options", settings: Settings) -> int:
    """Print the status of the jar; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    seen = census.look(jar, node.myself(settings.node))
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps(status.document(seen), indent=1))
    else:
        print(status.render(seen), end="")
    return 0
