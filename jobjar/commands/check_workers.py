"""`jobjar check-workers`: bring this node up to JJ_MAX_WORKERS workers; what cron calls.

Silent when there is nothing to do. `--renew` replaces the workers between jobs, after an upgrade.
"""

import sys

from jobjar import layout, starting, supervision
from jobjar.config import Settings

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "check-workers"
HELP = "start the workers that are missing on this node"
STRICT = False


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--renew", action="store_true",
                        help="let each worker of this node start a successor and leave, as soon as it has no job")


def run(options: "Options", settings: Settings) -> int:
    """Print the names of the workers that were started, or with --renew of those asked; the exit status is 0."""
    jar = layout.open_jar(settings.home, settings.worker_home)
    if options.renew:
        for worker in supervision.renew(jar, settings):
            print(worker)
    # Workers that are being replaced hold the lock one after the other.
    done = supervision.check(jar, settings, starting.REGISTER_TIME if options.renew else supervision.PATIENCE, print)
    if done is None:
        _remark("another check_workers or recover_stranded of yours is still at work on this node: nothing was done")
        return 0
    if done.why:
        _remark(done.why)
    return 0


def _remark(text: str) -> None:
    # cron mails whatever is printed; this is worth knowing only for somebody who looks.
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
