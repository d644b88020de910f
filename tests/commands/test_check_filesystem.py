"""jobjar check --filesystem, as a person meets it on one node and on two."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, nullcontext

import pytest
from support import jars, processes, programs

from jobjar import fscheck, layout, leftovers, node, registration

ROOT = os.geteuid() == 0
CHECK = ("check", "--filesystem")


def start(home, name, *words):
    return programs.start("jobjar", *CHECK, "--home", str(home), *words, env=processes.environment(JJ_NODE=name))


def check(home, name, *words):
    return processes.finish(start(home, name, *words))


def document(process, deadline=120.0):
    status, out, err = processes.finish(process, deadline)
    return status, json.loads(out), err


def subjects(found, level):
    return {remark["subject"] for remark in found["remarks"] if remark["level"] == level}


def limbo(jar):
    return sorted(os.listdir(jar.limbo))


def offered(jar, name):
    return processes.until(lambda: [one for one in limbo(jar) if one.startswith(f".check.{name}.")
                                    and one.endswith(".offer")], f"{name} waits for a partner")


def test_one_node_measures_what_it_can_and_says_what_is_missing(jar):
    status, out, err = check(jar.home, "a", "--wait=0")
    assert (status, err) == (0, "") and limbo(jar) == []
    assert out.endswith(", as far as one node can tell\n") and "not measured: nothing between two nodes" in out
    assert f"the file system of {jar.home} is " in out


def test_nobody_comes(jar):
    status, out, err = check(jar.home, "a", "--wait=0.1")
    assert status == 0 and "for no other came" in out and limbo(jar) == []
    assert err == "jobjar check: now run `jobjar check --filesystem` on another node as well, within 0.1s\n"


@contextmanager
def views_with_caches(jar, age):
    """Two views of a jar whose kernel remembers names and times for `age` seconds; none where there is no FUSE."""
    views = [f"{jar.home}-{name}" for name in "ab"]
    options = f"attr_timeout={age},entry_timeout={age},negative_timeout={age}"
    try:
        for view in views:
            os.mkdir(view)
            done = subprocess.run(["bindfs", "-o", options, jar.home, view], capture_output=True, text=True)
            if done.returncode:
                break
        yield views if not done.returncode else []
    finally:
        for view in filter(os.path.ismount, views):
            subprocess.run(["umount", "-l", view] if ROOT else ["fusermount", "-u", view], check=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, full):
    """Three checks on two nodes each, all at once, for they do little but wait: (jar, its two processes) of each."""
    top = tmp_path_factory.mktemp("runs")
    local, cached, killed = (jars.make(top / name) for name in ("local", "cached", "killed"))
    jars.put(local, layout.Place("unclaimed", "LINUX", "a.0"))
    before = jars.tree(local)
    has_views = shutil.which("bindfs") is not None
    with views_with_caches(cached, 30 if full else 4) if has_views else nullcontext([]) as views:
        started = {"local": (local, pair([local.home] * 2, "--json", "--wait=90")),
                   "cached": (cached, pair(views, "--json", "--wait=90")),
                   "killed": (killed, impatient(killed))}
        every = [one for _, processes_of_pair in started.values() for one in processes_of_pair]
        try:
            for one in every:
                # Here nothing that runs for a moment only can be taken for a process left behind.
                has_met(one)
            yield {**started, "before": before}
        finally:
            # Those for which a test was to wait that was not chosen, or has failed.
            for one in every:
                one.kill()
                one.wait()
                one.stdout.close()
                one.stderr.close()


def pair(homes, *words):
    return [start(home, name, *words) for name, home in zip("ab", homes)]


def impatient(jar):
    """Two processes, of which only the first is soon out of patience."""
    patient = start(jar.home, "b", "--wait=1m")
    offered(jar, "b")
    return [start(jar.home, "a", "--wait=2"), patient]


def has_met(process):
    line = process.stderr.readline()
    while line and "measuring together" not in line:
        line = process.stderr.readline()
    assert line, "it has ended without a partner"


def test_a_partner_that_is_killed_ends_the_check_in_time(runs):
    jar, (patient, killed) = runs["killed"]
    killed.kill()
    killed.communicate()
    status, out, err = processes.finish(patient)
    assert status == 0 and "check on b has not answered within" in out and out.endswith("as far as one node can tell\n")
    (left,) = limbo(jar)
    assert left.startswith(".check.b.")
    assert check(jar.home, "c", "--wait=0")[0] == 0 and limbo(jar) == [left]
    assert check(jar.home, "b", "--wait=0")[0] == 0 and limbo(jar) == []


def test_two_nodes_measure_together_and_no_job_is_touched(runs):
    jar, both = runs["local"]
    seen = set()
    processes.until(lambda: seen.update(jars.tree(jar)) or all(one.poll() is not None for one in both), "both end", 120)
    (status, one, _), (other_status, other, _) = map(document, both)
    assert (status, other_status) == (0, 0) and jars.tree(jar) == runs["before"]
    assert {path for path in seen if not path.startswith("limbo/.check.")} | {"limbo"} == {*runs["before"], "limbo"}
    # Where the tests' directory lies may have a remark of its own; what was measured has none.
    for found in (one, other):
        assert subjects(found, "unfit") == set() and found["unmeasured"] is None
        assert subjects(found, "weak") <= {"memory", "container", "space", "speed", "kind", "late"}
    assert one["facts"]["together"]["race"]["won"] == other["facts"]["together"]["race"]["won"]
    assert sum(one["facts"]["together"]["race"]["won"].values()) == 300


def test_what_is_cached_is_late_and_the_remedy_is_named(runs, full):
    jar, both = runs["cached"]
    if not both:
        pytest.skip("nobody may mount with FUSE here" if shutil.which("bindfs") else "there is no bindfs: install bindfs")
    for status, found, _ in map(document, both):
        assert status == 0 and found["verdict"] == "weak" and subjects(found, "unfit") == set()
        assert (20 if full else 2) < found["facts"]["together"]["delays"]["stamp"]["worst"] < 60
        (late,) = [remark for remark in found["remarks"] if remark["subject"] == "late"]
        assert "attr_timeout=1" in late["text"]
    assert limbo(jar) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_check_leaves_nothing(jar, number):
    waiting = start(jar.home, "a", "--wait=1m")
    offered(jar, "a")
    waiting.send_signal(number)
    status, out, _ = processes.finish(waiting)
    assert (status, out, limbo(jar)) == (130, "", [])


def test_a_check_that_is_interrupted_in_the_midst_leaves_nothing_and_its_partner_says_so(jar):
    stopped, other = start(jar.home, "a", "--wait=1m"), start(jar.home, "b", "--wait=1m")
    has_met(stopped)
    stopped.send_signal(signal.SIGTERM)
    assert processes.finish(stopped)[0] == 130
    status, out, _ = processes.finish(other)
    assert status == 0 and "check on a has ended before its time" in out and limbo(jar) == []


def test_what_was_left_by_another_node_is_removed_after_a_day(jar):
    old, young = (jars.write(f"{jar.limbo}/.check.{name}.12.abc-1.1.offer", "") for name in ("old", "young"))
    os.utime(old, (1e9, 1e9))
    job = jars.write(f"{jar.limbo}/.check", "")
    check(jar.home, "a", "--wait=0")
    assert limbo(jar) == sorted(os.path.basename(path) for path in (young, job))


def test_whatever_the_server_s_clock_says_a_check_does_not_remove_its_own(jar, monkeypatch):
    monkeypatch.setattr(registration, "server_now", lambda _: time.time() + 2 * leftovers.CHECK_AGE)
    assert fscheck.check(jar, node.myself("a"), 0.0, print)["verdict"] == "good" and limbo(jar) == []


def test_recovery_removes_what_a_killed_check_of_its_node_left(jar):
    me = node.myself("a")
    gone = f"{jar.limbo}/.check.a.{me.pid}.{node.nonce(me._replace(start=1))}"
    os.mkdir(gone)
    mine = f"{jar.limbo}/.check.a.{me.pid}.{node.nonce(me)}"
    os.mkdir(mine)
    leftovers.sweep(jar, me)
    assert limbo(jar) == [os.path.basename(mine)]


@pytest.mark.parametrize("end", ["", ".offer"])
def test_check_tells_of_what_a_check_before_a_reboot_left_and_repair_removes_it(jar, end):
    me = node.myself("a")
    nonce = node.nonce(me._replace(boot="0" * 36))
    left = jars.write(f"{jar.limbo}/.check.a.{me.pid}.{nonce}{end}", "")
    if not end:
        os.unlink(left)
        os.mkdir(left)
    os.utime(left, (1e9, 1e9))
    told = {"env": processes.environment(JJ_NODE="a")}
    status, out, _ = programs.run("jobjar", "check", "--home", jar.home, **told)
    assert status == 1 and "a check of the file system of a process of this node before a reboot" in out
    assert programs.run("jobjar", "check", "--repair", "--home", jar.home, **told)[0] == 0 and limbo(jar) == []


@pytest.mark.skipif(not ROOT, reason="only root can mount file systems here")
def test_a_file_system_that_runs_no_programs_is_not_fit(tmp_path):
    home = tmp_path / "jar"
    home.mkdir()
    script = f"mount -t tmpfs -o mode=755,noexec none {home} && \"$@\"; status=$?; ls -A {home}/limbo; exit $status"
    program = ("jobjar", *CHECK, "--home", str(home), "--wait=0")
    run = processes.spawn("unshare", "--mount", "sh", "-c", script, "sh", os.path.join(programs.BIN, program[0]),
                          *program[1:], env=processes.environment(JJ_NODE="a"))
    status, out, err = processes.finish(run)
    assert (status, err) == (1, "") and out.splitlines()[-1].startswith("not fit for a jar: noexec, execution")
    assert "Permission denied" in out and "weak: memory" in out


@pytest.mark.parametrize("words, said", [
    (("check", "--wait=3"), "--wait belongs to --filesystem"),
    ((*CHECK, "--wait=2h"), "longer than 1h"), ((*CHECK, "--wait=soon"), "not a duration"),
])
def test_wrong_words_are_refused(jar, words, said):
    status, out, err = programs.run("jobjar", *words, "--home", jar.home)
    assert (status, out) == (2, "") and said in err
