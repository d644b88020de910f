"""store/: contents that are what their names say, whoever removes, cuts off or sweeps them meanwhile."""

import json
import os
import socket
import tempfile
import time

import pytest
from support import jars, workers

from jobjar import cli, fsops, staging, store
from jobjar.errors import JobJarError, TryAgain, UsageError

# A user id that nobody has.
STRANGER = 54321


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The directory of a submission."""
    path = tmp_path / "here"
    path.mkdir()
    (path / "a.txt").write_text("alpha")
    monkeypatch.chdir(path)
    return path


def prepare(jar, here, **request):
    return staging.prepare(jar, request, str(here))


def content(jar, here):
    return store.path_of(jar, store.digest_of(str(here / "a.txt")))


def swept(jar):
    """Everything in store/ is old, and a sweep takes away what nobody wants."""
    return store.sweep(jar, [], time.time() + store.KEPT + 60)


def test_all_is_on_the_disk_before_any_of_it_has_its_name(jar, here, monkeypatch):
    steps = []
    sync, move = fsops.sync_file_system, fsops.move
    monkeypatch.setattr(fsops, "sync_file_system", lambda path: (steps.append("sync"), sync(path))[1])
    monkeypatch.setattr(fsops, "move", lambda source, target: (steps.append("move"), move(source, target))[1])
    prepare(jar, here, snapshot=".")
    assert steps == ["sync", "move", "move", "sync"]


@pytest.mark.parametrize("wrong", [b"", b"alp", b"ALPHA"])
def test_a_content_that_is_not_what_its_name_says_is_replaced(jar, here, scratch, wrong):
    request = prepare(jar, here, stage_in=["a.txt"])
    with open(content(jar, here), "wb") as file:
        file.write(wrong)
    assert prepare(jar, here, stage_in=["a.txt"]) == request
    staging.lay_out(jar, request, str(scratch))
    assert jars.read(str(scratch / "a.txt")) == "alpha"


def test_a_list_that_was_cut_off_is_refused_and_replaced_by_submitting_again(jar, here, scratch):
    request = prepare(jar, here, stage_in=["a.txt"])
    os.truncate(store.path_of(jar, request["staged"]), 5)
    with pytest.raises(JobJarError, match="is not what was put there: submit the job again"):
        staging.lay_out(jar, request, str(scratch))
    assert staging.wanted(jar, request["staged"]) == {request["staged"]}
    prepare(jar, here, stage_in=["a.txt"])
    staging.lay_out(jar, request, str(scratch))


def test_a_worker_refuses_a_job_whose_list_is_cut_off_and_runs_the_next(jar, here, capsys):
    assert cli.main("submit_job", ["--home", jar.home, "--stage-in=a.txt", "cat a.txt"]) == 0
    [listed] = set(os.path.basename(path) for path in workers.files(jar.store)) - {store.digest_of("a.txt")}
    os.truncate(store.path_of(jar, listed), 0)
    workers.submit(jar, "true")
    worker = workers.drain(jar)
    assert "is not what was put there: submit the job again" in worker.log()
    assert len(os.listdir(jar.failed)) == len(os.listdir(jar.completed)) == 1
    assert cli.main("jobjar", ["clean", "--home", jar.home, "--older", "1h"]) == 0


@pytest.mark.parametrize("listed", [
    b"{}x", b"5", b'[["a"]]', b'[["a", null, 0, null]]', b'[["a\\u0000b", null, 0, "x"]]', b'[["a", "../b", 0, null]]',
    b'[["a", null, 0, "\\ud800"]]', b'[["..", null, 0, "x"]]', b'[[5, null, 0, "x"]]', b'[["/a", null, 0, "x"]]'])
def test_what_is_no_list_of_files_is_refused(jar, scratch, listed):
    with pytest.raises(JobJarError, match="is no list of a job's files|outside of the job's directory"):
        staging.lay_out(jar, {"staged": jars.keep(jar, listed)}, str(scratch))
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b", "a"]])
def test_files_that_have_no_room_beside_each_other_are_the_jobs_fault(jar, scratch, paths):
    listed = json.dumps([[path, None, 0, "somewhere"] if k else [path, jars.keep(jar, b"x"), 0o600, None]
                         for k, path in enumerate(paths)])
    with pytest.raises(JobJarError):
        staging.lay_out(jar, {"staged": jars.keep(jar, listed.encode())}, str(scratch))


def test_no_link_is_followed_where_files_are_laid_out(jar, scratch, tmp_path):
    (tmp_path / "far").mkdir()
    listed = json.dumps([["d", None, 0, str(tmp_path / "far")], ["d/x", jars.keep(jar, b"x"), 0o600, None]])
    with pytest.raises(JobJarError, match="d is a link, and nothing is put where it leads"):
        staging.lay_out(jar, {"staged": jars.keep(jar, listed.encode())}, str(scratch))
    assert os.listdir(tmp_path / "far") == []


def test_an_input_below_a_link_of_the_snapshot_is_not_submitted(jar, here, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x.csv").write_text("x")
    (here / "data").symlink_to(tmp_path / "far")
    with pytest.raises(UsageError, match="data/x.csv would lie below data, which is a link or a file"):
        prepare(jar, here, snapshot=".", stage_in=["data/x.csv"])


def test_outputs_of_one_name_are_not_submitted(jar, here):
    with pytest.raises(UsageError, match="/run1/out.txt and /run2/out.txt would both be out.txt"):
        prepare(jar, here, stage_out=["/run1/out.txt", "/run2/out.txt"])
    assert prepare(jar, here, stage_out=["out", "./out", "other"]) == {"stage_out": ["out", "./out", "other"]}


def test_a_name_that_begins_with_two_dots_keeps_its_place(jar, here, scratch):
    (here / "..d").mkdir()
    (here / "..d" / "x").write_text("x")
    staging.lay_out(jar, prepare(jar, here, stage_in=["..d/x"]), str(scratch))
    assert jars.read(str(scratch / "..d" / "x")) == "x"


def test_a_directory_that_cannot_be_listed_is_not_left_out_of_a_snapshot(jar, here, monkeypatch):
    (here / "closed").mkdir()
    scandir = os.scandir

    def refusing(path="."):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)
    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UsageError, match=r"closed cannot be listed \(Permission denied\)"):
        prepare(jar, here, snapshot=".")


def test_the_kernels_own_files_are_no_snapshot(jar, here):
    with pytest.raises(UsageError, match=r"--snapshot: /proc is on a file system of the kernel \(proc\)"):
        prepare(jar, here, snapshot="/proc")


def test_a_file_of_the_kernel_is_no_input(jar, here):
    # Its length is 0 wherever one looks, and it has contents.
    with pytest.raises(JobJarError, match="status was changed while it was read, or is no file of a disk"):
        prepare(jar, here, stage_in=["/proc/self/status"])
    assert not os.path.exists(jar.store)


def test_a_file_without_an_end_is_not_read_beyond_its_length():
    lengths = []

    class Endless:
        def read(self, length):
            lengths.append(length)
            assert sum(lengths) <= 3 * store.PIECE
            return bytes(length)
    with pytest.raises(JobJarError, match="x was changed while it was read, or is no file of a disk"):
        list(store._pieces(Endless(), "x", 2 * store.PIECE))


def test_what_is_longer_than_the_jar_has_room_for_is_not_even_read(jar, here, monkeypatch):
    with open(here / "vast", "wb") as file:
        file.truncate(2**40)
    monkeypatch.setattr(store.fslook, "room", lambda directory: (2**30, 2**20))
    with pytest.raises(TryAgain, match="vast is longer than there is room in"):
        prepare(jar, here, snapshot=".")


def test_a_snapshot_of_too_many_files_says_so_before_it_keeps_them(jar, here, monkeypatch):
    monkeypatch.setattr(staging, "FILES_MAX", 2)
    for number in range(3):
        (here / f"f{number}").write_text(str(number))
    monkeypatch.setattr(store.Deposit, "put", None)
    with pytest.raises(UsageError, match="has more than 2 files"):
        prepare(jar, here, snapshot=".")


def test_a_socket_in_a_snapshot_is_refused(jar, here):
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug")
        with pytest.raises(UsageError, match="plug is no regular file"):
            prepare(jar, here, snapshot=".")


def test_a_content_that_is_touched_while_it_is_swept_stays(jar, here, monkeypatch):
    prepare(jar, here, stage_in=["a.txt"])
    now = time.time() + store.KEPT + 60
    old, path = store._is_old, content(jar, here)

    def looked(one, at):
        is_old = old(one, at)
        if one == path:
            os.utime(path, (now, now))
        return is_old
    monkeypatch.setattr(store, "_is_old", looked)
    assert os.path.basename(path) not in store.sweep(jar, [], now)
    assert jars.read(path) == "alpha"


def test_a_submission_keeps_anew_what_is_swept_while_it_counts_on_it(jar, here, scratch, monkeypatch):
    prepare(jar, here, stage_in=["a.txt"])
    sync = fsops.sync_file_system

    def sweeping(path):
        monkeypatch.undo()
        assert len(swept(jar)) == 2
        sync(path)
    monkeypatch.setattr(fsops, "sync_file_system", sweeping)
    staging.lay_out(jar, prepare(jar, here, stage_in=["a.txt"]), str(scratch))
    assert jars.read(str(scratch / "a.txt")) == "alpha"


def test_a_content_that_a_killed_sweep_has_taken_aside_is_found_and_put_back(jar, here, scratch):
    request = prepare(jar, here, stage_in=["a.txt"])
    path = content(jar, here)
    os.rename(path, store._beside(path))
    staging.lay_out(jar, request, str(scratch))
    assert jars.read(str(scratch / "a.txt")) == "alpha"
    store.sweep(jar, staging.wanted(jar, request["staged"]), time.time() + store.KEPT + 60)
    assert jars.read(path) == "alpha"


def test_what_was_begun_and_not_finished_is_swept_after_a_day(jar, here):
    digest = jars.keep(jar, b"x")
    draft = jars.write(store._beside(store.path_of(jar, digest)), "half")
    assert store.sweep(jar, [digest], time.time()) == [] and os.path.exists(draft)
    assert store.sweep(jar, [digest], time.time() + store.KEPT + 60) == [] and not os.path.exists(draft)


def as_another_user(act):
    """What `act()` returns, or the class of what it raises, in a process of a user who owns nothing here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        try:
            said = act()
        except BaseException as error:
            said = repr(error)
        os.write(writer, str(said).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def shared():
    """A place that another user reaches, with a jar in which he may put files into store/."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        jar = jars.make(os.path.join(top, "jar"))
        os.mkdir(jar.store)
        os.chmod(jar.store, 0o1777)
        jars.write(os.path.join(top, "a.txt"), "alpha", 0o644)
        yield top, jar


def test_a_second_user_may_count_on_what_the_first_has_kept_and_put_his_own_beside_it(shared, scratch):
    top, jar = shared
    request = prepare(jar, top, stage_in=["a.txt"])
    path = store.path_of(jar, store.digest_of(os.path.join(top, "a.txt")))
    os.utime(path, (0, 0))
    assert as_another_user(lambda: prepare(jar, top, stage_in=["a.txt"])["staged"]) == request["staged"]
    assert os.stat(path).st_mtime > 0 and os.stat(path).st_uid == 0
    assert as_another_user(lambda: jars.write(os.path.join(os.path.dirname(path), "beside"), "")).endswith("beside")
    jars.write(os.path.join(top, "b.txt"), "beta", 0o644)
    staged = as_another_user(lambda: prepare(jar, top, stage_in=["b.txt"])["staged"])
    staging.lay_out(jar, {"staged": staged}, str(scratch))
    assert jars.read(str(scratch / "b.txt")) == "beta"


def test_in_a_jar_of_one_user_nobody_else_may_write_what_was_kept(jar, here):
    prepare(jar, here, stage_in=["a.txt"])
    for top, _, names in os.walk(jar.store):
        for path in (top, *(os.path.join(top, name) for name in names)):
            assert not os.stat(path).st_mode & 0o022, path


def test_what_many_files_contain_is_looked_at_once(jar, here, monkeypatch):
    for number in range(3):
        (here / f"same{number}").write_text("alpha")
    prepare(jar, here, snapshot=".")
    looked = []
    monkeypatch.setattr(store, "digest_of", lambda path: (looked.append(path), os.path.basename(path))[1])
    prepare(jar, here, snapshot=".")
    # That of all four, and the list.
    assert len(looked) == 2


def test_drafts_have_names_that_nobody_else_has(jar):
    assert len({store._beside("/x/y") for _ in range(100)}) == 100


def test_a_submission_that_is_refused_leaves_no_draft(jar, here):
    (here / "a.txt").write_text("a")
    os.mkfifo(here / "z")
    with pytest.raises(UsageError):
        prepare(jar, here, snapshot=".")
    assert list(workers.files(jar.store)) == []
