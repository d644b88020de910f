"""Every path and its meaning."""

import errno
import os
import stat

import pytest
from support import jars

from jobjar import fsops, layout
from jobjar.errors import TryAgain, UsageError
from jobjar.layout import Place


def test_a_new_jar_has_all_its_directories_and_says_its_format(tmp_path):
    jar = layout.create_jar(str(tmp_path / "deep" / "jar"))
    assert sorted(os.listdir(jar.home)) == sorted([*layout.DIRECTORIES, "workers", "FORMAT"])
    assert jars.read(os.path.join(jar.home, "FORMAT")) == "1\n"


def test_directories_are_never_writable_for_others(tmp_path):
    before = os.umask(0)
    try:
        jar = layout.create_jar(str(tmp_path / "jar"))
    finally:
        os.umask(before)
    for name in (*layout.DIRECTORIES, "workers"):
        assert not stat.S_IMODE(os.stat(os.path.join(jar.home, name)).st_mode) & 0o022


def test_making_a_jar_again_leaves_it_as_it_is(jar):
    jars.put(jar, Place("unclaimed", "C", "a.0"))
    before = jars.tree(jar)
    layout.create_jar(jar.home)
    assert jars.tree(jar) == before


def test_what_is_missing_inside_a_jar_is_made(jar):
    os.rmdir(jar.held)
    os.remove(os.path.join(jar.home, "FORMAT"))
    layout.open_jar(jar.home)
    assert os.path.isdir(jar.held) and os.path.exists(os.path.join(jar.home, "FORMAT"))


def test_a_newer_jar_is_refused_with_a_sentence(jar):
    with open(os.path.join(jar.home, "FORMAT"), "w", encoding="ascii") as file:
        file.write("2\n")
    with pytest.raises(UsageError, match="newer than this program"):
        layout.open_jar(jar.home)


def test_a_format_that_is_no_number_is_refused(jar):
    with open(os.path.join(jar.home, "FORMAT"), "w", encoding="ascii") as file:
        file.write("one")
    with pytest.raises(UsageError, match="FORMAT says 'one'"):
        layout.open_jar(jar.home)


@pytest.mark.parametrize("home, complaint", [
    ("relative/jar", "not an absolute path"), ("/nowhere/at/all", "does not exist"), ("/dev/null", "not a directory")])
def test_a_home_that_cannot_be_a_jar_is_refused(home, complaint):
    with pytest.raises(UsageError, match=complaint):
        layout.open_jar(home)


def test_a_worker_home_elsewhere_must_exist(jar, tmp_path):
    with pytest.raises(UsageError, match="JJ_WORKER_HOME"):
        layout.open_jar(jar.home, str(tmp_path / "nowhere"))
    (tmp_path / "workers").mkdir()
    assert layout.open_jar(jar.home, str(tmp_path / "workers")).claims("rain.1") == str(tmp_path / "workers/rain.1/claims")


def test_a_jar_is_not_made_where_a_file_is(tmp_path):
    path = jars.write(str(tmp_path / "file"), "")
    for home in (path, os.path.join(path, "jar")):
        with pytest.raises(UsageError, match="in the way"):
            layout.create_jar(home)


@pytest.mark.parametrize("code, kind, said", [
    (errno.ENOENT, UsageError, "choose a place where you may write"), (errno.EIO, UsageError, "cannot be made"),
    (errno.EROFS, UsageError, "mounted read-only"), (errno.ENOSPC, TryAgain, "make room"),
    (errno.EDQUOT, TryAgain, "make room")])
def test_a_place_where_no_jar_can_be_made_is_refused_with_a_sentence(tmp_path, monkeypatch, code, kind, said):
    def refuse(path, mode):
        raise OSError(code, os.strerror(code), path)
    monkeypatch.setattr(fsops, "make_directory", refuse)
    for home in (tmp_path, tmp_path / "jar"):
        with pytest.raises(kind, match=f"{tmp_path}.*{said}"):
            layout.create_jar(str(home))


@pytest.mark.parametrize("code, said", [(errno.EACCES, "make it accessible to you"), (errno.EPERM, "make it accessible"),
                                        (errno.EROFS, "mounted read-only: mount it writable")])
def test_a_jar_that_cannot_be_written_is_refused_with_a_sentence(jar, monkeypatch, code, said):
    def refuse(path, mode):
        raise OSError(code, os.strerror(code), path)
    os.rmdir(jar.held)
    monkeypatch.setattr(fsops, "make_directory", refuse)
    with pytest.raises(UsageError, match=f"{jar.home}/.*{said}"):
        layout.open_jar(jar.home)


def test_a_place_has_one_path(jar):
    assert jar.path(Place("unclaimed", "C", "a.0")) == f"{jar.home}/unclaimed/C/a.0"
    assert jar.path(Place("unclaimed", None, "a.0")) == f"{jar.home}/unclaimed/a.0"
    assert jar.path(Place("claims", "C", "a.0", jar.claims("rain.1"))) == f"{jar.home}/workers/rain.1/claims/C/a.0"
    assert jar.log("a.0") == f"{jar.home}/logs/a.0"
    assert jar.log("a.0", "n-1") == f"{jar.home}/logs/a.0.attempt-n-1"


def test_long_names_stay_within_what_a_file_system_takes(jar):
    name = "ä" * 127
    for path in (jar.log(name, "n-1"), jar.cleaned(name), jar.aside("x" * 300), layout.dot_name(name)):
        assert len(os.fsencode(os.path.basename(path))) <= 255


def test_a_category_is_made_when_it_is_needed(jar):
    assert not os.path.exists(jar.directory("unclaimed", "C"))
    assert os.path.isdir(jar.queue("unclaimed", "C"))


@pytest.mark.parametrize("name, parts", [
    ("rain.1", ("rain", 1)), ("rain.dept.17", ("rain.dept", 17)), ("rain", None), (".rain.1", None), ("rain.x", None),
    ("rain.1.old-n", None), ("rain.1.old-01c699ffffc-7.400007", None), ("rain.old-town.7", ("rain.old-town", 7)),
    ("rain.١", None), ("rain.12345678901", None), (".1", None)])
def test_a_workers_directory_is_split_at_its_last_dot(name, parts):
    assert layout.split_worker(name) == parts


def test_a_directory_that_was_set_aside_says_whose_it_was():
    assert layout.former_worker("rain.dept.1.old-01c699ffffc-7.400007") == "rain.dept.1"
    assert layout.former_worker("rain.old-town.7") is layout.former_worker("rain.7") is None


def test_two_long_names_have_two_dot_names():
    one, other = "x" * 250 + "1.000", "x" * 250 + "2.000"
    assert layout.dot_name(one) != layout.dot_name(other)
    assert layout.dot_name("a.0") == ".a.0"
