"""Who lives, with proof."""

import os
import subprocess
import sys

import pytest
from support import jars, processes

from jobjar import node
from jobjar.node import ALIVE, DEAD, UNKNOWN

ME = node.myself("rain")
GONE = ME._replace(pid=2**22 + 1)
REBOOTED = ME._replace(boot="11111111-2222-3333-4444-555555555555")


def test_this_process_lives():
    assert node.verdict(ME, ME) == ALIVE


@pytest.mark.parametrize("other, verdict", [
    (GONE, DEAD), (ME._replace(start=ME.start + 1), DEAD), (ME._replace(node="snow"), UNKNOWN),
    (GONE._replace(node="snow"), UNKNOWN), (GONE._replace(pidns=1), UNKNOWN), (REBOOTED._replace(machine=""), UNKNOWN),
    (REBOOTED._replace(machine="another"), UNKNOWN), (GONE._replace(boot=""), UNKNOWN)])
def test_death_is_said_only_with_proof(other, verdict):
    assert node.verdict(other, ME._replace(machine="one") if other.machine == "another" else ME) == verdict


@pytest.mark.parametrize("age, verdict", [(None, UNKNOWN), (0.0, UNKNOWN), (179.0, UNKNOWN), (181.0, DEAD)])
def test_a_young_beat_vetoes_what_a_reboot_seems_to_prove(age, verdict):
    me, other = ME._replace(machine="one"), REBOOTED._replace(machine="one")
    assert node.verdict(other, me, age) == verdict


def test_a_zombie_is_dead():
    child = subprocess.Popen(["/bin/true"])
    processes.until(lambda: node.start_ticks(child.pid) is None, "a zombie")
    child.wait()


def test_a_process_whose_name_looks_like_its_state_is_read_right(tmp_path):
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as child:
        try:
            processes.until(lambda: "Z 1" in jars.read(f"/proc/{child.pid}/stat"), "its exec")
            assert node.start_ticks(child.pid) >= ME.start
        finally:
            child.kill()


def test_a_nonce_says_which_process_made_it():
    assert node.nonce(ME) == node.nonce(node.myself("rain"))
    others = [GONE, ME._replace(start=ME.start + 1), ME._replace(pidns=ME.pidns + 1), REBOOTED]
    assert len({node.nonce(one) for one in (ME, *others)}) == 5


@pytest.mark.parametrize("form", ["{}", "{}-17", "none-{}"])
def test_a_nonce_of_the_dead_is_known(form):
    assert node.is_dead_nonce(node.owner(GONE), form.format(node.nonce(GONE)), ME)
    assert not node.is_dead_nonce(node.owner(ME), form.format(node.nonce(ME)), ME)


def test_the_same_pid_started_later_is_another_process():
    earlier = ME._replace(start=ME.start - 1)
    assert node.is_dead_nonce(node.owner(earlier), node.nonce(earlier), ME)


@pytest.mark.parametrize("owner, nonce", [
    ("snow.4194305", node.nonce(GONE)), ("rain.x", node.nonce(GONE)), ("rain.4194305", "nonsense"),
    ("rain.4194305", node.nonce(REBOOTED)), ("rain.4194305", node.nonce(GONE._replace(pidns=1)))])
def test_what_cannot_be_proved_dead_is_not(owner, nonce):
    assert not node.is_dead_nonce(owner, nonce, ME)


# A /proc of its own, in which a user sees no process of another.
HIDDEN = "mount -t proc -o hidepid=2 proc /proc && exec \"$@\""
ASK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jobjar import node
other, me = node.Identity(*eval(sys.argv[3])), node.myself("rain")
# Not before all is loaded: the library of this Python may be closed to others.
os.setgroups([]), os.setgid(65534), os.setuid(65534)
assert not os.path.exists(sys.argv[2])
print(node.verdict(other, me), node.is_dead_nonce(node.owner(other), node.nonce(other), me))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount /proc with hidepid")
def test_whom_proc_does_not_show_is_not_dead():
    words = (sys.executable, "-S", "-c", ASK, processes.TOP, f"/proc/{os.getpid()}", repr(tuple(ME)))
    asked = processes.spawn("unshare", "--mount", "sh", "-c", HIDDEN, "sh", *words)
    assert processes.finish(asked) == (0, f"{UNKNOWN} False\n", "")


def test_this_machine_can_be_asked():
    assert node.boot_id() and node.pid_namespace() == os.stat("/proc/self/ns/pid").st_ino
    assert node.start_ticks(2**22 + 1) is None


def test_a_machine_without_these_files_says_nothing(monkeypatch):
    monkeypatch.setattr(node, "BOOT_ID", "/nowhere")
    monkeypatch.setattr(node, "MACHINE_ID", "/nowhere")
    assert node.boot_id() == node.machine_id() == ""
    assert node.nonce(node.myself("rain")).startswith("000000")
