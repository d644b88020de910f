"""`jobjar recover-stranded`: bring back the jobs of workers of this node that died; what cron calls.

Silent when there is nothing to do. Workers of other nodes cannot be judged from here; a person may vouch.
"""

import sys

from jobjar import layout, registration, supervision, text
from jobjar.config import Settings
from jobjar.errors import NoSuchJob, TryAgain, UsageError
from jobjar.salvage import Report

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "recover-stranded"
HELP = "bring back the jobs of workers that died"
STRICT = False


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--kill-orphans", action="store_true",
                        help="end what a dead worker's job left running, instead of waiting for it")
    parser.add_argument("--node", metavar="NODE", help="with --dead: the node whose workers to recover")
    parser.add_argument("--dead", action="store_true",
                        help="I vouch that NODE is down; if it is not, its jobs run twice at once")


def run(options: "Options", settings: Settings) -> int:
    """Print a line per job that was moved; the exit status is 0 when nothing is left stranded, else 1, or 75."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    if (options.node is not None) != options.dead:
        raise UsageError("--node NODE and --dead go together: only a person can say that another node is down")
    report = _vouched(jar, settings, options) if options.dead else \
        supervision.recover(jar, settings, options.kill_orphans)
    if report is None:
        raise TryAgain("another check_workers or recover_stranded of yours is at work on this node: nothing was looked"
                       " at, so try again")
    return _tell(report)


def _vouched(jar: layout.Jar, settings: Settings, options: "Options") -> Report | None:
    if not registration.workers(jar, options.node):
        raise NoSuchJob(f"no worker of a node {options.node!r} has a directory in {jar.workers}: see `system_status`")
    if sys.stderr.isatty():
        print("waiting a minute, until no cache shows what has been taken over …", file=sys.stderr)
    return supervision.recover_vouched(jar, settings, options.node, options.kill_orphans)


def _tell(report: Report) -> int:
    for event, category, name in report.jobs:
        where = {"complete": "completed/", "recover": "unclaimed/", "requeue": "waiting/", "give_up": "failed/"}[event]
        print(f"{text.escape(f'{category}/{name}' if category else name)} → {where}")
    for sentence in report.left:
        print(f"recover_stranded: {text.escape(sentence)}", file=sys.stderr)
    return 1 if report.left else 0
