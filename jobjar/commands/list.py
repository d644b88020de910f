"""`jobjar list`: the jobs that wait or run, with the reasons why they wait; others when they are asked for.

It changes nothing in the jar.
"""

import sys
import time

from jobjar import columns, layout, listing, moments, node, parameters, quantities, selection, text
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "list"
HELP = "list the jobs that wait or run, and why they wait"


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--all", action="store_true", help="also those that have ended")
    parser.add_argument("--state", metavar="STATE,…", type=columns.state,
                        help="those in these states: PENDING, or PD,F")
    parser.add_argument("--user", metavar="USER,…", type=_words, help="those that these users have submitted")
    parser.add_argument("--category", metavar="CATEGORY,…", type=_words, help="those in these categories; - for none")
    parser.add_argument("--name", metavar="GLOB,…", type=_words, help="those whose name or id is like this: 'sim*'")
    parser.add_argument("--tag", metavar="WORD,…", type=_words, help="those that have all these tags")
    parser.add_argument("--node", metavar="NODE,…", type=_words, help="those that run, or ran, on these nodes")
    parser.add_argument("--since", metavar="TIME", help="those submitted then or later: 2026-12-24T18:00, 18:00, today,"
                                                        " 2h for two hours ago")
    parser.add_argument("--until", metavar="TIME", help="those submitted then or before")
    parser.add_argument("--columns", metavar="COLUMN,…", type=columns.choose, default=columns.DEFAULT,
                        help="these columns, in this order: " + ", ".join(columns.COLUMNS))
    parser.add_argument("--sort", metavar="COLUMN,…", type=columns.order, default=[],
                        help="in the order of these columns, of -COLUMN descending")
    parser.add_argument("--limit", metavar="N", type=quantities.parse_count, help="the first N of them")
    parser.add_argument("--tasks", action="store_true", help="a line for each task of an array")
    parser.add_argument("--no-header", action="store_true", help="without the line of headings")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with each task of an array")
    parser.add_argument("job", metavar="JOB", nargs="*", help=f"only these: {selection.HELP}")


def run(options: "Options", settings: Settings) -> int:
    """Print the list; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    found = listing.look(jar, node.myself(settings.node), _wanted(options, jar),
                         columns.need_heads(name for name, _ in options.sort))
    for trouble in found.troubles:
        print(f"jobjar list: {text.escape(trouble)}", file=sys.stderr)
    is_apart = options.tasks or options.json or options.job
    rows = columns.in_order(found.rows if is_apart else listing.collapse(found.rows), options.sort, found.now)
    rows = rows if options.limit is None else rows[:options.limit]
    if columns.need_heads(options.columns):
        rows = listing.with_requests(jar, rows)
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps(columns.document(rows, options.columns, found.troubles, found.now), indent=1))
    else:
        print(columns.table(rows, options.columns, found.now, not options.no_header), end="")
    return 0


def _words(words: str) -> frozenset[str]:
    return frozenset(parameters.names(words))


def _wanted(options: "Options", jar: layout.Jar) -> listing.Wanted:
    now = time.time()
    since, until = (None if moment is None else moments.past(moment, now) for moment in (options.since, options.until))
    files = frozenset(place.name for place in selection.jobs(jar, options.job)) if options.job else None
    # Whoever names a job wants to see it whatever has become of it.
    usual = tuple(columns.CODES) if options.all or options.job else listing.ACTIVE
    return listing.Wanted(options.state or usual, options.user, options.category, options.name, options.node, since,
                          until, options.tag, files)
