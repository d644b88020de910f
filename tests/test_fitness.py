"""Whether a worker may take jobs: what it asks, when it says so, and when it pauses itself."""

import errno
import os
import re
import stat

import pytest
from support import jars

from jobjar import fitness, fslook, fsops, orders
from jobjar.layout import Place
from test_orders import register

A, B, C = (Place("unclaimed", None, name) for name in "abc")

# What is said after each fault: for how long to rest, and for how long to leave the job alone.
FIRST, SECOND, OVER, BAD_JOB = (1.0, 5.0), (2.0, 5.0), (0.0, 0.0), (0.0, 60.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes when it is told to: a list with the time in it."""
    now = [100.0]
    monkeypatch.setattr(fitness.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def room(monkeypatch):
    """What the file system says is free, in a list, and how often it was asked."""
    free, asked = [0], []
    monkeypatch.setattr(fslook, "room", lambda path: asked.append(path) or (free[0], None))
    return free, asked


@pytest.fixture
def sick(jar):
    """What counts the faults of a worker whose node can start nothing, and what it has said."""
    said = []
    return fitness.Faults(jar, register(jar, "rain.7"), "rain", lambda: False, said.append), said


def marker(jar):
    return os.path.join(jar.worker("rain.7"), "PAUSE")


# Room.


def test_the_file_system_is_asked_once_in_a_second_at_most(clock, room):
    watched = fitness.Room("/jar", (100, 0), [].append)
    for _ in range(1000):
        clock[0] += 0.0099
        watched.is_short()
    assert 9 <= len(room[1]) <= 11


def test_a_lack_and_its_end_are_said_once_each(clock, room):
    said = []
    watched = fitness.Room("/jar", (100, 0), said.append)
    for free in (99, 98, 0, 100, 101, 99, 1000):
        room[0][0], clock[0] = free, clock[0] + 2
        assert watched.is_short() == (free < 100)
    lack = "blocked: 99 bytes free on /jar, JJ_MIN_FREE is 100: make room"
    assert said == [lack, "goes on after having been blocked for 6s", lack, "goes on after having been blocked for 2s"]


def test_who_asks_for_nothing_does_not_even_ask(clock, room):
    watched = fitness.Room("/jar", (0, 0), [].append)
    assert not watched.is_short() and room[1] == []


def test_another_reason_is_said_while_the_first_one_lasts_and_the_same_one_anew_only_when_it_is_over(clock):
    said = []
    blockade = fitness.Blockade(said.append)
    for why in ("full", "full", "gone", "gone"):
        blockade.begin(why)
    for _ in range(2):
        blockade.end()
    blockade.begin("gone")
    assert said == ["blocked: full", "blocked: gone", "goes on after having been blocked for 0s", "blocked: gone"]


# Faults in a row.


def test_three_faults_in_a_row_pause_the_worker_with_a_marker_that_says_why_and_how_to_go_on(jar, sick):
    faults, said = sick
    assert [faults.count(place, "out of memory") for place in (A, B)] == [FIRST, SECOND]
    assert not os.path.exists(marker(jar)) and faults.count(C, "no \x1b memory") == OVER
    text = jars.read(marker(jar))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ: rain.7 paused itself, `unpause_worker rain.7` when this is"
                        r" mended: 3 jobs in a row could not be started on rain, the last because:"
                        r" no \\x1b memory\n", text)
    # Each line of the log has its time already.
    assert said == [text.strip().partition(": ")[2]] and orders.why_paused(jar, "rain.7") == text.strip()
    assert not faults.pauses() and stat.S_IMODE(os.stat(marker(jar)).st_mode) == 0o644


def test_a_job_that_was_started_ends_the_row(jar, sick):
    faults, _ = sick
    for place in (A, B, A, B):
        faults.count(place, "?")
        faults.end_row()
    assert [faults.count(place, "?") for place in (A, B)] == [FIRST, SECOND] and not os.path.exists(marker(jar))


def test_one_job_three_times_pauses_no_worker_whose_node_can_start_others(jar):
    said = []
    faults = fitness.Faults(jar, register(jar, "rain.7"), "rain", lambda: True, said.append)
    assert [faults.count(A, "?") for _ in range(6)] == [FIRST, SECOND, BAD_JOB] * 2
    assert not os.path.exists(marker(jar)) and said[0].startswith("a cannot be started")
    # Two are more than one: then it is the node.
    assert [faults.count(place, "?") for place in (A, B, A)] == [FIRST, SECOND, OVER] and os.path.exists(marker(jar))


def test_jobs_of_one_name_in_two_categories_are_two(jar):
    faults = fitness.Faults(jar, register(jar, "rain.7"), "rain", lambda: True, [].append)
    for place in (A, Place("unclaimed", "LINUX", "a"), A):
        faults.count(place, "?")
    assert os.path.exists(marker(jar))


def test_a_worker_that_was_unpaused_pauses_again_after_three_more(jar, sick):
    faults, _ = sick
    for _ in range(2):
        assert [faults.count(place, "?") for place in (A, B, C)] == [FIRST, SECOND, OVER]
        assert orders.unpause(jar, ["rain.7"]) and not os.path.exists(marker(jar))
        assert not faults.pauses()


@pytest.mark.parametrize("text", ["", "I am at lunch\n"])
def test_a_marker_that_a_person_made_is_left_as_it_is(jar, sick, text):
    jars.write(marker(jar), text)
    for place in (A, B, C):
        sick[0].count(place, "?")
    assert jars.read(marker(jar)) == text and not sick[0].pauses()


def test_an_empty_marker_is_made_where_there_is_no_room_for_its_text(jar, sick, monkeypatch):
    def full(handle, data):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(fsops, "_write", full)
    for place in (A, B, C):
        sick[0].count(place, "?")
    assert jars.read(marker(jar)) == "" and not sick[0].pauses()


def test_a_worker_that_can_make_no_marker_at_all_pauses_all_the_same_and_makes_it_later(jar, sick, monkeypatch):
    faults, said = sick

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(fsops, "create", full)
        patch.setattr(fsops, "touch", full)
        for place in (A, B, C):
            faults.count(place, "?")
        assert faults.pauses() and faults.pauses() and not os.path.exists(marker(jar))
        # The reason, and once that there is no marker.
        assert len(said) == 2 and "No space left" in said[1]
    # It pauses until the marker says so, and after that no longer than the marker.
    assert faults.pauses() and "paused itself" in jars.read(marker(jar)) and not faults.pauses()
