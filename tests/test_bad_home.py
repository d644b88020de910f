"""A home that cannot be a jar: one sentence, and nothing half done."""

import os
import shutil
import sys

import pytest
from support import jars, nodes, processes, programs
from support.nodes import Site

from jobjar import orders

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can mount file systems here")
COMMANDS = [("start_worker",), ("check_workers",), ("recover_stranded",), ("submit_job", "true"), ("system_status",),
            ("stop_worker", "all")]


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


def refused(site, *command, expected=2):
    """The one sentence with which a command refuses; it has done nothing."""
    status, out, err = site.run(*command)
    assert status == expected and out == "", (status, out, err)
    assert len(err.splitlines()) == 1 and "Traceback" not in err, err
    return err


def remove(directory):
    """As a person does who is told by `rm -r` that it is not empty, for somebody has just written into it."""
    processes.until(lambda: shutil.rmtree(directory, ignore_errors=True) or not os.path.exists(directory))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_relative_home_is_refused(site, command):
    site.variables["JJ_HOME"] = "jar"
    assert "'jar'" in refused(site, *command)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_that_does_not_exist_is_refused_and_not_made(site, command, tmp_path):
    site.variables["JJ_HOME"] = str(tmp_path / "nowhere")
    assert f"{tmp_path}/nowhere" in refused(site, *command) and not os.path.exists(tmp_path / "nowhere")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_that_is_a_file_is_refused(site, command, tmp_path):
    site.variables["JJ_HOME"] = jars.write(str(tmp_path / "file"), "")
    assert "not a directory" in refused(site, *command)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("text", ["2\n", "one\n", ""])
def test_a_newer_or_garbled_format_is_refused(site, command, text):
    os.remove(f"{site.jar.home}/FORMAT")
    jars.write(f"{site.jar.home}/FORMAT", text)
    before = jars.tree(site.jar)
    said = refused(site, *command)
    assert ("newer than this program" in said) == (text == "2\n") and jars.tree(site.jar) == before


@pytest.mark.parametrize("name", ["limbo", "unclaimed", "workers"])
def test_a_file_in_the_place_of_a_directory_is_named(site, name):
    os.rmdir(f"{site.jar.home}/{name}")
    jars.write(f"{site.jar.home}/{name}", "")
    assert f"{site.jar.home}/{name}" in refused(site, "start_worker")


def test_what_is_missing_inside_a_home_is_made(site):
    for name in ("limbo", "notes", "workers"):
        os.rmdir(f"{site.jar.home}/{name}")
    os.remove(f"{site.jar.home}/FORMAT")
    site.start()
    assert jars.read(f"{site.jar.home}/FORMAT") == "1\n"


def test_a_worker_home_that_does_not_exist_is_refused(site, tmp_path):
    site.variables["JJ_WORKER_HOME"] = str(tmp_path / "nowhere")
    assert "JJ_WORKER_HOME" in refused(site, "start_worker")


@pytest.fixture
def closed(site):
    paths = [path for path, _, _ in os.walk(site.jar.home)]
    for path in paths:
        os.chmod(path, 0o555)
    yield site
    for path in paths:
        os.chmod(path, 0o755)


@pytest.mark.skipif(ROOT, reason="root may write everywhere, so a read-only mount is tried instead")
def test_a_home_that_may_not_be_written_is_one_sentence(closed):
    for command in (("start_worker",), ("submit_job", "true"), ("jobjar", "drain", "rain")):
        assert closed.jar.home in refused(closed, *command)


def mounted(site, script, *command):
    """A command in a mount namespace of its own, after a shell script has mounted something."""
    words = [sys.executable, os.path.join(programs.BIN, command[0]), *command[1:]]
    run = processes.spawn("unshare", "--mount", "sh", "-c", f"{script} && exec \"$@\"", "sh", *words,
                          env=site.environment)
    return processes.finish(run)


@needs_root
@pytest.mark.parametrize("furnished", [True, False])
@pytest.mark.parametrize("command", [("start_worker",), ("start_worker", "--foreground"), ("submit_job", "true"),
                                     ("submit_job", "-c", "C9", "true"), ("jobjar", "drain", "sun"),
                                     ("jobjar", "undrain", "meadow"), ("stop_worker", "snow")])
def test_a_read_only_home_is_one_sentence_with_its_own_remedy(site, command, furnished):
    orders.drain(site.jar, "meadow")
    jars.worker(site.jar, "snow.1")
    if not furnished:
        os.rmdir(site.jar.held)
    before = jars.tree(site.jar)
    home = site.jar.home
    status, out, err = mounted(site, f"mount --bind {home} {home} && mount -o remount,ro,bind {home}", *command)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and home in err, (status, out, err)
    assert "mounted read-only: mount it writable" in err
    assert jars.tree(site.jar) == before


@pytest.fixture
def theirs():
    """A jar that another user can get at."""
    with jars.workplace() as top:
        os.chmod(top, 0o755)
        yield Site(jars.make(f"{top}/jar"))


def as_nobody(site, *command):
    """A command of an ordinary user."""
    words = [sys.executable, os.path.join(programs.BIN, command[0]), *command[1:]]
    return processes.finish(processes.spawn("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words,
                                            env={**site.environment, "HOME": "/"}))


@needs_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv here")
@pytest.mark.parametrize("command, closed, blamed", [
    (("submit_job", "-c", "C", "true"), "unclaimed/C", "unclaimed/C"), (("submit_job", "true"), "limbo", "limbo/2"),
    (("jobjar", "drain", "sun"), "workers", "workers/.DRAIN.sun"),
    (("jobjar", "undrain", "meadow"), "workers", "workers/DRAIN.meadow"),
    (("stop_worker", "snow"), "workers/snow.1", "workers/snow.1/STOP")])
def test_a_directory_of_somebody_else_is_the_one_that_is_named(theirs, command, closed, blamed):
    if as_nobody(theirs, "jobjar", "--version")[0]:
        pytest.skip("this checkout is closed to ordinary users")
    jar = theirs.jar
    orders.drain(jar, "meadow")
    jars.worker(jar, "snow.1")
    jar.queue("unclaimed", "C")
    for path, _, _ in os.walk(jar.home):
        os.chown(path, 65534, 65534)
    os.chown(f"{jar.home}/{closed}", 0, 0)
    status, out, err = as_nobody(theirs, *command)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1, (status, out, err)
    assert f": {jar.home}/{blamed}" in err and not os.listdir(jar.limbo)


@needs_root
@pytest.mark.parametrize("name", ["workers", "completed", "limbo"])
def test_a_jar_on_two_file_systems_is_refused_with_both_paths(site, name):
    path = f"{site.jar.home}/{name}"
    status, out, err = mounted(site, f"mount -t tmpfs -o mode=755 none {path} && trap 'find {path} -mindepth 1' EXIT"
                                     " && true", "start_worker")
    assert (status, out) == (2, "") and len(err.splitlines()) == 1, (status, out, err)
    assert "different file systems" in err and path in err and err.count(site.jar.home) >= 2
    assert site.living() == [] and os.listdir(site.jar.workers) == [] and os.listdir(site.jar.limbo) == []


@needs_root
def test_a_bind_mount_of_the_same_file_system_is_refused_too(site, tmp_path):
    """Its device number is the same, and yet nothing can be renamed into it."""
    (tmp_path / "other").mkdir()
    status, out, err = mounted(site, f"mount --bind {tmp_path}/other {site.jar.workers}", "start_worker")
    assert (status, out) == (2, "") and "different file systems" in err
    assert os.listdir(tmp_path / "other") == [] and os.listdir(site.jar.limbo) == []


def test_a_worker_ends_when_its_jar_is_removed(site):
    worker = site.start()
    remove(site.jar.home)
    processes.until(lambda: site.gone(worker))


def test_a_worker_ends_when_its_directory_is_removed(site):
    worker = site.start()
    remove(site.jar.worker(worker))
    processes.until(lambda: site.gone(worker))
    assert not os.path.exists(site.jar.worker(worker)), "it is not made again"


def test_a_busy_worker_ends_when_its_jar_is_removed(site):
    worker = site.start()
    told = f"{site.jar.home}.go"
    site.submit(f"while [ ! -e {told} ]; do sleep 0.02; done; echo done")
    processes.until(lambda: site.is_claimed("a.0"))
    remove(site.jar.home)
    jars.write(told, "")
    processes.until(lambda: site.gone(worker))


def test_a_worker_serves_a_jar_that_was_emptied_of_its_categories(site):
    site.start("C1")
    site.submit("true", "a.0", "C1")
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])
    os.rmdir(f"{site.jar.unclaimed}/C1")
    site.submit("true", "b.0", "C1")
    processes.until(lambda: site.place("b.0") == ["completed/b.0"])
