"""Thousands of jobs, while their workers, recoveries and checks are killed at any moment: each is run, and none twice.

Nothing is injected here: real processes, real jobs, and `kill -9` at times that the seed draws. Each round has a jar
of its own, which is looked at when everybody has left.
"""

import os
import random
import shutil
import time
from collections import Counter

import pytest
from support import soak, workers

from jobjar import findings, inspection, node

# (rounds, jobs in each, kills in each)
SHORT, FULL = (1, 1500, 150), (20, 5000, 505)


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock: install util-linux")
def test_whoever_is_killed_at_any_moment_each_job_is_run_and_none_twice(workplace, own_local, full, seed, figures,
                                                                        capfd):
    rounds, jobs, kills = FULL if full else SHORT
    began, killed, again = time.monotonic(), Counter(), 0
    for number in range(rounds):
        one = soak.Soak(os.path.join(workplace, str(number)), jobs, kills, random.Random(f"{seed} {number}"))
        one.submit()
        one.run()
        wrong, more = one.violations()
        found = inspection.inspect(one.jar, node.myself(workers.NODE))
        wrong += [f"{finding.path}: {finding.says}" for finding in found if finding.severity != findings.INFORMATION]
        assert not wrong, f"round {number} of seed {seed}: {len(wrong)} violations:\n" + "\n".join(wrong[:20])
        killed, again = killed + one.kills, again + more
        shutil.rmtree(os.path.dirname(one.jar.home))
        if full:
            with capfd.disabled():
                print(f"soak: round {number + 1} of {rounds}, {killed.total()} kills, {again} runs repeated,"
                      f" {time.monotonic() - began:.0f} s", flush=True)
    seconds = time.monotonic() - began
    assert killed.total() >= 0.9 * rounds * kills and killed["worker"] >= again
    figures(f"{rounds * jobs} jobs, {killed['worker']} workers, {killed['recovery']} recoveries and {killed['check']}"
            f" checks killed, {again} runs repeated, 0 jobs lost, 0 run twice at once;"
            f" {rounds * jobs / seconds:.0f} jobs and {killed.total() / seconds:.0f} kills a second")
