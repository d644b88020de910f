"""docs/coming-from.md: each command that it says is ours does in a real jar what whoever types it there can expect."""

import io
import os
import re
import shlex
import sys

import pytest
from support import jars, processes, programs, workers
from support.processes import TOP

from jobjar import cli, config, wishes

PAGE = jars.read(os.path.join(TOP, "docs", "coming-from.md"))
GUIDE = jars.read(os.path.join(TOP, "docs", "guide.md"))

# What the page's words in capitals stand for in the directory where all is typed.
PLACEHOLDERS = {"COMMAND": "echo said", "FILE": "job.sh", "DIR": "dir", "TEXT": "words", "USER": "root"}
CATEGORIES = ("PARTITION", "NODE", "gpu")
# Those about jobs that wait, and about jobs that somebody holds; all others are about jobs that have ended.
OF_WAITING = ("cancel", "hold", "first", "edit", "move", "explain")
OF_HELD = ("release",)
# Part of a command line → what it makes of the item /a/b.c.
OF_ITEMS = {"{}": "/a/b.c", '"$JJ_ENTRY"': "/a/b.c", '"${JJ_ENTRY%.*}"': "/a/b", '"${JJ_ENTRY##*/}"': "b.c",
            '"${JJ_ENTRY%/*}"': "/a", "$JJ_ARRAY_TASK_ID": "1"}


def ours():
    """What stands in backquotes in the last column of each table, once each."""
    rows = [line.rstrip("|").rpartition("|")[2] for line in PAGE.splitlines() if re.match(r"\| [`w]", line)]
    return list(dict.fromkeys(word for row in rows for word in re.findall(r"`([^`]+)`", row)))


VARIABLES = [text for text in ours() if re.fullmatch(r"JJ_\w+", text)]
PARTS = [text for text in ours() if text in OF_ITEMS]
LINES = [text for text in ours() if text not in VARIABLES and text not in PARTS]


@pytest.fixture
def here(jar, tmp_path, monkeypatch):
    """The jar of somebody who has changed into a directory with a job and some data."""
    for name, value in {**processes.environment(JJ_HOME=jar.home, JJ_NODE=workers.NODE), "A": "1", "B": "2",
                        "USER": "root", "VISUAL": "true"}.items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "here"
    (place / "dir").mkdir(parents=True)
    jars.write(str(place / "job.sh"), "#!/bin/sh\ntrue\n")
    jars.write(str(place / "job.sh.json"), '[{"a": 1}, 2]')
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    return jar


def type_in(text):
    """The exit status of a command line of ours."""
    program, *words = shlex.split(text)
    return cli.main(program, words)


def id_of(jar, capfd, text):
    assert type_in(text) == 0
    return capfd.readouterr().out.strip()


def drain(jar):
    workers.drain(jar, *CATEGORIES)


def ended_badly(jar):
    return sorted(os.listdir(jar.failed))


@pytest.mark.parametrize("text", [text for text in LINES if text.startswith(("submit_job", "-", "#JJ", "jobjar run"))])
def test_what_submits_is_run_to_a_good_end(text, here, capfd):
    text = filled(text)
    if text.startswith("jobjar run"):
        with workers.working(here):
            assert type_in(text) == 0
        return
    if text.startswith("#JJ"):
        jars.write("asking", f"#!/bin/sh\n{text}\ntrue\n")
        text = "submit_job -f ./asking"
    elif text.startswith("-"):
        text = f"submit_job {text} 'touch result' {'::: a' if '--max-fails' in text and '--array' not in text else ''}"
    assert id_of(here, capfd, text)
    drain(here)
    assert ended_badly(here) == []
    put_aside = [name for state in (here.held, here.waiting) for name in os.listdir(state)]
    is_to_wait = any(word in text for word in ("--hold", "--begin=now+"))
    # That hour may come while the test runs.
    assert "--begin=16:00" in text or bool(put_aside) == is_to_wait and bool(os.listdir(here.completed)) == (not is_to_wait)


def filled(text):
    for word, meaning in PLACEHOLDERS.items():
        text = re.sub(rf"(?<!\$)\b{word}\b", meaning, text)
    return text


@pytest.mark.parametrize("text", [text for text in LINES if text.startswith("jobjar ") and
                                  not text.startswith("jobjar run")])
def test_what_looks_at_jobs_or_changes_them_does_so(text, here, capfd):
    verb = text.split()[1]
    one, array, is_to_end = prepare(here, capfd, verb)
    # One that was held, cancelled or retried can be so again.
    text = re.sub(r"\bJOB(?=_)", array, filled(text))
    text = re.sub(r"\bfit\b", "fit1", re.sub(r"\bJOB\b", one, text)).replace("$USER", login(one))
    if verb == "undrain":
        assert type_in("jobjar drain N") == 0
    assert type_in(text) == 0, capfd.readouterr().err
    said = capfd.readouterr()
    if verb not in ("wait", "drain", "undrain", "fetch"):
        assert said.out, said.err
    if is_to_end:
        drain(here)


def login(id):
    return id.split("-")[2]


def prepare(jar, capfd, verb):
    """(a job, an array of nine, whether workers can take them) as the verb needs them."""
    how = "-c NOBODY" if verb in OF_WAITING else "--hold" if verb in OF_HELD else ""
    # What nobody has fetched is not cleaned away.
    made = "--stage-out=result" if verb == "fetch" else ""
    one = id_of(jar, capfd, f"submit_job -i fit1 {made} {how} 'echo RE > result; cat result'")
    array = id_of(jar, capfd, f"submit_job -i many --array=1-9 {how} 'echo said; [ $JJ_ARRAY_TASK_ID != 7 ]'")
    if not how:
        drain(jar)
    return one, array, verb in ("retry", "release")


@pytest.mark.parametrize("text", PARTS)
def test_a_placeholder_stands_for_what_it_says(text, here, capfd):
    how = [f"echo {text}", ":::", "/a/b.c"] if text == "{}" else ["--each-line=items", f"echo {text}"]
    jars.write("items", "/a/b.c\n")
    id = id_of(here, capfd, shlex.join(["submit_job", *how]))
    drain(here)
    assert type_in(f"jobjar log {id}") == 0
    assert capfd.readouterr().out == OF_ITEMS[text] + "\n"


@pytest.mark.parametrize("text", [text for text in LINES if text.split()[0] in cli.PROGRAMS and
                                  not text.startswith("submit_job")])
def test_what_is_about_workers_can_be_typed(text, here):
    if text.split()[0] in ("start_worker", "check_workers"):
        assert programs.run(*text.split())[0] == 0
        assert type_in("stop_worker all") == 0
        processes.until(lambda: not processes.children(), "the worker's end")
    else:
        with workers.working(here):
            assert type_in(text) == 0


@pytest.mark.parametrize("name", [*VARIABLES, *re.findall(r"JJ_(?:MAX|LIMIT)_\w+", PAGE)])
def test_variables_and_settings_that_it_names_exist(name):
    assert name in config.KEYS or f"`{name}`" in GUIDE


def test_every_letter_for_which_there_is_a_hint_is_on_the_page():
    theirs = " ".join(line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `"))
    letters = [word for word in wishes._ELSEWHERE if not word.startswith("--")]
    assert letters and [word for word in letters if not re.search(rf"(?<![\w-]){word}(?!\w)", theirs)] == []


def test_nothing_that_is_ours_is_left_out():
    assert all(text.startswith(("submit_job", "-", "#JJ", "jobjar ")) or text.split()[0] in cli.PROGRAMS
               for text in LINES)
    assert set(PARTS) == set(OF_ITEMS)
