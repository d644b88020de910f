"""`make bench`, or python tests/bench [SECTION ...]: the figures of docs/performance.md, measured here."""

import argparse
import json
import os
import platform
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this directory: its modules are those of `bench`.
sys.path[:1] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)]

from bench import calls, depth, drain, ground, idleness, network, peers, rows, submitting, yardsticks  # noqa: E402
from support import figures, processes  # noqa: E402

SECTIONS = {"drain": drain.drain, "ends": drain.ends, "submit": submitting.submit, "depth": depth.depth,
            "crowd": depth.crowd, "latency": idleness.latency, "idle": idleness.idle, "calls": calls.calls,
            "network": network.network, "peers": peers.peers}
PAGE = os.path.join(processes.TOP, "docs", "performance.md")


def main(words: list[str]) -> int:
    """Measure what was asked for and print it; 0 whatever the figures are."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    asked = _parse(words)
    chosen = asked.sections or list(SECTIONS)
    rounds, jobs = asked.rounds or (1 if asked.quick else 5), asked.jobs or (200 if asked.quick else 2000)
    found, missing = [], []
    try:
        with ground.prepared(rounds, jobs, asked.quick, asked.dir) as here:
            where = figures.file_system(here.top)
            for name in chosen:
                print(f"{name} …", file=sys.stderr, flush=True)
                try:
                    found += SECTIONS[name](here)
                except yardsticks.Missing as error:
                    missing.append(f"{name}: {error}")
                here.sweep()
    except (KeyboardInterrupt, SystemExit):
        # What has been measured is told, whoever ends the rest.
        print(rows.text(found))
        raise
    said = _circumstances(words, where)
    if asked.json:
        print(json.dumps({**said, "missing": missing, "rows": [row.document() for row in found]}, indent=2))
    else:
        print(rows.text(found), *missing, sep="\n", end="\n" if missing else "")
    if asked.publish:
        _publish(said, found, missing)
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="How fast Job Jar is, beside the least that this machine"
                                     " needs for the same. All is measured in turn and told by ratios.")
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help=f"what to measure: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small numbers: to see that it works, not to measure")
    parser.add_argument("--json", action="store_true", help="one JSON document with all that was measured")
    parser.add_argument("--rounds", type=int, help="how often each thing is measured (default 5)")
    parser.add_argument("--jobs", type=int, help="the jobs of one round (default 2000)")
    parser.add_argument("--dir", help="where the jars are to be (default: the directory for temporary files)")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/performance.md")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {unknown[0]!r}: the sections are {', '.join(SECTIONS)}")
    return asked


def _circumstances(words: list[str], where: str) -> dict[str, str]:
    given = " ".join(word for word in words if word != "--publish")
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()),
            "command": f'make bench BENCH="{given}"' if given else "make bench",
            "machine": f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release()},"
                       f" Python {platform.python_version()}, jars on {where}"}


def _publish(said: dict[str, str], found: list[rows.Row], missing: list[str]) -> None:
    notes = "".join(f"\n{sentence}\n" for sentence in missing)
    figures.publish(f"Measured on {said['date']}: {said['machine']}; `{said['command']}`.\n\n"
                    f"{rows.markdown(found)}{notes}", PAGE, "make bench")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
