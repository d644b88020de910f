"""What `jobjar check --repair` mends, what it leaves to a person, and that it may die at any moment."""

import errno
import itertools
import os
import time

import pytest
from support import faults, invariants, jars, nodes, workers

from jobjar import findings, inspection, leavings, leftovers, mending, node, notes, process, registration
from jobjar import reservation
from jobjar.layout import Place
from jobjar.nodelock import only_one

ME = node.myself("rain")
REBOOTED = ME._replace(boot="0" * 36, pid=77)
LONG_AGO = 1_000_000_000
# No kernel gives a process this number.
NO_PID = 2**22 + 1


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(inspection, "PAUSES", (0.0,))


def mend(jar):
    return mending.mend(jar, workers.settings(jar))


def text_of(identity):
    return reservation.text(node.owner(identity), f"{node.nonce(identity)}-1")


def old_link(text, path):
    os.symlink(text, path)
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    return path


def draft_of(identity, jar):
    path = f"{jar.limbo}/.{node.owner(identity)}.{node.nonce(identity)}"
    os.makedirs(f"{path}/claims")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def caught(jar, of="rain", pid=NO_PID, word="caught", nonce=node.nonce(ME), clock=123):
    """A job caught between the two renames of a withdrawal."""
    return jars.write(f"{jar.limbo}/.aside.{of}.5:{nonce}-1.{pid}.{clock}", jars.script(word))


def test_there_is_nothing_to_mend_in_a_jar_that_is_all_right(jar):
    workers.submit(jar, "echo out; exit 3")
    workers.drain(jar)
    before = jars.tree(jar)
    assert mend(jar) == ([], [])
    assert jars.tree(jar) == before


def test_dead_workers_are_recovered(jar):
    nodes.Dead(jar).claim()
    assert mend(jar) == ([("recover", None, "a.0")], [])
    assert os.listdir(jar.unclaimed) == ["a.0"] and inspection.inspect(jar, ME) == []


def test_a_repair_does_what_the_recoveries_that_cron_calls_may_put_off(jar, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_local_path", lambda: f"{tmp_path}/local")
    monkeypatch.setattr(leftovers, "LEAST", 0.0)
    assert leftovers.sweep(jar, ME) == []
    stamp, = os.listdir(f"{tmp_path}/local")
    due = time.time() + leftovers.LONGEST / 2
    os.utime(f"{tmp_path}/local/{stamp}", (due, due))
    os.symlink(text_of(ME._replace(pid=NO_PID)), f"{jar.completed}/a.0")
    os.symlink("../completed/b.0", f"{jar.failed}/b.0")
    leftovers.sweep(jar, ME)
    assert os.listdir(jar.completed) == ["a.0"] and os.listdir(jar.failed) == ["b.0"]
    assert mend(jar) == ([], []) and os.listdir(jar.completed) == os.listdir(jar.failed) == []


def test_a_living_recovery_is_not_disturbed(jar, monkeypatch):
    monkeypatch.setattr(mending, "PATIENCE", 0.0)
    path = old_link(text_of(REBOOTED), f"{jar.completed}/a.0")
    with only_one(30) as mine:
        assert mine and mend(jar) is None
    assert os.path.islink(path)


def test_what_is_of_a_time_before_a_reboot_is_withdrawn(jar):
    text = text_of(REBOOTED)
    old_link(text, f"{jar.completed}/a.0")
    os.symlink("../completed/a.0", f"{jar.failed}/a.0")
    jars.write(f"{jar.logs}/a.0", "printed")
    os.mkdir(f"{jar.held}/LINUX")
    old_link(text, f"{jar.held}/LINUX/.b.0")
    old_link(text, f"{jar.limbo}/.aside.x.1.1")
    old_link(text, jar.taken("a.0"))
    draft_of(REBOOTED, jar)
    check = f"{jar.limbo}/.check.{node.owner(REBOOTED)}.{node.nonce(REBOOTED)}"
    os.mkdir(check)
    for path in (check, jars.write(f"{check}.offer", "")):
        os.utime(path, (LONG_AGO, LONG_AGO))
    assert mend(jar) == ([], [])
    assert inspection.inspect(jar, ME) == []
    assert not os.listdir(jar.limbo) and not os.listdir(jar.completed) and not os.listdir(jar.failed)
    (log,) = os.listdir(jar.logs)
    assert log.startswith("a.0.attempt-") and jars.read(f"{jar.logs}/{log}") == "printed"


def test_what_is_too_young_to_be_of_a_time_before_a_reboot_is_left(jar):
    os.symlink(text_of(REBOOTED), f"{jar.completed}/a.0")
    os.mkdir(f"{jar.limbo}/.{node.owner(REBOOTED)}.{node.nonce(REBOOTED)}")
    left = mend(jar).left
    assert len(os.listdir(jar.completed)) == len(os.listdir(jar.limbo)) == 1
    assert [sentence.partition(" ")[0] for sentence in left] == \
        [f"{jar.completed}/a.0", f"{jar.limbo}/{os.listdir(jar.limbo)[0]}"]


@pytest.mark.parametrize("text", [
    text_of(ME), text_of(REBOOTED._replace(node="snow")), text_of(ME._replace(pidns=ME.pidns ^ 1)),
    "reserved:rain.5:words-of-somebody.else", "/etc/passwd"])
def test_the_reservations_of_others_are_left(jar, text):
    paths = [old_link(text, f"{directory}/{name}") for directory, name in (
        (jar.completed, "a.0"), (jar.held, ".b.0"), (jar.limbo, ".aside.x.1.1"))]
    mend(jar)
    assert all(os.readlink(path) == text for path in paths)


def test_the_reservation_of_a_worker_from_before_a_reboot_that_has_jobs_is_its_recoverys(jar):
    dead = nodes.Dead(jar, nodes.dead_identity(boot="0" * 36))
    dead.claim()
    path = old_link(reservation.text(dead.name, f"{dead.nonce}-1"), f"{jar.completed}/a.0")
    os.close(process.open_lock(process.lock_of(dead.nonce)))
    # Its beat is young: a computer cloned from this one may be alive.
    (said,) = mend(jar).left
    assert dead.name in said and os.path.islink(path) and os.path.exists(process.lock_of(dead.nonce))
    os.utime(f"{dead.directory}/beat", (LONG_AGO, LONG_AGO))
    assert mend(jar).jobs == [("recover", None, "a.0")] and not os.path.islink(path)
    assert not os.path.exists(process.lock_of(dead.nonce))


def test_a_caught_file_goes_to_held_with_a_note_that_says_where_it_was(jar):
    path = caught(jar)
    ((event, category, name),), left = mend(jar)
    assert (event, category, left) == ("rescue", None, [])
    assert jars.read(f"{jar.held}/{name}") == jars.script("caught") and not os.listdir(jar.limbo)
    (line,) = notes.read(jar, name)
    assert line["e"] == "rescue" and path in line["why"]


def test_two_caught_files_get_two_names(jar):
    caught(jar, word="one")
    caught(jar, word="two", clock=124)
    assert len(mend(jar).jobs) == len(os.listdir(jar.held)) == 2


def test_a_caught_file_that_somebody_takes_away_meanwhile_is_not_reported_as_rescued(jar, monkeypatch):
    path = caught(jar)
    monkeypatch.setattr(notes, "add", lambda *_, **__: os.unlink(path))
    assert mend(jar) == ([], []) and not os.listdir(jar.held)


@pytest.mark.parametrize("of, pid, nonce", [
    ("rain", os.getpid(), node.nonce(ME)), ("snow", NO_PID, node.nonce(ME)),
    # Of another container: its pids mean nothing here. And somebody's own name.
    ("rain", NO_PID, node.nonce(ME._replace(pidns=ME.pidns ^ 1))), ("rain", NO_PID, "x")])
def test_a_file_that_a_living_process_may_be_dealing_with_is_left(jar, of, pid, nonce, monkeypatch):
    path = caught(jar, of, pid, nonce=nonce)
    (said,) = mend(jar).left
    assert path in said and os.path.exists(path)
    # By the server's clock, a day later.
    monkeypatch.setattr(registration, "server_now", lambda _: os.stat(path).st_ctime + 86400)
    assert mend(jar).left == [] and not os.path.exists(path)


def test_what_is_provably_nobodys_is_removed(jar):
    stations = jar.limbo, jar.logs, jar.failed, jar.completed
    for directory in stations:
        jars.write(f"{directory}/.probe.rain.5", "")
    jars.write(f"{jar.limbo}/.now.{os.uname().nodename}.{NO_PID}", "")
    gone = nodes.dead_identity()
    os.mkdir(f"{jar.limbo}/.check.{node.owner(gone)}.{node.nonce(gone)}")
    dead = nodes.Dead(jar)
    registration.leave(jar, dead.name)
    os.close(process.open_lock(process.lock_of(dead.nonce)))
    mend(jar)
    assert inspection.inspect(jar, ME) == [] and not any(map(os.listdir, stations))
    assert not os.path.exists(process.lock_of(dead.nonce))


@pytest.mark.parametrize("name", [".probe.rain.5", ".now.mine", ".cleaned.mine", ".aside.mine"])
def test_a_person_s_directory_of_a_name_like_ours_is_left_and_keeps_nothing_else_from_being_mended(jar, name):
    path = f"{jar.limbo}/{name}"
    os.mkdir(path)
    os.utime(path, (LONG_AGO, LONG_AGO))
    jars.write(f"{jar.limbo}/.cleaned.a.0", "a job")
    jars.write(f"{jar.logs}/.probe.rain.5", "")
    nodes.Dead(jar).claim()
    assert mend(jar) == ([("recover", None, "a.0")], [])
    assert os.listdir(jar.limbo) == [name] and not os.listdir(jar.logs)


@pytest.mark.parametrize("name", ["limbo/.probe.rain.5", "completed/.probe.mine", "limbo/.now.mine"])
def test_a_person_s_file_of_a_name_like_ours_is_left_for_it_is_not_empty(jar, name, monkeypatch):
    path = jars.write(f"{jar.home}/{name}", "a thesis")
    os.utime(path, (LONG_AGO, LONG_AGO))
    # Of no age that is measured here.
    monkeypatch.setattr(leavings, "OLD", -1.0)
    assert mend(jar) == ([], []) and jars.read(path) == "a thesis"
    assert [(f.severity, f.path) for f in inspection.inspect(jar, ME)] == [(findings.PERSON, path)]


def test_what_cannot_be_removed_is_told_and_keeps_nothing_else_from_being_mended(jar, monkeypatch):
    stuck = jars.write(f"{jar.limbo}/.cleaned.a.0", "a job")
    text = text_of(nodes.dead_identity())
    os.symlink("../workers/rain.5/claims/b.0", f"{jar.claimed}/b.0")
    other = jars.write(f"{jar.logs}/.probe.rain.5", "")
    os.symlink(text, f"{jar.completed}/c.0")
    unlink = os.unlink

    def refused(path, **options):
        if path == stuck:
            raise PermissionError(errno.EPERM, "not yours", path)
        unlink(path, **options)
    monkeypatch.setattr(os, "unlink", refused)
    jobs, (sentence,) = mend(jar)
    assert not jobs and stuck in sentence and not os.path.exists(other)
    assert not os.listdir(jar.completed) and not os.listdir(jar.claimed)


def test_the_lock_file_of_a_job_that_goes_on_is_left(jar):
    dead = nodes.Dead(jar)
    registration.leave(jar, dead.name)
    lock = process.open_lock(process.lock_of(dead.nonce))
    mend(jar)
    assert os.path.exists(process.lock_of(dead.nonce))
    os.close(lock)
    mend(jar)
    assert not os.path.exists(process.lock_of(dead.nonce))


def test_what_the_living_are_at_is_left(jar):
    with workers.working(jar) as worker:
        for directory in (jar.limbo, jar.completed):
            jars.write(f"{directory}/.probe.{worker.name}", "")
        jars.write(f"{jar.limbo}/.now.{os.uname().nodename}.{os.getppid()}", "")
        jars.write(f"{jar.limbo}/draft", "being written")
        draft = f"{jar.limbo}/.{node.owner(ME)}.{node.nonce(ME)}"
        os.mkdir(draft)
        mend(jar)
        assert len(os.listdir(jar.limbo)) == 4 and len(os.listdir(jar.completed)) == 1
        assert os.path.exists(process.lock_of(registration.read(jar, worker.name).nonce))
        os.rmdir(draft)


def test_a_repair_disturbs_nobody_who_works(jar):
    with workers.working(jar), workers.working(jar), workers.working(jar):
        names = [workers.submit(jar, "echo x; exit 1" if number % 2 else "true").name for number in range(100)]
        while set(names) - set(os.listdir(jar.completed)):
            assert mend(jar) == ([], [])
    ends = workers.order(jar)
    assert sorted(ends) == sorted(names) and len(os.listdir(jar.failed)) == len(os.listdir(jar.logs)) == 50
    assert inspection.inspect(jar, ME) == []


# Everything at once, for a repair that is killed.


def furnish(home):
    jar = jars.make(home)
    caught(jar)
    text = text_of(REBOOTED)
    old_link(text, f"{jar.completed}/b.0")
    os.symlink("../completed/b.0", f"{jar.failed}/b.0")
    jars.write(f"{jar.logs}/b.0", "printed")
    old_link(text, f"{jar.held}/.b.0")
    old_link(text, f"{jar.limbo}/.aside.x.1.1")
    draft_of(REBOOTED, jar)
    jars.write(f"{jar.completed}/.probe.rain.5", "")
    jars.write(f"{jar.limbo}/.now.{os.uname().nodename}.{NO_PID}", "")
    # A worker of which nothing lives, without a look at all processes.
    nodes.Dead(jar, ME._replace(pid=NO_PID)).claim()
    jars.put(jar, Place("unclaimed", None, "b.0"), "other")
    return jar


def test_a_repair_that_is_killed_anywhere_can_be_repeated(workplace, points, monkeypatch):
    monkeypatch.setattr(inspection, "PAUSES", ())
    monkeypatch.setattr(process, "orphans", lambda *_: (False, []))
    numbers, now = itertools.count(), registration.server_now

    def fresh():
        return furnish(f"{workplace}/{next(numbers)}")

    jar = fresh()
    trace = faults.count(lambda: mend(jar), jar.home)
    assert len(trace) > 40
    for at in faults.changes(trace):
        jar = fresh()
        before = jars.tree(jar)
        faults.strike(lambda: mend(jar), faults.Fault(faults.BEFORE, at), jar.home)
        points.add(f"killed before {trace[at - 1]}", _after(jar, before))
        with monkeypatch.context() as later:
            # What was half removed is new in the eyes of the next repair, which waits three minutes for it.
            later.setattr(registration, "server_now", lambda of: now(of) + 2 * node.BEAT_VETO)
            mend(jar)
        points.add(f"repeated after {trace[at - 1]}", [*_after(jar, before), *map(str, inspection.inspect(jar, ME)),
                                                      *invariants.leftovers(jars.tree(jar))])
    points.verdict()


def _after(jar, before):
    tree = jars.tree(jar)
    yield from invariants.one_place(tree, ["a.0", "other"])
    places = [path for path, text in tree.items() if invariants.word_of(text) == "caught"]
    if len(places) != 1 or not places[0].startswith(("held/", "limbo/.aside.")):
        yield f"the caught file is in {places}"
    yield from invariants.nothing_lost(tree, before)
