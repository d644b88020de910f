"""What changes the jar, and what network file systems do to it."""

import errno
import os
import stat

import pytest
from support import faults, jars
from support.faults import LOST, RAISE, TORN, Fault

from jobjar import fslook, fsops, node
from jobjar.errors import Fenced, UsageError


@pytest.fixture
def ends(tmp_path):
    """Two directories: a source with a file in it, and a target."""
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    return jars.write(str(tmp_path / "from" / "job"), "a job"), str(tmp_path / "to" / "job")


def _struck(act, fault, top):
    """The value of `act()` under a fault, or the error that came out."""
    results = []
    outcome = faults.strike(lambda: results.append(act()), fault, str(top))
    assert outcome.hit
    return results[0] if results else outcome.error


def test_a_move_takes_the_file_there(ends):
    assert fsops.move(*ends)
    assert jars.read(ends[1]) == "a job"


def test_a_move_whose_source_another_took_is_false(ends):
    os.remove(ends[0])
    assert fsops.move(*ends) is False


def test_a_move_whose_sources_directory_is_gone_is_fenced(ends):
    os.rename(os.path.dirname(ends[0]), os.path.dirname(ends[0]) + ".elsewhere")
    with pytest.raises(Fenced):
        fsops.move(*ends)


def test_a_move_whose_reply_was_lost_has_happened(ends, tmp_path):
    assert _struck(lambda: fsops.move(*ends), Fault(LOST, 1), tmp_path) is True
    assert jars.read(ends[1]) == "a job"


def test_a_move_that_fails_once_is_tried_again(ends, tmp_path):
    assert _struck(lambda: fsops.move(*ends), Fault(RAISE, 1, errno.ESTALE), tmp_path) is True


def test_a_move_that_cannot_be_made_leaves_the_file(ends):
    with pytest.raises(FileNotFoundError):
        fsops.move(ends[0], os.path.join(ends[1], "nowhere", "job"))
    assert os.path.exists(ends[0])


def test_a_move_that_may_come_yet_is_not_taken_for_refused_because_its_directory_cannot_be_looked_into(
        ends, monkeypatch):
    def fail(code):
        def failing(*_):
            raise OSError(code, os.strerror(code))
        return failing
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail(errno.EIO))
        patch.setattr(fslook, "names_uncached", fail(errno.EACCES))
        with pytest.raises(OSError) as raised:
            fsops.move(*ends)
    assert raised.value.errno == errno.EIO


def test_two_file_systems_are_refused_with_both_paths_named(ends, tmp_path):
    said = _struck(lambda: fsops.move(*ends), Fault(RAISE, 1, errno.EXDEV), tmp_path)
    assert isinstance(said, str) and "UsageError" in said and ends[0] in said and ends[1] in said


def test_a_claim_is_won_lost_or_fenced(ends):
    assert fsops.claim(*ends) == 0
    assert fsops.claim(*ends) == 0, "it is in my own directory, whatever the error says"
    os.remove(ends[1])
    assert fsops.claim(*ends) == errno.ENOENT
    os.rmdir(os.path.dirname(ends[1]))
    with pytest.raises(Fenced):
        fsops.claim(*ends)


def test_a_claim_whose_reply_was_lost_is_won(ends, tmp_path):
    assert _struck(lambda: fsops.claim(*ends), Fault(LOST, 1), tmp_path) == 0


def test_what_a_claim_has_won_is_seen_though_its_lookup_is_answered_from_a_cache(ends, monkeypatch):
    """On NFS a name that was looked up before it came stays absent for up to 60 s, to all that do not list."""
    os.rename(*ends)
    real = os.stat

    def cached(path, *rest, **more):
        if path == ends[1]:
            raise FileNotFoundError(errno.ENOENT, "from the cache", path)
        return real(path, *rest, **more)

    with monkeypatch.context() as patch:
        for function in ("stat", "lstat"):
            patch.setattr(os, function, cached)
        assert fsops.claim(*ends) == 0


def test_a_link_is_mine_when_it_says_what_i_say(tmp_path):
    path = str(tmp_path / "link")
    assert fsops.link("mine", path)
    assert fsops.link("mine", path)
    assert not fsops.link("other", path)
    assert os.readlink(path) == "mine"


def test_a_link_whose_reply_was_lost_is_mine(tmp_path):
    path = str(tmp_path / "link")
    assert _struck(lambda: fsops.link("mine", path), Fault(LOST, 1), tmp_path) is True


def test_making_a_directory_says_whether_it_is_new(tmp_path):
    path = str(tmp_path / "directory")
    assert fsops.make_directory(path)
    assert not fsops.make_directory(path)
    jars.write(path + "2", "a file")
    with pytest.raises(UsageError, match="in the way"):
        fsops.make_directory(path + "2")


def test_removing_says_whether_it_was_there(tmp_path):
    path = jars.write(str(tmp_path / "file"), "")
    assert fsops.remove(path)
    assert not fsops.remove(path)


def test_a_directory_is_removed_only_when_it_is_empty(tmp_path):
    path = tmp_path / "directory"
    path.mkdir()
    jars.write(str(path / "file"), "")
    assert not fsops.remove_directory(str(path))
    os.remove(path / "file")
    assert fsops.remove_directory(str(path))
    assert fsops.remove_directory(str(path))


def test_a_file_is_no_directory(tmp_path):
    path = jars.write(str(tmp_path / "file"), "")
    assert not fsops.remove_directory(path)
    assert os.path.exists(path)


def test_a_tree_is_removed_whole_but_no_link_is_followed(tmp_path):
    outside = jars.write(str(tmp_path / "outside"), "keep")
    top = tmp_path / "tree"
    (top / "closed" / "deep").mkdir(parents=True)
    jars.write(str(top / "closed" / "deep" / "file"), "")
    os.symlink(outside, top / "link")
    os.symlink(str(tmp_path), top / "up")
    os.chmod(top / "closed", 0)
    assert fsops.remove_tree(str(top))
    assert not top.exists()
    assert jars.read(outside) == "keep"


def test_a_tree_that_is_not_there_is_gone(tmp_path):
    assert fsops.remove_tree(str(tmp_path / "nowhere" / "tree"))
    assert fsops.remove_tree(str(tmp_path / "tree"))


def test_a_new_file_is_exclusive_and_has_its_mode(tmp_path):
    path = str(tmp_path / "file")
    fsops.create(path, b"text", 0o750)
    assert jars.read(path) == "text"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o750
    with pytest.raises(FileExistsError):
        fsops.create(path, b"other", 0o600)
    assert jars.read(path) == "text"


@pytest.mark.parametrize("operation", ["write", "fsync", "close"])
def test_a_new_file_that_cannot_be_finished_is_not_left_behind(tmp_path, operation):
    path = str(tmp_path / "file")
    trace = faults.count(lambda: fsops.create(path, b"text", 0o600), str(tmp_path))
    os.remove(path)
    at = [line.split(" ")[0] for line in trace].index(operation) + 1
    said = _struck(lambda: fsops.create(path, b"text", 0o600), Fault(RAISE, at, errno.ENOSPC), tmp_path)
    assert "No space" in said
    assert os.listdir(tmp_path) == []


def test_what_is_published_by_two_processes_of_one_number_has_two_drafts(tmp_path, monkeypatch):
    drafts = []
    create = fsops.create_own
    monkeypatch.setattr(fsops, "create_own", lambda path, *more: (drafts.append(path), create(path, *more)))
    fsops.publish(str(tmp_path / "file"), b"one")
    # Of a container with this computer's name: its processes are numbered anew.
    monkeypatch.setattr(node, "pid_namespace", lambda: 1)
    fsops.publish(str(tmp_path / "file"), b"two")
    assert len(set(drafts)) == 2


def test_a_draft_that_somebody_has_taken_away_is_not_published(tmp_path, monkeypatch):
    monkeypatch.setattr(fsops, "move", lambda *names: False)
    with pytest.raises(FileNotFoundError, match="somebody has taken away"):
        fsops.publish(str(tmp_path / "file"), b"x")


def test_publishing_replaces_a_file_whole_or_not_at_all(tmp_path):
    path = jars.write(str(tmp_path / "file"), "old")
    trace = faults.count(lambda: fsops.publish(path, b"new"), str(tmp_path))
    for fault in faults.points(trace, faults.BEFORE, faults.AFTER, TORN):
        os.truncate(path, 0)
        with open(path, "w", encoding="ascii") as file:
            file.write("old")
        faults.strike(lambda: fsops.publish(path, b"new"), fault, str(tmp_path))
        assert jars.read(path) in ("old", "new")
    fsops.publish(path, b"new")
    assert os.listdir(tmp_path) == ["file"], "a draft that was left behind is used again"


def test_publishing_understands_a_lost_reply(tmp_path):
    path = str(tmp_path / "file")
    trace = faults.count(lambda: fsops.publish(path, b"new"), str(tmp_path))
    at = [line.split(" ")[0] for line in trace].index("os.rename") + 1
    assert _struck(lambda: fsops.publish(path, b"newer"), Fault(LOST, at), tmp_path) is None
    assert jars.read(path) == "newer"


def test_a_short_write_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(fsops, "_write", lambda handle, data: os.write(handle, bytes(data)[:3]))
    fsops.create(str(tmp_path / "file"), b"a longer text", 0o600)
    assert jars.read(str(tmp_path / "file")) == "a longer text"


def test_a_torn_line_is_ended_before_the_next(tmp_path):
    path = jars.write(str(tmp_path / "journal"), '{"torn', 0o600)
    handle = fsops.open_append(path)
    fsops.append(handle, b"{}\n")
    os.close(handle)
    assert jars.read(path) == '{"torn\n{}\n'


def test_a_line_that_was_written_short_is_written_again(tmp_path, monkeypatch):
    path = str(tmp_path / "journal")
    handle = fsops.open_append(path)
    lengths = iter([2, 99])
    monkeypatch.setattr(fsops, "_write", lambda handle, data: os.write(handle, bytes(data)[:next(lengths)]))
    fsops.append(handle, b"{1234}\n")
    os.close(handle)
    assert jars.read(path) == "{1\n{1234}\n"


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    handle = fsops.open_append(str(tmp_path / "journal"))
    monkeypatch.setattr(fsops, "_write", lambda handle, data: 1)
    with pytest.raises(OSError) as caught:
        fsops.append(handle, b"{}\n")
    os.close(handle)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "journal")


@pytest.mark.parametrize("seam, named, act", [
    ("_write", "journal", lambda handle, path: fsops.append(handle, b"{}\n")),
    ("_write", "journal", lambda handle, path: fsops.open_append(path)),
    ("_fsync", "journal", lambda handle, path: fsops.sync(handle)),
    ("_close", "journal", lambda handle, path: fsops.close(handle)),
    ("_fsync", "", lambda handle, path: fsops.sync_directory(os.path.dirname(path))),
    *((seam, "journal2", lambda handle, path: fsops.create(path + "2", b"", 0o600)) for seam in ("_fsync", "_close")),
    ("_write", "journal2", lambda handle, path: fsops.create(path + "2", b"text", 0o600))])
def test_an_error_names_the_file_although_the_system_knew_only_a_descriptor(tmp_path, monkeypatch, seam, named, act):
    path = jars.write(str(tmp_path / "journal"), "torn")
    handle = os.open(path, os.O_RDWR)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fsops, seam, refuse)
    with pytest.raises(OSError) as caught:
        act(handle, path)
    os.close(handle)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / named))


def test_no_link_is_followed_when_a_file_is_made_or_touched(tmp_path):
    target = jars.write(str(tmp_path / "target"), "theirs")
    os.symlink(target, tmp_path / "link")
    for act in (lambda path: fsops.open_append(path), fsops.touch, lambda path: fsops.create(path, b"", 0o600)):
        with pytest.raises(OSError):
            act(str(tmp_path / "link"))
    assert jars.read(target) == "theirs"


def test_touching_makes_a_file_or_says_that_it_is_new(tmp_path):
    path = str(tmp_path / "beat")
    fsops.touch(path)
    os.utime(path, (1, 1))
    fsops.touch(path)
    assert os.stat(path).st_mtime > 1



def test_a_file_system_that_cannot_sync_directories_has_nothing_to_sync(tmp_path, monkeypatch):
    def refuse(handle, code=errno.EINVAL):
        raise OSError(code, os.strerror(code))
    monkeypatch.setattr(fsops, "_fsync", refuse)
    fsops.sync_directory(str(tmp_path))
    monkeypatch.setattr(fsops, "_fsync", lambda handle: refuse(handle, errno.EIO))
    with pytest.raises(OSError):
        fsops.sync_directory(str(tmp_path))


def test_a_whole_file_system_can_be_synced(tmp_path):
    fsops.sync_file_system(str(tmp_path))
