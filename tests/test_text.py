"""What reaches a terminal: one line for one name, and nothing that a terminal would obey."""

import subprocess

import pytest

from jobjar import text

NASTY = {
    "plain-name_1.5": "plain-name_1.5",
    "größe 数": "größe 数",
    "two\nlines": r"two\x0alines",
    "red\x1b[31m": r"red\x1b[31m",
    "back\\slash": r"back\x5cslash",
    "not utf-8 \udcff": r"not utf-8 \xff",
    "right\u202eleft": r"right\xe2\x80\xaeleft",
    "csi\x9b": r"csi\xc2\x9b",
    "from json \ud800": r"from json \xed\xa0\x80",
}


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_shown_as_one_printable_line(name):
    assert text.escape(name) == NASTY[name]
    assert text.escape(name).isprintable()


@pytest.mark.parametrize("name", ["two\nlines", "a\\b", "\udcff", "\u202e", "\\x41"])
def test_printf_turns_what_is_shown_into_the_name_again(name):
    # The shell's own printf may know no \x.
    shown = subprocess.run(["bash", "-c", 'printf "$1"', "-", text.escape(name)], capture_output=True, check=True).stdout
    assert shown == name.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("seconds, shown", [(-5, "0s"), (0.9, "0s"), (59, "59s"), (125, "2m5s"), (3725, "1h2m"),
                                            (200000, "2d7h")])
def test_ages_are_rounded_down_and_never_negative(seconds, shown):
    assert text.age(seconds) == shown


@pytest.mark.parametrize("count, shown", [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0K"), (83886080, "80.0M"),
                                          (100 * 2**20 - 1, "99.9M"), (2**50, "1.0P")])
def test_sizes_are_rounded_down_so_that_too_little_never_looks_like_enough(count, shown):
    assert text.size(count) == shown


def test_a_table_is_aligned_and_numbers_stand_to_the_right():
    assert text.table([("unclaimed", 5), ("held", 100)], ("STATE", "JOBS")) == (
        "STATE      JOBS\n"
        "unclaimed     5\n"
        "held        100\n")


def test_a_table_cuts_nothing_off():
    assert "x" * 500 in text.table([("x" * 500, "y")], ("A", "B"))


def test_a_table_escapes_its_cells():
    assert text.table([("a\nb\x1b",)], ("A",)) == "A\na\\x0ab\\x1b\n"


def test_what_a_person_has_written_keeps_its_backslashes_in_a_table_and_a_name_does_not():
    assert text.columns([("a\\b", text.Words("a\\b\n"))]) == "a\\x5cb  a\\b\\x0a\n"


def test_a_column_that_is_empty_in_every_row_is_left_out():
    assert text.table([("a", "", "c")], ("A", "B", "C")) == "A  C\na  c\n"


def test_one_thing_is_not_called_several():
    assert [text.counted(count, "job") for count in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]


def test_a_sentence_keeps_its_backslashes_and_steers_no_terminal():
    assert text.sentence("a\\x0a\x1b[2J is no job") == "a\\x0a\\x1b[2J is no job"
