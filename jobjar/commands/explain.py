"""`jobjar explain`: why a job is not running, or what has become of it.

It changes nothing in the jar.
"""

from jobjar import explaining, gone, layout, node, selection
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "explain"
HELP = "say why a job is not running, rule by rule and node by node"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("job", metavar="JOB", nargs="+", help=selection.HELP)


def run(options: "Options", settings: Settings) -> int:
    """Print what there is to say; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    me = node.myself(settings.node)
    found = explaining.explain_all(jar, me, gone.find(jar, options.job), settings)
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps(explaining.document(found), indent=1))
    else:
        print(explaining.render(found), end="")
    return 0
