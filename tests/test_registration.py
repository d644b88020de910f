"""A worker's directory."""

import errno
import json
import os
import time

import pytest
from support import faults, jars
from support.faults import AFTER, BEFORE, LOST, MEANWHILE, RAISE, TORN, Fault

from jobjar import fsops, leftovers, node, registration
from jobjar.errors import Fenced, JobJarError
from jobjar.layout import Place

ME = node.myself("rain")
NAME = node.owner(ME)
OTHER = ME._replace(start=ME.start + 1)


def test_a_registered_worker_can_be_read(jar):
    assert registration.write(jar, ME, {"version": "1"})
    record = registration.read(jar, NAME)
    assert (record.worker, record.identity, record.nonce) == (NAME, ME, node.nonce(ME))
    assert record.extra == {"version": "1"}
    assert sorted(os.listdir(jar.worker(NAME))) == ["beat", "claims", "orders", "worker.json"]
    assert os.listdir(jar.limbo) == []


def test_a_taken_name_is_left_to_its_owner(jar):
    registration.write(jar, OTHER, {})
    before = jars.tree(jar)
    assert not registration.write(jar, ME, {})
    assert jars.tree(jar) == before


@pytest.mark.parametrize("kinds", [(BEFORE, AFTER, TORN)])
def test_a_directory_appears_complete_or_not_at_all(jar, kinds):
    trace = faults.count(lambda: registration.write(jar, ME, {}), jar.home)
    for fault in faults.points(trace, *kinds):
        registration.fsops.remove_tree(jar.worker(NAME))
        faults.strike(lambda: registration.write(jar, ME, {}), fault, jar.home)
        assert registration.read(jar, NAME) is not None or not os.path.exists(jar.worker(NAME))
        registration.write(jar, ME, {})
        assert os.path.isdir(jar.claims(NAME))


def test_a_registration_whose_replies_are_lost_succeeds(jar):
    trace = faults.count(lambda: registration.write(jar, ME, {}), jar.home)
    for fault in faults.points(trace, LOST):
        registration.fsops.remove_tree(jar.worker(NAME))
        results = []
        outcome = faults.strike(lambda: results.append(registration.write(jar, ME, {})), fault, jar.home)
        assert (outcome.error, results) == ("", [True])


def test_of_two_processes_with_one_name_one_registers_at_whatever_moment_they_meet(jar):
    trace = faults.count(lambda: registration.write(jar, ME, {}), jar.home)
    for at in range(1, len(trace) + 1):
        registration.fsops.remove_tree(jar.worker(NAME))
        results = []
        faults.strike(lambda: results.append(registration.write(jar, ME, {})),
                      Fault(MEANWHILE, at, lambda: results.append(registration.write(jar, OTHER, {}))), jar.home)
        assert sorted(results) == [False, True]
        winner = OTHER if results[0] else ME
        assert registration.read(jar, NAME).identity == winner
        assert sorted(os.listdir(jar.worker(NAME))) == ["beat", "claims", "orders", "worker.json"]


def test_a_registration_is_taken_back_beside_a_newcomer_of_the_same_name_at_whatever_moment_they_meet(jar):
    def take_over():
        if not registration.owns_jobs(jar, NAME) and registration.set_aside(jar, NAME, node.nonce(ME)):
            assert registration.write(jar, OTHER, {})
            came.append(jars.put(jar, Place("claims", None, "x", jar.claims(NAME))))
    came: list[Place] = []
    registration.write(jar, ME, {})
    trace = faults.count(lambda: registration.undo(jar, ME), jar.home)
    assert os.listdir(jar.workers) == []
    for at in range(1, len(trace) + 1):
        registration.write(jar, ME, {})
        had = len(came)
        faults.strike(lambda: registration.undo(jar, ME), Fault(MEANWHILE, at, take_over), jar.home)
        assert os.listdir(jar.workers) == [NAME] * (len(came) - had)
        if len(came) > had:
            assert os.path.exists(jar.path(came[-1])), (at, trace)
            registration.fsops.remove_tree(jar.worker(NAME))
    assert came


def test_the_probe_leaves_no_trace(jar):
    registration.write(jar, ME, {})
    before = jars.tree(jar)
    registration.probe(jar, NAME)
    assert jars.tree(jar) == before


def test_two_file_systems_are_refused_with_both_paths(jar):
    registration.write(jar, ME, {})
    trace = faults.count(lambda: registration.probe(jar, NAME), jar.home)
    at = next(at for at, line in enumerate(trace, 1) if line.startswith("os.rename"))
    outcome = faults.strike(lambda: registration.probe(jar, NAME), Fault(RAISE, at, errno.EXDEV), jar.home)
    assert "UsageError" in outcome.error and "different file systems" in outcome.error
    registration.clear_probe(jar, NAME)
    assert os.listdir(jar.limbo) == []


def test_a_worker_that_is_fenced_while_it_probes_is_told_so(jar):
    registration.write(jar, ME, {})
    os.rmdir(jar.claims(NAME))
    with pytest.raises(Fenced):
        registration.probe(jar, NAME)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"node": "rain"}', '{"node": 7}'])
def test_a_record_that_makes_no_sense_says_nothing(jar, text):
    registration.write(jar, ME, {})
    with open(os.path.join(jar.worker(NAME), "worker.json"), "w", encoding="ascii") as file:
        file.write(text)
    assert registration.read(jar, NAME) is None


def test_a_number_written_as_text_is_no_identity(jar):
    registration.write(jar, ME, {})
    path = os.path.join(jar.worker(NAME), "worker.json")
    data = json.loads(jars.read(path))
    with open(path, "w", encoding="ascii") as file:
        json.dump({**data, "start": str(data["start"])}, file)
    assert registration.read(jar, NAME) is None


def test_workers_are_listed_with_those_that_have_left(jar):
    for name in ("rain.2", "rain.10", "snow.1", "STOP_ALL", "rain.3.old-n", "DRAIN.snow"):
        os.mkdir(jar.worker(name))
    assert registration.workers(jar) == ["rain.2", "rain.10", "snow.1"]
    assert registration.workers(jar, "snow") == ["snow.1"]


def test_claims_and_what_was_fenced_mean_responsibility(jar):
    assert not registration.owns_jobs(jar, NAME)
    registration.write(jar, ME, {})
    assert registration.owns_jobs(jar, NAME)
    os.rename(jar.claims(NAME), os.path.join(jar.worker(NAME), "recovering.n"))
    assert registration.owns_jobs(jar, NAME)
    os.rmdir(os.path.join(jar.worker(NAME), "recovering.n"))
    assert not registration.owns_jobs(jar, NAME)


def test_leaving_gives_up_claims_and_keeps_the_rest(jar):
    registration.write(jar, ME, {})
    os.mkdir(os.path.join(jar.claims(NAME), "C"))
    registration.leave(jar, NAME)
    assert sorted(os.listdir(jar.worker(NAME))) == ["beat", "orders", "worker.json"]
    with pytest.raises(Fenced):
        registration.leave(jar, NAME)


def test_a_worker_with_a_job_cannot_leave(jar):
    registration.write(jar, ME, {})
    jars.write(os.path.join(jar.claims(NAME), "a.0"), "a job")
    with pytest.raises(JobJarError, match="recover_stranded"):
        registration.leave(jar, NAME)
    assert os.listdir(jar.claims(NAME)) == ["a.0"]


def test_an_earlier_owners_directory_is_set_aside(jar):
    registration.write(jar, ME, {})
    assert registration.set_aside(jar, NAME, "n")
    assert os.listdir(jar.workers) == [f"{NAME}.old-n"]


@pytest.mark.parametrize("other, verdict", [
    (ME, node.ALIVE), (OTHER, node.DEAD), (ME._replace(node="snow"), node.UNKNOWN),
    (ME._replace(boot="11111111-2222", machine="one"), node.UNKNOWN)])
def test_a_verdict_is_about_the_record(jar, other, verdict):
    registration.write(jar, other, {})
    record = registration.read(jar, node.owner(other))
    assert registration.verdict(jar, record, ME._replace(machine="one")) == verdict


def test_a_worker_from_before_the_boot_whose_beat_is_old_is_dead(jar):
    other = ME._replace(boot="11111111-2222", machine="one")
    registration.write(jar, other, {})
    os.utime(os.path.join(jar.worker(NAME), "beat"), (1, 1))
    assert registration.verdict(jar, registration.read(jar, NAME), ME._replace(machine="one")) == node.DEAD


def test_a_draft_of_the_dead_is_removed_and_one_of_the_living_is_not(jar):
    for identity in (ME, ME._replace(pid=2**22 + 1)):
        draft = os.path.join(jar.limbo, f".{node.owner(identity)}.{node.nonce(identity)}")
        os.makedirs(os.path.join(draft, "claims"))
    leftovers.sweep(jar, ME)
    assert os.listdir(jar.limbo) == [f".{NAME}.{node.nonce(ME)}"]


def test_the_servers_clock_is_not_this_node_s_where_that_sets_the_times_of_files(jar, monkeypatch):
    # sshfs does so.
    utime = os.utime
    monkeypatch.setattr(os, "utime", lambda path, **_: utime(path, (86400 * 365, 86400 * 365)))
    assert abs(registration.server_now(jar) - time.time()) < 60
    # One that was killed has left its file.
    path = jars.write(f"{jar.limbo}/{registration.NOW}{os.uname().nodename}.{os.getpid()}", "")
    utime(path, (86400 * 365, 86400 * 365))
    assert abs(registration.server_now(jar) - time.time()) < 60 and not os.listdir(jar.limbo)


def test_the_servers_clock_is_read_though_another_container_of_this_name_asks_at_once(jar, monkeypatch):
    remove, others = fsops.remove, iter([True, True])

    def remove_and_lose(path):
        gone = remove(path)
        if next(others, False):
            jars.write(path, "")
        return gone
    monkeypatch.setattr(fsops, "remove", remove_and_lose)
    assert abs(registration.server_now(jar) - time.time()) < 60 and not os.listdir(jar.limbo)


def test_the_servers_clock_is_read_and_nothing_is_left(jar):
    assert abs(registration.server_now(jar) - time.time()) < 60
    assert os.listdir(jar.limbo) == []
