"""Points in time as people write them, in time zones of all kinds."""

import time

import pytest

from jobjar import moments
from jobjar.errors import UsageError

# 2026-06-10 12:00:00 UTC, a Wednesday.
NOON = 1781092800.0


@pytest.fixture
def zone(monkeypatch):
    """Set the time zone of this process."""
    def change(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()
    yield change
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text, said", [
    ("2026-06-10T12:00", "2026-06-10T12:00:00Z"), ("2026-06-10 12:00:30", "2026-06-10T12:00:30Z"),
    ("2026-06-10", "2026-06-10T00:00:00Z"), ("2026-06-10T14:00Z", "2026-06-10T14:00:00Z"),
    ("2028-02-29", "2028-02-29T00:00:00Z")])
def test_a_date_is_a_number_at_once(zone, text, said):
    zone("UTC0")
    assert moments.show(moments.parse(text)) == said


def test_a_time_without_a_z_is_local_and_one_with_a_z_is_not(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert moments.show(moments.parse("2026-06-10T12:00")) == "2026-06-10T10:00:00Z"
    assert moments.show(moments.parse("2026-06-10T12:00Z")) == "2026-06-10T12:00:00Z"


@pytest.mark.parametrize("text, said", [
    ("now", "2026-06-10T12:00:00Z"), ("now+2h", "2026-06-10T14:00:00Z"), ("now+1-12", "2026-06-12T00:00:00Z"),
    ("18:00", "2026-06-10T18:00:00Z"), ("12:00", "2026-06-11T12:00:00Z"), ("11:59:59", "2026-06-11T11:59:59Z"),
    ("today", "2026-06-10T00:00:00Z"), ("today 8:00", "2026-06-10T08:00:00Z"), ("tomorrow", "2026-06-11T00:00:00Z"),
    ("tomorrow 8:00", "2026-06-11T08:00:00Z"), ("tomorrowT23:59", "2026-06-11T23:59:00Z")])
def test_what_depends_on_when_it_is_said_stays_a_text_until_then(zone, text, said):
    zone("UTC0")
    assert moments.parse(text) == text and moments.is_relative(text)
    assert moments.show(moments.resolve(text, NOON)) == said


@pytest.mark.parametrize("text", [
    "", " ", "soon", "nowish", "now+", "now+90", "now-2h", "2026-02-29", "2026-13-01", "2026-12-32", "26-1-1T25:00",
    "1969-12-31", "3000-01-01", "2026-12", "24:00", "12:60", "12:00:60", "1:2:3:4", "12", "yesterday 8:00",
    "2026-12-24T", "2026-12-24T18", "2026-12-24T18:00+01:00", "tomorrow8:00", "Tomorrow", "now+200000d", "٢٠٢٦-12-24"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="write"):
        moments.parse(text)


def test_an_hour_that_the_clock_leaves_out_is_an_hour_later(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert moments.show(moments.parse("2026-03-29T02:30")) == "2026-03-29T01:30:00Z"


def test_an_hour_that_comes_twice_is_the_first_that_is_still_to_come(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    first, second = moments.parse("2026-10-25T00:30Z"), moments.parse("2026-10-25T01:30Z")
    assert moments.parse("2026-10-25T02:30") == first
    assert moments.resolve("02:30", first - 60) == first
    assert moments.resolve("02:30", first) == second
    assert moments.show(moments.resolve("02:30", second)) == "2026-10-26T01:30:00Z"


def test_tomorrow_is_the_next_day_also_when_a_day_has_25_or_23_hours(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    for day, following in (("2026-10-25", "2026-10-26"), ("2026-03-29", "2026-03-30")):
        for hour in ("00:00", "00:30", "12:00", "23:59"):
            now = moments.parse(f"{day}T{hour}")
            assert moments.resolve("tomorrow 8:00", now) == moments.parse(f"{following}T8:00")


def test_a_time_is_written_so_that_it_is_the_same_in_every_zone(zone):
    zone("NZST-12NZDT,M9.5.0,M4.1.0/3")
    text = moments.show(moments.parse("2026-12-24T18:00"))
    zone("UTC0")
    assert moments.show(moments.parse(text)) == text == "2026-12-24T05:00:00Z"


def test_a_fraction_of_a_second_is_never_too_early():
    assert moments.parse(moments.show(NOON + 0.2)) == NOON + 1


def test_whoever_looks_back_means_the_last_time_that_it_was_that_hour():
    now = moments.resolve("2026-11-21T12:00", 0.0)
    assert moments.past("11:00", now) == now - 3600
    assert moments.past("13:00", now) == now - 23 * 3600
    assert moments.past("12:00", now) == now
    assert moments.past("2h", now) == moments.past("now-2h", now) == now - 7200
    assert moments.past("30d", now) == now - 30 * 86400
    assert moments.past("today", now) == now - 12 * 3600 == moments.past("yesterday", now) + 86400
    assert moments.past("2026-11-21T11:00", now) == now - 3600
    assert moments.past("now", now) == now
    for wrong in ("soon", "now-", "2x", "", "25:00"):
        with pytest.raises(UsageError):
            moments.past(wrong, now)
