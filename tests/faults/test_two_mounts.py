"""Two nodes on one directory, each through a mount that remembers names for longer than any promise."""

import contextlib
import errno
import os
import random
import threading

import pytest
from support import jars, mounts, processes, workers

from jobjar import job, layout, orders, submission
from jobjar.layout import Jar, Place

PAUSE = 1.0
# What is promised of idle workers, and what a busy machine may add; much less than what the mounts remember.
PROMISED = 1.1 * PAUSE + 2.0 + 8.0
FAILS = 7


@pytest.fixture
def nodes(tmp_path, jar):
    """The jar as node `a` and as node `b` see it."""
    points = [str(tmp_path / name) for name in ("a", "b")]
    with mounts.twice(jar.home, *points):
        yield [Jar(point) for point in points]


def worker(jar, node, **more):
    return workers.working(jar, JJ_NODE=node, JJ_PAUSE_TIME=str(PAUSE), JJ_ORDER_TIME="0.2", **more)


def lose_replies(share, told):
    """For `before`: of so many claims the answer is lost, and the second one says that there is no such file."""
    def install():
        was, chance = os.rename, random.Random(os.getpid())

        def rename(source, target, **more):
            was(source, target, **more)
            if "/unclaimed/" in source and "/claims/" in target and chance.random() < share:
                with open(told, "a", encoding="ascii") as file:
                    file.write(".")
                raise FileNotFoundError(errno.ENOENT, "the reply was lost", source)
        os.rename = rename
    return install


def submit(jar, number, told, first):
    """So many jobs, each of which tells that it ran; some end badly. name → whether it is to fail."""
    requests, fails = [], []
    for index in range(number):
        fails.append((first + index) % FAILS == 0)
        body = f"echo $JJ_JOB_ID >> {told}.$JJ_WORKER; exit {3 if fails[-1] else 0}"
        requests.append(submission.Request(submission.script(body), priority=index % 3))
    return {place.name: fail for place, fail in zip(submission.submit_many(jar, requests), fails)}


def watch(jar, names, ended):
    """Wait for these jobs, as another node does: it has looked for each of them already, in vain."""
    handles = {name: job.Job(jar, Place("unclaimed", None, name)) for name in names}
    for handle in handles.values():
        assert handle.state == "PENDING" and handle.output() == ""
        assert not os.path.lexists(os.path.join(jar.completed, handle.name))
        assert not os.path.lexists(os.path.join(jar.failed, handle.name))

    def wait():
        for name, handle in handles.items():
            ended[name] = handle.wait(mounts.REMEMBERS * 20)
    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_two_nodes_lose_nothing_run_nothing_twice_and_see_each_others_jobs(jar, nodes, full, figures):
    """A twentieth of the claims lose their reply; handles on each node wait for what the other has submitted."""
    number, told, ended = 5000 if full else 120, f"{jar.home}.told", {}
    jobs = [submit(jar, number, told, at * number) for at, jar in enumerate(nodes)]
    expected = {**jobs[0], **jobs[1]}
    watched = [sorted(names)[::max(1, number // 30)] for names in jobs]
    waiting = [watch(there, names, ended) for names, there in zip(watched, reversed(nodes))]
    with contextlib.ExitStack() as stack:
        staff = [stack.enter_context(worker(jar, node, before=lose_replies(0.05, f"{told}.lost")))
                 for jar, node in zip(nodes, "ab") for _ in range(2)]
        processes.until(lambda: len(os.listdir(jar.completed)) == 2 * number, deadline=3000 if full else 100)
        for thread in waiting:
            thread.join()
    assert os.listdir(jar.unclaimed) == [] and sorted(os.listdir(jar.completed)) == sorted(expected)
    assert sorted(os.listdir(jar.failed)) == sorted(name for name, fails in expected.items() if fails)
    ran = [line for w in staff if os.path.exists(f"{told}.{w.name}") for line in jars.read(f"{told}.{w.name}").split()]
    assert sorted(f"{base}." for base in ran) == sorted(name[:-1] for name in expected)
    assert ended == {name: "FAILED" if expected[name] else "COMPLETED" for names in watched for name in names}
    for w in staff:
        priorities = [int(line["n"].rpartition(".")[2]) for line in w.ends()]
        assert w.status == 0 and priorities == sorted(priorities, reverse=True)
    lost = len(jars.read(f"{told}.lost"))
    figures(f"two mounts that remember names for {mounts.REMEMBERS} s: {2 * number} jobs, {lost} claims without a reply;"
            " 0 lost, 0 run twice, 0 misjudged")


def told(w, *markers):
    """Until the worker says that it has seen these markers, and no others."""
    text = f"markers: {orders.named(orders.Markers(*markers))}"
    processes.until(lambda: w.log().rstrip().endswith(text), f"{text} in {w.log()}", PROMISED)


def test_markers_of_another_node_are_seen_in_time_by_idle_workers(jar, nodes):
    here, there = nodes
    with worker(here, "a") as w:
        processes.until(w.is_idle)
        # The mount has been asked for each of the names, and remembers.
        assert not any(os.path.lexists(os.path.join(here.worker(w.name), name)) for name in ("STOP", "PAUSE"))
        for _ in range(2):
            assert orders.pause(there, [w.name]) == [w.name]
            told(w, False, True, False, None)
            submitted = workers.submit(there, "true").name
            assert orders.unpause(there, [w.name]) == [w.name]
            told(w, False, False, False, None)
            processes.until(lambda: submitted in os.listdir(jar.completed), deadline=PROMISED)
        jars.write(os.path.join(there.workers, layout.STOP_ALL), "")
        assert w.wait(PROMISED) == 0


def test_a_busy_worker_that_another_node_stops_leaves_when_its_job_has_ended(jar, nodes):
    here, there = nodes
    gate = f"{jar.home}.gate"
    with worker(here, "a") as w:
        workers.submit(there, f"while [ ! -e {gate} ]; do sleep 0.05; done", priority=1)
        processes.until(lambda: os.listdir(jar.unclaimed) == [] and os.listdir(jar.claimed), deadline=PROMISED)
        later = workers.submit(there, "true").name
        assert orders.stop(there, [w.name]) == [w.name]
        told(w, True, False, False, None)
        assert not w.has_ended()
        jars.write(gate, "")
        assert w.wait() == 0
    assert os.listdir(jar.unclaimed) == [later] and len(os.listdir(jar.completed)) == 1
