"""`jobjar doctor`: is this node fit to work with the jar? A verdict for each thing, with a remedy; changes nothing."""

from jobjar import doctor, node
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "doctor"
HELP = "look whether this node and the jar are fit for each other"
STRICT = False


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: "Options", settings: Settings) -> int:
    """Print the verdicts; the exit status is 0 when nothing is wrong, else 1."""
    verdicts = list(doctor.examine(settings, node.myself(settings.node)))
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps({"home": settings.home, "node": settings.node,
                          "verdicts": [verdict._asdict() for verdict in verdicts]}, indent=1))
    else:
        print(doctor.render(verdicts), end="")
    return 1 if doctor.is_wrong(verdicts) else 0
