"""What was exceptional about a job."""

import os
import pwd
import time

import pytest
from support import faults, jars

from jobjar import fslook, notes

NAME, WHY = "a.0", "its worker died"


def test_a_job_without_notes_has_none(jar):
    assert not notes.has(jar, NAME)
    assert notes.read(jar, NAME) == []
    assert notes.open_attempts(jar, NAME, None) == set()


def test_a_note_says_who_and_why(jar):
    notes.add(jar, "rain.1", NAME, "C", "cancel", why="not needed")
    [line] = notes.read(jar, "a.7")
    assert (line["e"], line["c"], line["n"], line["why"]) == ("cancel", "C", NAME, "not needed")
    assert line["who"] == f"{pwd.getpwuid(os.geteuid()).pw_name}@rain"
    assert notes.has(jar, "a.7"), "notes belong to the id, whatever the priority"


def test_counting_an_attempt_twice_counts_once(jar):
    assert notes.count(jar, "rain.1", NAME, None, "n-1", WHY) == 1
    assert notes.count(jar, "snow.2", NAME, None, "n-1", WHY) == 1
    assert notes.count(jar, "snow.2", NAME, None, "n-2", WHY) == 2


def test_attempts_count_per_category_and_name(jar):
    notes.count(jar, "rain.1", NAME, None, "n-1", WHY)
    assert notes.count(jar, "rain.1", NAME, "C", "n-2", WHY) == 1
    assert notes.count(jar, "rain.1", "a.7", None, "n-3", WHY) == 1


def test_a_done_job_lets_the_next_of_its_name_start_anew(jar):
    notes.count(jar, "rain.1", NAME, None, "n-1", WHY)
    notes.close(jar, "snow.2", NAME, None)
    assert notes.open_attempts(jar, NAME, None) == set()
    assert notes.is_closed(jar, NAME, None, "n-1") and not notes.is_closed(jar, NAME, "C", "n-1")
    assert notes.count(jar, "rain.1", NAME, None, "n-2", WHY) == 1


def test_each_writer_has_a_file_of_its_own(jar):
    notes.count(jar, "rain.1", NAME, None, "n-1", WHY)
    notes.count(jar, "snow.2", NAME, None, "n-2", WHY)
    assert sorted(os.listdir(os.path.join(jar.notes, "a"))) == ["rain.1", "snow.2"]


def test_torn_lines_and_a_last_piece_are_no_data(tmp_path):
    path = jars.write(str(tmp_path / "lines"), '{"e": 1}\n{"torn\n[]\n7\n{"e": 2}\n{"e": 3}')
    assert notes.read_lines(path) == [{"e": 1}, {"e": 2}]
    assert notes.read_lines(str(tmp_path / "gone")) == []


def test_a_note_that_was_interrupted_anywhere_is_there_or_not_and_can_be_repeated(jar):
    def count():
        notes.count(jar, "rain.1", NAME, None, "n-1", WHY)
    trace = faults.count(count, jar.home)
    for fault in faults.points(trace, faults.BEFORE, faults.TORN, faults.CUT):
        os.remove(os.path.join(jar.notes, "a", "rain.1"))
        os.rmdir(os.path.join(jar.notes, "a"))
        faults.strike(count, fault, jar.home)
        assert notes.open_attempts(jar, NAME, None) in (set(), {"n-1"})
        count()
        assert notes.open_attempts(jar, NAME, None) == {"n-1"}


def test_a_note_survives_a_power_cut_as_soon_as_it_is_written(jar):
    trace = faults.count(lambda: notes.count(jar, "rain.1", NAME, None, "n-1", WHY), jar.home)
    verbs = [line.split(" ")[0] for line in trace]
    assert verbs.index("write") < verbs.index("fsync")
    assert [line for line in trace if line.startswith("fsync")][1:] == [
        f"fsync {jar.notes}/a", f"fsync {jar.notes}"]


def test_attempts_go_along_to_another_name(jar):
    notes.count(jar, "rain.1", NAME, "C", "n-1", WHY)
    notes.carry(jar, "rain.1", NAME, "C", "a~2.0")
    assert notes.open_attempts(jar, "a~2.0", "C") == {"n-1"}
    notes.carry(jar, "rain.1", NAME, "C", NAME)
    assert notes.open_attempts(jar, NAME, "C") == {"n-1"}


# Which jobs have any.


@pytest.fixture
def noted(jar, monkeypatch):
    """What a process knows that has listed notes/ for good, and the clock."""
    now, was = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: was() + now[0])
    notes.add(jar, "rain.1", "a.0", None, "hold")
    found = notes.Noted(jar)
    for _ in range(2):
        assert found.has("a.0") and not found.has("b.0")
        now[0] += 2 * notes.LIST_AGAIN
    assert not found.has("b.0")
    return found, now


def test_where_nothing_changes_a_job_without_notes_costs_one_look_at_the_directory(jar, noted, monkeypatch):
    looked = []
    monkeypatch.setattr(notes, "has", lambda *_: pytest.fail("it is looked up"))
    monkeypatch.setattr(fslook, "names", lambda *_: pytest.fail("notes/ is listed"))
    was = fslook.stamp
    monkeypatch.setattr(fslook, "stamp", lambda path: looked.append(path) or was(path))
    assert not noted[0].has("b.0") and noted[0].has("a.0")
    assert looked == [jar.notes] * 2


def test_a_note_that_another_node_has_just_written_is_known_at_once(jar, noted):
    for name in ("b.0", "c.0"):
        notes.add(jar, "snow.1", name, None, "attempt", a="x-1")
        assert noted[0].has(name) and not noted[0].has("d.0")


def test_a_note_that_came_in_the_tick_of_a_listing_is_known(jar, noted):
    known, now = noted
    notes.add(jar, "snow.1", "b.0", None, "attempt", a="x-1")
    now[0] += notes.LIST_AGAIN
    assert known.has("b.0")
    stamp = os.stat(jar.notes).st_mtime_ns
    notes.add(jar, "snow.1", "c.0", None, "attempt", a="x-1")
    os.utime(jar.notes, ns=(stamp, stamp))
    assert known.has("c.0")
    now[0] += notes.LIST_AGAIN
    assert known.has("c.0") and not known.has("d.0")


def test_of_very_many_names_none_are_kept_and_all_are_known(jar, monkeypatch):
    monkeypatch.setattr(notes, "MOST", 1)
    known = notes.Noted(jar)
    for name in ("a.0", "b.0"):
        notes.add(jar, "rain.1", name, None, "hold")
    assert known.has("a.0") and known.has("b.0") and not known.has("c.0")
