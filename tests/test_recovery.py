"""What becomes of the jobs of dead workers: docs/PROTOCOL.md section 9, statement by statement."""

import errno
import json
import os
import signal
import sys
import time

import pytest
from support import invariants, jars, nodes, processes
from support.nodes import Dead, Site, dead_identity

from jobjar import (census, fslook, layout, leftovers, moves, node, nodelock, notes, process, registration,
                    reservation, salvage, supervision)
from jobjar.layout import Place
from jobjar.recovery import Recovery


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


@pytest.fixture
def dead(jar):
    worker = Dead(jar)
    yield worker
    worker.journal.close()


def recover(site, **more):
    return Recovery(site.jar, site.me, 3, **more).node()


def vouch(site, of, **more):
    recovery = Recovery(site.jar, site.me, 3, **more)
    return recovery.vouched(recovery.believe(of))


def count(jar, name="a.0", category=None):
    return len(notes.open_attempts(jar, name, category))


# What happens to a job.

def test_a_job_whose_worker_died_goes_back_and_is_counted(site, dead):
    dead.claim("a.0", "C1")
    assert recover(site) == ([("recover", "C1", "a.0")], [])
    assert site.place("a.0") == ["unclaimed/C1/a.0"]
    assert count(site.jar, "a.0", "C1") == 1 and dead.is_recovered()


def test_a_job_that_had_ended_is_completed_and_not_run_again(site, dead):
    dead.end(dead.claim())
    jars.write(f"{dead.directory}/output", "printed\n")
    assert recover(site).jobs == [("complete", None, "a.0")]
    assert site.place("a.0") == ["completed/a.0"] and jars.read(f"{site.jar.logs}/a.0") == "printed\n"
    assert not os.path.lexists(f"{site.jar.failed}/a.0")


def test_a_job_that_had_ended_is_completed_at_the_second_try_too_when_a_rotation_had_no_new_journal(
        site, dead, monkeypatch):
    dead.end(dead.claim())
    os.rename(dead.journal.path, f"{dead.journal.path}.1")
    with monkeypatch.context() as patch:
        def fail(*_, **__):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        patch.setattr(moves, "complete", fail)
        assert recover(site).jobs == []
    assert recover(site).jobs == [("complete", None, "a.0")]


def test_a_job_that_had_ended_badly_is_linked_in_failed(site, dead):
    dead.end(dead.claim(), state="FAILED")
    recover(site)
    assert os.readlink(f"{site.jar.failed}/a.0") == "../completed/a.0"


def test_an_end_line_of_an_earlier_attempt_completes_nothing(site, dead):
    first = dead.claim()
    dead.end(first)
    dead.journal.intend(f"{dead.nonce}-2", None, "a.0")
    dead.journal.sync()
    assert recover(site).jobs == [("recover", None, "a.0")]


def test_an_end_line_of_a_namesake_in_another_category_completes_nothing(site, dead):
    dead.end(dead.claim("a.0", "C1", word="one"), "a.0", "C2")
    dead.journal.intend("x-2", "C2", "a.0")
    jars.put(site.jar, Place("claims", "C2", "a.0", dead.claims), "two")
    dead.journal.sync()
    assert sorted(recover(site).jobs) == [("complete", "C1", "a.0"), ("recover", "C2", "a.0")]


def test_a_job_without_an_intent_counts_too(site, dead):
    dead.claim(intend=False)
    recover(site)
    assert notes.open_attempts(site.jar, "a.0", None) == {f"none-{dead.nonce}"}


def test_a_job_that_was_tried_often_enough_goes_to_failed_with_the_reason(site, dead):
    for attempt in ("x-1", "y-1"):
        notes.count(site.jar, "rain.1", "a.0", None, attempt, "its worker died")
    dead.claim()
    assert recover(site).jobs == [("give_up", None, "a.0")]
    assert site.place("a.0") == ["failed/a.0"]
    [line] = [line for line in notes.read(site.jar, "a.0") if line["e"] == "give_up"]
    assert "third time" in line["why"] and "JJ_MAX_ATTEMPTS" in line["why"]
    assert count(site.jar) == 0, "a later job of that name starts anew"


def test_a_job_that_is_given_up_under_another_name_has_its_reason_there_too(site, dead):
    for attempt in ("x-1", "y-1"):
        notes.count(site.jar, "rain.1", "a.0", None, attempt, "its worker died")
    jars.put(site.jar, Place("completed", None, "a.0"), "an earlier one")
    dead.claim()
    assert recover(site).jobs == [("give_up", None, "a~2.0")]
    assert "JJ_MAX_ATTEMPTS" in {failed.name: failed.reason for failed in census.failed(site.jar)}["a~2.0"]


def test_a_recovery_that_died_after_it_gave_up_gives_up_again(site, dead):
    attempt = dead.claim()
    notes.count(site.jar, "rain.1", "a.0", None, attempt, "its worker died")
    notes.close(site.jar, "rain.1", "a.0", None)
    assert recover(site).jobs == [("give_up", None, "a.0")]


def test_the_same_attempt_counts_once_however_often_recovery_begins(site, dead):
    notes.count(site.jar, "rain.1", "a.0", None, dead.claim(), "its worker died")
    recover(site)
    assert count(site.jar) == 1


def test_an_attempt_that_the_worker_had_given_back_itself_is_not_counted(site, dead):
    dead.journal.say("requeue", dead.claim(), None, "a.0", "told to end at once")
    assert recover(site).jobs == [("recover", None, "a.0")]
    assert count(site.jar) == 0


def test_an_end_line_speaks_of_the_file_that_was_run_and_of_no_namesake(site, dead):
    attempt = dead.claim()
    dead.journal.end(attempt, None, "a.0", state="COMPLETED", ino=os.stat(f"{dead.claims}/a.0").st_ino + 1)
    dead.journal.sync()
    assert recover(site).jobs == [("recover", None, "a.0")]


def test_an_end_line_of_the_very_file_completes_it(site, dead):
    attempt = dead.claim()
    dead.journal.end(attempt, None, "a.0", state="COMPLETED", ino=os.stat(f"{dead.claims}/a.0").st_ino)
    dead.journal.sync()
    assert recover(site).jobs == [("complete", None, "a.0")]


def test_reservations_of_another_node_are_its_own_to_withdraw(site):
    lost = Dead(site.jar, dead_identity("meadow"))
    os.rmdir(lost.claims)
    lost.journal.close()
    text = reservation.text(lost.name, f"{lost.nonce}-1")
    os.symlink(text, f"{site.jar.completed}/a.0")
    recover(site)
    assert fslook.links(site.jar.completed) == [("a.0", text)]


def test_the_attempt_is_counted_before_the_job_is_put_back(site, dead, monkeypatch):
    def fail(*_, **__):
        raise OSError(f"when {count(site.jar)} attempt was counted")

    monkeypatch.setattr(salvage.moves, "recover", fail)
    dead.claim()
    assert "when 1 attempt was counted" in recover(site).left[0] and site.place("a.0")[0].startswith("workers/")


def test_a_taken_name_gets_a_number_and_the_attempts_go_along(site, dead):
    dead.claim("a.7", "C1", word="mine")
    jars.put(site.jar, Place("unclaimed", "C1", "a.7"), "other")
    notes.count(site.jar, "rain.1", "a.7", "C1", "x-1", "its worker died")
    assert recover(site).jobs == [("recover", "C1", "a~2.7")]
    assert site.place("mine") == ["unclaimed/C1/a~2.7"] and site.place("other") == ["unclaimed/C1/a.7"]
    assert count(site.jar, "a~2.7", "C1") == 2


def test_a_category_that_was_removed_is_made_again(site, dead):
    dead.claim("a.0", "C1")
    assert not os.path.exists(f"{site.jar.unclaimed}/C1")
    recover(site)
    assert site.place("a.0") == ["unclaimed/C1/a.0"]


def test_one_worker_that_cannot_be_recovered_does_not_keep_the_others(site, dead):
    dead.claim("a.0", "C1")
    jars.write(f"{site.jar.unclaimed}/C1", "a file in the way")
    other = Dead(site.jar)
    other.claim("b.0")
    other.journal.close()
    report = recover(site)
    assert report.jobs == [("recover", None, "b.0")] and dead.name in report.left[0]
    os.remove(f"{site.jar.unclaimed}/C1")
    assert recover(site) == ([("recover", "C1", "a.0")], [])


def test_what_a_lost_attempt_printed_is_kept(site, dead):
    dead.claim()
    jars.write(f"{dead.directory}/output", "half a\n")
    recover(site)
    assert jars.read(f"{dead.directory}/output.{dead.nonce}-1") == "half a\n" and os.listdir(site.jar.logs) == []


def test_reservations_of_a_lost_attempt_are_withdrawn_with_their_links_and_logs(site, dead):
    mine = reservation.text(dead.name, dead.claim())
    os.symlink(mine, f"{site.jar.completed}/a.0")
    os.symlink("../completed/a.0", f"{site.jar.failed}/a.0")
    recover(site)
    assert os.listdir(site.jar.completed) == os.listdir(site.jar.failed) == []


@pytest.mark.parametrize("backwards", [False, True])
def test_what_an_attempt_that_had_ended_has_prepared_outlives_another_attempt_that_is_lost(
        site, dead, monkeypatch, backwards):
    monkeypatch.setattr(fslook, "names", lambda directory: sorted(os.listdir(directory), reverse=backwards))
    dead.claim("0.0")
    ended = dead.claim("a.0")
    dead.end(ended, "a.0", state="FAILED")
    os.symlink(reservation.text(dead.name, ended), f"{site.jar.completed}/a.0")
    os.symlink("../completed/a.0", f"{site.jar.failed}/a.0")
    jars.write(f"{site.jar.logs}/a.0", "printed\n")
    assert sorted(recover(site).jobs) == [("complete", None, "a.0"), ("recover", None, "0.0")]
    assert os.listdir(site.jar.logs) == os.listdir(site.jar.failed) == os.listdir(site.jar.completed) == ["a.0"]


def test_everything_that_a_dead_worker_leaves_is_removed(site, dead):
    dead.claim()
    dead.leave_things()
    recover(site)
    assert not invariants.leftovers(jars.tree(site.jar))
    assert not os.path.exists(process.lock_path(dead.nonce)) and os.path.exists(f"{dead.directory}/journal")


@pytest.mark.parametrize("name", [".nfs0001", ".hidden"])
def test_what_is_no_job_is_left_reported_and_not_waited_for(site, dead, name):
    dead.claim()
    jars.write(f"{dead.claims}/{name}", "")
    report = recover(site)
    assert report.jobs == [("recover", None, "a.0")] and "no job" in report.left[0]
    assert name not in os.listdir(site.jar.unclaimed)


def test_a_link_that_was_claimed_is_no_job(site, dead):
    os.symlink("reserved:rain.1:x", f"{dead.claims}/a.0")
    assert recover(site) == ([], []) and dead.is_recovered() and not notes.has(site.jar, "a.0")


def test_recovery_changes_nothing_where_nobody_died(site, dead):
    dead.claim()
    recover(site)
    before = jars.tree(site.jar)
    assert recover(site) == ([], []) and jars.tree(site.jar) == before


# Who is dead.

def test_a_living_worker_is_never_touched(site):
    worker = site.start()
    job = site.run_forever()
    assert site.recover() == (0, [], "")
    assert processes.is_running(job) and site.living() == [worker]


def test_a_living_worker_is_never_touched_however_long_ago_it_was_heard_of(site):
    worker = Dead(site.jar, node.myself(site.node))
    worker.claim()
    worker.journal.close()
    os.utime(f"{worker.directory}/beat", (1, 1))
    assert recover(site) == ([], []) and site.place("a.0") == [f"workers/{worker.name}/claims/a.0"]


def test_a_dead_worker_whose_number_another_process_has_is_recovered(site):
    me = node.myself(site.node)
    worker = Dead(site.jar, me._replace(start=me.start - 1))
    worker.claim()
    worker.journal.close()
    assert recover(site) == ([("recover", None, "a.0")], []) and worker.is_recovered()


@pytest.mark.parametrize("field, value", [("machine", "f" * 32), ("pidns", 1)])
def test_a_worker_that_cannot_be_judged_is_left_and_reported(site, field, value):
    other = {"boot": "another"} if field == "machine" else {}
    stranger = Dead(site.jar, dead_identity(**{field: value, **other}))
    stranger.claim()
    stranger.journal.close()
    status, lines, err = site.recover()
    assert (status, lines) == (1, []) and stranger.name in err
    assert os.path.exists(f"{stranger.claims}/a.0")


@pytest.mark.parametrize("age, verdict", [(10, "left"), (1000, "recovered")])
def test_after_a_reboot_an_old_beat_is_needed(site, age, verdict):
    before = Dead(site.jar, dead_identity(boot="11111111-0000"))
    before.claim()
    before.journal.close()
    os.utime(f"{before.directory}/beat", (time.time() - age,) * 2)
    report = recover(site)
    assert bool(report.left) == (verdict == "left") and before.is_recovered() == (verdict == "recovered")


def test_what_a_reboot_ended_is_not_looked_for(site, monkeypatch):
    before = Dead(site.jar, dead_identity(boot="11111111-0000"))
    before.claim()
    before.journal.close()
    os.utime(f"{before.directory}/beat", (0, 0))
    monkeypatch.setattr(process, "orphans", lambda *_: pytest.fail("nothing lives after a reboot"))
    assert recover(site).jobs


def test_another_users_worker_is_left_and_reported(site, dead):
    dead.claim()
    rewrite(dead, uid=os.geteuid() + 1)
    assert "another user" in recover(site).left[0] and os.path.exists(f"{dead.claims}/a.0")


def rewrite(dead, **changes):
    path = f"{dead.directory}/worker.json"
    data = {**json.loads(jars.read(path)), **changes}
    os.remove(path)
    jars.write(path, json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_garbled_worker_json_is_reported_and_nothing_is_touched(site, dead, text):
    dead.claim()
    os.remove(f"{dead.directory}/worker.json")
    jars.write(f"{dead.directory}/worker.json", text)
    status, lines, err = site.recover()
    assert (status, lines) == (1, []) and "worker.json" in err and os.path.exists(f"{dead.claims}/a.0")


@pytest.mark.parametrize("field", ["pid", "start", "pidns"])
def test_a_number_written_as_text_proves_no_death(site, field):
    worker = site.start()
    record = registration.read(site.jar, worker)
    alive = Dead.__new__(Dead)
    alive.directory = site.jar.worker(worker)
    rewrite(alive, **{field: str(getattr(record.identity, field))})
    assert "worker.json" in recover(site).left[0]
    assert os.path.isdir(site.jar.claims(worker))


def test_a_copied_directory_does_not_get_the_original_declared_dead(site, dead):
    copy = site.jar.worker("rain.999999")
    os.mkdir(copy)
    os.mkdir(f"{copy}/claims")
    os.link(f"{dead.directory}/worker.json", f"{copy}/worker.json")
    assert "rain.999999" in recover(site).left[0] and os.path.isdir(f"{copy}/claims")


def test_a_file_with_the_name_of_a_worker_is_no_worker(site):
    jars.write(f"{site.jar.workers}/rain.5", "")
    assert recover(site) == ([], [])


# Fences.

def test_a_recovery_that_died_is_finished_by_the_next(site, dead):
    dead.claim("a.0", "C1")
    os.rename(dead.claims, f"{dead.directory}/recovering.someone-1")
    assert recover(site) == ([("recover", "C1", "a.0")], []) and dead.is_recovered()


def test_recovery_ends_what_died_between_the_last_job_and_the_end(site, dead):
    dead.claim()
    dead.leave_things()
    os.rename(dead.claims, f"{dead.directory}/recovering.someone-1")
    os.rename(f"{dead.directory}/recovering.someone-1/a.0", f"{site.jar.unclaimed}/a.0")
    recover(site)
    assert not invariants.leftovers(jars.tree(site.jar)) and not os.path.exists(process.lock_path(dead.nonce))


def test_only_what_was_fenced_is_emptied(site, dead, monkeypatch):
    """Another recoverer fences the same again while this one looks for orphans: the jobs are the other's."""
    dead.claim()
    other = f"{dead.directory}/recovering.other-1"

    def fence_again(*_):
        [mine] = [n for n in os.listdir(dead.directory) if n.startswith(layout.RECOVERING)]
        os.rename(f"{dead.directory}/{mine}", other)
        return False, []

    monkeypatch.setattr(process, "orphans", fence_again)
    assert recover(site) == ([], []) and os.path.exists(f"{other}/a.0")


def test_a_second_recovery_in_one_process_finds_fresh_names(site, dead, monkeypatch):
    dead.claim()
    for number in (1, 2, 3):
        os.makedirs(f"{dead.directory}/recovering.x-{number}")
        jars.put(site.jar, Place("claims", None, f"b{number}.0", f"{dead.directory}/recovering.x-{number}"))
    monkeypatch.setattr(process, "orphans", lambda *_: (True, []))
    for _ in range(3):
        assert len(recover(site).left) == 1
    monkeypatch.setattr(process, "orphans", lambda *_: (False, []))
    assert len(recover(site).jobs) == 4


def test_two_recoveries_at_once_put_a_job_back_once(site):
    workers = [Dead(site.jar) for _ in range(5)]
    for number, worker in enumerate(workers):
        worker.claim(f"j{number}.0", "C1")
        worker.journal.close()
    running = [processes.python("-c", AT_ONCE, site.jar.home) for _ in range(4)]
    found = [line for process in running for line in processes.finish(process)[1].splitlines()]
    assert sorted(found) == [f"j{number}.0" for number in range(5)]
    for number in range(5):
        assert site.place(f"j{number}.0") == [f"unclaimed/C1/j{number}.0"]
        assert count(site.jar, f"j{number}.0", "C1") == 1


# Without the node's lock, as if they were on different nodes.
AT_ONCE = """
import sys
from jobjar import layout, node
from jobjar.recovery import Recovery
jar = layout.open_jar(sys.argv[1])
for event, category, name in Recovery(jar, node.myself("rain"), 3).node().jobs:
    print(name)
"""


def test_a_fenced_live_worker_touches_nothing_and_exits(site):
    worker = site.start()
    told = f"{site.jar.home}.go"
    site.submit(f"echo > {told}.begun; while [ ! -e {told} ]; do sleep 0.02; done; echo done")
    processes.until(lambda: os.path.exists(f"{told}.begun"))
    os.rename(site.jar.claims(worker), f"{site.jar.worker(worker)}/recovering.other-1")
    jars.write(told, "")
    processes.until(lambda: site.gone(worker))
    assert "fenced" in site.log(worker)
    assert site.place("a.0") == [f"workers/{worker}/recovering.other-1/a.0"]
    # It had ended, and the line says so.
    assert site.recover()[:2] == (0, ["a.0 → completed/"])
    assert not invariants.leftovers(jars.tree(site.jar))


def test_a_fenced_idle_worker_exits(site):
    worker = site.start()
    os.rename(site.jar.claims(worker), f"{site.jar.worker(worker)}/recovering.other-1")
    processes.until(lambda: site.gone(worker))
    assert site.recover() == (0, [], "")


# Real deaths.

def test_an_idle_worker_that_was_killed_leaves_nothing(site):
    worker = site.start()
    site.kill(worker)
    assert site.recover() == (0, [], "")
    assert not invariants.leftovers(jars.tree(site.jar)) and site.living() == []


def test_a_job_runs_again_when_its_orphan_has_ended_and_knows_that_it_does(site):
    worker = site.start()
    seen = f"{site.jar.home}.seen"
    job = site.run_forever(body=f"echo $JJ_ATTEMPT >> {seen}; [ $JJ_ATTEMPT = 2 ] || exec sleep 600")
    site.kill(worker)
    status, lines, err = site.recover()
    assert (status, lines) == (1, []) and f"process {job} (" in err and "--kill-orphans" in err
    os.kill(job, signal.SIGKILL)
    processes.until(lambda: not processes.is_running(job))
    assert site.recover() == (0, ["a.0 → unclaimed/"], "")
    site.start()
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])
    assert jars.read(seen).split() == ["1", "2"]


CLOSED = f"{sys.executable} -c 'import os, time; os.closerange(0, 256); time.sleep(600)'"
HIDES = {
    "itself": "exec sleep 600",
    "a child": "sleep 600 & exec sleep 600",
    "in a session of its own": "setsid sleep 600 & exec sleep 600",
    "twice forked": "(setsid sh -c 'sleep 600 & exit' &); exec sleep 600",
    "with closed descriptors": f"exec {CLOSED}",
    "with a cleared environment": "exec env -i sleep 600",
    "with both, in its session": f"exec env -i {CLOSED}",
    "with both, in a session of its own": f"setsid {CLOSED} & exec sleep 600",
    "with nothing but its lock": "env -i setsid sleep 600 & exec sleep 600",
    "stopped": "kill -STOP $$; exec sleep 600",
}


@pytest.mark.parametrize("how", HIDES)
def test_a_job_is_not_put_back_while_anything_of_it_lives(site, how):
    worker = site.start()
    job = site.run_forever(body=HIDES[how])
    # Its session is in the lock's file once it is no short job.
    processes.until(lambda: process._session(registration.read(site.jar, worker).extra["lock"]))
    site.kill(worker)
    if "exec sleep 600" in HIDES[how] and "&" in HIDES[how]:
        processes.until(lambda: len(processes.children()) == 2)
        os.kill(job, signal.SIGKILL)
        processes.until(lambda: not processes.is_running(job))
    status, lines, err = site.recover()
    assert (status, lines) == (1, []) and worker in err and site.place("a.0")[0].startswith(f"workers/{worker}/")
    bystander = processes.spawn("sleep", "600", start_new_session=True)
    assert site.recover("--kill-orphans") == (0, ["a.0 → unclaimed/"], "")
    assert [child.pid for child in processes.children()] == [bystander.pid]
    bystander.kill()
    bystander.communicate()


def test_what_cannot_be_named_is_reported_all_the_same(site, monkeypatch):
    dead = Dead(site.jar)
    dead.claim()
    dead.journal.close()
    handle = process.open_lock(process.lock_path(dead.nonce))
    monkeypatch.setattr(process, "_all", list)
    assert "one that cannot be named" in recover(site, kill_orphans=True).left[0]
    os.close(handle)
    assert recover(site).jobs == [("recover", None, "a.0")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a job change its user")
def test_a_job_that_has_changed_its_user_is_found_by_its_session(site):
    worker = site.start()
    site.run_forever(body="exec setpriv --reuid=65534 --clear-groups env -i python3 -c 'import os, time;"
                          " os.closerange(3, 99); time.sleep(600)'")
    processes.until(lambda: process._session(registration.read(site.jar, worker).extra["lock"]))
    site.kill(worker)
    processes.until(lambda: any(c.uids().effective == 65534 for c in processes.children()))
    assert site.recover()[0] == 1


def test_give_up_after_as_many_workers_as_may_die(site):
    site.variables["JJ_MAX_ATTEMPTS"] = "2"
    for end in ("unclaimed", "failed"):
        worker = site.start()
        if end == "unclaimed":
            site.run_forever()
        else:
            processes.until(lambda: [c.pid for c in processes.children() if "sleep" in c.name()])
        site.kill(worker)
        assert site.recover("--kill-orphans") == (0, [f"a.0 → {end}/"], "")
    assert site.place("a.0") == ["failed/a.0"]


# A person's word.

@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(supervision, "CACHE_TIME", 0.0)


def test_a_persons_word_brings_back_the_jobs_of_another_node(site, at_once):
    lost = Dead(site.jar, dead_identity("meadow", boot="another", machine="another"))
    lost.claim()
    lost.journal.close()
    assert supervision.recover(site.jar, site.settings) == ([], [])
    assert supervision.recover_vouched(site.jar, site.settings, "meadow").jobs == [("recover", None, "a.0")]


def test_the_fence_stands_for_as_long_as_caches_last(site, own_local, monkeypatch):
    lost = Dead(site.jar, dead_identity("meadow", boot="another"))
    lost.claim()
    lost.journal.close()
    slept = []
    monkeypatch.setattr(supervision.time, "sleep", lambda s: slept.append((s, os.path.exists(lost.claims))))
    supervision.recover_vouched(site.jar, site.settings, "meadow")
    assert slept == [(supervision.CACHE_TIME, False)] and supervision.CACHE_TIME >= 60


def test_no_word_makes_a_living_worker_of_this_node_dead(site, at_once):
    worker = site.start()
    job = site.run_forever()
    report = vouch(site, site.node)
    assert report.jobs == [] and "lives" in report.left[0]
    assert processes.is_running(job) and site.living() == [worker]


def test_a_word_does_not_run_a_job_again_that_is_seen_to_run_here(site, at_once):
    """Another node of the same machine: its name cannot be judged, but its processes can be seen."""
    meadow = Site(site.jar, "meadow")
    worker = meadow.start()
    meadow.run_forever()
    report = vouch(site, "meadow")
    assert report.jobs == [] and worker in report.left[0]


def test_who_vouches_may_end_what_runs_here(site, at_once):
    meadow = Site(site.jar, "meadow")
    worker = meadow.start()
    job = meadow.run_forever()
    meadow.kill(worker)
    [said] = vouch(site, "meadow").left
    assert "`recover_stranded --node meadow --dead --kill-orphans`" in said
    report = supervision.recover_vouched(site.jar, site.settings, "meadow", kill_orphans=True)
    assert [event for event, *_ in report.jobs] == ["recover"] and report.left == []
    assert not processes.is_running(job)


@pytest.mark.alone
def test_the_nodes_lock_is_free_while_caches_forget(site, own_local, monkeypatch):
    lost = Dead(site.jar, dead_identity("meadow", boot="another"))
    lost.claim()
    lost.journal.close()
    free = []

    def look(_):
        with nodelock.only_one() as mine:
            free.append(mine)

    monkeypatch.setattr(supervision.time, "sleep", look)
    supervision.recover_vouched(site.jar, site.settings, "meadow")
    assert free == [True]


def test_links_in_claimed_go_also_when_the_workers_live_elsewhere(tmp_path):
    jar = layout.open_jar(jars.make(tmp_path / "jar").home, str(tmp_path / "jar" / "workers"))
    elsewhere = layout.Jar(jar.home, str(tmp_path / "wk"))
    os.mkdir(elsewhere.workers)
    dead = Dead(elsewhere)
    dead.claim()
    dead.journal.close()
    link = f"{jar.claimed}/a.0"
    os.unlink(link)
    os.symlink(f"{elsewhere.view(dead.name)}/a.0", link)
    assert os.path.exists(link)
    Recovery(elsewhere, node.myself(nodes.NODE), 3).node()
    assert not os.path.lexists(link)


def test_a_garbled_worker_is_reported_to_who_vouches(site, at_once):
    lost = Dead(site.jar, dead_identity("meadow", boot="another"))
    lost.claim()
    lost.journal.close()
    os.remove(f"{lost.directory}/worker.json")
    assert "worker.json" in vouch(site, "meadow").left[0]


# What the dead leave elsewhere.

def test_reservations_of_dead_commands_are_withdrawn_and_those_of_the_living_stay(site):
    gone, here = dead_identity(), site.me
    for number, of in enumerate((gone, here)):
        text = reservation.text(node.owner(of), node.nonce(of))
        os.symlink(text, f"{site.jar.completed}/{number}.0")
        os.symlink(text, f"{site.jar.unclaimed}/.{number}.0")
        os.symlink(text, f"{site.jar.limbo}/.aside.{number}")
        os.symlink(text, site.jar.taken(f"{number}.0"))
    leftovers.sweep(site.jar, site.me)
    assert os.listdir(site.jar.completed) == ["1.0"]
    assert os.listdir(site.jar.unclaimed) == [".1.0"]
    assert sorted(os.listdir(site.jar.limbo)) == [".aside.1", ".take.1.0"]


def test_where_looking_for_reservations_takes_long_it_is_not_done_each_time(site, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_local_path", lambda: f"{tmp_path}/local")
    monkeypatch.setattr(leftovers, "LEAST", 0.0)
    gone, found = dead_identity(), f"{site.jar.completed}/a.0"
    text = reservation.text(node.owner(gone), node.nonce(gone))

    def swept():
        os.symlink(text, found)
        assert leftovers.sweep(site.jar, site.me) == []
        return not os.path.lexists(found)
    assert swept()
    stamp, = (os.path.join(f"{tmp_path}/local", name) for name in os.listdir(f"{tmp_path}/local"))
    assert 0 < os.stat(stamp).st_mtime - time.time() < leftovers.LONGEST
    for seconds, is_due in ((100.0, False), (-1.0, True), (leftovers.LONGEST + 100.0, True)):
        due = time.time() + seconds
        os.utime(stamp, (due, due))
        if os.path.lexists(found):
            os.unlink(found)
        assert swept() == is_due


def test_where_looking_for_reservations_is_quick_nothing_is_remembered_of_it(site, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_local_path", lambda: f"{tmp_path}/local")
    monkeypatch.setattr(leftovers, "PART", 0.0)
    assert leftovers.sweep(site.jar, site.me) == [] and os.listdir(f"{tmp_path}/local") == []


def test_a_reservation_of_another_node_stays(site):
    other = dead_identity("meadow")
    os.symlink(reservation.text(node.owner(other), node.nonce(other)), f"{site.jar.completed}/a.0")
    leftovers.sweep(site.jar, site.me)
    assert os.listdir(site.jar.completed) == ["a.0"]


def test_a_registration_that_was_interrupted_is_cleared_away(site):
    gone, here = dead_identity(), site.me
    for of in (gone, here):
        os.mkdir(f"{site.jar.limbo}/.{node.owner(of)}.{node.nonce(of)}")
    leftovers.sweep(site.jar, site.me)
    assert os.listdir(site.jar.limbo) == [f".{node.owner(here)}.{node.nonce(here)}"]


def test_a_draft_of_a_person_stays_in_limbo(site):
    for name in (".x", "rain.1.a-b.c", ".rain.x.a-b.c", "job.0"):
        jars.write(f"{site.jar.limbo}/{name}", "")
    leftovers.sweep(site.jar, site.me)
    assert len(os.listdir(site.jar.limbo)) == 4


def test_only_views_of_what_is_claimed_no_more_are_removed(site, dead):
    dead.claim("mine.0")
    other = Dead(site.jar, dead_identity("meadow"))
    other.claim("theirs.0")
    other.journal.close()
    os.symlink("elsewhere", f"{site.jar.claimed}/somebodys")
    os.symlink("../workers/meadow.1/claims/x.0", f"{site.jar.claimed}/x.0")
    recover(site)
    assert sorted(os.listdir(site.jar.claimed)) == ["somebodys", "theirs.0"]
