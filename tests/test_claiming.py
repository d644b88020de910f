"""Which job a worker tries next: order, hints, and what it leaves alone."""

import os
import time

import pytest

from jobjar import claiming, fsops, glance, jobname, shelf, states, submission
from support import jars, processes, workers


def names_in_order(jar, *categories):
    """The order in which a queue offers what lies in it."""
    queue = claiming.Queue(jar, workers.NODE, categories)
    for due in queue.due():
        due.list(time.time())
    found = []
    while taken := queue.take():
        found.append((taken[1].category, taken[1].name))
    return found


def names(jar):
    return [name for _, name in names_in_order(jar)]


def test_the_node_s_category_comes_first_then_the_categories_in_their_order_then_uncategorized(jar):
    for category in ("B", None, "A", workers.NODE, "C"):
        workers.place(jar, "x", category=category)
    assert [c for c, _ in names_in_order(jar, "B", "A", "C")] == [workers.NODE, "B", "A", "C", None]


def test_priorities_have_no_meaning_across_categories(jar):
    workers.place(jar, "urgent.999999999")
    workers.place(jar, "late.-5", category="A")
    assert names_in_order(jar, "A") == [("A", "late.-5"), (None, "urgent.999999999")]


def test_a_category_that_is_named_twice_is_one_shelf(jar):
    assert [s.category for s in claiming.Queue(jar, "rain", ("A", "rain", "A")).shelves] == ["rain", "A", None]


def test_the_highest_priority_comes_first_whatever_the_name(jar):
    stamp = "20260101-000000-u-00000000"
    wanted = ["hand.7", "z.+5", f"{stamp}1.3", "run.sh", f"{stamp}0.-1", "b.-2", "a.-10"]
    for name in sorted(wanted):
        workers.place(jar, name)
    assert names(jar) == wanted


def test_a_word_after_the_dot_is_no_priority(jar):
    for name in ("run.sh", "program-1.2", "x.1e3", "y.1_0"):
        workers.place(jar, name)
    assert names(jar)[0] == "program-1.2"


def test_the_oldest_comes_first_by_the_time_in_the_name_or_by_the_file_s(jar):
    made = {"20260303-000000-a-000000001.0": None, "hand-made": "20260302-000000",
            "20260301-000000-z-000000001-x.0": None, "older": "20260101-000000"}
    for name, stamp in made.items():
        path = workers.place(jar, name)
        if stamp:
            seconds = time.mktime(time.strptime(stamp + " UTC", "%Y%m%d-%H%M%S %Z")) - time.timezone
            os.utime(path, (seconds, seconds))
    assert names(jar) == ["older", "20260301-000000-z-000000001-x.0", "hand-made", "20260303-000000-a-000000001.0"]


def test_the_tasks_of_an_array_come_in_the_order_of_their_numbers(jar):
    for index in (10, 9, 1, 100):
        workers.place(jar, f"20260301-000000-u-000000001-a_{index}.0")
    assert [jobname.array_index(jobname.split(n)[0]) for n in names(jar)] == [1, 9, 10, 100]


def test_a_thousand_submissions_are_claimed_by_one_worker_in_exactly_their_order(jar, monkeypatch):
    # The disk's time is not what is tested here.
    monkeypatch.setattr(fsops, "_fsync", lambda handle: None)
    requests = [submission.Request(b"") for _ in range(500)]
    made = [place.name for place in submission.submit_many(jar, requests)]
    made += [submission.submit(jar, submission.Request(b"#!/bin/true\n")).name for _ in range(500)]
    for name in os.listdir(jar.unclaimed):
        os.utime(os.path.join(jar.unclaimed, name), (1, 1))
    worker = workers.drain(jar)
    assert [line["n"] for line in worker.journal() if line["e"] == "claim"] == made
    assert len(os.listdir(jar.completed)) == 1000


def test_the_node_s_category_is_served_without_being_named(jar):
    workers.place(jar, "here", category=workers.NODE)
    workers.drain(jar)
    assert os.listdir(jar.completed) == ["here"]


def test_a_category_that_no_worker_checks_is_never_run(jar):
    path = workers.place(jar, "nobody-s", category="ELSEWHERE")
    workers.place(jar, "x")
    workers.drain(jar, "LINUX")
    assert os.path.exists(path) and os.listdir(jar.completed) == ["x"]


def test_an_urgent_job_jumps_a_long_queue(jar):
    """With inotify it is next but one at most, whatever the listing in hand says."""
    submission.submit_many(jar, [submission.Request(b"#!/bin/true\n") for _ in range(300)])
    with workers.working(jar):
        processes.until(lambda: len(os.listdir(jar.completed)) > 20)
        workers.place(jar, "urgent.9")
        processes.until(lambda: "urgent.9" in os.listdir(jar.completed))
        left = len(os.listdir(jar.unclaimed))
        processes.until(lambda: not os.listdir(jar.unclaimed))
    assert left > 100


def test_an_urgent_job_jumps_the_queue_by_the_clock_when_there_is_no_inotify(jar):
    workers.place(jar, "first.5", "sleep 1.1")
    for number in range(5):
        workers.place(jar, f"job{number}")
    with workers.working(jar, before=workers.without_inotify) as worker:
        processes.until(lambda: os.path.exists(os.path.join(worker.claims, "first.5")))
        workers.place(jar, "urgent.9")
        processes.until(lambda: len(os.listdir(jar.completed)) == 7)
    assert workers.order(jar)[:2] == ["first.5", "urgent.9"]


# One listing serves many claims.


def listed_shelf(jar):
    one = shelf.Shelf(jar, None)
    one.list(time.time())
    return one


def test_a_hint_makes_a_listing_due_at_once(jar, monkeypatch):
    one = listed_shelf(jar)
    monkeypatch.setattr(one, "_cost", 0.0)
    assert not one.is_due()
    one.is_hinted = True
    assert one.is_due()


def test_listings_cost_at_most_a_twentieth_of_the_time_even_when_hinted(jar, monkeypatch):
    one = listed_shelf(jar)
    one.is_hinted = True
    monkeypatch.setattr(one, "_cost", 10.0)
    assert not one.is_due()
    assert 190 < one.due_in() <= 200


def test_a_worker_that_is_told_when_to_look_again_is_never_told_too_early(jar, monkeypatch):
    """Otherwise it would look, find that it may not list yet, and look again, as fast as it can."""
    one = listed_shelf(jar)
    now = time.monotonic()
    one.glance._again_at = now - 1
    for cost, looked_at in ((1.0, now), (0.0, now), (0.0, now - 0.4)):
        one._cost, one._looked_at, one._listed_at = cost, looked_at, now - 5
        due = one.due_in()
        assert due > 0 and not one.is_due()
        monkeypatch.setattr(time, "monotonic", lambda: now + due + 0.001 + (time.time() - time.time()))
        assert one.is_due()
        monkeypatch.undo()


def test_an_unchanged_directory_is_listed_again_only_once_after_it_was_changed(jar, monkeypatch):
    look = glance.Glance(jar.unclaimed)
    look.about_to_list(time.time())
    assert not look.needs_listing() and glance.RACY < (look.due() or 0) <= glance.AGAIN_AFTER
    later = time.monotonic() + glance.AGAIN_AFTER
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert look.needs_listing() and look.due() == 0
    look.about_to_list(time.time() + glance.RACY)
    assert not look.needs_listing() and look.due() is None


def test_a_category_that_is_gone_from_claims_keeps_no_worker_awake(jar):
    own = claiming.Claims(jars.worker(jar, "rain.7", "A"))
    assert own.find({"A"}, time.time) is None and own.due() is not None
    os.rmdir(os.path.join(own.directory, "A"))
    assert own.find((), lambda: time.time() + 9) is None and own.due() is None


def test_a_category_is_hinted_by_the_directory_that_is_watched_for_it(jar):
    queue = claiming.Queue(jar, workers.NODE, ("A",))
    queue.shelves[0].watched = jar.unclaimed
    queue.hint({jar.unclaimed})
    assert [one.is_hinted for one in queue.shelves] == [True, False, True]
    queue.hint({jar.directory(states.UNCLAIMED, "A")})
    assert all(one.is_hinted for one in queue.shelves)


# What is no job is left where it is.


def vet(path, age=0.0, trusted=None):
    return claiming.vet(path, frozenset(trusted or [os.geteuid()]), os.lstat(path).st_mtime + age).verdict


def test_a_candidate_that_is_gone_is_left(jar):
    assert claiming.vet(os.path.join(jar.unclaimed, "x"), frozenset([os.geteuid()]), 0.0).verdict == claiming.LEAVE


def test_an_executable_file_of_ours_is_claimed(jar):
    assert vet(workers.place(jar, "x")) == claiming.CLAIM


def test_a_file_that_is_not_executable_is_left(jar):
    assert vet(workers.place(jar, "x", mode=0o644)) == claiming.LEAVE


def test_a_program_that_may_be_executed_but_not_read_is_claimed(jar):
    assert vet(workers.place(jar, "x", mode=0o111)) == claiming.CLAIM


def test_an_empty_file_is_left_while_it_may_still_be_being_written(jar):
    path = workers.put(jar, "x", b"")
    assert vet(path, age=claiming.EMPTY_AGE - 0.1) == claiming.LEAVE
    assert vet(path, age=claiming.EMPTY_AGE) == claiming.CLAIM


@pytest.mark.parametrize("mode", [0o4700, 0o2700])
def test_a_set_id_file_is_refused(jar, mode):
    assert vet(workers.place(jar, "x", mode=mode)) == claiming.REFUSE


def test_a_file_of_somebody_who_is_not_trusted_is_refused(jar):
    assert vet(workers.place(jar, "x", mode=0o755), trusted=[os.geteuid() + 1]) == claiming.REFUSE


def test_a_file_with_several_names_is_claimed_in_a_private_jar_only(jar):
    path = workers.place(jar, "x")
    os.link(path, os.path.join(jar.unclaimed, "y"))
    assert vet(path) == claiming.REFUSE
    assert claiming.vet(path, frozenset([os.geteuid()]), 0.0, several=True).verdict == claiming.CLAIM


def test_links_fifos_and_directories_are_left_unopened(jar):
    os.mkfifo(os.path.join(jar.unclaimed, "fifo"))
    os.symlink("/bin/true", os.path.join(jar.unclaimed, "link"))
    os.mkdir(os.path.join(jar.unclaimed, "directory"))
    for name in os.listdir(jar.unclaimed):
        assert vet(os.path.join(jar.unclaimed, name)) == claiming.LEAVE
    assert names(jar) == []


def test_dot_names_are_not_even_candidates(jar):
    jars.write(os.path.join(jar.unclaimed, ".nfs0001"), "#!/bin/true\n")
    assert names(jar) == []
