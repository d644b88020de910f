"""`jobjar check`: is all right with the jar? What somebody runs whose computers had a bad night.

It changes nothing, unless told to repair; workers may go on while it looks. With --filesystem it measures what the jar
lies on, in limbo/, and removes what it has made there.
"""

import sys
from collections.abc import Iterable

from jobjar import findings, inspection, layout, mending, node, quantities, text
from jobjar.config import Settings
from jobjar.errors import TryAgain, UsageError
from jobjar.findings import Finding
from jobjar.fsadvice import UNFIT

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "check"
HELP = "look whether all is right with the jar, and mend what is safe"

WHERE = {"complete": "completed/", "recover": "unclaimed/", "give_up": "failed/", "rescue": "held/"}

# How long a person needs to walk to another node, and the longest that makes sense, s.
WAIT, MOST = 60.0, 3600.0


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without losing anything")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--filesystem", action="store_true",
                        help="measure instead whether the file system is good enough for a jar, best on two nodes at"
                             " the same time")
    parser.add_argument("--wait", metavar="TIME", type=quantities.parse_duration,
                        help="with --filesystem: how long to wait for the same command on another node, and for each"
                             " of its answers (default 60s; 0: measure alone)")


def run(options: "Options", settings: Settings) -> int:
    """Print what was found; the exit status is 0 when nothing of it needs anybody, or a jar is safe there, else 1."""
    if options.filesystem and options.repair:
        raise UsageError("--filesystem only measures and --repair only mends: leave one of them out")
    if options.filesystem:
        return _filesystem(options, settings)
    if options.wait is not None:
        raise UsageError("--wait belongs to --filesystem: leave it out, or measure with both")
    jar = layout.view_jar(settings.home, settings.worker_home)
    found = inspection.inspect(jar, node.myself(settings.node))
    jobs, left, mended = [], [], []
    if options.repair:
        (jobs, left), mended, found = _repair(jar, settings, found)
    if options.json:
        # Only those who ask for it pay for the import.
        import json
        print(json.dumps({"home": jar.home, "moved": [_moved(*job) for job in jobs],
                          "left": left, "mended": findings.document(mended), "findings": findings.document(found)},
                         indent=1))
    else:
        print(_text(jobs, mended, found), end="")
    return 1 if findings.is_trouble(found) else 0


def _repair(jar: layout.Jar, settings: Settings,
            before: list[Finding]) -> tuple[mending.Report, list[Finding], list[Finding]]:
    """(what was moved and what had to be left, what is no longer found, what is)"""
    # As every command does, it makes what is missing of the jar itself.
    report = mending.mend(layout.open_jar(settings.home, settings.worker_home), settings)
    if report is None:
        raise TryAgain("another check_workers or recover_stranded of yours is at work on this node: nothing was"
                       " mended, so try again")
    for sentence in report.left:
        _tell(sentence)
    after = inspection.inspect(jar, node.myself(settings.node))
    there = {(finding.kind, finding.path) for finding in after}
    gone = [finding for finding in before if (finding.kind, finding.path) not in there]
    # What is made anew is empty, and what was in it is still to be looked for.
    after = findings.in_order([*after, *(finding for finding in gone if finding.kind == "missing")])
    return report, [finding for finding in gone if finding.kind in mending.MENDED], after


def _moved(event: str, category: str | None, name: str) -> dict:
    return {"event": event, "category": category, "name": name}


def _text(jobs: Iterable[tuple], mended: list[Finding], found: list[Finding]) -> str:
    sections = []
    if jobs:
        sections.append("".join(f"{text.escape(f'{category}/{name}' if category else name)} → {WHERE[event]}\n"
                                for event, category, name in jobs))
    if mended:
        # A finding says what it means, and behind a colon what to do.
        sections.append(f"mended ({len(mended)}):\n" + "".join(
            f"  {text.escape(f.path)}: {text.escape(f.says.partition(':')[0])}\n" for f in mended))
    sections.append(findings.render(found) or "nothing found: all is right with this jar\n")
    return "\n".join(sections)


def _filesystem(options: "Options", settings: Settings) -> int:
    from jobjar import fscheck
    jar = layout.open_jar(settings.home, settings.worker_home)
    wait = WAIT if options.wait is None else options.wait
    if wait > MOST:
        raise UsageError(f"--wait {quantities.format_duration(wait)} is longer than {quantities.format_duration(MOST)}:"
                         " write a shorter time")
    document = fscheck.check(jar, node.myself(settings.node), wait, _tell)
    if options.json:
        import json
        print(json.dumps(document, indent=1))
    else:
        from jobjar import fsreport
        print(fsreport.render(document), end="")
    return 1 if document["verdict"] == UNFIT else 0


def _tell(sentence: str) -> None:
    print(f"jobjar check: {text.escape(sentence)}", file=sys.stderr, flush=True)
