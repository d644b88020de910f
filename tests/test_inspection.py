"""Everything that can be wrong with a jar is found, and nothing is found that is not wrong."""

import json
import os
import subprocess
import sys
import tempfile
import time

import pytest
from support import jars, nodes, processes, workers

from jobjar import (findings, inspection, inventory, leavings, node, notes, process, registration, reservation,
                    whereabouts)
from jobjar.journal import Journal
from jobjar.layout import Place
from jobjar.nodelock import only_one

ME = node.myself("rain")
# Of another boot, of another container of this kernel.
REBOOTED = ME._replace(boot="0" * 36, pid=77)
HIDDEN = ME._replace(pidns=ME.pidns ^ 1, pid=77)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(inspection, "PAUSES", (0.0,))


@pytest.fixture
def aged(monkeypatch):
    """Everything was made long ago."""
    monkeypatch.setattr(leavings, "OLD", -1.0)


def found(jar, me=ME):
    """{(severity, kind, path from the jar)}"""
    return {(f.severity, f.kind, os.path.relpath(f.path, jar.home)) for f in inspection.inspect(jar, me)}


def says(jar):
    (finding,) = inspection.inspect(jar, ME)
    return finding.says


def text_of(identity):
    return reservation.text(node.owner(identity), node.nonce(identity))


def dead_text():
    return text_of(nodes.dead_identity())


def completed(jar, name="a.0"):
    """A job that has ended well, with its end line."""
    if not os.path.exists(jar.worker("rain.1")):
        os.mkdir(jar.worker("rain.1"))
    jars.put(jar, Place("completed", None, name))
    journal = Journal(jar.worker("rain.1"))
    journal.end("x-1", None, name, state="COMPLETED", ino=os.stat(f"{jar.completed}/{name}").st_ino)
    journal.close()


# What is all right.


def test_nothing_is_wrong_with_a_new_jar(jar):
    assert found(jar) == set()


def test_nothing_is_wrong_with_a_jar_in_which_much_has_happened(jar):
    for number in range(3):
        workers.submit(jar, "echo out; exit 0", category="LINUX" if number else None)
    workers.submit(jar, "echo bad; exit 3")
    workers.place(jar, "refused", header="#!/no/such/interpreter\n")
    workers.place(jar, "a.0")
    workers.drain(jar, "LINUX")
    workers.place(jar, "a.0")
    workers.drain(jar)
    assert os.listdir(jar.completed) and os.listdir(jar.failed) and os.listdir(jar.logs)
    assert found(jar) == set()


def test_a_jar_in_use_gives_no_false_alarm(jar, monkeypatch):
    monkeypatch.undo()
    with workers.working(jar), workers.working(jar), workers.working(jar, "LINUX") as last:
        begun = time.monotonic()
        count = looks = 0
        while time.monotonic() - begun < 1.5:
            for number in range(20):
                workers.submit(jar, "echo x; exit 1" if number % 3 else "true", category="LINUX" if number % 2 else None)
                count += 1
            assert inspection.inspect(jar, ME) == []
            looks += 1
        processes.until(lambda: len(os.listdir(jar.completed)) == count, f"{last.log()}")
    assert looks > 1


def test_a_move_that_ends_between_two_looks_is_no_finding(jar, monkeypatch):
    link = f"{jar.failed}/a.0"
    os.symlink("../completed/a.0", link)
    assert found(jar) == {("untidy", "dangling-link", "failed/a.0")}
    monkeypatch.setattr(time, "sleep", lambda _: os.path.lexists(link) and os.unlink(link))
    assert found(jar) == set()


def test_what_living_processes_have_is_theirs(jar):
    mine = text_of(ME)
    os.symlink(mine, f"{jar.completed}/a.0")
    os.symlink("../completed/a.0", f"{jar.failed}/a.0")
    jars.write(f"{jar.logs}/a.0", "printed")
    os.symlink(mine, f"{jar.unclaimed}/.b.0")
    os.symlink(mine, f"{jar.limbo}/.aside.x.1.1")
    os.mkdir(f"{jar.limbo}/.{node.owner(ME)}.{node.nonce(ME)}")
    os.symlink("reserved:snow.5:other-1", f"{jar.held}/.c.0")
    os.symlink(text_of(HIDDEN), f"{jar.held}/.d.0")
    with workers.working(jar) as worker:
        # It has only just come into being.
        jars.write(f"{jar.limbo}/.probe.{worker.name}", "")
        jars.write(f"{jar.logs}/.nfs000123", "removed and still open")
        assert found(jar) == set()
        os.unlink(f"{jar.limbo}/.probe.{worker.name}")
    os.mkdir(f"{jar.limbo}/.check.{node.owner(ME)}.{node.nonce(ME)}")
    jars.write(f"{jar.limbo}/draft", "being written")
    for process_of in (f"{os.uname().nodename}.{os.getpid()}", f"elsewhere.{2**22 + 1}"):
        jars.write(f"{jar.limbo}/.now.{process_of}", "")
    assert found(jar) == set()


# Where the jobs are.


def test_a_job_that_moves_on_while_it_is_looked_for_is_in_one_place(jar):
    jars.put(jar, Place("held", None, "a.0"))
    os.link(f"{jar.held}/a.0", f"{jar.unclaimed}/a.0")
    seen = inventory.Inventory(jar)
    assert len(list(seen.jobs())) == 2
    os.unlink(f"{jar.held}/a.0")
    assert list(whereabouts.find(seen)) == []


def test_a_file_in_two_places_is_found(jar):
    jars.put(jar, Place("unclaimed", "LINUX", "a.5"))
    os.link(f"{jar.unclaimed}/LINUX/a.5", f"{jar.held}/a~2.0")
    assert found(jar) == {("threat", "two-places", "held/a~2.0")}
    assert f"{jar.unclaimed}/LINUX/a.5" in says(jar)


def test_jobs_that_share_a_file_are_no_danger(jar):
    jars.put(jar, Place("unclaimed", None, "a_1"))
    os.link(f"{jar.unclaimed}/a_1", f"{jar.unclaimed}/a_2")
    assert found(jar) == {("information", "shared-file", "unclaimed/a_1")}


def test_two_jobs_of_one_final_name_are_found(jar):
    completed(jar)
    jars.put(jar, Place("failed", None, "a.0"), "other")
    assert found(jar) == {("person", "one-name", "failed/a.0")}


def test_a_link_in_failed_that_says_something_else_is_found(jar):
    completed(jar)
    os.symlink("../completed/b.0", f"{jar.failed}/a.0")
    assert found(jar) == {("person", "wrong-link", "failed/a.0")}


def test_a_link_in_failed_to_a_job_that_is_there_is_right(jar):
    completed(jar)
    os.symlink("../completed/a.0", f"{jar.failed}/a.0")
    assert found(jar) == set()


@pytest.mark.parametrize("state", ["completed", "failed", "logs"])
def test_what_is_no_job_is_found(jar, state):
    os.mkdir(f"{jar.home}/{state}/directory")
    os.mkfifo(f"{jar.home}/{state}/fifo")
    jars.write(f"{jar.home}/{state}/.dot", "")
    assert found(jar) == {("person", "foreign", f"{state}/{name}") for name in ("directory", "fifo", ".dot")}


def test_a_link_in_completed_that_holds_no_name_is_found(jar):
    os.symlink("/etc/passwd", f"{jar.completed}/a.0")
    assert found(jar) == {("person", "foreign", "completed/a.0")}


def test_a_log_without_a_job_is_worth_knowing(jar):
    jars.write(f"{jar.logs}/a.0", "printed")
    jars.write(f"{jar.logs}/b.0.attempt-x-1", "printed")
    assert found(jar) == {("information", "log-alone", "logs/a.0")}


def test_what_is_in_claimed_and_no_view_is_found(jar):
    jars.write(f"{jar.claimed}/job", "#!/bin/sh\n")
    os.symlink("/etc/passwd", f"{jar.claimed}/out")
    os.symlink("../workers/rain.5/claims/a.0", f"{jar.claimed}/a.0")
    os.mkdir(jar.worker("rain.5"))
    assert found(jar) == {("threat", "not-a-view", "claimed/job"), ("person", "foreign", "claimed/out"),
                          ("untidy", "old-view", "claimed/a.0")}


def test_what_nobody_will_ever_claim_is_found(jar):
    jars.write(f"{jar.unclaimed}/plain", "", 0o600)
    jars.write(f"{jar.held}/.dot", "")
    os.makedirs(f"{jar.waiting}/LINUX/deep")
    os.symlink("plain", f"{jar.unclaimed}/link")
    os.symlink("plain", f"{jar.unclaimed}/.link")
    assert found(jar) == {("person", "not-a-job", p) for p in ("unclaimed/plain", "held/.dot", "waiting/LINUX/deep",
                                                               "unclaimed/link")} | {
        ("person", "foreign", "unclaimed/.link")}


# What the dead have left.


def test_reservations_of_the_dead_are_found(jar):
    os.symlink(dead_text(), f"{jar.completed}/a.0")
    os.mkdir(f"{jar.held}/LINUX")
    os.symlink(dead_text(), f"{jar.held}/LINUX/.b.0")
    assert found(jar) == {("untidy", "left-over", "completed/a.0"), ("untidy", "left-over", "held/LINUX/.b.0")}


def test_reservations_from_before_a_reboot_are_found(jar):
    os.symlink(text_of(REBOOTED), f"{jar.completed}/a.0")
    os.mkdir(f"{jar.limbo}/.{node.owner(REBOOTED)}.{node.nonce(REBOOTED)}")
    os.symlink(text_of(REBOOTED), f"{jar.limbo}/.aside.x.1.1")
    os.symlink(text_of(REBOOTED), jar.taken("b.0"))
    assert {(severity, kind) for severity, kind, _ in found(jar)} == {("person", "before-reboot")}
    assert len(found(jar)) == 4


def test_reservations_that_cannot_be_judged_are_found_when_they_are_old(jar, aged):
    os.symlink("reserved:snow.5:other-1", f"{jar.completed}/a.0")
    os.symlink(text_of(HIDDEN), f"{jar.completed}/b.0")
    assert found(jar) == {("untidy", "of-another-node", "completed/a.0"), ("person", "of-a-container", "completed/b.0")}
    assert "node snow" in inspection.inspect(jar, ME)[1].says


def test_a_file_caught_between_the_renames_of_a_withdrawal_is_found(jar):
    jars.write(f"{jar.limbo}/.aside.rain.5:x-1.5.1", "#!/bin/sh\n")
    os.symlink("/etc/passwd", f"{jar.limbo}/.aside.rain.5:x-1.5.2")
    os.symlink(dead_text(), f"{jar.limbo}/.aside.rain.5:x-1.5.3")
    assert found(jar) == {("threat", "caught-aside", "limbo/.aside.rain.5:x-1.5.1"),
                          ("person", "caught-aside", "limbo/.aside.rain.5:x-1.5.2"),
                          ("untidy", "left-over", "limbo/.aside.rain.5:x-1.5.3")}


def test_what_is_forgotten_in_limbo_is_found(jar, aged):
    dead = nodes.dead_identity()
    draft = f".{node.owner(dead)}.{node.nonce(dead)}"
    os.mkdir(f"{jar.limbo}/{draft}")
    for name in (".cleaned.a.0", "old", f".now.{os.uname().nodename}.{dead.pid}", ".probe.rain.5"):
        jars.write(f"{jar.limbo}/{name}", "")
    for directory in (jar.completed, jar.failed, jar.logs):
        jars.write(f"{directory}/.probe.rain.5", "")
    assert found(jar) == {("untidy", "left-over", "limbo/.cleaned.a.0"), ("person", "old-draft", "limbo/old"),
                          ("untidy", "clock", f"limbo/.now.{os.uname().nodename}.{dead.pid}"),
                          ("untidy", "probe", "limbo/.probe.rain.5"), ("untidy", "probe", "completed/.probe.rain.5"),
                          ("untidy", "probe", "failed/.probe.rain.5"), ("untidy", "probe", "logs/.probe.rain.5"),
                          ("untidy", "left-over", f"limbo/{draft}")}


# Workers.


@pytest.fixture
def dead(jar):
    return nodes.Dead(jar)


def test_a_dead_worker_is_found(jar, dead):
    os.close(process.open_lock(process.lock_of(dead.nonce)))
    assert found(jar) == {("untidy", "stranded", f"workers/{dead.name}")}
    dead.claim()
    assert found(jar) == {("threat", "stranded", f"workers/{dead.name}")}
    assert "dead, with 1 job: `recover_stranded`" in says(jar)
    os.unlink(process.lock_of(dead.nonce))


def test_a_dead_worker_of_another_user_is_for_that_user(jar):
    nodes.Dead(jar, uid=54321)
    assert "54321" in says(jar)


def test_a_recovery_at_work_is_no_finding_and_one_that_died_is(jar, dead):
    dead.claim()
    os.unlink(f"{jar.claimed}/a.0")
    another = ME._replace(pid=os.getppid(), start=node.start_ticks(os.getppid()))
    stranded, place = {("threat", "stranded", f"workers/{dead.name}")}, dead.claims
    # What a repair had to leave is still to be found by the same process.
    for identity, expected in ((another, set()), (nodes.dead_identity(), stranded), (ME, stranded)):
        place, before = f"{dead.directory}/recovering.{node.nonce(identity)}-1", place
        os.rename(before, place)
        assert found(jar) == expected


def test_a_fenced_worker_of_another_node_is_found_when_that_was_long_ago(jar, monkeypatch):
    dead = nodes.Dead(jar, nodes.dead_identity("snow"))
    dead.claim()
    os.rename(dead.claims, f"{dead.directory}/recovering.other-1")
    assert found(jar) == set()
    monkeypatch.setattr(leavings, "OLD", -1.0)
    assert found(jar) == {("threat", "fenced", f"workers/{dead.name}")}
    assert "--node snow --dead" in says(jar)


def test_a_worker_that_cannot_be_judged_is_found(jar):
    dead = nodes.Dead(jar, nodes.dead_identity("snow"))
    assert found(jar) == set()
    os.utime(f"{dead.directory}/beat", (1, 1))
    assert found(jar) == {("information", "unknown", f"workers/{dead.name}")}
    dead.claim()
    assert found(jar) == {("person", "unknown", f"workers/{dead.name}")}


def test_a_worker_of_a_boot_that_ended_just_now_is_worth_knowing(jar):
    dead = nodes.Dead(jar, ME._replace(boot="0" * 36, machine="m", pid=77))
    dead.claim()
    me = ME._replace(machine="m")
    assert found(jar, me) == {("information", "young-reboot", "workers/rain.77")}
    os.utime(f"{dead.directory}/beat", (1e9, 1e9))
    assert found(jar, me) == {("threat", "stranded", "workers/rain.77")}


def test_a_worker_of_which_nothing_is_known_is_found(jar, dead):
    os.unlink(f"{dead.directory}/worker.json")
    assert found(jar) == {("person", "no-worker-json", f"workers/{dead.name}")}
    dead.claim()
    assert found(jar) == {("threat", "no-worker-json", f"workers/{dead.name}")}


def test_a_job_that_a_dead_process_was_taking_away_is_found(jar):
    os.symlink(dead_text(), jar.taken("a.0"))
    os.symlink(reservation.text(node.owner(ME), node.nonce(ME)), jar.taken("b.0"))
    assert found(jar) == {("untidy", "left-over", "limbo/.take.a.0")}


def test_a_directory_set_aside_that_still_has_jobs_is_found(jar, dead):
    os.rename(dead.directory, f"{dead.directory}.old-x")
    assert found(jar) == {("person", "not-a-worker", f"workers/{dead.name}.old-x")}
    jars.write(f"{dead.directory}.old-x/claims/a.0", "#!/bin/sh\n")
    assert found(jar) == {("threat", "not-a-worker", f"workers/{dead.name}.old-x")}


def test_a_job_that_its_living_worker_does_not_run_is_found(jar):
    with workers.working(jar) as worker:
        jars.write(f"{jar.worker(worker.name)}/PAUSE", "")
        processes.until(worker.is_idle)
        jars.write(f"{worker.claims}/a.0", "#!/bin/sh\n")
        assert found(jar) == set()
        os.utime(worker.path("journal"), (1, 1))
        assert found(jar) == {("person", "not-run", f"workers/{worker.name}/claims/a.0")}
        os.unlink(f"{worker.claims}/a.0")


def test_a_second_job_of_a_running_worker_is_worth_knowing(jar):
    with workers.working(jar) as worker:
        workers.place(jar, "a.0", "exec sleep 60")
        processes.until(lambda: list(workers.files(worker.claims)) and processes.children())
        processes.until(lambda: found(jar) == set())
        jars.write(f"{worker.claims}/b.0", "#!/bin/sh\n")
        assert found(jar) == {("information", "two-jobs", f"workers/{worker.name}")}
        os.unlink(f"{worker.claims}/b.0")


def test_a_worker_that_has_a_reason_to_claim_nothing_is_worth_knowing(jar):
    registration.write(jar, ME, {"min_free": [2**62, 0]})
    name = node.owner(ME)
    assert found(jar) == {("information", "claims-nothing", f"workers/{name}")} and "JJ_MIN_FREE" in says(jar)
    # A person's own pause is no news to him.
    marker = jars.write(f"{jar.worker(name)}/PAUSE", "")
    assert found(jar) == set()
    os.unlink(marker)
    jars.write(marker, "the node is sick")
    assert found(jar) == {("information", "claims-nothing", f"workers/{name}")} and "the node is sick" in says(jar)


def test_what_else_lies_in_the_workers_directory_is_worth_knowing(jar, dead):
    registration.leave(jar, dead.name)
    jars.write(f"{dead.directory}/scratch.left-1", "")
    for name in ("STOPALL", "STOP_ALL", "DRAIN.rain", ".dot"):
        jars.write(f"{jar.workers}/{name}", "")
    assert found(jar) == {("information", "left", f"workers/{dead.name}/scratch.left-1"),
                          ("information", "strange", "workers/STOPALL")}


def test_a_lock_file_of_a_dead_worker_is_found(jar, dead):
    dead.leave_things()
    os.unlink(f"{dead.claims}/.probe.{dead.name}")
    registration.leave(jar, dead.name)
    registration.clear_probe(jar, dead.name)
    lock = json.loads(jars.read(f"{dead.directory}/worker.json"))["lock"]
    assert found(jar) == {("untidy", "lock", os.path.relpath(lock, jar.home))}
    os.unlink(lock)
    assert found(jar) == set()


# Journals and notes.


def test_lines_that_cannot_be_read_are_worth_knowing_but_not_a_last_piece(jar):
    completed(jar)
    notes.add(jar, "rain.1", "a.0", None, "attempt", a="x-1")
    paths = f"{jar.worker('rain.1')}/journal", f"{jar.notes}/a/rain.1"
    for path in paths:
        with open(path, "a", encoding="utf-8") as file:
            file.write('{"e": "cl')
    assert found(jar) == set()
    for path in paths:
        with open(path, "a", encoding="utf-8") as file:
            file.write('\n\0\0\0\n{"e": "end", "n": ["of somebody else"], "ino": {}}\n')
    assert found(jar) == {("information", "garbled", os.path.relpath(path, jar.home)) for path in paths}
    assert "2 lines" in inspection.inspect(jar, ME)[0].says


def test_a_job_without_an_end_line_is_worth_knowing(jar):
    completed(jar)
    os.rename(jar.worker("rain.1"), jar.worker("rain.1.old-x"))
    os.rename(f"{jar.worker('rain.1.old-x')}/journal", f"{jar.worker('rain.1.old-x')}/journal.1")
    assert found(jar) == set()
    # Under another name it is known by its inode, and as a copy, for which that is another one, by its name.
    os.rename(f"{jar.completed}/a.0", f"{jar.completed}/b.0")
    jars.put(jar, Place("completed", None, "a.0"))
    assert found(jar) == set()
    jars.put(jar, Place("completed", None, "c.0"))
    assert found(jar) == {("information", "no-end-line", "completed/c.0")}


def test_what_is_no_note_is_found(jar):
    jars.write(f"{jar.notes}/a", "")
    assert found(jar) == {("person", "foreign", "notes/a")}


# The directories.


def test_where_nothing_of_a_jar_is_no_job_is_in_danger_and_yet_not_all_is_right(jar):
    for name in os.listdir(jar.home):
        path = f"{jar.home}/{name}"
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    assert found(jar) == {("person", "missing", ".")} and "JJ_HOME" in says(jar)
    # What workers have is something.
    os.makedirs(jar.claims("rain.5"))
    assert ("threat", "missing", "completed") in found(jar)


def test_a_directory_that_is_missing_is_found_and_not_made(jar):
    os.rmdir(jar.logs)
    os.rmdir(jar.notes)
    jars.write(jar.notes, "")
    assert found(jar) == {("threat", "missing", "logs"), ("threat", "missing", "notes")}
    assert not os.path.exists(jar.logs)


def test_without_completed_nothing_is_said_about_what_belongs_to_it(jar):
    os.rmdir(jar.completed)
    os.symlink("../completed/a.0", f"{jar.failed}/a.0")
    jars.write(f"{jar.logs}/b.0", "printed")
    assert found(jar) == {("threat", "missing", "completed")}


@pytest.mark.parametrize("text, severity", [(None, "untidy"), ("one\n", "threat")])
def test_a_bad_format_is_found(jar, text, severity):
    os.unlink(f"{jar.home}/FORMAT")
    if text:
        jars.write(f"{jar.home}/FORMAT", text)
    assert found(jar) == {(severity, "format", "FORMAT")}


def test_directories_that_others_can_write_to_are_found(jar):
    os.mkdir(f"{jar.unclaimed}/LINUX")
    for directory in (f"{jar.unclaimed}/LINUX", jar.completed):
        os.chmod(directory, 0o777)
    assert found(jar) == {("person", "open-to-others", "unclaimed/LINUX"), ("person", "open-to-others", "completed")}


NOBODY = 54321


def test_directories_that_are_closed_to_their_user_are_found():
    # Permissions stop everybody but root, who has closed the directories of the other tests to all others.
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory() as top:
        jar = jars.make(f"{top}/jar")
        jars.worker(jar, "snow.5")
        os.symlink("../workers/snow.5/claims/a.0", f"{jar.claimed}/a.0")
        for directory, _, files in os.walk(top):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.chown(path, user, -1, follow_symlinks=False)
        os.chmod(jar.worker("snow.5"), 0o400)
        os.chmod(jar.logs, 0)
        os.chmod(jar.held, 0o500)
        report = os.memfd_create("report")
        child = os.fork()
        if child == 0:
            os.setresuid(user, user, user)
            os.pwrite(report, json.dumps([[f.kind, f.path] for f in inspection.inspect(jar, ME)]).encode(), 0)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        told = json.loads(os.pread(report, 1 << 16, 0))
        os.close(report)
        for directory in (jar.logs, jar.worker("snow.5")):
            os.chmod(directory, 0o700)
    # What the link in claimed/ leads to is out of sight, and so nothing is said about it.
    assert sorted(told) == [["closed", path] for path in (jar.held, jar.logs, jar.worker("snow.5"))]


def test_a_jar_that_is_mounted_read_only_is_one_finding(jar, monkeypatch):
    real, access = os.statvfs, os.access
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*real(path)[:8], os.ST_RDONLY, 255]))
    monkeypatch.setattr(os, "access", lambda path, mode, **more: not mode & os.W_OK and access(path, mode, **more))
    assert found(jar) == {("person", "read-only", ".")}


def test_directories_on_other_file_systems_are_found(jar, tmp_path):
    script = f"""
mount -t tmpfs none {jar.logs} && mkdir {jar.unclaimed}/LINUX {tmp_path}/bound &&
mount --bind {tmp_path}/bound {jar.unclaimed}/LINUX && {sys.executable} -c '
from jobjar import inspection, layout, node
inspection.PAUSES = ()
for f in inspection.inspect(layout.Jar("{jar.home}"), node.myself("rain")):
    print(f.severity, f.kind, f.path)'
"""
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True,
                          text=True, cwd=processes.TOP, timeout=60)
    if done.returncode:
        pytest.skip(f"this system lets nobody mount in a namespace of his own: {done.stderr.strip()}")
    assert set(done.stdout.splitlines()) >= {f"threat other-file-system {jar.logs}",
                                             f"threat other-file-system {jar.unclaimed}/LINUX"}


# How it is told.


def test_the_gravest_comes_first_and_information_is_no_trouble(jar):
    jars.write(f"{jar.logs}/a.0", "printed")
    told = inspection.inspect(jar, ME)
    assert told and not findings.is_trouble(told)
    os.symlink(dead_text(), f"{jar.completed}/b.0")
    jars.write(f"{jar.limbo}/.aside.x.1.1", "")
    told = inspection.inspect(jar, ME)
    assert [f.severity for f in told] == ["threat", "untidy", "information"] and findings.is_trouble(told)


def test_of_many_findings_of_one_kind_some_are_shown_and_the_others_counted(jar):
    for number in range(12):
        jars.write(f"{jar.unclaimed}/{number:02}", "", 0o600)
    shown = findings.render(inspection.inspect(jar, ME)).splitlines()
    assert shown[0] == "a person is needed (12):" and len(shown) == 12
    assert shown[-1] == f"  … and 2 more like that in {jar.unclaimed}"
    assert len(findings.document(inspection.inspect(jar, ME))) == 12


def test_a_check_waits_for_nobody(jar):
    with only_one(30):
        assert found(jar) == set()
