"""`jobjar submit`, `submit_job`: one job into the jar; its id, alone, on stdout."""

from jobjar import jobname, layout, submission
from jobjar.errors import UsageError
from jobjar.options import REMAINDER

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "submit"
HELP = "submit a job and print its id"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.usage = "[--home DIR] [-p N] [-c CATEGORY] [-i ID] (COMMAND ... | -f FILE)"
    parser.add_argument("-p", "--priority", metavar="N", default="0",
                        help="claim it before jobs of a lower priority (default 0; negative ones are allowed)")
    parser.add_argument("-c", "--category", help="let only workers that read this category claim it")
    parser.add_argument("-i", "--id", help="a word to be put into the job's name")
    parser.add_argument("-f", "--file", help="submit a copy of this executable file instead of a command")
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND",
                        help="the command line; its words are joined by single spaces, and no option is read behind"
                             " its first word")


def run(options: "Options", settings: "Settings") -> int:
    """Submit the job; the exit status is 0."""
    if options.file is None:
        data = submission.script(" ".join(options.command))
    elif options.command:
        raise UsageError(f"-f {options.file} and the command {options.command[0]!r} cannot both be submitted:"
                         " leave out one of them")
    else:
        data = submission.content(options.file)
    request = submission.Request(data, options.priority, options.category, options.id)
    place = submission.submit(layout.open_jar(settings.home, settings.worker_home), request)
    print(jobname.split(place.name)[0])
    return 0
