"""jobjar list: which jobs it shows, in which order, why they wait, and what its options choose."""

import json
import os
import time

import pytest
from support import jars, processes, programs, workers
from test_census import ME, alive, beat, dead, give, mark
from test_orders import register

from jobjar import columns, fslook, listing, notes
from jobjar.layout import Place
from jobjar.listing import Wanted

ONE = "20261121-100000-ann-123456001"
TWO = "20261121-100000-bob-123457002-sim"
ARRAY = "20261121-100500-ann-123456003-sweep"


def put(jar, state, name, category=None, **more):
    return jars.put(jar, Place(state, category, name), **more)


def rows(jar, **wanted):
    return listing.look(jar, ME, Wanted(**{"states": listing.ACTIVE, **wanted})).rows


def reasons(jar):
    """File name → "Word: what we say"."""
    return {row.place.name: ": ".join(filter(None, (row.reason, row.says))) for row in rows(jar)}


def names(found):
    return [row.place.name for row in found]


def run(jar, *words):
    """The lines that the program prints, split at blanks."""
    status, out, err = programs.run("jobjar", "list", "--home", jar.home, *words)
    assert (status, err) == (0, "")
    return [line.split() for line in out.splitlines()]


def worker(jar, name, *categories, **more):
    """A worker of another node that was heard of just now."""
    register(jar, name, categories, more)
    beat(jar, name, 0)
    return name


# Why a job waits.

def test_without_a_worker_every_job_says_so(jar):
    put(jar, "unclaimed", "a")
    put(jar, "unclaimed", "b", "C")
    assert reasons(jar) == {name: "ReqNodeNotAvail: no worker is there" for name in ("a", "b")}


def test_a_category_that_no_live_worker_reads_is_the_reason(jar):
    worker(jar, "snow.12", "D")
    dead_one = dead(jar)
    put(jar, "unclaimed", "a", "C")
    put(jar, "unclaimed", "b", "D")
    put(jar, "unclaimed", "c", "snow")
    assert dead_one and reasons(jar) == {"a": "ReqNodeNotAvail: no live worker reads C", "b": "Priority",
                                         "c": "None: a worker is about to look"}


@pytest.mark.parametrize("marker, word", [("snow.12/PAUSE", "paused"), ("snow.12/STOP", "stopping"),
                                          ("PAUSE_ALL", "paused"), ("STOP_ALL", "stopping"), ("DRAIN.snow", "stopping")])
@pytest.mark.parametrize("is_busy", [False, True])
def test_workers_that_will_claim_nothing_are_the_reason(jar, marker, word, is_busy):
    worker(jar, "snow.12")
    if is_busy:
        give(jar, "snow.12", "other")
    mark(jar, marker)
    put(jar, "unclaimed", "a")
    assert reasons(jar)["a"] == f"ReqNodeNotAvail: workers: 1 {word}"


def test_workers_without_room_are_the_reason_and_are_counted_with_the_others(jar):
    worker(jar, "snow.12", min_free=[2**62, 0])
    worker(jar, "snow.13", min_free=[2**62, 0])
    mark(jar, f"{worker(jar, 'rime.14')}/PAUSE")
    put(jar, "unclaimed", "a")
    assert reasons(jar) == {"a": "ReqNodeNotAvail: workers: 1 paused, 2 blocked"}


def test_one_worker_that_goes_on_is_enough(jar):
    mark(jar, f"{worker(jar, 'snow.12')}/PAUSE")
    put(jar, "unclaimed", "a")
    worker(jar, "snow.13")
    assert reasons(jar) == {"a": "None: a worker is about to look"}


def test_who_is_first_lacks_a_free_worker_and_others_come_after_it(jar):
    give(jar, worker(jar, "snow.12"), "busy")
    put(jar, "unclaimed", f"{ONE}.0")
    put(jar, "unclaimed", f"{TWO}.5")
    assert reasons(jar) == {"busy": "", f"{TWO}.5": "Resources", f"{ONE}.0": "Priority"}


def test_jobs_of_categories_that_are_read_earlier_come_first(jar):
    give(jar, worker(jar, "snow.12", "C"), "busy")
    put(jar, "unclaimed", f"{ONE}.9")
    put(jar, "unclaimed", f"{TWO}.0", "C")
    assert reasons(jar) == {"busy": "", f"{TWO}.0": "Resources", f"{ONE}.9": "Priority"}
    # For this one it is the first.
    give(jar, worker(jar, "rime.13"), "busy2")
    assert reasons(jar)[f"{ONE}.9"] == "Resources"


@pytest.mark.parametrize("more, says", [({"why": "the input is wrong"}, "JobHeldUser: the input is wrong"),
                                        ({}, "JobHeldUser: by ann@rain")])
def test_a_held_job_says_why_or_by_whom(jar, more, says, monkeypatch):
    monkeypatch.setattr(notes, "login", lambda uid=None: "ann")
    put(jar, "held", "a")
    notes.add(jar, "rain.7", "a", None, "hold", why="an earlier reason")
    notes.add(jar, "rain.7", "a", None, "hold", t=time.time() + 1, **more)
    notes.add(jar, "rain.7", "a", None, "attempt", a="x-1", why="its worker died", t=time.time() + 2)
    put(jar, "held", "b", "C")
    assert reasons(jar) == {"a": says, "b": "JobHeldUser"}


def test_a_task_that_is_held_with_its_array_says_why(jar):
    put(jar, "held", f"{ARRAY}_7.0")
    notes.add(jar, "rain.7", f"{ARRAY}.0", None, "hold", why="2 of its tasks have failed")
    assert reasons(jar) == {f"{ARRAY}_7.0": "JobHeldUser: 2 of its tasks have failed"}


def test_a_job_that_is_being_edited_keeps_its_id_and_says_so(jar):
    put(jar, "held", f"{TWO}~edit.0")
    notes.add(jar, "rain.7", f"{TWO}.0", None, "edit", why="it was taken out to be changed")
    (row,) = rows(jar)
    assert (row.id, row.reason, row.says) == (TWO, "JobHeldUser", "it was taken out to be changed")


def test_of_a_held_job_that_has_been_edited_nothing_of_that_is_said(jar):
    put(jar, "held", f"{TWO}.0")
    notes.add(jar, "rain.7", f"{TWO}.0", None, "hold", why="look first")
    notes.add(jar, "rain.7", f"{TWO}.0", None, "edit", why="it was taken out to be changed", t=time.time() + 1)
    assert reasons(jar) == {f"{TWO}.0": "JobHeldUser: look first"}


def test_jobs_that_wait_for_a_time_or_their_turn_say_so(jar):
    worker(jar, "snow.12")
    put(jar, "waiting", "a", body="exit")
    jars.write(f"{jar.waiting}/b", "#!/bin/sh\n#JJ --begin=2999-01-01\n")
    jars.write(f"{jar.waiting}/{ARRAY}_7.0", "#!/bin/sh\n#JJ --submit-dir=/ --array=1-9%3\n")
    found = reasons(jar)
    assert [found[name].partition(":")[0] for name in ("b", f"{ARRAY}_7.0")] == ["BeginTime", "JobArrayTaskLimit"]
    assert "nothing more" in found["a"]


def test_a_file_that_nobody_will_ever_claim_is_listed_with_the_reason(jar):
    worker(jar, "snow.12")
    jars.write(f"{jar.unclaimed}/text", "x", 0o600)
    os.symlink("nowhere", f"{jar.unclaimed}/link")
    assert reasons(jar) == {"text": "BadConstraints: not executable: make it so with chmod +x"}


def test_every_reason_that_has_to_be_explained_is_and_no_other(jar):
    worker(jar, "snow.12")
    jars.write(f"{jar.waiting}/b", "#!/bin/sh\n#JJ --begin=2999-01-01\n")
    put(jar, "unclaimed", "c", "C")
    assert [line[-1] for line in run(jar, "--no-header", "--columns=where", "--category=-")] == ["(BeginTime)"]
    assert run(jar, "--no-header", "--columns=where", "--category=C")[0][1:] == "no live worker reads C)".split()


# What is shown, and in which order.

def test_what_runs_comes_first_then_what_waits_in_the_order_of_claiming(jar):
    give(jar, worker(jar, "snow.12"), "busy")
    for name in (f"{ONE}.0", f"{TWO}.3", f"{ARRAY}_10.0", f"{ARRAY}_9.0"):
        put(jar, "unclaimed", name)
    put(jar, "held", "held")
    assert names(rows(jar)) == ["busy", f"{TWO}.3", f"{ONE}.0", f"{ARRAY}_9.0", f"{ARRAY}_10.0", "held"]


def test_a_running_job_says_where_and_since_when(jar):
    give(jar, worker(jar, "snow.12"), f"{TWO}.3", "C")
    os.utime(f"{jar.claims('snow.12')}/C", (time.time() - 3700,) * 2)
    assert run(jar)[1] == [TWO, "C", "sim", "bob", "3", "R", "1h1m40s", "snow"]


def test_a_job_of_a_dead_worker_says_so(jar):
    give(jar, dead(jar), "a")
    assert [row.says for row in rows(jar)] == ["its worker is STRANDED"]


def test_a_name_made_by_hand_is_shown_and_its_user_is_the_owner(jar):
    put(jar, "unclaimed", "run.sh.-2")
    (row,) = rows(jar)
    assert (columns.label(row), columns.job_id(row)) == ("run.sh", "run.sh") and row.user == notes.login()
    assert abs(row.submit - time.time()) < 60


def test_jobs_that_have_ended_are_shown_when_they_are_asked_for(jar):
    for command in ("true", "exit 7", "kill -9 $$"):
        workers.submit(jar, command, id=command[:4], category="C")
    workers.drain(jar, "C")
    place = put(jar, "failed", f"{ONE}.0")
    notes.add(jar, "rain.7", place.name, None, "cancel", why="not needed")
    put(jar, "unclaimed", "waits")
    assert [line[:1] for line in run(jar)[1:]] == [["waits"]]
    lines = run(jar, "--all", "--columns=name,category,state,exitcode,where", "--no-header")
    assert sorted(lines) == sorted([
        ["waits", "-", "PENDING", "-", *"(ReqNodeNotAvail: no worker is there)".split()],
        ["true", "C", "COMPLETED", "0:0", "rain"], ["exit", "C", "FAILED", "7:0", "rain", "(exit", "status", "7)"],
        ["kill", "C", "FAILED", "0:9", "rain", "(signal", "9)"], ["-", "-", "CANCELLED", "-", "(not", "needed)"]])
    assert len(run(jar, "--state=f,CD,CANCELLED", "--no-header")) == 4
    said = {line[0]: line[1:] for line in run(jar, "--all", "--columns=name,reason", "--no-header")}
    assert said == {"waits": ["ReqNodeNotAvail"], "true": ["-"], "exit": ["exit", "status", "7"],
                    "kill": ["signal", "9"], "-": ["not", "needed"]}
    found = json.loads(programs.run("jobjar", "list", "--home", jar.home, "--all", "--json")[1])["jobs"]
    assert {job["detail"]: job["reason"] for job in found if job["name"] == "exit"} == {"exit status 7": ""}


def test_a_job_that_moves_on_while_it_is_listed_is_shown_once_where_it_was_seen_last(jar, monkeypatch):
    alive(jar)
    path = jar.path(put(jar, "unclaimed", f"{ONE}.0"))
    entries = fslook.entries

    def listed(directory, troubles):
        found = entries(directory, troubles)
        if directory == jar.workers and os.path.exists(path):
            os.rename(path, f"{jar.completed}/{ONE}.0")
        return found
    monkeypatch.setattr(fslook, "entries", listed)
    assert [(row.place.state, row.state) for row in rows(jar, states=None)] == [("completed", "COMPLETED")]


def test_namesakes_are_all_shown(jar):
    put(jar, "unclaimed", "run.sh", "C")
    put(jar, "unclaimed", "run.sh.5")
    put(jar, "completed", "run.sh")
    assert len(rows(jar, states=None)) == 3


# Arrays.

@pytest.fixture
def array(jar):
    give(jar, worker(jar, "snow.12"), f"{ARRAY}_1.0")
    give(jar, worker(jar, "snow.13"), f"{ARRAY}_0.0")
    for index in (2, 3, 4, 9, 12, 15):
        put(jar, "unclaimed", f"{ARRAY}_{index}.0")
    put(jar, "held", f"{ARRAY}_20.0")
    put(jar, "completed", f"{ARRAY}_30.0")
    put(jar, "completed", f"{ARRAY}_31.0")
    put(jar, "unclaimed", f"{ONE}_3.0")


def test_the_tasks_of_an_array_share_a_line_for_each_reason(jar, array):
    assert [(line[0], line[2], *line[5:]) for line in run(jar)[1:]] == [
        (f"{ARRAY}_1", "sweep_1", "R", "0s", "snow"), (f"{ARRAY}_0", "sweep_0", "R", "0s", "snow"),
        (f"{ONE}_3", "-", "PD", "0s", "(Resources)"),
        (f"{ARRAY}_[2-4,9-15:3]", "sweep", "PD", "0s", "(Priority)"), (f"{ARRAY}_20", "sweep_20", "PD", "0s",
                                                                       "(JobHeldUser)")]
    assert run(jar, "--state=CD", "--no-header")[0][0] == f"{ARRAY}_[30-31]"


@pytest.mark.parametrize("other, said", [("enough", "enough"), ("too much", "-")])
def test_tasks_that_have_ended_for_one_reason_say_it_together(jar, array, other, said):
    for index, why in ((40, "enough"), (41, other)):
        notes.add(jar, "rain.7", put(jar, "failed", f"{ARRAY}_{index}.0").name, None, "cancel", why=why)
    assert run(jar, "--state=CA", "--no-header", "--columns=jobid,reason") == [[f"{ARRAY}_[40-41]", *said.split()]]


def test_tasks_have_lines_of_their_own_when_they_are_asked_for(jar, array):
    assert len(run(jar, "--tasks", "--no-header")) == 10
    assert [line[0] for line in run(jar, "--no-header", f"{ARRAY}_[3-12]", f"{ARRAY}_30")] == [
        f"{ARRAY}_{index}" for index in (3, 4, 9, 12, 30)]


@pytest.mark.parametrize("indices, text", [([3], "3"), ([1, 2], "1-2"), ([1, 3], "1,3"), ([5, 3, 1, 9], "1-5:2,9"),
                                           ([1, 2, 3, 7, 9, 11, 12, 13], "1-3,7-11:2,12-13"), (range(0, 100), "0-99")])
def test_indices_are_written_as_those_of_an_array(indices, text):
    assert columns.ranges(indices) == text


# Options.

def test_jobs_are_chosen_by_user_category_name_node_and_time(jar):
    give(jar, worker(jar, "snow.example.org.12"), f"{TWO}.0", "C")
    put(jar, "unclaimed", f"{ONE}.0")
    put(jar, "unclaimed", "run.sh")
    assert names(rows(jar, users={"bob"})) == names(rows(jar, categories={"C"})) == [f"{TWO}.0"]
    assert names(rows(jar, named={"s*", "no"})) == names(rows(jar, nodes={"snow"})) == [f"{TWO}.0"]
    assert names(rows(jar, categories={"-"})) == [f"{ONE}.0", "run.sh"]
    assert names(rows(jar, named={"run.*"})) == ["run.sh"]
    moment = rows(jar, users={"ann"})[0].submit
    assert names(rows(jar, users={"ann", "bob"}, since=moment + 1e-6)) == [f"{TWO}.0"]
    assert names(rows(jar, users={"ann", "bob"}, until=moment)) == [f"{ONE}.0"]


def test_jobs_are_chosen_by_tags_and_their_requests_are_columns(jar):
    for name, lines in (("a", "--tag=x --tag=y --comment='to see' --cpus=2"), ("b", "--tag=x"), ("c", "--no-such")):
        jars.write(f"{jar.unclaimed}/{name}", f"#!/bin/sh\n#JJ {lines}\n")
    assert names(rows(jar, tags={"x", "y"})) == ["a"] and names(rows(jar, tags={"x"})) == ["a", "b"]
    assert run(jar, "--no-header", "--columns=jobid,tag,comment,cpus", "--sort=jobid") == [
        ["a", "x", "y", "to", "see", "2"], ["b", "x", "-", "-"], ["c", "-", "-", "-"]]


def test_no_file_is_opened_for_the_usual_columns(jar, monkeypatch):
    put(jar, "unclaimed", f"{ONE}.0")
    monkeypatch.setattr(listing.claiming, "look_into", lambda path: pytest.fail(f"{path} was opened"))
    assert len(rows(jar)) == 1


def test_rows_are_sorted_by_any_columns_and_cut(jar):
    put(jar, "unclaimed", f"{ONE}.-1")
    put(jar, "unclaimed", f"{TWO}.7", "C")
    put(jar, "unclaimed", "run.sh", "C")
    ids = [line[0] for line in run(jar, "--no-header", "--sort=category,-priority", "--columns=jobid")]
    assert ids == [TWO, "run.sh", ONE]
    assert run(jar, "--sort=priority", "--limit=1", "--no-header", "--columns=jobid,priority") == [[ONE, "-1"]]
    # As the list's head has it.
    assert run(jar, "--sort=-prio", "--limit=1", "--no-header", "--columns=JOBID,prio") == [[TWO, "7"]]


def test_nothing_is_cut_off_and_odd_names_stay_on_one_line(jar):
    name = "x" * 120 + "\n\x1b[31m"
    put(jar, "unclaimed", name)
    assert "x" * 120 + "\\x0a\\x1b[31m" in run(jar)[1]


def test_json_is_one_document_with_every_task(jar, array):
    status, out, _ = programs.run("jobjar", "list", "--home", jar.home, "--json", "--columns=jobid,tag")
    found = json.loads(out)
    assert (status, found["schema"], len(found["jobs"]), found["troubles"]) == (0, 1, 10, [])
    task = found["jobs"][0]
    assert {key: task[key] for key in ("jobid", "array", "index", "state", "reason", "node", "directory", "tag")} == {
        "jobid": f"{ARRAY}_1", "array": ARRAY, "index": 1, "state": "RUNNING", "reason": "", "node": "snow",
        "directory": "claims", "tag": None}
    assert abs(task["start"] - found["now"]) < 60 and "comment" not in task


def test_an_empty_jar_is_a_line_of_headings(jar):
    assert run(jar) == ["JOBID CATEGORY NAME USER PRIO ST TIME NODE(REASON)".split()]
    assert run(jar, "--no-header") == []


@pytest.mark.parametrize("words, says", [
    (["--columns=jobid,nope"], "no column 'nope'"), (["--sort=-nope"], "no column 'nope'"),
    (["--sort=-priorty"], "did you mean priority?"),
    (["--state=odd"], "no state 'odd'"), (["--limit=x"], "whole number"), (["--since=x"], "no time"),
    (["--nope"], "no option --nope")])
def test_a_wrong_option_is_refused_in_a_sentence(jar, words, says):
    status, out, err = programs.run("jobjar", "list", "--home", jar.home, *words)
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1


def test_a_job_that_is_not_there_is_refused(jar):
    assert programs.run("jobjar", "list", "--home", jar.home, "nope")[0] == 3


def test_what_cannot_be_looked_into_is_said_on_stderr(jar, monkeypatch):
    entries = fslook.entries
    monkeypatch.setattr(fslook, "entries", lambda directory, troubles: entries(directory, troubles)
                        if directory != jar.held else troubles.append("held/ is closed") or [])
    assert listing.look(jar, ME, Wanted(states=listing.ACTIVE)).troubles == ("held/ is closed",)


def test_a_real_worker_shows_each_reason_in_its_turn(jar):
    with workers.working(jar) as handle:
        first, second, third = (workers.submit(jar, f"while [ ! -e {jar.home}/go ]; do sleep 0.02; done", id=word)
                                for word in ("a", "b", "c"))
        processes.until(lambda: [(row.state, row.reason) for row in rows(jar)] == [
            ("RUNNING", ""), ("PENDING", "Resources"), ("PENDING", "Priority")])
        assert names(rows(jar)) == [first.name, second.name, third.name]
        assert (rows(jar)[0].worker, rows(jar)[0].node) == (handle.name, "rain")
        jars.write(f"{jar.home}/go", "")
        processes.until(lambda: rows(jar) == [])
