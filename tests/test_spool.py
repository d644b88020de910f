"""The spool of a `jobjar run`: what becomes of it when the client is killed, and copying what grows in it."""

import os
import threading

import pytest
from support import jars, nodes, processes, workers

from jobjar import feeding, inspection, job, mending, node, spool, streaming, watch
from jobjar.spool import Spool
from jobjar.streaming import Tail

ME = node.myself("rain")
# No kernel gives a process this number.
GONE = ME._replace(pid=2**22 + 1)
REBOOTED = ME._replace(boot="0" * 36, pid=77)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(inspection, "PAUSES", (0.0,))


def forgotten(jar, of, id=None, out="", err=""):
    """The spool of a client that was killed; its path."""
    left = Spool(jar, of)
    for name, text in (("out", out), ("err", err)):
        with open(left.file(name), "w", encoding="utf-8") as file:
            file.write(text)
    if id:
        left.note(id)
    return left.path


def kinds(jar):
    return {(finding.kind, finding.severity) for finding in inspection.inspect(jar, ME)}


def mend(jar):
    return mending.mend(jar, workers.settings(jar)).left


def ended(jar):
    """A job that has ended: its file's name and its id."""
    name = workers.submit(jar, "true", priority=4).name
    workers.drain(jar)
    return name, name.rpartition(".")[0]


def test_a_spool_is_closed_to_others_and_goes_whole(jar):
    mine = Spool(jar, ME)
    assert oct(os.stat(mine.path).st_mode & 0o777) == "0o700" and sorted(os.listdir(mine.path)) == ["err", "out"]
    assert kinds(jar) == set()
    assert mine.remove() and not os.path.exists(mine.path)


@pytest.mark.parametrize("of", [GONE, REBOOTED])
def test_what_a_killed_client_has_not_shown_is_kept_in_logs_when_its_job_has_ended(jar, of):
    name, id = ended(jar)
    path = forgotten(jar, of, id, out="unseen", err="")
    os.utime(path, (10**9, 10**9))
    assert kinds(jar) == {("spool", "untidy")}
    assert mend(jar) == [] and not os.path.exists(path) and kinds(jar) == set()
    kept, = [entry for entry in os.listdir(jar.logs) if entry.startswith(name + ".attempt-")]
    assert jars.read(os.path.join(jar.logs, kept)) == "unseen" and kept.endswith("-out")


def test_while_its_job_may_print_the_spool_stays(jar):
    id = workers.submit(jar, "true").name.rpartition(".")[0]
    path = forgotten(jar, GONE, id, out="so far")
    assert kinds(jar) == {("spool", "untidy")}
    left, = mend(jar)
    assert id in left and os.path.exists(path + "/out")


@pytest.mark.parametrize("has_ended", [False, True])
def test_who_waits_for_the_input_of_a_killed_client_is_told_of(jar, has_ended):
    mine = Spool(jar, GONE)
    mine.note("the-job")
    inner, outer = os.pipe()
    intake, alarm = mine.fill(inner), watch.Alarm()
    os.write(outer, b"some")
    assert intake.receive(alarm, True) == 4
    os.close(outer)
    if has_ended:
        assert intake.receive(alarm, True) == 0 and intake.is_over
    os.close(inner)
    finding, = inspection.inspect(jar, ME)
    assert ("`jobjar cancel the-job`" in finding.says) == (not has_ended)


def test_the_spool_of_a_job_that_was_cleaned_away_goes_too(jar):
    path = forgotten(jar, GONE, "20260101-000000-me-000000001")
    assert mend(jar) == [] and not os.path.exists(path)


@pytest.mark.parametrize("of", [GONE, REBOOTED])
def test_a_spool_that_names_no_job_is_left_to_a_person(jar, of):
    path = forgotten(jar, of)
    assert kinds(jar) == {("spool-of-nobody", "person")}
    mend(jar)
    assert os.path.exists(path)


@pytest.mark.parametrize("of", [ME, ME._replace(node="snow")])
def test_the_spool_of_a_client_that_may_live_is_left_alone(jar, of):
    path = forgotten(jar, of, ended(jar)[1])
    os.utime(path, (10**9, 10**9))
    assert kinds(jar) == set() and mend(jar) == [] and os.path.exists(path)


def test_a_recovery_leaves_spools_alone(jar):
    path = forgotten(jar, GONE, ended(jar)[1])
    assert nodes.Site(jar).run("recover_stranded")[0] == 0
    assert os.path.exists(path)


# Copying.

@pytest.fixture
def growing(tmp_path):
    """A file, and a Tail of it."""
    path = jars.write(str(tmp_path / "growing"), "")
    return path, Tail(path)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def test_only_what_is_new_is_copied(growing, tmp_path):
    path, tail = growing
    with open(tmp_path / "out", "w+b") as out:
        for piece in (b"", b"first", b" second\0", b"x" * 3 * streaming.CHUNK):
            append(path, piece)
            assert tail.copy(out.fileno(), False) == len(piece)
        assert content(path) == content(tmp_path / "out")
    assert Tail(str(tmp_path / "none")).copy(1, True) == 0


def test_one_turn_has_an_end(growing, tmp_path, monkeypatch):
    path, tail = growing
    monkeypatch.setattr(streaming, "TURN", 2 * streaming.CHUNK)
    append(path, b"x" * 5 * streaming.CHUNK)
    with open(tmp_path / "out", "wb") as out:
        assert [tail.copy(out.fileno(), True) // streaming.CHUNK for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_descriptor_that_does_not_block_is_waited_for(growing, is_remote):
    path, _ = growing
    append(path, os.urandom(2**20))
    inner, outer = os.pipe()
    os.set_blocking(outer, False)
    found = []
    thread = threading.Thread(target=lambda: found.append(content(inner)))
    thread.start()
    tail = Tail(path, is_remote)
    while tail.copy(outer, True):
        pass
    os.close(outer)
    thread.join()
    assert found == [content(path)]


@pytest.mark.parametrize("data, offset, whole", [
    (b"abc", 0, 3), (b"a" * 5000, 0, 5000), (b"a" * 4000 + b"\0" * 96 + b"b" * 10, 0, 4000),
    (b"a" * 10 + b"\0" * 90 + b"b" * 10, 4096 - 100, 10), (b"a\0b", 0, 3), (b"\0" * 4096, 4096, 0), (b"", 7, 0),
    (b"a" * 100 + b"\0" * 8092, 0, 100), (b"a\0", 4094, 1),
])
def test_what_another_computer_has_not_written_yet_is_read_as_zeros_up_to_the_end_of_a_page(data, offset, whole):
    assert streaming.arrived(data, offset) == whole


def test_what_has_not_arrived_is_copied_when_it_has_or_when_the_job_has_ended(growing, tmp_path):
    path, _ = growing
    tail = Tail(path, is_remote=True)
    with open(tmp_path / "out", "wb") as out:
        append(path, b"a" * 10 + bytes(4086) + b"late")
        assert tail.copy(out.fileno(), False) == 10
        with open(path, "r+b") as file:
            file.seek(10)
            file.write(b"b" * 4086)
        assert tail.copy(out.fileno(), False) == 4090
        append(path, bytes(8192))
        assert tail.copy(out.fileno(), False) == 0 and tail.copy(out.fileno(), True) == 8192
    assert content(path) == content(tmp_path / "out")


def test_a_regular_file_is_spooled_whole_from_where_it_stands(jar, tmp_path):
    mine, path = Spool(jar, ME), jars.write(str(tmp_path / "given"), "some thing")
    with open(path, "rb", buffering=0) as file:
        file.seek(5)
        assert mine.fill(file.fileno()) == mine.file("in") and file.tell() == 5
    assert content(mine.file("in")) == b"thing"


def test_of_an_input_without_end_no_more_is_spooled_than_a_little_beyond_what_the_job_has_read(jar):
    mine, alarm = Spool(jar, ME), watch.Alarm()
    with open("/dev/zero", "rb") as zero:
        intake = mine.fill(zero.fileno())

        def received():
            return sum(intake.receive(alarm, True) for _ in range(8))

        assert received() == feeding.WINDOW and intake.receive(alarm, False) == 0
        inner, outer = os.pipe()
        feeder = threading.Thread(target=feeding.feed, args=(mine.file("in"), outer))
        feeder.start()
        left = streaming.TURN
        while left:
            left -= len(os.read(inner, min(left, 2**16)))
        # Nobody waits for what was taken to be told.
        processes.until(lambda: received() == streaming.TURN, "room for more")
        os.close(inner)
        feeder.join()
        os.close(outer)
    assert os.stat(mine.file("in")).st_size == feeding.WINDOW + streaming.TURN


def test_nothing_is_read_where_there_is_nothing(jar):
    mine = Spool(jar, ME)
    with open(os.devnull, "rb") as null:
        assert mine.fill(null.fileno()) is None
        closed = os.dup(null.fileno())
    os.close(closed)
    assert mine.fill(closed) is None and sorted(os.listdir(mine.path)) == ["err", "out"]


def test_the_job_of_a_spool(jar):
    mine = Spool(jar, ME)
    assert spool.job_of(mine.path) is None
    mine.note("x")
    assert spool.job_of(mine.path) == "x" and spool.job_of("/nowhere") is None
    assert spool.parse(os.path.basename(mine.path)) == (node.owner(ME), node.nonce(ME)) and spool.parse(".x.1.2") is None


def test_handles_say_where_the_job_is(jar):
    place = workers.submit(jar, "true")
    assert job.Job(jar, place).place == place
