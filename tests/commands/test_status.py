"""system_status and `jobjar status`, as a shell meets them."""

import json
import os

import pytest
from support import jars
from test_census import furnish, stamps

from jobjar import census, cli, node, status
from jobjar.layout import Place


@pytest.fixture(autouse=True)
def rain(monkeypatch):
    monkeypatch.setenv("JJ_NODE", "rain")


@pytest.mark.parametrize("program, words", [("system_status", []), ("jobjar", ["status"])])
def test_it_prints_the_rendered_census_and_changes_nothing(jar, capsys, monkeypatch, program, words):
    furnish(jar)
    before = stamps(jar)
    seen = census.look(jar, node.myself("rain"))
    monkeypatch.setattr(census, "look", lambda *_: seen)
    assert cli.main(program, [*words, "--home", jar.home]) == 0
    assert capsys.readouterr() == (status.render(seen), "")
    assert stamps(jar) == before


def test_json_is_one_document(jar, capsys):
    jars.put(jar, Place("unclaimed", "LINUX", "two\nlines \udcff"), "word")
    assert cli.main("system_status", ["--json", "--home", jar.home]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["jobs"] == [{"state": "unclaimed", "category": "LINUX", "name": "two\nlines \udcff"}]
    assert err == "" and out.isascii() and "\x1b" not in out


def test_a_jar_that_only_others_may_write_can_be_looked_at(jar, capsys):
    furnish(jar)
    for directory, _, _ in os.walk(jar.home):
        os.chmod(directory, 0o555)
    assert cli.main("system_status", ["--home", jar.home]) == 0
    for directory, _, _ in os.walk(jar.home):
        os.chmod(directory, 0o755)
    assert "claimed" in capsys.readouterr().out
