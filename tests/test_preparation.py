"""From what is asked for to a job's file and its place: what depends on directory, time and environment is settled."""

import os
import time

import pytest
from support import jars, workers

import jobjar
from jobjar import directives, jobfile, preparation, settling, states, submission
from jobjar.errors import UsageError

SCRIPT = b"#!/bin/sh\necho\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The directory from which is submitted."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return str(place)


def prepared(jar, data=SCRIPT, **options):
    return preparation.prepare(jar, data, directives.keywords(options), "rain", "my script")


def asked(request):
    """What a worker will be asked, and is asked without refusing."""
    found = settling.claimed(request.data)
    return {key: value for key, value in found.items() if key not in ("submit_dir", "submit_host")}


def test_where_it_was_submitted_stands_in_every_job_with_options(jar, here):
    assert directives.read(prepared(jar, nice=3).data) == {"nice": 3, "submit_dir": here, "submit_host": "rain"}


@pytest.mark.parametrize("options", [{}, {"priority": 5, "category": "C", "id": "x"}, {"hold": True}])
def test_a_job_that_asks_for_a_place_alone_keeps_its_bytes(jar, options):
    request = prepared(jar, **options)
    assert request.data == SCRIPT
    assert (request.priority, request.category, request.id) == (options.get("priority", 0), options.get("category"),
                                                                options.get("id"))


def test_the_file_is_obeyed_and_what_is_given_beside_it_counts_for_more(jar, here):
    data = b"#!/bin/sh\n#JJ -p 5 -c C --nice=3 --tag=a --time=1h\necho\n"
    request = prepared(jar, data, nice=4, tag="b", priority=6)
    assert (request.priority, request.category) == (6, "C")
    assert asked(request) == {"nice": 4, "tag": ["a", "b"], "time": 3600}
    assert request.data.startswith(b"#!/bin/sh\n#JJ --tag=a\n") and request.data.endswith(b"=rain\necho\n")


def test_a_place_that_the_file_alone_asks_for_leaves_its_bytes(jar):
    data = b"#!/bin/sh\n#JJ --priority=5\necho\n"
    request = prepared(jar, data)
    assert (request.priority, request.data) == (5, data)


def test_a_wrong_line_in_the_file_is_named_with_the_file(jar):
    with pytest.raises(UsageError, match="^my script, line 2: --mem: "):
        prepared(jar, b"#!/bin/sh\n#JJ --mem=3\n")


def test_relative_paths_become_absolute(jar, here):
    assert asked(prepared(jar, chdir=".", output="o", error="../e")) == {
        "chdir": here, "output": f"{here}/o", "error": f"{here}/../e"}
    assert asked(prepared(jar, chdir="a/./b", output="o.%j", error="/e")) == {
        "chdir": f"{here}/a/b", "output": f"{here}/a/b/o.%j", "error": "/e"}
    assert asked(prepared(jar, output="o")) == {"output": f"{here}/o"}


def test_a_relative_time_becomes_absolute(jar, here):
    before = time.time()
    request = prepared(jar, begin="now+2h")
    assert before + 7200 <= asked(request)["begin"] <= time.time() + 7201
    assert b"#JJ --begin=20" in request.data


@pytest.mark.parametrize("options, state", [
    ({"hold": True}, states.HELD), ({"begin": "now+1h"}, states.WAITING), ({"begin": "2020-01-01"}, states.UNCLAIMED),
    ({"begin": "now"}, states.UNCLAIMED), ({"hold": True, "begin": "now+1h"}, states.HELD), ({}, states.UNCLAIMED)])
def test_a_job_that_is_to_wait_goes_where_it_waits_and_is_as_durable(jar, here, options, state, monkeypatch):
    synced = []
    monkeypatch.setattr(submission.fsops, "sync_directory", synced.append)
    place = submission.submit(jar, prepared(jar, category="C", **options))
    assert place.state == state and os.path.isfile(f"{jar.home}/{state}/C/{place.name}")
    assert synced == [f"{jar.home}/{state}/C", f"{jar.home}/{state}", jar.limbo]


def test_the_environment_is_taken_along_as_it_is_now(jar, here, monkeypatch):
    monkeypatch.setenv("COLOUR", "red and 'blue'\n\udcff")
    monkeypatch.setenv("JJ_WORKER", "mine")
    request = prepared(jar, export="COLOUR,N=1")
    assert asked(request) == {"env": ["COLOUR=red and 'blue'\n\udcff", "N=1"]}
    request.data.decode("utf-8")
    assert "COLOUR=red and 'blue'\n\udcff" in asked(prepared(jar, export="ALL"))["env"]
    assert not any(one.startswith("JJ_") for one in asked(prepared(jar, export="ALL"))["env"])


def test_what_a_job_brought_along_is_kept_when_its_file_is_submitted_again(jar, here, tmp_path, monkeypatch):
    first = prepared(jar, export="A=1", chdir=".", comment="x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = prepared(jar, first.data)
    assert asked(again) == {"env": ["A=1"], "chdir": here, "comment": "x"}
    assert settling.claimed(again.data)["submit_dir"] == str(elsewhere)
    assert again.data.count(b"submit-dir") == 1
    assert asked(prepared(jar, first.data, export="B=2"))["env"] == ["B=2"]


@pytest.mark.parametrize("options", [
    {"retry_delay": "1m"}, {"from_json": "a", "each_line": "x"}, {"signal": "USR1"}, {"export": "NO_SUCH_VARIABLE"},
    {"export": "A=" + "x" * 2**20}, {"snapshot": "no/such"}, {"stage_in": "no/such"}])
def test_what_cannot_be_is_refused_with_nothing_left(jar, here, options):
    before = jars.tree(jar)
    with pytest.raises(UsageError):
        prepared(jar, **options)
    assert jars.tree(jar) == before


def test_a_directory_that_is_gone_is_said_to_be_gone(jar, here):
    os.rmdir(here)
    with pytest.raises(UsageError, match="directory has been removed"):
        prepared(jar, nice=1)


def test_a_snapshot_is_in_the_jar_before_the_job_is(jar, here):
    jars.write(here + "/data", "frozen")
    request = prepared(jar, snapshot=".")
    assert len(settling.claimed(request.data)["staged"]) == 64


# The library.

@pytest.fixture
def library(jar, monkeypatch):
    monkeypatch.setattr(jobjar, "_given", {"JJ_HOME": jar.home, "JJ_NODE": "rain"})
    return jobjar


def test_the_library_takes_the_options_as_keywords(library, jar, here):
    job = library.submit_job("echo hi", 3, time="1h", tag=["a", "b"], mem=2**30, chdir=".")
    assert jars.read(job.path) == (
        "#!/bin/sh -f\n#JJ --tag=a\n#JJ --tag=b\n#JJ --time=1h\n#JJ --mem=1G\n"
        f"#JJ --chdir={here}\n#JJ --submit-dir={here}\n#JJ --submit-host=rain\necho hi\n")
    assert job.name.endswith(".3")


def test_a_priority_that_nobody_gives_leaves_what_the_file_says(library, here):
    path = jars.write(here + "/script", "#!/bin/sh\n#JJ -p 7\necho\n")
    names = [library.submit_job_file(path).name, library.submit_job_file(path, 8).name]
    assert [name.rpartition(".")[2] for name in names] == ["7", "8"]


def test_many_jobs_may_each_have_options_of_their_own(library, jar, here):
    path = jars.write(here + "/script", "#!/bin/sh\n#JJ -p 7 --nice=1\necho\n")
    jobs = library.submit_jobs(["a", {"command": "b", "nice": 5}, {"file": path}, {"file": path, "priority": 8},
                                {"command": "c", "hold": True}])
    found = [directives.read(jars.read(job.path).encode()).get("nice") for job in jobs]
    assert found == [None, 5, 1, 1, None]
    assert [job.name.rpartition(".")[2] for job in jobs] == ["0", "0", "7", "8", "0"]
    assert jars.read(jobs[0].path) == "#!/bin/sh -f\na\n" and os.path.dirname(jobs[4].path) == f"{jar.home}/held"


@pytest.mark.parametrize("options", [{"mem": "3"}, {"nothing": 1}, {"retry_delay": 5}, {"hold": "no"}])
def test_when_the_options_of_one_are_wrong_none_is_submitted(library, jar, options):
    before = jars.tree(jar)
    with pytest.raises(jobjar.UsageError):
        library.submit_jobs(["good", {"command": "bad", **options}])
    assert jars.tree(jar) == before


# Real jobs.

def job(jar, data, **options):
    return submission.submit(jar, preparation.prepare(jar, data, directives.keywords(options), "rain", "my prog"))


def printed(jar, place):
    assert jars.tree(jar).get(f"completed/{place.name}") is not None
    return jars.read(jar.log(place.name))


def test_programs_and_scripts_with_options_run_as_they_would_without(jar, here):
    with open("/usr/bin/env", "rb") as file:
        program = file.read()
    plain = submission.submit(jar, submission.Request(program))
    carried = job(jar, program, comment="x")
    python = job(jar, b"#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\n#JJ --nice=2\n"
                      b"print('\xe4' == chr(228))\n")
    big = job(jar, program + os.urandom(5_000_000), nice=1)
    workers.drain(jar)

    def environment(place):
        lines = printed(jar, place).splitlines()
        return sorted(line.replace(place.name, "NAME").replace(jobname_of(place), "ID") for line in lines
                      if not line.startswith(("JJ_ATTEMPT_ID=", "JJ_SUBMIT_")))

    assert environment(carried) == environment(plain) and len(environment(plain)) > 10
    assert printed(jar, python) == "True\n"
    assert "JJ_JOB_ID=" in printed(jar, big)
    assert not [name for worker in os.listdir(jar.workers) if worker.count(".") == 1
                for name in os.listdir(jar.worker(worker)) if name.startswith("scratch")]


def test_a_carried_program_runs_in_another_directory_and_by_another_program(jar, here):
    with open("/usr/bin/printenv", "rb") as file:
        program = file.read()
    elsewhere = job(jar, program, chdir=".", output="%x.out", id="word")
    wrapped = job(jar, program, wrap_with="env COLOUR=red", comment="x")
    workers.drain(jar)
    assert f"JJ_JOB_ID={jobname_of(elsewhere)}" in jars.read(here + "/word.out") and os.listdir(here) == ["word.out"]
    assert "COLOUR=red" in printed(jar, wrapped).splitlines()


def jobname_of(place):
    return place.name.rpartition(".")[0]


def test_a_file_moved_in_by_hand_is_refused_with_line_and_reason(jar):
    workers.put(jar, "by-hand", b"#!/bin/sh\n#JJ --export=ALL\necho\n")
    workers.put(jar, "fine", b"#!/bin/sh\n#JJ --priority=5 --nice=1\necho fine\n")
    workers.drain(jar)
    assert os.path.isfile(jar.failed + "/by-hand") and jars.read(jar.log("fine")) == "fine\n"
    [note] = [text for path, text in jars.tree(jar).items() if path.startswith("notes/by-hand/")]
    assert "line 2: --export depends on" in note


def test_the_carrier_is_one_file_and_says_in_its_head_how_it_works(jar, here):
    text = jobfile.written(b"\x7fELF\0", {"nice": 1}, "my prog")
    head = text.partition(b"\nJJ_CARRIED")[0].decode()
    assert "carries a file" in head and "copied into the job's scratch directory" in head and "5 bytes" in head


def test_an_exported_environment_reaches_the_job(jar, here, monkeypatch):
    monkeypatch.setenv("COLOUR", "red and 'blue'\n\udcff")
    exported = job(jar, b"#!/bin/sh\n#JJ --export=COLOUR,N=1\necho \"$COLOUR\" $N\n")
    workers.drain(jar)
    assert printed(jar, exported) == "red and 'blue'\n\udcff 1\n"
