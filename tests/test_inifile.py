"""The grammar of config.ini, as the manual gives it."""

import pytest

from jobjar import inifile
from jobjar.errors import UsageError

# The manual's example; its pages lost the line breaks, which are put back where they must have been.
SAMPLE = """\
# Sample Job Jar configuration file

[Job Jar]

# Pause 5 minutes when no jobs are available
JJ_PAUSE_TIME: 300

# The check_workers program may start up to 4 workers on this node
JJ_MAX_WORKERS: 4

# The parent directory for the unclaimed, claimed, completed, and
# limbo directories
JJ_HOME: /opt/jobjar-1.0.0

# The parent directory for worker-specific directories
JJ_WORKER_HOME: /opt/jobjar_workers

# The categories workers will check for jobs
JJ_CATEGORIES: LINUX
"""


def values(text):
    return {name: value for name, (value, _) in inifile.parse(text, "f").items()}


def complaint(text):
    with pytest.raises(UsageError) as caught:
        inifile.parse(text, "/etc/jj/config.ini")
    return str(caught.value)


def test_the_sample_of_the_manual_is_accepted():
    assert inifile.parse(SAMPLE, "f") == {
        "JJ_PAUSE_TIME": ("300", 6), "JJ_MAX_WORKERS": ("4", 9), "JJ_HOME": ("/opt/jobjar-1.0.0", 13),
        "JJ_WORKER_HOME": ("/opt/jobjar_workers", 16), "JJ_CATEGORIES": ("LINUX", 19)}


def test_the_first_colon_or_equals_sign_ends_the_name():
    assert values("[Job Jar]\na: 1=2\nb=1:2\nc = x y \n\td:e\n") == {
        "a": "1=2", "b": "1:2", "c": "x y", "d": "e"}


def test_lines_with_either_comment_sign_are_ignored_everywhere():
    assert values("; one\n  # two\n[Job Jar]\n;a: 1\n#a: 2\na: 3\n") == {"a": "3"}


def test_a_comment_sign_inside_a_value_belongs_to_it():
    assert values("[Job Jar]\na: /jar#1;x\n") == {"a": "/jar#1;x"}


def test_an_empty_value_is_an_entry():
    assert values("[Job Jar]\na:\nb =  \n") == {"a": "", "b": ""}


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment", "\ufeff", "[Job Jar]", "  [Job Jar]  \n"])
def test_a_file_that_says_nothing_has_no_entries(text):
    assert inifile.parse(text, "f") == {}


def test_a_byte_order_mark_and_carriage_returns_do_not_count():
    assert inifile.parse("\ufeff[Job Jar]\r\n\r\na: 1\r\n", "f") == {"a": ("1", 3)}


def test_a_form_feed_is_no_end_of_line():
    assert inifile.parse("[Job Jar]\na: 1\x0c2\u20283\nb: 4", "f") == {"a": ("1\x0c2\u20283", 2), "b": ("4", 3)}


def test_an_entry_before_the_header_is_refused():
    assert complaint("# c\n\na: 1\n[Job Jar]\n") == (
        "/etc/jj/config.ini line 3 is 'a: 1': put the line [Job Jar] above it, the first line that is not a comment")


@pytest.mark.parametrize("header", ["[job jar]", "[JobJar]", "[Job Jar", "[DEFAULT]"])
def test_another_header_is_refused(header):
    assert complaint(f"{header}\n") == (
        f"/etc/jj/config.ini line 1 is '{header}': write [Job Jar] instead, the first line that is not a comment")


@pytest.mark.parametrize("header", ["[Other]", "[Job Jar]"])
def test_a_second_section_is_refused(header):
    assert complaint(f"[Job Jar]\na: 1\n{header}\n") == (
        f"/etc/jj/config.ini line 3 begins another section, '{header}':"
        " remove the line, [Job Jar] is the only section")


def test_a_name_that_comes_twice_is_refused_with_both_lines():
    assert complaint("[Job Jar]\na: 1\n\na=1\n") == (
        "/etc/jj/config.ini line 4 sets a again after line 2: remove one of the two lines")


@pytest.mark.parametrize("line", ["JJ_HOME /opt", ": x", "= x", "continued"])
def test_a_line_that_is_no_entry_is_refused(line):
    assert complaint(f"[Job Jar]\n{line}\n") == (
        f"/etc/jj/config.ini line 2 is '{line}': write it as 'name: value' or 'name=value', or begin it with '#'")
