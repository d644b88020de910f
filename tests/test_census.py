"""One look at a jar: what it counts, what it calls the workers, what it survives, and that it changes nothing."""

import errno
import json
import os
import shutil
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from support import faults, jars
from test_orders import leave, register

from jobjar import census, fslook, layout, node, notes, orders, staff
from jobjar.census import Failed
from jobjar.layout import Place

ME = node.myself("rain")
NOW = time.time()

FOREIGN = {
    "readme": "not executable: make it so with chmod +x",
    ".nfs0000000000000001": "its name begins with a dot",
    "fifo": "not a regular file",
    "socket": "not a regular file",
    "dangling": "a symbolic link: only files are run",
    "to-a-job": "a symbolic link: only files are run",
    "loop": "a symbolic link: only files are run",
    "two\nlines": "not executable: make it so with chmod +x",
    "esc\x1b[31m": "not executable: make it so with chmod +x",
    "bytes \udcff": "not executable: make it so with chmod +x",
}


def litter(directory):
    """Every kind of file that is no job and may lie in a queue, and one job with a terrible name."""
    for name in ("readme", ".nfs0000000000000001", "two\nlines", "esc\x1b[31m", "bytes \udcff"):
        jars.write(f"{directory}/{name}", "x", 0o600)
    os.mkfifo(f"{directory}/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(directory, os.O_PATH)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    os.symlink("nowhere", f"{directory}/dangling")
    os.symlink("..", f"{directory}/loop")
    os.symlink(jars.write(f"{directory}/job\n\udcfe", "#!/bin/sh\n"), f"{directory}/to-a-job")
    os.symlink("reserved:rain.7:x", f"{directory}/.reserved")


def look(jar, me=ME):
    return census.look(jar, me)


def one(jar, name):
    return {worker.name: worker for worker in census.workers(jar, ME)}[name]


def alive(jar, of="rain", **more):
    """The directory of a worker that is this very process."""
    return register(jar, f"{of}.{os.getpid()}", **more)


def dead(jar):
    """The directory of a worker whose pid is now somebody else's."""
    return register(jar, f"rain.{os.getppid()}", start=1)


def give(jar, name, job="job", category=None):
    return jars.put(jar, Place("claims", category, job, jar.claims(name)))


def mark(jar, path):
    jars.write(f"{jar.workers}/{path}", "")


def beat(jar, name, ago):
    os.utime(f"{jar.worker(name)}/beat", (time.time() - ago,) * 2)


# Jobs.

def test_jobs_are_found_in_each_state_and_category(jar):
    places = [Place(state, category, f"job-{state}") for state in ("unclaimed", "held", "waiting")
              for category in (None, "LINUX")]
    for place in places:
        jars.put(jar, place)
    assert look(jar).jobs == tuple(places)
    assert census.queued(jar, "held") == places[2:4]


@pytest.mark.parametrize("category", [None, "LINUX"])
def test_foreign_files_are_no_jobs_and_say_why(jar, category):
    litter(jar.queue("unclaimed", category))
    seen = look(jar)
    assert seen.jobs == (Place("unclaimed", category, "job\n\udcfe"),)
    assert {item.name: item.reason for item in seen.foreign} == FOREIGN
    assert {(item.state, item.category) for item in seen.foreign} == {("unclaimed", category)}


def test_a_directory_deeper_than_a_category_is_foreign_and_not_entered(jar):
    jars.put(jar, Place("unclaimed", "A/B", "job"))
    seen = look(jar)
    assert seen.jobs == ()
    assert seen.foreign == (("unclaimed", "A", "B", "a directory inside a category: only one level is read"),)


def test_reservations_are_not_mentioned(jar):
    os.symlink("reserved:rain.7:x", f"{jar.unclaimed}/.job")
    assert look(jar).foreign == ()


def test_old_drafts_are_mentioned_and_young_or_hidden_ones_are_not(jar):
    for name in ("old", "young", ".hidden"):
        jars.write(f"{jar.limbo}/{name}", "")
    for name in ("old", ".hidden"):
        os.utime(f"{jar.limbo}/{name}", (NOW - 7200,) * 2)
    assert [draft.name for draft in look(jar).drafts] == ["old"]


def test_completed_counts_regular_files_alone(jar):
    jars.put(jar, Place("completed", None, "done"))
    os.symlink("reserved:rain.7:x", f"{jar.completed}/reserved")
    os.mkdir(f"{jar.completed}/directory")
    jars.write(f"{jar.completed}/.probe.rain.7", "")
    assert look(jar).completed == ("done",)
    assert census.completed(jar) == ["done"]


def test_failed_tells_what_ended_badly_from_what_never_ran(jar):
    jars.put(jar, Place("completed", None, "bad"))
    os.symlink(layout.failed_link("bad"), f"{jar.failed}/bad")
    jars.put(jar, Place("failed", None, "refused.3"))
    jars.put(jar, Place("failed", None, "wordless"))
    notes.add(jar, "rain.7", "refused.3", None, "attempt", a="x", why="its worker died")
    notes.add(jar, "rain.7", "refused.3", None, "refuse", why="no such interpreter")
    assert census.failed(jar) == list(look(jar).failed) == [
        Failed("bad", True, "it ended badly"), Failed("refused.3", False, "no such interpreter"),
        Failed("wordless", False, "no reason has been noted")]


@pytest.mark.parametrize("ask", [census.failed, census.completed])
def test_that_nothing_has_ended_is_not_said_when_it_cannot_be_seen(jar, ask):
    reads = faults.count_reads(lambda: ask(jar), jar.home)
    for at, line in enumerate(reads, 1):
        outcome = faults.strike(lambda: ask(jar), faults.Fault(faults.READ, at, errno.EIO), jar.home)
        assert "TryAgain" in outcome.error and line.split()[1] in outcome.error


def test_a_dangling_link_in_failed_says_nothing_yet(jar):
    os.symlink(layout.failed_link("soon"), f"{jar.failed}/soon")
    assert look(jar).failed == ()


@pytest.fixture
def listed(monkeypatch):
    """The directories that a census lists, in order."""
    entries, order = fslook.entries, []
    monkeypatch.setattr(fslook, "entries", lambda path, troubles: order.append(path) or entries(path, troubles))
    return order


def test_places_are_visited_in_the_order_of_a_jobs_life(jar, listed):
    name = alive(jar)
    look(jar)
    assert listed == [jar.limbo, jar.waiting, jar.held, jar.unclaimed, jar.workers, jar.worker(name), jar.claims(name),
                      jar.completed, jar.failed]


def test_completed_is_listed_before_failed(jar, listed):
    """A job that ends badly between the two listings is never taken for one that ended well."""
    census.failed(jar)
    assert listed == [jar.completed, jar.failed]


# Workers.

def test_a_worker_without_a_job_is_idle(jar):
    name = alive(jar)
    worker = one(jar, name)
    assert (worker.state, worker.jobs, worker.since) == ("IDLE", (), None)
    assert (worker.node, worker.pid) == ("rain", os.getpid())
    assert time.time() - worker.contact < 60


@pytest.mark.parametrize("category", [None, "LINUX"])
def test_a_worker_with_a_job_is_running_since_it_came(jar, category):
    name = alive(jar)
    place = give(jar, name, "job", category)
    os.utime(jar.path(place), (1, 1))
    worker = one(jar, name)
    assert (worker.state, worker.jobs) == ("RUNNING", (place,))
    assert time.time() - worker.since < 60
    assert census.claimed(jar) == [place]


def test_a_probe_or_a_link_in_claims_is_no_job(jar):
    name = alive(jar)
    jars.write(f"{jar.claims(name)}/.probe.{name}", "")
    os.symlink("x", f"{jar.claims(name)}/link")
    os.mkdir(f"{jar.claims(name)}/EMPTY")
    assert one(jar, name).state == "IDLE"


@pytest.mark.parametrize("marker", ["STOP", "../STOP_ALL", "../DRAIN.rain"])
@pytest.mark.parametrize("has_job", [False, True])
def test_a_worker_that_is_to_leave_is_stopping_even_if_it_is_to_pause_too(jar, marker, has_job):
    name = alive(jar)
    mark(jar, f"{name}/{marker}")
    mark(jar, f"{name}/PAUSE")
    has_job and give(jar, name)
    assert one(jar, name).state == "STOPPING"


@pytest.mark.parametrize("marker", ["PAUSE", "../PAUSE_ALL"])
def test_a_worker_is_paused_between_jobs_alone(jar, marker):
    name = alive(jar)
    mark(jar, f"{name}/{marker}")
    assert one(jar, name).state == "PAUSED"
    give(jar, name)
    assert one(jar, name).state == "RUNNING"


@pytest.fixture
def short(monkeypatch):
    """The jar's file system has 99 bytes and 99 inodes left; a list of who has asked."""
    asked = []
    monkeypatch.setattr(fslook, "room", lambda path: asked.append(path) or (99, 99))
    return asked


@pytest.mark.parametrize("least, why", [([100, 0], "99 bytes free on"), ([0, 100], "99 inodes free on"), ([99, 99], "")])
def test_a_worker_is_blocked_while_there_is_less_room_than_it_asks_for(jar, short, least, why):
    worker = one(jar, alive(jar, more={"min_free": least}))
    assert (worker.state, worker.reason[:len(why)]) == ("BLOCKED" if why else "IDLE", why)
    assert census.unread(look(jar)) == {} and worker.state in staff.LIVE


def test_a_worker_that_has_a_job_or_is_to_pause_or_leave_is_not_called_blocked(jar, short):
    name = alive(jar, more={"min_free": [100, 0]})
    mark(jar, f"{name}/PAUSE")
    assert (one(jar, name).state, one(jar, name).reason) == ("PAUSED", "")
    give(jar, name)
    assert (one(jar, name).state, one(jar, name).reason) == ("RUNNING", "")
    mark(jar, f"{name}/STOP")
    assert one(jar, name).state == "STOPPING"


def test_the_room_is_asked_for_once_however_many_workers_there_are(jar, short):
    for pid in range(2, 9):
        register(jar, f"meadow.{pid}", more={"min_free": [100, 0]})
    assert {worker.state for worker in census.workers(jar, ME)} == {"BLOCKED"} and short == [jar.home]


@pytest.mark.parametrize("said", [None, 7, [], [100], ["100", 0], [100, None], [True, True], {"bytes": 100}])
def test_a_worker_that_says_nothing_of_room_that_can_be_understood_is_not_blocked(jar, short, said):
    assert one(jar, alive(jar, more={"min_free": said})).state == "IDLE"


def test_a_census_comes_to_its_end_though_the_room_cannot_be_asked_for(jar, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(fslook, "room", fail)
    alive(jar, more={"min_free": [100, 0]})
    seen = look(jar)
    assert [worker.state for worker in seen.workers] == ["IDLE"]
    assert seen.troubles == (f"{jar.home} does not say how much room there is: Input/output error",)


def test_a_worker_that_has_paused_itself_says_why(jar):
    name = alive(jar)
    jars.write(f"{jar.worker(name)}/PAUSE", "no memory\n")
    assert (one(jar, name).state, one(jar, name).reason) == ("PAUSED", "no memory")


def test_the_markers_that_act_on_a_worker_are_listed(jar):
    name = alive(jar)
    for path in (f"{name}/STOP", f"{name}/RENEW", "PAUSE_ALL", "DRAIN.rain", "DRAIN.meadow"):
        mark(jar, path)
    assert one(jar, name).markers == ("STOP", "RENEW", "PAUSE_ALL", "DRAIN")
    assert look(jar).markers == ("PAUSE_ALL",)
    assert look(jar).drains == {"rain": "", "meadow": ""} == orders.drains(jar)


def test_a_worker_that_left_owns_nothing(jar):
    assert one(jar, leave(jar, "rain.7")).state == "LEFT"
    os.mkdir(jar.worker("rain.8"))
    assert one(jar, "rain.8").state == "LEFT"


def test_a_dead_worker_is_stranded_until_it_is_recovered(jar):
    name = dead(jar)
    place = give(jar, name)
    assert (one(jar, name).state, one(jar, name).jobs) == ("STRANDED", (place,))
    fenced = f"{jar.worker(name)}/recovering.x"
    os.rename(jar.claims(name), fenced)
    assert (one(jar, name).state, one(jar, name).jobs) == ("STRANDED", (place._replace(holder=fenced),))
    shutil.rmtree(fenced)
    assert one(jar, name).state == "LEFT"


def test_a_reboot_strands_a_worker_unless_it_was_seen_just_now(jar):
    name = register(jar, "rain.7", boot="another boot")
    assert one(jar, name).state == "IDLE"
    beat(jar, name, 200)
    assert one(jar, name).state == "STRANDED" if ME.machine else "UNKNOWN"


def test_a_worker_whose_jobs_were_taken_over_is_fenced(jar):
    name = alive(jar)
    os.rename(jar.claims(name), f"{jar.worker(name)}/recovering.x")
    assert one(jar, name).state == "FENCED"


def test_a_process_that_lives_is_believed_whatever_its_beat_says(jar):
    name = alive(jar)
    beat(jar, name, 10_000)
    assert one(jar, name).state == "IDLE"


def test_another_nodes_worker_is_shown_as_last_seen(jar):
    name = alive(jar, "meadow")
    assert one(jar, name).state == "IDLE"
    give(jar, name)
    assert one(jar, name).state == "RUNNING"
    beat(jar, name, 170)
    assert one(jar, name).state == "RUNNING"


@pytest.mark.parametrize("ago", [190, None])
def test_nothing_can_be_said_of_another_nodes_worker_that_was_not_seen_lately(jar, ago):
    name = alive(jar, "meadow")
    beat(jar, name, ago) if ago else os.remove(f"{jar.worker(name)}/beat")
    assert one(jar, name).state == "UNKNOWN"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"node": "rain"}', json.dumps({**ME._asdict(), "nonce": "x"})])
def test_a_worker_that_does_not_say_who_it_is_cannot_be_judged(jar, text):
    name = dead(jar)
    os.remove(f"{jar.worker(name)}/worker.json")
    jars.write(f"{jar.worker(name)}/worker.json", text)
    beat(jar, name, 200)
    assert one(jar, name).state == "UNKNOWN"


def test_what_is_no_workers_directory_is_no_worker(jar):
    for name in ("rain", "rain.7.old-x", ".rain.7.nonce", "rain.x"):
        os.mkdir(jar.worker(name))
    assert census.workers(jar, ME) == []


def test_workers_are_ordered_by_node_and_pid(jar):
    for name in ("rain.80", "meadow.9", "rain.9"):
        register(jar, name)
    assert [worker.name for worker in census.workers(jar, ME)] == ["meadow.9", "rain.9", "rain.80"]


def test_categories_that_no_live_worker_reads_are_named(jar):
    for category in (None, "LINUX", "rain", "meadow", "SUN"):
        jars.put(jar, Place("unclaimed", category, "a"))
    jars.put(jar, Place("unclaimed", "SUN", "b"))
    jars.put(jar, Place("held", "HELD", "c"))
    assert set(census.unread(look(jar))) == {None, "LINUX", "rain", "meadow", "SUN"}
    alive(jar, categories=["LINUX"])
    register(jar, "meadow.7", start=1)
    beat(jar, "meadow.7", 1000)
    assert census.unread(look(jar)) == {"meadow": 1, "SUN": 2}


@pytest.mark.parametrize("said", ["LINUX", 7, None, {"a": 1}])
def test_categories_of_a_strange_kind_are_none(jar, said):
    name = alive(jar)
    os.remove(f"{jar.worker(name)}/worker.json")
    jars.write(f"{jar.worker(name)}/worker.json", json.dumps({**ME._asdict(), "nonce": "x", "categories": said}))
    assert one(jar, name).categories == ()


# What it survives, and what it costs.

def furnish(jar):
    """Something of everything."""
    litter(jar.unclaimed)
    litter(jar.queue("held", "LINUX"))
    give(jar, alive(jar), "claimed", "LINUX")
    give(jar, dead(jar), "stranded")
    jars.put(jar, Place("completed", None, "bad"))
    os.symlink(layout.failed_link("bad"), f"{jar.failed}/bad")
    jars.put(jar, Place("failed", None, "never"))
    notes.add(jar, "rain.7", "never", None, "cancel", why="not wanted")
    orders.drain(jar, "meadow", "fan")
    os.utime(jars.write(f"{jar.limbo}/draft", ""), (1, 1))


def stamps(jar):
    """Every file with all that a change would change."""
    found = {}
    for directory, names, files in os.walk(jar.home):
        for path in [directory] + [os.path.join(directory, name) for name in names + files]:
            about = os.lstat(path)
            found[path] = about.st_ino, about.st_mode, about.st_mtime_ns, about.st_ctime_ns, about.st_size
    return found


def test_a_census_changes_nothing(jar):
    furnish(jar)
    register(jar, "rain.3", boot="another boot")
    before = stamps(jar)
    look(jar)
    assert stamps(jar) == before


def test_a_census_of_20_000_jobs_is_quick_and_changes_nothing():
    with jars.workplace() as place:
        jar = jars.make(f"{place}/jar")
        paths = [jars.write(f"{place}/job", "#!/bin/sh\n")] * 20_000
        for number, path in enumerate(paths):
            directory = (jar.unclaimed, jar.queue("unclaimed", "LINUX"), jar.completed, jar.held)[number % 4]
            os.link(path, f"{directory}/job-{number}.0")
        before, start = stamps(jar), time.monotonic()
        seen = look(jar)
        assert time.monotonic() - start < 5
        assert stamps(jar) == before
    assert (len(seen.jobs), len(seen.completed), seen.foreign) == (15_000, 5_000, ())


@pytest.mark.parametrize("kind", ["files", "directories"])
def test_everything_may_vanish_while_it_is_looked_at(jar, monkeypatch, kind):
    furnish(jar)
    entries = fslook.entries

    def vanish(path, troubles):
        found = entries(path, troubles)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                kind == "directories" and shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)
        return found
    monkeypatch.setattr(fslook, "entries", vanish)
    seen = look(jar)
    assert (seen.jobs, seen.foreign, seen.troubles) == ((), (), ())


def test_a_job_that_moves_on_meanwhile_is_never_missed(jar):
    name = alive(jar)
    jobs = {jars.put(jar, Place("unclaimed", None, f"job-{number}")).name for number in range(400)}

    def run():
        for job in sorted(jobs):
            os.rename(f"{jar.unclaimed}/{job}", f"{jar.claims(name)}/{job}")
            os.rename(f"{jar.claims(name)}/{job}", f"{jar.completed}/{job}")
    mover = threading.Thread(target=run)
    mover.start()
    missed = []
    while mover.is_alive():
        seen = look(jar)
        places = [*seen.jobs, *(job for worker in seen.workers for job in worker.jobs)]
        missed += jobs.difference({place.name for place in places}, seen.completed) or seen.troubles
    mover.join()
    assert missed == []
    assert set(look(jar).completed) == jobs


@contextmanager
def no_privileges():
    """Look as somebody whom the modes of files stop; they do not stop root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_directories_that_cannot_be_read_are_named_and_the_rest_is_shown():
    with jars.workplace() as place:
        os.chmod(place, 0o755)
        jar = jars.make(f"{place}/jar")
        for category in ("OPEN", "CLOSED", "LISTED"):
            jars.put(jar, Place("unclaimed", category, "job"))
        closed = [f"{jar.unclaimed}/CLOSED", jar.worker(dead(jar)), jar.completed]
        modes = {**dict.fromkeys(closed, 0o000), f"{jar.unclaimed}/LISTED": 0o444}
        for path, mode in modes.items():
            os.chmod(path, mode)
        with no_privileges():
            seen = look(jar)
        for path in modes:
            os.chmod(path, 0o755)
    assert sorted(seen.troubles) == sorted(f"{path} cannot be looked into: Permission denied" for path in closed)
    assert seen.jobs == (Place("unclaimed", "OPEN", "job"),)
    assert [(item.name, item.reason) for item in seen.foreign] == [("job", "cannot be looked at: Permission denied")]
    assert [worker.state for worker in seen.workers] == ["UNKNOWN"]
