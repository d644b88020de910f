"""Durations and sizes, as people write them."""

import pytest

from jobjar import quantities
from jobjar.errors import UsageError

DURATIONS = {"90": 90, "1.5": 1.5, "90s": 90, "5m": 300, "1h30m": 5400, "2d": 172800, "1d2h3m4.5s": 93784.5, "0": 0,
             "1.5h": 5400, "36500d": 36500 * 86400}
SIZES = {"0": 0, "4096": 4096, "1.5k": 1536, "1.5K": 1536, "100M": 100 * 2**20, "1g": 2**30, "2T": 2**41, "1P": 2**50}


@pytest.mark.parametrize("text, seconds", DURATIONS.items())
def test_a_duration_is_seconds_or_numbers_with_units(text, seconds):
    assert quantities.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "+5", "1e3", "inf", "nan", "5x", "5M", "m", "30m1h", "1m1m", "1h30",
                                  "1..5", ".5", "5.", "5.s", "5 m", " 5", "1_000", "\u0665", "\u00b2", "9" * 5000])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="is not a duration: write seconds, or 90s, 5m, 1h30m, 2d"):
        quantities.parse_duration(text)


def test_a_duration_that_would_overflow_sleep_is_refused():
    with pytest.raises(UsageError, match="'36501d' is longer than a hundred years: write a shorter"):
        quantities.parse_duration("36501d")


@pytest.mark.parametrize("text, size", SIZES.items())
def test_a_size_is_bytes_or_a_number_with_a_power_of_1024(text, size):
    assert quantities.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1.5", "1.K", "1e3", "K", "1KB", "1 K", "1K1", "0x10", "\u0665",
                                  "9" * 5000])
def test_what_is_no_size_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="is not a size: write bytes, or 100K, 1.5M, 2G"):
        quantities.parse_size(text)


def test_a_size_beyond_any_file_system_is_refused():
    with pytest.raises(UsageError, match="'8192P' is more than any file system holds: write a smaller"):
        quantities.parse_size("8192P")


def test_a_count_is_digits_alone():
    assert quantities.parse_count("0") == 0
    assert quantities.parse_count("999999999", 1) == 999_999_999


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1_000", "\u0665", "1000000000", "many", "0"])
def test_what_is_no_count_is_refused_with_its_bounds(text):
    with pytest.raises(UsageError, match="is not a whole number from 1 to 999999999: write one in digits"):
        quantities.parse_count(text, 1)


def test_every_word_for_yes_and_no_is_understood_in_capitals_too():
    assert [quantities.parse_boolean(word) for word in ("1", "yes", "True", "ON")] == [True] * 4
    assert [quantities.parse_boolean(word) for word in ("0", "no", "False", "OFF")] == [False] * 4


@pytest.mark.parametrize("text", ["", "2", "y", "maybe"])
def test_what_is_neither_yes_nor_no_is_refused_with_the_words(text):
    with pytest.raises(UsageError, match="is neither yes nor no: write one of 1, yes, true, on, 0, no, false, off"):
        quantities.parse_boolean(text)


def test_durations_are_written_in_their_shortest_form():
    written = {0: "0s", 5400: "1h30m", 1.5: "1.5s", 90: "1m30s", 86400: "1d", 93784.25: "1d2h3m4.25s", 59.9999: "1m"}
    assert {seconds: quantities.format_duration(seconds) for seconds in written} == written


def test_sizes_are_written_in_the_largest_unit_that_is_exact():
    written = {0: "0", 1000: "1000", 1536: "1536", 4096: "4K", 1500 * 2**20: "1500M", 2**30: "1G", 2**60: "1024P"}
    assert {size: quantities.format_size(size) for size in written} == written


def test_what_is_written_is_read_back_as_the_same_number():
    for number in [*range(0, 4000, 7), 86399, 86400, 90061, 2**31]:
        assert quantities.parse_duration(quantities.format_duration(number / 8)) == number / 8
        assert quantities.parse_size(quantities.format_size(number)) == number
        assert quantities.parse_boolean(quantities.format_boolean(number % 2 == 0)) is (number % 2 == 0)
