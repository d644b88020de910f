"""What can be done to jobs by a handle on them: cancel, hold, release, retry; with real workers."""

import contextlib
import os

import pytest
from support import jars, processes, programs, workers

import jobjar
from jobjar import notes

# It goes on until the test lets it.
WAITING = "echo begun; while test ! -e $JJ_HOME/go; do sleep 0.02; done"


@pytest.fixture(autouse=True)
def home(jar, monkeypatch):
    """The library works with a jar of the test's own, on the workers' node, and has patience with them."""
    monkeypatch.setattr(jobjar, "_given", {"JJ_HOME": jar.home})
    monkeypatch.setenv("JJ_NODE", workers.NODE)
    monkeypatch.setenv("JJ_ORDER_TIME", "30")
    return jar.home


@contextlib.contextmanager
def running(jar, job):
    """A worker that has begun this job; the job ends with the block, if it has not before."""
    with workers.working(jar, JJ_ORDER_TIME="0.1") as worker:
        processes.until(lambda: job.output() == "begun\n", "the job's beginning")
        yield worker
        jars.write(os.path.join(jar.home, "go"), "")


def events(jar, job):
    return [(line["e"], line.get("why")) for line in notes.read(jar, job.name)]


def test_a_job_that_runs_is_ended_when_it_is_cancelled_and_says_by_whose_wish(jar):
    job = jobjar.submit_job(WAITING)
    with running(jar, job):
        job.cancel("not wanted")
        assert (job.state, job.wait(0), job.exit_status) == ("CANCELLED", "CANCELLED", 143)
    assert ("cancel", "not wanted") in events(jar, job)
    with pytest.raises(jobjar.JobJarError, match="has ended already"):
        job.cancel()


def test_a_job_that_was_cancelled_before_it_began_is_never_run(jar):
    job, other = jobjar.submit_job("touch $JJ_HOME/ran"), jobjar.submit_job("true")
    job.cancel()
    job.cancel()
    workers.drain(jar)
    assert (job.state, job.wait(), other.state) == ("CANCELLED", "CANCELLED", "COMPLETED")
    assert not os.path.exists(jar.home + "/ran")


def test_a_held_job_waits_for_its_release_also_under_another_priority(jar):
    job, other = jobjar.submit_job("true", category="C"), jobjar.submit_job("true")
    job.hold("later")
    programs.run("jobjar", "edit", "--home", jar.home, job.id, "--priority=7")
    job.hold()
    workers.drain(jar, "C")
    assert (job.state, job.name, other.state) == ("PENDING", job.id + ".7", "COMPLETED")
    assert ("hold", "later") in events(jar, job)
    with pytest.raises(jobjar.JobJarError, match="has not begun yet"):
        job.retry()
    job.release()
    job.release()
    workers.drain(jar, "C")
    assert job.wait() == "COMPLETED"


def test_a_job_is_followed_by_a_wait_while_its_priority_and_category_change(jar):
    job = jobjar.submit_job("exit 3", category="nobodys")
    waiting = programs.start("jobjar", "wait", "--home", jar.home, "--return", job.id)
    programs.run("jobjar", "move", "--home", jar.home, job.id, "--uncategorized")
    programs.run("jobjar", "first", "--home", jar.home, job.id)
    with workers.working(jar):
        assert job.wait(processes.PATIENCE) == "FAILED"
        assert processes.finish(waiting)[0] == 3


def test_a_job_that_has_ended_is_run_again_under_its_id_and_its_last_end_is_forgotten(jar):
    job = jobjar.submit_job("echo once; test -e $JJ_HOME/go", category="C")
    with workers.working(jar, "C"):
        assert (job.wait(processes.PATIENCE), job.exit_status) == ("FAILED", 1)
    id = job.id
    job.retry()
    assert (job.state, job.exit_status, job.wait(0), job.id, job.category) == ("PENDING", None, None, id, "C")
    jars.write(jar.home + "/go", "")
    with workers.working(jar, "C"):
        assert (job.wait(processes.PATIENCE), job.exit_status, job.output()) == ("COMPLETED", 0, "once\n")


def test_what_cannot_be_done_to_a_running_job_is_an_error_that_says_why(jar):
    job = jobjar.submit_job(WAITING)
    with running(jar, job):
        for method, why in ((job.hold, "is running, so it cannot be held"), (job.release, "is running, so it is not"),
                            (job.retry, "is running: only a job that has ended")):
            with pytest.raises(jobjar.JobJarError, match=why):
                method()
        assert job.state == "RUNNING"


@pytest.mark.parametrize("name", ["cancel", "hold", "release", "retry"])
def test_a_job_that_somebody_has_removed_is_no_such_job(name):
    job = jobjar.submit_job("true")
    os.unlink(job.path)
    with pytest.raises(jobjar.NoSuchJob, match=job.id):
        getattr(job, name)()


@pytest.mark.parametrize("name", ["cancel", "hold"])
def test_a_reason_that_is_not_one_line_is_refused_and_nothing_is_changed(jar, name):
    job = jobjar.submit_job("true")
    with pytest.raises(jobjar.UsageError, match="one line"):
        getattr(job, name)("two\nlines")
    assert job.path.startswith(jar.unclaimed) and events(jar, job) == []


def test_what_is_done_to_an_array_is_done_to_those_of_its_tasks_that_it_concerns(jar):
    array = jobjar.submit_job("test $JJ_ARRAY_TASK_ID != 2 -o -e $JJ_HOME/go", array="1-3", priority=2)
    array.hold()
    workers.drain(jar)
    assert [task.state for task in array.tasks()] == ["PENDING"] * 3
    array.release()
    with workers.working(jar):
        assert array.wait(processes.PATIENCE)
    assert [task.state for task in array.tasks()] == ["COMPLETED", "FAILED", "COMPLETED"]
    jars.write(jar.home + "/go", "")
    array.retry()
    assert [task.state for task in array.tasks()] == ["PENDING"] * 3
    with workers.working(jar):
        assert array.wait(processes.PATIENCE)
    assert [task.state for task in array.tasks()] == ["COMPLETED"] * 3
    with pytest.raises(jobjar.JobJarError, match="_1 has ended already; .*_2 has ended already; .*_3 has"):
        array.cancel()


def test_an_array_that_is_cancelled_while_it_runs_comes_to_its_end(jar):
    array = jobjar.submit_job(WAITING, array="1-20")
    with running(jar, array.tasks()[0]):
        with pytest.raises(jobjar.JobJarError, match="_1 is running, so it cannot be held") as error:
            array.hold()
        assert ";" not in str(error.value)
        array.cancel("enough")
        assert array.wait(0)
    assert {task.state for task in array.tasks()} == {"CANCELLED"}


def test_no_more_than_ten_of_many_jobs_are_named(jar):
    array = jobjar.submit_job("true", array="1-12")
    workers.drain(jar)
    with pytest.raises(jobjar.JobJarError, match=r"_10 has ended already; and 2 more$"):
        array.hold()


def test_an_array_of_which_nothing_is_left_is_no_such_job(jar):
    array = jobjar.submit_job("true", array="1-2")
    for task in array.tasks():
        os.unlink(task.path)
    with pytest.raises(jobjar.NoSuchJob, match=array.id):
        array.hold()
