"""crontabs/ as a user installs them, with the real cron daemon: workers come up, one is killed, its job is recovered.

Two real minutes, for a cron daemon knows nothing shorter. It runs in a mount namespace, where no other crontab is seen
and none is changed.
"""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from support import documents, processes, programs

TOP = processes.TOP
CRON = "/usr/sbin/cron"
TWO_MINUTES = 121.0
MINUTES = 130.0

# A world in which there are no crontabs but those of the test, and which ends with it, whatever happens.
PRIVATE = """set -e
mount -t tmpfs tmpfs /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
mount -t tmpfs tmpfs /etc/cron.d
mount --bind /dev/null /etc/crontab
mount -t tmpfs tmpfs /run
"""


def why_not():
    """Why cron cannot be tried out here, in a sentence; None when it can."""
    if os.geteuid() != 0:
        return "only root may start a cron daemon"
    if not os.path.exists(CRON) or not shutil.which("crontab"):
        return f"there is no {CRON}: install the package cron"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        return "this root may not make a mount namespace, in which a test's crontab would harm nobody"
    return None


@pytest.fixture
def cron():
    """Let a shell do something and become the daemon; it ends with all that it has started."""
    def start(script):
        daemons.append(subprocess.Popen(
            ["unshare", "-m", "setpriv", "--pdeathsig", "KILL", "bash", "-c", f"{PRIVATE}{script}\nexec {CRON} -f"],
            stdin=subprocess.DEVNULL, env={"HOME": "/nowhere", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}))

    daemons = []
    yield start
    for daemon in daemons:
        daemon.kill()
        daemon.wait()
    # At a full minute more of them may come while some are killed.
    while family := processes.children():
        processes.kill(family)


def install(home, jar, top):
    """What the guide tells its readers to type, with the few edits that a test needs."""
    with open(os.path.join(top, "docs", "guide.md"), encoding="utf-8") as file:
        commands = [step.command for step in documents.steps(file.read()) if ".cron" in step.command]
    assert len(commands) == 3
    python = os.path.join(home, "python")
    os.mkdir(python)
    # Not that of a .venv: cron's python3 has no packages of its own.
    os.symlink(os.path.realpath(sys.executable), os.path.join(python, "python3"))
    edits = (f"cat > ~/settings <<END\nHOME={home}\nJJ_HOME={jar.home}\nJJ_ALLOW_ROOT=1\nJJ_MAX_WORKERS=2\nEND",
             # Every minute instead of every five, since only two will be waited for.
             "sed -i 's|^\\*/5 |* |' ~/recover.cron",
             f"sed -i 's|^PATH=|PATH={python}:|; 1r {home}/settings' ~/worker.cron ~/recover.cron")
    return "\n".join([f"export HOME={home}", f"cd {top}", *commands[:2], *edits, commands[2]])


@pytest.mark.slow
@pytest.mark.cron
@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_cron_keeps_workers_running_and_recovers_the_job_of_one_that_was_killed(tmp_path, jar, cron):
    documents.check_out(str(tmp_path / "jobjar"))
    script = install(str(tmp_path), jar, str(tmp_path / "jobjar"))
    env = processes.environment(JJ_HOME=jar.home)
    begin = time.monotonic()
    cron(script)
    first = set(processes.until(lambda: alive(jar, 2), "@reboot starts two workers", MINUTES))
    # The job ends its worker the first time, and says on which attempt it is.
    command = f"test $JJ_ATTEMPT -gt 1 || kill -9 ${{JJ_WORKER##*.}}; echo $JJ_ATTEMPT > {tmp_path}/said"
    programs.run("submit_job", command, env=env)
    processes.until(lambda: not alive(jar, 2), "one is killed")
    processes.until(lambda: os.listdir(jar.completed), "its job is recovered and run again", MINUTES)
    assert (tmp_path / "said").read_text() == "2\n"
    now = set(processes.until(lambda: alive(jar, 2), "the worker is replaced", MINUTES))
    assert len(first & now) == 1
    assert os.listdir(jar.failed) == []
    processes.until(lambda: time.monotonic() > begin + TWO_MINUTES, "cron goes on", MINUTES)
    assert set(alive(jar, 2)) == now and len(os.listdir(jar.workers)) == 3


def alive(jar, count):
    """The workers that run, when there are so many of them."""
    found = [name for name in os.listdir(jar.workers) if os.path.exists(jar.claims(name))
             and processes.is_running(int(name.rpartition(".")[2]))]
    return found if len(found) == count else None


@pytest.mark.parametrize("name", ["worker.cron", "recover.cron"])
def test_a_crontab_says_what_to_edit_and_how_to_install_it(name):
    with open(os.path.join(TOP, "crontabs", name), encoding="utf-8") as file:
        text = file.read()
    assert re.search(r"^JJ=/path/of/jobjar$", text, re.MULTILINE)
    assert re.search(r"^PATH=", text, re.MULTILINE)
    assert f"crontab -l | cat - {name} | crontab -" in text


def test_the_delay_after_a_reboot_is_longer_than_a_sign_of_life_protects_a_worker():
    from jobjar import node
    with open(os.path.join(TOP, "crontabs", "recover.cron"), encoding="utf-8") as file:
        assert int(re.search(r"^@reboot +sleep (\d+)", file.read(), re.MULTILINE)[1]) > node.BEAT_VETO
