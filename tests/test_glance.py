"""When a directory is listed again although it looks unchanged, and that nothing stays invisible because of it."""

import os
import time

import pytest
from support import jars, processes, workers

from jobjar import fslook, layout
from jobjar.glance import AGAIN_AFTER, RACY, Glance

# What is promised, and what a busy machine may add. Without a second listing it would be for ever.
VISIBLE_AFTER = 5.0 + 10.0


@pytest.fixture
def clock(monkeypatch):
    """The computer's own clock, to be set forward."""
    shift, was = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: was() + shift[0])
    return shift


def listed(directory, server_now):
    look = Glance(str(directory))
    look.about_to_list(server_now)
    return look


def mtime(directory):
    return os.stat(directory).st_mtime


def test_an_old_directory_is_listed_once(tmp_path):
    look = listed(tmp_path, mtime(tmp_path) + RACY + 0.01)
    assert not look.needs_listing() and look.due() is None


@pytest.mark.parametrize("ahead", [0.0, 0.5, -1.0, -10**6], ids=["just now", "half a second", "future", "far future"])
def test_a_young_directory_is_listed_twice_and_no_more(tmp_path, clock, ahead):
    """A directory from the future would be young for ever; the server's clock may have been set back."""
    look = listed(tmp_path, mtime(tmp_path) + ahead)
    assert not look.needs_listing() and RACY < look.due() <= AGAIN_AFTER
    clock[0] += AGAIN_AFTER + 0.01
    assert look.needs_listing()
    look.about_to_list(mtime(tmp_path) + ahead)
    assert not look.needs_listing() and look.due() is None
    clock[0] += 10**6
    assert not look.needs_listing()


def test_a_listing_before_its_time_does_not_count_as_the_second(tmp_path, clock):
    look = listed(tmp_path, mtime(tmp_path))
    clock[0] += RACY / 2
    look.about_to_list(mtime(tmp_path) + RACY / 2)
    assert look.due() is not None
    clock[0] += RACY / 2 + 0.2
    assert look.needs_listing(), "nor does it put the second one off"


def test_a_directory_that_has_changed_meanwhile_is_young_again(tmp_path, clock):
    look = listed(tmp_path, mtime(tmp_path))
    clock[0] += AGAIN_AFTER + 0.01
    os.utime(tmp_path)
    look.about_to_list(mtime(tmp_path))
    assert RACY < look.due() <= AGAIN_AFTER


def test_a_look_that_leads_to_a_listing_is_not_repeated_before_it(tmp_path, monkeypatch):
    """Each is a request to a file server; what changes in between shows at the next look."""
    asked, was = [], fslook.stamp
    monkeypatch.setattr(fslook, "stamp", lambda path: asked.append(path) or was(path))
    look = Glance(str(tmp_path))
    assert look.needs_listing()
    os.utime(tmp_path)
    look.about_to_list(mtime(tmp_path) + RACY)
    assert asked == [str(tmp_path)] and look.needs_listing()


def test_a_listing_that_failed_is_repeated(tmp_path):
    look = listed(tmp_path, mtime(tmp_path) + RACY)
    look.has_failed()
    assert look.needs_listing()


def test_the_second_listing_goes_past_the_cache(tmp_path, clock, monkeypatch):
    forgotten = []
    monkeypatch.setattr(fslook, "forget_listing", lambda path: forgotten.append(path) or True)
    look = listed(tmp_path, mtime(tmp_path))
    assert forgotten == []
    clock[0] += AGAIN_AFTER + 0.01
    look.about_to_list(mtime(tmp_path))
    assert forgotten == [str(tmp_path)]


def test_where_the_cache_takes_no_advice_the_directory_is_changed_once_and_looks_no_younger(tmp_path, clock,
                                                                                           monkeypatch):
    def refuse(*_):
        raise OSError(22, "no advice")
    monkeypatch.setattr(os, "posix_fadvise", refuse)
    look = listed(tmp_path, mtime(tmp_path))
    clock[0] += AGAIN_AFTER + 0.01
    before = os.stat(tmp_path).st_mtime_ns
    look.about_to_list(mtime(tmp_path))
    assert os.stat(tmp_path).st_mtime_ns == before + 1 and not look.needs_listing()


def hide(name):
    """For `before`: `name` came in the tick of a change that this client has seen; only an uncached listing shows it."""
    def install():
        forgotten = set()
        names, scan, forget = fslook.names, fslook.scan, fslook.forget_listing
        fslook.names = lambda path: [n for n in names(path) if n != name or path in forgotten]
        fslook.scan = lambda path: [e for e in scan(path) if e.name != name or path in forgotten]
        fslook.forget_listing = lambda path: forgotten.add(path) or forget(path)
        workers.without_inotify()
    return install


def touch_unseen(directory, name):
    """Make a file without a trace in the directory's mtime."""
    before = os.stat(directory).st_mtime_ns
    jars.write(os.path.join(directory, name), "#!/bin/sh\n")
    os.utime(directory, ns=(before, before))


@pytest.mark.parametrize("where", ["the queue", "claims/"])
def test_a_job_that_came_in_the_tick_of_a_listing_is_seen_soon(jar, where):
    with workers.working(jar, JJ_PAUSE_TIME="600", before=hide("x")) as w:
        touch_unseen({"the queue": jar.unclaimed, "claims/": w.claims}[where], "x")
        processes.until(lambda: os.listdir(jar.completed) == ["x"], w.log(), VISIBLE_AFTER)


@pytest.mark.parametrize("marker", [layout.STOP, layout.STOP_ALL])
def test_a_marker_that_came_in_the_tick_of_a_listing_is_seen_soon(jar, marker):
    with workers.working(jar, JJ_PAUSE_TIME="600", before=hide(marker)) as w:
        touch_unseen(jar.workers if marker == layout.STOP_ALL else w.directory, marker)
        assert w.wait(VISIBLE_AFTER) == 0


def test_the_servers_clock_is_asked_before_a_listing_is_judged_by_it(jar):
    """A laptop has slept, or the server's clock was set: what the last beat said is out of date."""
    def forget_the_clock():
        from jobjar import beat
        was = beat.Beat.fresh_now

        def fresh_now(self):
            # As if the server's clock had been set back by an hour since.
            self._at, self._offset = time.monotonic() - beat.FRESH, self._offset + 3600
            return was(self)
        beat.Beat.fresh_now = fresh_now
        hide("x")()
    with workers.working(jar, JJ_PAUSE_TIME="600", before=forget_the_clock) as w:
        touch_unseen(jar.unclaimed, "x")
        processes.until(lambda: os.listdir(jar.completed) == ["x"], w.log(), VISIBLE_AFTER)
