"""Who ends a running job: its time limit, a person, the worker; and that it is asked to before it is killed."""

import os
import signal

import pytest
from jobjar import attempts, process, states
from support import jars, processes, workers

TAKES_NO_HINT = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def run(jar, asks, body, before=lambda: None, header="#!/bin/sh\n", **more):
    """Let a worker with little patience run one job that asks for something; the end line and what it printed."""
    workers.place(jar, "x", body, header=f"{header}#JJ {asks}\n" if asks else header)
    w = workers.drain(jar, before=lambda: (be_impatient(), before()), **more)
    return w.ends()[0], jars.read(jar.log("x")) if os.path.exists(jar.log("x")) else ""


def be_impatient():
    process.GRACE = 0.5


def cancelled(when):
    """For `before`: a person cancels the job when `when(text)` is true of what it has printed."""
    was = attempts.Attempts.perform

    def perform(self, place, tick, quit):
        def why():
            path = self.runner.output
            return "no more" if os.path.exists(path) and when(jars.read(path)) else None
        return was(self, place, tick, quit, why)
    attempts.Attempts.perform = perform


def test_a_job_that_runs_longer_than_its_time_is_ended(jar):
    end, _ = run(jar, "--time=0.2s", "sleep 60")
    assert (end["state"], end["exit"], end["signal"]) == ("TIMEOUT", 0, signal.SIGTERM)
    assert end["why"] == "its --time of 0.2s is over" and os.path.islink(os.path.join(jar.failed, "x"))


def test_a_job_that_ends_within_its_time_is_left_alone(jar):
    end, text = run(jar, "--time=20s", "echo done")
    assert (end["state"], end["exit"], text) == ("COMPLETED", 0, "done\n") and "why" not in end


def test_a_job_whose_time_is_over_may_write_a_checkpoint_and_is_timed_out_all_the_same(jar):
    body = "trap 'sleep 0.2; echo checkpoint; exit 0' TERM; while :; do sleep 0.02; done"
    end, text = run(jar, "--time=0.2s", body)
    assert text.endswith("checkpoint\n") and (end["exit"], end["signal"], end["state"]) == (0, 0, "TIMEOUT")


def test_a_job_that_takes_no_hint_is_killed(jar):
    end, _ = run(jar, "--time=0.2s", TAKES_NO_HINT)
    assert (end["state"], end["signal"]) == ("TIMEOUT", signal.SIGKILL)


def test_a_job_that_nobody_wants_any_more_is_ended_and_the_reason_told(jar):
    end, _ = run(jar, "", "echo ready; sleep 60", before=lambda: cancelled(lambda text: "ready" in text))
    assert (end["state"], end["why"], end["signal"]) == ("CANCELLED", "no more", signal.SIGTERM)


@pytest.mark.parametrize("code, goes_to", [(3, states.UNCLAIMED), (0, states.COMPLETED)])
def test_a_job_that_ends_with_its_worker_is_put_back_unless_it_has_done_its_work(jar, code, goes_to):
    workers.place(jar, "x", f"trap 'exit {code}' TERM; echo ready; while :; do sleep 0.02; done")
    with workers.working(jar, before=be_impatient) as w:
        processes.until(lambda: os.path.exists(w.output) and "ready" in jars.read(w.output))
        w.signal(signal.SIGTERM)
        w.signal(signal.SIGINT)
        w.wait()
    assert os.path.isfile(os.path.join(jar.directory(goes_to), "x"))


def test_a_job_that_is_to_end_with_its_worker_may_still_be_cancelled(jar):
    workers.place(jar, "x", "trap 'echo told' TERM; echo ready; while :; do sleep 0.02; done")
    with workers.working(jar, before=lambda: cancelled(lambda text: "told" in text)) as w:
        processes.until(lambda: os.path.exists(w.output) and "ready" in jars.read(w.output))
        w.signal(signal.SIGTERM)
        w.signal(signal.SIGINT)
        w.wait()
    assert [end["state"] for end in w.ends()] == ["CANCELLED"]
