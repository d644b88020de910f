"""What one node can measure of a jar's file system, in a directory of its own in limbo/.

Facts only, as a document for JSON; `fsverdict` judges them. A trait is "" when it is as a jar needs it, else what was
seen instead.
"""

import os
import stat
import statistics
import time
import unicodedata

from jobjar import beat, fslook, fsops, mounts
from jobjar.layout import DIRECTORIES, Jar
from jobjar.states import QUEUES

# How many times each thing is done whose duration counts, and how long is waited for the clock of the server to tick.
ROUNDS = 20
TICK_PATIENCE = 2.5
# A little more than a second, and how often the clock is asked meanwhile, s.
SECOND, PAUSE = 1.1, 0.005


def measure(jar: Jar, room: str) -> dict:
    """All facts that one node can find out, in `room`, an existing directory of this process in limbo/."""
    mount = mounts.of(jar.limbo)
    return {"mount": dict(mount._asdict()) if mount else None, "apart": apart(jar), "traits": traits(room),
            "room": space(room), "clock": clock(room), "tick": tick(room), **speed(room)}


def apart(jar: Jar) -> list[str]:
    """The directories of the jar that are not on limbo's file system, or reached through another mount."""
    wanted = mounts.place(jar.limbo)
    found = [os.path.join(jar.home, name) for name in DIRECTORIES] + [jar.workers]
    for state in QUEUES:
        with os.scandir(jar.directory(state)) as entries:
            found += [entry.path for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    # RACE: a category may be gone meanwhile.
    return [path for path in found if mounts.place(path) not in (wanted, None)]


def space(room: str) -> dict[str, int | None]:
    """Bytes and files that may still be made; None for what the file system does not count."""
    size, files = fslook.room(room)
    return {"bytes": size, "files": files}


def clock(room: str) -> float:
    """How many seconds this node's clock is ahead of the server's."""
    ahead, is_coarse, end = [], True, time.monotonic() + SECOND
    # Some servers count whole seconds: then one must be seen to begin.
    while len(ahead) < ROUNDS or is_coarse and time.monotonic() < end:
        before = time.time()
        then = beat.server_time(os.path.join(room, "clock"))
        ahead.append((before + time.time()) / 2 - then)
        is_coarse = is_coarse and then == int(then)
        time.sleep(PAUSE if len(ahead) >= ROUNDS else 0)
    # A file's time is rounded down to the server's tick, so the least difference is the truest.
    return round(min(ahead), 4)


def tick(room: str) -> float:
    """The least step of a directory's mtime, s, as far as changes in a tight loop show it."""
    place = os.path.join(room, "tick")
    fsops.make_directory(place)
    path, stamps, end = os.path.join(place, "x"), [], time.monotonic() + TICK_PATIENCE
    while len(stamps) < 5 and time.monotonic() < end:
        fsops.create(path, b"", 0o600, synced=False)
        fsops.remove(path)
        stamp = fslook.stamp(place)
        if stamp not in stamps:
            stamps.append(stamp)
    # The first may be of before the loop.
    steps = [later - earlier for earlier, later in zip(stamps[1:], stamps[2:])]
    return round(min(steps, default=TICK_PATIENCE * 1e9) / 1e9, 6)


def speed(room: str) -> dict[str, float]:
    """The median duration, s, of a rename and of making a file that is on the disk."""
    renames, syncs = [], []
    one, other = os.path.join(room, "one"), os.path.join(room, "other")
    for _ in range(ROUNDS):
        start = time.monotonic()
        fsops.create(one, b"x" * 512, 0o600, synced=len(syncs) < 5)
        if len(syncs) < 5:
            fsops.sync_directory(room)
            syncs.append(time.monotonic() - start)
        start = time.monotonic()
        fsops.rename(one, other)
        renames.append(time.monotonic() - start)
        fsops.remove(other)
    return {"rename": round(statistics.median(renames), 6), "sync": round(statistics.median(syncs), 6)}


def traits(room: str) -> dict[str, str]:
    """What the file system can do: "" or what was seen instead, for each trait of TRAITS."""
    return {name: _tried(probe, room, name) for name, probe in TRAITS.items()}


def _tried(probe: object, room: str, name: str) -> str:
    place = os.path.join(room, f"trait-{name}")
    fsops.make_directory(place)
    try:
        return probe(place)
    except OSError as error:
        return error.strerror or str(error)


def _file(place: str, name: str = "file", mode: int = 0o700, data: bytes = b"") -> str:
    path = os.path.join(place, name)
    fsops.create(path, data, mode, synced=False)
    return path


def _execution(place: str) -> str:
    path = _file(place, data=b"#!/bin/sh\nexit 7\n")
    child = os.posix_spawn(path, [path], {})
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if code == 7 else f"a script that exits with 7 exited with {code}"


def _modes(place: str) -> str:
    path = _file(place, mode=0o644)
    seen = [stat.S_IMODE(os.stat(path).st_mode)]
    os.chmod(path, 0o700)
    seen.append(stat.S_IMODE(os.stat(path).st_mode))
    return "" if seen == [0o644, 0o700] else f"0644 and 0700 became {seen[0]:04o} and {seen[1]:04o}"


def _owner(place: str) -> str:
    seen = os.stat(_file(place)).st_uid
    return "" if seen == os.geteuid() else f"a file that user {os.geteuid()} made belongs to user {seen}"


def _links(place: str) -> str:
    path, text = os.path.join(place, "link"), "reserved:" + "x" * 200
    fsops.link(text, path)
    if fsops.link("another", path):
        return "a second link of the same name was made"
    return "" if os.path.islink(path) and os.readlink(path) == text else "a link does not say what it was made to say"


def _over_link(place: str) -> str:
    path = os.path.join(place, "link")
    fsops.link("nowhere", path)
    fsops.rename(_file(place), path)
    return "" if fslook.is_file_listed(place, "link") else "the link is still there after a rename over it"


def _second_names(place: str) -> str:
    path = _file(place)
    fsops.second_name(path, path + "2")
    return "" if os.path.samefile(path, path + "2") else "the second name is another file"


def _sync(place: str) -> str:
    fsops.create(os.path.join(place, "file"), b"x", 0o600)
    fsops.sync_directory(place)
    return ""


def _unlinked(place: str) -> str:
    with open(_file(place, data=b"x"), "rb") as file:
        fsops.remove(file.name)
        left = fslook.names(place)
        if file.read() != b"x":
            return "an open file could not be read after it was removed"
    return f"an open file that is removed stays as {left[0][:4]}… until it is closed" if left else ""


def _flock(place: str) -> str:
    import fcntl
    with open(_file(place), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return ""


def _kept(*names: str) -> object:
    """A probe: files of these names are different files, and a listing gives back these names."""
    def probe(place: str) -> str:
        try:
            for name in names:
                _file(place, name)
        except FileExistsError:
            return f"{names[0]!r} and {names[1]!r} are the same name"
        seen = fslook.names(place)
        return "" if sorted(seen) == sorted(names) else f"{names!r} became {seen!r}"
    return probe


TRAITS = {
    "execution": _execution, "modes": _modes, "owner": _owner, "links": _links, "rename over a link": _over_link,
    "hard links": _second_names, "sync": _sync, "open files": _unlinked, "flock": _flock,
    "case": _kept("Job.sh", "JOB.sh"),
    "Unicode": _kept(unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
    "long names": _kept("n" * 255), "newlines": _kept("one\ntwo"), "bytes": _kept(os.fsdecode(b"\xff\xfe")),
}
