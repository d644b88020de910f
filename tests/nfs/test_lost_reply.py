"""The worst that a network can do to a claim: the server makes it, the reply is lost, and the server forgets."""

import contextlib
import json
import shlex

import cluster
import pytest
from support import processes

pytestmark = pytest.mark.nfs


@contextlib.contextmanager
def a_claim_without_an_answer(ground):
    """A worker on node B whose claim the server has made, and which will never hear of it, while the block runs."""
    gate = shlex.quote(f"/tmp/{ground.name}.gate")
    ground.a.tell("submit", ground.directory, 1, "echo once")
    # NFSv4 lends node B a file that nobody else has open, and would have to ask it before it renames the file.
    holder = ground.a.start(ground.a.on_node("hold", ground.directory, 60))
    worker = ground.b.start(ground.b.on_node("claim-at", ground.directory, gate, **ground.settings))
    try:
        for process, said in ((holder, "holding\n"), (worker, "at the rename\n")):
            assert said in iter(process.stdout.readline, ""), processes.finish(process)
        ground.cluster.strike(cluster.CUT)
        ground.b.run(f"touch {gate}")
        assert json.loads(processes.finish(holder, 90.0)[1]) == {"left": 0}, "the server did not make the claim"
        yield worker
    finally:
        ground.b.run(f"touch {gate}")
        for process in (holder, worker):
            process.kill()
            process.communicate()
        ground.b.run(f"rm {gate}")


def test_a_claim_is_recognised_though_the_server_was_killed_before_it_could_answer(ground, figures):
    ground.cluster.require(cluster.CUT, cluster.KILL)
    with a_claim_without_an_answer(ground) as worker:
        ground.cluster.strike(cluster.KILL)
        ground.cluster.repair(cluster.CUT)
        ground.cluster.repair(cluster.KILL)
        status, out, err = processes.finish(worker, cluster.PATIENCE)
    said = [line.removeprefix("said ") for line in out.splitlines() if line.startswith("said ")]
    figures(f"the rename said {' '.join(said)}, on {ground.cluster.circumstances()}")
    assert status == 0 and said[0] != "success", out + err
    found = ground.a.tell("ran", ground.directory)
    assert found == {"ran": 1, "waiting": 0, "owners": []}
    assert ground.a.run(f"cat {shlex.quote(ground.path('jar', 'logs'))}/*") == "once\n"
