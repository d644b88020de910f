"""Several people hold, release, cancel, change, retry and move the same jobs at once, while workers run them.

Nothing is injected here: real processes, real jobs, and acts that the seed draws.
"""

import os
import random
import shutil

import pytest
from support import melee

# (jobs, acts of each person) of each round: the fewer jobs, the more often two are at the same.
SHORT, FULL = [(50, 12), (6, 20)], [(50, 150), (6, 100)] * 10


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock: install util-linux")
def test_whatever_people_do_to_the_same_jobs_at_once_each_is_in_one_place_and_what_was_said_is_true(
        workplace, own_local, full, seed, figures):
    rounds, acts, done = FULL if full else SHORT, 0, 0
    for number, (jobs, each) in enumerate(rounds):
        one = melee.Melee(os.path.join(workplace, f"melee{number}"), jobs, full, random.Random(f"{seed} {number}"))
        one.run(each)
        wrong = one.violations()
        assert not wrong, f"round {number} of seed {seed}: {len(wrong)} violations:\n" + "\n".join(wrong[:20])
        done += sum(len(act.done) for act in one.acts())
        acts += each * melee.PERSONS
    # Else nobody came to do anything.
    assert done > acts / 4
    figures(f"{acts} acts of {melee.PERSONS} people at once in {len(rounds)} jars, done to {done} jobs; 0 jobs lost,"
            " 0 run twice at once, 0 run against what was said")
