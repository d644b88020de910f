"""`jobjar config`: each setting, its value, and where it came from.

The values are written as a config.ini would say them.
"""

from jobjar.config import KEYS, Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "config"
HELP = "show each setting and where it came from"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: "Options", settings: Settings) -> int:
    """Print the settings; the exit status is 0."""
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps(_document(settings), indent=2))
    else:
        print("\n".join(_lines(settings)))
    return 0


def _document(settings: Settings) -> dict[str, dict[str, object]]:
    return {key: {"value": getattr(settings, row.attribute), "source": settings.source(key)}
            for key, row in KEYS.items()}


def _lines(settings: Settings) -> list[str]:
    rows = [(f"{key}:", _printable(row.show(getattr(settings, row.attribute))), _printable(settings.source(key)))
            for key, row in KEYS.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{key:{widths[0]}}  {value:{widths[1]}}  {source}" for key, value, source in rows]


def _printable(text: str) -> str:
    # A path may hold bytes that are no text; a terminal gets them escaped.
    return text if text.isprintable() else repr(text)[1:-1]
