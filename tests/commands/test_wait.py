"""`jobjar wait`, as a shell meets it, with real workers."""

import os
import time

import pytest
from support import jars, processes, programs, workers

from jobjar import awaiting, jobname, notes
from jobjar import job as job_module
from jobjar.awaiting import Awaited
from jobjar.errors import NoSuchJob
from jobjar.job import Job
from jobjar.layout import Place


def job_id(place):
    return jobname.split(place.name)[0]


def wait(jar, *words, **more):
    return programs.run("jobjar", "wait", "--home", jar.home, *words, **more)


@pytest.fixture
def submit(jar):
    """Submits commands; returns their ids."""
    return lambda *commands, **more: [job_id(workers.submit(jar, command, **more)) for command in commands]


def test_it_says_by_its_exit_status_whether_all_have_ended_well(jar, submit):
    good, bad, killed = submit("true", "exit 7", "kill -9 $$")
    with workers.working(jar):
        assert wait(jar, good) == (0, "", "")
        assert wait(jar, good, bad) == (1, "", f"{bad}: FAILED, exit status 7\n")
        assert wait(jar, "--return", bad) == (7, "", f"{bad}: FAILED, exit status 7\n")
        assert wait(jar, "--return", good, bad, killed)[0] == 137
        assert wait(jar, "--return", good) == (0, "", "")


def test_it_begins_before_the_job_does_and_ends_with_it(jar, submit):
    name, = submit("while test ! -e $JJ_HOME/go; do sleep 0.02; done; exit 3")
    waiting = programs.start("jobjar", "wait", "--home", jar.home, "--return", name)
    with workers.working(jar) as worker:
        processes.until(lambda: list(workers.files(worker.claims)), "the claim")
        assert waiting.poll() is None
        jars.write(jar.home + "/go", "")
        assert processes.finish(waiting)[0] == 3


def test_how_a_job_has_ended_that_was_cleaned_away_is_still_known(jar, submit):
    bad, good = submit("exit 42", "true")
    base = "20261121-101500-me-000001000"
    for index in (1, 2):
        workers.place(jar, f"{base}_{index}.0", "exit 3")
    workers.drain(jar)
    assert programs.run("jobjar", "clean", "--home", jar.home, "--older=0")[0] == 0
    there, = submit("exit 5")
    workers.drain(jar)
    assert wait(jar, "--return", bad) == (42, "", f"{bad}: FAILED, exit status 42\n")
    assert wait(jar, good) == (0, "", "") and wait(jar, "--any", good, there)[:2] == (0, f"{good}\n")
    assert wait(jar, "--return", bad, there)[0] == 42 and wait(jar, "--return", base)[0] == 3
    assert wait(jar, "nothing")[0] == 3
    assert programs.run("jobjar", "clean", "--home", jar.home, "--older=0")[0] == 0
    assert "could be any of" in wait(jar, "2026")[2]


def test_the_time_is_up(jar, submit):
    one, two = submit("true", "true", category="nobodys")
    status, out, err = wait(jar, "--timeout=0.1s", one, two)
    assert (status, out, err) == (124, "", "the time is up: 0 of 2 have ended\n")


def test_any_is_over_with_the_first_and_prints_its_id(jar, submit):
    slow, = submit("true", category="nobodys")
    quick, = submit("exit 4")
    with workers.working(jar):
        assert wait(jar, "--any", slow, quick) == (1, quick + "\n", f"{quick}: FAILED, exit status 4\n")
        assert wait(jar, "--any", "--return", slow, quick)[0] == 4


def test_a_job_that_never_ran_has_not_ended_well(jar, submit):
    name, = submit("true")
    notes.add(jar, "rain.1", name, None, "cancel", why="so")
    os.rename(f"{jar.unclaimed}/{name}.0", f"{jar.failed}/{name}.0")
    assert wait(jar, "--return", name) == (1, "", f"{name}: CANCELLED\n")


@pytest.mark.parametrize("words, status, said", [
    (["nothing-of-that-name"], 3, "nothing-of-that-name"), ([], 2, "JOB is missing"),
    (["--timeout=soon", "x"], 2, "'soon' is not a duration"),
])
def test_wrong_words(jar, words, status, said):
    found = wait(jar, *words)
    assert found[:2] == (status, "") and said in found[2] and found[2].count("\n") == 1


def test_a_hundred_jobs_by_a_glob(jar, submit):
    submit(*["true"] * 60, *["exit 2"] * 12)
    with workers.working(jar):
        status, out, err = wait(jar, "*")
    assert (status, out) == (1, "") and err.count(": FAILED, exit status 2\n") == 10 and "… and 2 more" in err


# The functions behind the command, on a jar whose jobs a test moves about.

@pytest.fixture(params=[1, awaiting.FEW + 2])
def awaited(jar, request, monkeypatch):
    """As many jobs as are looked up, and as many as are listed; looked for everywhere at every look."""
    monkeypatch.setattr(awaiting, "RELOCATE", 0.0)
    monkeypatch.setattr(awaiting, "RELOCATE_AT_LAST", 0.0)
    places = [workers.submit(jar, f"exit {number}") for number in range(request.param)]
    return Awaited(jar, [Job(jar, place) for place in places])


def names(awaited):
    return list(awaited._pending)


def finish(jar, awaited, bad=False):
    for name in names(awaited):
        if bad:
            os.symlink(f"../completed/{name}", f"{jar.failed}/{name}")
        os.rename(f"{jar.unclaimed}/{name}", f"{jar.completed}/{name}")


def test_a_link_in_failed_is_seen_with_the_job_and_not_before(jar, awaited):
    first = names(awaited)[0]
    os.symlink(f"../completed/{first}", f"{jar.failed}/{first}")
    os.symlink("reserved:rain.1:x-1", f"{jar.completed}/{first}")
    assert not awaited.wait(0)
    os.unlink(f"{jar.completed}/{first}")
    os.rename(f"{jar.unclaimed}/{first}", f"{jar.completed}/{first}")
    assert awaited.wait(5, first=True) and [(e.job.name, e.state) for e in awaited.ended] == [(first, "FAILED")]


def test_a_job_is_followed_to_another_priority_and_category(jar, awaited):
    old = names(awaited)
    os.mkdir(f"{jar.held}/C")
    for name in old:
        os.rename(f"{jar.unclaimed}/{name}", f"{jar.held}/C/{jobname.split(name)[0]}.77")
    assert not awaited.wait(0)
    for name in old:
        os.rename(f"{jar.held}/C/{jobname.split(name)[0]}.77", f"{jar.completed}/{jobname.split(name)[0]}.78")
    assert awaited.wait(5) and {e.state for e in awaited.ended} == {"COMPLETED"} and len(awaited.ended) == len(old)


def test_a_job_that_disappears_is_given_up_after_a_while(jar, awaited, monkeypatch):
    monkeypatch.setattr(awaiting, "LOST_AFTER", 0.2)
    os.unlink(f"{jar.unclaimed}/{names(awaited)[0]}")
    assert not awaited.wait(0)
    with pytest.raises(NoSuchJob, match="somebody has removed it"):
        awaited.wait(30)


def test_a_job_that_comes_back_is_not_given_up(jar, awaited, monkeypatch):
    monkeypatch.setattr(awaiting, "LOST_AFTER", 0.2)
    path = f"{jar.unclaimed}/{names(awaited)[0]}"
    os.rename(path, jar.home + "/away")
    assert not awaited.wait(0)
    os.rename(jar.home + "/away", path)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        assert not awaited.wait(0)
        time.sleep(0.05)
    finish(jar, awaited)
    assert awaited.wait(5)


def test_one_that_was_missed_and_came_back_is_missed_anew_while_another_is_away(jar, monkeypatch):
    monkeypatch.setattr(awaiting, "RELOCATE", 0.0)
    monkeypatch.setattr(awaiting, "RELOCATE_AT_LAST", 0.0)
    monkeypatch.setattr(awaiting, "LOST_AFTER", 1.0)
    places = [workers.submit(jar, "true") for _ in range(awaiting.FEW + 2)]
    awaited = Awaited(jar, [Job(jar, place) for place in places])
    first, second = (f"{jar.unclaimed}/{place.name}" for place in places[:2])
    clock = time.monotonic()
    for passed, here, away in ((0.0, None, first), (0.6, first, second), (1.2, None, first), (1.3, second, None)):
        if here:
            os.rename(jar.home + "/" + os.path.basename(here), here)
        if away:
            os.rename(away, jar.home + "/" + os.path.basename(away))
        # As the looks would be that many seconds later.
        awaited._look(clock + passed)
    with pytest.raises(NoSuchJob, match=places[0].name.rpartition(".")[0]):
        awaited._look(clock + 2.3)


def test_many_jobs_cost_no_lookup_each_and_no_listing_while_nothing_happens(jar, monkeypatch):
    places = [workers.submit(jar, "true") for _ in range(50)]
    awaited = Awaited(jar, [Job(jar, place) for place in places])
    # As after the time in which a change may not show in an mtime.
    monkeypatch.setattr(awaiting.glance, "AGAIN_AFTER", 0.0)
    listed = []
    scan = awaiting.fslook.scan_uncached
    monkeypatch.setattr(awaiting.fslook, "scan_uncached", lambda path: listed.append(path) or scan(path))
    monkeypatch.setattr(job_module.fslook, "status", lambda *_: pytest.fail("a lookup"))
    for _ in range(5):
        assert not awaited.wait(0)
    assert listed == [jar.completed, jar.failed] * 2
    os.rename(f"{jar.unclaimed}/{places[0].name}", f"{jar.completed}/{places[0].name}")
    assert awaited.wait(5, first=True) and len(listed) == 6


def test_what_changes_within_the_tick_of_a_listing_is_seen_by_a_later_one(jar, monkeypatch):
    places = [workers.submit(jar, "true") for _ in range(awaiting.FEW + 2)]
    awaited = Awaited(jar, [Job(jar, place) for place in places])
    monkeypatch.setattr(awaiting.glance, "AGAIN_AFTER", 0.2)
    monkeypatch.setattr(awaiting.fslook, "stamp", lambda directory: 7)
    assert not awaited.wait(0)
    os.rename(f"{jar.unclaimed}/{places[0].name}", f"{jar.completed}/{places[0].name}")
    assert awaited.wait(5, first=True)


def test_progress_says_how_many_and_how_long(jar, awaited):
    assert awaited.progress() == f"0 of {awaited.total} have ended"
    if awaited.total > 1:
        name = names(awaited)[0]
        os.symlink(f"../completed/{name}", f"{jar.failed}/{name}")
        os.rename(f"{jar.unclaimed}/{name}", f"{jar.completed}/{name}")
        awaited.wait(5, first=True)
        assert awaited.progress().startswith(f"1 of {awaited.total} have ended, 1 of them badly, about ")
        assert awaited.progress().endswith("s left")
    finish(jar, awaited)
    awaited.wait(5)
    assert awaited.progress().startswith(f"{awaited.total} of {awaited.total} have ended")


def test_two_jobs_of_one_name_count_as_one(jar):
    first, second = (jars.put(jar, Place("unclaimed", category, "mine")) for category in ("A", "B"))
    assert Awaited(jar, [Job(jar, first), Job(jar, second)]).total == 1
