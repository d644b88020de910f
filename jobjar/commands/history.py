"""`jobjar history`: what has ended, from the journals of all workers and the archive of what was cleaned away.

It changes nothing, unless jobs are to be submitted again.
"""

import gc
import re
import sys
import time
from collections.abc import Iterable

from jobjar import accounting, accounts, formats, history, layout, moments, parameters, quantities
from jobjar import resubmission, selection, text
from jobjar.accounting import FIELDS, Record
from jobjar.config import Settings
from jobjar.errors import NoSuchJob, UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "history"
HELP = "show how jobs have ended and what they used, and submit them again"

NEWEST = 10


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--user", metavar="USER,…", type=parameters.names, help="jobs of these users")
    parser.add_argument("--state", metavar="STATE,…", type=accounting.end_states,
                        help="jobs that ended so: FAILED, or TIMEOUT,CANCELLED")
    parser.add_argument("--category", metavar="CATEGORY,…", type=parameters.names,
                        help="jobs of these categories; - for none")
    parser.add_argument("--node", metavar="NODE,…", type=parameters.names, help="jobs that ran on these nodes")
    parser.add_argument("--grep", metavar="RE", type=_expression, help="jobs with this regular expression in their name"
                                                                       " or command")
    parser.add_argument("--since", metavar="TIME", help="jobs that ended then or later: 2026-12-24T18:00, 18:00, today,"
                                                        " 2h for two hours ago")
    parser.add_argument("--until", metavar="TIME", help="jobs that ended then or before")
    parser.add_argument("--attempts", action="store_true", help="also the attempts that were repeated")
    parser.add_argument("--limit", metavar="N", type=quantities.parse_count,
                        help=f"the newest N (default {NEWEST}; 0: all; with --totals: all)")
    parser.add_argument("--columns", metavar="FIELD,…", type=formats.columns,
                        help="these fields, in this order: " + ", ".join(FIELDS))
    parser.add_argument("--format", metavar="PATTERN", help="a line of this pattern for each: '%jobid\\t%-10.3f:wait'")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--totals", action="store_true", help="what they come to for each user and each category")
    parser.add_argument("--resubmit", action="store_true",
                        help="submit a copy of each of the named jobs and print the new ids")
    parser.add_argument("job", metavar="JOB", nargs="*", help=selection.HELP)


def run(options: "Options", settings: Settings) -> int:
    """Print what is wanted; the exit status is 0 when there is anything, else 1. NoSuchJob: no job is meant at all."""
    _refuse_contradictions(options)
    # All that is read lives until the end of this process: to look for what could be freed costs a tenth of the time.
    gc.disable()
    jar = layout.open_jar(settings.home, settings.worker_home)
    if options.resubmit:
        for job in resubmission.submit_again(jar, options.job, _wanted(jar, options, None)):
            print(text.escape(job))
        return 0
    found = _records(jar, options)
    if options.job and not found:
        _require_any(jar, options.job)
    for piece in _pieces(options, jar, found):
        print(piece, end="")
    return 0 if found else 1


def _records(jar: layout.Jar, options: "Options") -> list[Record]:
    """What is to be shown; that there is more than is shown without --limit is said."""
    if options.limit is not None or options.totals:
        return history.records(jar, _wanted(jar, options, options.limit or None))
    found = history.records(jar, _wanted(jar, options, NEWEST + 1))
    if len(found) > NEWEST:
        print(f"jobjar history: these are the newest {NEWEST}: --limit 0 shows all", file=sys.stderr)
    return found[-NEWEST:]


def _require_any(jar: layout.Jar, jobs: list[str]) -> None:
    """NoSuchJob when none of the words means a job that has ended, whatever else is wanted of it."""
    if not history.records(jar, history.Wanted(named=_named(jar, jobs), attempts=True, limit=1)):
        raise NoSuchJob(f"{', '.join(map(repr, jobs))}: no job that has ended is called so: `jobjar list` shows those"
                        " that have not")


def _refuse_contradictions(options: "Options") -> None:
    if options.format:
        # Also where there is nothing to show.
        formats.compiled(options.format)
    given = [name for name in ("json", "csv", "format", "resubmit") if getattr(options, name)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} are two forms of one answer: leave one of them out")
    if options.columns and (options.format or options.totals):
        raise UsageError(f"--columns goes with a table, --json or --csv, not with"
                         f" {'--format' if options.format else '--totals'}: leave one of them out")
    if options.totals and options.format:
        raise UsageError("--totals has its own columns: leave out --format")
    if options.resubmit and not options.job:
        raise UsageError("--resubmit needs a job: name it")


def _wanted(jar: layout.Jar, options: "Options", limit: int | None) -> history.Wanted:
    now = time.time()
    since, until = (None if text is None else moments.past(text, now) for text in (options.since, options.until))
    categories = options.category and [None if word == "-" else word for word in options.category]
    return history.Wanted(options.user, options.state, categories, options.node, _named(jar, options.job), options.grep,
                          since, until, options.attempts, limit)


def _named(jar: layout.Jar, found: list[str]) -> object:
    """Whether one of the words means a job of a given name."""
    last = [place.name for word in found if word == selection.LAST for place in selection.jobs(jar, [word])]
    meanings = [selection.meaning(word) for word in (*last, *found) if word != selection.LAST]
    return (lambda name: any(is_meant(name) for is_meant in meanings)) if meanings else None


def _pieces(options: "Options", jar: layout.Jar, found: list[Record]) -> Iterable[str]:
    if options.totals:
        return [accounts.sums_document(jar, found) if options.json else accounts.sums_comma_separated(found)
                if options.csv else accounts.sums_table(found) if found else ""]
    if options.json:
        return accounts.document(jar, found, options.columns)
    if options.csv:
        return accounts.comma_separated(jar, found, options.columns)
    if options.format:
        return accounts.lines(jar, found, options.format)
    return [accounts.table(jar, found, options.columns or accounts.COLUMNS)]


def _expression(words: str) -> re.Pattern:
    try:
        return re.compile(words)
    except re.error as error:
        raise UsageError(f"{words!r} is no regular expression ({error}): mend it, or write a backslash before what is"
                         " meant as it stands") from None
