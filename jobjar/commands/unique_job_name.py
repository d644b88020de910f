"""`jobjar unique-job-name`, `unique_job_name`: a path in limbo/ for a job that a person or program makes itself.

Nothing is created under that name.
"""

import os

from jobjar import jobname, layout, submission

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "unique-job-name"
HELP = "print a fresh path in limbo/ for a job of your own making"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("-p", "--priority", metavar="N", default="0", help="the priority to be written into the name")
    parser.add_argument("-i", "--id", help="a word to be put into the name")


def run(options: "Options", settings: "Settings") -> int:
    """Print the path; the exit status is 0."""
    name = submission.fresh_name(jobname.parse_priority(options.priority), options.id)
    jar = layout.open_jar(settings.home, settings.worker_home)
    print(os.path.join(jar.limbo, name))
    return 0
