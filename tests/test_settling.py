"""What of a request can be obeyed: contradictions, files moved in by hand, and what --export brings along."""

import random

import pytest

from jobjar import settling, words
from jobjar.directives import OPTIONS
from jobjar.errors import UsageError


@pytest.mark.parametrize("lines, left", [
    (b"", {}), (b"#JJ --nice=3\n", {"nice": 3}), (b"#JJ -p 5 -c C -i x --nice=3\n", {"nice": 3}),
    (b"#JJ --export=NONE\n", {"env": []}), (b"#JJ --export=A=1,B=\n", {"env": ["A=1", "B="]}),
    (b"#JJ --env=A=0 --export=A=1\n", {"env": ["A=0", "A=1"]}),
    (b"#JJ --chdir=/x --output=y\n", {"chdir": "/x", "output": "y"}), (b"#JJ --output=/y\n", {"output": "/y"}),
    (b"#JJ --begin=1970-01-01T00:00:05Z\n", {"begin": 5.0}),
    (b"#JJ --hold --submit-dir=/x\n", {"submit_dir": "/x"}),
    (b"#JJ --array=1-3 --submit-dir=/x\n", {"array": "1-3", "submit_dir": "/x"}),
    (b"#JJ --snapshot=. --staged=ab\n", {"snapshot": ".", "staged": "ab"})])
def test_a_worker_obeys_what_needs_no_submission(lines, left):
    assert settling.claimed(b"#!/bin/sh\n" + lines) == left


@pytest.mark.parametrize("option", [
    "export=ALL", "export=A=1,HOME", "chdir=here", "output=here", "error=./here", "begin=now+2h", "begin=18:00",
    "begin=tomorrow", "array=1-3", "each-line=x", "from-json=x", "snapshot=.", "stage-in=x",
    "hold"])
def test_what_only_a_submission_can_work_out_is_refused_with_its_line_and_the_remedy(option):
    name = option.partition("=")[0]
    with pytest.raises(UsageError, match=f"^line 3: --{name} .*submit_job -f"):
        settling.claimed(f"#!/bin/sh\n#JJ --nice=1\n#JJ --{option}\n#JJ --comment=x\n".encode())


CONTRADICTIONS = [
    ("--per-job=2", "per-job", "array"), ("--max-fails=2", "max-fails", "array"),
    ("--each-line=x --from-json=x", "each-line", "from-json"), ("--no-requeue --retries=2", "no-requeue", "retries"),
    ("--no-requeue --requeue-on=85", "no-requeue", "requeue-on"), ("--retry-delay=1m", "retry-delay", "retries"),
    ("--signal=USR1", "signal", "time"), ("--open-mode=append", "open-mode", "output"),
    ("--chdir=/x --stage-in=y", "chdir", "stage-in"), ("--chdir=/x --snapshot=y", "chdir", "snapshot"),
    ("--time=1m --signal=USR1", "signal", "time"), ("--time=1m --signal=USR1@61", "signal", "time")]


@pytest.mark.parametrize("text, first, second", CONTRADICTIONS)
def test_what_cannot_be_together_or_alone_is_refused(text, first, second):
    with pytest.raises(UsageError, match=f"^line 2: --{first} .*--{second}"):
        settling.claimed(f"\n#JJ {text}\n".encode())


@pytest.mark.parametrize("text", [
    "--retry-delay=1m --retries=2", "--retry-delay=1m --requeue-on=85", "--time=61s --signal=USR1",
    "--open-mode=append --error=/x", "--no-requeue --begin=2026-12-24"])
def test_what_belongs_together_is_taken(text):
    settling.claimed(f"#JJ {text}\n".encode())


ENVIRONMENT = {"HOME": "/home/ann", "A": "a\nb=c,\udcff", "JJ_HOME": "/jar", "JJ_X": "1", "PWD": "/p", "OLDPWD": "/o",
               "SHLVL": "2", "_": "/bin/x", "TMPDIR": "/t", "BASH_FUNC_f%%": "() { :; }"}


@pytest.mark.parametrize("text, found", [
    ("NONE", []), ("A", ["A=a\nb=c,\udcff"]), ("A,HOME", ["A=a\nb=c,\udcff", "HOME=/home/ann"]),
    ("B=1,C=", ["B=1", "C="]), ("HOME=/x", ["HOME=/x"]), ("HOME,HOME=/x", ["HOME=/x"]), ("NONE,A=1", ["A=1"]),
    ("ALL", ["HOME=/home/ann", "A=a\nb=c,\udcff", "BASH_FUNC_f%%=() { :; }"]),
    ("ALL,A=1,N=2", ["HOME=/home/ann", "A=1", "BASH_FUNC_f%%=() { :; }", "N=2"]), ("PWD,TMPDIR=/x", ["PWD=/p", "TMPDIR=/x"])])
def test_export_brings_what_is_named_and_never_what_is_the_workers(text, found):
    assert settling.exported(text, ENVIRONMENT) == found


def test_a_variable_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="no variable HOEM"):
        settling.exported("A,HOEM", ENVIRONMENT)


VALUES = ["", "1", "0", "-1", "9" * 5000, "1" * 20, "1.5", "90m", "1:2", "1-2:3", "now+1h", "18:00", "2026-12-24", "USR1@",
          "ALL", "A=1", ",", "/x", "..", "\0", "\udcff", "é½١", "%", "5%2", "1-9:2", "NONE,=", "0777", "1e9", "inf",
          "nan", "T", "Z", "x" * 2000, "2026-99-99T99:99Z", "tomorrow", "@60", "1G", "1P" * 9, "'", '"', "\\", "#"]


def test_a_worker_that_reads_any_head_at_all_takes_it_or_refuses_it_and_never_fails(seed):
    chance = random.Random(seed)
    names = [*OPTIONS, "nonsense", ""]
    for _ in range(8000):
        lines = []
        for _ in range(chance.randrange(1, 4)):
            value = "".join(chance.choice(VALUES) for _ in range(chance.choice((1, 1, 1, 2))))
            word = f"--{chance.choice(names)}" + chance.choice(("=", " ", "")) + chance.choice((value, words.quote(value)))
            lines.append("#JJ " + word)
        try:
            settling.claimed("\n".join(lines).encode("utf-8", "surrogateescape"))
        except UsageError as error:
            assert str(error).startswith("line ")
