"""`jobjar check`, as a shell meets it."""

import json
import os

import pytest
from support import jars
from test_census import furnish, stamps

from jobjar import cli


@pytest.fixture(autouse=True)
def rain(monkeypatch):
    monkeypatch.setenv("JJ_NODE", "rain")


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
    assert stamps(jar) == before


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
