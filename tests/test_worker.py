"""The life of a worker: markers, sleeping and waking, what it owns, signals, and trouble with the disk."""

import errno
import os
import signal
import statistics
import sys
import time

import pytest

from jobjar import (beat, blame, census, fitness, fslook, fsops, glance, journal, layout, node, notes, orders,
                    process, shelf, signs, watch, worker)
from support import jars, processes, workers


def completed(jar):
    return sorted(name for name in os.listdir(jar.completed) if os.path.isfile(os.path.join(jar.completed, name)))


def is_completed(jar, *names):
    return lambda: set(names) <= set(completed(jar))


def touch(*parts):
    jars.write(os.path.join(*parts), "", 0o644)


def settle(handle):
    """Wait until the worker has looked at everything and sleeps without being waited for by anything racy."""
    beat = os.stat(handle.path("beat")).st_mtime_ns
    processes.until(lambda: os.stat(handle.path("beat")).st_mtime_ns != beat or handle.is_idle())


# Markers act between jobs only.


@pytest.fixture(params=["inotify", "clock"])
def terms(request):
    """A worker that is woken by the kernel though it pauses for a minute, and one that has only its clock."""
    if request.param == "inotify":
        return {"JJ_PAUSE_TIME": "60"}
    return {"JJ_PAUSE_TIME": "0.3", "before": workers.without_inotify}


def wait_for_end_within(handle, seconds):
    began = time.monotonic()
    assert handle.wait() == 0
    assert time.monotonic() - began < seconds


def test_stop_ends_an_idle_worker(jar, terms):
    with workers.working(jar, **terms) as w:
        settle(w)
        touch(w.path(layout.STOP))
        wait_for_end_within(w, 1)


def test_stop_all_ends_every_worker_and_those_that_start_later(jar, terms):
    with workers.working(jar, **terms) as one, workers.working(jar, **terms) as two:
        touch(jar.workers, layout.STOP_ALL)
        assert (one.wait(), two.wait()) == (0, 0)
    workers.place(jar, "x")
    with workers.working(jar, **terms) as late:
        assert late.wait() == 0
    assert os.listdir(jar.unclaimed) == ["x"]


def test_drain_keeps_the_workers_of_its_node_off_and_of_no_other(jar, terms):
    with workers.working(jar, **terms) as here, workers.working(jar, JJ_NODE="rai", **terms) as other:
        jars.write(jar.drain(workers.NODE), "new memory\n", 0o644)
        assert here.wait() == 0
        workers.place(jar, "x")
        processes.until(is_completed(jar, "x"))
        assert not other.has_ended()


def test_a_worker_that_is_told_to_stop_finishes_its_job_first(jar, terms):
    gate = os.path.join(jar.home, "gate")
    workers.place(jar, "x", f"while [ ! -e {gate} ]; do sleep 0.02; done; sleep 0.1; echo done")
    workers.place(jar, "y.-1")
    with workers.working(jar, **terms) as w:
        processes.until(lambda: os.path.exists(w.scratch))
        touch(w.path(layout.STOP))
        processes.until(lambda: "markers: STOP" in w.log(), "the worker says that it knows while its job runs")
        touch(gate)
        assert w.wait() == 0
    assert completed(jar) == ["x"] and os.listdir(jar.unclaimed) == ["y.-1"]
    assert jars.read(jar.log("x")) == "done\n"


def test_a_worker_that_leaves_keeps_its_directory_and_owns_nothing(jar):
    workers.place(jar, "x", "echo >made", category="A")
    w = workers.drain(jar, "A")
    assert sorted(os.listdir(w.directory)) == ["beat", "journal", "log", "orders", "output", "worker.json"]
    assert os.listdir(jar.claimed) == []


def test_a_worker_s_log_tells_which_markers_came_and_went_and_when_nothing_else(jar):
    with workers.working(jar) as w:
        assert w.log() == ""
        for change, told in ((touch, "PAUSE"), (os.remove, "none"), (touch, "PAUSE")):
            change(w.path(layout.PAUSE))
            processes.until(lambda: w.log().rstrip().endswith(f"markers: {told}"), w.log)
        touch(jar.workers, layout.DRAIN + workers.NODE)
    assert [line.partition(" ")[2] for line in w.log().splitlines()] == [
        "markers: PAUSE", "markers: none", "markers: PAUSE", "markers: PAUSE DRAIN", "ends: stopped"]


def test_a_paused_worker_claims_nothing_and_goes_on_afterwards(jar, terms):
    with workers.working(jar, **terms) as w:
        touch(w.path(layout.PAUSE))
        wait_for_look(w)
        workers.place(jar, "x")
        wait_for_look(w)
        assert completed(jar) == []
        os.remove(w.path(layout.PAUSE))
        processes.until(is_completed(jar, "x"), deadline=2)


def wait_for_look(w):
    """Wait until the worker has looked at its markers anew; a marker for another node tells it to."""
    beat = os.stat(w.path("beat")).st_mtime_ns
    marker = w.jar.drain("elsewhere")
    touch(marker)
    processes.until(lambda: os.stat(w.path("beat")).st_mtime_ns != beat, "another look of the worker", 5)
    os.remove(marker)
    processes.until(w.is_idle)


def test_pause_all_pauses_also_those_that_start_later(jar, terms):
    touch(jar.workers, layout.PAUSE_ALL)
    workers.place(jar, "x")
    with workers.working(jar, **terms) as w:
        processes.until(w.is_idle)
        assert os.listdir(jar.unclaimed) == ["x"]
        os.remove(os.path.join(jar.workers, layout.PAUSE_ALL))
        processes.until(is_completed(jar, "x"), deadline=2)


def test_stop_beats_pause(jar, terms):
    touch(jar.workers, layout.PAUSE_ALL)
    with workers.working(jar, **terms) as w:
        touch(w.path(layout.STOP))
        wait_for_end_within(w, 1.5)


def test_a_worker_that_is_to_pause_finishes_its_job_and_removes_its_scratch_directory_first(jar):
    gate = os.path.join(jar.home, "gate")
    workers.place(jar, "x", f"while [ ! -e {gate} ]; do sleep 0.02; done")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(w.scratch))
        touch(w.path(layout.PAUSE))
        touch(gate)
        processes.until(is_completed(jar, "x"))
        processes.until(lambda: not os.path.exists(w.scratch), deadline=2)
        assert not w.has_ended()


def test_a_paused_worker_costs_nothing_whatever_is_submitted(jar):
    """It may not look at the queue, so nothing in the queue may keep it awake."""
    with workers.working(jar, "A") as w:
        touch(w.path(layout.PAUSE))
        processes.until(w.is_idle)
        for number in range(3):
            workers.place(jar, f"x{number}", category="A")
        before = w.seconds_used()
        time.sleep(1.0)
        assert w.seconds_used() - before < 0.25


def test_a_marker_in_the_tick_of_the_last_listing_is_seen_since_inotify_says_so(jar, monkeypatch):
    """The directory's mtime is the same as before, and only the event tells."""
    def freeze():
        signs.Glance.needs_listing = lambda self: self._stamp == -2
    with workers.working(jar, before=freeze) as w:
        processes.until(w.is_idle)
        touch(w.path(layout.STOP))
        wait_for_end_within(w, 1)


def test_a_worker_whose_directory_was_removed_ends(jar):
    with workers.working(jar, JJ_PAUSE_TIME="0.2") as w:
        processes.until(w.is_idle)
        fsops.remove_tree(w.directory)
        assert w.wait() != 0


# Signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_to_end_is_like_stop(jar, number):
    gate = os.path.join(jar.home, "gate")
    workers.place(jar, "x", f"while [ ! -e {gate} ]; do sleep 0.02; done")
    workers.place(jar, "y.-1")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(w.scratch))
        w.signal(number)
        touch(gate)
        assert w.wait() == 0
    assert completed(jar) == ["x"] and os.listdir(jar.unclaimed) == ["y.-1"]


def test_the_second_signal_ends_the_job_and_gives_it_back_uncounted_with_what_it_printed_kept(jar):
    workers.place(jar, "x.3", "echo begun; exec sleep 60", category="A")
    with workers.working(jar, "A") as w:
        processes.until(lambda: os.path.exists(w.output) and jars.read(w.output) == "begun\n")
        w.signal(signal.SIGTERM)
        time.sleep(0.05)
        w.signal(signal.SIGTERM)
        assert w.wait() == 0
    assert os.listdir(jar.directory("unclaimed", "A")) == ["x.3"]
    attempt = next(line["a"] for line in w.journal() if line["e"] == "claim")
    assert os.listdir(jar.logs) == [f"x.3.attempt-{attempt}"] and jars.read(jar.log("x.3", attempt)) == "begun\n"
    assert [line["e"] for line in w.journal()] == ["claim", "requeue"]
    assert os.listdir(jar.notes) == [] == completed(jar) == os.listdir(jar.claimed)


def test_what_a_job_had_written_to_its_own_file_before_its_worker_was_told_to_end_stays(jar, tmp_path):
    name = "20261121-101500-me-000001000.0"
    workers.place(jar, name, "echo $JJ_ATTEMPT; [ $JJ_ATTEMPT = 2 ] || exec sleep 60",
                  header=f"#!/bin/sh\n#JJ --output={tmp_path}/out\n")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(tmp_path / "out") and jars.read(f"{tmp_path}/out") == "1\n")
        # Two that come as one are one.
        processes.until(lambda: w.signal(signal.SIGTERM) or os.listdir(jar.unclaimed))
        assert w.wait() == 0
    assert notes.tally(jar, name, None).deaths == set() and notes.retries(notes.tally(jar, name, None)) == 0
    workers.drain(jar)
    assert completed(jar) == [name] and jars.read(f"{tmp_path}/out") == "1\n2\n"


def test_a_job_that_was_told_to_end_and_ended_well_has_done_its_work(jar):
    workers.place(jar, "x", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(w.output) and jars.read(w.output))
        w.signal(signal.SIGTERM)
        time.sleep(0.05)
        w.signal(signal.SIGTERM)
        assert w.wait() == 0
    assert completed(jar) == ["x"]


def test_a_hangup_is_ignored(jar):
    with workers.working(jar) as w:
        w.signal(signal.SIGHUP)
        workers.place(jar, "x")
        processes.until(is_completed(jar, "x"))
        assert not w.has_ended()


# Sleeping and waking.


def test_a_submitted_job_wakes_an_idle_worker_at_once(jar):
    taken = []
    with workers.working(jar, "A") as w:
        for number in range(9):
            processes.until(w.is_idle)
            began = time.monotonic()
            workers.place(jar, f"x{number}", category="A" if number % 2 else None)
            processes.until(is_completed(jar, f"x{number}"))
            taken.append(time.monotonic() - began)
    print(f"from the submission to the end of a job by an idle worker: median {statistics.median(taken) * 1000:.0f} ms"
          f" of {len(taken)}, longest {max(taken) * 1000:.0f} ms, JJ_PAUSE_TIME 60 s")
    assert statistics.median(taken) < 0.5


def test_an_idle_worker_needs_no_clock_to_find_a_submitted_job(jar):
    def sleep_for_hours():
        watch.Bell.wait, wait = lambda self, seconds: wait(self, 3600 * seconds), watch.Bell.wait
        # A worker that was just told of something sleeps off what its last listing has cost.
        shelf.COST_FACTOR = 0
    with workers.working(jar, "A", before=sleep_for_hours) as w:
        for number in range(4):
            processes.until(w.is_idle)
            workers.place(jar, f"x{number}", category="A" if number % 2 else None)
            processes.until(is_completed(jar, f"x{number}"))


@pytest.mark.parametrize("category", [None, "A"])
def test_a_worker_wakes_also_after_the_directory_was_removed_and_made_again(jar, category):
    directory = jar.queue("unclaimed", category)
    with workers.working(jar, "A") as w:
        for number in range(3):
            processes.until(w.is_idle)
            for name in os.listdir(directory):
                os.rmdir(os.path.join(directory, name))
            os.rmdir(directory)
            os.mkdir(directory)
            workers.place(jar, f"x{number}", category=category)
            processes.until(is_completed(jar, f"x{number}"), deadline=3)


def test_a_worker_wakes_for_a_category_that_comes_into_being(jar):
    with workers.working(jar, "NEW") as w:
        processes.until(w.is_idle)
        workers.place(jar, "x", category="NEW")
        processes.until(is_completed(jar, "x"), deadline=2)


def test_without_inotify_a_job_is_found_within_the_pause_time(jar):
    with workers.working(jar, JJ_PAUSE_TIME="0.5", before=workers.without_inotify) as w:
        processes.until(w.is_idle)
        workers.place(jar, "x")
        processes.until(is_completed(jar, "x"), deadline=3)


def test_chmod_makes_a_file_a_job_though_it_changes_no_directory(jar, terms):
    path = workers.place(jar, "x", mode=0o600)
    with workers.working(jar, **terms) as w:
        processes.until(w.is_idle)
        time.sleep(0.1)
        assert os.path.exists(path)
        os.chmod(path, 0o700)
        processes.until(is_completed(jar, "x"), deadline=3)


def test_an_empty_file_runs_when_it_has_been_empty_for_two_seconds(jar):
    with workers.working(jar) as w:
        processes.until(w.is_idle)
        path = workers.put(jar, "x", b"")
        made = os.stat(path).st_mtime
        processes.until(is_completed(jar, "x"), deadline=10)
    assert w.ends()[0]["start"] - made > 1.9


def test_an_idle_worker_ends_after_the_time_it_was_given(jar):
    workers.place(jar, "x", "sleep 0.4")
    began = time.monotonic()
    w = workers.drain(jar, idle_exit=0.3)
    assert 0.7 < time.monotonic() - began < 5
    assert "ends: idle" in w.log()


def test_an_idle_worker_changes_nothing_but_its_beat(jar):
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="0.1") as w:
        processes.until(is_completed(jar, "x"))
        processes.until(lambda: not os.path.exists(w.scratch))
        processes.until(lambda: beats(w) > 2)
        before = stamps(jar)
        processes.until(lambda: beats(w) > 2)
        assert stamps(jar) == before


def beats(w, seen={}):
    """How often the beat was seen to advance since this first was more than 2."""
    beat = os.stat(w.path("beat")).st_mtime_ns
    count, last = seen.get(w.pid, (0, 0))
    count = (0 if count > 2 else count) + (beat != last)
    seen[w.pid] = count, beat
    return count


def stamps(jar):
    return {top: os.stat(top).st_mtime_ns for top, _, _ in os.walk(jar.home)}


def test_an_idle_look_is_one_open_per_watched_directory_and_the_beat(jar, tmp_path):
    """Seen by an audit hook in the worker; looks are told apart by the beat, which each of them touches."""
    record = tmp_path / "record"

    def listen():
        import sys
        file = open(record, "w", buffering=1)
        sys.addaudithook(lambda event, arguments: file.write(f"{event} {arguments[:1]}\n")
                         if event in ("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove",
                                      "os.rmdir", "os.utime") else None)
    with workers.working(jar, "A", JJ_PAUSE_TIME="0.1", before=lambda: (workers.without_inotify(), listen())):
        # Until the last racy listing has been repeated, and then some.
        processes.until(lambda: len(looks(record)) > 4 and not any("scandir" in line for look in looks(record)[-5:-1]
                                                                   for line in look))
    look = looks(record)[-3]
    assert not any(word in line for line in look for word in ("listdir", "mkdir", "rename", "remove", "rmdir"))
    # The queue's three, the two with markers, claims/.
    assert len(look) <= 7, look


def looks(record):
    if not record.exists():
        return []
    found = [[]]
    for line in jars.read(str(record)).splitlines():
        found[-1].append(line)
        if "/beat'" in line:
            found.append([])
    return found


def test_the_beat_advances_while_a_long_job_runs(jar):
    def often():
        worker.INTERVAL = beat.INTERVAL = 0.2
    workers.place(jar, "x", "sleep 60")
    with workers.working(jar, before=often, JJ_ORDER_TIME="60") as w:
        processes.until(lambda: os.path.exists(w.scratch))
        for _ in range(8):
            began = os.stat(w.path("beat")).st_mtime_ns
            processes.until(lambda: os.stat(w.path("beat")).st_mtime_ns > began, deadline=2)
        w.signal(signal.SIGTERM)


# What is in claims/ is this worker's, however it came.


@pytest.mark.parametrize("category", [None, "A"])
def test_a_claim_that_succeeds_late_is_found_and_run(jar, category):
    workers.place(jar, "before", category=category)
    with workers.working(jar, "A", JJ_PAUSE_TIME="0.3") as w:
        processes.until(is_completed(jar, "before"))
        processes.until(w.is_idle)
        late = jars.write(os.path.join(jar.limbo, "late"), "#!/bin/sh\necho ran\n")
        os.rename(late, os.path.join(w.claims, category or "", "late"))
        processes.until(is_completed(jar, "late"), deadline=4)
    assert jars.read(jar.log("late")) == "ran\n"


def test_a_link_in_claims_is_no_job_and_is_removed(jar):
    with workers.working(jar, JJ_PAUSE_TIME="0.3") as w:
        os.symlink("reserved:rain.1:x", os.path.join(w.claims, "x"))
        processes.until(lambda: not os.listdir(w.claims), deadline=4)
        assert not w.has_ended()
    assert w.journal() == []


def test_a_late_find_of_an_untrusted_owner_is_refused_all_the_same(jar):
    if os.geteuid():
        pytest.skip("only root can make a file of somebody else's")
    with workers.working(jar, JJ_PAUSE_TIME="0.3") as w:
        late = jars.write(os.path.join(jar.limbo, "late"), "#!/bin/sh\n", 0o755)
        os.chown(late, 65534, 65534)
        os.rename(late, os.path.join(w.claims, "late"))
        processes.until(lambda: os.listdir(jar.failed) == ["late"], deadline=4)
    assert w.ends() == []


def test_a_worker_that_was_fenced_touches_nothing_and_ends(jar):
    with workers.working(jar) as w:
        processes.until(w.is_idle)
        os.rename(w.claims, w.path("recovering.x"))
        workers.place(jar, "x")
        assert w.wait() == 1
    assert os.listdir(jar.unclaimed) == ["x"] and "fenced" in w.log()


def test_a_worker_that_is_fenced_between_its_look_and_its_claim_does_not_make_claims_anew(jar):
    def look_away():
        from jobjar import claiming
        claiming.Claims.find = lambda *_: None
    with workers.working(jar, "A", before=look_away) as w:
        processes.until(w.is_idle)
        os.rename(w.claims, w.path("recovering.x"))
        workers.place(jar, "x", category="A")
        processes.until(lambda: w.has_ended() or os.path.exists(w.claims))
    assert not os.path.exists(w.claims) and os.listdir(os.path.join(jar.unclaimed, "A")) == ["x"]


def test_a_worker_that_is_fenced_while_its_job_runs_leaves_it_to_the_other(jar):
    gate = os.path.join(jar.home, "gate")
    workers.place(jar, "x", f"while [ ! -e {gate} ]; do sleep 0.02; done")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(w.scratch))
        os.rename(w.claims, w.path("recovering.x"))
        touch(gate)
        assert w.wait() == 1
    assert os.listdir(w.path("recovering.x")) == ["x"] and completed(jar) == []


# Trouble with the node.


def be_quick():
    """For `before`: after a fault of the node nobody waits for long."""
    fitness.REST, fitness.TRY_AGAIN, shelf.LOOK_AGAIN_AFTER = 0.01, 0.02, 0.01


def test_a_fault_of_the_node_gives_the_job_back_uncounted_and_three_in_a_row_pause_the_worker(jar):
    def no_memory():
        def start(*_):
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        process.start = start
    workers.place(jar, "x", category="A")
    with workers.working(jar, "A", before=lambda: (no_memory(), be_quick())) as w:
        processes.until(lambda: os.path.exists(w.path(layout.PAUSE)))
        processes.until(w.is_idle)
        assert not w.has_ended()
    assert [line["e"] for line in w.journal()] == ["claim", "requeue"] * 3
    assert os.listdir(jar.directory("unclaimed", "A")) == ["x"] and os.listdir(jar.notes) == []
    assert "paused itself" in w.log() and "Cannot allocate memory" in w.log()


def test_one_fault_does_not_pause_a_worker(jar):
    def once():
        was, count = process.start, []

        def start(*arguments):
            count.append(1)
            if len(count) % 3:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return was(*arguments)
        process.start = start
    for number in range(3):
        workers.place(jar, f"x{number}")
    w = workers.drain(jar, before=lambda: (once(), be_quick()), idle_exit=1.0)
    assert completed(jar) == ["x0", "x1", "x2"] and not os.path.exists(w.path(layout.PAUSE))


def break_starts(code, among="", flag=None, try_again=0.02):
    """For `before`: jobs whose path contains `among` cannot be started as long as there is the file `flag`."""
    def install():
        was = process.start

        def start(arguments, *more):
            if among in arguments[0] and (flag is None or os.path.exists(flag)):
                raise OSError(code, os.strerror(code))
            return was(arguments, *more)
        process.start = start
        be_quick()
        fitness.TRY_AGAIN = try_again
    return install


def test_a_sick_node_does_not_eat_the_queue(jar):
    for number in range(20):
        workers.place(jar, f"x{number:02}")
    with workers.working(jar, before=break_starts(errno.EAGAIN, try_again=5.0)) as w:
        processes.until(lambda: os.path.exists(w.path(layout.PAUSE)))
        processes.until(w.is_idle)
    assert [line["n"] for line in w.journal() if line["e"] == "requeue"] == ["x00", "x01", "x02"]
    assert len(os.listdir(jar.unclaimed)) == 20 and os.listdir(jar.failed) == os.listdir(jar.notes) == []
    said = jars.read(w.path(layout.PAUSE))
    assert f"`unpause_worker {w.name}`" in said and "Resource temporarily unavailable" in said
    assert said.strip().partition(": ")[2] in w.log()


def test_a_worker_that_paused_itself_goes_on_when_it_is_unpaused_and_pauses_again_when_nothing_is_mended(jar, tmp_path):
    jars.write(tmp_path / "sick", "")
    for number in range(4):
        workers.place(jar, f"x{number}")
    with workers.working(jar, before=break_starts(errno.ENOMEM, flag=tmp_path / "sick")) as w:
        for _ in range(2):
            processes.until(lambda: os.path.exists(w.path(layout.PAUSE)))
            processes.until(w.is_idle)
            assert orders.unpause(jar, [w.name]) == [w.name]
        processes.until(lambda: os.path.exists(w.path(layout.PAUSE)))
        os.remove(tmp_path / "sick")
        assert orders.unpause(jar, [w.name]) == [w.name]
        processes.until(is_completed(jar, "x0", "x1", "x2", "x3"))
    assert {line["tries"] for line in w.ends()} == {1} and not os.path.exists(w.path(layout.PAUSE))


def test_one_bad_job_that_looks_like_a_fault_of_the_node_pauses_nobody_and_keeps_nobody_waiting(jar):
    workers.place(jar, "bad.9")
    for number in range(3):
        workers.place(jar, f"good{number}")
    with workers.working(jar, before=break_starts(errno.ESTALE, "/bad.9")) as w:
        processes.until(is_completed(jar, "good0", "good1", "good2"))
        processes.until(lambda: "left to other workers" in w.log())
        processes.until(w.is_idle)
        assert not os.path.exists(w.path(layout.PAUSE)) and os.listdir(jar.unclaimed) == ["bad.9"]
    assert sum(line["e"] == "requeue" for line in w.journal()) < 10


def test_a_job_that_a_full_disk_kept_from_starting_runs_when_there_is_room_and_nobody_is_paused(jar, tmp_path):
    def fill():
        was = fsops.make_directory

        def make_directory(path, *mode):
            if path.endswith("/scratch") and (tmp_path / "full").exists():
                with open(tmp_path / "full", "a") as file:
                    file.write("x")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            return was(path, *mode)
        fsops.make_directory = make_directory
    jars.write(tmp_path / "full", "")
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="0.1", before=fill) as w:
        processes.until(lambda: len(jars.read(tmp_path / "full")) > 4)
        os.remove(tmp_path / "full")
        processes.until(is_completed(jar, "x"))
        processes.until(lambda: "goes on" in w.log())
    assert w.log().count("blocked:") == 1 and not os.path.exists(w.path(layout.PAUSE)) and w.ends()[0]["tries"] == 1


def test_a_start_that_fails_while_its_directory_cannot_even_be_listed_is_the_node_s_fault(jar):
    def install():
        break_starts(errno.EMFILE)()
        was = blame.fslook.names_uncached

        def names(directory):
            # As soon as a start has failed, until it has been judged.
            if sys._getframe(1).f_code.co_name == "of_start":
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), directory)
            return was(directory)
        blame.fslook.names_uncached = names
    workers.place(jar, "x")
    with workers.working(jar, before=install) as w:
        processes.until(lambda: os.path.exists(w.path(layout.PAUSE)))
        assert not w.has_ended() and "nor look at it" in jars.read(w.path(layout.PAUSE))
    assert os.listdir(jar.unclaimed) == ["x"]


# Room.


def pretend(file):
    """For `before`: the file says how many bytes are free, and the worker asks often."""
    def install():
        def room(directory):
            with open(f"{file}.asked", "a") as asked:
                asked.write("x")
            return int(jars.read(file)), None
        fslook.room = room
        fitness.ASK_AGAIN = 0.05
    return install


@pytest.fixture
def free(tmp_path):
    """A file that says how many bytes are free: one less than enough. Beside it, how often that was asked."""
    jars.write(f"{tmp_path}/free.asked", "")
    return jars.write(tmp_path / "free", "4095")


def say(file, text):
    jars.write(f"{file}.new", text)
    os.rename(f"{file}.new", file)


def test_below_what_must_be_free_nothing_is_claimed_until_there_is_room_again(jar, free, monkeypatch):
    workers.place(jar, "x")
    monkeypatch.setattr(fslook, "room", lambda directory: (int(jars.read(free)), None))
    with workers.working(jar, JJ_PAUSE_TIME="0.1", JJ_MIN_FREE="4K 7", before=pretend(free)) as w:
        processes.until(lambda: os.path.getsize(f"{free}.asked") > 5)
        assert workers.lines_of_json(w.path("worker.json"))["min_free"] == [4096, 7]
        assert [line["e"] for line in w.journal()] == [] and os.listdir(jar.unclaimed) == ["x"]
        (seen,) = census.workers(jar, node.myself("rain"))
        assert (seen.state, seen.reason) == (
            "BLOCKED", f"3.9K free on {jar.home}, JJ_MIN_FREE is 4K: make room")
        say(free, "4096")
        processes.until(is_completed(jar, "x"))
        processes.until(w.is_idle)
        assert census.workers(jar, node.myself("rain"))[0].state == "IDLE"
        say(free, "0")
        processes.until(lambda: w.log().count("blocked:") == 2)
    assert f"blocked: 3.9K free on {jar.home}" in w.log() and w.log().count("goes on") == 1


def test_a_blocked_worker_stops_pauses_and_leaves_as_others_do(jar, free):
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="60", JJ_MIN_FREE="4K", before=pretend(free)) as w:
        processes.until(lambda: "blocked:" in w.log())
        touch(w.directory, layout.STOP)
        assert w.wait() == 0 and not os.path.exists(w.claims)
    assert os.listdir(jar.unclaimed) == ["x"]


def test_a_blocked_worker_looks_again_every_few_seconds_even_if_it_pauses_for_an_hour(jar, free):
    def hurry():
        pretend(free)()
        # Nothing is listed twice because of its age.
        fitness.LOOK_FOR_ROOM, glance.RACY = 0.05, -1.0
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="1h", JJ_MIN_FREE="4K", before=hurry) as w:
        processes.until(lambda: "blocked:" in w.log())
        say(free, "4096")
        processes.until(is_completed(jar, "x"))


def test_many_short_jobs_cost_a_few_looks_at_the_room(jar, tmp_path):
    def count():
        was = os.statvfs

        def statvfs(path):
            with open(tmp_path / "asked", "a") as file:
                file.write("x")
            return was(path)
        os.statvfs = statvfs
    for number in range(300):
        workers.place(jar, f"x{number}", header="#!/bin/true\n")
    began = time.monotonic()
    workers.drain(jar, JJ_MIN_FREE="4K", before=count)
    assert len(completed(jar)) == 300
    assert 1 <= os.path.getsize(tmp_path / "asked") <= 2 + time.monotonic() - began


def fail(times, code, name, among=""):
    """For `before`: the first `times` calls of fsops.`name` fail, or of those with a path that contains `among`."""
    def install():
        was, left = getattr(fsops, name), [None] * times

        def failing(*arguments, **more):
            if left and among in str(arguments[0]):
                left.pop()
                raise OSError(code, os.strerror(code))
            return was(*arguments, **more)
        setattr(fsops, name, failing)
    return install


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENOTCONN])
def test_a_claim_that_a_full_disk_or_a_sick_node_prevented_is_made_when_that_is_over(jar, code):
    """Nothing else changes in the queue, so nobody would ever say again that the job is there."""
    workers.place(jar, "x")
    os.utime(jar.unclaimed, (1, 1))
    # The second time it is what the log should say.
    with workers.working(jar, JJ_PAUSE_TIME="0.05", before=lambda: (fail(3, code, "append")(), be_quick())) as w:
        processes.until(is_completed(jar, "x"), deadline=5)
        processes.until(lambda: "goes on after having been blocked" in w.log())
    assert w.log().count("goes on") == 1


def test_a_claim_of_a_file_that_another_worker_has_taken_is_no_trouble_of_the_node(jar):
    def lose():
        was, left = fsops.claim, [1]
        fsops.claim = lambda *paths: errno.ESTALE if left and left.pop() else was(*paths)
    workers.place(jar, "x")
    with workers.working(jar, JJ_PAUSE_TIME="0.05", before=lambda: (lose(), be_quick())) as w:
        processes.until(is_completed(jar, "x"))
    assert "blocked" not in w.log()


def test_a_worker_that_waits_for_its_node_is_not_woken_by_the_job_that_it_gave_back(jar):
    """A tight loop otherwise: the put back changes the very directory that wakes it."""
    def install():
        break_starts(errno.ENOMEM)()
        fitness.REST, fitness.TRY_AGAIN = 3600.0, 0.0
    workers.place(jar, "x")
    with workers.working(jar, before=install) as w:
        processes.until(lambda: "requeue" in [line["e"] for line in w.journal()])
        processes.until(w.is_idle)
        beat = os.stat(w.path("beat")).st_mtime_ns
        workers.place(jar, "y")
        time.sleep(0.2)
        assert os.stat(w.path("beat")).st_mtime_ns == beat and len(w.journal()) == 2
        touch(w.directory, layout.STOP)
        assert w.wait() == 0


def test_a_late_find_that_a_full_disk_keeps_waiting_is_run_when_there_is_room(jar):
    def install():
        fail(2, errno.ENOSPC, "append")()
        # Nothing is listed twice because of its age.
        glance.RACY = -1.0
    with workers.working(jar, JJ_PAUSE_TIME="0.2", before=install) as w:
        processes.until(w.is_idle)
        late = jars.write(os.path.join(jar.limbo, "late"), "#!/bin/sh\n")
        os.utime(w.claims, (1, 1))
        os.rename(late, os.path.join(w.claims, "late"))
        processes.until(is_completed(jar, "late"), deadline=6)


def test_a_beat_that_fails_ends_nobody(jar):
    workers.place(jar, "x")
    w = workers.drain(jar, before=fail(10**6, errno.EIO, "touch_again", "/workers/"))
    assert completed(jar) == ["x"] and "no beat" in w.log()


def test_a_beat_that_somebody_has_removed_is_made_again(jar):
    with workers.working(jar, JJ_PAUSE_TIME="0.1") as w:
        os.remove(w.path("beat"))
        processes.until(lambda: os.path.exists(w.path("beat")), "another beat")


def test_a_journal_that_cannot_be_synced_does_not_end_a_worker_that_has_a_job_running(jar):
    workers.place(jar, "one")
    workers.place(jar, "two.-1", "sleep 1.5")
    with workers.working(jar, before=fail(1, errno.EIO, "sync")) as w:
        processes.until(is_completed(jar, "one", "two.-1"))
        assert not w.has_ended() and "not on the disk" in w.log()


def break_reading(number):
    """For `before`: the n-th reading of the markers fails."""
    def install():
        was, count = orders.read, []

        def read(*arguments):
            count.append(1)
            if len(count) == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return was(*arguments)
        orders.read = read
    return install


def test_an_error_of_the_markers_directory_does_not_end_a_worker_that_has_a_job_running(jar):
    workers.place(jar, "x", "sleep 0.5")
    w = workers.drain(jar, JJ_ORDER_TIME="0.1", before=break_reading(2))
    assert completed(jar) == ["x"] and "no look at the markers" in w.log()


def test_a_worker_that_could_not_read_the_markers_reads_them_again_before_it_claims(jar):
    touch(jar.workers, layout.STOP_ALL)
    workers.place(jar, "x")
    with workers.working(jar, before=break_reading(1)) as w:
        assert w.wait() == 0
    assert os.listdir(jar.unclaimed) == ["x"] and "blocked" in w.log()


def break_all_readings(flag):
    """For `before`: while the file `flag` is there no reading of the markers succeeds; it grows with each."""
    def install():
        was = orders.read

        def read(*arguments):
            if not flag.exists():
                return was(*arguments)
            with open(flag, "a") as file:
                file.write("x")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        orders.read = read
    return install


def test_a_worker_that_cannot_read_the_markers_ends_when_it_is_told_to(jar, tmp_path):
    flag = tmp_path / "broken"
    with workers.working(jar, before=break_all_readings(flag)) as w:
        processes.until(w.is_idle)
        flag.touch()
        touch(w.directory, layout.PAUSE)
        processes.until(lambda: flag.stat().st_size)
        w.signal(signal.SIGTERM)
        assert w.wait(5) == 0 and not os.path.exists(w.claims)


def test_a_worker_that_cannot_read_the_markers_is_not_idle_and_asks_now_and_then(jar, tmp_path):
    flag = tmp_path / "broken"
    with workers.working(jar, idle_exit=1.0, JJ_PAUSE_TIME="0.2", before=break_all_readings(flag)) as w:
        processes.until(w.is_idle)
        flag.touch()
        touch(w.directory, layout.PAUSE)
        processes.until(lambda: flag.stat().st_size > 1)
        began = time.monotonic()
        processes.until(lambda: flag.stat().st_size > 10)
        assert not w.has_ended() and flag.stat().st_size <= 12 + (time.monotonic() - began) / 0.1


def test_a_full_disk_blocks_a_worker_which_loses_nothing_and_goes_on_when_there_is_room(jar, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=256k,nr_inodes=200 none {small} 2>/dev/null"):
        pytest.skip("only root can mount a small file system, and not everywhere")
    try:
        disk = jars.make(small / "jar")
        workers.place(disk, "x.1", f"cat /dev/zero >{small}/ballast; exit 3")
        workers.place(disk, "y")
        with workers.working(disk, JJ_PAUSE_TIME="0.3") as w:
            processes.until(lambda: os.path.exists(small / "ballast"))
            processes.until(lambda: "begun" if not processes.is_running(w.pid) or os.statvfs(small).f_bavail == 0
                            else None)
            time.sleep(0.5)
            assert not w.has_ended()
            os.remove(small / "ballast")
            processes.until(is_completed(disk, "x.1", "y"), w.log)
        ends = w.ends()
        assert [(line["n"], line["exit"]) for line in ends] == [("x.1", 3), ("y", 0)]
        assert os.listdir(disk.failed) == ["x.1"]
    finally:
        os.system(f"umount {small}")


# The journal and the log.


def test_the_journal_rotates_between_jobs_and_keeps_every_line(jar):
    def soon():
        journal.ROTATE_AT = 500
    for number in range(8):
        workers.place(jar, f"x{number}")
    with workers.working(jar, before=soon, JJ_PAUSE_TIME="0.2") as w:
        processes.until(is_completed(jar, *(f"x{number}" for number in range(8))))
        processes.until(lambda: os.path.exists(w.path("journal.1")))
        workers.place(jar, "last")
        processes.until(is_completed(jar, "last"))
        history = journal.History(w.directory)
        attempt = history.attempt(None, "last")
        assert history.end(attempt)["state"] == "COMPLETED"
    assert len(w.ends()) == 9
    assert [line["a"].rpartition("-")[2] for line in w.ends()] == [str(number) for number in range(1, 10)]


def test_a_failed_job_s_line_is_on_the_disk_before_its_move_and_a_good_one_s_within_a_second(jar, tmp_path):
    record = tmp_path / "record"

    def listen():
        was = fsops.sync
        file = open(record, "a", buffering=1)

        def sync(handle):
            was(handle)
            # What is on the disk now, and where the jobs are.
            text = jars.read(f"/proc/self/fd/{handle}")
            file.write(f"{time.time():.3f} {text.count('FAILED')} {text.count('COMPLETED')} {len(completed(jar))}\n")
        fsops.sync = sync
    workers.place(jar, "bad.3", "exit 1")
    workers.place(jar, "good.2")
    workers.place(jar, "long.1", "sleep 1.6")
    w = workers.drain(jar, before=listen)
    synced = [line.split() for line in jars.read(str(record)).splitlines()]
    first_bad = next(line for line in synced if int(line[1]))
    assert first_bad[3] == "0"
    good = next(line["t"] for line in w.ends() if line["n"] == "good.2")
    assert next(float(line[0]) for line in synced if int(line[2])) - good < 1.3


def test_the_intent_is_in_the_journal_before_the_claim_and_the_end_before_the_completion(jar, tmp_path):
    record = tmp_path / "record"

    def listen():
        import sys
        file = open(record, "a", buffering=1)

        def hook(event, arguments):
            if event == "os.rename" and ("/claims/" in str(arguments[0]) or "/claims/" in str(arguments[1])):
                journals = [path for path in workers.files(jar.workers) if path.endswith("/journal")]
                file.write(" ".join(line["e"] for path in journals for line in workers.lines(path)) + "\n")
        sys.addaudithook(hook)
    workers.place(jar, "x")
    workers.drain(jar, before=listen)
    # The probe of the registration has come through claims/ before.
    assert jars.read(str(record)).splitlines()[-2:] == ["claim", "claim end"]
