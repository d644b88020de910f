"""jobjar show: everything about a job, wherever it is and however it ended, as text and as JSON."""

import json
import os

import pytest
from support import jars, processes, programs, workers
from test_census import ME, give
from test_list import ARRAY, ONE, put, worker

from jobjar import details, jobname, notes, selection
from jobjar.errors import NoSuchJob, TryAgain
from jobjar.layout import Place


def shown(jar, word="job"):
    """The text as lines of single blanks."""
    return [" ".join(line.split()) for line in details.render(details.find(jar, ME, [word])).splitlines()]


def document(jar, *words):
    status, out, err = programs.run("jobjar", "show", "--home", jar.home, "--json", *words)
    assert (status, err) == (0, "")
    return json.loads(out)


def test_a_pending_job_is_shown_with_its_reason_its_wishes_and_its_notes(jar):
    worker(jar, "snow.12")
    jars.write(f"{jar.queue('held', 'C')}/{ONE}-sim.5", "#!/bin/sh -f\n#JJ --tag=x --mem=3G\nsleep 5\n", 0o700)
    notes.add(jar, "rain.7", f"{ONE}-sim.5", "C", "hold", why="look first")
    lines = shown(jar, "sim")
    path = f"{jar.held}/C/{ONE}-sim.5"
    for line in (f"JOBID {ONE}-sim", "STATE PENDING (JobHeldUser: look first)", f"FILE {path}", "COMMAND sleep 5",
                 "NAME sim", f"NUMBER {jobname.number(ONE + '.')}", "CATEGORY C", "PRIORITY 5", "USER ann"):
        assert line in lines
    assert lines[lines.index("asked for:") + 1:][:2] == ["--tag=x", "--mem=3G"]
    assert lines[-1].endswith(f"hold by {notes.login()}@rain: look first") and lines[-2] == "notes:"
    assert not any(line.startswith(("STARTED", "ENDED", "NODE", "OUTPUT")) for line in lines)


def test_only_an_edit_without_an_end_says_what_is_to_be_done_if_it_has_come_to_nothing(jar):
    path = jars.write(f"{jar.queue('held', 'C')}/{ONE}-sim.5", "#!/bin/sh\n", 0o700)
    for number in range(2):
        notes.add(jar, "rain.7", f"{ONE}-sim.5", "C", "edit", why=f"number {number} came to nothing")
    ended = f"edit by {notes.login()}@rain"
    assert [line.partition(" ")[2] for line in shown(jar, "sim")[-2:]] == [ended, ended]
    # Who had it last is dead.
    os.rename(path, f"{jar.held}/C/{jobname.edited(f'{ONE}-sim.5')}")
    lines = shown(jar, "sim")
    assert [line.partition(" ")[2] for line in lines[lines.index("notes:") + 1:]] == [
        ended, f"{ended}: number 1 came to nothing"]


def test_backslashes_are_shown_as_they_are_and_the_files_of_jobjar_run_are_not_asked_for(jar):
    jars.write(f"{jar.queue('held', 'C')}/{ONE}.0", f"#!/bin/sh -f\n#JJ --output={jar.limbo}/.run.rain.7.n-1/out\n"
               "#JJ '--comment=a\\b'\necho \\{}\n", 0o700)
    notes.add(jar, "rain.7", f"{ONE}.0", "C", "hold", why="a\\b\x1b")
    lines = shown(jar, ONE)
    assert "COMMAND echo \\{}" in lines and lines[-1].endswith(": a\\b\\x1b")
    assert lines[lines.index("asked for:") + 1:lines.index("notes:")] == ["--comment=a\\b"]


def test_a_task_says_its_array(jar):
    put(jar, "waiting", f"{ARRAY}_7.0")
    assert f"ARRAY {ARRAY}, task 7" in shown(jar, "p_7")


def test_a_running_job_is_shown_with_its_worker_and_what_it_prints(jar):
    give(jar, worker(jar, "snow.12"), f"{ONE}.0")
    jars.write(f"{jar.worker('snow.12')}/output", "so far")
    lines = shown(jar, ONE)
    assert {"STATE RUNNING", "NODE snow", "WORKER snow.12", f"OUTPUT {jar.worker('snow.12')}/output"} <= set(lines)
    assert any(line.startswith("ELAPSED ") for line in lines)


def test_a_job_that_failed_is_shown_with_its_attempts_and_what_it_used(jar):
    workers.submit(jar, "echo hello; exit 7", id="bad", category="C")
    handle = workers.drain(jar, "C")
    name = selection.jobs(jar, ["bad"])[0].name
    lines = shown(jar, "bad")
    assert {"STATE FAILED (exit status 7)", "CATEGORY C", "NODE rain", f"OUTPUT {jar.logs}/{name}"} <= set(lines)
    end = handle.ends()[0]
    at = lines.index("attempts that have ended:")
    assert lines[at + 1] == "ATTEMPT STATE EXITCODE NODE START END"
    assert lines[at + 2].startswith(f"{end['a']} FAILED 7:0 rain ")
    assert "exitcode 7:0" in lines[lines.index("used by the last one:"):]
    (found,) = document(jar, "bad")["jobs"]
    assert (found["state"], found["command"], found["logs"]) == ("FAILED", "echo hello; exit 7", [f"{jar.logs}/{name}"])
    assert found["attempts"][0]["attempt"] == end["a"] and found["attempts"][0]["minflt"] == end["minflt"]
    assert found["path"] == f"{jar.completed}/{name}" and abs(found["end"] - end["t"]) < 0.01


def test_attempts_of_earlier_jobs_of_the_same_name_are_not_shown(jar):
    # The two files exist at one time, so that their numbers differ.
    workers.place(jar, "run.sh", "exit 3")
    workers.drain(jar)
    workers.place(jar, "run.sh", "exit 4")
    workers.drain(jar)
    found = document(jar, "completed/run.sh", "completed/run.sh~2")["jobs"]
    assert [[attempt["exit"] for attempt in job["attempts"]] for job in found] == [[3], [4]]


def test_a_job_that_was_cleaned_away_is_shown_as_the_archive_has_it(jar):
    place = workers.submit(jar, "exit 3", id="old")
    workers.drain(jar)
    os.remove(f"{jar.completed}/{place.name}")
    os.remove(f"{jar.failed}/{place.name}")
    lines = shown(jar, "old")
    assert lines[0] == f"JOBID {place.name[:-2]}" and lines[1].startswith("STATE FAILED; cleaned away")
    assert any(" FAILED 3:0 rain " in line for line in lines)
    (found,) = document(jar, place.name)["jobs"]
    assert (found["jobid"], found["state"], found["path"]) == (place.name[:-2], "FAILED", None)
    with pytest.raises(NoSuchJob):
        details.find(jar, ME, ["never"])


def test_of_namesakes_the_one_that_was_named_is_shown(jar):
    put(jar, "unclaimed", "run.sh", "C")
    put(jar, "held", "run.sh")
    assert [job["directory"] for job in document(jar, "held/run.sh", "unclaimed/C/run.sh")["jobs"]] == [
        "held", "unclaimed"]


def test_a_job_that_moves_on_while_it_is_looked_at_is_shown_where_it_is(jar, monkeypatch):
    place = put(jar, "unclaimed", f"{ONE}.0")
    jobs = selection.jobs

    def moved(*arguments):
        found = jobs(*arguments)
        os.rename(jar.path(place), f"{jar.held}/{place.name}")
        return found
    monkeypatch.setattr(selection, "jobs", moved)
    assert details.find(jar, ME, [ONE])[0].row.place == Place("held", None, place.name)


def test_a_job_that_goes_while_it_is_looked_at_is_to_be_asked_for_again(jar, monkeypatch):
    place = put(jar, "unclaimed", f"{ONE}.0")
    jobs = selection.jobs
    monkeypatch.setattr(selection, "jobs", lambda *arguments: (jobs(*arguments), os.remove(jar.path(place)))[0])
    with pytest.raises(TryAgain, match="ask again"):
        details.find(jar, ME, [ONE])


def test_each_attempt_that_was_repeated_is_shown_with_its_output(jar):
    asked = "#!/bin/sh\n#JJ --retries=1\necho try $JJ_ATTEMPT; exit 5\n"
    workers.put(jar, "again.0", asked.encode())
    with workers.working(jar):
        processes.until(lambda: os.path.exists(f"{jar.completed}/again.0"))
    (found,) = document(jar, "again")["jobs"]
    assert [attempt["exit"] for attempt in found["attempts"]] == [5, 5]
    assert [jars.read(path) for path in found["logs"]] == ["try 1\n", "try 2\n"]
    assert "requeue" in [note["e"] for note in found["notes"]]


def test_tasks_of_which_the_same_is_shown_share_a_paragraph_with_a_line_for_each_attempt(jar):
    array = programs.run("submit_job", "--home", jar.home, "--array=1-6", "--tag=mine", "-i", "mixed",
                         "exit $((JJ_ARRAY_TASK_ID / 5))")[1].strip()
    lines = shown(jar, array)
    assert lines[0] == f"JOBID {array}_[1-6]" and "STATE PENDING (ReqNodeNotAvail: no worker is there)" in lines
    assert {"NAME mixed", "--tag=mine"} <= set(lines) and len(lines) < 20 and not any(line.startswith(("FILE", "ARRAY")) for line in lines)
    workers.drain(jar)
    lines = shown(jar, array)
    assert [line for line in lines if line.startswith(("JOBID", "STATE"))] == [
        f"JOBID {array}_[1-4]", "STATE COMPLETED", f"JOBID {array}_[5-6]", "STATE FAILED (exit status 1)"]
    at = lines.index("attempts that have ended:")
    assert [line.split()[0] for line in lines[at + 1:at + 6]] == ["TASK", "1", "2", "3", "4"]
    assert [job["jobid"] for job in document(jar, array)["jobs"]] == [f"{array}_{index}" for index in range(1, 7)]


def test_the_command_prints_a_paragraph_for_each_job(jar):
    put(jar, "unclaimed", "a\x1b")
    put(jar, "held", "b")
    status, out, err = programs.run("jobjar", "show", "--home", jar.home, "a*", "b")
    assert (status, err) == (0, "") and out.count("JOBID") == 2 and "\n\nJOBID" in out and "\x1b" not in out
    assert programs.run("jobjar", "show", "--home", jar.home, "nope")[0] == 3
    assert programs.run("jobjar", "show", "--home", jar.home)[0] == 2
