"""The doctor's verdicts: each thing that can be wrong with a node or its jar is told, with a remedy."""

import json
import os
import shutil
import subprocess

import pytest
from support import jars, processes, programs, workers
from test_census import beat, register

from jobjar import cron, doctor, mounts, node, nodelock, registration

BOTH = "* * * * * /opt/jobjar/bin/check_workers\n*/5 * * * * jobjar recover-stranded\n"


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """`crontab(text)`: what this user's crontab says, by a program of that name that stands before all others."""
    directory = tmp_path / "programs"
    directory.mkdir()

    def say(text, code=0):
        (directory / "crontab").unlink(missing_ok=True)
        jars.write(str(directory / "crontab"), f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n", 0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    say(BOTH)
    return say


@pytest.fixture
def daemon(tmp_path):
    """A process that is called as a cron daemon is."""
    path = shutil.copy(shutil.which("sleep"), tmp_path / "crond")
    process = subprocess.Popen([path, "1000"])
    processes.until(cron.is_running)
    yield process
    process.kill()
    process.wait()


def examine(jar, **more):
    """subject → [(verdict, says, remedy)]"""
    chosen = workers.settings(jar, **more)
    found = {}
    for verdict in doctor.examine(chosen, node.myself(chosen.node)):
        found.setdefault(verdict.subject, []).append((verdict.verdict, verdict.says, verdict.remedy))
    return found


def worst(jar, subject, **more):
    """The verdict about a subject that is not ok, with its words; there is one."""
    (found,) = [one for one in examine(jar, **more)[subject] if one[0] != doctor.OK]
    assert found[2], "without a remedy"
    return found


def run(jar, *words, **more):
    """(exit status, stdout, stderr) of the command."""
    env = processes.environment(JJ_HOME=jar.home, JJ_NODE="rain", JJ_MIN_FREE="0", **more)
    return programs.run("jobjar", "doctor", *words, env=env)


def test_a_sound_node_with_a_worker_and_cron_gets_no_warning_and_nothing_is_changed(jar, crontab, daemon):
    with workers.working(jar) as worker:
        processes.until(worker.is_idle)
        before = jars.tree(jar)
        code, out, err = run(jar, "--json")
        assert jars.tree(jar) == before and (code, err) == (0, "")
    document = json.loads(out)
    subjects = [verdict["subject"] for verdict in document["verdicts"]]
    assert list(dict.fromkeys(subjects)) == ["node", "python", "jar", "mount", "permissions", "room", "clock",
                                             "workers", "check", "cron"]
    told = [verdict for verdict in document["verdicts"] if verdict["verdict"] != "ok" and verdict["subject"] != "mount"]
    assert told == [] and document["node"] == "rain"


def test_the_text_has_a_line_for_each_verdict_and_warnings_do_not_change_the_exit_status(jar, crontab):
    crontab("", 1)
    code, out, _ = run(jar)
    lines = [line.split(None, 2) for line in out.splitlines()]
    assert code == 0 and ["warning", "workers"] in [line[:2] for line in lines]
    assert [line[0] for line in lines if line[1] == "cron"] == ["warning", "warning"]
    assert "`start_worker` starts one" in out


def test_a_jar_that_is_not_there_is_wrong_and_ends_the_examination(jar, crontab, tmp_path):
    shutil.rmtree(jar.home)
    code, out, err = run(jar)
    assert code == 1 and err == "" and "wrong" in out and "does not exist" in out and "mount" not in out


def test_what_others_can_write_is_wrong(jar):
    os.chmod(jar.unclaimed, 0o777)
    verdict, says, remedy = worst(jar, "permissions")
    assert verdict == doctor.WRONG and jar.unclaimed in says and remedy == f"chmod o-w {jar.unclaimed}"
    assert run(jar)[0] == 1


def test_too_little_room_is_wrong(jar):
    verdict, says, remedy = worst(jar, "room", JJ_MIN_FREE="8000P 0")
    assert verdict == doctor.WRONG and "JJ_MIN_FREE is" in says and remedy == "make room"


def test_a_wrong_clock_is_a_warning(jar, monkeypatch):
    was = registration.server_now
    monkeypatch.setattr(registration, "server_now", lambda jar: was(jar) + 100)
    verdict, says, remedy = worst(jar, "clock")
    assert verdict == doctor.WARNING and "behind" in says and remedy.startswith("set it")


def test_a_server_that_counts_whole_seconds_is_no_wrong_clock(jar, monkeypatch):
    was = registration.server_now
    monkeypatch.setattr(registration, "server_now", lambda jar: float(int(was(jar))))
    assert [verdict for verdict, _, _ in examine(jar)["clock"]] == [doctor.OK]


def test_a_dead_workers_jobs_are_wrong_and_recover_stranded_is_advised(jar):
    dead = node.myself("rain")._replace(pid=2**22 + 3)
    jars.worker(jar, node.owner(dead))
    jars.write(os.path.join(jar.worker(node.owner(dead)), "worker.json"),
               json.dumps({**dead._asdict(), "nonce": node.nonce(dead), "uid": os.geteuid()}))
    found = [one for one in examine(jar)["workers"] if one[0] == doctor.WRONG]
    assert any(node.owner(dead) in says and "recover_stranded" in remedy for _, says, remedy in found)


def test_another_computer_of_the_same_name_is_wrong(jar):
    me = node.myself("rain")
    for name, machine in (("rain.6", me.machine), ("snow.7", "0" * 32), ("rain.8", "")):
        register(jar, name, machine=machine, pidns=1)
        beat(jar, name, 0)
    assert [one[0] for one in examine(jar)["node"]] == [doctor.OK]
    register(jar, "rain.9", machine="0" * 32, boot="1" * 8 + me.boot[8:])
    beat(jar, "rain.9", 0)
    verdict, says, remedy = worst(jar, "node")
    assert verdict == doctor.WRONG and "rain.9 is on another computer" in says and "JJ_NODE" in remedy


def test_a_worker_that_nobody_has_heard_of_lately_is_a_warning(jar):
    register(jar, "snow.7")
    beat(jar, "snow.7", 1000)
    (found,) = [one for one in examine(jar)["workers"] if "snow.7" in one[1]]
    assert found == (doctor.WARNING, "snow.7 cannot be judged from here and was not heard of lately",
                     "`jobjar doctor` on snow says more")


@pytest.mark.parametrize("found, verdict, word", [
    (None, doctor.WARNING, "check --filesystem"),
    (mounts.Mount("/jar", "ext4", "/dev/x", {"rw": "", "noexec": ""}), doctor.WRONG, "mount it with exec"),
    (mounts.Mount("/jar", "fuse.s3fs", "bucket", {"rw": ""}), doctor.WRONG, "")])
def test_what_the_jar_lies_on_is_judged(jar, monkeypatch, found, verdict, word):
    monkeypatch.setattr(mounts, "of", lambda directory: found)
    told = worst(jar, "mount")
    assert told[0] == verdict and word in told[2]


def test_a_worker_of_another_version_is_to_be_renewed(jar):
    with workers.working(jar) as worker:
        record = workers.lines_of_json(worker.path("worker.json"))
        with open(worker.path("worker.json"), "w", encoding="utf-8") as file:
            json.dump({**record, "version": "0.9"}, file)
        verdict, says, remedy = worst(jar, "workers")
    assert verdict == doctor.WARNING and worker.name in says and "0.9" in says and "--renew" in remedy


def test_a_drained_node_and_a_worker_that_paused_itself_are_told(jar):
    with workers.working(jar) as worker:
        jars.write(worker.path("PAUSE"), "three jobs could not be started\n")
        processes.until(lambda: "three jobs" in str(examine(jar)["workers"]), "its pause is told")
    jars.write(jar.drain("rain"), "new disks\n")
    told = [one for one in examine(jar)["workers"] if "drained" in one[1]]
    assert told == [(doctor.WARNING, "node rain is drained (new disks)",
                     "no worker starts until `jobjar undrain rain`")]


def test_what_check_finds_is_summed_up(jar):
    jars.write(os.path.join(jar.limbo, ".cleaned.x"), "")
    assert worst(jar, "check")[0] == doctor.WARNING
    os.rmdir(jar.waiting)
    verdict, says, remedy = worst(jar, "check")
    assert verdict == doctor.WRONG and "2 findings" in says and "jobjar check" in remedy


def test_a_crontab_without_our_lines_is_a_warning_for_each(jar, crontab):
    crontab("# */5 * * * * /opt/jobjar/bin/check_workers\n5 * * * * true\n")
    told = examine(jar)["cron"]
    assert [verdict for verdict, _, _ in told] == [doctor.WARNING] * 2
    assert "check_workers" in told[0][1] and "worker.cron" in told[0][2] and "recover.cron" in told[1][2]


def test_a_cron_that_has_work_but_does_not_run_is_wrong(jar, crontab, monkeypatch):
    monkeypatch.setattr(cron, "is_running", lambda: False)
    assert worst(jar, "cron")[0] == doctor.WRONG


def test_a_node_without_cron_is_a_warning(jar, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert worst(jar, "cron")[0] == doctor.WARNING


def test_a_package_that_is_too_old_or_missing_is_wrong(jar, monkeypatch):
    monkeypatch.setattr(nodelock, "OLDEST", (999, 0, 0))
    verdict, says, remedy = worst(jar, "python")
    assert verdict == doctor.WRONG and "filelock" in says and "pip install" in remedy
    monkeypatch.setitem(__import__("sys").modules, "filelock", None)
    assert "no usable package filelock" in worst(jar, "python")[1]


def test_what_cannot_be_looked_at_is_told_and_the_rest_examined(jar, monkeypatch):
    def fail(jar):
        raise PermissionError(13, "Permission denied", jar.limbo)
    monkeypatch.setattr(registration, "server_now", fail)
    found = examine(jar)
    assert found["clock"][0][0] == doctor.WRONG and "Permission denied" in found["clock"][0][1]
    assert found["room"][0][0] == doctor.OK and "cron" in found
