"""Orders to running jobs: published whole, obeyed once, by the attempt for which they are meant."""

import json
import os

import pytest
from support import faults, jars, processes, workers

from jobjar import control, fsops, process
from jobjar.control import CANCEL, Order
from jobjar.layout import Place

SLEEPER = "exec sleep 60"
PLACE = Place("claims", None, "x")


@pytest.fixture
def run(jar):
    """(a worker that has begun a job which sleeps, the job's place)"""
    place = workers.submit(jar, SLEEPER)
    with workers.working(jar) as worker:
        processes.until(lambda: _attempt(worker, place), "the claim")
        processes.until(lambda: os.path.exists(f"{worker.claims}/{place.name}"))
        yield worker, place


def _attempt(worker, place):
    """The id of the last claim of this job."""
    found = [line["a"] for line in worker.journal() if line["e"] == "claim" and line["n"] == place.name]
    return found[-1] if found else None


def _order(worker, place, name="order", **more):
    order = Order(CANCEL, _attempt(worker, place), "me@rain", "a mistake")._replace(**more)
    return control.publish(worker.jar, worker.name, "rain.1", name, order, place)


def _end(worker, place):
    processes.until(lambda: os.path.exists(f"{worker.jar.completed}/{place.name}"), "the job's end")
    return worker.ends()[-1]


def test_a_cancelled_job_is_ended_at_once_and_says_by_whom_and_why(jar, run):
    worker, place = run
    path = _order(worker, place)
    end = _end(worker, place)
    assert end["state"] == "CANCELLED" and end["signal"] == 15
    assert end["why"] == "cancelled by me@rain: a mistake"
    assert os.path.lexists(f"{jar.failed}/{place.name}")
    processes.until(lambda: not os.path.exists(path), "the removal of the order")


def test_a_job_is_cancelled_where_no_inotify_tells_of_it(jar):
    place = workers.submit(jar, SLEEPER)
    with workers.working(jar, before=workers.without_inotify, JJ_ORDER_TIME="0.2") as worker:
        processes.until(lambda: os.path.exists(f"{worker.claims}/{place.name}"))
        _order(worker, place)
        assert _end(worker, place)["state"] == "CANCELLED"


def test_an_order_for_another_attempt_is_removed_and_harms_nobody(jar, run):
    worker, place = run
    path = _order(worker, place, attempt="earlier-1")
    processes.until(lambda: not os.path.exists(path), "the removal of the order")
    _order(worker, place, "order-2")
    # Had the first one been obeyed, the words of the second would not be there.
    assert _end(worker, place)["why"] == "cancelled by me@rain: a mistake"
    assert "earlier" not in worker.log()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"order": "cancel"}', '{"order": 5, "a": 5, "who": 5, "why": 5}'])
def test_what_is_no_order_is_removed_and_reported(jar, run, text):
    worker, place = run
    path = os.path.join(jar.orders(worker.name), "nonsense")
    fsops.publish(path, text.encode())
    processes.until(lambda: not os.path.exists(path), "the removal")
    assert "nonsense is not obeyed" in worker.log()
    _order(worker, place)
    assert _end(worker, place)["state"] == "CANCELLED"


def _link(path, order):
    os.symlink(order, path)


def _second_name(path, order):
    os.link(order, path)


def _fifo(path, order):
    os.mkfifo(path)


def _directory(path, order):
    os.mkdir(path)


@pytest.mark.parametrize("make", [_link, _second_name, _fifo, _directory])
def test_only_a_regular_file_with_one_name_is_obeyed(jar, run, make, tmp_path):
    worker, place = run
    line = {"order": "cancel", "a": _attempt(worker, place), "who": "x", "why": "slipped in"}
    order = jars.write(str(tmp_path / "order"), json.dumps(line))
    make(os.path.join(jar.orders(worker.name), "strange"), order)
    processes.until(lambda: "strange is left alone" in worker.log(), "the worker's word")
    _order(worker, place)
    assert _end(worker, place)["why"] == "cancelled by me@rain: a mistake"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away: run the tests as root")
def test_an_order_of_a_user_who_is_not_trusted_is_not_obeyed(jar, run):
    worker, place = run
    line = {"order": "cancel", "a": _attempt(worker, place), "who": "x", "why": "not mine"}
    draft = jars.write(os.path.join(jar.orders(worker.name), ".draft"), json.dumps(line), 0o644)
    os.chown(draft, 12345, -1)
    os.rename(draft, draft.replace(".draft", "strange"))
    processes.until(lambda: "strange is left alone" in worker.log(), "the worker's word")
    _order(worker, place)
    assert _end(worker, place)["why"] == "cancelled by me@rain: a mistake"


def test_a_job_that_does_not_listen_is_killed(jar):
    place = workers.submit(jar, "trap '' TERM; while :; do sleep 1; done")

    def hasten():
        process.GRACE = 0.3
    with workers.working(jar, before=hasten) as worker:
        processes.until(lambda: os.path.exists(f"{worker.claims}/{place.name}"))
        _order(worker, place)
        assert _end(worker, place)["signal"] == 9


def test_an_order_to_a_worker_that_is_gone_is_none(jar):
    assert control.publish(jar, "rain.5", "rain.6", "order", Order(CANCEL, "a-1", "me", ""), PLACE) is None
    assert os.listdir(jar.limbo) == []


def test_an_order_that_is_struck_anywhere_is_there_whole_or_not_at_all(jar, points):
    jars.worker(jar, "rain.5")
    os.mkdir(jar.orders("rain.5"))
    order = Order(CANCEL, "a-1", "me@rain", "why")

    def act():
        return control.publish(jar, "rain.5", "rain.6", "order", order, PLACE)
    undisturbed = faults.strike(act, faults.EVERY_READ, jar.home)
    for fault in [*faults.points(undisturbed.trace, faults.BEFORE, faults.AFTER, faults.TORN, faults.CUT, faults.LOST),
                  *faults.all_errors(undisturbed.trace, undisturbed.reads)]:
        fsops.remove(os.path.join(jar.orders("rain.5"), "order-a-1"))
        outcome = faults.strike(act, fault, jar.home)
        names = [name for name in os.listdir(jar.orders("rain.5")) if not name.startswith(".")]
        wrong = faults.dishonest(fault, outcome)
        for name in names:
            text = jars.read(os.path.join(jar.orders("rain.5"), name))
            wrong += [] if control._parsed(text.encode()) == order else [f"torn: {text!r}"]
        if not outcome.died and not outcome.error and names != ["order-a-1"]:
            wrong.append("it was published, and is not there")
        act()
        points.add(faults.struck(fault, outcome), wrong)
    points.verdict()
