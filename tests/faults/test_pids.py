"""Numbers of processes come round: in a namespace of the test's own, where they can be chosen."""

import json
import os
import random
import shutil

import pytest
from support import jars, pidspace, processes, workers
from support.nodes import Dead

from jobjar import node, registration

unshares = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare") or not os.path.exists(pidspace.LAST),
                              reason="only root can make a pid namespace: install util-linux and run the tests as root")


def told(process, deadline):
    status, out, err = processes.finish(process, deadline)
    assert status == 0, err
    return json.loads(out)


@unshares
def test_the_number_of_a_dead_worker_may_be_anybodys(jar, full, figures):
    said = told(pidspace.enter("rounds", jar.home, "100" if full else "3"), 500)
    assert said["wrong"] == [], "\n".join(said["wrong"])
    assert sum(said["done"].values()) >= (66 if full else 2)
    figures(f"{sum(said['done'].values())} workers died and their numbers went to others: {said['done']}")


@unshares
def test_two_containers_of_one_name_never_touch_each_others_jobs(jar, full, figures):
    number = 1000 if full else 20
    holder = pidspace.enter("hold", jar.home)
    try:
        processes.until(lambda: os.path.exists(f"{jar.home}.holder") or holder.poll() is not None, "a worker has a job")
        said = told(pidspace.enter("raid", jar.home, str(number)), 300)
    finally:
        jars.write(f"{jar.home}.go", "")
        had = told(holder, 60)
    assert said["wrong"] == [] and len(said["others"]) == 1 and had == {"had": True}
    figures(f"{number} recoveries from a second container of the same node's name, none of which touched a job")


def test_a_worker_of_another_namespace_is_never_called_dead(jar, full, seed, points):
    dead = Dead(jar)
    record, me, chance = registration.read(jar, dead.name), node.myself(workers.NODE), random.Random(seed)
    for _ in range(1000 if full else 100):
        # Whatever runs here under its number, and whatever else is alike.
        other = me._replace(pid=chance.choice((me.pid, dead.identity.pid, 1)), pidns=me.pidns + chance.randrange(1, 99),
                            start=chance.choice((me.start, dead.identity.start, 0)),
                            machine=chance.choice((me.machine, "another", "")))
        beat = chance.choice((0, 1e9))
        os.utime(os.path.join(dead.directory, "beat"), (beat, beat))
        verdict = registration.verdict(jar, record._replace(identity=other), me)
        points.add(f"{other}", [] if verdict == node.UNKNOWN else [verdict])
    points.verdict()
    dead.journal.close()
