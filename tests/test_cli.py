"""The dispatcher and the error boundary: what a shell sees of each kind of trouble."""

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support import processes, programs

import jobjar
from jobjar import cli, options
from jobjar.errors import NoSuchJob, TryAgain, UsageError


@pytest.fixture
def command(monkeypatch):
    """A command whose run() does what the test puts there."""
    fake = SimpleNamespace(HELP="do a thing", NEEDS_SETTINGS=False, add_options=lambda parser: None,
                           run=lambda options, settings: 0)
    monkeypatch.setattr(cli, "_load", lambda module: fake)
    return fake


def raising(error):
    def run(options, settings):
        raise error
    return run


@pytest.mark.parametrize("error, status", [(UsageError("x"), 2), (NoSuchJob("x"), 3), (TryAgain("x"), 75)])
def test_what_a_person_can_mend_is_one_sentence_and_the_errors_own_exit_status(command, capsys, error, status):
    command.run = raising(error)
    assert cli.main("submit_job", []) == status
    assert capsys.readouterr() == ("", "submit_job: x\n")


def test_a_subcommand_says_its_name_in_its_messages(command, capsys):
    command.run = raising(UsageError("x"))
    cli.main("jobjar", ["submit"])
    assert capsys.readouterr().err == "jobjar submit: x\n"


def test_a_name_in_a_message_cannot_steer_the_terminal(command, capsys):
    command.run = raising(UsageError("a\x1b[2Jb\nc\udcff"))
    cli.main("submit_job", [])
    assert capsys.readouterr().err == "submit_job: a\\x1b[2Jb\\x0ac\\xff\n"


def test_an_interrupt_is_130_without_a_word(command, capsys):
    command.run = raising(KeyboardInterrupt())
    assert cli.main("submit_job", []) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_75_and_names_the_file(command, capsys, code):
    command.run = raising(OSError(code, os.strerror(code), "/jar/limbo/x"))
    assert cli.main("submit_job", []) == 75
    assert capsys.readouterr().err.startswith("submit_job: /jar/limbo/x: ")


@pytest.mark.parametrize("code, said", [(errno.EACCES, ": Permission denied: make it accessible to you"),
                                        (errno.EROFS, " is on a file system mounted read-only: mount it writable")])
def test_no_access_is_2_and_names_the_file_and_the_remedy(command, capsys, code, said):
    command.run = raising(OSError(code, os.strerror(code), "/jar/workers/x"))
    assert cli.main("submit_job", []) == 2
    assert capsys.readouterr().err.startswith(f"submit_job: /jar/workers/x{said}")


def test_an_empty_home_is_refused_and_the_working_directory_is_no_jar(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for program in ("submit_job", "system_status", "unique_job_name"):
        assert cli.main(program, ["--home", ""]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith(f"{program}: --home is empty: give it a value")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("defect", [OSError(errno.EIO, "x"), ZeroDivisionError(), ImportError("x", name="json")])
def test_any_other_exception_is_a_defect_and_not_hidden(command, defect):
    command.run = raising(defect)
    with pytest.raises(type(defect)):
        cli.main("submit_job", [])


@pytest.mark.parametrize("package", ["psutil", "psutil._psutil_linux", "filelock"])
def test_a_missing_package_is_one_sentence_with_the_remedy(command, capsys, package):
    command.run = raising(ImportError("gone", name=package))
    assert cli.main("check_workers", []) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and package.partition(".")[0] in err and "make" in err and sys.executable in err


def test_the_commands_exit_status_comes_out(command):
    command.run = lambda options, settings: 1
    assert cli.main("submit_job", []) == 1


def test_settings_are_read_with_home_before_everything_else(command, monkeypatch, tmp_path):
    monkeypatch.setenv("JJ_HOME", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    seen = []
    command.NEEDS_SETTINGS = True
    command.run = lambda options, settings: seen.append(settings.home) or 0
    assert cli.main("submit_job", ["--home", "/a"]) == cli.main("submit_job", ["--home=b"]) == 0
    assert seen == ["/a", f"{tmp_path}/b"]


@pytest.mark.parametrize("strict, status", [(True, 2), (False, 0)])
def test_an_unknown_setting_stops_a_command_and_not_a_worker(command, capsys, tmp_path, monkeypatch, strict, status):
    (tmp_path / "c.ini").write_text("[Job Jar]\nJJ_COLOUR: red\n")
    monkeypatch.setenv("JJ_CONFIG_FILE", str(tmp_path / "c.ini"))
    command.NEEDS_SETTINGS, command.STRICT = True, strict
    assert cli.main("submit_job", ["--home", "/a"]) == status
    assert "JJ_COLOUR" in capsys.readouterr().err


def test_jobjar_names_every_command_with_its_help(capsys):
    assert cli.main("jobjar", ["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out and cli._load(module).HELP.split()[0] in out
               for name, (module, _) in cli.COMMANDS.items())


def test_jobjar_prints_its_version(capsys):
    assert cli.main("jobjar", ["--version"]) == 0
    assert capsys.readouterr().out == f"jobjar {jobjar.__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_subcommand_is_one_module_that_knows_its_name_under_both_spellings(name, capsys):
    assert cli._load(cli.COMMANDS[name][0]).NAME == name
    outs = []
    for spelling in (name, name.replace("-", "_")):
        assert cli.main("jobjar", [spelling, "--help"]) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1] and outs[0].startswith(f"usage: jobjar {name} ")
    assert "--home DIR" in outs[0] and "exit status:" in outs[0]


@pytest.mark.parametrize("words, said", [([], "a command is missing"), (["sbumit"], "did you mean submit?"),
                                         (["--verbose"], "there is no command"), (["zzz"], "jobjar --help")])
def test_a_wrong_subcommand_is_usage(words, said, capsys):
    assert cli.main("jobjar", words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("jobjar: ") and said in err


def test_help_is_given_although_other_words_are_wrong(capsys):
    assert cli.main("submit_job", ["--nonsense", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: submit_job ")


def test_only_the_module_of_the_called_command_is_imported(jar):
    status, _, err = programs.run("unique_job_name", "--home", jar.home,
                                  interpreter=(sys.executable, "-X", "importtime"))
    assert status == 0
    loaded = {line.rpartition("|")[2].strip() for line in err.splitlines()}
    assert [name for name in loaded if name.startswith("jobjar.commands.")] == ["jobjar.commands.unique_job_name"]


def test_the_entry_points_of_an_installation_carry_the_programs_names(capsys):
    assert all(callable(getattr(cli, name)) for name in (*cli.PROGRAMS, "jobjar"))
    with pytest.raises(AttributeError):
        cli.no_program


def test_a_program_ends_at_once_with_its_status_and_with_all_printed():
    # Neither of the two has a newline, which would have it printed anyway; and the interpreter is not taken to pieces.
    code = ("import atexit, sys; from jobjar import cli; atexit.register(print, 'late');"
            " cli._choose = lambda *_: print('out', end='') or print('err', end='', file=sys.stderr) or 3;"
            " cli.run('jobjar')")
    process = processes.spawn(sys.executable, "-c", code, cwd=processes.TOP,
                              env=processes.environment(PYTHONUNBUFFERED=""))
    assert processes.finish(process) == (3, "out", "err")


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")


@FULL
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_a_sentence_and_1(jar, unbuffered):
    with open("/dev/full", "w") as full:
        process = subprocess.run([sys.executable, f"{programs.BIN}/submit_job", "--home", jar.home, "true"],
                                 stdout=full, stderr=subprocess.PIPE, text=True,
                                 env=processes.environment(PYTHONUNBUFFERED=unbuffered))
    assert process.returncode == 1
    assert process.stderr == "submit_job: standard output: No space left on device: not everything could be printed\n"
    assert len(os.listdir(jar.unclaimed)) == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_ends_the_program_as_sigpipe_would(jar, unbuffered):
    process = programs.start("jobjar", "config", "--home", jar.home,
                             env=processes.environment(PYTHONUNBUFFERED=unbuffered), preexec_fn=_close_the_reader)
    assert processes.finish(process) == (128 + signal.SIGPIPE, "", "")


def _close_the_reader():
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def test_closed_standard_streams_are_no_trouble(jar):
    process = programs.start("submit_job", "--home", jar.home, "echo", "hello",
                             preexec_fn=lambda: [os.close(number) for number in (0, 1, 2)])
    assert processes.finish(process) == (0, "", "")
    [name] = os.listdir(jar.unclaimed)
    with open(os.path.join(jar.unclaimed, name)) as file:
        assert file.read() == "#!/bin/sh -f\necho hello\n"


def test_a_message_never_goes_to_standard_output_although_stderr_is_closed(jar):
    process = programs.start("submit_job", "--home", jar.home, preexec_fn=lambda: os.close(2))
    assert processes.finish(process) == (2, "", "")


# The option reader.

@pytest.fixture
def parser():
    made = options.Parser("prog", "Do it.", "exit status: 0")
    made.add_argument("-v", "--verbose", action="store_true", help="say more")
    made.add_argument("-q", "--quiet", action="store_true")
    made.add_argument("-n", "--number", type=int, metavar="N", default=7, help="how many")
    made.add_argument("--kind-of", choices=("a", "b"))
    return made


@pytest.mark.parametrize("words, number", [([], 7), (["-n", "-3"], -3), (["-n-3"], -3), (["--number=5"], 5),
                                           (["--number", "6"], 6), (["-vqn", "4"], 4)])
def test_an_option_takes_its_value_in_every_usual_spelling(parser, words, number):
    assert parser.parse(words).number == number


def test_flags_may_stand_together_and_apart(parser):
    for words in (["-vq"], ["-q", "-v"], ["--quiet", "--verbose"]):
        assert parser.parse(words).verbose and parser.parse(words).quiet
    assert not parser.parse([]).verbose


@pytest.mark.parametrize("words, said", [
    (["-x"], "there is no option -x"), (["--numb", "1"], "there is no option --numb"), (["-n"], "needs a value"),
    (["--number"], "needs a value"), (["--number=x"], "a whole number"), (["--verbose=1"], "takes no value"),
    (["--kind-of", "c"], "none of a, b"), (["-vx"], "there is no option -x"), (["word"], "one word too many")])
def test_a_wrong_word_is_named(parser, words, said):
    with pytest.raises(UsageError, match=said):
        parser.parse(words)


@pytest.mark.parametrize("nargs, words, value", [
    (None, ["a"], "a"), ("?", [], None), ("?", ["a"], "a"), ("*", [], []), ("*", ["a", "b"], ["a", "b"]),
    ("+", ["a", "-v", "b"], ["a", "b"]), ("+", ["--", "-v"], ["-v"]), ("*", ["-"], ["-"]),
    (options.REMAINDER, ["-v", "a", "-v", "--", "b"], ["a", "-v", "--", "b"]),
    (options.REMAINDER, ["--", "-v", "a"], ["-v", "a"])])
def test_positionals_take_what_no_option_takes(parser, nargs, words, value):
    parser.add_argument("thing", nargs=nargs)
    assert parser.parse(words).thing == value


@pytest.mark.parametrize("nargs", [None, "+"])
def test_a_positional_that_is_missing_is_named(parser, nargs):
    parser.add_argument("thing", nargs=nargs, metavar="THING")
    with pytest.raises(UsageError, match="THING is missing"):
        parser.parse(["-v"])


def test_help_shows_usage_options_and_exit_status(parser):
    parser.add_argument("thing", nargs="+", metavar="THING", help="what to do it to")
    text = parser.help()
    assert text.startswith("usage: prog [-v] [-q] [-n N] [--kind-of KIND_OF] THING ...\n\nDo it.\n\noptions:\n")
    assert "\n  -n, --number N          how many\n" in text and text.endswith("\n\nexit status: 0\n")
