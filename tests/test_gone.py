"""Who asks for a job that is in the jar no more is told what has become of it."""

import os

import pytest
from support import programs, workers


def ended(jar):
    """A job that has ended; its id."""
    name = workers.submit(jar, "true", id="fine").name
    workers.drain(jar)
    return name


@pytest.mark.parametrize("command", ["explain", "log"])
def test_a_job_that_was_cleaned_away_is_said_to_be_and_where_its_record_is(jar, command):
    id = ended(jar).rpartition(".")[0]
    there = workers.submit(jar, "true").name
    assert programs.run("jobjar", "clean", "--home", jar.home, "--older=0")[0] == 0
    status, out, err = programs.run("jobjar", command, "--home", jar.home, there, id)
    assert (status, out) == (3, "") and f"'{id}' is not in {jar.home} any more, it was cleaned away: `jobjar his" in err
    assert id in programs.run("jobjar", "history", "--home", jar.home, id)[1]
    assert "names no job" in programs.run("jobjar", command, "--home", jar.home, "nothing")[2]
    assert "names no job" in programs.run("jobjar", command, "--home", jar.home, "")[2]


def test_a_job_that_somebody_has_removed_is_not_said_to_be_cleaned_away(jar):
    name = ended(jar)
    os.remove(f"{jar.completed}/{name}")
    assert "it has been removed: `jobjar history fine`" in programs.run("jobjar", "log", "--home", jar.home, "fine")[2]
