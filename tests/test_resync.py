"""What another node has written is seen here: which directories and files are asked for anew, and where nothing is."""

import os

import pytest
from support import jars, programs, workers
from support.network import Client

from jobjar import fslook, mounts, resync
from jobjar.awaiting import resync_after
from jobjar.job import Job


@pytest.mark.parametrize("line, words", [
    ("sort /data/in -o out/sorted", ["/data/in", "out/sorted"]), ("sort in -o sorted -n", []),
    ("cat <a/b >/c/d 2>>e/f", ["a/b", "/c/d", "e/f"]), ("prog --out=x/y if=/z 'a b/c'", ["x/y", "/z", "b/c"]),
    ("ls d/*.c e/[ab]/f $HOME/g", ["d/", "e/"]), ("curl http://a/b -- -/x", []), ("(cd a/b; ls)", ["a/b"]),
    ("a/b a/b", ["a/b"]), ("", []), ("#!/bin/sh", []), ("sort in.txt --out=out.txt 2>err.log", ["in.txt", "out.txt", "err.log"]),
    ("cat . .. .profile *.c", []),
])
def test_words_that_look_like_paths(line, words):
    assert resync.path_words(line) == words


def test_the_first_lines_of_a_script_are_looked_through_and_a_program_is_not(tmp_path):
    script = jars.write(str(tmp_path / "job"), "#!/bin/sh\n#JJ --output=/no/comment\ncat a/b\n" + "true\n" * 30 + "cat c/d")
    assert resync.paths_in(script) == ["a/b"]
    assert resync.paths_in("/bin/true") == [] and resync.paths_in(str(tmp_path / "none")) == []


@pytest.mark.parametrize("kind, is_remote", [("nfs4", True), ("nfs", True), ("lustre", True), ("fuse.sshfs", True),
                                             ("cifs", True), ("9p", True), ("virtiofs", True), ("fuse", True), ("ext4", False), ("tmpfs", False),
                                             ("fuseblk", False), ("overlay", False), ("autofs", False)])
def test_kinds_of_file_systems_on_which_others_write(kind, is_remote):
    assert resync.is_remote(kind) is is_remote


@pytest.mark.parametrize("kind, is_remote", [("nfs4", True), ("virtiofs", True), ("panfs", True), ("xfs", False),
                                             ("tmpfs", False), ("overlay", False), ("fuseblk", False)])
def test_a_jar_is_this_computer_s_alone_only_where_that_is_known(monkeypatch, kind, is_remote):
    monkeypatch.setattr(mounts, "of", lambda directory: mounts.Mount("/", kind, "none", {}))
    assert resync.is_on_remote("/jar") is is_remote


def test_where_the_kernel_does_not_tell_what_a_jar_is_on_others_may_write_there(monkeypatch, tmp_path):
    monkeypatch.setattr(mounts, "TABLE", os.devnull)
    assert resync.is_on_remote(str(tmp_path))


@pytest.fixture
def asked(monkeypatch):
    """The directories and files that have been asked for anew, on mounts that all count as network file systems."""
    found = []
    forget, advise = fslook.forget_listing, os.posix_fadvise
    monkeypatch.setattr(fslook, "forget_listing", lambda path: found.append(path) or forget(path))
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, *more: found.append(os.readlink(f"/proc/self/fd/{handle}"))
                        or advise(handle, *more))
    monkeypatch.setattr(resync, "is_remote", lambda kind: True)
    return found


def test_the_working_directory_and_what_the_command_names_are_asked_for(asked, tmp_path):
    for name in ("in", "out", "else"):
        (tmp_path / name).mkdir()
    data = jars.write(str(tmp_path / "in/data"), "")
    os.mkfifo(tmp_path / "in/fifo")
    script = jars.write(str(tmp_path / "else/job"), "#!/bin/sh\nsort ./in/data in/fifo -o gone/x >../nowhere/y\n")
    request = {"chdir": str(tmp_path), "output": str(tmp_path / "out/%j"), "stage_out": ["in/made"]}
    resync.forget_job(resync.remotes(), request, resync.paths_in(script), "/")
    assert {os.path.normpath(path) for path in asked} == {str(tmp_path), f"{tmp_path}/in", f"{tmp_path}/out", data}


def test_a_directory_that_was_made_elsewhere_is_found_although_its_name_is_remembered_as_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(resync, "is_remote", lambda kind: True)
    (tmp_path / "made/within").mkdir(parents=True)
    client = Client(monkeypatch)
    client.remember_absent(str(tmp_path / "made"))
    resync.forget(resync.remotes(), "/", [str(tmp_path / "made/within/data")])
    assert os.path.isdir(tmp_path / "made/within")


def test_of_a_scratch_directory_nothing_is_asked_unless_something_is_carried_away_from_it(asked, tmp_path):
    script, scratch = jars.write(str(tmp_path / "job"), "#!/bin/sh\necho >made.txt\n"), tmp_path / "scratch"
    scratch.mkdir()
    caches = resync.Caches()
    for _ in range(2):
        caches.forget({}, script, b"", str(scratch))
        assert asked == []
    caches.forget({"stage_out": ["made.txt"]}, script, b"", str(scratch))
    assert str(scratch) in asked


def test_a_short_file_that_has_been_read_is_not_read_again_and_a_long_one_is(tmp_path):
    long = b"# a comment\n" * 400 + b"cat a/b\n"
    script = jars.write(str(tmp_path / "script"), long.decode())
    assert resync.paths_in(str(tmp_path / "gone"), b"#!/bin/sh\nsort c/d\n") == ["c/d"]
    assert resync.paths_in(script, long[:4096]) == ["a/b"]


def test_what_a_job_names_is_asked_for_again_when_it_has_ended_though_its_file_has_gone(asked, tmp_path):
    script = jars.write(str(tmp_path / "job"), f"#!/bin/sh\nsort {tmp_path}/data\n")
    caches = resync.Caches()
    caches.forget({}, script, b"", "/")
    before = [*asked]
    os.remove(script)
    caches.forget_again()
    assert str(tmp_path) in before and asked == 2 * before


def test_nothing_is_asked_of_ones_own_disk(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "place", lambda path: pytest.fail("a file system is asked"))
    monkeypatch.setattr(resync, "is_remote", lambda kind: False)
    resync.Caches().forget({"chdir": str(tmp_path)}, "/bin/true", b"", "/")
    resync_after([])
    assert asked == []


def test_only_what_is_on_the_network_is_asked_for(asked, tmp_path):
    resync.forget({mounts.place("/proc").mount}, str(tmp_path), ["/proc/self/"])
    assert asked and all(path.startswith("/proc/") for path in asked)


def test_what_is_mounted_is_asked_for_again_after_a_while(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(resync, "remotes", lambda: asked.append(1) or set())
    caches = resync.Caches()
    for _ in range(3):
        caches.forget({}, "/bin/true", b"", str(tmp_path))
    assert len(asked) == 1
    monkeypatch.setattr(resync, "ASK_AGAIN", 0.0)
    caches._due = 0.0
    caches.forget({}, "/bin/true", b"", str(tmp_path))
    caches.forget({}, "/bin/true", b"", str(tmp_path))
    assert len(asked) == 3


def seen_by_a_worker(path):
    """For a worker's `before`: all mounts count as network file systems, and what is asked for is written down."""
    forget = fslook.forget_listing

    def noting(directory):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{directory} {len(os.listdir(directory))}\n")
        return forget(directory)
    fslook.forget_listing = noting
    resync.is_remote = lambda kind: True


def test_a_worker_asks_before_the_start_and_after_the_end(jar, tmp_path):
    place, notes = tmp_path / "place", str(tmp_path / "notes")
    place.mkdir()
    assert programs.run("submit_job", "--home", jar.home, f"--chdir={place}", "touch", "made")[0] == 0
    workers.drain(jar, before=lambda: seen_by_a_worker(notes))
    assert [line for line in jars.read(notes).splitlines() if line.startswith(f"{place} ")] == \
        [f"{place} 0", f"{place} 1"]


def test_whoever_has_waited_asks_for_the_files_of_the_jobs(jar, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    place = workers.submit(jar, f"touch {tmp_path}/there/made")
    workers.drain(jar)
    asked.clear()
    resync_after([Job(jar, place)])
    assert {str(tmp_path), f"{tmp_path}/there", f"{tmp_path}/there/made"} <= set(asked)
