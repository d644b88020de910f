"""`jobjar check`, as a shell meets it."""

import json
import os

import pytest
from support import jars, nodes
from test_census import furnish, stamps

from jobjar import cli, inspection, mending, process
from jobjar.nodelock import only_one


@pytest.fixture(autouse=True)
def rain(monkeypatch):
    monkeypatch.setenv("JJ_NODE", "rain")
    monkeypatch.setattr(inspection, "PAUSES", (0.0,))


def check(jar, capsys, *words):
    """(exit status, stdout, stderr)."""
    return (cli.main("jobjar", ["check", "--home", jar.home, *words]), *capsys.readouterr())


def test_a_jar_that_is_all_right_is_said_to_be_so(jar, capsys):
    assert check(jar, capsys) == (0, "nothing found: all is right with this jar\n", "")


def test_it_changes_nothing(jar, capsys):
    furnish(jar)
    os.rmdir(jar.logs)
    before = stamps(jar)
    assert check(jar, capsys)[0] == 1
    after = stamps(jar)
    # There it asks for the server's time.
    assert after.pop(jar.limbo)[:2] == before.pop(jar.limbo)[:2] and after == before


def test_json_is_one_document(jar, capsys):
    jars.write(f"{jar.completed}/.two\nlines \udcff", "")
    code, out, err = check(jar, capsys, "--json")
    assert (code, err) == (1, "") and out.isascii()
    (finding,) = json.loads(out)["findings"]
    assert finding.pop("says")
    assert finding == {"severity": "person", "kind": "foreign", "path": f"{jar.completed}/.two\nlines \udcff"}


def test_names_are_escaped(jar, capsys):
    jars.write(f"{jar.completed}/.\x1b[2J", "")
    assert r"/completed/.\x1b[2J: " in check(jar, capsys)[1]


def test_a_repair_says_what_it_mended_and_what_it_left(jar, capsys):
    nodes.Dead(jar).claim()
    jars.write(f"{jar.unclaimed}/plain", "", 0o600)
    code, out, err = check(jar, capsys, "--repair")
    assert (code, err) == (1, "")
    moved, mended, left = out.split("\n\n")
    assert moved == "a.0 → unclaimed/"
    assert mended.startswith("mended (1):\n") and mended.endswith(": its worker is dead, with 1 job")
    assert left.startswith("a person is needed (1):\n") and "/unclaimed/plain: " in left
    os.unlink(f"{jar.unclaimed}/plain")
    assert check(jar, capsys, "--repair") == (0, "nothing found: all is right with this jar\n", "")


def test_a_repair_does_not_hide_that_an_orphan_keeps_a_job_stranded(jar, capsys, monkeypatch):
    dead = nodes.Dead(jar)
    dead.claim()
    monkeypatch.setattr(process, "orphans", lambda *_: (True, []))
    code, out, err = check(jar, capsys, "--repair")
    assert code == 1 and out.startswith("jobs are in danger (1):\n") and dead.directory in out
    assert "still runs as process" in err


def test_a_repair_as_a_json_document(jar, capsys):
    dead = nodes.Dead(jar)
    dead.claim("x.0", "LINUX")
    code, out, err = check(jar, capsys, "--repair", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["moved"] == [{"event": "recover", "category": "LINUX", "name": "x.0"}] and told["findings"] == []
    assert [f["path"] for f in told["mended"]] == [dead.directory]


def test_what_cannot_be_mended_now_is_a_message(jar, capsys):
    caught = jars.write(f"{jar.limbo}/.aside.rain.5:x-1.{os.getpid()}.1", "")
    code, out, err = check(jar, capsys, "--repair")
    assert code == 1 and caught in out and "\nmended" not in f"\n{out}"
    assert err.startswith(f"jobjar check: {caught} is so young") and err.count("\n") == 1
    assert json.loads(check(jar, capsys, "--repair", "--json")[1])["left"] == [err.strip().partition(": ")[2]]


def test_a_repair_does_not_hide_that_a_directory_was_missing(jar, capsys):
    os.rmdir(jar.logs)
    code, out, err = check(jar, capsys, "--repair")
    assert (code, err) == (1, "") and out.startswith("jobs are in danger (1):\n") and f"{jar.logs}: it is not there" in out


def test_a_repair_waits_for_a_recovery_and_says_when_that_takes_too_long(jar, capsys, monkeypatch):
    monkeypatch.setattr(mending, "PATIENCE", 0.0)
    with only_one(30) as mine:
        assert mine
        code, out, err = check(jar, capsys, "--repair")
    assert (code, out) == (75, "") and "at work on this node" in err


@pytest.mark.parametrize("text", ["one", "2"])
def test_a_format_that_no_program_understands(jar, capsys, text):
    with open(f"{jar.home}/FORMAT", "w", encoding="utf-8") as file:
        file.write(text)
    code, out, err = check(jar, capsys)
    assert (code, "FORMAT: it says 'one'" in out, "newer than" in err) == ((1, True, False) if text == "one" else
                                                                          (2, False, True))


@pytest.mark.parametrize("words", [("--repair", "--filesystem"), ("--wait", "5")])
def test_words_that_do_not_go_together_are_refused(jar, capsys, words):
    code, out, err = check(jar, capsys, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1


def test_a_home_that_is_not_there_is_not_made(capsys, tmp_path):
    assert cli.main("jobjar", ["check", "--home", f"{tmp_path}/none"]) == 2
    assert "does not exist" in capsys.readouterr().err and not os.listdir(tmp_path)
