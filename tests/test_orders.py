"""Markers: the manual's sections on stopping, pausing and unpausing, statement by statement; and drains."""

import os

import pytest
from support import jars

from jobjar import layout, node, orders, registration
from jobjar.errors import NoSuchJob, UsageError
from jobjar.orders import Markers

NOTHING = Markers(False, False, False, None)


def register(jar, name, categories=(), more={}, **identity):
    """The directory of a worker NODE.PID, as it registers; `identity` says what differs from this process, `more` what
    else its worker.json says.
    """
    of, pid = layout.split_worker(name)
    about = {"categories": list(categories), **more}
    assert registration.write(jar, node.myself(of)._replace(pid=pid, **identity), about)
    return name


def leave(jar, name):
    registration.leave(jar, register(jar, name))
    return name


def markers(jar):
    """Which markers there are, as paths below the workers' directory."""
    found = []
    for directory, _, files in os.walk(jar.workers):
        found += [os.path.relpath(os.path.join(directory, f), jar.workers) for f in files if f.isupper()]
    return sorted(found)


@pytest.fixture
def staff(jar):
    """Workers on several nodes, two of which have left."""
    for name in ("rain.7", "rain.80", "flower.996", "flower.13764", "meadow.3"):
        register(jar, name)
    leave(jar, "flower.5123")
    leave(jar, "desert.1")
    return jar


def read(jar, name):
    return orders.read(jar, name, layout.split_worker(name)[0])


# What workers read.

def test_a_worker_without_markers_is_asked_nothing(staff):
    assert read(staff, "rain.7") == NOTHING


@pytest.mark.parametrize("marker, field", [("STOP", "stop"), ("PAUSE", "pause"), ("RENEW", "renew")])
def test_a_touched_marker_counts_for_its_own_worker_alone(staff, marker, field):
    jars.write(f"{staff.workers}/rain.7/{marker}", "", 0o000)
    assert read(staff, "rain.7") == NOTHING._replace(**{field: True})
    assert read(staff, "rain.80") == NOTHING


@pytest.mark.parametrize("marker, field", [("STOP_ALL", "stop"), ("PAUSE_ALL", "pause")])
def test_a_marker_for_all_counts_for_present_and_new_workers(staff, marker, field):
    jars.write(f"{staff.workers}/{marker}", "")
    for name in ("rain.7", register(staff, "new.1")):
        assert read(staff, name) == NOTHING._replace(**{field: True})


def test_a_removed_marker_counts_no_more(staff):
    for path in (f"{staff.workers}/PAUSE_ALL", f"{staff.workers}/rain.7/PAUSE"):
        jars.write(path, "")
        assert read(staff, "rain.7").pause
        os.remove(path)
        assert not read(staff, "rain.7").pause


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("nowhere", path)])
def test_a_marker_counts_whatever_it_is(staff, make):
    make(f"{staff.workers}/rain.7/STOP")
    make(f"{staff.workers}/DRAIN.rain")
    assert read(staff, "rain.7") == Markers(True, False, False, "")


def test_markers_are_listed_and_never_looked_up(staff, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a lookup may be answered from a cache")
    orders.stop(staff, ["rain.7"])
    with monkeypatch.context() as patch:
        for function in ("stat", "lstat", "access"):
            patch.setattr(os, function, refuse)
        assert read(staff, "rain.7").stop


def test_a_worker_whose_directory_was_removed_must_leave(staff):
    assert orders.read(staff, "nobody.1", "nobody").stop


# stop_worker, pause_worker, unpause_worker.

def test_stop_all_makes_stop_in_each_directory_and_never_stop_all(staff):
    assert orders.stop(staff, ["all"]) == ["flower.996", "flower.13764", "meadow.3", "rain.7", "rain.80"]
    assert markers(staff) == ["flower.13764/STOP", "flower.996/STOP", "meadow.3/STOP", "rain.7/STOP", "rain.80/STOP"]


def test_pause_all_makes_pause_in_each_directory_and_never_pause_all(staff):
    assert len(orders.pause(staff, ["all"])) == 5
    assert markers(staff) == ["flower.13764/PAUSE", "flower.996/PAUSE", "meadow.3/PAUSE", "rain.7/PAUSE",
                              "rain.80/PAUSE"]


@pytest.mark.parametrize("order", [orders.stop, orders.pause])
def test_new_workers_are_not_affected(staff, order):
    order(staff, ["all"])
    assert read(staff, register(staff, "rain.99")) == NOTHING


def test_a_node_means_all_its_workers_and_no_other_nodes(staff):
    assert orders.stop(staff, ["rain", "meadow"]) == ["rain.7", "rain.80", "meadow.3"]
    assert markers(staff) == ["meadow.3/STOP", "rain.7/STOP", "rain.80/STOP"]


def test_a_worker_means_itself(staff):
    assert orders.pause(staff, ["rain.7", "flower.996"]) == ["rain.7", "flower.996"]
    assert markers(staff) == ["flower.996/PAUSE", "rain.7/PAUSE"]


def test_nodes_and_workers_can_be_mixed_as_the_manual_does(staff):
    assert orders.stop(staff, ["rain", "flower.13764", "meadow"]) == ["rain.7", "rain.80", "flower.13764", "meadow.3"]
    assert markers(staff) == ["flower.13764/STOP", "meadow.3/STOP", "rain.7/STOP", "rain.80/STOP"]


def test_a_worker_that_is_meant_twice_is_reached_once(staff):
    assert orders.stop(staff, ["meadow", "meadow.3"]) == ["meadow.3"]


def test_unpause_removes_pause_and_nothing_else(staff):
    orders.pause(staff, ["all"])
    orders.stop(staff, ["rain.7"])
    jars.write(f"{staff.workers}/PAUSE_ALL", "")
    orders.unpause(staff, ["all"])
    assert markers(staff) == ["PAUSE_ALL", "rain.7/STOP"]


def test_unpausing_a_worker_that_was_not_paused_is_fine(staff):
    orders.pause(staff, ["rain.7"])
    assert len(orders.unpause(staff, ["all"])) == 5
    assert orders.unpause(staff, ["rain.7"]) == ["rain.7"]
    assert markers(staff) == []


@pytest.mark.parametrize("make", [lambda path: jars.write(path, ""), os.mkdir, lambda path: os.symlink("x", path)])
def test_a_marker_that_is_there_already_is_left_as_it_is(staff, make):
    make(f"{staff.workers}/rain.7/STOP")
    before = os.lstat(f"{staff.workers}/rain.7/STOP")
    assert orders.stop(staff, ["rain.7"]) == ["rain.7"]
    assert os.lstat(f"{staff.workers}/rain.7/STOP") == before


@pytest.mark.parametrize("order", [orders.stop, orders.pause, orders.unpause])
def test_nothing_is_written_for_a_worker_that_has_left(staff, order):
    before = jars.tree(staff)
    assert order(staff, ["flower.5123", "desert"]) == []
    assert jars.tree(staff) == before


def test_targets_of_which_all_workers_have_left_are_named(staff):
    targets = ["all", "rain", "flower.5123", "flower.996", "desert"]
    assert orders.missed(targets, orders.stop(staff, targets[1:4])) == ["flower.5123", "desert"]
    assert orders.missed(["all"], []) == ["all"]


@pytest.mark.parametrize("wrong", ["snow", "rain.8", "rain.07", "", "rain.7/../rain.7", "../workers", "rain.7/", "STOP",
                                   "*", "rain.7.old-x"])
def test_nothing_is_done_when_one_target_names_nothing(staff, wrong):
    os.mkdir(f"{staff.workers}/rain.7.old-x")
    before = jars.tree(staff)
    with pytest.raises(NoSuchJob, match="names no worker and no node"):
        orders.stop(staff, ["rain", "all", wrong])
    assert jars.tree(staff) == before


def test_a_node_may_be_named_by_its_short_form(jar):
    register(jar, "rain.example.org.5")
    assert orders.stop(jar, ["rain"]) == ["rain.example.org.5"]
    assert orders.missed(["rain"], ["rain.example.org.5"]) == []


def test_an_exact_name_beats_a_short_form(jar):
    register(jar, "rain.example.org.5")
    register(jar, "rain.6")
    assert orders.stop(jar, ["rain"]) == ["rain.6"]


def test_an_ambiguous_short_form_does_nothing(jar):
    register(jar, "rain.example.org.5")
    register(jar, "rain.example.com.6")
    with pytest.raises(UsageError, match="rain.example.com, rain.example.org"):
        orders.stop(jar, ["rain"])
    assert markers(jar) == []


def test_a_directory_that_is_set_aside_meanwhile_is_passed_over(staff, monkeypatch):
    touch = orders.fsops.touch

    def set_aside_first(path):
        os.rename(f"{staff.workers}/rain.7", f"{staff.workers}/rain.7.old-x") if "rain.7" in path else None
        touch(path)
    monkeypatch.setattr(orders.fsops, "touch", set_aside_first)
    assert orders.stop(staff, ["rain"]) == ["rain.80"]


def test_a_directory_of_somebody_else_is_named_with_the_remedy(staff, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)
    monkeypatch.setattr(orders.fsops, "touch", refuse)
    with pytest.raises(UsageError, match="rain.7/STOP cannot be changed by you: ask the owner"):
        orders.stop(staff, ["rain.7"])


def test_renew_reaches_workers_that_have_not_left(staff):
    assert orders.renew(staff, ["rain.7", "flower.5123", "nobody.1"]) == ["rain.7"]
    assert read(staff, "rain.7").renew
    assert markers(staff) == ["rain.7/RENEW"]


# A PAUSE that says why.

def test_a_pause_may_say_why_and_counts_whatever_it_says(staff):
    jars.write(f"{staff.worker('rain.7')}/PAUSE", "out of memory\n")
    assert read(staff, "rain.7").pause and orders.why_paused(staff, "rain.7") == "out of memory"
    assert orders.why_paused(staff, "meadow.3") == ""


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("../STOP_ALL", path),
                                  lambda path: jars.write(path, "", 0o644)], ids=["directory", "fifo", "link", "empty"])
def test_a_pause_of_any_kind_is_read_without_waiting_or_following(staff, make):
    jars.write(f"{staff.workers}/STOP_ALL", "not this")
    make(f"{staff.worker('rain.7')}/PAUSE")
    assert orders.why_paused(staff, "rain.7") == ""


def test_of_a_long_pause_only_the_beginning_is_read(staff):
    with open(f"{staff.worker('rain.7')}/PAUSE", "wb") as file:
        file.write(b"\xff" + b"x" * 10**7)
    assert orders.why_paused(staff, "rain.7") == "\udcff" + "x" * (orders.REASON_MAX - 1)


# Drains.

def test_a_drain_counts_for_its_node_with_its_reason(staff):
    orders.drain(staff, "rain", "new fan, back on größer Montag")
    assert read(staff, "rain.7").drain == "new fan, back on größer Montag"
    assert read(staff, register(staff, "rain.99")).drain == "new fan, back on größer Montag"
    assert read(staff, "meadow.3") == NOTHING


def test_a_drain_may_be_touched_by_hand_and_counts_without_a_reason(staff):
    jars.write(f"{staff.workers}/DRAIN.rain", "")
    assert read(staff, "rain.7").drain == ""


def test_a_drain_is_found_without_its_text_being_readable(staff):
    os.symlink("nowhere", f"{staff.workers}/DRAIN.rain")
    os.symlink("nowhere", f"{staff.workers}/DRAIN.")
    assert orders.drains(staff) == {"rain": ""}


def test_drains_are_listed_with_their_reasons_until_undrained(staff):
    orders.drain(staff, "rain", "fan")
    orders.drain(staff, "meadow")
    assert orders.drains(staff) == {"meadow": "", "rain": "fan"}
    assert orders.undrain(staff, "rain")
    assert orders.drains(staff) == {"meadow": ""}
    assert not orders.undrain(staff, "rain")


def test_a_drain_gets_a_new_reason(staff):
    orders.drain(staff, "rain", "fan")
    orders.drain(staff, "rain", "disk")
    assert orders.drains(staff) == {"rain": "disk"}


@pytest.mark.parametrize("name", ["", "/etc/x", "a/b", "..", ".x", "-x", "two\nlines", "a b", "x" * 201])
def test_what_cannot_be_a_node_is_refused(staff, name):
    before = jars.tree(staff)
    with pytest.raises(UsageError):
        orders.drain(staff, name)
    assert not orders.undrain(staff, name)
    assert jars.tree(staff) == before


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31mred", "right\u202eleft", "x" * 1001])
def test_a_reason_is_one_plain_line(staff, reason):
    with pytest.raises(UsageError, match="reason"):
        orders.drain(staff, "rain", reason)
    assert orders.drains(staff) == {}


def test_undrain_removes_nothing_outside(staff):
    jars.write(f"{staff.home}/precious", "")
    os.mkdir(f"{staff.workers}/DRAIN.x")
    assert not orders.undrain(staff, "x/../../precious")
    assert os.path.exists(f"{staff.home}/precious")
