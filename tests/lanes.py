"""All tests in several processes at once: `python tests/lanes.py [what pytest takes]`.

One more than there are cores, for the longest test waits for cron. What is marked `alone` comes at the end.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def main(words: list[str]) -> int:
    """Run them all and print what each process says; 0 when all is well."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobjar-lanes-") as meeting:
        command = [sys.executable, "-m", "pytest", "-q", "--lane", meeting, *(words or [HERE])]
        others = [Lane(command, os.path.join(meeting, f"{number}.txt"))
                  for number in range(len(os.sched_getaffinity(0)))]
        try:
            # This one shows that something is going on.
            bad = subprocess.call(command) != 0
            for other in others:
                bad |= other.tell() != 0
            bad |= subprocess.call([*command, "--last"]) != 0
        finally:
            for other in others:
                other.end()
        print(f"all together: {_counts(meeting)} in {time.monotonic() - began:.0f} s")
    return int(bad)


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
            print(file.read(), end="")
        return status

    def end(self) -> None:
        """Stop it if it still runs."""
        self._process.kill()
        self._process.wait()


def _counts(meeting: str) -> str:
    total = collections.Counter()
    for name in os.listdir(meeting):
        if name.endswith(".json"):
            with open(os.path.join(meeting, name), encoding="utf-8") as file:
                total.update(json.load(file))
    return ", ".join(f"{total[kind]} {kind}" for kind in ("failed", "error", "passed", "skipped") if total[kind])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
