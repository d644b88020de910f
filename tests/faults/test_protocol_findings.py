"""The eleven ways in which the first wording of the protocol broke when it was killed at every step, one test each.

Each test makes the situation that broke it with real files, and checks what has kept it from breaking since.
"""

import os

import pytest
from support import faults, invariants, jars, workers
from support.faults import BEFORE, CUT, MEANWHILE, Fault

from jobjar import errors, fslook, leftovers, moves, node, notes, registration, reservation, states
from jobjar.journal import History, Journal
from jobjar.layout import Place
from jobjar.recovery import Recovery

ME = node.myself("rain")
DEAD = ME._replace(pid=2**22 + 1)
LATER = ME._replace(pid=2**22 + 2)
WORKER = node.owner(DEAD)
ATTEMPT = f"{node.nonce(DEAD)}-1"
MINE = reservation.text(WORKER, ATTEMPT)
FRESH = "20261121-101500-me-000001000.0"


@pytest.fixture
def dead(jar):
    """The directory of a worker that has died."""
    registration.write(jar, DEAD, {})
    return jar.worker(WORKER)


def _claimed(jar, word, name="a.0"):
    return jars.put(jar, Place(states.CLAIMS, None, name, jar.claims(WORKER)), word)


def _recover(jar, max_attempts=3):
    return Recovery(jar, ME, max_attempts).node()


def _where(jar, word):
    return invariants.places(jars.tree(jar)).get(word, [])


def _journal(directory, *lines):
    book = Journal(directory)
    for method, *arguments in lines:
        more = arguments.pop() if isinstance(arguments[-1], dict) else {}
        getattr(book, method)(*arguments, **more)
    book.close()


def test_1_a_releaser_that_dies_leaves_the_job_where_the_next_releases_it_under_its_own_name(jar):
    place = jars.put(jar, Place(states.WAITING, "C", FRESH), "X")
    trace = faults.count(lambda: moves.ready(jar, place, MINE), jar.home)
    os.rename(jar.path(Place(states.UNCLAIMED, "C", FRESH)), jar.path(place))
    for at in range(1, len(trace) + 1):
        faults.strike(lambda: moves.ready(jar, place, MINE), Fault(BEFORE, at), jar.home)
        moves.ready(jar, place, MINE)
        assert _where(jar, "X") == [f"unclaimed/C/{FRESH}"]
        os.rename(jar.path(Place(states.UNCLAIMED, "C", FRESH)), jar.path(place))
    # One bare rename: there is nothing between which to die.
    assert [line.split(" ")[0] for line in trace if "mkdir" not in line] == ["os.rename"]


def test_2_the_reservations_of_a_command_that_died_are_withdrawn_and_those_of_the_living_are_not(jar):
    living = reservation.text(node.owner(ME), node.nonce(ME))
    command = reservation.text(node.owner(DEAD), node.nonce(DEAD))
    for name, text in (("a.0", command), ("b.0", living)):
        os.symlink(text, os.path.join(jar.completed, name))
        os.symlink(text, os.path.join(jar.unclaimed, f".{name}"))
    leftovers.sweep(jar, ME)
    assert fslook.links(jar.completed) == [("b.0", living)]
    assert fslook.links(jar.unclaimed) == [(".b.0", living)]
    assert os.listdir(jar.limbo) == []


def test_3_two_namesakes_put_back_at_once_are_both_kept_though_a_claimer_has_an_old_listing(jar):
    one = jars.put(jar, Place(states.CLAIMS, "C", "a.0", jars.worker(jar, "rain.1", "C")), "one")
    other = jars.put(jar, Place(states.CLAIMS, "C", "a.0", jars.worker(jar, "snow.1", "C")), "other")
    claims = jars.worker(jar, "hail.1", "C")

    def meanwhile():
        # A claimer takes whatever stands under the name of the job, and another node puts its namesake back.
        moves.claim(jar, Place(states.UNCLAIMED, "C", "a.0"), claims)
        moves.recover(jar, other, reservation.text("snow.1", "n-1"))

    trace = faults.count(lambda: moves.recover(jar, one, reservation.text("rain.1", "n-1")), jar.home)
    os.rename(jar.path(Place(states.UNCLAIMED, "C", "a.0")), jar.path(one))
    for at in range(1, len(trace) + 1):
        faults.strike(lambda: moves.recover(jar, one, reservation.text("rain.1", "n-1")),
                      Fault(MEANWHILE, at, meanwhile), jar.home)
        assert len(_where(jar, "one")) == len(_where(jar, "other")) == 1
        for word, place in (("one", one), ("other", other)):
            os.rename(os.path.join(jar.home, *_where(jar, word)), jar.path(place))


def test_4_a_stale_end_line_does_not_complete_a_job_that_never_ran(jar, dead):
    def second_claim():
        book = Journal(dead)
        book.end(f"{node.nonce(DEAD)}-1", None, "a.0", state="COMPLETED")
        book.sync()
        book.intend(f"{node.nonce(DEAD)}-2", None, "a.0")
        moves.claim(jar, Place(states.UNCLAIMED, None, "a.0"), jar.claims(WORKER))
        book.close()
    first_claim = ("intend", f"{node.nonce(DEAD)}-1", None, "a.0")
    _journal(dead, first_claim)
    jars.put(jar, Place(states.UNCLAIMED, None, "a.0"), "never ran")
    trace = faults.count(second_claim, jar.home)
    os.rename(jar.path(Place(states.CLAIMS, None, "a.0", jar.claims(WORKER))), os.path.join(jar.unclaimed, "a.0"))
    # What was counted has reached the disk, the second intent too.
    os.remove(os.path.join(dead, "journal"))
    _journal(dead, first_claim)
    after_the_claim = [line.split(" ")[0] for line in trace].index("os.rename") + 2
    # The power is cut when the claim has happened: what was not synced is gone, and the intent must not be.
    faults.strike(second_claim, Fault(CUT, after_the_claim), jar.home)
    assert os.listdir(jar.claims(WORKER)) == ["a.0"]
    assert History(dead).attempt(None, "a.0") == f"{node.nonce(DEAD)}-2"
    _recover(jar)
    assert _where(jar, "never ran") == ["unclaimed/a.0"]


def test_4_the_other_way_round_a_reservation_whose_end_line_was_lost_does_not_rename_the_rerun(jar, dead):
    def recover():
        Recovery(jar, LATER, 3).node()

    def prepare():
        registration.fsops.remove_tree(dead)
        registration.write(jar, DEAD, {})
        _claimed(jar, "X", "z.0")
        _journal(dead, ("intend", ATTEMPT, None, "z.0"))
        os.symlink(MINE, os.path.join(jar.completed, "z.0"))
    prepare()
    trace = faults.count(recover, jar.home)
    # Even when that recovery dies as soon as the job is back, and a worker is quicker than the next.
    for at in range([line.split("/")[-1] for line in trace].index("z.0") + 1, len(trace) + 1):
        os.remove(os.path.join(jar.home, *_where(jar, "X")))
        prepare()
        faults.strike(recover, Fault(BEFORE, at), jar.home)
        if _where(jar, "X") == ["unclaimed/z.0"]:
            workers.drain(jar)
            assert _where(jar, "X") == ["completed/z.0"]
        _recover(jar)


def test_5_a_redo_takes_the_name_that_was_chosen_although_a_better_one_is_free_now(jar, dead):
    _claimed(jar, "X")
    _journal(dead, ("intend", ATTEMPT, None, "a.0"), ("end", ATTEMPT, None, "a.0", {"state": "FAILED"}),
             ("target", ATTEMPT, "a~2.0"))
    # It had got as far as the link in failed/; the namesake completed/a.0 has been cleaned since.
    os.symlink(MINE, os.path.join(jar.completed, "a~2.0"))
    os.symlink("../completed/a~2.0", os.path.join(jar.failed, "a~2.0"))
    jars.write(jar.log("a~2.0"), "what X printed")
    _recover(jar)
    assert _where(jar, "X") == ["completed/a~2.0"]
    assert os.listdir(jar.failed) == os.listdir(jar.logs) == ["a~2.0"]


def test_5_the_name_that_is_chosen_stands_in_the_journal_before_it_is_tried(jar, dead):
    def complete():
        history, book = History(dead), Journal(dead)
        moves.complete(jar, place, MINE, bad=True, output=output, first=history.target(ATTEMPT),
                       detour=lambda name: book.target(ATTEMPT, name))
        book.close()

    def prepare():
        for path in (os.path.join(jar.home, path) for word in ("X", "earlier") for path in _where(jar, word)):
            os.remove(path)
        for directory in (jar.completed, jar.failed, jar.logs):
            for name in os.listdir(directory):
                os.remove(os.path.join(directory, name))
        registration.fsops.remove_tree(dead)
        registration.write(jar, DEAD, {})
        _journal(dead, ("intend", ATTEMPT, None, "a.0"), ("end", ATTEMPT, None, "a.0", {"state": "FAILED"}))
        jars.write(output, "what X printed")
        jars.put(jar, Place(states.COMPLETED, None, "a.0"), "earlier")
        return _claimed(jar, "X")

    output = os.path.join(dead, "output")
    place = prepare()
    trace = faults.count(complete, jar.home)
    for at in range(1, len(trace) + 1):
        place = prepare()
        faults.strike(complete, Fault(BEFORE, at), jar.home)
        # The namesake is cleaned before the next recovery comes, so the job's own name is free again.
        os.remove(os.path.join(jar.completed, "a.0"))
        _recover(jar)
        [found] = _where(jar, "X")
        assert os.listdir(jar.failed) == os.listdir(jar.logs) == [os.path.basename(found)], trace[at - 1]


def test_6_a_registration_that_dies_leaves_only_dot_names_which_no_reader_takes_for_jobs(jar):
    def register():
        registration.write(jar, DEAD, {})
        registration.probe(jar, WORKER)
    trace = faults.count(register, jar.home)
    for fault in faults.points(trace, BEFORE):
        registration.fsops.remove_tree(jar.worker(WORKER))
        faults.strike(register, fault, jar.home)
        tree = jars.tree(jar)
        assert not [path for path in tree if path.startswith(("limbo/", "completed/"))
                    and not path.split("/")[1].startswith(".")]
        assert not [path for path in tree if "/claims/" in path and "/claims/.probe." not in path]
        _recover(jar)
        left = jars.tree(jar)
        assert invariants.leftovers(left) == []


def test_7_of_two_live_processes_with_one_name_neither_writes_into_the_others_directory(jar):
    # Two containers: the same node name and pid, each unable to see the other's processes.
    inner = ME._replace(pidns=ME.pidns + 1)
    trace = faults.count(lambda: registration.write(jar, ME, {}), jar.home)
    for at in range(1, len(trace) + 1):
        registration.fsops.remove_tree(jar.worker(node.owner(ME)))
        results = []
        faults.strike(lambda: results.append(registration.write(jar, ME, {})),
                      Fault(MEANWHILE, at, lambda: results.append(registration.write(jar, inner, {}))), jar.home)
        assert sorted(results) == [False, True]
        assert registration.read(jar, node.owner(ME)).identity == (inner if results[0] else ME)
    # And whoever comes later cannot prove the other dead, so the name is left alone.
    record = registration.read(jar, node.owner(ME))
    other = ME if record.identity == inner else inner
    assert registration.verdict(jar, record, other) == node.UNKNOWN


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_8_a_job_that_ends_badly_while_it_is_looked_at_is_never_seen_as_a_success(jar, dead, monkeypatch, at):
    from jobjar.job import Job
    place = _claimed(jar, "X")
    looks = []
    real = fslook.status

    def slow(directory, name):
        # The job ends badly between two looks of the reader.
        looks.append(directory)
        if len(looks) == at:
            moves.complete(jar, place, MINE, bad=True)
        return real(directory, name)
    monkeypatch.setattr(fslook, "status", slow)
    for _ in range(5):
        assert Job(jar, Place(states.COMPLETED, None, "a.0")).state != "COMPLETED"
    assert Job(jar, Place(states.COMPLETED, None, "a.0")).state == "FAILED"


def test_8_completed_is_looked_at_before_failed(jar, monkeypatch):
    from jobjar.job import Job
    jars.put(jar, Place(states.COMPLETED, None, "a.0"), "X")
    looks = []
    real = fslook.status
    monkeypatch.setattr(fslook, "status", lambda directory, name: (looks.append(directory), real(directory, name))[1])
    assert Job(jar, Place(states.COMPLETED, None, "a.0")).state == "COMPLETED"
    assert jar.failed in looks
    assert max(i for i, d in enumerate(looks) if d == jar.completed) < looks.index(jar.failed)


@pytest.mark.parametrize("bad", [False, True])
def test_9_a_fence_around_a_live_worker_at_any_moment_leaves_nothing_of_its_completing(jar, dead, bad):
    def finish():
        try:
            moves.complete(jar, Place(states.CLAIMS, None, "a.0", jar.claims(WORKER)), MINE, bad=bad,
                           output=os.path.join(dead, "output"))
        except errors.Fenced:
            pass

    def prepare():
        registration.fsops.remove_tree(dead)
        registration.write(jar, DEAD, {})
        for place in invariants.places(jars.tree(jar)).get("X", []):
            os.remove(os.path.join(jar.home, place))
        for name in os.listdir(jar.failed):
            os.remove(os.path.join(jar.failed, name))
        for name in os.listdir(jar.logs):
            os.remove(jar.log(name))
        _claimed(jar, "X")
        jars.write(os.path.join(dead, "output"), "printed\n")
        end = {"state": "FAILED" if bad else "COMPLETED"}
        _journal(dead, ("intend", ATTEMPT, None, "a.0"), ("end", ATTEMPT, None, "a.0", end))
    prepare()
    trace = faults.count(finish, jar.home)
    for at in range(1, len(trace) + 1):
        prepare()
        # The whole recovery happens between two operations of a worker that only seems to be dead.
        faults.strike(finish, Fault(MEANWHILE, at, lambda: _recover(jar)), jar.home)
        _recover(jar)
        tree = jars.tree(jar)
        assert _where(jar, "X") == ["completed/a.0"]
        assert invariants.leftovers(tree) + invariants.links(tree, ["X"] if bad else []) == []
        assert tree["logs/a.0"] == "printed\n"


def test_9_a_worker_that_goes_on_while_it_is_recovered_neither_claims_nor_completes(jar, dead):
    results = []

    def go_on():
        attempts = [lambda: moves.complete(jar, place, MINE, bad=False),
                    lambda: moves.complete(jar, place, MINE, bad=True),
                    lambda: moves.claim(jar, Place(states.UNCLAIMED, None, "b.0"), jar.claims(WORKER))]
        for attempt in attempts:
            with pytest.raises(errors.Fenced):
                attempt()
        results.append("fenced")

    place = _claimed(jar, "X")
    trace = faults.count(lambda: _recover(jar), jar.home)
    fence = next((at for at, line in enumerate(trace, 1) if "/claims → " in line), 1)
    for at in range(fence + 1, len(trace) + 1):
        os.remove(os.path.join(jar.home, *_where(jar, "X")))
        registration.fsops.remove_tree(dead)
        registration.fsops.remove_tree(os.path.join(jar.notes, "a"))
        registration.write(jar, DEAD, {})
        _claimed(jar, "X")
        if at == fence + 1:
            jars.put(jar, Place(states.UNCLAIMED, None, "b.0"), "other")
        results.clear()
        outcome = faults.strike(lambda: _recover(jar), Fault(MEANWHILE, at, go_on), jar.home)
        assert (outcome.error, results) == ("", ["fenced"])
        assert _where(jar, "other") == ["unclaimed/b.0"]
        assert _where(jar, "X") == ["unclaimed/a.0"]


def test_10_a_new_job_of_an_old_name_starts_counting_anew(jar, dead):
    notes.count(jar, "rain.1", "a.0", None, "earlier-1", "its worker died")
    notes.count(jar, "rain.1", "a.0", None, "earlier-2", "its worker died")
    jars.put(jar, Place(states.UNCLAIMED, None, "a.0"), "old")
    workers.drain(jar)
    assert _where(jar, "old") == ["completed/a.0"]
    _claimed(jar, "new")
    _recover(jar)
    assert _where(jar, "new") == ["unclaimed/a.0"], "given up after one attempt, for those of its namesake"
    assert notes.open_attempts(jar, "a.0", None) == {f"none-{node.nonce(DEAD)}"}


def test_11_a_given_up_a_failed_and_a_good_job_of_one_name_have_three_names(jar, dead):
    _claimed(jar, "given up")
    _recover(jar, max_attempts=1)
    jars.put(jar, Place(states.UNCLAIMED, None, "a.0"), "failed", "exit 3")
    workers.drain(jar)
    jars.put(jar, Place(states.UNCLAIMED, None, "a.0"), "good")
    workers.drain(jar)
    assert [_where(jar, word) for word in ("given up", "failed", "good")] == [
        ["failed/a.0"], ["completed/a~2.0"], ["completed/a~3.0"]]
    assert invariants.links(jars.tree(jar), ["failed"]) == []
    assert sorted(os.listdir(jar.failed)) == ["a.0", "a~2.0"]
