"""Handles on jobs: where a job is, how it ended, what it printed, also while it moves."""

import os
import threading
import time

import pytest
from support import jars, processes, programs, workers

from jobjar import job as module
from jobjar import ends, fslook, layout, notes
from jobjar.errors import NoSuchJob
from jobjar.job import Job
from jobjar.journal import Journal
from jobjar.layout import Place

WORKER = "rain.7"


@pytest.fixture
def job(jar):
    """A job in category C, just submitted."""
    return Job(jar, workers.submit(jar, "true", priority=3, category="C", id="x"))


@pytest.fixture
def impatient(monkeypatch):
    """wait() gives a job up at once when it is nowhere."""
    monkeypatch.setattr(module, "LOST_AFTER", 0.0)


def move(jar, job, target, name=None):
    """Move the job's file as a worker, a person or recovery would; its new path."""
    path = os.path.join(target, name or job.name)
    os.makedirs(target, exist_ok=True)
    os.rename(job.path, path)
    return path


def claim(jar, job, shown=True, holder=layout.CLAIMS):
    claims = jars.worker(jar, WORKER, "C") if not os.path.exists(jar.worker(WORKER)) else jar.claims(WORKER)
    held = os.path.join(os.path.dirname(claims), holder)
    if shown:
        os.symlink(os.path.relpath(os.path.join(held, "C", job.name), jar.claimed), f"{jar.claimed}/{job.name}")
    return move(jar, job, os.path.join(held, "C"))


def complete(jar, job, bad=False, final=None, **end):
    """End line, link in failed/, rename: as a worker completes."""
    directory = jar.worker(WORKER)
    os.makedirs(directory, exist_ok=True)
    journal = Journal(directory)
    name = job.name
    attempt = f"a-{time.monotonic_ns()}"
    journal.end(attempt, "C", name, **{"state": "FAILED" if bad else "COMPLETED", "exit": 0, "signal": None, **end})
    if final:
        journal.target(attempt, final)
    journal.close()
    if bad:
        os.symlink(layout.failed_link(final or name), f"{jar.failed}/{final or name}")
    return move(jar, job, jar.completed, final)


def test_a_fresh_job_is_pending_and_knows_its_names(jar, job):
    assert (job.state, job.exit_status, job.output()) == ("PENDING", None, "")
    assert job.id + ".3" == job.name and job.category == "C" and repr(job) == f"Job('{job.id}')"
    assert job.path == f"{jar.unclaimed}/C/{job.name}"


@pytest.mark.parametrize("queue", ["held", "waiting"])
def test_a_job_that_is_held_or_waits_is_pending(jar, job, queue):
    path = move(jar, job, f"{jar.home}/{queue}/C")
    assert (job.state, job.path) == ("PENDING", path)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("holder", ["claims", "recovering.x"])
def test_a_claimed_job_is_running_with_or_without_its_link_in_claimed(jar, job, shown, holder):
    path = claim(jar, job, shown, holder)
    assert (job.state, job.path, job.exit_status) == ("RUNNING", path, None)


def test_a_link_in_claimed_is_no_evidence(jar, job):
    claim(jar, job)
    assert job.state == "RUNNING"
    move(jar, job, f"{jar.unclaimed}/C")
    assert job.state == "PENDING"


def test_a_job_that_ended_well(jar, job):
    path = complete(jar, job)
    assert (job.state, job.exit_status, job.path, job.wait(0)) == ("COMPLETED", 0, path, "COMPLETED")


@pytest.mark.parametrize("end, status", [({"exit": 7}, 7), ({"exit": None, "signal": 9}, 137)])
def test_a_job_that_ended_badly(jar, job, end, status):
    complete(jar, job, bad=True, **end)
    assert (job.state, job.exit_status, job.wait()) == ("FAILED", status, "FAILED")


def test_a_listing_of_failed_is_not_remembered_by_a_time_that_could_not_be_asked_for(jar, job, monkeypatch):
    claim(jar, job)
    complete(jar, job)
    monkeypatch.setattr(fslook, "stamp", lambda directory: -1 if directory == jar.failed else 10**18)
    # As a cache does that has not seen it come.
    monkeypatch.setattr(fslook, "is_there", lambda directory, name: False)
    assert job.state == "COMPLETED"
    os.symlink(layout.failed_link(job.name), os.path.join(jar.failed, job.name))
    assert job.state == "FAILED"


def test_a_link_in_failed_says_nothing_before_the_job_is_completed(jar, job):
    claim(jar, job)
    os.symlink(layout.failed_link(job.name), f"{jar.failed}/{job.name}")
    assert job.state == "RUNNING"


def test_a_reservation_in_completed_is_no_job(jar, job):
    claim(jar, job)
    os.symlink("reserved:rain.7:a-1", f"{jar.completed}/{job.name}")
    assert job.state == "RUNNING"


@pytest.mark.parametrize("events, state", [(["cancel"], "CANCELLED"), (["refuse"], "FAILED"), (["attempt"], "FAILED"),
                                           (["cancel", "retry", "give_up"], "NODE_FAIL"), ([], "FAILED")])
def test_a_job_that_never_ran_to_its_end_is_judged_by_its_notes(jar, job, events, state):
    for when, event in enumerate(events):
        notes.add(jar, WORKER, job.name, "C", event, why="so", t=when)
    move(jar, job, jar.failed)
    assert (job.state, job.exit_status, job.wait(0)) == (state, None, state)


def test_a_completed_job_whose_end_line_is_missing_has_no_exit_status(jar, job):
    jars.worker(jar, WORKER)
    move(jar, job, jar.completed)
    assert (job.state, job.exit_status) == ("COMPLETED", None)


def test_a_job_that_is_altered_is_followed_by_its_id(jar, job):
    path = move(jar, job, f"{jar.unclaimed}/OTHER", job.id + ".99")
    assert (job.state, job.path, job.name, job.category) == ("PENDING", path, job.id + ".99", "OTHER")


def test_a_job_that_was_given_another_final_name_is_found_with_its_exit_status(jar, job):
    complete(jar, job, bad=True, final=job.id + "~2.3", exit=4)
    assert (job.state, job.exit_status) == ("FAILED", 4)


def test_the_end_of_another_job_of_the_same_name_is_not_taken_for_it(jar):
    first, second = (Job(jar, jars.put(jar, Place("unclaimed", "C", name))) for name in ("mine", "mine.0"))
    complete(jar, first, exit=0)
    assert (first.state, second.state) == ("COMPLETED", "PENDING")
    # The next one of the name "mine" gets the final name mine~2, which only its target line tells.
    other = Job(jar, jars.put(jar, Place("unclaimed", "C", "mine"), "again"))
    complete(jar, other, bad=True, final="mine~2", exit=5)
    assert Job(jar, Place("completed", None, "mine~2")).exit_status == 5


def test_of_two_ends_in_two_journals_the_later_one_counts(jar, job):
    complete(jar, job, exit=0)
    os.rename(jar.worker(WORKER), jar.worker(WORKER) + ".old-x")
    directory = jar.worker("snow.9")
    os.mkdir(directory)
    journal = Journal(directory)
    journal.end("b-1", "C", job.name, state="FAILED", exit=6, signal=None, t=time.time() + 1)
    journal.close()
    later = time.time() + 3
    os.utime(jar.worker(WORKER) + ".old-x/journal", (later, later))
    assert job.exit_status == 6


@pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", "FAILED"])
def test_its_end_line_tells_how_it_ended_badly(jar, job, state):
    complete(jar, job, bad=True, state=state, exit=None, signal=15)
    assert (job.state, job.exit_status, job.wait(0)) == (state, 143, state)


@pytest.mark.parametrize("end", [None, {"state": "COMPLETED"}, {"state": 3}])
def test_a_job_that_is_linked_in_failed_has_failed_whatever_its_end_line_says(jar, job, end):
    complete(jar, job, bad=True, **end or {})
    if end is None:
        os.unlink(jar.worker(WORKER) + "/journal")
    assert job.state == "FAILED"


def test_the_journal_of_the_worker_that_was_seen_with_the_job_is_enough(jar, job, monkeypatch):
    claim(jar, job)
    assert job.state == "RUNNING"
    complete(jar, job, bad=True, exit=4)
    monkeypatch.setattr(ends, "_journals", lambda jar: pytest.fail("all journals are read"))
    assert (job.state, job.exit_status) == ("FAILED", 4)


@pytest.mark.parametrize("why", ["retried", "moved back by hand"])
def test_an_end_in_another_journal_counts_when_the_job_may_have_been_run_again(jar, job, why):
    claim(jar, job)
    assert job.state == "RUNNING"
    complete(jar, job, t=time.time() - (0 if why == "retried" else 3600))
    assert job.exit_status == 0
    if why == "retried":
        notes.add(jar, WORKER, job.name, "C", "retry")
    directory = jar.worker("snow.9")
    os.mkdir(directory)
    journal = Journal(directory)
    journal.end("b-1", "C", job.name, state="FAILED", exit=6, signal=None, t=time.time() + 1)
    journal.close()
    assert job.exit_status == 6


def test_the_ends_of_many_jobs_are_read_at_once(jar):
    jobs = [Job(jar, jars.put(jar, Place("unclaimed", "C", name))) for name in ("one", "two", "three")]
    complete(jar, jobs[0], exit=1)
    complete(jar, jobs[1], final="two~2", exit=2)
    assert {name: end["exit"] for name, end in ends.end_lines(jar, ["one", "two", "two~2", "three"]).items()} == \
        {"one": 1, "two~2": 2}


def test_torn_lines_and_rotated_journals_are_read_all_the_same(jar, job):
    complete(jar, job, exit=0)
    path = jar.worker(WORKER) + "/journal"
    with open(path, "ab") as file:
        file.write(b'{"e": "end", "n": "' + job.name.encode() + b'", \n{"e": "end"')
    os.rename(path, path + ".12")
    assert job.exit_status == 0


def test_a_thousand_journals_that_do_not_know_the_job_are_passed_over_quickly(jar, job):
    line = b'{"e": "end", "a": "b-1", "c": null, "n": "another", "t": 1, "state": "COMPLETED", "exit": 0}\n'
    for number in range(1000):
        os.mkdir(jar.worker(f"rain.{100 + number}"))
        with open(jar.worker(f"rain.{100 + number}") + "/journal", "wb") as file:
            file.write(line * 100)
    complete(jar, job, exit=0)
    begin = time.perf_counter()
    assert job.exit_status == 0
    assert time.perf_counter() - begin < 2


def test_a_job_that_removed_itself_is_judged_by_the_journal(jar, job):
    path = complete(jar, job, exit=0, gone=True)
    os.unlink(path)
    assert (job.state, job.path, job.exit_status, job.wait(0)) == ("COMPLETED", None, 0, "COMPLETED")


def test_a_job_that_somebody_removed_is_unknown_and_wait_says_so(jar, job, impatient):
    os.unlink(job.path)
    assert (job.state, job.path, job.exit_status, job.output()) == (None, None, None, "")
    with pytest.raises(NoSuchJob, match=job.id):
        job.wait()
    assert job.wait(timeout=0) is None


def test_wait_gives_up_when_the_time_is_over(job):
    begin = time.monotonic()
    assert job.wait(0.2) is None
    assert 0.2 <= time.monotonic() - begin < 5


def test_wait_sees_the_end(jar, job):
    thread = threading.Timer(0.1, lambda: complete(jar, Job(jar, job._place)))
    thread.start()
    assert job.wait(processes.PATIENCE) == "COMPLETED"
    thread.join()


def test_what_it_printed_is_in_logs_whatever_the_bytes(jar, job):
    complete(jar, job)
    with open(jar.log(job.name), "wb") as file:
        file.write(b"h\xc3\xa9llo\r\n\xff")
    assert job.output() == "h\u00e9llo\r\n\ufffd"


def test_while_it_runs_its_output_is_the_workers(jar, job):
    claim(jar, job)
    jars.write(jar.worker(WORKER) + "/output", "half")
    assert job.output() == "half"


def test_the_output_of_the_workers_next_job_is_not_taken_for_it(jar, job, monkeypatch):
    claim(jar, job)
    jars.write(jar.worker(WORKER) + "/output", "the next job's")
    jars.write(jar.log(job.name), "mine")
    text = module._text

    def reading(path):
        if path.endswith("/output"):
            complete(jar, Job(jar, job._place))
        return text(path)

    monkeypatch.setattr(module, "_text", reading)
    assert job.output() == "mine"


def test_a_job_that_moves_on_while_it_is_looked_for_is_never_unknown(jar, job):
    """Round and round through the whole life, as fast as renames go, while one looks."""
    claims, name = jars.worker(jar, WORKER, "C"), job.name
    stations = [f"{jar.unclaimed}/C/{name}", f"{claims}/C/{name}", f"{jar.completed}/{name}"]
    over = threading.Event()

    def journey():
        while not over.is_set():
            for source, target in zip(stations, stations[1:] + stations[:1]):
                os.rename(source, target)
                # A job stays some time in unclaimed/ and with its worker; in completed/ for ever.
                time.sleep(0.002)

    thread = threading.Thread(target=journey)
    thread.start()
    try:
        seen = {job.state for _ in range(1500)}
    finally:
        over.set()
        thread.join()
    assert seen == {"PENDING", "RUNNING", "COMPLETED"}


def test_a_job_that_is_put_back_while_it_is_looked_for_is_looked_for_again(jar, job, monkeypatch):
    claimed, waiting = claim(jar, job, shown=False), f"{jar.unclaimed}/C/{job.name}"

    def put_back(jar):
        monkeypatch.undo()
        os.rename(claimed, waiting)
        return []

    monkeypatch.setattr(module.census, "claimed", put_back)
    assert (job.state, job.path) == ("PENDING", waiting)


def test_a_real_worker_and_handles_on_its_jobs(jar):
    jobs = [Job(jar, workers.submit(jar, command)) for command in
            ("echo hello; echo oops >&2", "exit 7", "kill -9 $$", "true")]
    slow = Job(jar, workers.submit(jar, "echo begun; while test ! -e $JJ_HOME/go; do sleep 0.05; done", priority=-1))
    worker = programs.start("start_worker", "--foreground", "--home", jar.home, "--idle-exit", "0.1")
    try:
        assert [job.wait(processes.PATIENCE) for job in jobs] == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
        assert [job.exit_status for job in jobs] == [0, 7, 137, 0]
        assert [job.output() for job in jobs][::3] == ["hello\noops\n", ""]
        processes.until(lambda: slow.output() == "begun\n", "the output of a running job")
        assert slow.state == "RUNNING" and slow.wait(0.05) is None
    finally:
        jars.write(jar.home + "/go", "")
        processes.finish(worker)
    assert (slow.state, slow.exit_status, slow.output()) == ("COMPLETED", 0, "begun\n")
