"""How a worker comes to life: detached, under a name of its own, or with one sentence that says why not."""

import os
import pty
import signal
import sys

import psutil
import pytest
from support import invariants, jars, nodes, processes, programs
from support.nodes import Dead, Site

from jobjar import errors, fsops, node, process, registration, starting
from jobjar.errors import Fenced, JobJarError, NoSuchJob, TryAgain, UsageError

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root can make namespaces and mounts here")


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


# Detached.

def test_a_worker_has_let_go_of_everything_that_its_starter_had(site, tmp_path):
    with open(tmp_path / "open", "w", encoding="ascii") as mine:
        worker = psutil.Process(nodes.pid_of(site.start(cwd=str(tmp_path), pass_fds=[mine.fileno()])))
    assert worker.cwd() == "/"
    assert os.getsid(worker.pid) not in (worker.pid, os.getsid(0))
    held = [os.readlink(f"/proc/{worker.pid}/fd/{number}") for number in (0, 1, 2)]
    assert held == ["/dev/null"] * 3
    assert str(tmp_path / "open") not in [file.path for file in worker.open_files()]


def test_a_worker_survives_its_terminal(site):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, os.path.join(programs.BIN, "start_worker")], site.environment)
    worker = os.read(terminal, 1000).decode().strip()
    os.close(terminal)
    os.waitpid(pid, 0)
    site.submit("true")
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])
    assert site.living() == [worker]


def test_the_name_is_printed_when_it_has_registered(site):
    worker = site.start()
    assert registration.read(site.jar, worker).identity.pid == nodes.pid_of(worker)
    assert os.path.isdir(site.jar.claims(worker))


def test_ten_starts_at_once_make_ten_workers(site):
    running = [site.spawn("start_worker") for _ in range(10)]
    names = [processes.finish(one)[1].strip() for one in running]
    assert sorted(names, key=nodes.pid_of) == sorted(site.living(), key=nodes.pid_of) and len(set(names)) == 10


def test_a_start_whose_caller_dies_goes_on(site):
    starter = site.spawn("start_worker")
    processes.until(lambda: site.living())
    starter.kill()
    starter.communicate()
    site.submit("true")
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])


def test_a_start_that_fails_is_one_sentence_and_leaves_nothing(site, monkeypatch):
    before = jars.tree(site.jar)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registration, "_draw_up", fail)
    monkeypatch.setenv("JJ_ALLOW_ROOT", "1")
    with pytest.raises(TryAgain, match="No space left.*make room"):
        starting.start(site.jar, site.settings, starting.Terms())
    assert jars.tree(site.jar) == before


@pytest.mark.parametrize("error", [
    OSError(28, "No space left on device", "/jar/x"), OSError(30, "Read-only file system", "/jar/x"),
    OSError(13, "Permission denied", "/jar/x"), UsageError("two file systems"), NoSuchJob("x"), TryAgain("later"),
    JobJarError("x"), Fenced("x \udcff")])
def test_a_start_fails_in_the_background_with_the_sentence_and_the_status_of_the_foreground(site, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(starting, "register", fail)
    known = errors.of_system(error) if isinstance(error, OSError) else error
    with pytest.raises(JobJarError) as caught:
        starting.start(site.jar, site.settings, starting.Terms())
    assert (str(caught.value), caught.value.exit_status) == (str(known), known.exit_status)


def test_a_defect_at_the_start_is_named_with_its_kind(site, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(starting, "register", fail)
    with pytest.raises(JobJarError, match="no worker was started: ZeroDivisionError: by nought"):
        starting.start(site.jar, site.settings, starting.Terms())


def test_a_registration_that_fails_half_way_leaves_nothing(site, monkeypatch):
    real, before = fsops.create, jars.tree(site.jar)

    def fail(path, *rest):
        real(path, *rest)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fsops, "create", fail)
    with pytest.raises(JobJarError, match="No space left"):
        starting.start(site.jar, site.settings, starting.Terms())
    assert jars.tree(site.jar) == before


def test_a_worker_for_whose_journal_there_is_no_room_takes_its_registration_back(site, monkeypatch, tmp_path):
    before, locks = jars.tree(site.jar), tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr(process, "local_directory", lambda: str(locks))

    def fail(path, *_):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(fsops, "open_append", fail)
    with pytest.raises(JobJarError, match="No space left"):
        starting.start(site.jar, site.settings, starting.Terms())
    assert jars.tree(site.jar) == before and os.listdir(locks) == []


def test_a_worker_that_cannot_prove_one_file_system_takes_its_registration_back(site, monkeypatch):
    before, real = jars.tree(site.jar), os.rename

    def refuse(source, target):
        if target.startswith(site.jar.completed):
            raise OSError(18, "Invalid cross-device link", source, None, target)
        real(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(JobJarError, match="different file systems"):
        starting.start(site.jar, site.settings, starting.Terms())
    assert jars.tree(site.jar) == before


# A name that is taken.

@pytest.fixture
def take(site):
    """Register in this process under an identity whose NODE.PID can be occupied first; no forks are made."""
    def attempt():
        return starting._take_name(site.jar, site.settings, site.me, {"uid": os.geteuid()})
    return attempt


def mine(site, **other):
    """A dead owner of this process's name."""
    return site.me._replace(start=site.me.start - 1, **other)


def aside(site):
    return [name for name in os.listdir(site.jar.workers) if ".old-" in name]


@pytest.mark.alone
def test_a_dead_owner_is_recovered_and_set_aside(site, take):
    old = Dead(site.jar, mine(site))
    old.claim("a.0", "C1")
    old.journal.close()
    jars.write(f"{old.directory}/STOP", "")
    assert take()
    assert site.place("a.0") == ["unclaimed/C1/a.0"] and aside(site) == [f"{old.name}.old-{old.nonce}"]
    assert "STOP" not in os.listdir(old.directory), "a STOP of an earlier owner is never inherited"
    assert registration.read(site.jar, old.name).nonce == node.nonce(site.me)


@pytest.mark.alone
def test_an_owner_that_has_left_is_set_aside(site, take):
    old = Dead(site.jar, mine(site, boot="another"))
    old.journal.close()
    os.rmdir(old.claims)
    jars.write(f"{old.directory}/STOP", "")
    assert take() and len(aside(site)) == 1 and "STOP" not in os.listdir(old.directory)


@pytest.mark.parametrize("make", [os.mkdir, lambda path: jars.write(path, ""), lambda path: os.symlink("x", path)])
@pytest.mark.alone
def test_what_is_no_workers_directory_is_not_touched(site, take, make):
    """Nobody can say whose it is: by the time it is set aside it may be a newcomer's."""
    make(site.jar.worker(node.owner(site.me)))
    assert not take() and os.path.lexists(site.jar.worker(node.owner(site.me))) and aside(site) == []


@pytest.mark.alone
def test_a_directory_with_claims_and_without_worker_json_is_not_touched(site, take):
    claims = jars.worker(site.jar, node.owner(site.me))
    assert not take() and os.path.isdir(claims) and not os.listdir(site.jar.limbo)


@pytest.mark.alone
def test_an_owner_that_cannot_be_judged_is_not_touched(site, take):
    old = Dead(site.jar, mine(site, pidns=1))
    old.journal.close()
    assert not take() and os.path.isdir(old.claims) and aside(site) == []


@pytest.mark.alone
def test_an_owner_whose_orphan_lives_is_not_set_aside(site, take, monkeypatch):
    old = Dead(site.jar, mine(site))
    old.claim()
    old.journal.close()
    monkeypatch.setattr(process, "orphans", lambda *_: (True, []))
    assert not take() and aside(site) == [] and site.place("a.0")[0].startswith(f"workers/{old.name}/recovering.")


@pytest.mark.alone
def test_an_owner_that_cannot_be_recovered_stops_nobody_from_starting(site, take):
    old = Dead(site.jar, mine(site))
    old.claim("a.0", "C1")
    old.journal.close()
    jars.write(f"{site.jar.unclaimed}/C1", "a file in the way")
    assert not take() and site.place("a.0")[0].startswith(f"workers/{old.name}/")


@pytest.mark.alone
def test_a_newcomer_of_the_same_name_is_not_set_aside(site, take, monkeypatch):
    """Two containers find the same dead owner; the other one has set it aside and taken the name meanwhile."""
    old = Dead(site.jar, mine(site))
    old.journal.close()
    os.rmdir(old.claims)
    real = registration.set_aside

    def late(jar, worker, token):
        monkeypatch.setattr(registration, "set_aside", real)
        assert real(jar, worker, token)
        assert registration.write(jar, mine(site, pidns=1), {})
        return real(jar, worker, token)

    monkeypatch.setattr(registration, "set_aside", late)
    assert not take()
    assert registration.read(site.jar, old.name).identity.pidns == 1


# Containers.

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def contain(site, *words):
    """A worker in the foreground of a container, where its pid is always the same small number."""
    command = [*CONTAINER, sys.executable, os.path.join(programs.BIN, "start_worker"), "--foreground", *words]
    return processes.spawn(*command, env=site.environment)


def end(container):
    container.kill()
    container.communicate()


@needs_root
@pytest.mark.alone
def test_workers_of_containers_with_equal_pids_have_different_names(site):
    containers = [contain(site) for _ in range(3)]
    names = [container.stdout.readline().strip() for container in containers]
    assert len(set(names)) == 3 and "rain.1" in names
    site.submit("true")
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])
    for container in containers:
        end(container)


@needs_root
def test_a_stand_in_passes_on_signals_and_the_exit_status(site):
    first = contain(site)
    assert first.stdout.readline() == "rain.1\n"
    second = contain(site)
    assert second.stdout.readline() == "rain.2\n"
    [unshared] = psutil.Process(second.pid).children()
    [worker] = unshared.children()
    unshared.send_signal(signal.SIGTERM)
    assert processes.finish(second)[0] == 0 and not processes.is_running(worker.pid)
    end(first)


def occupied(site):
    """A stand-in and its worker: the names of two pids in a row are taken, by somebody in another container."""
    code = ("import os, sys; from jobjar import config, layout, node, registration, starting; s = config.read();"
            " jar = layout.open_jar(s.home); me = node.myself(s.node)._replace(pidns=1);"
            " registration.write(jar, me, {});"
            " sys.exit(starting.foreground(jar, s, starting.Terms()))")
    started = processes.python("-c", code, env=site.environment, start_new_session=True)
    name = started.stdout.readline().strip()
    assert nodes.pid_of(name) != started.pid
    return started, name


def test_an_interrupt_of_the_terminal_counts_once_for_a_stand_ins_worker(site):
    started, _ = occupied(site)
    told = f"{site.jar.home}.go"
    # Twice would end it at once, and there is time for that.
    site.submit(f"while [ ! -e {told} ]; do sleep 0.02; done; sleep 0.5")
    processes.until(lambda: site.is_claimed("a.0"))
    os.killpg(started.pid, signal.SIGINT)
    jars.write(told, "")
    assert processes.finish(started)[0] == 0
    assert site.place("a.0") == ["completed/a.0"]


def test_two_terminations_of_a_stand_in_end_the_job(site):
    started, _ = occupied(site)
    job = site.run_forever()
    # Two that come at once may arrive as one.
    processes.until(lambda: not processes.is_running(job) or started.terminate())
    assert processes.finish(started)[0] == 0 and site.place("a.0") == ["unclaimed/a.0"]


def test_a_hangup_does_not_end_a_stand_in(site):
    started, name = occupied(site)
    started.send_signal(signal.SIGHUP)
    site.submit("true")
    processes.until(lambda: site.place("a.0") == ["completed/a.0"])
    assert started.poll() is None and not site.gone(name)
    started.terminate()
    assert processes.finish(started)[0] == 0


# In the foreground.

def test_a_worker_in_the_foreground_leaves_in_order_when_terminated(site):
    started = site.spawn("start_worker", "--foreground")
    assert started.stdout.readline().strip() == f"rain.{started.pid}"
    started.terminate()
    assert processes.finish(started)[0] == 0
    assert not invariants.leftovers(jars.tree(site.jar))


def test_a_worker_leaves_when_it_has_been_idle_long_enough(site):
    started = site.spawn("start_worker", "--foreground", "--idle-exit", "0.1")
    assert processes.finish(started)[0] == 0 and site.living() == []


def test_a_fenced_worker_in_the_foreground_says_so_by_its_exit_status(site):
    started = site.spawn("start_worker", "--foreground")
    worker = started.stdout.readline().strip()
    os.rename(site.jar.claims(worker), f"{site.jar.worker(worker)}/recovering.x-1")
    assert processes.finish(started)[0] == 1


def test_leaving_removes_the_lock_of_its_jobs(site):
    started = site.spawn("start_worker", "--foreground")
    lock = registration.read(site.jar, started.stdout.readline().strip()).extra["lock"]
    assert os.path.exists(lock)
    started.terminate()
    processes.finish(started)
    assert not os.path.exists(lock)


def test_a_defect_writes_nothing_into_the_workers_files(site, monkeypatch):
    """The descriptor on which the name was told may be any file by then."""
    def defect(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(starting.Worker, "run", defect)
    worker = starting.start(site.jar, site.settings, starting.Terms())
    processes.until(lambda: site.gone(worker))
    assert "ZeroDivisionError" in site.log(worker)
    assert jars.read(f"{site.jar.worker(worker)}/journal") == ""


# The node-local directory.

@needs_root
@pytest.mark.parametrize("make", ["ln -s /var {}", "ln -s /nowhere {}", "touch {}", "mkdir -m 0770 {}",
                                  "mkdir -m 0777 {}", "mkdir {}; chown 65534 {}"])
@pytest.mark.alone
def test_a_node_local_directory_of_others_is_refused_with_a_sentence(site, make):
    path = f"/tmp/jobjar-{os.geteuid()}"
    script = f"mount -t tmpfs none /tmp && {make.replace('{}', path)}"
    words = ["unshare", "-m", sys.executable, "-c", LOCAL, script]
    status, out, err = processes.finish(processes.spawn(*words, cwd=processes.TOP))
    assert status == 0 and out.startswith("UsageError") and path in out and len(out.splitlines()) == 1, (out, err)


LOCAL = """
import subprocess, sys
from jobjar import errors, process
subprocess.run(["sh", "-c", sys.argv[1]], check=True)
try:
    process.local_directory()
except errors.JobJarError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.alone
def test_the_node_local_directory_does_not_depend_on_the_environment(monkeypatch):
    before = process.local_directory()
    for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, "/elsewhere")
    assert process.local_directory() == before
