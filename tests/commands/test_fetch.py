"""jobjar fetch, and the way of files from the submission through a real worker and back."""

import os
import shutil

import pytest
from support import jars, workers

from jobjar import cli, store


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory to submit from."""
    path = tmp_path / "here"
    path.mkdir()
    (path / "data").write_text("alpha\n")
    (path / "tool").write_text("#!/bin/sh\ntr a-z A-Z\n")
    (path / "tool").chmod(0o755)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def call(jar, capsys):
    """Run a command; (exit status, stdout, stderr)."""
    def run(program, *words):
        status = cli.main(program, [*words[:1], "--home", jar.home, *words[1:]] if program == "jobjar" else
                          ["--home", jar.home, *words])
        return status, *capsys.readouterr()
    return run


def end_of(handle):
    [end] = handle.ends()
    return end


def test_a_snapshot_runs_as_it_was_and_its_result_comes_back(jar, here, call):
    _, id, _ = call("submit_job", "--snapshot=.", "--stage-out=result", "./tool < data > result")
    (here / "tool").write_text("#!/bin/sh\nexit 7\n")
    end = end_of(workers.drain(jar))
    assert (end["state"], end["staged"]) == ("COMPLETED", id.strip())
    assert call("jobjar", "fetch", id.strip()) == (0, f"{here}/result\n", "")
    assert jars.read(str(here / "result")) == "ALPHA\n"
    status, out, err = call("jobjar", "fetch", "last")
    assert (status, out) == (0, "") and f"all that it has made is in {here} already" in err


def test_a_job_that_has_made_nothing_is_told_of(jar, here, call):
    _, nothing, _ = call("submit_job", "true")
    _, some, _ = call("submit_job", "--stage-out=result", "echo > result")
    workers.drain(jar)
    status, out, err = call("jobjar", "fetch", "--to", str(here), nothing.strip())
    assert (status, out) == (1, "") and f"{nothing.strip()}: it has made nothing" in err
    assert call("jobjar", "fetch", "--to", str(here), nothing.strip(), some.strip())[:2] == (0, f"{here}/result\n")


def test_an_input_that_the_job_has_changed_comes_back_in_its_place(jar, here, call):
    call("submit_job", "--stage-in=data", "--stage-out=data", "echo beta >> data")
    workers.drain(jar)
    assert call("jobjar", "fetch", "last")[0] == 0
    assert jars.read(str(here / "data")) == "alpha\nbeta\n"


def test_results_go_where_somebody_wants_them(jar, here, call, tmp_path):
    call("submit_job", "--stage-out=*.txt", "echo one > 1.txt; echo two > 2.txt; echo no > 3.log")
    workers.drain(jar)
    (tmp_path / "there").mkdir()
    call("jobjar", "fetch", "--to", str(tmp_path / "there"), "last")
    assert sorted(os.listdir(tmp_path / "there")) == ["1.txt", "2.txt"]


def test_a_job_that_has_not_made_what_it_was_to_make_has_failed(jar, here, call):
    call("submit_job", "--stage-out=result,other", "touch other")
    end = end_of(workers.drain(jar))
    assert (end["state"], end["exit"]) == ("FAILED", 0) and "--stage-out names: result" in end["why"]
    assert len(os.listdir(jar.failed)) == 1
    assert os.listdir(os.path.join(jar.staged, end["staged"])) == ["other"]


def test_a_job_whose_files_are_gone_is_refused_with_the_reason(jar, here, call):
    call("submit_job", "--stage-in=data", "cat data")
    os.unlink(store.path_of(jar, store.digest_of(str(here / "data"))))
    handle = workers.drain(jar)
    assert "somebody has removed what the job needs" in handle.log()
    assert len(os.listdir(jar.failed)) == 1 and not os.listdir(jar.completed)


def test_what_is_to_be_staged_and_is_not_there_is_not_submitted(jar, here, call):
    status, out, err = call("submit_job", "--stage-in=nowhere", "true")
    assert (status, out) == (2, "") and "nowhere is not a regular file" in err
    assert not os.listdir(jar.unclaimed)


def test_a_job_moved_in_by_hand_cannot_ask_for_files(jar, here):
    jars.write(os.path.join(jar.unclaimed, "own"), "#!/bin/sh\n#JJ --snapshot=/somewhere\ntrue\n")
    handle = workers.drain(jar)
    assert "--snapshot" in handle.log() and os.listdir(jar.failed) == ["own"]


def results(jar):
    return sorted(os.listdir(jar.staged))


def test_a_job_with_results_that_nobody_has_fetched_stays_and_goes_with_them_when_they_are(jar, here, call):
    _, id, _ = call("submit_job", "--stage-out=result", "echo made > result")
    id = id.strip()
    workers.drain(jar)
    for words in (["--keep", "0"], ["--keep", "0", "--dry-run"], [id]):
        status, out, err = call("jobjar", "clean", *words)
        assert (status, out) == (0, "") and f"{id} stays, for nobody has fetched what it has made: `jobjar fetch`" in err
    assert results(jar) == [id] and len(os.listdir(jar.completed)) == 1
    assert call("jobjar", "fetch", id) == (0, f"{here}/result\n", "")
    assert call("jobjar", "clean", "--keep", "0")[:2] == (0, f"{id}\n")
    assert results(jar) == os.listdir(jar.completed) == os.listdir(jar.notes) == []


def test_results_that_somebody_has_removed_keep_no_job(jar, here, call):
    _, id, _ = call("submit_job", "--stage-out=result", "echo made > result")
    workers.drain(jar)
    shutil.rmtree(os.path.join(jar.staged, id.strip()))
    assert call("jobjar", "clean", "--keep", "0")[1] == id


def test_results_of_a_repeated_job_are_to_be_fetched_again_and_go_all_at_once(jar, here, call):
    _, id, _ = call("submit_job", "--stage-out=result", "echo made > result")
    id = id.strip()
    workers.drain(jar)
    call("jobjar", "fetch", id)
    call("jobjar", "retry", id)
    workers.drain(jar)
    assert results(jar) == [id, f"{id}~2"]
    assert "stays" in call("jobjar", "clean", "--keep", "0")[2] and results(jar) == [id, f"{id}~2"]
    call("jobjar", "fetch", id)
    assert call("jobjar", "clean", "--keep", "0")[1] == f"{id}\n" and results(jar) == []


def test_a_cleaning_cut_short_leaves_results_that_the_next_one_removes_and_no_others(jar, here, call):
    for name in ("gone", "there"):
        call("submit_job", "--stage-out=result", "--id", name, f"echo {name} > result")
        workers.drain(jar)
        call("jobjar", "fetch", "--to", str(here), "last")
    gone, there = results(jar)
    aside = str(here / "aside")
    os.rename(os.path.join(jar.staged, gone), aside)
    assert call("jobjar", "clean", gone)[1] == f"{gone}\n"
    # As if it had been killed before this went.
    os.rename(aside, os.path.join(jar.staged, gone))
    call("jobjar", "clean", "--older", "1d")
    assert results(jar) == [there]


def test_a_note_says_who_has_fetched_the_results(jar, here, call):
    call("submit_job", "--stage-out=result", "echo made > result")
    workers.drain(jar)
    for _ in range(2):
        call("jobjar", "fetch", "last")
    [line] = [line for path in workers.files(jar.notes) for line in workers.lines(path)]
    assert (line["e"], line["staged"]) == ("fetch", results(jar)[0])
