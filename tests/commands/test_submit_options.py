"""submit_job with the options of the table: on the command line, in a file, and wrong."""

import os

import pytest
from support import jars, programs

from jobjar import directives, wishes
from jobjar.directives import OPTIONS, OWN

TYPED = [option for option in OPTIONS.values() if option.kind != OWN]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The directory from which is submitted."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return str(place)


def request_of(jar):
    request = directives.read(os.fsencode(jars.only_job(jar)[1]))
    return {key: value for key, value in request.items() if key not in ("submit_dir", "submit_host")}


@pytest.mark.parametrize("words", [["--time=1h", "--tag", "a", "--tag=b"], ["--tag=a", "--time", "2h", "--time=1h", "--tag=b"]])
def test_options_stand_before_the_command_with_or_without_a_sign_of_equality(jar, submit, words):
    status, out, err = submit(*words, "-p", "3", "echo", "--time=2h", "--nonsense")
    assert (status, err) == (0, "") and request_of(jar) == {"time": 3600, "tag": ["a", "b"]}
    path, text = jars.only_job(jar)
    assert path == f"unclaimed/{out.strip()}.3" and text.endswith("\necho --time=2h --nonsense\n")


def test_a_flag_takes_no_word_away(jar, submit):
    assert submit("--no-requeue", "echo", "hi")[0] == 0
    assert request_of(jar) == {"no_requeue": True} and jars.only_job(jar)[1].endswith("\necho hi\n")


def test_hold_and_begin_say_where_the_job_goes_and_its_id_is_printed_all_the_same(jar, submit):
    _, out, _ = submit("--hold", "-c", "C", "echo")
    assert jars.only_job(jar) == (f"held/C/{out.strip()}.0", "#!/bin/sh -f\necho\n")
    os.unlink(f"{jar.home}/{jars.only_job(jar)[0]}")
    _, out, _ = submit("--begin=now+1h", "echo")
    assert jars.only_job(jar)[0] == f"waiting/{out.strip()}.0"


def test_a_file_s_own_lines_are_obeyed_and_the_command_line_counts_for_more(jar, submit, here):
    jars.write(here + "/job", "#!/bin/sh\n#JJ -p 5 -i word --nice=1 --comment=x\necho\n")
    _, out, _ = submit("--nice=2", "-p", "0", "-f", "job")
    assert jars.only_job(jar)[0] == f"unclaimed/{out.strip()}.0" and out.endswith("-word\n")
    assert request_of(jar) == {"nice": 2, "comment": "x"}


def test_a_file_with_a_wrong_line_is_refused_with_name_and_line(jar, submit, here):
    path = jars.write(here + "/job", "#!/bin/sh\n#JJ --nice=99\n")
    status, out, err = submit("-f", "job")
    assert (status, out) == (2, "") and err.startswith("submit_job: job, line 2: --nice: ") and err.count("\n") == 1
    os.unlink(path)
    jars.write(here + "/job", "#!/bin/sh\n: #JJ --nice=99\n\n#JJ --nice=99\n")
    assert submit("-f", "job")[0] == 0 and jars.only_job(jar)[1] == jars.read(here + "/job")


@pytest.mark.parametrize("option", TYPED, ids=lambda option: option.name)
def test_a_bad_value_of_each_option_is_one_sentence_exit_2_and_nothing_submitted(jar, submit, option):
    before = jars.tree(jar)
    word = f"--{option.name}=yes" if option.is_flag else f"--{option.name}="
    for words in ([word, "echo"], *([] if option.is_flag else [[f"--{option.name}"]])):
        status, out, err = submit(*words)
        assert (status, out) == (2, "") and err.startswith("submit_job: ") and err.count("\n") == 1
        assert (f"--{option.name}" in err or option.short) and jars.tree(jar) == before


@pytest.mark.parametrize("words, said", [
    (["--retry-delay=5m"], "--retry-delay means nothing without --retries or --requeue-on"),
    (["--from-json=-", "--each-line=-"], "--each-line and --from-json both say"),
    (["--no-requeue", "--retries=2"], "contradict each other"), (["--time=30s", "--signal=USR1"], "before the job begins"),
    (["--export=NO_SUCH_THING"], "no variable NO_SUCH_THING"), (["--export=JJ_HOME"], "JJ_HOME is set by the worker"),
    (["--mem=3"], "write 3M"), (["--time=90"], "write 90m or 90s"), (["--begin=soon"], "'soon' is no time"),
    (["--submit-dir=/x"], "no option --submit-dir"), (["--env=A=1"], "no option --env"),
    (["--men=3G"], "did you mean --mem?"), (["--zzz"], "--help lists them")])
def test_what_cannot_be_is_refused_with_the_reason(jar, submit, words, said):
    before = jars.tree(jar)
    status, out, err = submit(*words, "echo")
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1
    assert jars.tree(jar) == before


@pytest.mark.parametrize("words, said", [
    (["-m", "300"], "--mem=SIZE"), (["-n", "4"], "--cpus=N"), (["-t", "30"], "--time=LIMIT"), (["-J", "x"], "-i, --id=ID"),
    (["-o", "x"], "--output=FILE"), (["-e", "x"], "--error=FILE"), (["-r", "5"], "-p, --priority=N"),
    (["-a", "1-3"], "--array=INDICES"), (["-j", "x"], "-i, --id=ID"), (["-w", "n1"], "-c, --category"),
    (["-D", "/x"], "--chdir=DIR"), (["-H"], "write --hold"), (["-E", "A"], "--export="), (["-b", "now"], "--begin=TIME"),
    (["-d", "afterok:1"], "see --begin"),
    (["-h", "n1,n2"], "-c, --category"), (["--job-name=x"], "-i, --id=ID"), (["--cpus-per-task=4"], "--cpus=N")])
def test_the_letters_of_grun_and_sbatch_get_a_hint(submit, words, said):
    status, _, err = submit(*words, "echo")
    assert status == 2 and f"no option {words[0].partition('=')[0]}: " in err and said in err


# What grun, sbatch and srun take in one letter, without the manual's -p, -c, -i and -f.
@pytest.mark.parametrize("program", [("submit_job",), ("jobjar", "submit"), ("jobjar", "run")])
def test_none_of_their_letters_is_without_a_hint(program, jar):
    for letter in "AaBbCDdEeFGHhIJjKkLlMmNnOoPQqRrSsTtuVvWwXxZ":
        code, out, err = programs.run(*program, f"-{letter}", "n1", "true")
        assert (code, out) == (2, "") and f"there is no option -{letter}: " in err, letter
        assert "--help lists them" not in err, letter
    code, out, _ = programs.run(*program, "-h")
    assert code == 0 and out.startswith("usage: ")


def test_a_number_as_a_category_may_have_been_meant_otherwise(jar, submit):
    status, out, err = submit("-c", "4", "true")
    assert status == 0 and out and "for 4 processors write --cpus=4" in err
    assert submit("-c", "four", "true")[2] == ""
    assert "--cpus=4" in programs.run("jobjar", "run", "--home", jar.home, "-c", "4", "")[2]


def test_every_hint_leads_to_an_option_that_exists():
    assert set(wishes._ELSEWHERE.values()) <= {option.name for option in TYPED}


@pytest.mark.parametrize("program", [("submit_job",), ("jobjar", "submit")])
def test_help_shows_the_whole_table_and_nothing_that_nobody_types(program):
    code, out, _ = programs.run(*program, "--help")
    words = out.split()
    assert code == 0
    for option in TYPED:
        label = f"--{option.name}" + ("" if option.is_flag else f"={option.metavar}")
        assert words.count(label) == 1
    assert not [option for option in OPTIONS.values() if option.kind == OWN and f"--{option.name}=" in out]
    assert "-p, --priority=N" in out and "-f, --file FILE" in out and "COMMAND" in words


# The job runs elsewhere.

@pytest.fixture
def program(here):
    return jars.write(here + "/prog", "#!/bin/sh\n")


@pytest.mark.parametrize("words, warned", [
    (["./prog", "3"], True), (["./prog 3"], True), (["prog"], True), (["../here/prog"], True), (["./missing"], False),
    (["env"], False), (["--chdir=.", "./prog"], False), (["--snapshot=.", "./prog"], False), (["sh", "./prog"], False)])
def test_a_relative_path_that_exists_here_is_warned_of_and_submitted(submit, program, here, words, warned, jar):
    # Something of the same name as a program in PATH changes nothing.
    jars.write(here + "/env", "")
    status, out, err = submit(*words)
    assert status == 0 and out.count("\n") == 1
    assert os.listdir(jar.unclaimed) == [f"{out.strip()}.0"]
    assert err.count("\n") == int(warned) and (not warned or f"write {here}/prog" in err)


def test_a_name_that_is_found_in_path_is_not_warned_of_and_a_relative_path_is(submit, program, here, monkeypatch):
    monkeypatch.setenv("PATH", here + ":/bin:/usr/bin")
    assert submit("prog")[2] == "" and f"write {here}/prog, or --chdir=." in submit("./prog")[2]


@pytest.mark.parametrize("option, says", [
    ("chdir=nodir", "there is no such directory here"), ("output=/nonexistent/x", "no directory /nonexistent here"),
    ("error=.", "that is a directory here"), ("wrap-with=nonesuch -x", "there is no program nonesuch here"),
    ("wrap-with=/no/such", "there is no program /no/such here"), ("chdir=nodir --output=x", "no such directory here")])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_what_is_not_here_is_warned_of_and_submitted(submit, here, jar, option, says, in_a_file):
    words = [f"--{part}" for part in option.split(" --")]
    if in_a_file:
        jars.write(here + "/job", "#!/bin/sh\n#JJ " + " ".join(f"'{word}'" for word in words) + "\ntrue\n")
        os.chmod(here + "/job", 0o700)
        words = ["-f", "job"]
    else:
        words.append("true")
    status, out, err = submit(*words)
    assert status == 0 and os.listdir(jar.unclaimed) == [f"{out.strip()}.0"]
    assert err.count("\n") == 1 and says in err and "on such a node the job is refused" in err


@pytest.mark.parametrize("words", [
    ["--chdir=."], ["--output=x"], ["--output=/nonexistent%a/%N/x"], ["--output=%j", "--error=/dev/null"],
    ["--wrap-with=env A=1"], ["--wrap-with=./not-yet"], ["--export=ALL", "--wrap-with=mine"], ["--time=1h"]])
def test_what_is_here_or_may_be_is_not_warned_of(submit, here, monkeypatch, words):
    os.chmod(jars.write(here + "/mine", "#!/bin/sh\n"), 0o700)
    monkeypatch.setenv("PATH", here + ":/bin:/usr/bin")
    status, _, err = submit(*words, "true")
    assert (status, err) == (0, "")


def test_a_whole_path_is_not_warned_of(submit, program):
    assert submit(program)[2] == ""
