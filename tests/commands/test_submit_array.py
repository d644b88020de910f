"""submit_job makes many jobs of one: --array, --each-line, --from-json, ::: and --per-job; and what it refuses."""

import io
import json
import os
import sys

import pytest
from support import jars, processes, workers

from jobjar import jobname

SHOW = 'printf "%s|%s|%s;" "$JJ_ARRAY_TASK_ID" "$JJ_ENTRY" "$JJ_ARRAY_TASK_COUNT"'


@pytest.fixture
def array(jar, submit):
    """Submit an array, which must succeed, and let a worker run it; index → what the task has printed."""
    def run(*words):
        status, out, err = submit(*words)
        assert (status, err) == (0, "") and out.count("\n") == 1
        before = len(os.listdir(jar.completed))
        count = len(list(workers.files(jar.unclaimed))) + len(list(workers.files(jar.waiting)))
        with workers.working(jar, "C"):
            processes.until(lambda: len(os.listdir(jar.completed)) == before + count and not os.listdir(jar.claimed))
        assert os.listdir(jar.limbo) == os.listdir(jar.failed) == []
        tasks = {jobname.array_task(name)[1]: name for name in os.listdir(jar.completed) if out.strip() in name}
        assert len(tasks) == count
        return {index: jars.read(jar.log(name)) for index, name in tasks.items() if os.path.exists(jar.log(name))}
    return run


@pytest.fixture
def listed(tmp_path):
    """A file with these lines; its path."""
    return lambda text, name="list": jars.write(str(tmp_path / name), text)


def names(jar, state="unclaimed"):
    return sorted(os.listdir(os.path.join(jar.home, state)))


def test_each_index_is_a_task_with_a_name_of_its_own_and_the_id_is_printed_alone(jar, submit):
    _, out, _ = submit("--array=1-5:2,20", "-p", "7", "-i", "word", "true")
    assert names(jar) == sorted(f"{out.strip()}_{index}.7" for index in (1, 3, 5, 20)) and "-word" in out


def test_tasks_are_told_their_index_and_the_array_they_belong_to(jar, array):
    assert array("--array=2-6:2", SHOW) == {2: "2||3;", 4: "4||3;", 6: "6||3;"}


def test_the_tasks_of_an_array_are_one_file(jar, submit):
    submit("--array=1-50", "-c", "C", "true")
    assert len({os.stat(path).st_ino for path in workers.files(jar.unclaimed)}) == 1
    assert len(list(workers.files(jar.directory("unclaimed", "C")))) == 50


def test_those_beyond_the_cap_wait_for_their_turn(jar, submit):
    _, out, _ = submit("--array=1-9%2", "true")
    assert names(jar) == [f"{out.strip()}_{index}.0" for index in (1, 2)]
    assert names(jar, "waiting") == [f"{out.strip()}_{index}.0" for index in range(3, 10)]


def test_a_capped_array_is_worked_off(array):
    assert set(array("--array=1-9%2", SHOW)) == set(range(1, 10))


@pytest.mark.parametrize("option, state", [("--hold", "held"), ("--begin=now+1h", "waiting")])
def test_an_array_can_be_held_or_begin_later_all_of_it(jar, submit, option, state):
    submit("--array=1-4%2", option, "true")
    assert len(names(jar, state)) == 4 and not names(jar)


def test_there_is_a_task_for_each_line(array, listed):
    assert array("--each-line", listed("a b\n\nit's\nlast"), SHOW) == {
        1: "1|a b|4;", 2: "2||4;", 3: "3|it's|4;", 4: "4|last|4;"}


def test_lines_may_come_from_standard_input(array, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\ny\n")))
    assert array("--each-line", "-", SHOW) == {1: "1|x|2;", 2: "2|y|2;"}


@pytest.mark.parametrize("option", ["--each-line", "--from-json"])
def test_braces_stand_for_the_entry_of_a_file_as_for_that_of_a_list(array, listed, option):
    path = listed("a b\nit's\n" if option == "--each-line" else '["a b", "it\'s"]')
    a, b = ("a b", "it's") if option == "--each-line" else ('"a b"', '"it\'s"')
    assert array(option, path, "printf '<%s>' {} 'x {1}'") == {1: f"<{a}><x {{1}}>", 2: f"<{b}><x {{1}}>"}


def test_with_a_list_the_array_says_which_entries_and_how_many_at_a_time(array, listed):
    path = listed("".join(f"line {number}\n" for number in range(1, 11)))
    assert array("--each-line", path, "--array", "2,8-10%2", SHOW) == {
        2: "2|line 2|4;", 8: "8|line 8|4;", 9: "9|line 9|4;", 10: "10|line 10|4;"}


def test_a_cap_alone_goes_with_a_list(jar, submit, listed):
    submit("--each-line", listed("a\nb\nc\n"), "--array=%1", "true")
    assert (len(names(jar)), len(names(jar, "waiting"))) == (1, 2)


def test_there_is_a_task_for_each_item_of_a_json_list_which_it_gets_as_json(array, listed):
    items = [{"x": 1, "y": ["é"]}, "two\nlines", None]
    found = array("--from-json", listed(json.dumps(items)), 'printf "%s" "$JJ_ENTRY"')
    assert [json.loads(found[index]) for index in (1, 2, 3)] == items and found[1] == '{"x":1,"y":["é"]}'


def test_there_is_a_task_for_each_combination_of_lists(array):
    found = array("echo", "{2}:{1}", ":::", "a b", "it's", ":::", "1", "2")
    assert found == {1: "1:a b\n", 2: "2:a b\n", 3: "1:it's\n", 4: "2:it's\n"}


def test_without_a_placeholder_the_items_come_last(array):
    assert array("printf", "'<%s>'", "x", ":::", "$(id)", "b", ":::", "1") == {1: "<x><$(id)><1>", 2: "<x><b><1>"}


def test_a_task_can_do_several_indices_one_after_the_other(jar, array):
    assert array("--array=1-7", "--per-job=3", SHOW) == {1: "1||7;2||7;3||7;", 4: "4||7;5||7;6||7;", 7: "7||7;"}


def test_a_task_of_several_entries_gets_one_after_the_other_as_a_file_too(array, listed):
    job = listed(f"#!/bin/sh\n#JJ --per-job=2\n{SHOW}", "job")
    assert array("-f", job, "--each-line", listed("a\nb\n\"c\n")) == {1: '1|a|3;2|b|3;', 3: '3|"c|3;'}


def test_a_file_may_say_of_itself_that_it_is_an_array(array, listed):
    assert array("-f", listed(f"#!/bin/sh\n#JJ --array=3-4\n{SHOW}\n", "job")) == {3: "3||2;", 4: "4||2;"}


def test_a_program_that_takes_no_comments_can_be_an_array_too(jar, submit, tmp_path):
    body = "#!/usr/bin/env node\nnot for any shell\n".encode()
    job = tmp_path / "job"
    job.write_bytes(b"#!/bin/cat\n" + body + b"\xff\0")
    job.chmod(0o700)
    assert submit("-f", str(job), ":::", "a", "b")[0] == 0
    workers.drain(jar)
    for name in os.listdir(jar.completed):
        with open(jar.log(name), "rb") as file:
            assert file.read() == b"#!/bin/cat\n" + body + b"\xff\0"


def test_the_last_line_of_a_file_may_be_without_its_newline_or_be_continued(array, listed):
    assert array("-f", listed("#!/bin/sh\necho x \\\n", "job"), ":::", "a", "b") == {1: "x\n", 2: "x\n"}
    assert array("-f", listed("#!/bin/sh\necho y", "other"), ":::", "a", "b") == {1: "y\n", 2: "y\n"}


def test_a_shell_does_not_read_on_through_the_entries(jar, submit, listed):
    submit("true", ":::", "a", "b")
    submit("-f", listed("#!/usr/bin/env python3\nprint(1)\n", "job"), ":::", "a", "b")
    texts = {jars.read(path) for path in workers.files(jar.unclaimed)}
    assert sorted("\nexit\n#:a\n#:b\n" in text for text in texts) == [False, True]
    assert all("\n#:a\n#:b\n#0" in text for text in texts)


@pytest.mark.parametrize("words", [["--output=%j"], ["--output=%4a", "--error=%x.%a"], ["--output=/dev/null"],
                                   ["--output=x", "--open-mode=append"]])
def test_a_file_of_its_own_for_each_task_or_one_that_is_appended_to_is_taken(submit, words, tmp_path):
    assert submit("--array=1-3", f"--chdir={tmp_path}", *words, "true")[::2] == (0, "")


# What is refused: one sentence, nothing submitted, nothing in limbo/.

REFUSED = [
    (["--array=1-1000000000", "true"], "more than 1000000 tasks"),
    (["--array=2000000000", "true"], "999999999"),
    (["--array=%3", "true"], "does not say which indices"),
    (["--array=1-3"], "the command is empty"),
    (["--each-line", "nowhere", "true"], "nowhere cannot be read: No such file"),
    (["--each-line", "/", "true"], "cannot be read"),
    (["--each-line", "empty", "true"], "empty: the list is empty"),
    (["--from-json", "empty", "true"], "no JSON"),
    (["--from-json", "object", "true"], "no list"),
    (["--from-json", "[]", "true"], "the list is empty"),
    (["--each-line", "nul", "true"], "entry 2 contains a NUL"),
    (["--each-line", "lines", "--from-json", "[]", "true"], "leave out one"),
    (["--each-line", "lines", "true", ":::", "a"], "leave out one"),
    (["--each-line", "lines", "--array=1,3", "true"], "entry 3, and the list has 2"),
    (["--each-line", "lines", "--array=0-1", "true"], "entry 0"),
    (["--array=1-3", "--output=all.%u", "true"], "one file for all tasks"),
    (["--array=1-3", "--output=%a", "--error=%x%%a", "true"], "--error=%x%%a is one file for all tasks"),
    (["true", ":::"], "empty list"),
    (["true", ":::", "a", ":::", ":::", "b"], "empty list"),
    ([":::", "a"], "the command is empty"),
    (["echo", "{3}", ":::", "a", ":::", "b"], "not there"),
    (["true", *[word for _ in range(7) for word in (":::", *"abcdefgh")]], "more than 1000000 tasks"),
    (["--per-job=3", "true"], "--per-job means nothing without"),
    (["--per-job=0", "--array=1-3", "true"], "--per-job"),
    (["--per-job=20", "--each-line", "long", "true"], "fewer into each"),
]


@pytest.mark.parametrize("words, what", REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED])
def test_what_cannot_be_an_array_is_refused_and_nothing_is_submitted(jar, submit, tmp_path, monkeypatch, words, what):
    monkeypatch.chdir(tmp_path)
    texts = {"empty": "", "object": "{}", "[]": "[]", "nul": "a\nb\0\n", "lines": "a\nb\n",
             "long": ("x" * 90_000 + "\n") * 20}
    for name, text in texts.items():
        jars.write(name, text)
    before = jars.tree(jar)
    status, out, err = submit(*words)
    assert (status, out) == (2, "") and what in err and err.count("\n") == 1
    assert jars.tree(jar) == before
