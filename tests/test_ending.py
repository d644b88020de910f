"""Who ends a running job: its time limit, a person, the worker; and that it is asked to before it is killed."""

import os
import signal

import pytest
from jobjar import attempts, process, states
from support import jars, processes, workers

TAKES_NO_HINT = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def run(jar, asks, body, before=lambda: None, header="#!/bin/sh\n", name="x", **more):
    """Let a worker with little patience run one job that asks for something; the end line and what it printed."""
    workers.place(jar, name, body, header=f"{header}#JJ {asks}\n" if asks else header)
    w = workers.drain(jar, before=lambda: (be_impatient(), before()), **more)
    return w.ends()[0], jars.read(jar.log(name)) if os.path.exists(jar.log(name)) else ""


def be_impatient():
    process.GRACE = 0.5


def cancelled(when):
    """For `before`: a person cancels the job when `when(text)` is true of what it has printed."""
    was = attempts.Attempts.perform

    def perform(self, place, tick, quit, _, *more):
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


# What escapes, warnings, memory.

LEAVES_THE_SESSION = """import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("grandchild", os.getpid(), flush=True)
    time.sleep(60)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(60)
"""
PYTHON = "#!/usr/bin/python3 -S\n"


def pid_in(text):
    return int(text.split("grandchild")[1].split()[0])


def test_what_has_left_the_session_and_takes_no_hint_ends_with_the_job(jar):
    end, text = run(jar, "--time=0.3s", LEAVES_THE_SESSION, header=PYTHON)
    assert not processes.is_running(pid_in(text)) and (end["state"], end["signal"]) == ("TIMEOUT", signal.SIGKILL)


def test_what_has_left_the_session_is_asked_to_end_with_the_job_and_has_the_same_grace(jar):
    body = """import os, signal, time
def put_in_order(*_):
    time.sleep(0.2)
    print("in order", flush=True)
    os._exit(0)
inner, outer = os.pipe()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, put_in_order)
    os.write(outer, b".")
    time.sleep(60)
os.read(inner, 1)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.wait()
"""
    end, text = run(jar, "--time=0.5s", body, header=PYTHON, before=lambda: setattr(process, "GRACE", 3.0))
    assert text == "in order\n" and (end["state"], end["signal"]) == ("TIMEOUT", 0)


def test_a_job_is_warned_before_its_time_is_up_once(jar):
    body = "trap 'echo warned' USR1; while :; do sleep 0.02; done"
    end, text = run(jar, "--time=2s --signal=USR1@1", body)
    assert text.count("warned") == 1 and end["state"] == "TIMEOUT" and end["signal"] == signal.SIGTERM


def test_a_warning_reaches_the_whole_group_and_a_job_that_ends_then_has_not_run_out_of_time(jar):
    body = "trap 'wait; exit 0' USR1; (trap 'echo checkpoint; exit 0' USR1; while :; do sleep 0.02; done) & wait"
    end, text = run(jar, "--time=30s --signal=USR1@29", body)
    assert text.endswith("checkpoint\n") and end["state"] == "COMPLETED"


HOG = """import os, sys, time
share, number = int(sys.argv[1]) if sys.argv[1:] else {share}, {number}
for _ in range(number - 1):
    if os.fork() == 0:
        os.setsid()
        break
held = bytearray(b"x") * (share << 20)
time.sleep({seconds})
"""


def test_a_job_whose_processes_use_too_much_memory_together_is_ended_at_once(jar):
    """Each of them alone would be well within."""
    end, _ = run(jar, "--mem=100M", HOG.format(share=60, number=4, seconds=60), header=PYTHON)
    assert (end["state"], end["signal"]) == ("OUT_OF_MEMORY", signal.SIGKILL)
    assert "were allowed 150M" in end["why"] and end["maxrss"] > 150 * 1024


def test_a_job_within_its_memory_times_the_factor_is_left_alone_and_its_greatest_sum_is_told(jar):
    end, _ = run(jar, "--mem=100M", HOG.format(share=40, number=3, seconds=1.2), header=PYTHON)
    assert end["state"] == "COMPLETED" and 120 * 1024 < end["maxrss"] < 200 * 1024


def test_the_factor_is_the_jar_s_to_choose(jar):
    end, _ = run(jar, "--mem=100M", HOG.format(share=60, number=2, seconds=60), header=PYTHON, JJ_LIMIT_FACTOR="1")
    assert end["state"] == "OUT_OF_MEMORY" and "were allowed 100M" in end["why"]


def test_memory_that_processes_share_is_counted_once(jar):
    body = """import os, time
held = bytearray(b"x") * (60 << 20)
for _ in range(4):
    if os.fork() == 0:
        break
time.sleep(1.5)
"""
    end, _ = run(jar, "--mem=100M", body, header=PYTHON)
    assert end["state"] == "COMPLETED"


def test_address_space_that_is_only_reserved_is_no_memory(jar):
    """As Java, Go and CUDA do."""
    body = "import mmap, time\nheld = mmap.mmap(-1, 8 << 30)\nheld[0] = 1\ntime.sleep(0.7)\n"
    end, _ = run(jar, "--mem=100M", body, header=PYTHON)
    assert (end["state"], end["exit"]) == ("COMPLETED", 0)
    end, text = run(jar, "--mem=100M --address-space=1G", body, header=PYTHON, name="y")
    assert end["state"] == "FAILED" and "Cannot allocate memory" in text


def test_a_job_that_goes_on_starting_processes_is_ended_whole(jar):
    body = """import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        if os.fork():
            os._exit(0)
        time.sleep(60)
    time.sleep(0.05)
"""
    end, _ = run(jar, "--time=0.5s", body, header=PYTHON)
    assert end["state"] == "TIMEOUT"


def test_a_small_job_is_not_said_to_have_used_what_its_worker_has(jar):
    def grow():
        global held
        held = bytearray(b"x") * (100 << 20)
    end, _ = run(jar, "--mem=1G", "sleep 0.8", before=grow)
    assert 0 < end["maxrss"] < 50 * 1024


def test_what_a_job_was_told_and_what_it_asked_for_is_in_the_journal(jar):
    asks = '--time=20s --mem=1G --env=A=b --umask=022 --tag=x --submit-dir=/'
    end, _ = run(jar, asks, "true", name="20261121-120000-ann-123456789.0")
    assert (end["req"], end["submit"]) == (["--tag=x", "--time=20s", "--mem=1G"], 1795262400.123)
    end, _ = run(jar, "", "true", name="hand-made")
    assert "req" not in end and end["start"] - 60 < end["submit"] <= end["t"]
