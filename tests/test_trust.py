"""Whose jobs a worker runs, and in whose jar: docs/PROTOCOL.md and the guide on the private jar."""

import grp
import os
import pwd
import stat

import pytest
from support import jars

from jobjar import config, trust
from jobjar.errors import UsageError
from jobjar.layout import Jar

ROOT = os.geteuid() == 0
OTHER = 65534


@pytest.fixture(autouse=True)
def above(monkeypatch):
    """What lies above the tests' own directory is not theirs to mend: it counts as the system's."""
    real = trust.guarded
    monkeypatch.setattr(trust, "guarded", lambda jar: [d for d in real(jar) if "jar" in d])


def settings(jar, **variables):
    return config.read(environ={"JJ_HOME": jar.home, "JJ_ALLOW_ROOT": "1", **variables})


def refused(jar, **variables):
    with pytest.raises(UsageError) as error:
        trust.require(jar, settings(jar, **variables))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_private_jar_is_trusted_with_the_jobs_of_its_user(jar):
    assert trust.require(jar, settings(jar)) == {os.geteuid()}


def test_a_jar_is_private_when_nobody_else_can_put_anything_into_it(jar):
    assert trust.is_private(jar, settings(jar))
    assert not trust.is_private(jar, settings(jar, JJ_TRUSTED_USERS="nobody"))


@pytest.mark.parametrize("mode", [0o1777, 0o757, 0o1770])
def test_a_jar_into_which_others_can_put_something_is_not_private_sticky_or_not(jar, mode, monkeypatch):
    monkeypatch.setattr(trust, "_is_private_group", lambda *_: False)
    os.chmod(jar.unclaimed, mode)
    assert not trust.is_private(jar, settings(jar))


DIRECTORIES = ["", "limbo", "unclaimed", "held", "waiting", "claimed", "completed", "failed", "logs", "notes", "workers"]


@pytest.mark.parametrize("name", DIRECTORIES)
def test_what_everybody_can_write_to_is_refused_with_the_remedy(jar, name):
    path = os.path.join(jar.home, name).rstrip("/")
    os.chmod(path, 0o757)
    assert f"chmod o-w {path}" in refused(jar)


@pytest.mark.parametrize("name", DIRECTORIES)
def test_what_a_group_can_write_to_is_refused(jar, name, monkeypatch):
    monkeypatch.setattr(trust, "_is_private_group", lambda *_: False)
    path = os.path.join(jar.home, name).rstrip("/")
    os.chmod(path, 0o775)
    assert f"chmod g-w {path}" in refused(jar)


def test_a_parent_that_everybody_can_write_to_is_refused_unless_sticky(tmp_path):
    parent = tmp_path / "jars"
    parent.mkdir()
    jar = jars.make(parent / "jar")
    os.chmod(parent, 0o777)
    assert f"chmod o-w {parent}" in refused(jar)
    os.chmod(parent, 0o1777)
    assert trust.require(jar, settings(jar))


def test_the_parents_of_the_workers_directory_count_too(tmp_path, jar):
    other = tmp_path / "jar-workers"
    (other / "workers").mkdir(parents=True)
    os.chmod(other, 0o777)
    assert str(other) in refused(Jar(jar.home, str(other / "workers")))


def test_the_parents_of_what_a_link_leads_to_count(tmp_path):
    parent = tmp_path / "jars"
    parent.mkdir()
    jars.make(parent / "real")
    os.symlink(parent / "real", tmp_path / "link")
    os.chmod(parent, 0o777)
    assert str(parent) in refused(Jar(str(tmp_path / "link")))


def test_the_root_directory_and_everything_between_are_looked_at(monkeypatch, jar):
    monkeypatch.undo()
    guarded = trust.guarded(jar)
    assert {"/", os.path.dirname(jar.home), jar.home, jar.workers, jar.unclaimed} <= set(guarded)


@pytest.mark.skipif(not ROOT, reason="only root can give directories to others")
@pytest.mark.parametrize("name", ["", "unclaimed", "workers"])
def test_what_belongs_to_somebody_else_is_refused_even_if_sticky(jar, name):
    path = os.path.join(jar.home, name).rstrip("/")
    os.chown(path, OTHER, -1)
    os.chmod(path, 0o1755)
    assert f"{path} belongs to another user" in refused(jar)


# Groups.

class Accounts:
    def __init__(self, monkeypatch):
        self.group = ("anna", "x", 1000, [])
        self.user = ("anna", "x", 1000, 1000, "", "/", "/bin/sh")
        monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd(self.user))
        monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(self.group))


def test_a_users_own_group_may_write(monkeypatch):
    accounts = Accounts(monkeypatch)
    assert trust._is_private_group(1000, 1000)
    accounts.group = ("anna", "x", 1000, ["anna"])
    assert trust._is_private_group(1000, 1000)


@pytest.mark.parametrize("group", [("anna", "x", 1000, ["bert"]), ("staff", "x", 1000, []), ("anna", "x", 1001, [])])
def test_a_group_that_others_can_be_in_may_not(monkeypatch, group):
    accounts = Accounts(monkeypatch)
    accounts.group = group
    assert not trust._is_private_group(group[2], 1000)


def test_a_group_or_user_that_nobody_knows_may_not():
    assert not trust._is_private_group(123456, 123456)


# Users.

def test_root_is_refused_unless_it_is_allowed(jar, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "JJ_ALLOW_ROOT" in refused(jar, JJ_ALLOW_ROOT="no")


def test_trusted_users_are_added(jar):
    assert trust.require(jar, settings(jar, JJ_TRUSTED_USERS="root nobody")) \
        == {os.geteuid(), 0, pwd.getpwnam("nobody").pw_uid}


def test_a_trusted_user_whom_nobody_knows_is_an_error_that_says_where(jar):
    sentence = refused(jar, JJ_TRUSTED_USERS="nosuchuser")
    assert "JJ_TRUSTED_USERS" in sentence and "'nosuchuser'" in sentence and "environment" in sentence


def test_directories_are_made_closed_to_others_whatever_the_umask_says(tmp_path):
    before = os.umask(0)
    try:
        jar = jars.make(tmp_path / "jar")
        jar.queue("unclaimed", "C1")
    finally:
        os.umask(before)
    for path, _, _ in os.walk(jar.home):
        assert not stat.S_IMODE(os.stat(path).st_mode) & 0o022, path
