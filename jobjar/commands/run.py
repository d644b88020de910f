"""`jobjar run`: a command, run as a job on whichever node, as if it ran here."""

import sys

from jobjar import layout, running, wishes
from jobjar.options import REMAINDER

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "run"
HELP = "run a command as a job, and print what it prints"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.usage = "[--home DIR] [OPTION ...] COMMAND ..."
    parser.others, parser.submits = lambda: wishes, True
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND",
                        help="a command and its arguments, as they are; a single word is a command line for the shell."
                             " It finds the working directory, environment, umask and standard input of this one")
    for letter, name in (("-p", "--priority"), ("-c", "--category"), ("-i", "--id")):
        parser.add_argument(letter, name)


def run(options: "Options", settings: "Settings") -> int:
    """Run it; the exit status is the job's, or 128 + N when the signal N ended it, or this command."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    doubt = wishes.doubt(options.category or "")
    if doubt:
        print(f"jobjar run: {doubt}", file=sys.stderr)
    return running.run(jar, settings, options.command, wishes.of(options))
