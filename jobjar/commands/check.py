"""`jobjar check`: is all right with the jar?

It changes nothing, unless told to repair.
"""

from jobjar import findings, inspection, layout, node
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "check"
HELP = "look whether all is right with the jar"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: "Options", settings: Settings) -> int:
    """Print what was found; the exit status is 0 when nothing of it needs anybody, else 1."""
    jar = layout.view_jar(settings.home, settings.worker_home)
    found = inspection.inspect(jar, node.myself(settings.node))
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps({"home": jar.home, "findings": findings.document(found)}, indent=1))
    else:
        print(findings.render(found) or "nothing found: all is right with this jar\n", end="")
    return 1 if findings.is_trouble(found) else 0
