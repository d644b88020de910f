"""unique_job_name: a path for those who write their own submit_job."""

import os

import pytest
from support import jars, processes, programs

from jobjar import cli, jobname

# The manual's example, with the file that it submits.
EXAMPLE = """
jobname=`"$PYTHON" "$BIN/unique_job_name" $OPTIONS`
cp "$JOB" $jobname
mv $jobname $JJ_HOME/unclaimed
unset jobname
"""


def name(jar, capsys, *words):
    assert cli.main("unique_job_name", ["--home", jar.home, *words]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\n") and os.path.dirname(out) == jar.limbo
    return os.path.basename(out.rstrip("\n"))


def test_it_is_an_absolute_path_in_limbo_and_nothing_is_made(jar, capsys):
    before = jars.tree(jar)
    assert jobname.split(name(jar, capsys))[1] == 0
    assert jars.tree(jar) == before


def test_p_is_the_priority(jar, capsys):
    assert jobname.split(name(jar, capsys, "-p", "15"))[1] == 15
    assert jobname.split(name(jar, capsys, "-p", "-2"))[1] == -2


def test_i_is_a_word_in_the_name(jar, capsys):
    assert name(jar, capsys, "-i", "test_run").endswith("-test_run.0")


def test_no_two_are_the_same(jar, capsys):
    names = [name(jar, capsys) for _ in range(100)]
    assert names == sorted(set(names))


@pytest.mark.parametrize("options, priority", [("", 0), ("-p 15", 15)])
def test_the_manuals_example_submits_a_job(jar, tmp_path, options, priority):
    job = jars.write(str(tmp_path / "standalone_job"), "#!/bin/sh\necho hello\n")
    env = processes.environment(PYTHON=processes.sys.executable, BIN=programs.BIN, JOB=job, OPTIONS=options,
                                JJ_HOME=jar.home)
    assert processes.finish(processes.spawn("sh", "-e", "-c", EXAMPLE, env=env)) == (0, "", "")
    [made] = os.listdir(jar.unclaimed)
    assert jobname.split(made)[1] == priority and os.access(f"{jar.unclaimed}/{made}", os.X_OK)


@pytest.mark.parametrize("words", [["-p", "x"], ["-i", "a/b"], ["-c", "LINUX"], ["word"]])
def test_bad_input_is_exit_2_and_prints_no_name(jar, capsys, words):
    assert cli.main("unique_job_name", ["--home", jar.home, *words]) == 2
    assert capsys.readouterr().out == ""
