"""What jobs were asked to make, carried to staged/: whatever they leave there, and whatever the jar has no room for."""

import errno
import os
import signal
import socket

import pytest
from support import jars, processes, workers

from jobjar import cli, harvest, node

ME = node.myself("rain")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory to submit from."""
    path = tmp_path / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def submit(jar, capsys, *words):
    """The id of a job submitted as a person does it."""
    assert cli.main("submit_job", ["--home", jar.home, *words]) == 0
    return capsys.readouterr().out.strip()


def carry_out(jar, scratch, *names):
    return harvest.carry_out(jar, ME, {"stage_out": list(names)}, str(scratch), "job")


def refusing(name):
    """os.listdir, which refuses to list directories of that name: root may list all."""
    listdir = os.listdir

    def list_(path="."):
        if os.path.basename(str(path)) == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return listdir(path)
    return list_


def special(path):
    """What no worker can carry."""
    os.mkfifo(path / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(os.path.relpath(path / "plug"))


def test_what_is_no_regular_file_keeps_nobody_waiting_and_the_rest_is_carried(jar, scratch, monkeypatch):
    monkeypatch.chdir(scratch)
    (scratch / "out").mkdir()
    special(scratch / "out")
    (scratch / "out" / "result").write_text("data")
    staged, missing, left = carry_out(jar, scratch, "out")
    assert (staged, missing, left) == ("job", [], ["out/pipe (no regular file)", "out/plug (no regular file)"])
    assert os.listdir(os.path.join(jar.staged, "job", "out")) == ["result"]


def test_links_are_carried_as_links_wherever_they_lead(jar, scratch):
    (scratch / "out" / "run").mkdir(parents=True)
    (scratch / "out" / "run" / "data").write_text("data")
    for name, text in (("latest", "run"), ("gone", "nowhere"), ("far", "/usr")):
        (scratch / "out" / name).symlink_to(text)
    assert carry_out(jar, scratch, "out") == ("job", [], [])
    staged = os.path.join(jar.staged, "job", "out")
    assert {name: os.readlink(os.path.join(staged, name)) for name in ("latest", "gone", "far")} \
        == {"latest": "run", "gone": "nowhere", "far": "/usr"}


def test_a_name_that_is_a_link_stands_for_what_it_leads_to(jar, scratch):
    (scratch / "run").mkdir()
    (scratch / "run" / "data").write_text("data")
    (scratch / "latest").symlink_to("run")
    (scratch / "best").symlink_to("run/data")
    assert carry_out(jar, scratch, "latest", "best") == ("job", [], [])
    assert jars.read(os.path.join(jar.staged, "job", "latest", "data")) == "data"
    assert jars.read(os.path.join(jar.staged, "job", "best")) == "data"


def test_a_link_to_what_is_about_to_be_removed_is_told(jar, scratch):
    (scratch / "real" / "deep").mkdir(parents=True)
    (scratch / "real" / "deep" / "precious").write_text("data")
    (scratch / "out").mkdir()
    (scratch / "out" / "results").symlink_to("../real/deep")
    assert carry_out(jar, scratch, "out").left == ["out/results (a link to real/deep, which is not named)"]


def test_a_dangling_link_alone_is_nothing_made(jar, scratch):
    (scratch / "latest").symlink_to("gone")
    assert carry_out(jar, scratch, "latest") == (None, ["latest"], [])


def test_two_of_one_name_and_a_file_where_a_directory_is_needed_are_told(jar, scratch, tmp_path):
    for number in "12":
        (tmp_path / number).mkdir()
        (tmp_path / number / "out").write_text(number)
    (scratch / "out").mkdir()
    (scratch / "out" / "x").write_text("x")
    found = carry_out(jar, scratch, str(tmp_path / "1" / "out"), str(tmp_path / "2" / "out"), "out")
    assert found.staged == "job" and found.missing == []
    assert found.left[0] == "out (there are two of that name)" and found.left[1].startswith("out/x (")
    assert jars.read(os.path.join(jar.staged, "job", "out")) == "1"


def test_a_directory_that_cannot_be_listed_is_told(jar, scratch, monkeypatch):
    (scratch / "out" / "closed").mkdir(parents=True)
    (scratch / "out" / "x").write_text("x")
    monkeypatch.setattr(os, "listdir", refusing("closed"))
    assert carry_out(jar, scratch, "out") == ("job", [], ["out/closed (Permission denied)"])


def test_a_pattern_below_a_directory_that_cannot_be_listed_is_not_called_missing(jar, scratch, monkeypatch):
    (scratch / "closed").mkdir()
    monkeypatch.setattr(os, "listdir", refusing("closed"))
    assert carry_out(jar, scratch, "closed/*.png") == (None, [], ["closed (Permission denied)"])


def test_a_file_of_the_job_alone_takes_no_room_and_others_are_copied(jar, scratch, tmp_path):
    for name in ("mine", "shared"):
        (scratch / name).write_text(name)
    os.link(scratch / "shared", tmp_path / "elsewhere")
    carry_out(jar, scratch, "mine", "shared")
    staged = os.path.join(jar.staged, "job")
    assert os.path.samefile(scratch / "mine", os.path.join(staged, "mine"))
    assert not os.path.samefile(scratch / "shared", os.path.join(staged, "shared"))


def test_what_lies_in_a_persons_directory_is_copied(jar, tmp_path, scratch):
    (tmp_path / "his").mkdir()
    (tmp_path / "his" / "result").write_text("x")
    request = {"stage_out": ["result"], "chdir": str(tmp_path / "his")}
    assert harvest.carry_out(jar, ME, request, str(scratch), "job") == ("job", [], [])
    assert not os.path.samefile(tmp_path / "his" / "result", os.path.join(jar.staged, "job", "result"))


def test_a_draft_that_somebody_has_taken_away_is_an_error(jar, scratch, monkeypatch):
    (scratch / "out").write_text("x")
    monkeypatch.setattr(harvest.fsops, "move", lambda *names: False)
    with pytest.raises(FileNotFoundError, match="somebody has taken away"):
        carry_out(jar, scratch, "out")


def kept(worker):
    """The one directory that the worker has set aside."""
    [name] = [name for name in os.listdir(worker.directory) if name.startswith("scratch.left-")]
    return worker.path(name)


@pytest.mark.parametrize("command, word", [
    ("mkdir out; echo data > out/r; mkfifo out/p", "out/p (no regular file)"),
    ("mkdir -p out real; echo data > real/r; ln -s ../real out/r", "out/r (a link to real, which is not named)")])
def test_a_job_whose_results_cannot_be_carried_whole_has_failed_and_they_are_kept(jar, here, capsys, command, word):
    submit(jar, capsys, "--stage-out=out", command)
    submit(jar, capsys, "true")
    worker = workers.drain(jar)
    first, second = worker.ends()
    assert first["state"] == "FAILED" and word in first["why"] and kept(worker) in first["why"]
    assert second["state"] == "COMPLETED"
    [result] = [path for path in workers.files(kept(worker)) if os.path.basename(path) == "r" and os.path.isfile(path)]
    assert jars.read(result) == "data\n"


def test_a_dangling_link_in_what_a_job_has_made_is_brought_as_it_is(jar, here, capsys):
    id = submit(jar, capsys, "--stage-out=out", "mkdir out; echo data > out/r; ln -s gone out/latest")
    [end] = workers.drain(jar).ends()
    assert (end["state"], end.get("why")) == ("COMPLETED", None)
    assert cli.main("jobjar", ["fetch", "--home", jar.home, id]) == 0
    assert os.readlink(here / "out" / "latest") == "gone" and jars.read(str(here / "out" / "r")) == "data\n"


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "staged")


def without_room():
    """For `before`: nothing can be carried to staged/."""
    harvest.carry_out = no_room


@pytest.mark.parametrize("how", ["cancel", "stop", "signal"])
def test_a_worker_without_room_for_what_a_job_has_made_can_be_told_to_go_on_without(jar, here, capsys, how):
    id = submit(jar, capsys, "--stage-out=out", "echo data > out")
    with workers.working(jar, before=without_room, JJ_ORDER_TIME="1") as worker:
        processes.until(lambda: "blocked: " in worker.log(), "the worker to be without room")
        if how == "cancel":
            # It has ended by itself, as the command says.
            assert cli.main("jobjar", ["cancel", "--home", jar.home, id]) == 1
        elif how == "stop":
            jars.write(worker.path("STOP"), "")
        else:
            worker.signal(signal.SIGTERM)
        processes.until(lambda: worker.ends(), "the end of the job")
    [end] = worker.ends()
    assert end["state"] == "FAILED" and "No space left" in end["why"] and kept(worker) in end["why"]
    assert jars.read(os.path.join(kept(worker), "out")) == "data\n"


def test_a_jar_in_which_nothing_can_be_put_keeps_no_worker(jar, here, capsys):
    submit(jar, capsys, "--stage-out=out", "echo data > out")
    jars.write(jar.staged, "a file of somebody's")
    worker = workers.drain(jar)
    [end] = worker.ends()
    assert end["state"] == "FAILED" and "it is not a directory, so move it elsewhere" in end["why"]
    assert jars.read(os.path.join(kept(worker), "out")) == "data\n" and jars.read(jar.staged) == "a file of somebody's"
