"""The manual's statements about workers and what they do with a job, one by one; the first ones with its commands."""

import contextlib
import os
import time
import types

import pytest

from jobjar import worker
from support import jars, processes, programs, workers


@contextlib.contextmanager
def started(jar, *words, **settings):
    """Workers started as the manual says, `bin/start_worker …`; their names. They are stopped by STOP_ALL."""
    env = processes.environment(JJ_HOME=jar.home, JJ_NODE="rain", **settings)
    names = []

    def start(*more):
        code, out, err = programs.run("start_worker", *more, env=env)
        assert code == 0, err
        names.append(out.strip())
    try:
        start(*words)
        yield names, start
    finally:
        with open(os.path.join(jar.workers, "STOP_ALL"), "w"):
            pass
        processes.until(lambda: not any(processes.is_running(int(name.rpartition(".")[2])) for name in names))


def is_completed(jar, *names):
    return lambda: set(names) <= set(os.listdir(jar.completed))


def test_start_worker_starts_a_background_process_that_begins_looking_for_jobs(jar):
    workers.place(jar, "x")
    with started(jar) as (names, _):
        processes.until(is_completed(jar, "x"))
        assert processes.is_running(int(names[0].removeprefix("rain.")))


def test_any_number_of_workers_may_be_started_on_a_node(jar):
    with started(jar) as (names, start):
        start()
        assert len(set(names)) == 2
        processes.until(lambda: set(names) <= set(os.listdir(jar.workers)))


def test_a_worker_claims_jobs_of_the_categories_that_it_was_given_and_uncategorized_ones(jar):
    for category in ("LINUX", "AMD_OPTERON", None, "OTHER"):
        workers.place(jar, f"{category}", category=category)
    with started(jar, "LINUX", "AMD_OPTERON", JJ_CATEGORIES="OTHER"):
        processes.until(is_completed(jar, "LINUX", "AMD_OPTERON", "None"))
    assert os.listdir(jar.directory("unclaimed", "OTHER")) == ["OTHER"]


def test_without_categories_it_claims_those_of_the_configuration_its_node_s_and_uncategorized_ones(jar):
    """The manual says both; docs/decisions has which."""
    for category in ("LINUX", "OTHER", "rain", None):
        workers.place(jar, f"{category}", category=category)
    with started(jar, JJ_CATEGORIES="LINUX"):
        processes.until(is_completed(jar, "LINUX", "rain", "None"))
    assert os.listdir(jar.directory("unclaimed", "OTHER")) == ["OTHER"]


def test_a_job_of_a_node_s_category_runs_on_that_node(jar):
    workers.place(jar, "x", "echo $JJ_NODE", category="arizona")
    with workers.working(jar, JJ_NODE="rain"), workers.working(jar, JJ_NODE="arizona"):
        processes.until(is_completed(jar, "x"))
    assert jars.read(jar.log("x")) == "arizona\n"


# Stopping.


def test_a_worker_may_only_be_stopped_between_jobs(jar):
    """It finishes, moves the job, removes the scratch directory, and exits; in this order."""
    workers.place(jar, "x", "touch $JJ_WORKER_HOME/$JJ_WORKER/STOP; sleep 0.2; echo finished; touch left")
    with workers.working(jar) as w:
        assert w.wait() == 0
    assert jars.read(jar.log("x")) == "finished\n" and os.listdir(jar.completed) == ["x"]
    assert not os.path.exists(w.scratch)


def test_a_file_named_stop_in_its_directory_stops_a_worker_and_no_other(jar):
    with workers.working(jar) as one, workers.working(jar) as two:
        jars.write(one.path("STOP"), "", 0o644)
        assert one.wait() == 0
        workers.place(jar, "x")
        processes.until(is_completed(jar, "x"))
        assert not two.has_ended()


def test_stop_all_causes_new_workers_to_stop_before_claiming_any_jobs(jar):
    jars.write(os.path.join(jar.workers, "STOP_ALL"), "", 0o644)
    workers.place(jar, "x")
    with workers.working(jar) as w:
        assert w.wait() == 0
    assert os.listdir(jar.unclaimed) == ["x"] and w.journal() == []


def test_a_new_worker_is_not_stopped_by_the_marker_of_an_earlier_one(jar):
    with workers.working(jar) as old:
        jars.write(old.path("STOP"), "", 0o644)
        assert old.wait() == 0
    workers.place(jar, "x")
    with workers.working(jar):
        processes.until(is_completed(jar, "x"))


# Pausing.


def test_a_paused_worker_does_not_claim_but_does_not_exit_and_resumes_when_the_marker_is_removed(jar):
    with workers.working(jar, JJ_PAUSE_TIME="0.1", before=workers.without_inotify) as w:
        jars.write(w.path("PAUSE"), "", 0o644)
        # It periodically wakes up; after the second beat from now it has seen the marker.
        wait_for_beats(w, 2)
        workers.place(jar, "x")
        wait_for_beats(w, 3)
        assert os.listdir(jar.unclaimed) == ["x"] and not w.has_ended()
        os.remove(w.path("PAUSE"))
        processes.until(is_completed(jar, "x"))


def wait_for_beats(w, number):
    for _ in range(number):
        beat = os.stat(w.path("beat")).st_mtime_ns
        processes.until(lambda: os.stat(w.path("beat")).st_mtime_ns != beat)


def test_pause_all_can_be_used_to_start_workers_in_a_paused_state(jar):
    jars.write(os.path.join(jar.workers, "PAUSE_ALL"), "", 0o644)
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="0.1", before=workers.without_inotify) as w:
        wait_for_beats(w, 3)
        assert os.listdir(jar.unclaimed) == ["x"]
        os.remove(os.path.join(jar.workers, "PAUSE_ALL"))
        processes.until(is_completed(jar, "x"))


@pytest.mark.parametrize("stop", ["STOP", "STOP_ALL"])
@pytest.mark.parametrize("pause", ["PAUSE", "PAUSE_ALL"])
def test_stopping_has_priority_over_pausing(jar, stop, pause):
    with workers.working(jar) as w:
        for name in (pause, stop):
            jars.write(os.path.join(jar.workers if name.endswith("ALL") else w.directory, name), "", 0o644)
        assert w.wait(5) == 0


@pytest.mark.parametrize("pause, least, most", [(60, 54, 59), (30, 27, 33), (600, 590, 610)])
def test_an_idle_worker_does_not_wake_up_for_a_beat_when_a_look_is_nearly_due(pause, least, most):
    """Each asks a file server for as much, and a look beats, too."""
    waits = types.SimpleNamespace(settings=types.SimpleNamespace(pause_time=float(pause)))
    drawn = []
    for _ in range(200):
        waits._pause = 1000.0
        drawn.append(worker.Worker._backed_off(waits))
    assert least <= min(drawn) and max(drawn) <= most


def test_the_pause_is_spread_by_a_tenth_and_by_no_more_than_ten_seconds():
    for seconds, spread in ((60, 6), (300, 10), (0.5, 0.05)):
        drawn = [worker._spread(seconds) for _ in range(2000)]
        assert seconds - spread <= min(drawn) < seconds - spread * 0.9
        assert seconds + spread * 0.9 < max(drawn) <= seconds + spread


# The life of a job.


def test_jobs_are_run_without_any_command_line_parameters(jar):
    workers.place(jar, "x", 'echo "$# $0"')
    w = workers.drain(jar)
    assert jars.read(jar.log("x")) == f"0 {w.claims}/x\n"


def test_the_scratch_directory_is_deleted_after_the_job_and_what_was_moved_out_of_it_stays(jar, tmp_path):
    workers.place(jar, "x", f"echo result >$JJ_SCRATCH_DIR/out; mv $JJ_SCRATCH_DIR/out {tmp_path}/kept")
    w = workers.drain(jar)
    assert (tmp_path / "kept").read_text() == "result\n" and not os.path.exists(w.scratch)


def test_the_steps_of_a_job_s_life_come_in_the_manual_s_order(jar, tmp_path):
    """Claimed, linked, its directory made, run, moved to completed/, unlinked, its directory removed."""
    record = tmp_path / "record"

    def listen():
        import sys
        file = open(record, "w", buffering=1)
        events = ("os.rename", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.posix_spawn")
        sys.addaudithook(lambda event, words: event in events and file.write(f"{event[3:]} {words[0]} {words[1]}\n"))
    workers.place(jar, "x", "touch left")
    w = workers.drain(jar, before=listen)
    found = iter(jars.read(str(record)).splitlines())
    steps = [f"rename {jar.unclaimed}/x {w.claims}/x", f"symlink ../workers/{w.name}/claims/x {jar.claimed}/x",
             f"mkdir {w.scratch}", f"posix_spawn {w.claims}/x", f"rename {w.claims}/x {jar.completed}/x",
             f"remove {jar.claimed}/x", "rmdir scratch"]
    # Each is found behind the one before it.
    assert [any(line.startswith(step) for line in found) for step in steps] == [True] * len(steps)


def test_a_job_is_submitted_by_copying_it_to_limbo_and_moving_it(jar):
    """The manual's own words: cd limbo, cp, mv; with a priority in the extension."""
    program = jars.write(os.path.join(jar.home, "standalone_job"), "#!/bin/sh\necho $JJ_PRIORITY\n")
    with workers.working(jar):
        words = f"cp {program} ./standalone_job.15 && mv standalone_job.15 ../unclaimed"
        assert os.system(f"cd {jar.limbo} && {words}") == 0
        processes.until(is_completed(jar, "standalone_job.15"))
    assert jars.read(jar.log("standalone_job.15")) == "15\n"


def test_a_job_of_a_category_that_no_worker_checks_is_never_run(jar):
    path = workers.place(jar, "x", category="NOBODY_S")
    workers.drain(jar, "LINUX")
    assert os.path.exists(path)


def test_higher_priority_first_then_the_oldest_and_categories_before_uncategorized(jar):
    for name, category, age in (("a.1", None, 1), ("b", "LINUX", 9), ("c", "LINUX", 10), ("d.2", "LINUX", 1),
                                ("e.-1", "rain", 1), ("f.9", None, 1)):
        os.utime(workers.place(jar, name, category=category), (time.time() - age, time.time() - age))
    w = workers.drain(jar, "LINUX")
    assert [end["n"] for end in w.ends()] == ["e.-1", "d.2", "c", "b", "f.9", "a.1"]


def test_a_seed_job_submits_other_jobs(jar):
    workers.place(jar, "seed", "for n in 1 2 3; do submit_job -p $n echo run_sr $n; done")
    with workers.working(jar) as w:
        processes.until(lambda: len(w.ends()) == 4, lambda: jars.read(jar.log("seed")))
    assert sorted(jars.read(jar.log(end["n"])) for end in w.ends()[1:]) == [f"run_sr {n}\n" for n in (1, 2, 3)]


# A worker's directory.


def test_a_worker_s_directory_is_named_by_its_node_and_its_process(jar):
    with workers.working(jar, JJ_NODE="rain.example.org") as w:
        assert os.listdir(jar.workers) == [f"rain.example.org.{w.pid}"]


def test_it_tells_what_the_worker_does(jar):
    workers.place(jar, "x", "sleep 60", category="A")
    with workers.working(jar, "A") as w:
        processes.until(lambda: os.path.exists(w.scratch))
        processes.until(lambda: os.path.exists(w.output))
        assert sorted(os.listdir(w.directory)) == ["beat", "claims", "journal", "orders", "output", "scratch",
                                                   "worker.json"]
        assert os.listdir(os.path.join(w.claims, "A")) == ["x"]


def test_workers_do_not_delete_their_directories_when_they_exit(jar):
    w = workers.drain(jar)
    assert os.path.isdir(w.directory) and not os.path.exists(w.claims)
