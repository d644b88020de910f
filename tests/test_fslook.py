"""Asking the file system."""

import os

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
