"""The words of a #JJ line: taken apart as people expect, and whatever is quoted comes back unchanged."""

import os
import random

import pytest

from jobjar import words
from jobjar.errors import UsageError


@pytest.mark.parametrize("line, found", [
    ("", []), ("   \t ", []), ("--mem=3G", ["--mem=3G"]), (" -p  3\t-c X ", ["-p", "3", "-c", "X"]),
    ("--mem=3G\r", ["--mem=3G"]), ("--comment='a  b'", ["--comment=a  b"]), ('"--comment=a b"c', ["--comment=a bc"]),
    (r"a\ b", ["a b"]), (r"'a\nb'", [r"a\nb"]), (r'"a\nb\tc\x41\xff"', ["a\nb\tcA\udcff"]), (r'"\"\\"', ['"\\']),
    (r"a\nb", ["anb"]), ("''", [""]), ('--x=""', ["--x="]), ("it=\"'\"", ["it='"])])
def test_a_line_is_taken_apart_as_in_a_shell(line, found):
    assert words.split(line) == found


@pytest.mark.parametrize("line, found", [
    ("--mem=3G # it needs less", ["--mem=3G"]), ("# nothing 'here", []), ("--comment=a#b", ["--comment=a#b"]),
    ("'#' x", ["#", "x"])])
def test_what_follows_a_word_that_begins_with_a_hash_is_for_people(line, found):
    assert words.split(line) == found


@pytest.mark.parametrize("line, said", [
    ("'open", "mark ' is not closed"), ('a "open', 'mark " is not closed'), ("a\\", "last character"),
    ('"a\\', "last character"), (r'"\x4"', "is no byte"), (r'"\xzz"', "is no byte")])
def test_an_unfinished_line_is_refused_with_the_reason(line, said):
    with pytest.raises(UsageError, match=said):
        words.split(line)


def test_a_plain_word_is_left_as_it_is_for_people_to_read():
    for word in ("--time=1h30m", "--array=1-100:2,200%5", "--chdir=/home/ann/x_y", "--begin=2026-12-24T18:00:00Z"):
        assert words.quote(word) == word


def test_every_byte_comes_back_from_a_quoted_word_on_one_line_that_is_utf_8():
    for byte in range(1, 256):
        for raw in (bytes([byte]), b"a%cb" % byte, b"%c%c" % (byte, byte), b"#%c" % byte):
            word = os.fsdecode(raw)
            quoted = words.quote(word)
            assert words.split(f"x {quoted} y") == ["x", word, "y"]
            line = quoted.encode("utf-8")
            assert not set(line) & set(range(32)) and b"\x7f" not in line


def test_any_words_come_back_from_one_line(seed=7):
    chance = random.Random(seed)
    for _ in range(2000):
        made = ["".join(chance.choice("ab'\"\\ \t\n#x4nÄ€\udcff\r$`") for _ in range(chance.randrange(6)))
                for _ in range(chance.randrange(4))]
        assert words.split(" ".join(map(words.quote, made))) == made
