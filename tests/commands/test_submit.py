"""submit_job as the manual has it, every option and every example, and what it says of bad input."""

import os
import time

import pytest
from support import jars, programs

from jobjar import cli

COMMAND = ["/usr/local/bin/big_computation", "/data/infile.tmp", "104.1", "30"]
SCRIPT = "#!/bin/sh -f\n/usr/local/bin/big_computation /data/infile.tmp 104.1 30\n"


@pytest.fixture
def standalone_job(tmp_path):
    return jars.write(str(tmp_path / "standalone_job"), "#!/usr/bin/env python3\nprint('hello')\n")


def test_a_command_becomes_the_two_lines_and_its_id_is_printed_alone(jar, submit):
    status, out, err = submit(*COMMAND)
    path, text = jars.only_job(jar)
    assert (status, err, text) == (0, "", SCRIPT)
    assert path == f"unclaimed/{out.strip()}.0" and out.count("\n") == 1


def test_f_copies_the_file_and_makes_no_script(jar, submit, standalone_job):
    assert submit("-f", standalone_job)[0] == 0
    assert jars.only_job(jar)[1] == jars.read(standalone_job)


@pytest.mark.parametrize("words", [["-p", "10", *COMMAND], ["--priority=10", *COMMAND], ["-p10", *COMMAND]])
def test_p_is_the_priority_of_a_command(jar, submit, words):
    _, out, _ = submit(*words)
    assert jars.only_job(jar) == (f"unclaimed/{out.strip()}.10", SCRIPT)


def test_p_is_the_priority_of_a_file_and_may_be_negative(jar, submit, standalone_job):
    _, out, _ = submit("-p", "-3", "-f", standalone_job)
    assert jars.only_job(jar)[0] == f"unclaimed/{out.strip()}.-3"


def test_c_is_the_category_which_is_made(jar, submit):
    _, out, _ = submit("-c", "LINUX", *COMMAND)
    assert jars.only_job(jar) == (f"unclaimed/LINUX/{out.strip()}.0", SCRIPT)


def test_i_stands_in_the_name(jar, submit):
    _, out, _ = submit("-i", "test_run", *COMMAND)
    assert out.endswith("-test_run\n") and jars.only_job(jar)[1] == SCRIPT


def test_the_name_has_date_time_and_login(jar, submit):
    import pwd
    _, out, _ = submit("ls")
    stamp, clock, login = out.split("-")[:3]
    assert abs(time.mktime(time.strptime(stamp + clock, "%Y%m%d%H%M%S")) - time.mktime(time.gmtime())) < 60
    assert login == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("words, line", [
    (["ls", "-l", "-p", "3"], "ls -l -p 3"), (["--", "-weird", "--help"], "-weird --help"),
    (["-i", "x", "ls", "--", "-f", "y"], "ls -- -f y"), (["echo", "a   b", "c"], "echo a   b c"),
    (["grep 'a  b' \"$HOME\""], "grep 'a  b' \"$HOME\""), (["sh", "--help"], "sh --help")])
def test_words_are_joined_by_single_spaces_and_options_end_at_the_first_word(jar, submit, words, line):
    assert submit(*words)[0] == 0
    assert jars.only_job(jar)[1] == f"#!/bin/sh -f\n{line}\n"


@pytest.mark.parametrize("words, said", [
    ([], "the command is empty"), ([""], "the command is empty"), (["  "], "the command is empty"),
    (["a\nb"], "newline"), (["-p", "high", "ls"], "priority 'high'"), (["-p", "1_000", "ls"], "priority"),
    (["-p", "1.5", "ls"], "priority"), (["-p", "", "ls"], "priority"), (["-p"], "-p needs a value"),
    (["-c", "a/b", "ls"], "category"), (["-c", "..", "ls"], "category"), (["-c", "a\tb", "ls"], "category"),
    (["-c", "c" * 300, "ls"], "category"), (["-c", "", "ls"], "category"), (["-i", "a/b", "ls"], "identifier"),
    (["-i", "..", "ls"], "identifier"), (["-i", "a\x1b", "ls"], "identifier"), (["-i", "i" * 300, "ls"], "identifier"),
    (["-f", "/nowhere/x"], "/nowhere/x does not exist"), (["-f", "/"], "/ is a directory"),
    (["-f", "/dev/null"], "/dev/null is not a regular file"), (["-f", ""], "--file is empty"),
    (["-f", "x", "ls"], "cannot both"), (["-z", "ls"], "no option -z")])
def test_bad_input_is_one_sentence_exit_2_and_nothing_submitted(jar, submit, words, said):
    status, out, err = submit(*words)
    assert (status, out) == (2, "") and said in err
    assert err.startswith("submit_job: ") and err.count("\n") == 1
    assert {path for path, text in jars.tree(jar).items() if text is not None} == {"FORMAT"}


@pytest.mark.parametrize("home, said", [("relative", "not an absolute path"), ("/no/such/jar", "does not exist"),
                                        ("/dev/null", "not a directory")])
def test_a_wrong_home_is_exit_2_with_its_name(home, said, monkeypatch, capsys):
    monkeypatch.setenv("JJ_HOME", home)
    assert cli.main("submit_job", ["ls"]) == 2
    err = capsys.readouterr().err
    assert home in err and said in err and err.count("\n") == 1


def test_a_home_that_may_not_be_written_is_a_sentence(jar, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; as an ordinary user this is tested")
    os.chmod(jar.limbo, 0o500)
    status, _, err = programs.run("submit_job", "--home", jar.home, "ls")
    os.chmod(jar.limbo, 0o700)
    assert status == 2 and jar.limbo in err and err.count("\n") == 1


def test_a_file_in_the_way_of_the_category_is_exit_2(jar, submit):
    jars.write(jar.unclaimed + "/LINUX", "")
    status, _, err = submit("-c", "LINUX", "ls")
    assert status == 2 and "LINUX is in the way" in err and os.listdir(jar.limbo) == []


def test_bytes_that_are_no_text_reach_the_job(jar):
    status, _, _ = programs.run("submit_job", "--home", jar.home, b"echo", b"\xff\xfe")
    path = os.path.join(jar.unclaimed, os.listdir(jar.unclaimed)[0])
    with open(path, "rb") as file:
        assert (status, file.read()) == (0, b"#!/bin/sh -f\necho \xff\xfe\n")
