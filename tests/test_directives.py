"""The table of options, #JJ lines in a file's head, and keyword arguments: three ways to say the same request."""

import json
import pathlib

import pytest

from jobjar import directives
from jobjar.directives import BY_KEY, HEAD_MAX, OPTIONS
from jobjar.errors import UsageError

G = 1024**3
# An example of each option: the text, and the value in a request.
EXAMPLES = {
    "priority": ("5", 5), "category": ("LINUX", "LINUX"), "id": ("x", "x"), "array": ("1-9:2%3", "1-9:2%3"),
    "each-line": ("-", "-"), "from-json": ("a.json", "a.json"), "per-job": ("10", 10),
    "begin": ("2026-12-24T18:00:00Z", 1798135200.0), "tag": ("red", ["red"]), "comment": ("for Ann", "for Ann"),
    "time": ("1h30m", 5400), "signal": ("USR1@60", "USR1@60"), "cpus": ("0.5", 0.5), "mem": ("3G", 3 * G),
    "cpu-time": ("1h", 3600), "file-size": ("1G", G), "address-space": ("8G", 8 * G), "nice": ("5", 5),
    "export": ("A=1,B", "A=1,B"), "chdir": ("/data", "/data"), "output": ("%j.out", "%j.out"),
    "error": ("/tmp/%j", "/tmp/%j"), "open-mode": ("append", "append"), "wrap-with": ("nice", "nice"),
    "snapshot": (".", "."), "stage-in": ("a,b", ["a", "b"]), "stage-out": ("c", ["c"]), "retries": ("3", 3),
    "retry-delay": ("5m", 300), "requeue-on": ("85,99", [85, 99]), "max-fails": ("2", 2), "submit-dir": ("/d", "/d"),
    "submit-host": ("rain", "rain"), "umask": ("022", 18), "env": ("A=b c", ["A=b c"]), "input": ("/dev/null",) * 2,
    "staged": ("ab12", "ab12"), "entries": ("7", 7), "feed": ("/s/in", "/s/in"),
}
FLAGS = [name for name, option in OPTIONS.items() if option.is_flag]


def test_every_option_has_an_example_here():
    assert EXAMPLES.keys() | set(FLAGS) == OPTIONS.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_option_is_read_written_and_read_back(name):
    text, value = EXAMPLES[name]
    request = {BY_KEY[name.replace("-", "_")].key: value}
    for line in (f"#JJ --{name}='{text}'", f"#JJ\t--{name} '{text}'  "):
        assert directives.read(line.encode()) == request
    assert directives.read(directives.lines(request)) == request
    assert json.loads(json.dumps(request)) == request


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_there_or_not_and_takes_no_value(name):
    assert directives.read(directives.lines({OPTIONS[name].key: True})) == {OPTIONS[name].key: True}
    with pytest.raises(UsageError, match=f"line 1: --{name} takes no value"):
        directives.read(f"#JJ --{name}=yes\n".encode())


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if not option.is_flag])
def test_a_bad_value_is_refused_with_its_line_and_its_option(name):
    with pytest.raises(UsageError, match=f"^line 3: --{name}: "):
        directives.read(f"#!/bin/sh\n# x\n#JJ --{name}=''\n".encode())
    with pytest.raises(UsageError, match=f"^line 1: --{name} needs a value"):
        directives.read(f"#JJ --{name}".encode())


# Which lines count.

@pytest.mark.parametrize("head, request_", [
    (b"", {}), (b"#!/bin/sh\necho\n", {}), (b"#JJ --nice=3", {"nice": 3}), (b"#JJ\n#JJ --nice=3\n", {"nice": 3}),
    (b"#!/bin/sh\r\n#JJ --nice=3\r\n#JJ -p 5\r\necho\r\n", {"nice": 3, "priority": 5}),
    (b"#!/bin/sh\n\n  \t\n  # x\n#JJ --nice=3\n", {"nice": 3}),
    (b"#!/bin/sh\necho\n#JJ --nice=3\n", {}), (b"#!/bin/sh\nset -e\n\n#JJ --bad\n", {}),
    (b"#JJX --nice=3\n", {}), (b"# JJ --nice=3\n", {}), (b" #JJ --nice=3\n", {}), (b"##JJ --nice=3\n", {}),
    (b"echo '\n#JJ --nice=3\n'", {}), (b"\x7fELF\n#JJ --nice=3\n", {}),
    (b"#JJ --nice=3 --mem 2G -c C -pX\n".replace(b"X", b"-2"), {"nice": 3, "mem": 2 * G, "category": "C",
                                                                "priority": -2}),
    (b"#JJ --nice=3 # a remark\n", {"nice": 3}), (b"#JJ --chdir=/\xff\xfe\n", {"chdir": "/\udcff\udcfe"}),
    (b"#!/usr/bin/env -S python3 -u\n# -*- coding: latin-1 -*-\n#JJ --nice=3\nprint()\n", {"nice": 3})])
def test_directives_are_lines_of_the_head_before_the_first_command(head, request_):
    assert directives.read(head) == request_


def test_a_later_line_counts_for_more_and_lists_grow():
    head = b"#JJ --nice=3 --nice=4 --tag=a\n#JJ --nice=5\n#JJ --tag=b --stage-in=x,y --stage-in=z\n"
    assert directives.read(head) == {"nice": 5, "tag": ["a", "b"], "stage_in": ["x", "y", "z"]}


@pytest.mark.parametrize("line, said", [
    (b"#JJ --men=3G", "'--men=3G' is no option"), (b"#JJ nice", "'nice' is no option"), (b"#JJ -x 3", "'-x' is no"),
    (b"#JJ --", "'--' is no option"), (b"#JJ --comment='a", "not closed"), (b"#JJ--nice=3", "lacks a blank"),
    (b"#JJ -f x", "'-f' is no option"), (b"#JJ --mem=\xff", "--mem: ")])
def test_a_line_that_makes_no_sense_is_refused_with_its_number(line, said):
    with pytest.raises(UsageError, match=f"^line 2: .*{said}"):
        directives.read(b"#!/bin/sh\n" + line + b"\necho\n")


def test_a_long_value_does_not_drown_the_reason():
    with pytest.raises(UsageError) as caught:
        directives.read(b"#JJ --mem=" + b"9" * 100_000 + b"Q\n")
    assert len(str(caught.value)) < 500 and str(caught.value).endswith("write it as 500M, 1.5G or 100K")


def test_a_directive_is_read_as_far_as_a_head_may_go_and_never_half():
    room = HEAD_MAX - len(b"#!/bin/sh\n")
    inside = b"#!/bin/sh\n" + b"#" * (room - 15) + b"\n#JJ --nice=13\n"
    assert len(inside) == HEAD_MAX and directives.read(inside) == {"nice": 13}
    cut = b"#!/bin/sh\n" + b"#" * (room - 14) + b"\n#JJ --nice=13\n"
    # What is cut off by the limit would be another number.
    assert cut[:HEAD_MAX].endswith(b"=13") and directives.read(cut) == directives.read(cut[:HEAD_MAX]) == {}
    assert not directives.may_go_on(cut[:HEAD_MAX])


@pytest.mark.parametrize("head, goes_on", [(b"", True), (b"#!/bin/sh\n", True), (b"#!/bin/sh\n# half", True),
                                           (b"#!/bin/sh\n\n", True), (b"#!/bin/sh\necho", False), (b"\x7fELF", False)])
def test_a_head_goes_on_as_long_as_no_command_has_begun(head, goes_on):
    assert directives.may_go_on(head) is goes_on


# Keyword arguments.

@pytest.mark.parametrize("name", EXAMPLES)
def test_a_keyword_takes_the_text_of_the_command_line_and_the_value(name):
    if OPTIONS[name].kind == directives.OWN:
        return
    text, value = EXAMPLES[name]
    key = OPTIONS[name].key
    assert directives.keywords({key: text}) == directives.keywords({key: value}) == {key: value}


@pytest.mark.parametrize("given, request_", [
    ({"time": 90}, {"time": 90}), ({"time": 1.5}, {"time": 1.5}), ({"mem": 1000}, {"mem": 1024}),
    ({"hold": True}, {"hold": True}), ({"hold": False}, {}), ({"time": None}, {}), ({"tag": "a"}, {"tag": ["a"]}),
    ({"tag": ("a", "b")}, {"tag": ["a", "b"]}), ({"chdir": pathlib.Path("/x")}, {"chdir": "/x"}),
    ({"requeue_on": (85, 99)}, {"requeue_on": [85, 99]}), ({"array": range(3)}, {"array": "0,1,2"}),
    ({"stage_in": [pathlib.Path("a"), "b"]}, {"stage_in": ["a", "b"]}),
    ({"stage_in": "a,b", "stage_out": ["a,b", "c\\,"]}, {"stage_in": ["a", "b"], "stage_out": ["a,b", "c\\,"]})])
def test_keywords_take_what_python_has(given, request_):
    assert directives.keywords(given) == request_


@pytest.mark.parametrize("given", [
    {"time": 0}, {"time": -5}, {"time": float("nan")}, {"time": True}, {"time": object()}, {"time": b"90m"},
    {"mem": float("inf")}, {"mem": []}, {"hold": "no"}, {"hold": 2}, {"chdir": b"/x"}, {"chdir": object()},
    {"tag": {"a"}}, {"cpus": -1}, {"nice": 2.5}, {"begin": 1e30}, {"begin": object()}, {"retries": "x"},
    {"export": {"A": 1}}, {"array": []}, {"nothing": 1}, {"submit_dir": "/x"}, {"env": "A=1"}, {"stage-in": "x"},
    {"comment": "\ud800"}, {"chdir": "/\ud800"}, {"export": "A=\ud800"}, {3: 4}])
def test_keywords_refuse_all_else(given):
    with pytest.raises(UsageError) as caught:
        directives.keywords(given)
    assert str(next(iter(given))).replace("_", "-") in str(caught.value).replace("_", "-")


def test_of_two_requests_the_second_counts_for_more_and_lists_are_joined():
    first = {"nice": 1, "tag": ["a", "b"], "mem": G}
    assert directives.merged(first, {"nice": 2, "tag": ["b", "c"]}) == {"nice": 2, "tag": ["a", "b", "c"], "mem": G}
    assert first == {"nice": 1, "tag": ["a", "b"], "mem": G}


@pytest.mark.parametrize("given", [{"time": -1}, {"time": -0.5}, {"retry_delay": -1}, {"mem": -2048}])
def test_what_is_refused_of_a_negative_number_is_quoted_as_it_was_given(given):
    (value,) = given.values()
    with pytest.raises(UsageError, match=f"'{value}'"):
        directives.keywords(given)
