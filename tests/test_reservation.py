"""Holding a name."""

import errno
import os

import pytest
from support import jars

from jobjar import layout, reservation
from jobjar.layout import Place

MINE = reservation.text("rain.1", "nonce-1")
THEIRS = reservation.text("snow.2", "other-1")


def _final(jar, name="a.0", bad=False, output=False, told=None):
    return reservation.hold_final(jar, name, MINE, bad, output, (told if told is not None else []).append)


def _link(jar, name):
    path = os.path.join(jar.completed, name)
    return os.readlink(path) if os.path.islink(path) else None


@pytest.mark.parametrize("owner, nonce", [("rain.1", "n-1"), ("a.b:c.2", "n-1"), ("rain.1", "none-67edef-1.2")])
def test_a_text_says_its_owner_and_its_nonce(owner, nonce):
    assert reservation.parse(reservation.text(owner, nonce)) == (owner, nonce)


@pytest.mark.parametrize("text", [None, "", "../completed/a.0", "reserved:", "reserved:rain.1", "Reserved:rain.1:n"])
def test_anything_else_is_no_reservation(text):
    assert reservation.parse(text) is None


def test_a_free_final_name_is_held_by_a_link_that_says_whose_it_is(jar):
    assert _final(jar) == "a.0"
    assert _link(jar, "a.0") == MINE


def test_holding_twice_is_holding_once(jar):
    assert _final(jar) == _final(jar) == "a.0"
    assert os.listdir(jar.completed) == ["a.0"]


@pytest.mark.parametrize("taken", ["completed", "failed", "logs"])
def test_a_final_name_is_free_in_completed_failed_and_logs_together(jar, taken):
    jars.write(os.path.join(jar.home, taken, "a.0"), "somebody else's")
    assert _final(jar) == "a~2.0"
    assert os.listdir(jar.completed).count("a.0") == (taken == "completed")


def test_somebody_elses_reservation_is_passed_over(jar):
    os.symlink(THEIRS, os.path.join(jar.completed, "a.0"))
    assert _final(jar) == "a~2.0"
    assert _link(jar, "a.0") == THEIRS


def test_a_name_of_mine_is_neither_passed_over_nor_kept_when_it_cannot_be_read_for_a_moment(jar, monkeypatch):
    def fail(path, **_):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)
    assert _final(jar) == "a.0"
    with monkeypatch.context() as patch:
        patch.setattr(os, "readlink", fail)
        pytest.raises(OSError, _final, jar)
        pytest.raises(OSError, reservation.leave_final, jar, "a.0", MINE)
    assert _final(jar) == "a.0"
    reservation.leave_final(jar, "a.0", MINE)
    assert os.listdir(jar.completed) == os.listdir(jar.limbo) == []


def test_every_name_but_the_first_is_told_before_it_is_tried(jar):
    for name in ("a.0", "a~2.0"):
        jars.write(os.path.join(jar.failed, name), "taken")
    told = []
    assert _final(jar, told=told) == "a~3.0"
    assert told[-1] == "a~3.0" and "a.0" not in told


def test_a_redo_knows_its_own_link_and_its_own_log(jar):
    _final(jar, bad=True, output=True)
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    jars.write(jar.log("a.0"), "mine")
    assert _final(jar, bad=True, output=False) == "a.0"


def test_a_redo_without_a_target_line_finds_the_name_that_it_holds(jar):
    jars.put(jar, Place("completed", None, "a.0"))
    assert _final(jar, bad=True, output=True) == "a~2.0"
    os.symlink(layout.failed_link("a~2.0"), os.path.join(jar.failed, "a~2.0"))
    jars.write(jar.log("a~2.0"), "mine")
    assert _final(jar, bad=True, output=False) == "a~2.0"


def test_a_link_in_failed_is_a_lie_under_a_job_that_ended_well(jar):
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    assert _final(jar, bad=False) == "a~2.0"


def test_a_thousand_jobs_of_one_name_are_not_tried_one_by_one(jar, monkeypatch):
    for number in range(1, 1001):
        jars.write(os.path.join(jar.completed, f"a~{number}.0" if number > 1 else "a.0"), "taken", 0o600)
    told = []
    assert _final(jar, told=told) == "a~1001.0"
    assert told == ["a~1001.0"]


def test_a_name_in_a_queue_is_held_under_a_dot_name_that_no_claimer_touches(jar):
    directory = jar.queue("unclaimed", "C")
    assert reservation.hold_in_queue(directory, "a.0", MINE, jar) == "a.0"
    assert os.listdir(directory) == [".a.0"]
    reservation.leave_queue(directory, "a.0", MINE, jar)
    assert os.listdir(directory) == os.listdir(jar.limbo) == []


@pytest.mark.parametrize("base", ["a", "20260101-120000-me-123456789", "20260101-120000-me-123456789_7"])
@pytest.mark.parametrize("dot", ["", "."])
def test_a_taken_name_in_a_queue_is_passed_over(jar, base, dot):
    """A name of our own making too: somebody may have copied the job."""
    taken = f"{dot}{base}.0"
    jars.write(os.path.join(jar.unclaimed, taken), "taken")
    assert reservation.hold_in_queue(jar.unclaimed, f"{base}.0", MINE, jar) == f"{base}~2.0"
    assert sorted(os.listdir(jar.unclaimed)) == sorted([taken, f".{base}~2.0"])


def test_only_my_own_reservation_is_withdrawn(jar):
    path = os.path.join(jar.completed, "a.0")
    os.symlink(THEIRS, path)
    assert not reservation.withdraw(jar, path, MINE)
    assert os.readlink(path) == THEIRS
    assert reservation.withdraw(jar, path, THEIRS)
    assert os.listdir(jar.completed) == os.listdir(jar.limbo) == []


def _strike_between_look_and_rename(monkeypatch, path, act):
    """`act()` happens after the look that sees mine and before the rename."""
    from jobjar import fsops
    real = os.rename

    def late(source, target):
        if source == path and act:
            act.pop()()
        real(source, target)

    monkeypatch.setattr(fsops.os, "rename", late)


def test_a_job_that_came_in_the_place_of_a_reservation_is_put_back(jar, monkeypatch):
    path = os.path.join(jar.completed, "a.0")
    os.symlink(MINE, path)

    def commit():
        os.unlink(path)
        jars.write(path, "somebody's job")

    _strike_between_look_and_rename(monkeypatch, path, [commit])
    assert not reservation.withdraw(jar, path, MINE)
    assert jars.read(path) == "somebody's job" and os.listdir(jar.limbo) == []


def test_a_reservation_that_came_in_the_place_of_mine_is_put_back(jar, monkeypatch):
    path = os.path.join(jar.completed, "a.0")
    os.symlink(MINE, path)

    def reserve():
        os.unlink(path)
        os.symlink(THEIRS, path)

    _strike_between_look_and_rename(monkeypatch, path, [reserve])
    assert not reservation.withdraw(jar, path, MINE)
    assert os.readlink(path) == THEIRS and os.listdir(jar.limbo) == []


def test_voiding_undoes_what_a_dead_owner_prepared(jar):
    _final(jar, bad=True, output=True)
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    jars.write(jar.log("a.0"), "what the lost attempt printed")
    reservation.void(jar, "a.0", MINE, "nonce-1")
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == []
    assert os.listdir(jar.logs) == ["a.0.attempt-nonce-1"]


def test_voiding_leaves_others_names_alone(jar):
    os.symlink(THEIRS, os.path.join(jar.completed, "a.0"))
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    before = jars.tree(jar)
    reservation.void(jar, "a.0", MINE, "nonce-1")
    assert jars.tree(jar) == before


def test_a_dangling_link_is_dropped_only_when_the_name_is_nobodys(jar):
    link = os.path.join(jar.failed, "a.0")
    os.symlink(layout.failed_link("a.0"), link)
    os.symlink(THEIRS, os.path.join(jar.completed, "a.0"))
    reservation.drop_dangling(jar, "a.0", MINE)
    assert os.path.islink(link)
    os.remove(os.path.join(jar.completed, "a.0"))
    reservation.drop_dangling(jar, "a.0", MINE)
    assert os.listdir(jar.failed) == os.listdir(jar.completed) == []


def test_the_file_of_a_job_in_failed_is_no_dangling_link(jar):
    jars.put(jar, Place("failed", None, "a.0"))
    reservation.drop_dangling(jar, "a.0", MINE)
    assert os.listdir(jar.failed) == ["a.0"]
    assert os.listdir(jar.completed) == []
