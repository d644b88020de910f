"""Jobs that have ended are cleaned away: which, what stays of them, and what is left alone."""

import json
import os
import time

import pytest
from support import accounts as made
from support import jars, processes, programs, workers
from support.accounts import end, journal

from jobjar import archive, changing, cleaning, clearance, ends, history, inspection, leftovers, moves, node
from jobjar import notes, registration, reservation, retrying, selection, store
from jobjar.cleaning import Criteria
from jobjar.history import Wanted
from jobjar.layout import Place

ME = node.myself("rain")
OLD = 10 * 86400


def run(jar, *words, code=0):
    """(stdout, stderr) of `jobjar clean`."""
    status, out, err = programs.run("jobjar", "clean", *words, env=processes.environment(JJ_HOME=jar.home, JJ_NODE="rain"))
    assert status == code, err
    return out, err


def finished(jar, *commands, **more):
    """The names of jobs that a worker has run."""
    found = [workers.submit(jar, command, **more).name for command in commands]
    workers.drain(jar, *([more["category"]] if "category" in more else []))
    return found


def records(jar):
    """What `history` knows, by name."""
    return {record["n"]: record for record in history.records(jar, Wanted())}


def clean(jar, **criteria):
    """Clean in this process; the ids."""
    return list(cleaning.clean(jar, ME, cleaning.choose(jar, Criteria(**criteria), time.time())))


def age(jar, worker, seconds=OLD):
    """Make a worker's directory look as if nothing had happened in it for so long."""
    for directory, _, files in os.walk(jar.worker(worker)):
        for path in (*(os.path.join(directory, name) for name in files), directory):
            os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)


def test_a_job_goes_with_its_log_its_link_and_its_notes_and_its_record_stays(jar):
    name, = finished(jar, "echo said; exit 3")
    notes.add(jar, "rain.1", name, None, "retry", why="a person wanted it", a="x")
    jars.write(jar.log(name, "once"), "an earlier attempt\n")
    assert run(jar, "--state", "FAILED")[0].split() == [name[:-2]]
    for directory in (jar.completed, jar.failed, jar.logs, jar.notes, jar.limbo):
        assert os.listdir(directory) == []
    record = records(jar)[name]
    assert (record["exit"], record["command"], record["size"]) == (3, "echo said; exit 3", 31)
    assert record["notes"][0]["why"] == "a person wanted it"
    assert inspection.inspect(jar, ME) == []


def test_nothing_is_cleaned_away_unasked(jar):
    finished(jar, "true")
    before = jars.tree(jar)
    assert "unasked" in run(jar, code=2)[1]
    assert jars.tree(jar) == before


def test_a_dry_run_names_what_a_cleaning_then_removes_and_changes_nothing(jar):
    finished(jar, "true", "false")
    before = jars.tree(jar)
    told = run(jar, "--older", "0", "--dry-run")[0]
    assert len(told.split()) == 2 and jars.tree(jar) == before
    assert run(jar, "--older", "0")[0] == told
    assert run(jar, "--older", "0")[0] == ""


def test_what_is_younger_newer_of_another_state_or_not_named_stays(jar):
    names = finished(jar, "true", "exit 1", "true", "exit 2")
    assert clean(jar, older=3600.0) == []
    assert clean(jar, keep=4) == clean(jar, ended=["TIMEOUT"]) == clean(jar, places=[]) == []
    assert clean(jar, keep=1, ended=["FAILED"]) == [names[1][:-2]]
    assert clean(jar, keep=2) == [names[0][:-2]]
    assert run(jar, names[2][:-2])[0].split() == [names[2][:-2]]
    assert os.listdir(jar.completed) == [names[3]]
    assert run(jar, "nothing-of-this-name", code=3)[0] == ""


def test_the_age_is_that_of_the_end_and_of_what_never_ran_that_of_its_coming(jar):
    name, = finished(jar, "true")
    jars.put(jar, Place("failed", None, "cancelled"))
    assert clean(jar, older=60.0) == []
    chosen = cleaning.choose(jar, Criteria(older=60.0), time.time() + 61)
    assert {one.place.name for one in chosen} == {name, "cancelled"}


def test_a_job_that_never_ran_is_recorded_with_the_reason(jar):
    place = jars.put(jar, Place("unclaimed", "sim", "hand.3"))
    notes.add(jar, "rain.1", "hand.3", "sim", "cancel", why="not wanted")
    moves.cancel(jar, place, reservation.text("rain.1", "x"))
    before = records(jar)["hand.3"]
    assert (before["state"], before["c"], before["why"]) == ("CANCELLED", "sim", "not wanted")
    assert clean(jar, ended=["CANCELLED"]) == ["hand"]
    after = records(jar)["hand.3"]
    assert {key: after[key] for key in before} == before and not os.listdir(jar.failed)


def test_jobs_that_wait_or_run_are_never_cleaned_away(jar):
    for state in ("unclaimed", "held", "waiting"):
        jars.put(jar, Place(state, None, f"a.{len(state)}"))
    jars.worker(jar, "rain.77")
    jars.put(jar, Place("claims", None, "b", jar.claims("rain.77")))
    before = jars.tree(jar)
    assert run(jar, "--older", "0")[0] == ""
    assert "is not in" in run(jar, "b", code=3)[1] and jars.tree(jar) == before


def test_a_namesake_in_the_queue_keeps_its_notes_and_attempt_logs(jar):
    for _ in range(2):
        workers.place(jar, "same", "true")
        if not os.listdir(jar.completed):
            workers.drain(jar)
    notes.add(jar, "rain.1", "same", None, "attempt", a="lost-1", why="its worker died")
    log = jars.write(jar.log("same", "lost-1"), "half\n")
    for path in (log, os.path.join(jar.notes, "same", "rain.1"), os.path.join(jar.notes, "same")):
        os.utime(path, (time.time() - OLD,) * 2)
    run(jar, "--older", "0")
    assert os.path.exists(log) and notes.open_attempts(jar, "same", None) == {"lost-1"}
    os.remove(os.path.join(jar.unclaimed, "same"))
    run(jar, "--older", "0")
    assert not os.path.exists(log) and not os.listdir(jar.notes)


def test_young_notes_under_a_name_made_by_hand_stay(jar):
    workers.place(jar, "same", "true")
    workers.drain(jar)
    notes.add(jar, "rain.1", "same", None, "attempt", a="lost-1", why="its worker died")
    run(jar, "--older", "0")
    assert os.listdir(jar.notes) == ["same"] and not os.listdir(jar.completed)


def test_the_end_of_an_earlier_namesake_is_not_taken_for_a_jobs(jar):
    jars.put(jar, Place("completed", None, "same"))
    journal(jar, "rain.77", end(1, "same", ino=1, user="somebody"))
    (chosen,) = cleaning.choose(jar, Criteria(keep=0), time.time())
    assert chosen.record["e"] == "job" and chosen.record["state"] == "COMPLETED"


@pytest.mark.parametrize("names", [1, 2])
@pytest.mark.parametrize("state", ["FAILED", "COMPLETED"])
def test_what_a_job_has_made_since_it_was_chosen_stays(jar, names, state):
    name, = finished(jar, f"[ -e {jar.home}/flag ] || exit 1")
    place = Place("completed", None, name)
    if names > 1:
        # As the tasks of an array, whose changes are all the same file's.
        os.link(jar.path(place), os.path.join(jar.held, "another-task"))
    chosen = cleaning.choose(jar, Criteria(ended=["FAILED"]), time.time())
    if state == "COMPLETED":
        jars.write(os.path.join(jar.home, "flag"), "")
    retrying.retry(changing.Change(jar, "rain"), [place])
    workers.drain(jar)
    assert len(chosen) == 1 and list(cleaning.clean(jar, ME, chosen)) == []
    assert os.listdir(jar.completed) == [name] and bool(os.listdir(jar.failed)) == (state == "FAILED")
    assert clean(jar, ended=[state]) == [name[:-2]]


def test_an_end_of_before_by_a_clock_that_is_fast_does_not_count(jar):
    name, = finished(jar, "true")
    ino = os.stat(os.path.join(jar.completed, name)).st_ino
    journal(jar, "snow.77", end(1, name, t=time.time() + 3600, state="FAILED", exit=7, ino=ino))
    assert clean(jar, ended=["FAILED"]) == [] and os.listdir(jar.completed) == [name]
    (chosen,) = cleaning.choose(jar, Criteria(ended=["COMPLETED"]), time.time())
    assert chosen.record["exit"] == 0


@pytest.mark.parametrize("names", [1, 2])
def test_a_job_that_has_just_ended_is_young_whatever_the_clock_of_its_node_says(jar, names):
    place = jars.put(jar, Place("completed", None, "slow.0"))
    jars.write(jar.log("slow.0"), "printed\n")
    if names > 1:
        os.link(jar.path(place), os.path.join(jar.held, "another-task"))
    journal(jar, "snow.77", end(1, "slow.0", t=time.time() - 3 * 86400, ino=os.stat(jar.path(place)).st_ino))
    assert clean(jar, older=86400.0) == []
    assert clean(jar, older=-60.0) == ["slow"]


def test_the_names_of_one_file_are_as_old_as_their_logs(jar):
    places = [jars.put(jar, Place("completed", None, "one_1.0")), Place("completed", None, "one_2.0")]
    jars.write(jar.log("one_1.0"), "printed\n")
    time_of_log = os.stat(jar.log("one_1.0")).st_ctime
    processes.until(lambda: time.time() > time_of_log + 0.05)
    os.link(jar.path(places[0]), jar.path(places[1]))
    journal(jar, "snow.77", *(end(at, place.name, ino=os.stat(jar.path(place)).st_ino) for at, place in enumerate(places)))
    assert [one.place for one in cleaning.choose(jar, Criteria(older=0.0), time_of_log + 0.01)] == places[:1]


def test_a_job_that_is_retried_meanwhile_keeps_its_saved_logs_and_its_notes(workplace, monkeypatch):
    listed, asked = selection.Listing._list, 0
    while True:
        jar = jars.make(os.path.join(workplace, str(asked)))
        job, = jars.put(jar, Place("completed", None, f"{made.ID}.0")),
        archive.write(jar, ME, [{**end(1, job.name), "cleaned": 1.0}])
        notes.add(jar, "rain.1", job.name, None, "retry")
        jars.write(jar.log(job.name, "once"), "printed\n")
        calls = []

        def listing(self, state):
            calls.append(state)
            if len(calls) == asked + 1:
                os.rename(jar.path(job), os.path.join(jar.unclaimed, job.name))
            return listed(self, state)
        monkeypatch.setattr(selection.Listing, "_list", listing)
        assert not any(cleaning.attachments(jar, time.time())), f"retried when {calls[asked]} was looked at"
        asked += 1
        if asked == len(calls):
            break
    monkeypatch.undo()
    os.remove(os.path.join(jar.unclaimed, job.name))
    assert len(cleaning.attachments(jar, time.time()).logs) == 1


@pytest.mark.parametrize("where", ["held/{}~edit.0", "unclaimed/{}~2.0", "unclaimed/C/{}.7"])
def test_a_job_under_another_name_keeps_what_it_had(jar, where):
    archive.write(jar, ME, [{**end(1, f"{made.ID}.0"), "cleaned": 1.0}])
    log = jars.write(jar.log(f"{made.ID}.0", "once"), "printed\n")
    path = os.path.join(jar.home, where.format(made.ID))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    jars.write(path, "#!/bin/sh\n")
    assert not any(cleaning.attachments(jar, time.time()))
    os.remove(path)
    assert cleaning.attachments(jar, time.time()).logs == [log]


def test_long_journals_and_archives_are_read_and_written_a_block_at_a_time(jar, monkeypatch):
    monkeypatch.setattr(archive, "BLOCK", 100)
    found = [end(at, f"job{at}.0", exit=at) for at in range(20)]
    journal(jar, "rain.77", *found, {"e": "target", "a": found[3]["a"], "as": "job3~2.0"})
    names = [*(line["n"] for line in found), "job3~2.0"]
    known = ends.end_lines(jar, names)
    assert known.pop("job3~2.0") == found[3] and known == {line["n"]: line for line in found if line != found[3]}
    archive.write(jar, ME, ({**line, "cleaned": 1.0} for line in found))
    assert {record["n"]: record["exit"] for record in history.records(jar, Wanted())} == {
        line["n"]: line["exit"] for line in found}
    assert ends.end_lines(jar, ["job7.0"])["job7.0"]["exit"] == 7


def test_the_script_of_a_job_with_options_is_kept_and_a_long_one_is_not(jar):
    finished(jar, "true " + "x" * 5000)
    jars.put(jar, Place("unclaimed", None, "asks"))
    with open(os.path.join(jar.unclaimed, "asks"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh -f\n#JJ --tag=x\ntrue\n")
    workers.drain(jar)
    run(jar, "--older", "0")
    asks, = [record for record in records(jar).values() if "script" in record]
    assert asks["script"] == "#!/bin/sh -f\n#JJ --tag=x\ntrue\n" and asks["command"] == "true"
    assert sum("command" in record for record in records(jar).values()) == 1


def test_jobs_of_many_workers_are_cleaned_away_while_they_run_others(jar):
    with workers.working(jar) as one, workers.working(jar) as two:
        for _ in range(5):
            names = {workers.submit(jar, "echo x").name for _ in range(20)}
            list(cleaning.clean(jar, ME, cleaning.choose(jar, Criteria(keep=5), time.time())))
        processes.until(lambda: not any(map(os.listdir, (jar.unclaimed, one.claims, two.claims))), "all are run")
        assert names <= set(records(jar))
    list(cleaning.clean(jar, ME, cleaning.choose(jar, Criteria(keep=0), time.time())))
    assert len(records(jar)) == 100 and not os.listdir(jar.completed) and not os.listdir(jar.logs)


def test_two_cleanings_at_once_remove_each_job_once(jar):
    finished(jar, *["true"] * 40)
    both = [programs.start("jobjar", "clean", "--older", "0", env=processes.environment(JJ_HOME=jar.home, JJ_NODE="rain"))
            for _ in range(2)]
    told = [processes.finish(one) for one in both]
    assert [code for code, _, _ in told] == [0, 0], told
    gone = [job for _, out, _ in told for job in out.split()]
    assert len(gone) == len(set(gone)) == 40 and len(records(jar)) == 40
    assert not os.listdir(jar.limbo) and not os.listdir(jar.completed)


def test_the_end_of_a_job_is_known_when_its_workers_directory_is_gone(jar):
    name, = finished(jar, "exit 3")
    (worker,) = os.listdir(jar.workers)
    age(jar, worker)
    assert run(jar, "--older", "5d")[0].split() == [jar.worker(worker)]
    assert os.listdir(jar.workers) == [] and os.listdir(jar.completed) == [name]
    assert ends.end_line(jar, name, None)["exit"] == 3
    assert inspection.inspect(jar, ME) == []
    assert clean(jar, keep=0) == [name[:-2]]
    assert records(jar)[name]["exit"] == 3 and records(jar)[name]["command"] == "exit 3"


def test_final_names_and_repeated_attempts_outlive_the_journal(jar):
    journal(jar, "rain.77", made.repeated(1, "x"), end(2, "x"), {"e": "target", "a": f"{made.NONCE}-2", "as": "x~2"})
    furnish(jar, "rain.77")
    age(jar, "rain.77")
    assert list(clearance.clear(jar, ME, 3600.0, time.time())) == ["rain.77"]
    found = history.records(jar, Wanted(attempts=True))
    assert [(record["e"], record.get("as")) for record in found] == [("requeue", None), ("end", "x~2")]
    assert not os.listdir(jar.workers) and ends.end_line(jar, "x~2", None)["n"] == "x"


def furnish(jar, worker):
    """Who a worker was that has left: of another boot."""
    me = node.myself("rain")._replace(pid=int(worker.rpartition(".")[2]), boot="0" * 36)
    jars.write(os.path.join(jar.worker(worker), "worker.json"),
               json.dumps({**me._asdict(), "nonce": node.nonce(me), "uid": os.geteuid()}))


def test_a_worker_that_may_own_jobs_or_lives_or_left_lately_keeps_its_directory(jar):
    with workers.working(jar) as worker:
        processes.until(worker.is_idle)
        age(jar, worker.name)
        assert clearance.left(jar, ME, 60.0, time.time()) == ([], [])
    assert clearance.left(jar, ME, 0.0, time.time()) == ([], [])
    age(jar, worker.name)
    assert clearance.left(jar, ME, OLD + 100, time.time()) == ([], [])
    for name in ("claims", "recovering.x"):
        os.mkdir(worker.path(name))
        age(jar, worker.name)
        assert clearance.left(jar, ME, 60.0, time.time()) == ([], [])
        os.rmdir(worker.path(name))
    age(jar, worker.name)
    assert clearance.left(jar, ME, 60.0, time.time()).workers == [worker.name]


def test_a_process_that_lives_is_about_to_say_its_last_words_and_keeps_its_directory(jar):
    journal(jar, node.owner(ME), end(1))
    jars.write(os.path.join(jar.worker(node.owner(ME)), "worker.json"),
               json.dumps({**ME._asdict(), "nonce": node.nonce(ME), "uid": os.geteuid()}))
    age(jar, node.owner(ME))
    assert clearance.left(jar, ME, 60.0, time.time()).workers == []


@pytest.mark.parametrize("name, text", [("output.abc-1", "half"), ("scratch.left-7", "x"), ("output", "x"), ("mine", "x")])
def test_what_a_person_may_need_keeps_a_workers_directory_and_is_told(jar, name, text):
    journal(jar, "rain.77", end(1))
    furnish(jar, "rain.77")
    with open(os.path.join(jar.worker("rain.77"), name), "w", encoding="utf-8") as file:
        file.write(text)
    age(jar, "rain.77")
    out, err = run(jar, "--older", "1d")
    assert out == "" and name in err and os.path.exists(os.path.join(jar.worker("rain.77"), name))


def test_a_directory_that_was_set_aside_goes_too_and_one_that_says_nothing_of_its_owner_stays(jar):
    journal(jar, "rain.77.old-" + made.NONCE, end(1))
    journal(jar, "rain.78", end(2))
    for name in os.listdir(jar.workers):
        age(jar, name)
    assert list(clearance.clear(jar, ME, 3600.0, time.time())) == ["rain.77.old-" + made.NONCE]
    assert os.listdir(jar.workers) == ["rain.78"] and set(records(jar)) == {"job1", "job2"}


def test_a_newcomer_under_a_workers_name_is_never_taken_for_the_one_that_left(jar):
    journal(jar, "rain.77", end(1))
    furnish(jar, "rain.77")
    record = registration.read(jar, "rain.77")
    age(jar, "rain.77")
    # Another has set it aside since we looked, and registered.
    registration.set_aside(jar, "rain.77", record.nonce)
    jars.worker(jar, "rain.77")
    jars.write(os.path.join(jar.worker("rain.77"), "worker.json"),
               json.dumps({**record.identity._asdict(), "nonce": record.nonce}))
    assert clearance._set_aside(jar, "rain.77") is None
    assert os.path.isdir(jar.claims("rain.77"))


def test_one_cleaning_at_a_time_sees_to_the_workers_directories(jar):
    journal(jar, "rain.77", end(1))
    furnish(jar, "rain.77")
    age(jar, "rain.77")
    other = reservation.text("snow.5", "x")
    assert reservation.take(jar, ".workers", other, lambda: True, is_kept=True)
    assert list(clearance.clear(jar, ME, 3600.0, time.time())) == []
    reservation.leave_taken(jar, ".workers", other)
    assert list(clearance.clear(jar, ME, 3600.0, time.time())) == ["rain.77"]


def test_contents_that_no_job_needs_go_after_a_day_and_those_that_one_needs_stay(jar):
    needed, unneeded, young = (jars.keep(jar, text) for text in (b"[]", b"old", b"young"))
    jars.put(jar, Place("held", None, "needs"))
    with open(os.path.join(jar.held, "needs"), "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh -f\n#JJ --staged={needed}\ntrue\n")
    for digest in (needed, unneeded):
        os.utime(store.path_of(jar, digest), (time.time() - OLD,) * 2)
    assert clearance.sweep_store(jar, time.time()) == 1
    assert [os.path.exists(store.path_of(jar, digest)) for digest in (needed, unneeded, young)] == [True, False, True]


def test_nothing_is_taken_from_the_store_while_a_job_cannot_be_asked(jar):
    digest = jars.keep(jar, b"old")
    os.utime(store.path_of(jar, digest), (time.time() - OLD,) * 2)
    path = jar.path(jars.put(jar, Place("held", None, "closed")))
    os.remove(path)
    os.mkfifo(path)
    assert clearance.sweep_store(jar, time.time()) == 1
    jars.keep(jar, b"old")
    os.utime(store.path_of(jar, digest), (time.time() - OLD,) * 2)
    os.remove(path)
    jars.put(jar, Place("held", None, "closed"))
    was, clearance.claiming.look_into = clearance.claiming.look_into, lambda path: (None, b"")
    try:
        assert clearance.sweep_store(jar, time.time()) == 0
    finally:
        clearance.claiming.look_into = was


def test_a_job_whose_file_is_closed_to_us_may_need_anything(jar, monkeypatch):
    path = store.path_of(jar, jars.keep(jar, b"old"))
    os.utime(path, (time.time() - OLD,) * 2)
    closed = jar.path(jars.put(jar, Place("held", None, "closed")))
    open_ = os.open

    def refusing(name, flags, *more, **keys):
        # As for everybody but root.
        if name == closed and not flags & os.O_PATH:
            raise PermissionError(13, "Permission denied", name)
        return open_(name, flags, *more, **keys)
    monkeypatch.setattr(os, "open", refusing)
    assert clearance.sweep_store(jar, time.time()) == 0
    monkeypatch.undo()
    assert clearance.sweep_store(jar, time.time()) == 1


def test_a_jar_of_an_earlier_version_gets_its_archive_when_it_is_first_needed(jar):
    assert not os.path.exists(jar.history)
    finished(jar, "true")
    run(jar, "--older", "0")
    assert len(os.listdir(jar.history)) == 1 and os.stat(jar.history).st_mode & 0o022 == 0


def test_what_lies_in_the_archive_and_is_no_record_is_reported_and_a_dead_cleanings_draft_removed(jar):
    archive.write(jar, ME, [end(1)])
    dead = ME._replace(pid=2**22 + 5)
    draft = jars.write(os.path.join(jar.history, f".{node.owner(dead)}.{node.nonce(dead)}"), "half")
    other = jars.write(os.path.join(jar.history, "notes.txt"), "mine")
    with open(archive.files(jar)[0], "ab") as file:
        file.write(b'{"e": "end", "torn\n')
    assert [(found.kind, found.path) for found in inspection.inspect(jar, ME)] == [
        ("foreign", other), ("left-over", draft), ("garbled", archive.files(jar)[0])]
    assert leftovers.sweep(jar, ME) == [] and not os.path.exists(draft)
