"""`jobjar cancel`: end jobs that run, and keep those that wait from running."""

from jobjar import cancelling, changing, drafts, jobname, layout, node, parameters, selection, states, text
from jobjar.errors import NoSuchJob

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.config import Settings
    from jobjar.options import Options, Parser

NAME = "cancel"
HELP = "cancel jobs, whether they wait or run"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help=selection.HELP)
    parser.add_argument("--reason", metavar="TEXT", default="", type=parameters.line,
                        help="shown to whoever wonders why")


def run(options: "Options", settings: "Settings") -> int:
    """Print a line for each job; the exit status is 1 when it could not be done to all. NoSuchJob: there is none."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    places = changing.find(jar, _withdraw(jar, settings.node, options.jobs), states.UNFINISHED)
    change = changing.printing(jar, settings.node)
    cancelling.cancel(change, places, options.reason, settings.order_time)
    return 1 if change.left else 0


def _withdraw(jar: layout.Jar, node_name: str, words: list[str]) -> list[str]:
    """Let nothing more come of arrays whose submission was cut short; the words that mean jobs besides."""
    me = node.myself(node_name)
    arrays = {array for word in words for array in _unfinished(jar, word)}
    withdrawn = sorted(array for array in arrays if drafts.withdraw(jar, me, array))
    for array in withdrawn:
        print(f"{text.escape(array)}: those of its tasks that were not submitted yet will not be")
    return [word for word in words if word not in withdrawn or _has_tasks(jar, word)]


def _unfinished(jar: layout.Jar, word: str) -> set[str]:
    """The arrays that are still being submitted, or were cut short, and all of whose tasks the word means."""
    unfinished = {jobname.split(draft.name)[0] for draft in drafts.unfinished(jar)}
    if not unfinished or word in unfinished:
        return unfinished & {word}
    try:
        tasks = [jobname.array_task(place.name) for place in selection.jobs(jar, [word], states.UNFINISHED)]
    except NoSuchJob:
        return set()
    arrays, is_meant = unfinished & {task[0] for task in tasks if task}, selection.meaning(word)
    return {array for array in arrays if word == selection.LAST or is_meant(array)}


def _has_tasks(jar: layout.Jar, array: str) -> bool:
    try:
        return bool(selection.jobs(jar, [array], states.UNFINISHED))
    except NoSuchJob:
        return False
