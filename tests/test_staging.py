"""Files that travel with a job, and those that come back."""

import os

import pytest
from support import jars

from jobjar import fetching, harvest, node, staging, store
from jobjar.errors import JobJarError, UsageError

ME = node.myself("rain")


@pytest.fixture
def here(tmp_path):
    """The directory of a submission."""
    path = tmp_path / "here"
    (path / "sub").mkdir(parents=True)
    (path / "a.txt").write_text("alpha")
    (path / "sub" / "tool").write_text("#!/bin/sh\n")
    (path / "sub" / "tool").chmod(0o755)
    (path / "link").symlink_to("a.txt")
    (path / "linked").symlink_to("sub")
    return path


def travel(jar, request, here, scratch):
    request = staging.prepare(jar, request, str(here))
    staging.lay_out(jar, request, str(scratch))
    return request


def test_a_snapshot_is_the_directory_as_it_was(jar, here, scratch):
    request = staging.prepare(jar, {"snapshot": "."}, str(here))
    (here / "a.txt").write_text("changed since")
    staging.lay_out(jar, request, str(scratch))
    assert jars.read(str(scratch / "a.txt")) == "alpha"
    assert os.stat(scratch / "sub" / "tool").st_mode & 0o777 == 0o755
    assert os.readlink(scratch / "link") == "a.txt" and os.readlink(scratch / "linked") == "sub"


def test_inputs_keep_their_place_below_and_others_their_last_name(jar, here, scratch, tmp_path):
    (tmp_path / "far").write_text("far away")
    travel(jar, {"stage_in": ["sub/tool", str(tmp_path / "far")]}, here, scratch)
    assert sorted(os.listdir(scratch)) == ["far", "sub"]
    assert os.listdir(scratch / "sub") == ["tool"]


def test_a_job_may_change_its_files_and_the_next_one_gets_them_unchanged(jar, here, scratch, tmp_path):
    request = travel(jar, {"snapshot": "."}, here, scratch)
    (scratch / "a.txt").write_text("worked upon")
    other = tmp_path / "other"
    other.mkdir()
    staging.lay_out(jar, request, str(other))
    assert jars.read(str(other / "a.txt")) == "alpha"


def test_what_is_there_already_is_not_kept_twice(jar, here, scratch):
    first = staging.prepare(jar, {"snapshot": "."}, str(here))
    kept = jars.tree(jar)
    assert staging.prepare(jar, {"snapshot": "."}, str(here)) == first
    assert jars.tree(jar) == kept


def test_two_files_of_one_name_are_refused(jar, here, tmp_path):
    (tmp_path / "a.txt").write_text("another")
    with pytest.raises(UsageError, match="two files would be a.txt"):
        staging.prepare(jar, {"stage_in": ["a.txt", str(tmp_path / "a.txt")]}, str(here))


@pytest.mark.parametrize("request_, word", [
    ({"stage_in": ["nowhere"]}, "not a regular file"), ({"stage_in": ["sub"]}, "not a regular file"),
    ({"snapshot": "a.txt"}, "not a directory")])
def test_what_cannot_travel_is_refused(jar, here, request_, word):
    with pytest.raises(UsageError, match=word):
        staging.prepare(jar, request_, str(here))


def test_a_fifo_in_a_snapshot_is_refused(jar, here):
    os.mkfifo(here / "pipe")
    with pytest.raises(UsageError, match="pipe is no regular file"):
        staging.prepare(jar, {"snapshot": "."}, str(here))


def test_a_content_that_was_removed_or_changed_is_noticed(jar, here, scratch):
    request = staging.prepare(jar, {"stage_in": ["a.txt"]}, str(here))
    path = store.path_of(jar, store.digest_of(str(here / "a.txt")))
    with open(path, "w") as file:
        file.write("forged")
    with pytest.raises(JobJarError, match="not what was put there"):
        staging.lay_out(jar, request, str(scratch))
    os.unlink(path)
    os.unlink(scratch / "a.txt")
    with pytest.raises(JobJarError, match="somebody has removed"):
        staging.lay_out(jar, request, str(scratch))


def test_a_list_that_leads_out_of_the_directory_is_not_followed(jar, here, scratch):
    import json
    digest = jars.keep(jar, json.dumps([["../out", None, 0, "x"]]).encode())
    with pytest.raises(JobJarError, match="outside of the job's directory"):
        staging.lay_out(jar, {"staged": digest}, str(scratch))
    assert not os.path.lexists(scratch.parent / "out")


def test_outputs_are_carried_out_by_name_pattern_and_directory(jar, scratch):
    (scratch / "deep" / "er").mkdir(parents=True)
    for name in ("one.png", "two.png", "plain", "deep/er/x", "deep/y"):
        (scratch / name).write_text(name)
    name, missing = harvest.carry_out(jar, ME, {"stage_out": ["*.png", "deep", "absent"]}, str(scratch), "job")[:2]
    assert (name, missing) == ("job", ["absent"])
    found = {os.path.relpath(os.path.join(path, name), os.path.join(jar.staged, "job"))
             for path, _, names in os.walk(os.path.join(jar.staged, "job")) for name in names}
    assert found == {"one.png", "two.png", "deep/er/x", "deep/y"}
    assert os.listdir(jar.staged) == ["job"]


def test_a_second_run_does_not_overwrite_what_the_first_has_made(jar, scratch):
    for text in ("first", "second"):
        (scratch / "out").write_text(text)
        harvest.carry_out(jar, ME, {"stage_out": ["out"]}, str(scratch), "job")
        os.unlink(scratch / "out")
    assert jars.read(os.path.join(jar.staged, "job", "out")) == "first"
    assert jars.read(os.path.join(jar.staged, "job~2", "out")) == "second"


def test_a_job_that_made_nothing_leaves_nothing(jar, scratch):
    assert harvest.carry_out(jar, ME, {"stage_out": ["out"]}, str(scratch), "job") == (None, ["out"], [])
    assert not os.path.exists(jar.staged)


def carried(jar, scratch, **files):
    for name, text in files.items():
        (scratch / name).write_text(text)
    return harvest.carry_out(jar, ME, {"stage_out": list(files)}, str(scratch), "job")[0]


def test_what_is_fetched_overwrites_only_what_the_job_had_got(jar, here, scratch):
    request = travel(jar, {"stage_in": ["a.txt"]}, here, scratch)
    staged = carried(jar, scratch, **{"a.txt": "worked upon", "mine": "made"})
    (here / "mine").write_text("a file of somebody's")
    written = fetching.bring(jar, staged, str(here), staging.given(jar, request))
    assert written == ["a.txt", "mine.job"]
    assert jars.read(str(here / "a.txt")) == "worked upon"
    assert jars.read(str(here / "mine")) == "a file of somebody's" and jars.read(str(here / "mine.job")) == "made"
    assert fetching.bring(jar, staged, str(here), staging.given(jar, request)) == []


def test_an_input_that_was_changed_meanwhile_is_not_overwritten(jar, here, scratch):
    request = travel(jar, {"stage_in": ["a.txt"]}, here, scratch)
    staged = carried(jar, scratch, **{"a.txt": "worked upon"})
    (here / "a.txt").write_text("edited by a person")
    assert fetching.bring(jar, staged, str(here), staging.given(jar, request)) == ["a.txt.job"]
    assert jars.read(str(here / "a.txt")) == "edited by a person"


def meddling(monkeypatch, act):
    """Let `act` happen while what is fetched is copied."""
    carry = harvest.carry

    def carry_and_meddle(source, target, *more):
        carry(source, target, *more)
        act()
    monkeypatch.setattr(harvest, "carry", carry_and_meddle)


@pytest.mark.parametrize("is_saved_aside", [False, True])
def test_an_input_that_its_owner_saves_while_the_new_one_is_copied_is_not_overwritten(jar, here, scratch, monkeypatch,
                                                                                      is_saved_aside):
    request = travel(jar, {"stage_in": ["a.txt"]}, here, scratch)
    staged = carried(jar, scratch, **{"a.txt": "worked upon"})

    def save():
        (here / "draft").write_text("an hour of work")
        if is_saved_aside:
            os.rename(here / "draft", here / "a.txt")
        else:
            (here / "a.txt").write_text("an hour of work")
            os.unlink(here / "draft")
        monkeypatch.undo()
    meddling(monkeypatch, save)
    assert fetching.bring(jar, staged, str(here), staging.given(jar, request)) == ["a.txt.job"]
    assert jars.read(str(here / "a.txt")) == "an hour of work" and jars.read(str(here / "a.txt.job")) == "worked upon"
    assert not [name for name in os.listdir(here) if name.startswith(".")]


def test_an_input_that_has_become_a_link_is_not_overwritten(jar, here, scratch):
    request = travel(jar, {"stage_in": ["a.txt"]}, here, scratch)
    staged = carried(jar, scratch, **{"a.txt": "worked upon"})
    os.rename(here / "a.txt", here / "elsewhere")
    (here / "a.txt").symlink_to("elsewhere")
    assert fetching.bring(jar, staged, str(here), staging.given(jar, request)) == ["a.txt.job"]
    assert os.readlink(here / "a.txt") == "elsewhere" and jars.read(str(here / "elsewhere")) == "alpha"


def test_a_file_that_comes_while_the_new_one_is_copied_is_not_overwritten(jar, here, scratch, monkeypatch):
    staged = carried(jar, scratch, out="made")
    meddling(monkeypatch, lambda: (here / "out").write_text("his"))
    assert fetching.bring(jar, staged, str(here), {}) == ["out.job"]
    assert jars.read(str(here / "out")) == "his" and jars.read(str(here / "out.job")) == "made"


def test_links_come_back_as_links_and_replace_nothing(jar, here, scratch):
    (scratch / "out").mkdir()
    (scratch / "out" / "latest").symlink_to("gone")
    (scratch / "out" / "x").write_text("x")
    staged = harvest.carry_out(jar, ME, {"stage_out": ["out"]}, str(scratch), "job").staged
    (here / "out").mkdir()
    (here / "out" / "latest").write_text("his")
    assert fetching.bring(jar, staged, str(here), {}) == ["out/latest.job", "out/x"]
    assert jars.read(str(here / "out" / "latest")) == "his" and os.readlink(here / "out" / "latest.job") == "gone"
    assert fetching.bring(jar, staged, str(here), {}) == []


def test_results_are_brought_to_a_file_system_without_links(jar, here, scratch, monkeypatch):
    def refuse(*names):
        raise PermissionError(1, "Operation not permitted", *names)
    staged = carried(jar, scratch, out="made")
    monkeypatch.setattr(fetching.fsops, "second_name", refuse)
    assert fetching.bring(jar, staged, str(here), {}) == ["out"] and jars.read(str(here / "out")) == "made"


def closed(scandir, name):
    def refusing(path="."):
        if os.path.basename(str(path)) == name:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)
    return refusing


def test_a_result_that_cannot_be_listed_is_told(jar, here, scratch, monkeypatch):
    (scratch / "out").mkdir()
    staged = carried(jar, scratch, **{"out/x": "x"})
    monkeypatch.setattr(os, "scandir", closed(os.scandir, "out"))
    with pytest.raises(UsageError, match=r"out cannot be listed \(Permission denied\)"):
        fetching.bring(jar, staged, str(here), {})


def test_fetching_to_a_place_that_is_not_there_says_so(jar, here, scratch):
    staged = carried(jar, scratch, out="x")
    with pytest.raises(UsageError, match="nowhere is not there"):
        fetching.bring(jar, staged, str(here / "nowhere"), {})


def test_what_nobody_needs_is_swept_after_a_day_and_not_before(jar, here):
    request = staging.prepare(jar, {"stage_in": ["a.txt"]}, str(here))
    other = jars.keep(jar, b"nobody needs me")
    now = os.stat(store.path_of(jar, other)).st_mtime
    wanted = staging.wanted(jar, request["staged"])
    assert store.sweep(jar, wanted, now + store.KEPT - 60) == []
    assert store.sweep(jar, wanted, now + store.KEPT + 60) == [other]
    assert all(os.path.exists(store.path_of(jar, digest)) for digest in wanted)


def test_a_content_that_is_wanted_again_is_not_swept(jar, here):
    digest = jars.keep(jar, b"wanted twice")
    path = store.path_of(jar, digest)
    os.utime(path, (0, 0))
    assert jars.keep(jar, b"wanted twice") == digest
    assert store.sweep(jar, [], os.stat(path).st_mtime + 60) == []


def test_a_file_that_changes_while_it_is_kept_is_refused(jar, here, monkeypatch):
    copy = store._copy

    def changing(path, *arguments):
        (here / "a.txt").write_text("other")
        return copy(path, *arguments)
    monkeypatch.setattr(store, "_copy", changing)
    with pytest.raises(JobJarError, match="was changed while it was read"):
        staging.prepare(jar, {"stage_in": ["a.txt"]}, str(here))
    assert not [name for name in jars.tree(jar) if name.startswith("store/") and name.count("/") == 2]
