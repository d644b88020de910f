"""What a job waits for, and what is said of it."""

import os
import time

from jobjar import moments, notes, waits
from jobjar.layout import Place
from support import jars

TASK = "20261121-101500-me-000001000_7.0"


def waiting(jar, name, lines, state="waiting", category=None):
    place = Place(state, category, name)
    directory = os.path.dirname(jar.path(place))
    os.makedirs(directory, exist_ok=True)
    jars.write(jar.path(place), f"#!/bin/sh\n{lines}\n")
    return place


def test_each_job_in_waiting_has_a_reason(jar):
    soon, later = time.time() + 100, time.time() + 200
    begin = waiting(jar, "a.0", f"#JJ --begin={moments.show(later)}")
    turn = waiting(jar, TASK, "#JJ --submit-dir=/ --array=1-9%3", category="C")
    wrong = waiting(jar, "b.0", "#JJ --no-such")
    plain = waiting(jar, "c.0", "")
    delayed = waiting(jar, "d.0", "#JJ --retries=3")
    notes.add(jar, "rain.1", "d.0", None, "requeue", a="x-1", until=soon, counts=True)
    said = waits.reasons(jar, [begin, turn, wrong, plain, delayed])
    assert {place.name: word for place, (word, _) in said.items()} == {
        "a.0": "BeginTime", TASK: "JobArrayTaskLimit", "b.0": "BadConstraints", "c.0": "Priority", "d.0": "BeginTime"}
    assert moments.show(later) in said[begin][1] and moments.show(soon) in said[delayed][1]
    assert "3 tasks of 20261121-101500-me-000001000" in said[turn][1]
    assert "line 2" in said[wrong][1] and "--no-such" in said[wrong][1]


def test_a_job_in_the_queue_has_one_only_until_its_time_comes(jar):
    early = waiting(jar, "a.0", "#JJ --begin=2999-01-01", "unclaimed")
    late = waiting(jar, "b.0", "#JJ --begin=2000-01-01", "unclaimed")
    assert list(waits.reasons(jar, [early, late, early._replace(name="gone")])) == [early]


def test_the_file_of_many_tasks_is_read_once(jar, monkeypatch):
    first = waiting(jar, "20261121-101500-me-000001000_1.0", "#JJ --submit-dir=/ --array=1-50%3")
    places = [first]
    for index in range(2, 51):
        places.append(first._replace(name=f"20261121-101500-me-000001000_{index}.0"))
        os.link(jar.path(first), jar.path(places[-1]))
    read, paths = waits.read, []
    monkeypatch.setattr(waits, "read", lambda path: (paths.append(path), read(path))[1])
    assert len(waits.reasons(jar, places)) == 50 and len(paths) == 1
