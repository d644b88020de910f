"""jobjar explain: every rule says what stands in a job's way and what to do about it, and nothing else."""

import json
import os
import time

import pytest
from support import jars, processes, programs, workers
from test_census import ME, dead, give, mark
from test_list import ARRAY, ONE, TWO, put, worker

from jobjar import census, explaining, node, notes, selection
from jobjar.layout import Place


def explain(jar, word="job", **more):
    (place,) = selection.jobs(jar, [word])
    return explaining.explain(jar, ME, place, workers.settings(jar, **more))


def says(jar, word="job", **more):
    """All that is said about the job, without its workers."""
    return "\n".join(explain(jar, word, **more).says)


def of(jar, name, word="job"):
    """What is said of one worker."""
    return "\n".join(explain(jar, word).workers[name])


# The job.

def test_when_nothing_stands_in_its_way_what_was_looked_at_is_said(jar):
    worker(jar, "snow.12")
    put(jar, "unclaimed", "job")
    found = explain(jar)
    assert (found.state, found.reason) == ("PENDING", "None")
    assert "nothing stands in its way: looked at were" in found.says[-1] and "number 1 of 1" in found.says[0]
    assert found.workers == {"snow.12": ["claims this one next"]}


@pytest.mark.parametrize("break_it, word", [
    (lambda path: os.chmod(path, 0o600), "not executable: make it so with chmod"),
    (lambda path: os.chmod(path, 0o4700), "set-id"),
    (lambda path: os.truncate(path, 0), "empty")])
def test_a_file_that_cannot_be_claimed_is_told(jar, break_it, word):
    worker(jar, "snow.12")
    break_it(jar.path(put(jar, "unclaimed", "job")))
    assert word in says(jar) and "nothing stands" not in says(jar)


def test_a_file_with_several_names_is_told_where_others_could_have_made_one(jar):
    path = jar.path(put(jar, "unclaimed", "job"))
    os.link(path, path + "2")
    assert "several names" not in says(jar)
    os.chmod(jar.limbo, 0o1777)
    assert "several names, so the worker that claims it will refuse it" in says(jar)


def test_a_job_that_has_moved_on_just_now_is_told(jar, monkeypatch):
    place = put(jar, "unclaimed", "job")
    active = census.active
    monkeypatch.setattr(census, "active", lambda *arguments: (active(*arguments), os.remove(jar.path(place)))[0])
    assert "ask again" in "\n".join(explaining.explain(jar, ME, place, workers.settings(jar)).says)


def test_lines_that_will_not_do_are_told_before_a_worker_refuses_the_job(jar):
    jars.write(f"{jar.unclaimed}/job", "#!/bin/sh\n#JJ --no-such\n", 0o700)
    assert "will refuse it" in says(jar) and "line 2" in says(jar) and "--no-such" in says(jar)
    worker(jar, "snow.12")
    assert explain(jar).reason == "BadConstraints"


def test_who_holds_a_job_since_when_and_why_is_told_and_how_to_let_it_go(jar, monkeypatch):
    put(jar, "held", "job")
    assert "held since it was submitted; `jobjar release job`" in says(jar)
    monkeypatch.setattr(notes, "login", lambda uid=None: "ann")
    notes.add(jar, "rain.7", "job", None, "hold", why="look first", t=time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1)))
    assert "held by ann@rain since 2026-01-02T03:04:05: look first; `jobjar release job`" in says(jar)


def test_a_time_that_has_not_come_is_told_of_jobs_in_waiting_and_in_the_queue(jar):
    for directory, name in ((jar.waiting, "one"), (jar.unclaimed, "two")):
        jars.write(f"{directory}/{name}", "#!/bin/sh\n#JJ --begin=2999-01-01T00:00:00Z\n", 0o700)
        assert "2999-01-01T00:00:00Z" in says(jar, name) and explain(jar, name).reason == "BeginTime"


def test_how_many_tasks_of_an_array_are_at_work_is_told(jar):
    jars.write(f"{jar.waiting}/{ARRAY}_7.0", "#!/bin/sh\n#JJ --submit-dir=/ --array=1-9%3\n", 0o700)
    put(jar, "unclaimed", f"{ARRAY}_3.0")
    for index in (1, 2):
        give(jar, worker(jar, f"snow.{index}"), f"{ARRAY}_{index}.0")
    assert "3 tasks of its array are at work or next" in says(jar, f"{ARRAY}_7") and "turn: 3 tasks" in says(jar, "p_7")


def test_deaths_and_failures_are_told(jar):
    put(jar, "unclaimed", "job")
    assert "died" not in says(jar) and "given back" not in says(jar)
    notes.add(jar, "rain.7", "job", None, "attempt", a="x-1", why="its worker died")
    notes.add(jar, "rain.7", "job", None, "requeue", a="x-2", exit=3, node="snow", counts=True)
    notes.add(jar, "rain.7", "job", None, "requeue", a="x-3", signal=9, node="rime", counts=True, t=time.time() + 9)
    assert "its worker has died once: when it has been begun 5 times" in says(jar, JJ_MAX_ATTEMPTS="5")
    assert "given back 2 times, the last time on rime: signal 9" in says(jar)


def test_its_place_in_the_order_of_claiming_is_told(jar):
    for name, category in ((f"{ONE}.0", "C"), (f"{TWO}.5", "C"), (f"{ARRAY}_1.0", "C"), ("other", "D")):
        put(jar, "unclaimed", name, category)
    assert "number 2 of 3 in category C" in says(jar, ONE)
    assert "number 1 of 3 in category C" in says(jar, TWO)


def test_a_category_that_nobody_reads_is_told_with_both_remedies(jar):
    put(jar, "unclaimed", "job", "C")
    put(jar, "unclaimed", "other")
    assert "no live worker is there: `start_worker`" in says(jar) and "no live worker is there" in says(jar, "other")
    worker(jar, "snow.12", "D")
    assert "`start_worker C`" in says(jar) and "`jobjar move job`" in says(jar)
    assert of(jar, "snow.12") == "does not read category C, only snow D and what has none"
    assert "no live worker" not in says(jar, "other")


def test_drained_nodes_are_told_also_without_workers(jar):
    put(jar, "unclaimed", "job")
    jars.write(f"{jar.workers}/DRAIN.rime", "new disk\n")
    assert "node rime is drained: new disk; `jobjar undrain rime`" in says(jar)


# Its workers.

@pytest.mark.parametrize("marker, word, remedy", [
    ("snow.12/STOP", "is told to leave by ", "`start_worker` starts another"),
    ("STOP_ALL", "is told to leave, as all are by ", "STOP_ALL and start workers"),
    ("DRAIN.snow", "is on a drained node by ", "`jobjar undrain snow`"),
    ("snow.12/PAUSE", "is paused by ", "`unpause_worker snow.12`"),
    ("PAUSE_ALL", "is paused, as all are by ", "PAUSE_ALL")])
def test_what_is_asked_of_a_worker_is_told_with_who_since_when_and_the_remedy(jar, marker, word, remedy):
    worker(jar, "snow.12")
    put(jar, "unclaimed", "job")
    mark(jar, marker)
    os.utime(f"{jar.workers}/{marker}", (time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1)),) * 2)
    said = of(jar, "snow.12")
    assert said.startswith(f"{word}{notes.login()} since 2026-01-02T03:04:05;") and said.endswith(remedy)
    assert "before this one" not in said and explain(jar).reason == "ReqNodeNotAvail"


def test_the_reason_of_a_pause_is_told(jar):
    worker(jar, "snow.12")
    put(jar, "unclaimed", "job")
    jars.write(f"{jar.worker('snow.12')}/PAUSE", "three jobs in a row\n")
    assert ": three jobs in a row; `unpause_worker" in of(jar, "snow.12")


def test_a_worker_without_room_is_told(jar):
    worker(jar, "snow.12", min_free=[2**62, 0])
    put(jar, "unclaimed", "job")
    assert "claims nothing: " in of(jar, "snow.12") and "JJ_MIN_FREE" in of(jar, "snow.12")


def test_a_busy_worker_says_with_what_and_how_many_come_before(jar):
    give(jar, worker(jar, "snow.12", "C"), "long.5")
    os.utime(jar.claims("snow.12"), (time.time() - 7300,) * 2)
    put(jar, "unclaimed", "job.-1")
    put(jar, "unclaimed", "a")
    put(jar, "unclaimed", "b", "C")
    assert of(jar, "snow.12") == "is busy with long for 2h1m\nhas 2 jobs to claim before this one"
    assert of(jar, "snow.12", "b").endswith("claims this one next")


def test_of_a_job_that_waits_itself_each_worker_says_that_it_could_take_it(jar):
    worker(jar, "snow.12")
    give(jar, worker(jar, "snow.13"), "long.5")
    put(jar, "held", "job")
    assert of(jar, "snow.12") == "could take it then"
    assert "busy with long" in of(jar, "snow.13") and of(jar, "snow.13").endswith("could take it then")


def test_workers_that_are_dead_or_cannot_be_judged_are_told(jar, monkeypatch):
    stranded = dead(jar)
    worker(jar, "snow.12")
    os.utime(f"{jar.worker('snow.12')}/beat", (1, 1))
    put(jar, "unclaimed", "job")
    assert "recover_stranded" in of(jar, stranded) and "has not been heard of" in of(jar, "snow.12")


def test_a_worker_that_does_not_trust_the_owner_is_told(jar):
    worker(jar, "snow.12", uid=os.geteuid())
    worker(jar, "snow.13", uid=12345)
    put(jar, "unclaimed", "job")
    assert "JJ_TRUSTED_USERS" not in of(jar, "snow.12")
    assert f"runs jobs of 12345, and this one's file is {notes.login()}'s" in of(jar, "snow.13")


# Jobs that are not pending.

def test_a_running_job_says_where_and_whether_its_worker_lives(jar):
    give(jar, worker(jar, "snow.12"), "job")
    assert "it runs on snow since" in says(jar)
    give(jar, dead(jar), "lost")
    assert "its jobs are stranded: `recover_stranded`" in says(jar, "lost")


def test_a_job_that_failed_says_how_with_its_last_lines(jar):
    workers.submit(jar, "seq 1000 2000; printf '%s\\n' 'a\\b\x1b'; exit 7", id="bad")
    workers.submit(jar, "echo fine", id="good")
    workers.drain(jar)
    found = explain(jar, "bad")
    assert (found.state, found.reason) == ("FAILED", "") and "on rain: exit status 7" in found.says[0]
    assert found.says[2:] == [*(f"  {number}" for number in range(1992, 2001)), "  a\\b\\x1b"]
    assert explaining.render([found]).endswith("    a\\b\\x1b\n")
    assert explain(jar, "good").state == "COMPLETED" and "fine" not in says(jar, "good")


def test_a_job_that_never_ran_says_why(jar):
    put(jar, "failed", "job")
    notes.add(jar, "rain.7", "job", None, "refuse", why="line 2: nonsense")
    assert "never run to its end" in says(jar) and says(jar).endswith(": line 2: nonsense")


@pytest.mark.parametrize("size", [explaining.TAIL - 1, explaining.TAIL + 1])
def test_the_last_lines_are_whole_lines(tmp_path, size):
    path = jars.write(f"{tmp_path}/log", "x" * (size - 4) + "\nab\n")
    assert explaining.last_lines(path) == (["x" * (size - 4), "ab"] if size <= explaining.TAIL else ["ab"])
    assert explaining.last_lines(path + "no") == []


# The command.

def test_the_command_groups_workers_by_node(jar):
    for name in ("snow.2", "rime.1", "snow.1"):
        worker(jar, name)
    put(jar, "unclaimed", "job")
    status, out, err = programs.run("jobjar", "explain", "--home", jar.home, "job")
    assert (status, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["job:", "PENDING"], ["it", "is"], ["nothing", "stands"], ["node", "rime:"], ["rime.1", "claims"],
        ["node", "snow:"], ["snow.1", "claims"], ["snow.2", "claims"]]


def test_tasks_of_which_the_same_is_said_share_a_paragraph(jar):
    worker(jar, "snow.2")
    put(jar, "unclaimed", f"{ONE}.5")
    for index in range(1, 31):
        put(jar, "held" if index in (4, 7) else "unclaimed", f"{ARRAY}_{index}.0")
    said = programs.run("jobjar", "explain", "--home", jar.home, ARRAY)[1]
    assert said == f"""\
{ARRAY}_[1-3,5-6,8-30]: PENDING (Priority), in unclaimed/
  the first of them is number 2 of 29 among those without category
node snow:
  snow.2 has 1 job to claim before the first of them

{ARRAY}_[4,7]: PENDING (JobHeldUser), in held/
  """ + said.partition("in held/\n  ")[2]
    assert len(said.splitlines()) < 12
    status, out, _ = programs.run("jobjar", "explain", "--home", jar.home, "--json", ARRAY)
    assert len(json.loads(out)["jobs"]) == 30


def test_tasks_that_have_ended_alike_share_a_paragraph_and_those_that_have_not_do_not(jar):
    arrays = programs.run("submit_job", "--home", jar.home, "--array=1-6", "-i", "mixed",
                          "test $JJ_ARRAY_TASK_ID -lt 4 || exit $JJ_ARRAY_TASK_ID")[1].strip()
    workers.drain(jar)
    said = programs.run("jobjar", "explain", "--home", jar.home, arrays)[1].splitlines()
    assert said[:2] == [f"{arrays}_[1-3]: COMPLETED, in completed/", "  they have ended"]
    assert [line for line in said if line.startswith("2")][1:] == [
        f"{arrays}_{index}: FAILED, in completed/" for index in (4, 5, 6)]


def test_the_command_prints_one_json_document(jar):
    worker(jar, "snow.2")
    put(jar, "unclaimed", "job", "C")
    put(jar, "held", "job2")
    found = json.loads(programs.run("jobjar", "explain", "--home", jar.home, "--json", "unclaimed/C/job", "job2")[1])
    assert [(job["jobid"], job["state"], job["reason"], job["directory"], job["category"]) for job in found["jobs"]] == [
        ("job", "PENDING", "ReqNodeNotAvail", "unclaimed", "C"), ("job2", "PENDING", "JobHeldUser", "held", None)]
    assert found["schema"] == 1 and found["jobs"][0]["workers"][0]["node"] == "snow"


def test_the_command_refuses_what_is_not_there(jar):
    assert programs.run("jobjar", "explain", "--home", jar.home, "job")[0] == 3
    assert programs.run("jobjar", "explain", "--home", jar.home)[0] == 2


def test_a_real_worker_is_explained(jar):
    with workers.working(jar, "C") as handle:
        running = workers.submit(jar, f"while [ ! -e {jar.home}/go ]; do sleep 0.02; done", category="C")
        processes.until(lambda: "it runs on rain" in says(jar, running.name))
        waits = workers.submit(jar, "true")
        found = explaining.explain(jar, node.myself("rain"), waits, workers.settings(jar))
        assert found.reason == "Resources" and found.workers[handle.name] == [
            f"is busy with {running.name[:-2]} for 0s", "claims this one next"]
        jars.write(f"{jar.home}/go", "")
        processes.until(lambda: selection.jobs(jar, [waits.name])[0] == Place("completed", None, waits.name))
