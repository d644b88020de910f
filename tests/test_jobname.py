"""What a file name says."""

import calendar
import os

import pytest

from jobjar import jobname
from jobjar.errors import UsageError


@pytest.mark.parametrize("name, parts", [
    ("run.sh", ("run.sh", 0)), ("run.sh.-3", ("run.sh", -3)), ("prog-1.2", ("prog-1", 2)), ("a", ("a", 0)),
    ("a.+7", ("a", 7)), ("a.", ("a.", 0)), (".5", (".5", 0)), ("a.1234567890", ("a.1234567890", 0)),
    ("a.1_000", ("a.1_000", 0)), ("a.٣", ("a.٣", 0)), ("a.-", ("a.-", 0)), ("a.0x1", ("a.0x1", 0)), ("a.007", ("a", 7)),
    ("a.999999999", ("a", 999999999)), ("a. 1", ("a. 1", 0))])
def test_the_part_after_the_last_dot_is_the_priority_when_it_is_a_number(name, parts):
    assert jobname.split(name) == parts


@pytest.mark.parametrize("priority", [0, 5, -3, 999_999_999])
def test_what_is_joined_is_split_again(priority):
    assert jobname.split(jobname.join("a~2", priority)) == ("a~2", priority)


@pytest.mark.parametrize("text", ["", "ten", "1.5", "1_000", "--1", "1234567890", "٣", " 1"])
def test_a_priority_that_is_no_number_is_refused_with_a_sentence(text):
    with pytest.raises(UsageError, match="priority"):
        jobname.parse_priority(text)


@pytest.mark.parametrize("name, following", [
    ("a.5", "a~2.5"), ("a~2.5", "a~3.5"), ("a~9.5", "a~10.5"), ("a", "a~2"), ("a~2", "a~3"), ("run.sh", "run.sh~2"),
    ("~2.5", "~2~2.5"), ("a~x.5", "a~x~2.5"), ("a~1234567890.5", "a~1234567890~2.5"), ("a.-3", "a~2.-3")])
def test_the_next_name_counts(name, following):
    assert jobname.next_name(name) == following


@pytest.mark.parametrize("base", ["x" * 255, "ä" * 127, "x" + "😀" * 63])
def test_a_long_name_is_cut_between_characters_and_keeps_its_priority(base):
    following = jobname.next_name(base[:126] + ".5" if len(base.encode()) > 253 else base + ".5")
    assert len(following.encode()) <= 255
    assert following.endswith("~2.5")
    assert jobname.next_name(base).encode().decode() == jobname.next_name(base)
    assert len(jobname.next_name(base).encode()) <= 255


def test_a_name_that_is_no_utf8_survives():
    name = b"a\xff".decode("utf-8", "surrogateescape") + ".0"
    assert jobname.next_name(name).encode("utf-8", "surrogateescape") == b"a\xff~2.0"


@pytest.mark.parametrize("login", ["me", "me-too", "me-123456789-x"])
def test_the_number_of_our_own_names_is_found(login):
    name = jobname.unique("20261121-101500", "000001234", login, "try", 5, 7)
    assert name == f"20261121-101500-{login}-000001234-try_7.5"
    assert jobname.number(name)[:14] == "20261121101500"
    assert len(jobname.number(name)) == 23


@pytest.mark.parametrize("day", ["19700101", "19991231", "20000229", "20240229", "20240301", "20261121", "21000301"])
def test_when_it_was_submitted_is_what_the_calendar_says(day):
    fields = int(day[:4]), int(day[4:6]), int(day[6:]), 23, 59, 58
    assert jobname.submitted(f"{day}-235958-me-250000123.0") == calendar.timegm(fields) + 0.25


@pytest.mark.parametrize("name", ["20261399-101010-me-123456789.0", "20260001-101010-me-123456789", "a.0"])
def test_a_name_that_says_no_day_does_not_say_when_it_was_submitted(name):
    assert jobname.submitted(name) is None


def test_a_name_of_our_own_that_was_taken_keeps_its_number():
    name = jobname.unique("20261121-101500", "000001234", "me", None, 5)
    assert jobname.number(jobname.next_name(name)) == jobname.number(name)


@pytest.mark.parametrize("name", ["a.0", "20261121-101500-me.0", "20261121-101500-me-12345678.0", "x" * 60,
                                  "20261121x101500-me-000001234.0"])
def test_other_names_have_no_number(name):
    assert jobname.number(name) is None


@pytest.mark.parametrize("base, index", [("a_7", 7), ("a", 0), ("a_x", 0), ("a_b_10", 10)])
def test_an_array_index_is_a_number(base, index):
    assert jobname.array_index(base) == index


def test_a_login_that_cannot_stand_in_a_name_is_made_plain():
    assert "-me_there-" in jobname.unique("20261121-101500", "000001234", "me@there", None, 0)
    assert "-nobody-" in jobname.unique("20261121-101500", "000001234", "", None, 0)


@pytest.mark.parametrize("word", ["", "a/b", "..", "a..b", "a b", "a\n", "\x1b[0m", "x" * 65])
def test_a_bad_identifier_is_refused_with_a_sentence(word):
    with pytest.raises(UsageError, match="identifier"):
        jobname.check_id(word)


@pytest.mark.parametrize("word", ["", "a/b", "..", ".hidden", "-x", "a,b", "a\tb", "x" * 101])
def test_a_bad_category_is_refused_with_a_sentence(word):
    with pytest.raises(UsageError, match="category"):
        jobname.check_category(word)


def test_good_words_are_given_back():
    assert jobname.check_id("test_run.2") == "test_run.2"
    assert jobname.check_category("AMD_OPTERON") == "AMD_OPTERON"


@pytest.mark.parametrize("name, edited", [
    ("a.5", "a~edit.5"), ("run.sh", "run.sh~edit.0"), ("a~2.-3", "a~2~edit.-3"), ("a_7.0", "a_7~edit.0")])
def test_a_job_that_is_edited_has_a_name_that_says_so_and_the_one_before(name, edited):
    assert jobname.edited(name) == edited
    assert jobname.split(jobname.unedited(edited)) == jobname.split(name)
    assert jobname.unedited(jobname.next_name(edited)) == jobname.unedited(edited)


@pytest.mark.parametrize("name", ["a.5", "~edit.5", "a~editor.5", "a~edit~x.5", "edit.5", "a~2.5"])
def test_other_names_are_no_edited_jobs(name):
    assert jobname.unedited(name) is None


def test_the_name_of_an_edited_job_is_not_too_long():
    assert len(os.fsencode(jobname.edited("é" * 127 + ".5"))) <= jobname.NAME_MAX
