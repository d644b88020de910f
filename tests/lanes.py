"""All tests in several processes at once: `python tests/lanes.py [--publish] [what pytest takes]`.

One process more than there are cores, for the longest test waits for cron. What is marked `alone` comes at the end.
With --publish the figures of a run without failures are written into docs/reliability.md.
"""

import collections
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from support import lanes  # noqa: E402
from support.figures import SEED, Figures, publish  # noqa: E402

# pytest's word for a process for which no test was left.
NONE_LEFT = 5


def main(words: list[str]) -> int:
    """Run them all and print what they say; 0 when all is well."""
    began = time.monotonic()
    figures = Figures(_seed(words))
    passed_on = [word for word in words if word != "--publish"]
    with tempfile.TemporaryDirectory(prefix="jobjar-lanes-") as meeting:
        command = [sys.executable, "-m", "pytest", "-q", "--lane", meeting, *(passed_on or [HERE])]
        is_good = _run(command, meeting)
        counts, skipped = _add_up(meeting, figures)
    print(*figures.text(), f"skipped: {len(skipped)}", *(f"  {line}" for line in skipped), sep="\n")
    print(f"all together: {counts} in {time.monotonic() - began:.0f} s")
    if is_good and "--publish" in words:
        publish(figures.table())
    return 0 if is_good else 1


def _seed(words: list[str]) -> int:
    return int(words[words.index("--seed") + 1]) if "--seed" in words else SEED


def _run(command: list[str], meeting: str) -> bool:
    others = [Lane(command, os.path.join(meeting, f"{number}.txt")) for number in range(len(os.sched_getaffinity(0)))]
    try:
        # This one shows that something is going on.
        statuses = [subprocess.call(command), *(other.tell() for other in others)]
        statuses.append(subprocess.call([*command, "--last"]))
    finally:
        for other in others:
            other.end()
    return all(status in (0, NONE_LEFT) for status in statuses)


def _add_up(meeting: str, figures: Figures) -> tuple[str, list[str]]:
    """The counts in words, and the skipped tests; `figures` get those of all processes."""
    total, skipped = collections.Counter(), []
    for counts, left_out, found in lanes.reports(meeting):
        total.update(counts)
        skipped += left_out
        figures.merge(found)
    return ", ".join(f"{total[kind]} {kind}" for kind in lanes.KINDS if total[kind]), skipped


class Lane:
    """One of the processes that are listened to when they have ended."""

    def __init__(self, command: list[str], said: str) -> None:
        self._said = said
        with open(said, "wb") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def tell(self) -> int:
        """Print what it has said; its exit status."""
        status = self._process.wait()
        with open(self._said, encoding="utf-8", errors="replace") as file:
            print(file.read(), end="", flush=True)
        return status

    def end(self) -> None:
        """Stop it if it still runs."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
