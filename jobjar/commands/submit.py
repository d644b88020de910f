"""`jobjar submit`, `submit_job`: one job into the jar; its id, alone, on stdout."""

import os
import sys

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
    parser.usage = "[--home DIR] [OPTION ...] (COMMAND ... | -f FILE) [::: ITEM ...] ..."
    parser.others, parser.submits = _others, True
    parser.add_argument("-f", "--file", help="submit a copy of this executable file instead of a command; the"
                                             " options in its #JJ lines count, those of the command line for more")
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND",
                        help="the command line; its words are joined by single spaces, and no option is read behind"
                             " its first word. Behind each ::: stand the items of a list; there is one job for each"
                             " combination, with the items in the places of {1}, {2} … and all of them in that of {}")
    # These are known without the table, which takes longer to read than everything else here.
    for letter, name in (("-p", "--priority"), ("-c", "--category"), ("-i", "--id")):
        parser.add_argument(letter, name)


def _others() -> object:
    from jobjar import wishes
    return wishes


def run(options: "Options", settings: "Settings") -> int:
    """Submit the job, or the array; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    request = _request(jar, options, settings.node)
    print(_submit_array(jar, request, settings) if request.is_array else
          jobname.split(submission.submit(jar, request).name)[0])
    if options.category is not None and options.category.isdigit() and (said := _others().doubt(options.category)):
        print(f"submit_job: {said}", file=sys.stderr)
    if options.command:
        _warn_of_relative_path(options.command, getattr(options, "asked", {}))
    if (options.file or hasattr(options, "asked")) and submission.may_ask(request.data):
        _warn_of_absent(request.data)
    return 0


def _warn_of_absent(data: object) -> None:
    from jobjar import doubts, text
    for sentence in doubts.absent(data):
        print(f"submit_job: {text.escape(sentence)}: on such a node the job is refused", file=sys.stderr)


def _submit_array(jar: layout.Jar, request: submission.Request, settings: "Settings") -> str:
    from jobjar import arrays, node, trust
    return arrays.submit(jar, request, node.myself(settings.node), trust.is_private(jar, settings))


def _request(jar: layout.Jar, options: "Options", node: str) -> submission.Request:
    lists = _take_lists(options) if submission.LIST in options.command else []
    if options.file is None:
        data = submission.script(_command(options.command, lists, getattr(options, "asked", {})))
    elif options.command:
        raise UsageError(f"-f {options.file} and the command {options.command[0]!r} cannot both be submitted:"
                         " leave out one of them")
    else:
        data = submission.content(options.file)
    if not lists and not hasattr(options, "asked") and not (options.file and submission.may_ask(data)):
        priority = 0 if options.priority is None else options.priority
        return submission.Request(data, priority, options.category, options.id)
    from jobjar import demand, wishes
    return demand.prepare(jar, data, wishes.of(options), lists, node, submission.plain_name(options.file))


def _warn_of_relative_path(words: list[str], asked: dict) -> None:
    first = (words[0].split() or [""])[0]
    # Most commands are found in PATH, or are whole paths, or nothing of that name is here.
    if first.startswith("/") or not os.path.isfile(first) or {"chdir", "snapshot", "stage_in"} & asked.keys():
        return
    if "/" in first or not any(os.access(os.path.join(directory, first), os.X_OK)
                               for directory in os.get_exec_path()):
        from jobjar import text
        # A name without a slash is looked for in PATH, wherever the job runs.
        or_here = ", or --chdir=. in front of it" if "/" in first else ""
        print(f"submit_job: the job runs in a directory of its own, where there is no {text.escape(first)}: if you mean"
              f" the one that is here, write {text.escape(os.path.abspath(first))}{or_here}", file=sys.stderr)


def _take_lists(options: "Options") -> list[list[str]]:
    from jobjar import demand
    options.command, lists = demand.split(options.command)
    return lists


def _command(found: list[str], lists: list[list[str]], asked: dict) -> str:
    if not found or not lists and not {"each_line", "from_json"} & asked.keys():
        return submission.joined(found)
    from jobjar import placeholders
    return placeholders.placed(submission.joined(found), len(lists))
