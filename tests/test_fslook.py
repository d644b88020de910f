"""Asking the file system."""

import errno
import os
import types

import pytest
from support import jars

from jobjar import fslook


def test_names_are_everything_in_a_directory(tmp_path):
    jars.write(str(tmp_path / ".hidden"), "")
    os.symlink("nowhere", tmp_path / "link")
    assert sorted(fslook.names(str(tmp_path))) == [".hidden", "link"]


def test_a_dangling_link_is_there(tmp_path):
    os.symlink("nowhere", tmp_path / "link")
    assert fslook.is_there(str(tmp_path), "link")
    assert not fslook.is_there(str(tmp_path), "other")
    assert not fslook.is_there(str(tmp_path / "gone"), "link")


def test_status_describes_a_link_itself(tmp_path):
    jars.write(str(tmp_path / "file"), "12345")
    os.symlink("file", tmp_path / "link")
    assert fslook.status(str(tmp_path), "file").st_size == 5
    assert os.path.stat.S_ISLNK(fslook.status(str(tmp_path), "link").st_mode)
    assert fslook.status(str(tmp_path), "other") is None


def test_a_listed_file_is_no_link(tmp_path):
    jars.write(str(tmp_path / "file"), "")
    os.symlink("file", tmp_path / "link")
    assert fslook.is_file_listed(str(tmp_path), "file")
    assert not fslook.is_file_listed(str(tmp_path), "link")
    assert not fslook.is_file_listed(str(tmp_path), "other")


def test_links_are_shown_with_what_they_say(tmp_path):
    jars.write(str(tmp_path / "file"), "")
    os.symlink("there", tmp_path / "link")
    assert fslook.links(str(tmp_path)) == [("link", "there")]


@pytest.mark.parametrize("name", ["file", "gone"])
def test_what_is_no_link_says_nothing(tmp_path, name):
    jars.write(str(tmp_path / "file"), "")
    assert fslook.link_text(str(tmp_path / name)) is None


def test_a_stamp_moves_with_the_directory_and_is_minus_one_without_it(tmp_path):
    before = fslook.stamp(str(tmp_path))
    os.utime(tmp_path, ns=(before + 5, before + 5))
    assert fslook.stamp(str(tmp_path)) == before + 5
    assert fslook.stamp(str(tmp_path / "gone")) == -1


def test_forgetting_a_listing_changes_nothing(tmp_path):
    before = fslook.stamp(str(tmp_path))
    fslook.forget_listing(str(tmp_path))
    assert fslook.stamp(str(tmp_path)) == before


def pretend(monkeypatch, **said):
    """Let the file system say so of itself."""
    found = types.SimpleNamespace(**{"f_frsize": 4096, "f_blocks": 9, "f_bavail": 5, "f_files": 8, "f_favail": 6, **said})
    monkeypatch.setattr(os, "statvfs", lambda path: found)


def test_room_is_what_others_than_root_may_take_in_bytes_and_inodes(monkeypatch):
    pretend(monkeypatch, f_bfree=7, f_bsize=65536, f_ffree=7)
    assert fslook.room("/jar") == (5 * 4096, 6)


def test_what_a_file_system_does_not_count_is_never_short(monkeypatch):
    pretend(monkeypatch, f_files=0, f_favail=0)
    assert fslook.room("/jar") == (5 * 4096, None) and fslook.shortage("/jar", (1, 1000)) is None
    pretend(monkeypatch, f_files=0, f_favail=0, f_blocks=0, f_bavail=0)
    assert fslook.room("/jar") == (None, None) and fslook.shortage("/jar", (1, 1000)) is None


def test_a_file_system_that_cannot_be_asked_counts_nothing_and_one_that_fails_says_so(monkeypatch):
    def fail(code):
        def statvfs(path):
            raise OSError(code, os.strerror(code), path)
        monkeypatch.setattr(os, "statvfs", statvfs)
    fail(errno.ENOSYS)
    assert fslook.shortage("/jar", (1, 1)) is None
    fail(errno.EIO)
    with pytest.raises(OSError):
        fslook.shortage("/jar", (1, 1))


@pytest.mark.parametrize("least, sentence", [
    ((20480, 6), None), ((0, 0), None),
    ((20481, 6), "20.0K free on /jar, JJ_MIN_FREE is 20481: make room"),
    ((2**20, 7), "20.0K free on /jar, JJ_MIN_FREE is 1M: make room"),
    ((20480, 7), "6 inodes free on /jar, JJ_MIN_FREE is 7 of them: remove files there")])
def test_a_shortage_is_a_sentence_with_both_numbers(monkeypatch, least, sentence):
    pretend(monkeypatch)
    assert fslook.shortage("/jar", least) == sentence
