"""Whose fault it is that a job could not be started."""

import errno
import os
import types

import pytest
from support import jars

from jobjar import blame
from jobjar.errors import Fenced

SCRIPT, PROGRAM = b"#!/bin/sh\n", b"\x7fELF but no more"


def judge(tmp_path, code, data=SCRIPT):
    (tmp_path / "job").write_bytes(data)
    return blame.of_start(OSError(code, os.strerror(code)), str(tmp_path / "job"))


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE,
                                  errno.EROFS, errno.ETIMEDOUT, errno.ENOTCONN])
def test_no_job_is_to_blame_for_a_sick_node(tmp_path, code):
    assert judge(tmp_path, code) == (blame.FAULT, f"this node could not start it: {os.strerror(code)}")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_thing_of_its_own(tmp_path, code):
    assert judge(tmp_path, code)[0] == blame.FULL


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENOEXEC, errno.EACCES, errno.E2BIG, errno.ELOOP])
def test_everything_else_is_the_job_s_own(tmp_path, code):
    assert judge(tmp_path, code)[0] == blame.REFUSED


def test_a_file_that_is_still_being_written_is_busy(tmp_path):
    assert judge(tmp_path, errno.ETXTBSY)[0] == blame.BUSY


def test_an_input_error_is_the_job_s_own_only_where_a_program_is_cut_off(tmp_path):
    assert judge(tmp_path, errno.EIO, PROGRAM)[0] == blame.REFUSED
    assert judge(tmp_path, errno.EIO, SCRIPT)[0] == blame.FAULT
    with open("/bin/true", "rb") as file:
        whole = file.read()
    # A server that was in trouble for a moment lets the program be read soon afterwards.
    assert judge(tmp_path, errno.EIO, whole)[0] == blame.FAULT
    for length in (len(whole) // 4, 100, 40):
        assert judge(tmp_path, errno.EIO, whole[:length])[0] == blame.REFUSED


def test_a_mount_without_the_right_to_execute_is_the_node_s(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: types.SimpleNamespace(f_flag=os.ST_NOEXEC))
    assert judge(tmp_path, errno.EACCES) == (
        blame.FAULT, f"the jar's file system is mounted noexec on this node: {tmp_path}")
    assert judge(tmp_path, errno.ENOENT)[0] == blame.REFUSED


def test_a_job_that_is_gone_is_refused_and_a_worker_whose_claims_are_gone_is_fenced(tmp_path):
    error = OSError(errno.ENOMEM, "Cannot allocate memory")
    jars.write(tmp_path / "other", "")
    assert blame.of_start(error, str(tmp_path / "job"))[0] == blame.REFUSED
    with pytest.raises(Fenced):
        blame.of_start(error, str(tmp_path / "claims" / "job"))
