"""jobjar init: a jar, and a personal configuration file that loses nothing."""

import os
import stat

import pytest
from support import jars

from jobjar import cli, config, layout

# A file as somebody may have written it, with a byte that is no UTF-8.
OLD = b"# mine \xff\n\n[Job Jar]\n; slow here\nJJ_PAUSE_TIME: 300\nJJ_CATEGORIES=LINUX"


@pytest.fixture
def init(capsys):
    """Run `jobjar init` with some words; (exit status, stdout, stderr)."""
    def run(*words):
        status = cli.main("jobjar", ["init", *words])
        return status, *capsys.readouterr()
    return run


@pytest.fixture
def personal(clean_environment):
    """The personal configuration file; its directory exists."""
    (clean_environment / ".jobjar").mkdir()
    return clean_environment / ".jobjar" / "config.ini"


def test_without_a_word_the_jar_is_made_at_home_and_found_from_then_on(init, clean_environment):
    home = f"{clean_environment}/.jobjar/jar"
    assert init() == (0, home + "\n", "")
    assert set(layout.DIRECTORIES) <= set(os.listdir(home))
    assert stat.S_IMODE(os.stat(os.path.dirname(home)).st_mode) == 0o700
    settings = config.read()
    assert settings.home == home and settings.source("JJ_HOME").endswith(".jobjar/config.ini line 2")


@pytest.mark.parametrize("words", [["jar"], ["--home", "jar"], ["./jar/"]])
def test_the_place_may_be_named_from_where_one_is(init, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert init(*words) == (0, f"{tmp_path}/jar\n", "")
    assert config.read().home == f"{tmp_path}/jar" and os.path.isdir(tmp_path / "jar/limbo")


def test_it_may_be_called_again(init, personal):
    first, text = init(), personal.read_bytes()
    assert init() == first and personal.read_bytes() == text


@pytest.mark.parametrize("old", [OLD, OLD + b"\n", OLD.replace(b"\n", b"\r\n"), b"", b"# only a comment",
                                 b"# only a comment\n", b"[Job Jar]", b"\xef\xbb\xbf[Job Jar]\r\n", b"[Job Jar]\n\n"])
def test_all_other_lines_of_the_file_stay_as_they_are(init, personal, tmp_path, old):
    personal.write_bytes(old)
    personal.chmod(0o640)
    assert init(f"{tmp_path}/jar")[0] == 0
    new = personal.read_bytes()
    added = f"JJ_HOME: {tmp_path}/jar".encode()
    rest = [line.rstrip(b"\r") for line in new.split(b"\n") if line.rstrip(b"\r") != added]
    kept = [line.rstrip(b"\r") for line in old.split(b"\n")]
    assert [line for line in rest if line not in (b"", b"[Job Jar]")] == [
        line for line in kept if line not in (b"", b"[Job Jar]")]
    assert new.count(added) == 1 and (new.count(b"\r\n") == new.count(b"\n")) == (b"\r\n" in old)
    assert stat.S_IMODE(personal.stat().st_mode) == 0o640 and os.listdir(personal.parent) == ["config.ini"]
    assert config.read().home == f"{tmp_path}/jar"


def test_a_file_that_names_another_jar_is_left_alone_and_no_jar_is_made(init, personal, tmp_path):
    personal.write_text("[Job Jar]\nJJ_HOME: /other/jar\n")
    status, out, err = init(f"{tmp_path}/jar")
    assert (status, out) == (1, "") and f"{personal} line 2" in err and "/other/jar" in err and err.count("\n") == 1
    assert personal.read_text() == "[Job Jar]\nJJ_HOME: /other/jar\n" and not os.path.exists(tmp_path / "jar")


def test_the_same_jar_by_another_path_is_no_other_jar(init, personal, tmp_path):
    os.symlink(tmp_path, tmp_path / "alias")
    personal.write_text(f"[Job Jar]\nJJ_HOME: {tmp_path}/alias/jar\n")
    assert init(f"{tmp_path}/jar")[0] == 0
    assert personal.read_text() == f"[Job Jar]\nJJ_HOME: {tmp_path}/alias/jar\n"


def test_jj_config_file_says_which_file_is_the_personal_one(init, personal, tmp_path, monkeypatch):
    monkeypatch.setenv("JJ_CONFIG_FILE", f"{tmp_path}/mine.ini")
    assert init(f"{tmp_path}/jar")[0] == 0
    assert jars.read(f"{tmp_path}/mine.ini") == f"[Job Jar]\nJJ_HOME: {tmp_path}/jar\n" and not personal.exists()


def test_a_file_that_is_a_link_stays_one(init, personal, tmp_path):
    (tmp_path / "dotfile").write_text("[Job Jar]\n")
    personal.symlink_to(tmp_path / "dotfile")
    assert init(f"{tmp_path}/jar")[0] == 0
    assert personal.is_symlink() and "JJ_HOME" in (tmp_path / "dotfile").read_text()


def test_an_environment_that_says_otherwise_is_mentioned(init, tmp_path, monkeypatch):
    monkeypatch.setenv("JJ_HOME", "/elsewhere")
    status, out, err = init(f"{tmp_path}/jar")
    assert (status, out) == (0, f"{tmp_path}/jar\n") and "JJ_HOME in the environment says /elsewhere" in err


def test_a_wrong_file_is_named_with_its_line_and_not_changed(init, personal, tmp_path):
    personal.write_text("[Job Jar]\nnonsense\n")
    status, _, err = init(f"{tmp_path}/jar")
    assert status == 2 and f"{personal} line 2" in err and not os.path.exists(tmp_path / "jar")


@pytest.mark.parametrize("words, said", [
    (["{top}/file"], "/file is in the way"), (["{top}/file/jar"], "/file is in the way"),
    (["/proc/x"], "/proc/x cannot be made"), (["/proc"], "/proc cannot be made"),
    (["a", "--home", "b"], "both"), (["{top}/jar "], "blank"), ([""], "empty"), (["{top}/a\nb"], "control character")])
def test_a_place_that_cannot_be_a_jar_is_exit_2(init, tmp_path, words, said):
    (tmp_path / "file").write_text("")
    status, out, err = init(*[word.format(top=tmp_path) for word in words])
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1


@pytest.mark.parametrize("make, said", [(lambda path: None, "does not exist"), (os.mkdir, "is a directory")])
def test_a_personal_file_that_cannot_be_one_is_exit_2(init, tmp_path, monkeypatch, make, said):
    make(tmp_path / "x")
    file = tmp_path / "x" / "y" / "mine.ini" if said == "does not exist" else tmp_path / "x"
    monkeypatch.setenv("JJ_CONFIG_FILE", str(file))
    status, _, err = init(f"{tmp_path}/jar")
    assert status == 2 and said in err and err.count("\n") == 1
