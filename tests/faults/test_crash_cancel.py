"""A running job is cancelled, and its worker is killed before or after it has obeyed: it ends cancelled, and is not run
again, whoever brings it back. Real processes."""

import os
import signal

import pytest
from support import jars, processes, workers

from jobjar import cancelling, changing, ends, fslook, moves, node, states
from jobjar.job import CANCELLED, Job
from jobjar.journal import Journal
from jobjar.layout import Place
from jobjar.recovery import Recovery


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_the_end_line():
    Journal.end = die


def die_before_the_commit():
    moves.complete = die


# When the worker dies → what is done in its process before it begins.
DEATHS = {
    "before it has seen the order": None,
    "when it has ended the job": die_before_the_end_line,
    "when it has written down the end": die_before_the_commit,
}


def recover_here(jar):
    return Recovery(jar, node.myself(workers.NODE), 3, kill_orphans=True).node()


def recover_elsewhere(jar):
    """A person says on another node that this one is down."""
    recovery = Recovery(jar, node.myself("meadow"), 3, kill_orphans=True)
    return recovery.vouched(recovery.believe(workers.NODE))


@pytest.mark.parametrize("recover", [recover_here, recover_elsewhere])
@pytest.mark.parametrize("death", DEATHS)
def test_a_cancelled_job_whose_worker_is_killed_ends_cancelled_and_is_not_run_again(jar, own_local, death, recover):
    told = f"{jar.home}.told"
    place = workers.submit(jar, f"echo begun >>{told}; exec sleep 60", category="C")
    with workers.working(jar, "C", before=DEATHS[death]) as worker:
        claimed = os.path.join(worker.claims, "C", place.name)
        processes.until(lambda: os.path.exists(claimed) and os.path.exists(told), "the job runs")
        if not DEATHS[death]:
            worker.signal(signal.SIGSTOP)
        change = changing.Change(jar, workers.NODE)
        # The answer is not waited for.
        cancelling.cancel(change, [Place(states.CLAIMS, "C", place.name, worker.claims)], "not wanted", order_time=-60.0)
        if not DEATHS[death]:
            worker.signal(signal.SIGKILL)
        processes.until(worker.has_ended, "its worker's death")
    job = Job(jar, place)
    report = recover(jar)
    assert report.left == [] and [name for _, _, name in report.jobs] == [place.name]
    workers.drain(jar, "C")
    assert jars.read(told) == "begun\n" and job.state == CANCELLED
    # `jobjar retry --failed` takes it for what it is.
    assert ends.failed(jar) == [] and fslook.names(jar.limbo) == []
