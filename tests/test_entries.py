"""Entries: whatever a list says comes back as it was, and the lines that keep it mean nothing to an interpreter."""

import json
import os
import subprocess
import sys

import pytest

from jobjar import entries
from jobjar.errors import UsageError

AWKWARD = ["", " ", "a b", "it's", '"', "$(rm x)", "`x`", "\\", "\\0101", "tab\there", "cr\rx", "new\nline", "ü", "\x7f",
           "#", "#JJ --mem=1G", "=begin", "%s", "é\u2028z", os.fsdecode(b"\xff\xfe"), "\\\\", "*", "~", "-n", "'''"]


def _kept(tmp_path, found, before=b"#!/bin/sh\n"):
    path = tmp_path / "job"
    path.write_bytes(before + entries.block(found, len(before)))
    return str(path)


def test_every_entry_is_read_back_alone_and_with_its_neighbours(tmp_path):
    found = entries.of_product([AWKWARD])
    path = _kept(tmp_path, found)
    for at, item in enumerate(AWKWARD):
        assert [entries.texts(entry) for entry in entries.read(path, len(found), at, 1)] == [[item]]
    assert entries.read(path, len(found), 3, 9) == found[3:12]


def test_lines_of_a_file_are_entries_as_they_are():
    data = b"plain\n\n  two words \nlast without newline"
    assert entries.of_lines(data) == [b"plain", b"", b"  two words ", b"last without newline"]
    odd = b"cr\r\nb\\s\n\xff\tx\n"
    assert [entries.texts(entry) for entry in entries.of_lines(odd)] == [["cr\r"], ["b\\s"], [os.fsdecode(b"\xff\tx")]]


def test_items_of_a_json_list_are_entries_in_json_on_one_line():
    items = [1, "two\nlines", {"x": [3, None]}, "é", "\ud800", 0.5, True]
    found = entries.of_json(json.dumps(items).encode())
    texts = [entries.texts(entry)[0] for entry in found]
    assert [json.loads(text) for text in texts] == items
    assert texts[2] == '{"x":[3,null]}' and texts[3] == '"é"' and not any("\n" in text for text in texts)


@pytest.mark.parametrize("data, what", [(b"{}", "no list"), (b"[1,", "no JSON"), (b"7", "no list"), (b"\xff", "no JSON"),
                                        (b"[" * 100_000, "no JSON")])
def test_what_is_no_json_list_is_refused(data, what):
    with pytest.raises(UsageError, match=what):
        entries.of_json(data)


def test_in_a_product_the_last_list_varies_fastest():
    found = entries.of_product([["a", "b"], ["1", "2", "3"]])
    assert [entries.texts(entry) for entry in found] == [[x, y] for x in "ab" for y in "123"]


@pytest.mark.parametrize("data, what", [(b"", "empty"), (b"a\nb\0c\n", "entry 2 contains a NUL"),
                                        (b"x" * 100_001, "longer than")])
def test_an_entry_that_no_variable_can_hold_is_refused(data, what):
    with pytest.raises(UsageError, match=what):
        entries.check(entries.of_lines(data), "--each-line=f")


def test_a_file_that_was_changed_behind_the_entries_is_told(tmp_path):
    found = entries.of_lines(b"a\nb\n")
    path = _kept(tmp_path, found)
    with open(path, "ab") as file:
        file.write(b"echo more\n")
    with pytest.raises(UsageError, match="not as its #JJ lines say"):
        entries.read(path, 2, 0, 1)
    with pytest.raises(UsageError, match="not as its #JJ lines say"):
        entries.read(path, 2000, 0, 1)


@pytest.mark.parametrize("interpreter", [["/bin/sh"], [sys.executable]])
def test_no_interpreter_reads_anything_into_the_lines(interpreter, tmp_path):
    path = _kept(tmp_path, entries.of_product([AWKWARD]), b"import sys\n" if "python" in interpreter[0] else b":\n")
    done = subprocess.run([*interpreter, path], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
