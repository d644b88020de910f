"""Placeholders: an item comes to the program as one word and unchanged, wherever in the command line it stands."""

import subprocess

import pytest

from jobjar import placeholders
from jobjar.errors import UsageError

ITEMS = ["a  b", "it's", '"', "$(echo x)", "`echo x`", "*", ";", "\\", "-n", "", "a\nb", "$HOME", "' ; echo y '",
         '" ; echo y "']


def _words(command, lists, *items):
    """The arguments that `show` gets in the command, when these are the items."""
    names = ["JJ_ENTRY"] if lists == 1 else [f"JJ_ENTRY_{number}" for number in range(1, lists + 1)]
    script = 'show() { printf "%s\\0" "$@"; }\n' + placeholders.placed(command, lists)
    done = subprocess.run(["/bin/sh", "-fc", script], env={"PATH": "/bin:/usr/bin", **dict(zip(names, items))},
                          capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("command, before, behind", [
    ("show {}", "", ""), ("show x{}y", "x", "y"), ("show '{}'", "", ""), ("show 'it {} is'", "it ", " is"),
    ('show "{}"', "", ""), ('show "it {} is"', "it ", " is"), ("show {1}", "", ""), ("show", "", ""),
    ("(show {})", "", ""), ('show "it"\'s {}\'', "its ", ""), ("true \"a'b\"; show {}", "", ""),
    ("true \\'; show {}", "", ""), ("show \"`printf 'x'`{}\"", "x", "")])
def test_an_item_is_one_word_wherever_it_stands(item, command, before, behind):
    assert _words(command, 1, item) == [before + item + behind]


@pytest.mark.parametrize("item", [item for item in ITEMS if not item.endswith("\n")])
def test_an_item_is_one_word_in_a_command_within_the_command(item):
    assert _words('show "$(printf "<%s>" {})"', 1, item) == [f"<{item}>"]


def test_items_of_several_lists_stand_where_their_numbers_stand():
    assert _words("show {2} {1}{2} '{1}'", 2, "a b", "c'") == ["c'", "a bc'", "a b"]
    assert _words("show {}", 2, "a b", "c'") == ["a b", "c'"]
    assert _words("show 'x {} y'", 2, "a b", "c'") == ["x a b c' y"]
    assert _words('show "x {} y"', 2, "a b", "c'") == ["x a b c' y"]
    assert _words("show z", 2, "a b", "c'") == ["z", "a b", "c'"]


def test_what_is_no_placeholder_stays_as_it_is():
    assert _words("x=1; show ${x} \\{} '{ print $1 }' {a} {}", 1, "i") == ["1", "{}", "{ print $1 }", "{a}", "i"]


def test_of_the_entries_of_a_file_only_the_empty_braces_stand_for_one():
    assert placeholders.placed("show '{1}' {2,3} {a}", 0) == "show '{1}' {2,3} {a}"
    assert placeholders.placed("show x{}", 0) == placeholders.placed("show x{}", 1)


@pytest.mark.parametrize("command", ["show {3}", "show {0}", "show '{999}'"])
def test_a_list_that_is_not_there_is_refused(command):
    with pytest.raises(UsageError, match="not there.*2"):
        placeholders.placed(command, 2)
