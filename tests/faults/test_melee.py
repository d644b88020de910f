"""Several people hold, release, cancel, change, retry and move the same jobs at once, while workers run them.

Nothing is injected here: real processes, real jobs, and acts that the seed draws.
"""

import os
import random
import shutil

import pytest
from support import melee

# (rounds, acts of each person in each)
SHORT, FULL = (1, 40), (20, 400)
JOBS = 50


@pytest.mark.skipif(not shutil.which("flock"), reason="no flock: install util-linux")
def test_whatever_people_do_to_the_same_jobs_at_once_each_is_in_one_place_and_what_was_said_is_true(
        workplace, own_local, full, seed, figures):
    rounds, acts = FULL if full else SHORT
    done = 0
    for number in range(rounds):
        one = melee.Melee(os.path.join(workplace, f"melee{number}"), JOBS, full, random.Random(f"{seed} {number}"))
        one.run(acts)
        wrong = one.violations()
        assert not wrong, f"round {number} of seed {seed}: {len(wrong)} violations:\n" + "\n".join(wrong[:20])
        done += sum(len(act.done) for act in one.acts())
    assert done > rounds * acts
    figures(f"{rounds * acts * melee.PERSONS} acts of {melee.PERSONS} people on {JOBS} jobs, {done} of them done;"
            " 0 jobs lost, 0 run twice at once, 0 run against what was said")
