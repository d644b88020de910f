"""How a request stands in a job's file: #JJ lines where they are comments, else a script that carries the file."""

import os
import shutil
import stat
import subprocess

import pytest

from jobjar import directives, jobfile
from jobjar.errors import UsageError

REQUEST = {"nice": 3, "tag": ["a"]}
LINES = b"#JJ --tag=a\n#JJ --nice=3\n"
SHELLS = [(name, path) for name in ("dash", "bash", "busybox", "mksh", "zsh") if (path := shutil.which(name))]


@pytest.mark.parametrize("before, after", [
    (b"#!/bin/sh -f\nls\n", b"#!/bin/sh -f\n@ls\n"), (b"ls\n", b"@ls\n"), (b"", b"@"), (b"#!/bin/sh", b"#!/bin/sh\n@"),
    (b"#!/bin/sh\n# about\n\nls", b"#!/bin/sh\n# about\n\n@ls"), (b"#!/bin/sh\r\nls\r\n", b"#!/bin/sh\r\n@ls\r\n"),
    # Python looks for its encoding in the first two lines.
    (b"#!/usr/bin/python3\n# -*- coding: latin-1 -*-\nprint('\xe4')\n",
     b"#!/usr/bin/python3\n# -*- coding: latin-1 -*-\n@print('\xe4')\n"),
    # What is hidden from tclsh has to stay behind the line that hides it.
    (b'#!/bin/sh\n# tcl \\\nexec tclsh "$0"\n', b'#!/bin/sh\n@# tcl \\\nexec tclsh "$0"\n'),
    (b"#!/bin/sh\n#JJ --nice=1\n# x\n#JJ --hold\nls\n#JJ no directive\n", b"#!/bin/sh\n@# x\nls\n#JJ no directive\n"),
    (b"#JJ --nice=1", b"@"), (b"#!/bin/sh\n#JJX\nls\n", b"#!/bin/sh\n#JJX\n@ls\n")])
def test_lines_are_put_behind_the_head_and_in_the_place_of_those_that_are_there(before, after):
    text = jobfile.written(before, REQUEST)
    assert text == after.replace(b"@", LINES) and directives.read(text) == REQUEST
    assert jobfile.written(text, REQUEST) == text


@pytest.mark.parametrize("first", [
    b"#!/bin/sh", b"#! /bin/bash -e", b"#!/usr/bin/env python3", b"#!/usr/bin/env -S python3.11 -u", b"#!/opt/perl5.36",
    b"#!/usr/bin/env -S A=1 ruby", b"#!/usr/bin/awk -f", b"#!/bin/busybox sh", b"echo", b"#!/usr/bin/env -i bash"])
def test_interpreters_whose_comments_begin_with_a_hash_take_lines(first):
    assert jobfile.takes_comments(first + b"\nx\n", False)


@pytest.mark.parametrize("data", [
    b"\x7fELF\2\1\1\0", b"#!/usr/bin/env node\n", b"#!/usr/bin/php\n", b"#!/usr/bin/lua\n", b"#!\n", b"#!/usr/bin/env\n",
    b"PK\3\4\0", b"#!/bin/sh\n" + b"x\n" * 9999 + b"\0", b"#!/usr/bin/env python3\nPK\3\4\0"])
def test_programs_archives_and_other_interpreters_are_carried(data):
    assert not jobfile.takes_comments(data, b"\0" in data)
    text = jobfile.written(data, REQUEST)
    assert text.endswith(b"\nexit 126\n" + data) and directives.read(text) == REQUEST


def run(tmp_path, text, *words, shell=None, umask=0o022, **env):
    """(exit status, stdout, stderr) of a job's file that is run as a worker runs it."""
    scratch = tmp_path / "scratch dir"
    scratch.mkdir(exist_ok=True)
    path = tmp_path / "a job's file"
    path.write_bytes(text)
    path.chmod(0o700)
    command = [*(shell or []), str(path), *words]
    ran = subprocess.run(command, cwd=scratch, capture_output=True, umask=umask,
                         env={"JJ_SCRATCH_DIR": str(scratch), **env})
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("name, path", SHELLS)
def test_a_carried_program_gets_the_same_arguments_and_environment_under_every_shell(tmp_path, name, path):
    with open("/usr/bin/env", "rb") as file:
        text = jobfile.written(file.read(), REQUEST, "env")
    shell = [path, "sh"] if name == "busybox" else [path]
    status, out, err = run(tmp_path, text, "X=a  b\n'c", shell=shell, A="1 2")
    found = dict(line.split(b"=", 1) for line in out.replace(b"b\n'c", b"b|'c").splitlines())
    # What bash cannot be kept from.
    for variable in (b"_", b"SHLVL") if name == "bash" else ():
        found.pop(variable, None)
    assert (status, err) == (0, b"")
    assert found == {b"X": b"a  b|'c", b"A": b"1 2", b"JJ_SCRATCH_DIR": os.fsencode(tmp_path / "scratch dir")}


def test_a_carried_file_takes_the_place_of_the_script_and_lies_out_of_sight_in_scratch(tmp_path):
    script = b"#!/usr/bin/env -S cat --\n\0\xff\nexit 126\nmore"
    status, out, _ = run(tmp_path, jobfile.written(script, {"nice": 1}, "it's"))
    assert (status, out) == (0, script)
    [found] = (tmp_path / "scratch dir" / ".carried").iterdir()
    assert found.name == "job" and stat.S_IMODE(found.stat().st_mode) == 0o700


def test_what_stands_behind_the_carried_file_and_lines_that_come_later_change_nothing(tmp_path):
    with open("/usr/bin/true", "rb") as file:
        data = file.read()
    text = jobfile.written(data, REQUEST, "true")
    longer = jobfile.written(text + b"# an entry\n", {**REQUEST, "comment": "later", "mem": 1024}, "other")
    assert directives.read(longer) == {**REQUEST, "comment": "later", "mem": 1024}
    assert longer.count(b"exit 126\n\x7fELF") == 1
    assert run(tmp_path, longer) == (0, b"", b"")
    assert (tmp_path / "scratch dir" / ".carried" / "true").read_bytes() == data


def test_the_exit_status_and_the_signal_are_the_carried_programs_own(tmp_path):
    with open(os.path.realpath("/bin/sh"), "rb") as file:
        text = jobfile.written(file.read(), REQUEST, "-n")
    assert run(tmp_path, text, "-c", "exit 7")[0] == 7
    assert run(tmp_path, text, "-c", "kill -9 $$")[0] == -9
    for umask in (0o022, 0o777):
        shutil.rmtree(tmp_path / "scratch dir")
        assert run(tmp_path, text, "-c", "umask", umask=umask) == (0, b"%04o\n" % umask, b"")
        # Root may enter what nobody may.
        assert stat.S_IMODE(os.stat(tmp_path / "scratch dir" / ".carried").st_mode) == 0o700


def test_a_carried_file_that_is_cut_short_is_not_run(tmp_path):
    text = jobfile.written(b"#!/usr/bin/env node\n" + b"x" * 100, REQUEST)
    status, _, err = run(tmp_path, text[:-1])
    assert status == 126 and b"could not be copied" in err


def test_a_carrier_that_is_run_by_hand_says_what_it_is(tmp_path):
    path = tmp_path / "job"
    path.write_bytes(jobfile.written(b"\x7fELF\0", REQUEST))
    ran = subprocess.run(["/bin/sh", str(path)], capture_output=True, env={}, cwd=tmp_path)
    assert ran.returncode and b"this is a job" in ran.stderr and os.listdir(tmp_path) == ["job"]


def test_a_request_that_no_worker_would_read_to_its_end_is_refused():
    # Each line is 100,012 bytes long.
    variables = [f"A={number:02}" + "x" * 99_997 for number in range(11)]
    with pytest.raises(UsageError, match="longer than 1048576 bytes: export fewer"):
        jobfile.written(b"ls\n", {"env": variables})
    assert directives.read(jobfile.written(b"ls\n", {"env": variables[:10]}))["env"] == variables[:10]
    with pytest.raises(UsageError, match="longer than 1048576 bytes"):
        jobfile.written(b"#" * 50_000 + b"\nls\n", {"env": variables[:10]})
