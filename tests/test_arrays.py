"""Arrays: what lies in the jar, what workers make of it, and what becomes of a submission that fails or is killed."""

import errno
import os
import signal
import time
from collections import Counter

import pytest
from support import jars, nodes, processes, programs, workers

import jobjar
from jobjar import (arrays, clearance, cli, drafts, entries, expansion, fslook, fsops, inspection, jobname, leavings,
                    moves, node, reservation, store)
from jobjar.errors import JobJarError, TryAgain
from jobjar.layout import Place
from jobjar.recovery import Recovery

ME = node.myself("rain")
AWKWARD = ["", " ", "a b", "it's", '"', "$(touch evil)", "`touch evil`", "\\", "\\0101", "tab\there", "cr\rx", "*", "~",
           "-n", "two\nlines", "ü", "\x7f", "#", "#JJ --mem=1G", "%s%d", "\\n", os.fsdecode(b"\xff\xfe"), "'''",
           "{} {1}", ";", "|&"]


def batch(found=None, script="#!/bin/sh\ntrue\n", **wishes):
    """The array that this makes; `found`: the texts of its entries."""
    lines = entries.of_product([found]) if found is not None else None
    wishes.setdefault("array", f"1-{len(found or 'xxxx')}")
    return expansion.Batch(script.encode(), {"submit_dir": "/", "submit_host": "rain", **wishes}, "job", lines)


def submit(jar, *arguments, several=True, **wishes):
    return arrays.submit(jar, batch(*arguments, **wishes), ME, several)


def indices(jar, *states):
    """How many files there are of each index in these places."""
    return Counter(jobname.array_task(os.path.basename(path))[1] for state in states
                   for path in workers.files(os.path.join(jar.home, state)))


def inodes(jar):
    return Counter(os.stat(path).st_ino for path in workers.files(jar.unclaimed))


def findings(jar):
    return [(found.kind, found.says) for found in inspection.inspect(jar, ME)]


# What workers make of it.

def test_two_hundred_tasks_get_their_entries_whatever_is_in_them(jar):
    items = [f"{AWKWARD[number % len(AWKWARD)]}{number}" for number in range(200)]
    array = submit(jar, items, '#!/bin/sh\nprintf "%s" "$JJ_ENTRY"\n')
    with workers.working(jar), workers.working(jar, JJ_NODE="snow"):
        processes.until(lambda: len(os.listdir(jar.completed)) == 200 and not os.listdir(jar.claimed))
        assert findings(jar) == []
    printed = [_bytes(jar.log(f"{array}_{index}.0")) for index in range(1, 201)]
    assert printed == [os.fsencode(item) for item in items] and os.listdir(jar.failed) == []


def _bytes(path):
    with open(path, "rb") as file:
        return file.read()


def test_the_tasks_are_run_in_the_order_of_their_indices(jar):
    array = submit(jar, array="8-12,1,100")
    workers.drain(jar)
    assert workers.order(jar) == [f"{array}_{index}.0" for index in (1, 8, 9, 10, 11, 12, 100)]


def test_an_entry_that_is_changed_into_nonsense_is_refused_with_the_reason(jar):
    array = submit(jar, ["a", "b"])
    with open(os.path.join(jar.unclaimed, f"{array}_1.0"), "ab") as file:
        file.write(b"more\n")
    workers.drain(jar)
    assert sorted(os.listdir(jar.failed)) == [f"{array}_1.0", f"{array}_2.0"]
    assert all("entries at the end" in jars.read(path) for path in workers.files(jar.notes))


def test_each_task_of_a_jar_that_is_not_private_is_a_file_of_its_own_with_its_own_entries(jar):
    array = submit(jar, ["one", "two", "three"], '#!/bin/sh\nprintf "%s" "$JJ_ENTRY"\n', several=False, per_job=2)
    assert max(inodes(jar).values()) == 1
    texts = [jars.read(os.path.join(jar.unclaimed, f"{array}_{index}.0")) for index in (1, 3)]
    assert "#:three" not in texts[0] and "#:one" not in texts[1]
    workers.drain(jar)
    assert [jars.read(jar.log(f"{array}_{index}.0")) for index in (1, 3)] == ["onetwo", "three"]


def test_a_worker_of_a_jar_that_is_not_private_runs_no_file_with_several_names(jar):
    submit(jar, ["a", "b"])
    workers.drain(jar, JJ_TRUSTED_USERS="nobody")
    assert len(os.listdir(jar.failed)) == 2 and not os.listdir(jar.completed)


# What lies in the jar.

def test_one_file_gets_no_more_names_than_it_may_and_another_copy_goes_on(jar, monkeypatch):
    monkeypatch.setattr(arrays, "NAMES_MAX", 4)
    array = submit(jar, array="1-10")
    # One name is the draft's.
    assert sorted(inodes(jar).values()) == [1, 3, 3, 3]
    assert indices(jar, "unclaimed") == Counter(range(1, 11))
    assert len({jars.read(path) for path in workers.files(jar.unclaimed)}) == 1 and not os.listdir(jar.limbo)
    workers.drain(jar)
    assert len(os.listdir(jar.completed)) == 10 and array


def test_a_file_system_with_fewer_names_is_met_with_more_copies(jar, monkeypatch):
    real = fsops.second_name

    def limited(path, other):
        if os.stat(path).st_nlink > 6:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK), path, None, other)
        real(path, other)
    monkeypatch.setattr(fsops, "second_name", limited)
    submit(jar, array="1-20")
    assert sorted(inodes(jar).values()) == [2, 6, 6, 6] and indices(jar, "unclaimed") == Counter(range(1, 21))


def test_seventy_thousand_tasks_are_two_files(workplace, monkeypatch):
    jar = jars.make(os.path.join(workplace, "seventy"))
    made = Counter()
    monkeypatch.setattr(fsops, "second_name", lambda path, other: made.update([os.stat(path).st_ino]))
    monkeypatch.setattr(os, "stat", _with_names(os.stat, made))
    submit(jar, array="1-70000")
    assert sorted(made.values()) == [10_001, 59_999]


def _with_names(real, made):
    """os.stat that counts the names that were only pretended."""
    def stat(path, **more):
        found = real(path, **more)
        if made[found.st_ino]:
            return os.stat_result([*found[:3], found.st_nlink + made[found.st_ino], *found[4:]])
        return found
    return stat


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_without_second_names_each_task_is_a_copy(jar, monkeypatch, number):
    def refuse(path, other):
        raise OSError(number, os.strerror(number), path, None, other)
    monkeypatch.setattr(fsops, "second_name", refuse)
    submit(jar, ["a", "b", "c"], array="1-3%2")
    assert indices(jar, "unclaimed") == Counter([1, 2]) and indices(jar, "waiting") == Counter([3])
    assert max(inodes(jar).values()) == 1 and not os.listdir(jar.limbo)


def test_an_array_is_no_double_wherever_its_tasks_are(jar):
    array = submit(jar, array="1-6%4")
    workers.drain(jar, idle_exit=0.0)
    moves.hold(jar, Place("waiting", None, f"{array}_6.0"), reservation.text(node.owner(ME), node.nonce(ME)))
    assert findings(jar) == []


def test_a_task_in_two_places_is_found_all_the_same(jar):
    array = submit(jar, array="1-6")
    os.link(os.path.join(jar.unclaimed, f"{array}_2.0"), os.path.join(jar.held, f"{array}_2.0"))
    assert [kind for kind, _ in findings(jar)] == ["two-places"]


# Several names of one file under the moves and under recovery.

def test_no_move_takes_a_task_for_another_of_the_same_file(jar):
    array = submit(jar, array="1-5")
    mine = reservation.text(node.owner(ME), node.nonce(ME))
    place = [Place("unclaimed", None, f"{array}_{index}.0") for index in range(1, 6)]
    held = moves.hold(jar, place[0], mine)
    moves.cancel(jar, place[1], mine)
    moves.alter(jar, place[2], mine, f"{array}_3.9", None)
    moves.release(jar, held, mine)
    assert sorted(os.listdir(jar.unclaimed)) == [f"{array}_1.0", f"{array}_3.9", f"{array}_4.0", f"{array}_5.0"]
    assert os.listdir(jar.failed) == [f"{array}_2.0"] and not os.listdir(jar.held)
    # A name that is taken by another task's file is passed over, though the rename onto it would claim to have worked.
    os.rename(os.path.join(jar.unclaimed, f"{array}_5.0"), os.path.join(jar.held, f"{array}_4.0"))
    assert moves.release(jar, Place("held", None, f"{array}_4.0"), mine).name == f"{array}_4~2.0"
    assert not os.listdir(jar.held) and len(os.listdir(jar.unclaimed)) == 4


def test_of_two_tasks_of_one_file_a_dead_worker_has_ended_one_and_the_other_runs_again(jar):
    array = submit(jar, array="1-3")
    dead = nodes.Dead(jar)
    names = [f"{array}_{index}.0" for index in (1, 2)]
    attempts = [f"{dead.nonce}-{count}" for count in (1, 2)]
    for attempt, name in zip(attempts, names):
        dead.journal.intend(attempt, None, name)
        os.rename(os.path.join(jar.unclaimed, name), os.path.join(dead.claims, name))
    ino = os.stat(os.path.join(dead.claims, names[0])).st_ino
    dead.journal.end(attempts[0], None, names[0], state="COMPLETED", ino=ino)
    dead.journal.sync()
    dead.journal.close()
    report = Recovery(jar, ME, 3).node()
    assert sorted(report.jobs) == [("complete", None, names[0]), ("recover", None, names[1])] and not report.left
    assert os.listdir(jar.completed) == names[:1]
    assert sorted(os.listdir(jar.unclaimed)) == [names[1], f"{array}_3.0"]


# What becomes of a submission that fails, is interrupted or killed; everywhere: tests/faults/test_crash_arrays.py.

def _failing_after(monkeypatch, count, error):
    real, made = fsops.second_name, []

    def link(path, other):
        if len(made) == count:
            raise error
        made.append(real(path, other))
    monkeypatch.setattr(fsops, "second_name", link)


ERRORS = pytest.mark.parametrize("error, kind", [
    (KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.EIO, "x"), JobJarError),
    (OSError(errno.ENOSPC, "x"), TryAgain)])


@ERRORS
def test_what_is_cut_short_says_how_much_is_there_and_the_same_again_completes_it(jar, monkeypatch, error, kind):
    with monkeypatch.context() as patch:
        _failing_after(patch, 3, error)
        with pytest.raises(kind, match="3 of 9 tasks of the array .* are submitted: submit the same again"):
            submit(jar, array="1-9")
    assert indices(jar, "unclaimed") == Counter([1, 2, 3])
    [before] = {jobname.array_task(name)[0] for name in os.listdir(jar.unclaimed)}
    # Another one is another one.
    assert submit(jar, array="1-8") != before and submit(jar, array="1-9", priority=1) != before
    assert submit(jar, array="1-9", category="C") != before and submit(jar, array="1-9", id="x") != before
    assert submit(jar, array="1-9") == before
    assert len([name for name in os.listdir(jar.unclaimed) if name.startswith(before)]) == 9
    assert submit(jar, array="1-9") != before and not os.listdir(jar.limbo)


@ERRORS
def test_what_fails_before_the_first_task_leaves_nothing(jar, monkeypatch, error, kind):
    _failing_after(monkeypatch, 0, error)
    with pytest.raises(kind, match="nothing is submitted"):
        submit(jar, array="1-9")
    assert not os.listdir(jar.unclaimed) and not os.listdir(jar.limbo)


def test_an_interrupt_behind_the_first_task_is_told_as_one_task(jar, monkeypatch):
    real = fsops.second_name

    def link(path, other):
        real(path, other)
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(fsops, "second_name", link)
        with pytest.raises(KeyboardInterrupt, match="1 of 9"):
            submit(jar, array="1-9")
    submit(jar, array="1-9")
    assert indices(jar, "unclaimed") == Counter(range(1, 10))


SLOW = """
import sys, time
from jobjar import cli, fsops
real, made = fsops.second_name, []
def link(path, other):
    if len(made) == 40:
        print("half", flush=True)
        time.sleep(60)
    made.append(real(path, other))
fsops.second_name = link
sys.exit(cli.main("submit_job", ["--home", sys.argv[1], "--array=1-80%50", "true"]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_submitter_that_is_killed_is_helped_by_running_it_again(jar, number):
    environment = processes.environment(JJ_NODE="rain")
    process = processes.python("-c", SLOW, jar.home, env=environment)
    assert process.stdout.readline() == "half\n"
    process.send_signal(number)
    status, out, err = processes.finish(process)
    assert out == "" and status == (-9 if number == signal.SIGKILL else 130)
    assert err == "" if number == signal.SIGKILL else "40 of 80 tasks of the array" in err and err.count("\n") == 1
    [kind] = [kind for kind, _ in findings(jar)]
    assert kind == "cut-short"
    workers.drain(jar)
    status, out, err = programs.run("submit_job", "--home", jar.home, "--array=1-80%50", "true", cwd=processes.TOP,
                                    env=environment)
    assert (status, err) == (0, "") and not os.listdir(jar.limbo)
    assert indices(jar, "unclaimed", "waiting", "completed") == Counter(range(1, 81))
    assert {jobname.array_task(name)[0] for name in os.listdir(jar.completed)} == {out.strip()}


@pytest.mark.parametrize("word, is_meant", [("last", True), ("{}", True), ("*{}*", True), ("{}_1", False),
                                            ("{}_[1-3]", False)])
def test_who_cancels_an_array_that_is_being_submitted_cancels_what_is_not_submitted_yet(jar, word, is_meant):
    environment = processes.environment(JJ_NODE="rain")
    process = processes.python("-c", SLOW, jar.home, env=environment)
    assert process.stdout.readline() == "half\n"
    [draft] = list(drafts.unfinished(jar))
    array = jobname.split(draft.name)[0]
    status, out, err = programs.run("jobjar", "cancel", "--home", jar.home, word.format(array), cwd=processes.TOP,
                                    env=environment)
    assert (status, err) == (0, "") and (f"{array}: those of its tasks that were not" in out) == is_meant
    assert list(drafts.unfinished(jar)) == ([] if is_meant else [draft])
    process.kill()
    processes.finish(process)


def test_two_submitters_of_the_same_array_at_once_submit_two(jar):
    started = [programs.start("submit_job", "--home", jar.home, "--array=1-300", "true") for _ in range(2)]
    ids = {out.strip() for status, out, err in map(processes.finish, started) if (status, err) == (0, "")}
    assert len(ids) == 2 and indices(jar, "unclaimed") == Counter([*range(1, 301)] * 2)
    assert max(Counter(os.listdir(jar.unclaimed)).values()) == 1 and not os.listdir(jar.limbo)


def _draft(jar, identity, complete=True):
    draft = drafts.make(jar, identity, "20261121-101500-me-000001000.0", "unclaimed", b"x", 0o700)
    if not complete:
        os.remove(os.path.join(draft.path, drafts.TO))
    return draft.path


@pytest.mark.parametrize("complete", [True, False])
def test_recovery_removes_a_dead_submitters_directory_only_when_nothing_came_of_it(jar, complete):
    path = _draft(jar, nodes.dead_identity("rain"), complete)
    Recovery(jar, ME, 3).node()
    assert os.path.isdir(path) == complete


def test_the_directory_of_a_living_submitter_is_not_touched_and_not_told(jar):
    path = _draft(jar, ME)
    Recovery(jar, ME, 3).node()
    assert os.path.isdir(path) and findings(jar) == []


def test_what_was_cut_short_on_another_node_is_told_when_it_is_old(jar, monkeypatch):
    _draft(jar, nodes.dead_identity("snow"))
    assert findings(jar) == []
    monkeypatch.setattr(leavings, "OLD", -1.0)
    [(kind, says)] = findings(jar)
    assert kind == "cut-short" and "snow" in says and "20261121-101500-me-000001000" in says


# The library.

@pytest.fixture
def home(jar, monkeypatch):
    monkeypatch.setattr(jobjar, "_given", {"JJ_HOME": jar.home})


def test_the_library_gives_a_handle_on_an_array(jar, home):
    array = jobjar.submit_job("true", array="1-3%1", priority=2)
    assert isinstance(array, jobjar.ArrayJob) and array.id == jobname.array_task(os.listdir(jar.unclaimed)[0])[0]
    assert [task.id for task in array.tasks()] == [f"{array.id}_{index}" for index in (1, 2, 3)]
    assert not array.wait(timeout=0)
    with workers.working(jar):
        assert array.wait(timeout=30)
    assert [task.state for task in array.tasks()] == ["COMPLETED"] * 3


def test_arrays_are_submitted_one_by_one(jar, home):
    with pytest.raises(jobjar.UsageError, match="by itself"):
        jobjar.submit_jobs(["true", {"command": "true", "array": "1-3"}])
    assert not os.listdir(jar.unclaimed) and fslook.names(jar.limbo) == []


# Cancelling.

def _cut_at(jar, monkeypatch, count):
    """An array of nine of which only so many tasks were submitted; its id."""
    with monkeypatch.context() as patch:
        _failing_after(patch, count, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            submit(jar, array="1-9")
    return jobname.array_task(os.listdir(jar.unclaimed)[0])[0]


def test_cancelling_an_array_that_was_cut_short_lets_the_rest_of_it_never_come(jar, monkeypatch, capsys):
    array = _cut_at(jar, monkeypatch, 3)
    assert cli.main("jobjar", ["cancel", "--home", jar.home, array]) == 0
    assert "not submitted yet" in capsys.readouterr().out
    assert len(os.listdir(jar.failed)) == 3 and not os.listdir(jar.limbo)
    assert submit(jar, array="1-9") != array


def test_it_can_be_cancelled_when_all_that_there_is_of_it_has_ended(jar, monkeypatch, capsys):
    array = _cut_at(jar, monkeypatch, 3)
    workers.drain(jar)
    assert cli.main("jobjar", ["cancel", "--home", jar.home, array]) == 0
    assert capsys.readouterr().err == "" and not os.listdir(jar.limbo) and len(os.listdir(jar.completed)) == 3


def test_what_the_rest_of_an_array_that_was_cut_short_needs_stays_in_the_store(jar):
    digest = jars.keep(jar, b"[]")
    os.utime(store.path_of(jar, digest), (0, 0))
    data = f"#!/bin/sh\n#JJ --staged={digest}\n".encode()
    draft = drafts.make(jar, ME, "20261121-101500-me-000001000.0", "unclaimed", data, 0o700)
    assert clearance.sweep_store(jar, time.time()) == 0
    drafts.drop(draft)
    assert clearance.sweep_store(jar, time.time()) == 1
