"""What a network file system does: handles go stale, replies are lost or late, and caches remember too much."""

import errno
import os
import signal
import sys
import time
import types

import pytest
from support import jars, network, nodes, processes, workers
from support.network import Client, fail, lose_reply

from jobjar import (arrays, attempts, awaiting, beat, blame, cancelling, census, changing, claiming, errors, expansion, feeding,
                    fetching, fslook, fsops, glance, inspection, job, journal, layout, moves, notes, orders, registration,
                    reservation, resync, runner, shelf, states, streaming, submission, waiting, watch)
from jobjar.layout import Place

MINE = reservation.text("rain.1", "rain-1")
QUEUED = Place(states.UNCLAIMED, None, "a.0")


@pytest.fixture
def client(monkeypatch):
    return Client(monkeypatch)


# A handle that has gone stale.


@pytest.mark.parametrize("call, ask", [
    ("listdir", fslook.names), ("listdir", fslook.names_uncached), ("scandir", fslook.scan), ("scandir", fslook.links),
    ("open", lambda path: fslook.status(path, "a")), ("open", fslook.stamp), ("open", fslook.forget_listing),
    ("scandir", lambda path: fslook.is_file_listed(path, "a"))])
def test_a_stale_handle_is_asked_once_more_from_the_top(tmp_path, monkeypatch, call, ask):
    jars.write(str(tmp_path / "a"), "")
    expected = str(ask(str(tmp_path)))
    left = fail(monkeypatch, call, errno.ESTALE, among=str(tmp_path))
    assert str(ask(str(tmp_path))).partition("st_atime")[0] == expected.partition("st_atime")[0] and not left


def test_a_handle_that_stays_stale_is_an_error_and_no_absence(jar, monkeypatch):
    with monkeypatch.context() as patch:
        fail(patch, "listdir", errno.ESTALE, 10**6)
        fail(patch, "open", errno.ESTALE, 10**6)
        for ask in (fslook.names, lambda path: fslook.status(path, "a"), fslook.is_directory):
            with pytest.raises(OSError) as caught:
                ask(jar.unclaimed)
            assert caught.value.errno == errno.ESTALE
        assert fslook.stamp(jar.unclaimed) == -1


def test_a_status_comes_to_its_end_when_everything_is_stale(jar, monkeypatch):
    with monkeypatch.context() as patch:
        for call in ("scandir", "listdir"):
            fail(patch, call, errno.ESTALE, 10**6)
        seen = census.look(jar, nodes.node.myself("rain"))
    assert seen.jobs == () and len(seen.troubles) >= 5


def stale(jar, times, name, among):
    """For `before`: so many calls of fslook.`name` by a registered worker find a stale handle, of such a path."""
    def install():
        was, left = getattr(fslook, name), [None] * times
        registered = os.path.join(jar.worker(f"{workers.NODE}.{os.getpid()}"), "journal")

        def asking(path, *rest):
            if left and among in path and os.path.exists(registered):
                left.pop()
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
            return was(path, *rest)
        setattr(fslook, name, asking)
    return install


@pytest.mark.parametrize("name, among", [("scan", "/unclaimed"), ("scan", "/claims"), ("names", "/workers"),
                                         ("names_uncached", "/claims"), ("status", "/jar/"), ("is_there", "/jar/")])
def test_a_worker_survives_stale_handles_wherever_it_looks(jar, name, among):
    """The job comes before the worker and nothing changes afterwards: a listing that failed has to be repeated."""
    workers.place(jar, "good", "echo out")
    workers.place(jar, "bad", "echo out; exit 3")
    os.utime(jar.unclaimed, (1, 1))
    with workers.working(jar, JJ_PAUSE_TIME="0.2", before=stale(jar, 3, name, among)) as w:
        processes.until(lambda: {"good", "bad"} <= set(os.listdir(jar.completed)), deadline=20)
        processes.until(w.is_idle)
        assert not w.has_ended()
    assert w.status == 0 and os.listdir(jar.failed) == ["bad"] and len(w.ends()) == 2


def test_whoever_waits_for_a_job_survives_a_stale_handle(jar, monkeypatch):
    jars.put(jar, Place(states.COMPLETED, None, "a.0"))
    handle, left = job.Job(jar, QUEUED), [None, None]
    was = fslook.status

    def status(*arguments):
        if left:
            left.pop()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return was(*arguments)
    monkeypatch.setattr(fslook, "status", status)
    assert handle.wait(10) == "COMPLETED" and not left
    left[:] = [None] * 10**4
    monkeypatch.setattr(job, "LOST_AFTER", 0.05)
    with pytest.raises(OSError):
        handle.wait(10)


def test_many_jobs_are_waited_for_although_a_handle_is_stale_for_a_while(jar, monkeypatch):
    for many in (1, awaiting.FEW + 1):
        handles = [job.Job(jar, workers.submit(jar, "true")) for _ in range(many)]
        workers.drain(jar)
        with monkeypatch.context() as patch:
            left = fail(patch, "scandir", errno.ESTALE, 3, jar.completed) if many > 1 else \
                fail(patch, "open", errno.ESTALE, 3, jar.completed)
            assert awaiting.Awaited(jar, handles).wait(20) and not left
            left[:] = [None] * 10**4
            patch.setattr(awaiting, "LOST_AFTER", 0.05)
            with pytest.raises(OSError, match="Stale"):
                awaiting.Awaited(jar, handles).wait(20)


def test_a_job_that_ends_badly_between_two_listings_is_never_called_successful(jar, monkeypatch):
    places = [workers.submit(jar, "true") for _ in range(awaiting.FEW + 1)]
    was, left = fslook.scan_uncached, [places[0].name]

    def scan(directory):
        found = list(was(directory))
        while left:
            name = left.pop()
            os.symlink(layout.failed_link(name), os.path.join(jar.failed, name))
            os.rename(os.path.join(jar.unclaimed, name), os.path.join(jar.completed, name))
        return found
    monkeypatch.setattr(fslook, "scan_uncached", scan)
    awaited = awaiting.Awaited(jar, [job.Job(jar, place) for place in places])
    assert awaited.wait(20, first=True) and [ended.state for ended in awaited.ended] == ["FAILED"]


# The journal's open file.


def book_lines(tmp_path):
    return [(line["e"], line["a"]) for line in notes.read_lines(str(tmp_path / "journal"))]


@pytest.mark.parametrize("seam", ["_write", "_fsync"])
def test_a_journal_whose_handle_is_stale_goes_on_in_the_file_of_that_name(tmp_path, monkeypatch, seam):
    """What was written to the old one since the last sync is lost with it, and written again."""
    book = journal.Journal(str(tmp_path))
    book.intend("x-1", None, "a")
    book.sync()
    book.intend("x-2", None, "b")
    os.rename(tmp_path / "journal", tmp_path / "lost")
    old = os.stat(tmp_path / "lost").st_ino
    was = getattr(fsops, seam)

    def broken(handle, *rest):
        if os.fstat(handle).st_ino == old:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return was(handle, *rest)
    monkeypatch.setattr(fsops, seam, broken)
    book.end("x-2", None, "b", state="COMPLETED")
    book.sync()
    assert list(dict.fromkeys(book_lines(tmp_path))) == [("claim", "x-2"), ("end", "x-2")]
    assert book_lines(tmp_path)[-1] == ("end", "x-2")
    book.close()


def test_a_journal_whose_handle_is_stale_can_be_rotated(tmp_path, monkeypatch):
    book = journal.Journal(str(tmp_path))
    book.intend("x-1", None, "a")
    left, was = [None], os.fstat

    def fstat(handle):
        if left and handle == book._handle:
            left.pop()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return was(handle)
    monkeypatch.setattr(os, "fstat", fstat)
    book.rotate()
    assert not left
    book.close()


def test_what_a_sync_that_failed_has_lost_is_written_again(tmp_path, monkeypatch):
    """After a failed sync the next one says that all is well, and the kernel has dropped the lines."""
    book = journal.Journal(str(tmp_path))
    book.intend("x-0", None, "o")
    book.sync()
    book.intend("x-1", None, "a")
    was, left = fsops._fsync, [None]

    def fsync(handle):
        if left:
            left.pop()
            os.truncate(tmp_path / "journal", len(jars.read(tmp_path / "journal").splitlines(True)[0]))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        was(handle)
    monkeypatch.setattr(fsops, "_fsync", fsync)
    with pytest.raises(OSError):
        book.sync()
    book.sync()
    assert book_lines(tmp_path) == [("claim", "x-0"), ("claim", "x-1")]
    book.sync()
    assert len(book_lines(tmp_path)) == 2, "only after an error is anything written twice"
    book.close()


# Names that are remembered as absent.


def test_a_question_about_a_name_is_asked_of_the_freshly_opened_directory(client, jar):
    for act in (lambda: fslook.is_there(jar.unclaimed, "a.0"), lambda: fslook.is_directory(jar.path(QUEUED))):
        path = jar.path(QUEUED)
        os.makedirs(path, exist_ok=True)
        client.remember_absent(path)
        assert not os.path.exists(path) and act()


def test_what_was_remembered_is_not_believed_of_a_directory_that_was_not_opened_within_the_last_second(
        tmp_path, client, monkeypatch):
    path, now = jars.write(str(tmp_path / "a.0"), ""), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    recent = glance.Recent()
    for _ in range(2):
        client.remember_absent(path)
        assert recent.status(str(tmp_path), "a.0") and recent.status(str(tmp_path), "b.0") is None
        now[0] += glance.RECENT
    opened = []
    monkeypatch.setattr(fslook, "stamp", opened.append)
    now[0] -= glance.RECENT / 2
    assert recent.status(str(tmp_path), "a.0") and not opened, "one request for each name"


def test_a_directory_that_another_made_is_not_in_its_own_way(client, jar):
    path = os.path.join(jar.unclaimed, "C")
    os.mkdir(path)
    client.remember_absent(path)
    assert fsops.make_directory(path) is False


def test_a_directory_whose_making_lost_its_reply_is_there(jar, monkeypatch):
    lose_reply(monkeypatch, "mkdir", errno.EEXIST)
    assert fsops.make_directory(os.path.join(jar.unclaimed, "C")) is False


def test_my_own_link_is_known_although_its_name_is_remembered_as_absent(client, jar):
    path = os.path.join(jar.completed, "a.0")
    os.symlink(MINE, path)
    client.remember_absent(path)
    assert fsops.link(MINE, path)


def test_a_note_of_another_node_is_found_although_this_one_has_looked_in_vain(client, jar):
    notes.add(jar, "snow.7", "a.0", None, "recover")
    client.remember_absent(os.path.join(jar.notes, "a"))
    assert notes.has(jar, "a.0")


def test_what_lies_in_claims_is_a_job_although_its_name_is_remembered_as_absent(client, jar):
    client.is_same_tick = True
    claims = jars.worker(jar, "rain.1")
    client.remember_absent(jars.write(os.path.join(claims, "a.0"), "#!/bin/sh\n"))
    assert claiming.Claims(claims).find((), time.time).name == "a.0"


@pytest.mark.parametrize("listing", ["the queue", "waiting/"])
def test_of_names_of_our_making_a_listing_asks_nothing_more(jar, monkeypatch, listing):
    """A server that lists names without saying what they are is asked for each of them."""
    def ask(*_, **__):
        pytest.fail("the server is asked what a name is")
    name = "20261121-101502-ada-123456789.0"
    path = jars.write(os.path.join(jar.unclaimed if listing == "the queue" else jar.waiting, name), "#!/bin/sh\n")
    entry = types.SimpleNamespace(name=name, path=path, is_file=ask, is_dir=ask, is_symlink=ask, stat=ask,
                                  inode=lambda: os.stat(path).st_ino)
    monkeypatch.setattr(fslook, "scan", lambda directory: [entry])
    monkeypatch.setattr(fslook, "stream", lambda directory: iter([entry]))
    if listing == "the queue":
        candidates = shelf.Shelf(jar, None)
        candidates.list(time.time())
        assert candidates.take() == name
    else:
        assert waiting.Waiting(jar, "rain.1", "reserved:rain.1:x", time.time, pytest.fail).look() == 1
        assert os.path.exists(os.path.join(jar.unclaimed, name))


def test_a_listed_name_of_which_nothing_else_is_known_may_be_a_job(tmp_path):
    """Some servers list names without saying what they are, and a lookup may have a "no" in its cache."""
    def absent(**_):
        raise FileNotFoundError
    unknown = types.SimpleNamespace(name="a", is_file=lambda **_: False, is_dir=lambda **_: False,
                                    is_symlink=lambda: False, stat=absent)
    assert fslook.is_file_entry(unknown)
    os.mkfifo(tmp_path / "fifo")
    os.mkdir(tmp_path / "directory")
    os.symlink("x", tmp_path / "link")
    jars.write(str(tmp_path / ".dot"), "")
    assert not any(fslook.is_file_entry(entry) for entry in fslook.scan(str(tmp_path)))


def test_the_registration_whose_reply_was_lost_is_known_although_its_name_is_remembered_as_absent(jar, monkeypatch):
    client, me = Client(monkeypatch), nodes.node.myself("rain")
    was = os.rename

    def rename(source, target):
        was(source, target)
        # The rename's own lookup has left it behind.
        client.remember_absent(target)
        raise OSError(errno.EIO, "the reply was lost", source)
    monkeypatch.setattr(os, "rename", rename)
    assert registration.write(jar, me, {})


def test_a_job_that_the_cache_denies_is_started_as_soon_as_the_cache_forgets(jar, monkeypatch):
    """The claim's reply was lost, and its lookup has left "not there" behind: that is nobody's fault."""
    def install():
        from jobjar import process
        was, left, lexists = process.start, [None] * 3, os.path.lexists

        def start(words, *rest):
            if left:
                left.pop()
                raise FileNotFoundError(errno.ENOENT, "remembered as absent", words[0])
            return was(words, *rest)
        process.start = start
        os.path.lexists = lambda path: not left and lexists(path)
    workers.place(jar, "a.0", "echo out")
    w = workers.drain(jar, before=install)
    assert os.listdir(jar.completed) == ["a.0"] and os.listdir(jar.failed) == [] and w.ends()[0]["tries"] == 1


def test_a_job_that_the_cache_denies_for_long_is_given_back_and_not_refused(client, jar):
    client.is_same_tick = True
    path = jars.write(os.path.join(jars.worker(jar, "rain.1"), "a.0"), "#!/bin/sh\n")
    error = FileNotFoundError(errno.ENOENT, "absent", path)
    assert blame.of_start(error, path)[0] == blame.REFUSED
    client.remember_absent(path)
    assert blame.of_start(error, path)[0] == blame.FAULT


# Listings that are remembered.


@pytest.mark.parametrize("show", [fslook.names_uncached, lambda path: [e.name for e in fslook.entries(path, [])],
                                  lambda path: [n for n in ("a", "b") if fslook.is_file_listed(path, n)]])
def test_where_no_rename_decides_a_listing_goes_past_the_cache(client, tmp_path, show):
    jars.write(str(tmp_path / "a"), "")
    client.remember_listing(str(tmp_path))
    jars.write(str(tmp_path / "b"), "")
    assert fslook.names(str(tmp_path)) == ["a"]
    assert sorted(show(str(tmp_path))) == ["a", "b"]


@pytest.mark.parametrize("name", ["a.0", "other"])
def test_a_claim_whose_reply_was_lost_is_won_although_the_listing_is_old(jar, monkeypatch, name):
    claims, client = jars.worker(jar, "rain.1"), Client(monkeypatch)
    jars.put(jar, Place(states.UNCLAIMED, None, name))
    client.remember_listing(claims)
    lose_reply(monkeypatch, "rename", errno.ENOENT)
    assert moves.claim(jar, Place(states.UNCLAIMED, None, name), claims) == 0


def test_a_move_whose_reply_was_lost_has_happened_although_the_source_is_listed(jar, monkeypatch):
    client = Client(monkeypatch)
    jars.put(jar, QUEUED)
    client.remember_listing(jar.unclaimed)
    lose_reply(monkeypatch, "rename", errno.ENOENT)
    assert fsops.move(jar.path(QUEUED), os.path.join(jar.held, "a.0"))


def test_a_failed_job_is_never_called_successful_whatever_is_remembered(jar, monkeypatch):
    """A link in failed/ made in the tick in which this client had looked there."""
    client = Client(monkeypatch)
    client.is_same_tick = True
    jars.put(jar, Place(states.COMPLETED, None, "a.0"))
    for number in range(2):
        name = f"b{number}.0"
        jars.put(jar, Place(states.COMPLETED, None, name))
        client.remember_listing(jar.failed)
        before = os.stat(jar.failed).st_mtime_ns
        os.symlink(layout.failed_link(name), os.path.join(jar.failed, name))
        client.remember_absent(os.path.join(jar.failed, name))
        os.utime(jar.failed, ns=(before, before))
        assert job.Job(jar, Place(states.UNCLAIMED, None, name)).wait(5) == "FAILED"
        assert job.Job(jar, QUEUED).wait(5) == "COMPLETED"


def test_a_quiet_failed_directory_is_not_listed_for_every_job_that_has_ended(jar, monkeypatch):
    os.utime(jar.failed, (1, 1))
    for number in range(3):
        jars.put(jar, Place(states.COMPLETED, None, f"a{number}.0"))
    listed, was = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or was(path))
    for number in range(3):
        assert job.Job(jar, Place(states.UNCLAIMED, None, f"a{number}.0")).wait(5) == "COMPLETED"
    assert listed == [jar.failed]


def test_a_job_that_has_ended_is_found_although_its_name_is_remembered_as_absent(client, jar):
    client.is_same_tick = True
    jars.put(jar, Place(states.COMPLETED, None, "a.0"))
    client.remember_absent(os.path.join(jar.completed, "a.0"))
    assert job.Job(jar, QUEUED).wait(5) == "COMPLETED"


def test_a_job_finds_its_directory_and_files_although_their_names_are_remembered_as_absent(jar, tmp_path, monkeypatch):
    """The directory was made by a job on another node, after this one had looked in vain."""
    place = tmp_path / "made"
    os.mkdir(place)
    jars.write(str(place / "in"), "from elsewhere\n")
    script = f"#!/bin/sh\n#JJ --chdir={place} --input={place}/in --output={place}/out\ncat\n"
    workers.put(jar, "a.0", script.encode())
    with monkeypatch.context() as patch:
        Client(patch).remember_absent(str(place))
        workers.drain(jar)
    assert os.listdir(jar.failed) == [] and jars.read(str(place / "out")) == "from elsewhere\n"


def test_what_a_job_has_written_elsewhere_is_as_long_as_it_is_by_now(client, tmp_path, monkeypatch):
    monkeypatch.setattr(resync, "is_remote", lambda kind: True)
    path = jars.write(str(tmp_path / "data"), "")
    client.remember_file(path)
    os.truncate(path, 17)
    assert os.stat(path).st_size == 0
    resync.forget(resync.remotes(), str(tmp_path), ["data"])
    assert os.stat(path).st_size == 17


@pytest.mark.parametrize("is_remote", [True, False])
def test_what_grows_is_opened_for_each_look_at_it(tmp_path, monkeypatch, is_remote):
    """A client learns how long a file is by now when it is opened, and reads no further than that."""
    lengths, real = {}, {name: getattr(os, name) for name in ("open", "pread", "sendfile")}

    def opening(*arguments, **more):
        handle = real["open"](*arguments, **more)
        lengths[handle] = os.fstat(handle).st_size
        return handle
    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "pread", lambda handle, many, at:
                        real["pread"](handle, max(0, min(many, lengths[handle] - at)), at))
    monkeypatch.setattr(os, "sendfile", lambda to, handle, at, many:
                        real["sendfile"](to, handle, at, max(0, min(many, lengths[handle] - at))))
    path = jars.write(str(tmp_path / "growing"), "first ")
    tail = streaming.Tail(path, is_remote)
    with open(tmp_path / "shown", "wb") as shown:
        for more in ("", "second ", "third"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(more)
            tail.copy(shown.fileno(), False)
    assert jars.read(str(tmp_path / "shown")) == "first second third"


def test_what_is_fed_to_a_job_is_on_the_server_before_it_is_told(tmp_path, monkeypatch):
    """A client keeps what is written for itself, until it is told to send it or the file is closed."""
    monkeypatch.setattr(resync, "is_remote", lambda kind: True)
    sent, seen = 0, []

    def send(name):
        was = getattr(fsops, name)

        def sending(handle):
            nonlocal sent
            if os.path.basename(os.readlink(f"/proc/self/fd/{handle}")) == feeding.IN:
                sent = os.fstat(handle).st_size
            was(handle)
        monkeypatch.setattr(fsops, name, sending)
    send("_fsync")
    send("_close")
    was = feeding._tell
    monkeypatch.setattr(feeding, "_tell", lambda directory, name, number: seen.append((name, number, sent))
                        or was(directory, name, number))
    inner, outer = os.pipe()
    intake, alarm = feeding.Intake(str(tmp_path), inner), watch.Alarm()
    # Before anybody can have looked in vain.
    assert {feeding.SENT, feeding.END, feeding.TAKEN} <= set(os.listdir(tmp_path))
    os.write(outer, b"first ")
    intake.receive(alarm, True)
    os.write(outer, b"and last")
    os.close(outer)
    intake.receive(alarm, True)
    assert seen == [(feeding.SENT, 6, 6), (feeding.END, 14, 14)] and intake.is_over
    os.close(inner)


def test_what_a_job_has_printed_is_read_although_there_was_nothing_a_while_ago(client, jar):
    handle = job.Job(jar, jars.put(jar, Place(states.COMPLETED, None, "a.0")))
    assert handle.output() == ""
    client.remember_absent(jars.write(jar.log("a.0"), "printed\n"))
    assert handle.output() == "printed\n"


# Replies that are lost, or late.


MOVES = {"hold": lambda jar: moves.hold(jar, QUEUED, MINE), "cancel": lambda jar: moves.cancel(jar, QUEUED, MINE)}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("codes, is_held", [((errno.EIO, errno.EIO), True), ((errno.EIO, errno.ENOSPC), True),
                                            ((errno.ENOENT, errno.ENOENT), True), ((errno.ENOSPC, errno.ENOSPC), False),
                                            ((errno.EXDEV,), False)])
def test_a_name_stays_held_as_long_as_a_rename_may_come_late(jar, monkeypatch, move, codes, is_held):
    jars.put(jar, QUEUED)
    was, left = os.rename, list(codes)

    def rename(source, target):
        if source == jar.path(QUEUED) and left:
            raise OSError(code := left.pop(0), os.strerror(code), source)
        was(source, target)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises((OSError, errors.UsageError)):
        MOVES[move](jar)
    held = [name for directory in (jar.held, jar.completed) for name, text in fslook.links(directory) if text == MINE]
    assert bool(held) == is_held
    # The same text goes on where it was, under the same name.
    assert MOVES[move](jar).name == "a.0"
    assert not any(fslook.links(directory) for directory in (jar.held, jar.completed))


def test_the_task_whose_making_lost_its_reply_is_there_once_and_the_others_follow(jar, monkeypatch):
    batch = expansion.Batch(b"#!/bin/sh\n", {"submit_dir": "/", "submit_host": "rain", "array": "1-4"}, "job", None)
    tasks = set()
    for lost in range(1, 5):
        with monkeypatch.context() as patch:
            lose_reply(patch, "link", errno.EEXIST, f"_{lost}.0")
            array = arrays.submit(jar, batch, nodes.node.myself("rain"), several=True)
        tasks |= {f"{array}_{index}.0" for index in range(1, 5)}
        assert set(os.listdir(jar.unclaimed)) == tasks and os.listdir(jar.limbo) == []


def test_a_task_that_was_claimed_before_the_server_carried_everything_out_once_more_is_there_once(jar, monkeypatch):
    """The server was restarted before it could answer, and remembers none of its answers."""
    monkeypatch.setattr(resync, "is_remote", lambda kind: True)
    was = {name: getattr(os, name) for name in ("link", "rename")}

    def once_more(name):
        def call(source, target):
            was[name](source, target)
            if os.path.dirname(target) == jar.unclaimed:
                was["rename"](target, os.path.join(jar.completed, os.path.basename(target)))
            was[name](source, target)
        return call
    for name in was:
        monkeypatch.setattr(os, name, once_more(name))
    batch = expansion.Batch(b"#!/bin/sh\n", {"submit_dir": "/", "submit_host": "rain", "array": "1-4"}, "job", None)
    array = arrays.submit(jar, batch, nodes.node.myself("rain"), several=True)
    assert sorted(os.listdir(jar.completed)) == [f"{array}_{index}.0" for index in range(1, 5)]
    assert os.listdir(jar.unclaimed) == os.listdir(jar.limbo) == []


def test_what_is_brought_home_and_whose_making_lost_its_reply_is_in_its_place(tmp_path, monkeypatch):
    draft, final, taken = (str(tmp_path / name) for name in ("draft", "final", "taken"))
    jars.write(draft, "result")
    jars.write(taken, "somebody else's")
    lose_reply(monkeypatch, "link", errno.EEXIST)
    assert fetching._take_free_name(draft, final) and jars.read(final) == "result"
    assert not fetching._take_free_name(draft, taken)


def test_a_job_whose_intent_is_seen_late_and_then_not_is_cancelled_by_one_order(jar, monkeypatch):
    monkeypatch.setattr(cancelling, "LOOK_ANEW", 0.0)
    answers, was = [True, False, True, False, True, False, False], journal.History.attempt

    def attempt(self, category, name):
        if answers and not answers.pop():
            return None
        if not answers:
            w.signal(signal.SIGCONT)
        return was(self, category, name)
    place, change = workers.submit(jar, "exec sleep 60"), changing.Change(jar, workers.NODE)
    with workers.working(jar) as w:
        processes.until(lambda: os.listdir(w.claims) == [place.name] and w.journal())
        w.signal(signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(journal.History, "attempt", attempt)
            cancelling.cancel(change, [place._replace(state=states.CLAIMS, holder=w.claims)])
        assert not change.left and len(change.done) == 1 and not answers
        assert [line["a"] for line in notes.read(jar, place.name)] == [w.ends()[0]["a"]]


def test_a_namesake_cannot_end_badly_while_a_link_in_failed_is_being_dropped(jar, monkeypatch):
    """However long the unlink takes: the name is held meanwhile."""
    os.symlink(layout.failed_link("a.0"), os.path.join(jar.failed, "a.0"))
    was, ended = os.unlink, []

    def unlink(path, **more):
        if path == os.path.join(jar.failed, "a.0") and not ended:
            claims = jars.worker(jar, "snow.2")
            place = jars.put(jar, Place(states.CLAIMS, None, "a.0", claims))
            ended.append(moves.complete(jar, place, reservation.text("snow.2", "snow-1"), bad=True))
        was(path, **more)
    monkeypatch.setattr(os, "unlink", unlink)
    reservation.drop_dangling(jar, "a.0", MINE)
    assert ended[0].name == "a~2.0" and os.listdir(jar.failed) == ["a~2.0"]


def test_a_draft_whose_making_lost_its_reply_is_used_under_another_name(jar, monkeypatch):
    left, was = [None], os.open

    def opening(path, flags, *rest, **more):
        handle = was(path, flags, *rest, **more)
        if left and flags & os.O_EXCL:
            left.pop()
            os.close(handle)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        return handle
    monkeypatch.setattr(os, "open", opening)
    place = submission.submit(jar, submission.Request(b"#!/bin/sh\n"))
    assert os.listdir(jar.unclaimed) == [place.name]
    left.append(None)
    orders.drain(jar, "rain", "because")
    assert orders.drains(jar) == {"rain": "because"}
    left.append(None)
    assert registration.write(jar, nodes.node.myself("rain"), {})


def test_a_reservation_whose_withdrawal_was_answered_from_a_cache_is_gone_all_the_same(jar, monkeypatch):
    path = os.path.join(jar.completed, "a.0")
    os.symlink(MINE, path)
    left = fail(monkeypatch, "rename", errno.ENOENT, among=path)
    assert reservation.withdraw(jar, path, MINE) and not left
    assert not os.path.lexists(path) and os.listdir(jar.limbo) == []


# Other file systems inside the jar.


def break_across(among):
    """For `before`: whatever is renamed into such a path comes from another file system."""
    def install():
        was = os.rename

        def rename(source, target):
            if among in target:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
            was(source, target)
        os.rename = rename
    return install


@pytest.mark.parametrize("directory", ["logs", "failed", "completed"])
def test_no_worker_starts_where_the_results_lie_on_another_file_system(jar, monkeypatch, directory):
    jars.worker(jar, "rain.1")
    was = os.rename

    def rename(source, target):
        if f"/{directory}/" in target:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        was(source, target)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(errors.UsageError, match=directory):
        registration.probe(jar, "rain.1")


def test_a_category_on_another_file_system_keeps_nobody_from_the_others(jar):
    def install():
        was = os.rename

        def rename(source, target):
            if "/unclaimed/C/" in source:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
            was(source, target)
        os.rename = rename
    workers.place(jar, "there", category="C")
    workers.place(jar, "here")
    w = workers.drain(jar, "C", before=install)
    assert os.listdir(jar.completed) == ["here"] and w.log().count("different file systems") == 1


def test_a_file_system_that_is_mounted_over_logs_while_a_job_runs_makes_the_job_wait(jar, tmp_path):
    def install():
        was = os.rename

        def rename(source, target):
            if target == jar.log("x") and not os.path.exists(tmp_path / "mended"):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
            was(source, target)
        os.rename = rename
    workers.place(jar, "x", "echo out")
    with workers.working(jar, before=install) as w:
        processes.until(lambda: "different file systems" in w.log())
        assert not w.has_ended()
        jars.write(str(tmp_path / "mended"), "")
        processes.until(lambda: os.listdir(jar.completed) == ["x"])
    assert jars.read(jar.log("x")) == "out\n" and len(w.ends()) == 1


# Files that were removed while they were open.


def test_recovery_comes_to_its_end_with_a_removed_file_that_is_still_open_in_claims(jar):
    site = nodes.Site(jar)
    for category in (None, "C"):
        dead = nodes.Dead(jar)
        hidden = os.path.join(dead.claims, category or "", ".nfs000000000000002a00000001")
        os.makedirs(os.path.dirname(hidden), exist_ok=True)
        jars.write(hidden, "")
        dead.claim("a.0")
        status, lines, said = site.recover()
        assert (status, lines) == (1, ["a.0 → unclaimed/"]) and "holds something that is no job" in said
        fence = next(name for name in os.listdir(dead.directory) if name.startswith(layout.RECOVERING))
        os.remove(os.path.join(dead.directory, fence, category or "", os.path.basename(hidden)))
        assert site.recover()[:2] == (0, []) and dead.is_recovered()
        os.remove(jar.path(QUEUED))


def test_a_worker_that_leaves_with_a_removed_file_still_open_in_claims_says_so(jar):
    with workers.working(jar) as w:
        processes.until(w.is_idle)
        hidden = jars.write(os.path.join(w.claims, ".nfs000000000000002a00000001"), "")
        jars.write(w.path(layout.STOP), "")
        assert w.wait() != 0 and "is not empty" in w.log()
    os.remove(hidden)
    assert nodes.Site(jar).recover()[:2] == (0, [])


def test_a_scratch_directory_that_an_open_file_keeps_is_set_aside_for_a_fresh_one(jar):
    """The removed file has become .nfs…, which cannot be removed until it is closed."""
    def install():
        was = os.unlink

        def unlink(path, *, dir_fd=None):
            if path == "held":
                os.rename("held", ".nfs1", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            elif path == ".nfs1":
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
            else:
                was(path, dir_fd=dir_fd)
        os.unlink = unlink
    workers.place(jar, "one.1", "touch held")
    workers.place(jar, "two", "ls -A; touch held")
    w = workers.drain(jar, before=install)
    assert sorted(os.listdir(jar.completed)) == ["one.1", "two"] and os.listdir(jar.logs) == []
    aside = [name for name in os.listdir(w.directory) if name.startswith("scratch.left-")]
    assert len(aside) == 2 and all(os.listdir(w.path(name)) == [".nfs1"] for name in aside)
    assert "could not be removed whole" in w.log()


def test_a_directory_that_cannot_be_opened_is_left_and_ends_nobody(tmp_path, monkeypatch):
    os.mkdir(tmp_path / "scratch")
    fail(monkeypatch, "open", errno.ESTALE)
    assert not fsops.remove_tree(str(tmp_path / "scratch"))


def test_what_is_known_of_an_error_survives_the_clearing_up_after_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    monkeypatch.setattr(fsops, "_close", lambda handle: os.close(handle) or full())
    network.fail(monkeypatch, "unlink", errno.ESTALE)
    with pytest.raises(OSError) as caught:
        fsops.create(str(tmp_path / "new"), b"x", 0o644)
    assert caught.value.errno == errno.EDQUOT


# What other nodes do meanwhile.


def test_a_marker_that_came_during_a_job_is_looked_for_before_the_next(jar):
    """No inotify tells what another node does, and the next look by the clock is a second away."""
    workers.place(jar, "one.1", "sleep 0.1; touch $JJ_WORKER_HOME/$JJ_WORKER/STOP")
    workers.place(jar, "two")
    w = workers.drain(jar, idle_exit=None, before=workers.without_inotify, JJ_ORDER_TIME="60")
    assert os.listdir(jar.completed) == ["one.1"] and "ends: stopped" in w.log()


def test_a_marker_whose_removal_a_cache_denies_is_removed(jar, monkeypatch):
    claims = jars.worker(jar, "rain.1")
    marker = jars.write(os.path.join(os.path.dirname(claims), layout.PAUSE), "")
    left = fail(monkeypatch, "unlink", errno.ENOENT, among=marker)
    assert orders.unpause(jar, ["rain.1"]) == ["rain.1"] and not left and not os.path.exists(marker)


def test_a_candidate_that_only_a_cache_still_knows_is_left(jar, monkeypatch):
    path = workers.place(jar, "a.0")
    remembered = os.stat(path)
    os.rename(path, os.path.join(jar.held, "a.0"))
    with monkeypatch.context() as patch:
        for name in ("stat", "lstat"):
            patch.setattr(os, name, lambda *_, **__: remembered)
        assert claiming.vet(path, frozenset([os.geteuid()]), remembered.st_mtime + 10).verdict == claiming.LEAVE


def shared_with_others(also=lambda: None):
    """For `before`: other computers may write to the jar."""
    def install():
        resync.is_on_remote = lambda directory: True
        also()
    return install


def test_where_others_may_write_a_job_is_opened_when_it_has_been_won(jar):
    """What is opened before its claim has to be opened again: four requests more for each job."""
    workers.place(jar, "a.0", "echo ran")
    with open(os.path.join(jar.home, "said"), "w", buffering=1, encoding="utf-8") as said:
        def listen():
            sys.addaudithook(lambda event, arguments: said.write(f"{event} {arguments[0]}\n")
                             if event in ("open", "os.rename") and str(arguments[0]).endswith("/a.0") else None)
        workers.drain(jar, before=shared_with_others(listen))
    first, second, *_ = jars.read(os.path.join(jar.home, "said")).splitlines()
    assert first == f"os.rename {jar.unclaimed}/a.0" and second.startswith("open ") and "/claims/a.0" in second
    assert jars.read(jar.log("a.0")) == "ran\n"


@pytest.mark.parametrize("mode, text", [(0o644, "true"), (0o755, "")], ids=["not executable", "empty and young"])
def test_where_others_may_write_what_is_no_job_is_left_all_the_same(jar, mode, text):
    path = workers.place(jar, "a.0", text, mode=mode)
    if not text:
        os.truncate(path, 0)
    workers.place(jar, "b.0")
    workers.drain(jar, before=shared_with_others())
    assert (os.listdir(jar.unclaimed), os.listdir(jar.completed)) == (["a.0"], ["b.0"])


def test_where_others_may_write_a_job_that_is_never_to_be_begun_twice_is_on_the_disk_as_begun_before_it_begins(jar):
    jars.write(os.path.join(jar.unclaimed, "a.0"), "#!/bin/sh\n#JJ --no-requeue\ntrue\n")
    said = os.path.join(jar.home, "said")

    def listen():
        def told(module, name):
            was = getattr(module, name)

            def act(*arguments, **more):
                with open(said, "a", encoding="utf-8") as file:
                    print(name, arguments[0] if name == "sync_directory" else "", file=file)
                return was(*arguments, **more)
            setattr(module, name, act)
        attempts.YOUNG_BOOT = 0.0
        told(journal.Journal, "sync"), told(fsops, "sync_directory"), told(runner.Runner, "_spawn")
    w = workers.drain(jar, before=shared_with_others(listen))
    lines = [line.split() for line in jars.read(said).splitlines()]
    start = lines.index(["_spawn"])
    assert lines[start - 2:start] == [["sync"], ["sync_directory", w.claims + "/"]]


def test_where_others_may_write_a_job_whose_time_has_not_come_goes_to_waiting_when_it_is_found_in_the_queue(jar):
    jars.write(os.path.join(jar.unclaimed, "a.0"), "#!/bin/sh\n#JJ --begin=2099-01-01T00:00:00\ntrue\n")
    w = workers.drain(jar, before=shared_with_others())
    assert os.listdir(jar.waiting) == ["a.0"] and os.listdir(jar.unclaimed) == os.listdir(jar.claimed) == []
    assert "its time has not come" in w.log() and notes.tries(jar, "a.0", None) == 0


def test_where_others_may_write_a_job_that_cannot_be_read_after_its_claim_is_put_back_unrun(jar):
    """What it asks for is not known then."""
    jars.write(os.path.join(jar.unclaimed, "a.0"), "#!/bin/sh\n#JJ --output=/nowhere/at-all\necho ran >$JJ_HOME/ran\n")

    def go_stale():
        was = claiming.look_into
        claiming.look_into = lambda path: (None, b"") if "/claims/" in path else was(path)
    w = workers.drain(jar, before=shared_with_others(go_stale))
    assert os.listdir(jar.unclaimed) == ["a.0"] and not os.path.exists(os.path.join(jar.home, "ran"))
    assert "cannot be read" in w.log() and notes.tries(jar, "a.0", None) == 0


def test_where_others_may_write_a_job_with_notes_is_read_before_it_is_claimed(jar):
    """It may have failed here, and be another node's to try."""
    jars.write(os.path.join(jar.unclaimed, "a.0"), "#!/bin/sh\n#JJ --retries=3\ntrue\n")
    notes.add(jar, "snow.1", "a.0", None, notes.REQUEUE, a="x-1", counts=True, node=workers.NODE)

    def never_ours():
        from jobjar import again
        again.Others.leave = lambda *_: 30.0
    workers.drain(jar, before=shared_with_others(never_ours))
    assert os.listdir(jar.unclaimed) == ["a.0"]


def test_a_job_that_was_changed_on_another_node_before_its_claim_is_read_anew(jar, monkeypatch):
    """Its attributes are remembered; what it asks for now is on the server."""
    path = workers.place(jar, "a.0")
    vetted = claiming.vet(path, frozenset([os.geteuid()]), os.stat(path).st_mtime + 10)
    remembered = os.stat(path)
    jars.write(path + "-new", "#!/bin/sh\n#JJ --nice=3\ntrue\n")
    os.rename(path + "-new", path)
    with monkeypatch.context() as patch:
        for name in ("stat", "lstat"):
            patch.setattr(os, name, lambda *_, **__: remembered)
        assert claiming.has_changed(path, vetted, is_remote=True)
        assert not claiming.has_changed(path, vetted, is_remote=False)


def test_every_listing_opens_the_directory_anew(tmp_path):
    path = str(tmp_path / "directory")
    for name in ("a", "b"):
        os.mkdir(path)
        jars.write(os.path.join(path, name), "")
        assert fslook.names(path) == [name] == [entry.name for entry in fslook.scan(path)]
        os.rename(path, f"{path}.{name}")


def test_a_server_that_does_not_answer_fences_nobody(jar):
    """An answer of "no such file" while nobody can say whether claims/ is there."""
    def install():
        from jobjar import departures
        complete, is_there, left = moves.complete, fslook.is_there, [None]

        def completing(*arguments, **more):
            if left:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "a.0")
            return complete(*arguments, **more)

        def asking(directory, name):
            if name == "claims":
                left.clear()
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), directory)
            return is_there(directory, name)
        departures.moves.complete, departures.fslook.is_there = completing, asking
    workers.place(jar, "a.0")
    w = workers.drain(jar, before=install)
    assert os.listdir(jar.completed) == ["a.0"] and "blocked" in w.log() and len(w.ends()) == 1


def test_a_removed_file_that_is_still_open_is_nothing_to_report(jar):
    for directory in (jar.unclaimed, jar.completed, jar.failed, jar.logs):
        jars.write(os.path.join(directory, ".nfs000000000000002a00000001"), "")
    assert inspection.inspect(jar, nodes.node.myself("rain")) == []


def test_a_claim_that_a_cache_denies_is_tried_again(jar):
    """"No such file" of a file that is there: nothing in the queue will ever change because of it."""
    def install():
        was, left = os.rename, [None]

        def rename(source, target):
            if left and "/unclaimed/" in source:
                left.pop()
                raise FileNotFoundError(errno.ENOENT, "remembered as absent", source)
            was(source, target)
        os.rename = rename
        workers.without_inotify()
    workers.place(jar, "a.0")
    os.utime(jar.unclaimed, (1, 1))
    with workers.working(jar, JJ_PAUSE_TIME="0.2", before=install):
        processes.until(lambda: os.listdir(jar.completed) == ["a.0"], deadline=10)


def test_the_servers_clock_is_told_although_the_reply_was_lost(tmp_path, monkeypatch):
    was, path = os.open, str(tmp_path / "now")
    lost = [True]

    def open_once(name, *more, **named):
        handle = was(name, *more, **named)
        if lost:
            lost.clear()
            os.close(handle)
            raise FileExistsError(errno.EEXIST, "the reply was lost", name)
        return handle
    monkeypatch.setattr(os, "open", open_once)
    assert abs(beat.server_time(path) - time.time()) < 60 and not lost
    assert not os.path.exists(path)


def test_the_servers_clock_is_that_of_a_file_just_made(tmp_path, monkeypatch):
    """A client that sets times by its own clock, which is a day ahead, is not asked to."""
    was = os.utime
    monkeypatch.setattr(os, "utime", lambda path, *_, **more: was(path, (time.time() + 86400,) * 2))
    assert abs(beat.server_time(str(tmp_path / "now")) - time.time()) < 60
