"""What one node measures: each trait that a file system lacks is seen, and nothing stays."""

import errno
import fcntl
import os
import time

import pytest
from support import jars

from jobjar import beat, fslook, fsmeasure, fsops, fsreport, mounts


def refuse(code):
    def act(*_, **__):
        raise OSError(code, os.strerror(code))
    return act


def nothing(*_, **__):
    return True


@pytest.fixture
def room(jar):
    path = os.path.join(jar.limbo, ".check.test")
    os.mkdir(path)
    return path


def test_a_good_file_system_lacks_nothing(room):
    assert fsmeasure.traits(room) == dict.fromkeys(fsmeasure.TRAITS, "")


def test_everything_is_measured_in_the_room(jar, room):
    before = {path for path in jars.tree(jar) if not path.startswith("limbo/.check.test")}
    found = fsmeasure.measure(jar, room)
    assert found["apart"] == [] and found["mount"] == mounts.of(jar.limbo)._asdict()
    assert found["room"]["bytes"] > 0 and 0 < found["rename"] < 10 and 0 <= found["sync"] < 10
    assert {path for path in jars.tree(jar) if not path.startswith("limbo/.check.test")} == before


make = fsops.create


def folding(path, *more, **others):
    make(path.lower(), *more, **others)


def composing(path, *more, **others):
    import unicodedata
    make(unicodedata.normalize("NFC", path), *more, **others)


def mangling(path, *more, **others):
    make(path.replace("\n", "?"), *more, **others)


def limited(path, *more, **others):
    if len(os.path.basename(path)) > 143:
        refuse(errno.ENAMETOOLONG)()
    make(path, *more, **others)


def utf8_only(path, *more, **others):
    if not path.isprintable() and "\n" not in path:
        refuse(errno.EILSEQ)()
    make(path, *more, **others)


def keep_open_files(path):
    os.rename(path, os.path.join(os.path.dirname(path), ".nfs0001"))


def link_twice(text, path):
    return os.path.lexists(path) or os.symlink(text, path) is None


def copy(path, other):
    jars.write(other, "")


LACKS = [
    ("execution", fsmeasure.os, "posix_spawn", refuse(errno.EACCES), "Permission denied"),
    ("execution", fsmeasure.os, "waitstatus_to_exitcode", lambda _: 1, "exited with 1"),
    ("modes", fsmeasure.os, "chmod", nothing, "0644 and 0700 became 0644 and 0644"),
    ("owner", fsmeasure.os, "geteuid", lambda: 4711, "user 4711 made belongs to user"),
    ("links", fsops, "link", refuse(errno.EPERM), "Operation not permitted"),
    ("links", fsops, "link", link_twice, "a second link of the same name was made"),
    ("rename over a link", fsops, "rename", nothing, "still there"),
    ("hard links", fsops, "second_name", refuse(errno.EMLINK), "Too many links"),
    ("hard links", fsops, "second_name", copy, "another file"),
    ("sync", fsops, "_fsync", refuse(errno.EIO), "Input/output error"),
    ("open files", fsops, "remove", keep_open_files, "stays as .nfs…"),
    ("flock", fcntl, "flock", refuse(errno.ENOLCK), "No locks available"),
    ("case", fsops, "create", folding, "'Job.sh' and 'JOB.sh' are the same name"),
    ("Unicode", fsops, "create", composing, "are the same name"),
    ("newlines", fsops, "create", mangling, "became ['one?two']"),
    ("long names", fsops, "create", limited, "File name too long"),
    ("bytes", fsops, "create", utf8_only, "Invalid or incomplete multibyte"),
]


@pytest.mark.parametrize("trait, module, name, act, said", LACKS)
def test_what_a_file_system_lacks_is_seen(room, monkeypatch, trait, module, name, act, said):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, act)
        found = fsmeasure.traits(room)[trait]
    assert said in found


def test_every_trait_can_be_found_missing():
    assert {row[0] for row in LACKS} == set(fsmeasure.TRAITS)


def test_what_is_on_another_mount_is_apart(jar, monkeypatch):
    os.mkdir(f"{jar.unclaimed}/LINUX")
    real = mounts.place
    monkeypatch.setattr(mounts, "place", lambda path: (-1, -1) if path in (jar.workers, f"{jar.unclaimed}/LINUX")
                        else real(path))
    assert sorted(fsmeasure.apart(jar)) == sorted([jar.workers, f"{jar.unclaimed}/LINUX"])


def test_a_file_system_that_counts_nothing_has_room_for_everything(room, monkeypatch):
    real = os.statvfs(room)
    uncounted = os.statvfs_result([*real[:2], 0, 0, 0, 0, 0, 0, *real[8:]])
    monkeypatch.setattr(os, "statvfs", lambda _: uncounted)
    assert fsmeasure.space(room) == {"bytes": None, "files": None}
    document = {"home": "/jar", "node": "a", "verdict": "good", "remarks": [], "unmeasured": None, "facts": {
        "mount": None, "room": fsmeasure.space(room), "rename": 0.0, "sync": 0.0, "tick": 0.0, "clock": 0.0,
        "together": None}}
    assert "any size, any number of files" in fsreport.render(document)


def test_the_clock_is_compared_with_the_server_s(room, monkeypatch):
    real = time.time
    assert abs(fsmeasure.clock(room)) < 1
    monkeypatch.setattr(fsmeasure.time, "time", lambda: real() + 100)
    assert abs(fsmeasure.clock(room) - 100) < 1
    assert os.listdir(room) == []


def test_a_server_that_counts_whole_seconds_is_waited_for(room, monkeypatch):
    # Half of its second is over when the first file is made.
    begun, made = int(time.time()), beat.server_time
    late = time.time() - begun - 0.5
    monkeypatch.setattr(beat, "server_time", lambda path: float(int(made(path) - late)))
    assert abs(fsmeasure.clock(room) - late) < 0.4


@pytest.mark.parametrize("step", [10_000_000, 200_000_000])
def test_the_tick_of_the_server_s_clock_is_found(room, monkeypatch, step):
    real = fslook.stamp
    monkeypatch.setattr(fslook, "stamp", lambda path: real(path) // step * step)
    monkeypatch.setattr(fsmeasure, "TICK_PATIENCE", step * 4 / 1e9)
    assert round(fsmeasure.tick(room) * 1e9) % step == 0


def test_a_slow_rename_and_a_slow_sync_show(room, monkeypatch):
    rename, sync = fsops.rename, fsops._fsync
    monkeypatch.setattr(fsops, "rename", lambda *paths: (time.sleep(0.02), rename(*paths)))
    monkeypatch.setattr(fsops, "_fsync", lambda handle: (time.sleep(0.03), sync(handle)))
    found = fsmeasure.speed(room)
    assert found["rename"] >= 0.02 and found["sync"] >= 0.06
