"""recover_stranded, as cron and a person meet it."""

import os

import pytest
from support import nodes
from support.nodes import Dead, Site, dead_identity

from jobjar import cli, supervision
from jobjar.nodelock import only_one


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


def lose(jar, name="a.0", category=None, identity=None):
    dead = Dead(jar, identity)
    attempt = dead.claim(name, category)
    dead.journal.close()
    return dead, attempt


def test_it_says_where_each_job_went(site):
    lose(site.jar, "a.0", "C1")
    dead, attempt = lose(site.jar, "b.0")
    with open(f"{dead.directory}/journal", "a", encoding="ascii") as journal:
        journal.write(f'{{"e": "end", "a": "{attempt}", "c": null, "n": "b.0", "t": 1, "state": "COMPLETED"}}\n')
    site.variables["JJ_MAX_ATTEMPTS"] = "1"
    status, lines, err = site.recover()
    assert (status, sorted(lines), err) == (0, ["C1/a.0 → failed/", "b.0 → completed/"], "")


def test_cron_is_told_nothing_when_there_is_nothing_to_do(site):
    assert site.recover() == (0, [], "")


def test_the_exit_status_says_whether_anything_is_left_stranded(site):
    dead, _ = lose(site.jar, identity=dead_identity(pidns=1))
    assert site.recover()[0] == 1
    os.rename(f"{dead.claims}/a.0", f"{site.jar.unclaimed}/a.0")
    os.rmdir(dead.claims)
    assert site.recover() == (0, [], "")


def test_a_name_that_would_steer_the_terminal_is_escaped(site):
    lose(site.jar, "a\x1b[2J.0")
    assert site.recover()[1] == ["a\\x1b[2J.0 → unclaimed/"]


@pytest.mark.parametrize("words", [("--dead",), ("--node", "meadow")])
def test_node_and_dead_go_together(site, words):
    status, lines, err = site.recover(*words)
    assert (status, lines) == (2, []) and "go together" in err


def test_a_node_without_workers_is_not_found(site):
    status, lines, err = site.recover("--node", "meadow", "--dead")
    assert (status, lines) == (3, []) and "'meadow'" in err


def test_a_vouched_node_that_owns_nothing_is_done_at_once(site):
    dead, _ = lose(site.jar, identity=dead_identity("meadow"))
    os.rename(f"{dead.claims}/a.0", f"{site.jar.unclaimed}/a.0")
    os.rmdir(dead.claims)
    assert site.recover("--node", "meadow", "--dead") == (0, [], "")


@pytest.mark.alone
def test_a_busy_lock_is_said(site, monkeypatch, capsys):
    lose(site.jar)
    monkeypatch.setattr(supervision, "PATIENCE", 0.1)
    with only_one(30):
        assert cli.main("recover_stranded", ["--home", site.jar.home]) == 75
    said = capsys.readouterr()
    assert said.out == "" and "try again" in said.err and len(said.err.splitlines()) == 1
