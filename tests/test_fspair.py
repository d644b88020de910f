"""What two nodes measure together: here both in one process, with what a bad file system does put in their way."""

import errno
import fcntl
import os
import threading
import time

import pytest
from support import jars, processes

from jobjar import fscheck, fslook, fsmeet, fsmerge, fsops, fspair, node
from jobjar.fsmeet import Room, Silent, Talk

ME = node.myself("a")
AHEAD = {"a": 0.0, "b": 0.0}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Everything in small, to be quick."""
    for name, value in (("FILES", 40), ("NAMES", 10), ("EVENTS", 2), ("TRIALS", 6), ("SETTLE", 0.15),
                        ("LEAD", 0.05), ("BETWEEN", 0.02), ("PAUSE", 0.005), ("MARGIN", 0.02), ("RACE", 0.2), ("HOPELESS", 60)):
        monkeypatch.setattr(fspair, name, value)
    monkeypatch.setattr(fsmeet, "PAUSE", 0.01)


def me():
    """Which of the two this thread is."""
    return threading.current_thread().name


def measure(jar, patience=processes.PATIENCE, ahead=AHEAD):
    """What both accounts say together."""
    rooms = {name: Room(jar, ME._replace(node=name)) for name in "ab"}
    accounts = {}
    for room in rooms.values():
        room.open()

    def run(name, other):
        talk = Talk(rooms[name], rooms[other].path, patience)
        accounts[name] = fspair.measure(talk, ahead[name])
        talk.exchange("account")
    threads = [threading.Thread(target=run, args=pair, name=pair[0]) for pair in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return fsmerge.merge(accounts["a"], accounts["b"])


class WrongClock:
    """For `fspair`: b's clock is ahead."""

    monotonic, sleep = staticmethod(time.monotonic), staticmethod(time.sleep)

    @staticmethod
    def time():
        return time.time() + (500.0 if me() == "b" else 0.0)


def test_a_good_file_system_has_one_winner_everywhere_even_if_a_clock_is_wrong(jar, monkeypatch):
    monkeypatch.setattr(fspair, "time", WrongClock)
    # And even if the server's clock hardly ticks.
    stamp = fslook.stamp
    monkeypatch.setattr(fslook, "stamp", lambda path: stamp(path) // 10**13)
    found = measure(jar, ahead={"a": 0.0, "b": 500.0})
    race = found["race"]
    assert sum(race["won"].values()) == race["files"] == 40
    assert not any(race[key] for key in ("both", "nobody", "left", "false", "odd"))
    assert {kind: (sum(seen["won"]), seen["both"], seen["odd"]) for kind, seen in found["exclusive"].items()} == {
        kind: (10, 0, []) for kind in fspair.KINDS}
    assert found["racy"] == {"trials": 12, "stale": 0, "uncured": 0} and found["flock"] == "exclusive"
    assert all(seen["unseen"] == 0 and seen["worst"] < 5 for seen in found["delays"].values())
    assert found["one_computer"] and found["clocks"] == {"a": 0.0, "b": 500.0}
    assert all(name.startswith(".check.") for name in os.listdir(jar.limbo))


def test_both_race_for_the_same_files(jar, monkeypatch):
    def shy(source, target):
        name = os.path.basename(source)
        if name.isdigit() and (int(name) < 20) == (me() == "a"):
            fail(errno.ENOENT)
        os.rename(source, target)
    monkeypatch.setattr(fsops, "rename", shy)
    race = measure(jar)["race"]
    assert race["won"] == {"a": 20, "b": 20} and not race["left"] and not race["nobody"]


def copy(source, target):
    """A rename as an object store does it."""
    jars.write(target, "")


def silent(source, target):
    """A rename whose reply is lost."""
    os.rename(source, target)
    raise OSError(errno.ENOENT, "gone")


def lossy(source, target):
    """A rename that cannot move one file, and loses another."""
    name = os.path.basename(source)
    if name == "3":
        raise OSError(errno.EIO, "error")
    os.rename(source, target)
    if name == "5":
        os.unlink(target)


@pytest.mark.parametrize("rename, expected", [
    (copy, {"both": 40, "left": 40}), (silent, {"false": 40}), (lossy, {"left": 1, "nobody": 1, "odd": 1})])
def test_what_goes_wrong_in_a_race_of_renames_is_seen(jar, monkeypatch, rename, expected):
    monkeypatch.setattr(fsops, "rename", rename)
    everywhere(monkeypatch, "symlink" if rename is copy else "mkdir")
    stale_listings(monkeypatch, cure=rename is copy)
    monkeypatch.setattr(fcntl, "flock", lambda *_: None if rename is copy else fail(errno.ENOLCK))
    found = measure(jar)
    race = {key: len(value) if isinstance(value, list) else value for key, value in found["race"].items()}
    assert {key: race[key] for key in ("both", "nobody", "left", "false", "odd") if race[key]} == expected
    # The other defects are seen in the same runs, to be quick.
    both = {kind: seen["both"] for kind, seen in found["exclusive"].items() if seen["both"]}
    assert both == ({"symlink": 10} if rename is copy else {"mkdir": 10})
    assert found["racy"] == {"trials": 12, "stale": 12, "uncured": 0 if rename is copy else 12}
    assert found["flock"] == ("not exclusive" if rename is copy else "No locks available")
    assert found["exclusive"]["create"]["odd"] == (["EPERM"] if rename is copy else [])


def everywhere(monkeypatch, kind):
    """Names of that kind can be made by both; if it is a link, losers of files are told something odd."""
    link, directory, create = fsops.link, fsops.make_directory, fsops.create

    def refuse(path, *more, **others):
        try:
            create(path, *more, **others)
        except FileExistsError:
            fail(errno.EPERM if kind == "symlink" else errno.EEXIST)
    monkeypatch.setattr(fsops, "link", lambda text, path: kind == "symlink" and "/symlink/" in path
                        or link(text, path))
    monkeypatch.setattr(fsops, "make_directory", lambda path, mode=0o777: kind == "mkdir" and "/mkdir/" in path
                        or directory(path, mode))
    monkeypatch.setattr(fsops, "create", refuse)


def stale_listings(monkeypatch, cure):
    """Listings of trials stay as they first were, until `forget_listing` if that is to cure them."""
    real, forget, forgotten = fslook.names, fslook.forget_listing, set()

    def names(directory):
        found = real(directory)
        is_stale = "/trials/" in directory and directory not in forgotten
        return [name for name in found if name != "b"] if is_stale else found
    monkeypatch.setattr(fslook, "names", names)
    monkeypatch.setattr(fslook, "forget_listing", lambda path: cure and forgotten.add(path) or forget(path))


def fail(code):
    raise OSError(code, os.strerror(code))


def cached(monkeypatch, module, name, where, age):
    """On b, answers to this question are as old as that."""
    real, first = getattr(module, name), {}

    def ask(path):
        if where not in path or me() != "b":
            return real(path)
        when, answer = first.setdefault(path, (time.monotonic(), real(path)))
        return answer if time.monotonic() - when < age else real(path)
    monkeypatch.setattr(module, name, ask)


def test_how_late_each_question_is_answered_is_told_apart(jar, monkeypatch):
    cached(monkeypatch, fslook, "names", "/listing", 0.3)
    cached(monkeypatch, fslook, "stamp", "/stamp/", 1.0)
    cached(monkeypatch, os.path, "lexists", "/new", 2.0)
    delays = measure(jar)["delays"]
    assert all(seen["unseen"] == 0 for seen in delays.values())
    assert 0.1 < delays["listed"]["worst"] < delays["stamp"]["worst"] < delays["named"]["worst"]
    assert delays["unlisted"]["worst"] > 0.1 and delays["unnamed"]["worst"] < delays["named"]["worst"]


def test_what_is_never_seen_is_told_as_such(jar, monkeypatch):
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: "/old" in path or real(path))
    monkeypatch.setattr(fspair, "WATCH", 0.04)
    delays = measure(jar)["delays"]
    assert delays["unnamed"] == {"median": None, "worst": None, "unseen": 4} and delays["named"]["unseen"] == 0


def test_a_partner_that_leaves_in_the_midst_is_silent_and_not_an_error(jar):
    rooms = [Room(jar, ME._replace(node=name)) for name in "ab"]
    for room in rooms:
        room.open()
    jars.write(f"{rooms[1].path}/{fsmeet.SAID}/prepared", "null")
    with pytest.raises(Silent, match="check on b has ended"):
        # It has said that it is prepared, and has nothing of what that means.
        fspair.measure(Talk(rooms[0], rooms[1].path, 5.0), 0.0)


def test_nobody_leaves_before_the_other_has_heard_everything(jar, monkeypatch):
    hear = Talk._hear

    def slowly(talk, word, patience):
        if me() == "b" and word == "account":
            time.sleep(0.5)
        return hear(talk, word, patience)
    monkeypatch.setattr(Talk, "_hear", slowly)
    found = {}
    threads = [threading.Thread(target=lambda name=name: found.update(
        {name: fscheck.check(jar, ME._replace(node=name), processes.PATIENCE, lambda _: None)}), name=name)
        for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[name]["unmeasured"] for name in "ab"] == [None, None] and os.listdir(jar.limbo) == []


def test_where_listings_are_late_nobody_asks_whether_they_stay_stale(jar, monkeypatch):
    monkeypatch.setattr(fspair, "HOPELESS", 0.0)
    assert measure(jar)["racy"] == {"trials": 0, "stale": 0, "uncured": 0}
