"""Files that are submitted in pieces, for they are too long to be held in memory."""

import os
import sys

import pytest
from support import jars, processes, programs, workers

from jobjar import jobfile, preparation, submission
from jobjar.errors import JobJarError
from jobjar.largefile import LargeFile

SCRIPT = b"#!/bin/sh\n#JJ --comment=before\necho large\nexit 0\n"
MEMORY = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); " \
         "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024); sys.exit(code)"


@pytest.fixture
def small(monkeypatch):
    """Files of a few bytes are large ones."""
    monkeypatch.setattr(submission, "LARGE", 10)


def large(tmp_path, data):
    path = tmp_path / "large"
    path.write_bytes(data)
    path.chmod(0o755)
    return str(path)


def submitted(jar, data, given):
    place = submission.submit(jar, preparation.prepare(jar, data, given, "rain", "large"))
    with open(jar.path(place), "rb") as file:
        return file.read()


@pytest.mark.parametrize("given", [{}, {"comment": "after"}, {"priority": 3}])
@pytest.mark.parametrize("rest", [b"", b"x" * 3_000_000, b"\0" * 3_000_000, b"y" * 2_000_000 + b"\0"])
def test_in_pieces_it_becomes_the_same_as_in_one(jar, small, tmp_path, monkeypatch, given, rest):
    monkeypatch.chdir(tmp_path)
    for begin in (SCRIPT, b"#!/usr/bin/node\n", b"\x7fELF" + SCRIPT, SCRIPT.replace(b"\n#JJ", b"\n" + b"# text\n" * 200 + b"#JJ")):
        data = begin + rest
        found = submission.content(large(tmp_path, data))
        assert isinstance(found, LargeFile) and submission.may_ask(found) == submission.may_ask(data)
        assert submitted(jar, found, given) == submitted(jar, data, given)
        assert bytes(found) == data


def test_a_file_that_was_changed_meanwhile_is_not_submitted(jar, small, tmp_path):
    path = large(tmp_path, SCRIPT)
    found = submission.content(path)
    with open(path, "ab") as file:
        file.write(b"more")
    with pytest.raises(JobJarError, match="was changed while it was read"):
        submission.submit(jar, submission.Request(found))
    assert os.listdir(jar.limbo) == os.listdir(jar.unclaimed) == []


def test_an_array_of_one_has_all_of_it_too(jar, small, tmp_path):
    path = large(tmp_path, b"#!/bin/sh\necho $JJ_ARRAY_TASK_ID\nexit 0\n" + bytes(3_000_000))
    assert programs.run("submit_job", "--home", jar.home, "--array=1-2", "-f", path)[0] == 0
    workers.drain(jar)
    assert sorted(jars.read(os.path.join(jar.logs, name)) for name in os.listdir(jar.logs)) == ["1\n", "2\n"]


@pytest.mark.parametrize("words", [[], ["--comment=x"]])
def test_the_memory_of_a_submission_has_a_bound(jar, tmp_path, words):
    path = large(tmp_path, SCRIPT.replace(b"#JJ", b"#") + bytes(64_000_000))
    status, out, err = processes.finish(processes.spawn(
        sys.executable, "-S", "-c", MEMORY, sys.executable, os.path.join(programs.BIN, "submit_job"), "--home", jar.home,
        *words, "-f", path))
    id, peak = out.split()
    assert (status, err) == (0, "") and int(peak) < 40
    workers.drain(jar)
    assert os.listdir(jar.failed) == [] and jars.read(jar.log(id + ".0")) == "large\n"


def test_what_a_file_begins_with_and_where_it_goes_on_are_told_from_its_head_alone():
    data = SCRIPT + b"x" * 100
    text, at = jobfile.begun(data[:60], len(data), False, {"nice": 1}, "job")
    assert text + data[at:] == jobfile.written(data, {"nice": 1})
