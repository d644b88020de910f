"""Which computer and which process this is, and whether another process is provably alive or dead.

A verdict of death needs proof (docs/PROTOCOL.md section 9). Start ticks, boot id and pid namespace cannot move with
the clock; a process id alone proves nothing.
"""

import os
from collections import namedtuple

from jobjar.errors import UsageError

ALIVE, DEAD, UNKNOWN = "alive", "dead", "unknown"

# A beat younger than this, on the server's clock, vetoes the verdict that a reboot killed the worker.
BEAT_VETO = 180.0

Identity = namedtuple("Identity", "node pid start boot machine pidns")

BOOT_ID = "/proc/sys/kernel/random/boot_id"
MACHINE_ID = "/etc/machine-id"


def boot_id() -> str:
    """The kernel's boot id: another one after each boot, the same in all containers of one kernel."""
    return _first_line(BOOT_ID)


def machine_id() -> str:
    """This installation's id, which survives a boot and is copied with a disk image; may be empty."""
    return _first_line(MACHINE_ID)


def pid_namespace() -> int:
    """The inode of the pid namespace in which pids are to be understood here."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When the process was started, in ticks since the boot; None when it is gone, only a zombie, or not to be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The command's name may contain anything, also ") R 1".
    fields = text[text.rindex(b")") + 2:].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _is_hidden(pid: int) -> bool:
    """Whether somebody else's process has that number, of which /proc shows nothing: it is mounted with hidepid."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not os.access(f"/proc/{pid}/stat", os.R_OK)
    except (ProcessLookupError, OverflowError):
        return False
    return False


def myself(node: str) -> Identity:
    """The identity of the calling process, on the node of that name. UsageError when /proc speaks of others."""
    pid = os.getpid()
    if os.path.islink("/proc/self") and os.readlink("/proc/self") != str(pid):
        raise UsageError("/proc shows another pid namespace, so nobody could say which workers live: mount one of this"
                         " namespace (`unshare --mount-proc`)")
    return Identity(node, pid, start_ticks(pid) or 0, boot_id(), machine_id(), pid_namespace())


def nonce(identity: Identity) -> str:
    """A short word that no other process shares; the prefix of its attempt ids."""
    boot = identity.boot.replace("-", "")[:6] or "000000"
    # Two processes may start in one tick, so the pid belongs to it.
    return f"{boot}{identity.pidns & 0xfffff:05x}-{identity.start:x}.{identity.pid:x}"


def owner(identity: Identity) -> str:
    """NODE.PID."""
    return f"{identity.node}.{identity.pid}"


def verdict(other: Identity, me: Identity, beat_age: float | None = None) -> str:
    """ALIVE or DEAD, with proof, else UNKNOWN. `beat_age`: seconds since its last beat, on the server's clock.

    The answer ALIVE may be false on return; DEAD stays true.
    """
    if other.node != me.node:
        return UNKNOWN
    if other.boot and (other.boot, other.pidns) == (me.boot, me.pidns):
        if start_ticks(other.pid) == other.start:
            return ALIVE
        return UNKNOWN if _is_hidden(other.pid) else DEAD
    if other.machine and other.machine == me.machine and other.boot and me.boot and other.boot != me.boot:
        # A cloned machine shares the id and the name and may well be alive: its beat says so.
        return UNKNOWN if beat_age is None or beat_age < BEAT_VETO else DEAD
    return UNKNOWN


def is_dead_nonce(process: str, text: str, me: Identity) -> bool:
    """Whether the process NODE.PID that carried this nonce (or an attempt id made of it) is provably gone."""
    node, _, pid = process.rpartition(".")
    binding, dash, rest = text.removeprefix("none-").partition("-")
    ticks = rest.partition(".")[0]
    if node != me.node or not dash or not pid.isdigit() or binding != nonce(me).partition("-")[0]:
        return False
    start = start_ticks(int(pid))
    return f"{start:x}" != ticks if start is not None else not _is_hidden(int(pid))
