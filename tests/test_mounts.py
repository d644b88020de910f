"""The kernel's table of mounts."""

import os

import pytest

from jobjar import mounts

NFS = ("98 31 0:52 / /net/with\\040blank\\134and rw,nosuid,relatime shared:7 master:3 - nfs4 srv:/export"
       " rw,vers=4.2,hard,acdirmax=5,lookupcache=positive,local_lock=none\n")


def test_a_line_of_the_table_says_place_kind_source_and_all_options():
    number, mount = mounts.parse(NFS)
    assert (number, mount.point, mount.kind, mount.source) == (98, "/net/with blank\\and", "nfs4", "srv:/export")
    assert mount.options == {"rw": "", "vers": "4.2", "hard": "", "acdirmax": "5", "lookupcache": "positive",
                             "local_lock": "none", "nosuid": "", "relatime": ""}


def test_a_line_without_optional_fields_is_read_too():
    assert mounts.parse("22 27 0:21 / /proc ro - proc proc rw")[1].point == "/proc"


def test_the_numbers_of_the_mounts_of_a_kind_are_those_of_the_kernel(monkeypatch, tmp_path):
    table = tmp_path / "table"
    table.write_text(NFS + "22 27 0:21 / /proc ro - proc proc rw\n99 31 0:53 / /b rw - nfs4 srv:/b rw\n")
    monkeypatch.setattr(mounts, "TABLE", str(table))
    assert mounts.numbers(lambda kind: kind == "nfs4") == {98, 99}


@pytest.mark.parametrize("own, shared", [("ro", "rw"), ("rw", "ro"), ("ro", "ro")])
def test_what_is_read_only_anywhere_is_read_only(own, shared):
    options = mounts.parse(f"1 2 0:3 / /a {own} - ext4 /dev/a {shared}")[1].options
    assert "ro" in options and "rw" not in options


def test_the_mount_of_a_directory_is_found_through_links(tmp_path):
    os.symlink("/proc/self", tmp_path / "link")
    assert mounts.of(str(tmp_path / "link")).kind == "proc"
    assert mounts.place(str(tmp_path)) != mounts.place("/proc") and mounts.place(str(tmp_path / "gone")) is None


def test_a_kernel_that_does_not_tell_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(mounts, "TABLE", str(tmp_path / "none"))
    assert mounts.of(str(tmp_path)) is None
