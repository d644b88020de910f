"""`jobjar clean`: jobs that have ended go, and with them what they printed; what they did stays in history/.

Safe while workers run, and when it is cut short: run again, it completes what was begun.
"""

import sys

from jobjar import accounting, cleaning, clearance, layout, node, quantities, registration, selection, states, text
from jobjar.config import Settings
from jobjar.errors import UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "clean"
HELP = "remove jobs that have ended, once their records are in the archive"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--older", metavar="AGE", type=quantities.parse_duration,
                        help="jobs that ended longer ago than this (30d, 12h), and the directories of workers that left"
                             " then")
    parser.add_argument("--keep", metavar="N", type=quantities.parse_count, help="all but the N that ended last")
    parser.add_argument("--state", metavar="STATE,…", type=accounting.end_states,
                        help="jobs that ended so: COMPLETED, or FAILED,TIMEOUT")
    parser.add_argument("--dry-run", action="store_true", help="print what would be removed, and remove nothing")
    parser.add_argument("job", metavar="JOB", nargs="*", help=selection.HELP)


def run(options: "Options", settings: Settings) -> int:
    """Print the id of each job that is gone, and the directory of each worker; the exit status is 0."""
    if options.older is options.keep is options.state is None and not options.job:
        raise UsageError("nothing is cleaned away unasked: say which jobs with --older, --keep, --state or by name")
    jar, me = layout.open_jar(settings.home, settings.worker_home), node.myself(settings.node)
    ended = (states.COMPLETED, states.FAILED)
    places = selection.jobs(jar, options.job, ended) if options.job else None
    now = registration.server_now(jar)
    criteria = cleaning.Criteria(options.older, options.keep, options.state, places)
    # A directory belongs to many jobs, so it goes only by its age.
    age = options.older if not options.job and options.state is options.keep is None else None
    (_show if options.dry_run else _do)(jar, me, criteria, age, now)
    return 0


def _show(jar: layout.Jar, me: node.Identity, criteria: cleaning.Criteria, age: float | None, now: float) -> None:
    chosen, stay = cleaning.held_back(jar, cleaning.choose(jar, criteria, now))
    for one in chosen:
        print(text.escape(accounting.value(one.record, "jobid")))
    workers, kept = clearance.left(jar, me, age, now) if age is not None else ([], [])
    _print_workers(jar, workers)
    _tell(stay + kept, f"{_count(chosen, workers)} would be removed")


def _do(jar: layout.Jar, me: node.Identity, criteria: cleaning.Criteria, age: float | None, now: float) -> None:
    gone = 0
    chosen, stay = cleaning.held_back(jar, cleaning.choose(jar, criteria, now))
    for job in cleaning.clean(jar, me, chosen):
        print(text.escape(job))
        gone += 1
    cleaning.remove_attachments(cleaning.attachments(jar, now))
    contents = clearance.sweep_store(jar, now)
    workers, kept = [], []
    if age is not None:
        kept = clearance.left(jar, me, age, now).kept
        workers = list(clearance.clear(jar, me, age, now))
    _print_workers(jar, workers)
    if contents:
        kept.append(f"{text.counted(contents, 'file')} removed from store/, which no job needs any more")
    _tell(stay + kept, f"{_count(range(gone), workers)} removed; `jobjar history` still tells of them")


def _print_workers(jar: layout.Jar, workers: list[str]) -> None:
    for name in workers:
        print(text.escape(jar.worker(name)))


def _count(jobs: object, workers: list[str]) -> str:
    told = text.counted(len(jobs), "job")
    return told + (f" and {len(workers)} workers' director{'y' if len(workers) == 1 else 'ies'}" if workers else "")


def _tell(remarks: list[str], said: str) -> None:
    for sentence in (*remarks, said):
        print(f"jobjar clean: {text.escape(sentence)}", file=sys.stderr)
