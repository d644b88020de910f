"""Processes that want to measure find each other in pairs, and talk."""

import os
import threading

import pytest
from support import jars, processes

from jobjar import fsmeet, layout, node, registration
from jobjar.fsmeet import Room, Silent, Talk

ME = node.myself("rain")


def room(jar, name, pid=None):
    made = Room(jar, ME._replace(node=name, pid=pid or ME.pid))
    made.open()
    return made


def meet_all(rooms, wait):
    """The partner that each found, by name, all of them looking at once."""
    found = {}

    def look(one):
        found[one.name] = fsmeet.meet(one, wait)
    threads = [threading.Thread(target=look, args=(one,)) for one in rooms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(processes.PATIENCE)
    return {name: partner and os.path.basename(partner) for name, partner in found.items()}


@pytest.mark.parametrize("number", [2, 3, 6])
def test_pairs_form_and_nobody_is_in_two(jar, number):
    # Who is left over waits for nothing, so that is tried once.
    for _ in range(1 if number % 2 else 5):
        rooms = [room(jar, f"node{k}") for k in range(number)]
        found = meet_all(rooms, 1.0 if number % 2 else processes.PATIENCE)
        assert len(found) == number
        alone = [name for name, partner in found.items() if partner is None]
        assert len(alone) == number % 2
        assert all(found[partner] == name for name, partner in found.items() if partner)
        for one in rooms:
            one.close()
        assert os.listdir(jar.limbo) == []


def test_two_of_one_node_do_not_measure_together(jar):
    rooms = [room(jar, "rain", 1), room(jar, "rain", 2)]
    assert set(meet_all(rooms, 0.3).values()) == {None}


def test_whoever_waits_in_vain_leaves_no_offer(jar):
    one = room(jar, "rain")
    assert fsmeet.meet(one, 0.1) is None
    assert os.listdir(jar.limbo) == [one.name] and os.listdir(one.path) == ["said"]


def test_an_offer_of_somebody_who_has_left_is_taken_for_nothing(jar):
    jars.write(f"{jar.limbo}/.check.a.1.abc-1.1.offer", "")
    one = room(jar, "rain")
    assert fsmeet.meet(one, 0.3) is None
    # What is in one's own room under that name would be taken for the next offer, won.
    assert os.listdir(one.path) == ["said"]


def test_an_offer_that_is_taken_at_the_last_moment_has_a_guest(jar, monkeypatch):
    one, other = room(jar, "a"), room(jar, "b")
    withdraw = fsmeet._withdraw

    def taken(mine):
        os.rename(mine.offer, f"{other.path}/taken")
        os.symlink(other.name, f"{mine.path}/{fsmeet.GUEST}")
        return withdraw(mine)
    monkeypatch.setattr(fsmeet, "_withdraw", taken)
    assert fsmeet.meet(one, 0.0) == other.path


def test_what_one_says_the_other_hears(jar):
    one, other = room(jar, "a"), room(jar, "b")
    heard = {}
    thread = threading.Thread(target=lambda: heard.update(
        b=Talk(other, one.path, processes.PATIENCE).exchange("word", ["from", "b"])))
    thread.start()
    assert Talk(one, other.path, processes.PATIENCE).exchange("word", {"from": "a"}) == ["from", "b"]
    thread.join()
    assert heard == {"b": {"from": "a"}}


def test_exactly_one_of_two_leads(jar):
    one, other = room(jar, "a"), room(jar, "b")
    talks = Talk(one, other.path, 1), Talk(other, one.path, 1)
    assert sorted(talk.leads for talk in talks) == [False, True] and [talk.node for talk in talks] == ["b", "a"]


def test_a_partner_that_does_not_answer_is_silent(jar):
    with pytest.raises(Silent, match="check on b has not answered within 0 s"):
        Talk(room(jar, "a"), room(jar, "b").path, 0.1).exchange("word")


def test_a_partner_that_has_left_is_silent_at_once(jar):
    one, other = room(jar, "a"), room(jar, "b")
    other.close()
    with pytest.raises(Silent, match="check on b has ended"):
        Talk(one, other.path, processes.PATIENCE * 2).exchange("word")


def test_a_room_that_is_still_being_used_is_removed_in_the_end(jar, monkeypatch):
    one = room(jar, "a")
    remove, tries = fsmeet.fsops.remove_tree, []

    def busy(path):
        tries.append(path)
        return len(tries) > 3 and remove(path)
    monkeypatch.setattr(fsmeet.fsops, "remove_tree", busy)
    one.close()
    assert os.listdir(jar.limbo) == [] and len(tries) == 4


def test_a_room_that_cannot_be_removed_is_named(jar, monkeypatch):
    one = room(jar, "a")
    monkeypatch.setattr(fsmeet.fsops, "remove_tree", lambda path: False)
    monkeypatch.setattr(fsmeet, "PAUSE", 0.001)
    with pytest.raises(fsmeet.TryAgain, match=one.path):
        one.close()


@pytest.mark.parametrize("name, owner", [
    (".check.rain.12.ab-1.c", ("rain.12", "ab-1.c")), (".check.rain.12.ab-1.c.offer", ("rain.12", "ab-1.c")),
    (".check.a.b.12.ab-1.c", ("a.b.12", "ab-1.c")), (".rain.12.ab-1.c", None), (".check.rain", None), ("rain.12", None),
])
def test_a_name_in_limbo_says_whose_it_is(name, owner):
    assert registration.parse_check(name) == owner


def test_what_is_made_has_dot_names_of_its_own(jar):
    one = room(jar, "rain")
    assert one.name == f"{layout.CHECK}rain.{os.getpid()}.{node.nonce(ME)}" and one.name.startswith(".")
