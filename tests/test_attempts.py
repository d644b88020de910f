"""One attempt: the claim, the link in claimed/, the way out of claims/, and that every step of it is insisted upon."""

import errno
import os
import signal

import pytest

from jobjar import attempts, changing, departures, directives, editing, fslook, fsnew, fsops, journal, layout, mounts
from jobjar import moves, node, notes, process, reservation, resync, runner, settling, worker
from jobjar.errors import Fenced
from jobjar.layout import Place
from support import jars, processes, workers
from test_worker import be_quick


def test_the_job_is_in_claims_while_it_runs_and_linked_in_claimed(jar):
    gate = os.path.join(jar.home, "gate")
    workers.place(jar, "x.5", f"while [ ! -e {gate} ]; do sleep 0.02; done", category="A")
    link = os.path.join(jar.claimed, "x.5")
    with workers.working(jar, "A") as w:
        processes.until(lambda: os.path.lexists(link))
        assert os.readlink(link) == f"../workers/{w.name}/claims/A/x.5"
        assert os.path.samefile(link, os.path.join(w.claims, "A", "x.5"))
        jars.write(gate, "")
        processes.until(lambda: not os.path.lexists(link))
        assert os.listdir(jar.completed) == ["x.5"]


@pytest.mark.parametrize("asks, told", [("--mem=512M", "512"), ("--begin=tomorrow", None)])
def test_what_is_changed_after_the_look_at_a_job_and_before_its_claim_counts(jar, asks, told):
    place = workers.submit(jar, "echo $JJ_MEM_MB")

    def change_before_the_claim():
        was, todo = moves.claim, [asks]

        def claim(*more):
            if todo:
                editing.edit(changing.Change(jar, workers.NODE), [place], directives.read(f"#JJ {todo.pop()}\n".encode()))
            return was(*more)
        moves.claim = claim
    worker = workers.drain(jar, before=change_before_the_claim)
    assert (jars.read(jar.log(place.name)).strip() if os.listdir(jar.logs) else None) == told
    if told is None:
        assert os.listdir(jar.waiting) == [place.name]
    else:
        assert [line["req"] for line in worker.ends()] == [["--mem=512M"]]


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_job_whose_time_has_not_come_does_not_run_when_it_is_found_in_claims_either(jar, is_remote):
    path = workers.place(jar, "a.0", header="#!/bin/sh\n#JJ --begin=2099-01-01T00:00:00 --no-requeue\n")

    def be_late():
        resync.is_on_remote = lambda directory: is_remote
        claim, understood, todo = fsops.claim, settling.claimed, [path]

        def be_claimed_and_say_no(source, target):
            settling.claimed = understood
            if not todo:
                return claim(source, target)
            os.rename(todo.pop(), target)
            return errno.ENOENT
        fsops.claim = be_claimed_and_say_no
        # As if it had said something else when it was looked at.
        settling.claimed = lambda head: {}
    w = workers.drain(jar, before=be_late)
    assert "found a.0 in claims/" in w.log() and w.ends() == []
    assert os.listdir(jar.waiting) == ["a.0"]


def test_a_job_that_another_is_put_in_place_of_before_its_claim_runs_when_that_is_to_run(jar):
    path = workers.place(jar, "a.0")

    def change_before_the_claim():
        was, todo = moves.claim, ["#!/bin/sh\n#JJ --begin=2099-01-01T00:00:00\ntrue\n"]

        def claim(*more):
            if todo:
                jars.write(path + ".new", todo.pop())
                os.rename(path + ".new", path)
            return was(*more)
        moves.claim = claim
    w = workers.drain(jar, before=change_before_the_claim)
    assert (os.listdir(jar.waiting), w.ends()) == (["a.0"], [])


@pytest.mark.parametrize("body", ["true", "cp -p $JJ_JOB_FILE new && mv new $JJ_JOB_FILE"], ids=["stays", "replaced"])
def test_where_others_may_write_the_record_of_a_job_says_which_file_it_was(jar, body):
    """It is not asked for again, for that is a request to a file server, unless it is another by now."""
    place, asked = workers.submit(jar, body), os.path.join(jar.home, "asked")

    def listen():
        was = departures._status
        resync.is_on_remote = lambda directory: True
        departures._status = lambda path: open(asked, "a", encoding="utf-8").close() or was(path)
    w = workers.drain(jar, before=listen)
    end, found = w.ends()[0], os.stat(os.path.join(jar.completed, place.name))
    assert (end["ino"], end["state"], "gone" in end) == (found.st_ino, "COMPLETED", False)
    assert os.path.exists(asked) == (body != "true" or mounts.inode(jar.home) is None)


def test_where_others_may_write_a_job_that_has_removed_itself_is_known_to_be_gone(jar):
    workers.submit(jar, "rm $JJ_JOB_FILE")
    w = workers.drain(jar, before=lambda: setattr(resync, "is_on_remote", lambda directory: True))
    assert w.ends()[0]["gone"] is True and os.listdir(jar.completed) == []


def leaving(jar):
    """The departures of a worker that has a job, and the job's place; how often it was tried is noted."""
    name, me = "20261121-101500-me-000001000.0", node.myself(workers.NODE)
    owner = node.owner(me)
    place = jars.put(jar, Place("claims", None, name, jars.worker(jar, owner)))
    notes.count(jar, "snow.1", name, None, "lost-1", "its worker died")

    class Nothing:
        scratch, has_output = jar.worker(owner), staticmethod(lambda: False)

    class Log:
        say = staticmethod(lambda text: None)

    def patience(error, _):
        raise error
    return departures.Departures(jar, me, journal.Journal(jar.worker(owner)), Nothing, Log, patience), place


@pytest.mark.parametrize("how, asks", [("refuse", ""), ("quit", "--output=/x"), ("end", "--stage-out=made"),
                                       ("end", "--retries=3")])
def test_a_worker_that_has_been_declared_dead_says_nothing_more_of_its_job(jar, how, asks, monkeypatch):
    out, place = leaving(jar)
    attempt, made = departures.Attempt("mine-1", True), jars.write(os.path.join(out.runner.scratch, "made"), "made")
    attempt.vetted = attempt.vetted._replace(request=directives.read(f"#JJ {asks}\n".encode()))
    noted, look = notes.read(jar, place.name), departures._status

    def fence():
        os.rename(place.holder, os.path.join(os.path.dirname(made), "recovering.other-1"))
    usage = os.wait4(os.posix_spawn("/bin/false", ["false"], {}), 0)[2]
    with pytest.raises(Fenced):
        if asks == "--retries=3":
            # It is told that its job is there, and nothing else.
            monkeypatch.setattr(departures, "_status", lambda path: (look(path), fence())[0])
        else:
            fence()
        if how == "end":
            out.end(attempt, place, runner.Outcome(runner.ENDED, 0.0, 256, usage), lambda: False)
        else:
            getattr(out, how)(attempt, place, "as the test has it")
    assert notes.read(jar, place.name) == noted and not os.path.exists(jar.staged)
    assert workers.lines(os.path.join(os.path.dirname(made), "journal")) == []


def test_a_link_s_name_that_is_taken_becomes_the_next(jar):
    os.symlink("another's", os.path.join(jar.claimed, "x.5"))
    workers.place(jar, "x.5", "ls $JJ_HOME/claimed")
    workers.drain(jar)
    assert jars.read(jar.log("x.5")).split() == ["x.5", "x~2.5"] and os.listdir(jar.claimed) == ["x.5"]


def test_the_link_is_right_also_when_the_jar_is_reached_through_a_link_and_the_workers_are_elsewhere(tmp_path):
    os.makedirs(tmp_path / "deep" / "er")
    os.symlink("deep/er", tmp_path / "short")
    (tmp_path / "workers").mkdir()
    layout.create_jar(str(tmp_path / "short" / "jar"))
    jar = layout.open_jar(str(tmp_path / "short" / "jar"), str(tmp_path / "workers"))
    workers.place(jar, "x", "cat $JJ_HOME/claimed/x >/dev/null && echo right")
    workers.drain(jar)
    assert jars.read(jar.log("x")) == "right\n"


def test_what_a_job_has_printed_is_kept_though_nobody_could_say_how_much_that_is(jar):
    def fail():
        was = os.lstat

        def lstat(path, **more):
            if str(path).endswith("/output"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return was(path, **more)
        os.lstat = lstat
    place = workers.submit(jar, "echo words")
    w = workers.drain(jar, before=fail)
    assert jars.read(jar.log(place.name)) == "words\n" and "cannot be looked after" in w.log()


def lasting(seconds):
    """What lets a worker think a job a short one for so long."""
    return lambda: setattr(runner, "LONG_JOB", seconds)


def test_a_short_job_that_follows_a_short_one_needs_no_link(jar):
    for number in range(3):
        workers.place(jar, f"x.{9 - number}", f"echo {number}; ls $JJ_HOME/claimed")
    workers.drain(jar, before=lasting(60.0))
    assert [jars.read(jar.log(f"x.{9 - number}")).split() for number in range(3)] == [["0", "x.9"], ["1"], ["2"]]


def test_a_job_that_follows_a_short_one_is_linked_when_it_lasts(jar):
    workers.place(jar, "a.9", ":")
    workers.place(jar, "b.8", "while [ ! -h $JJ_HOME/claimed/b.8 ]; do sleep 0.02; done; cat $JJ_HOME/claimed/b.8")
    workers.drain(jar)
    assert jars.read(jar.log("b.8")) == jars.read(f"{jar.completed}/b.8") and os.listdir(jar.claimed) == []


def test_a_job_that_a_worker_was_waiting_for_is_linked_before_it_begins(jar):
    with workers.working(jar, before=lasting(60.0)) as w:
        for name in ("a", "b"):
            workers.place(jar, name, "ls $JJ_HOME/claimed")
            processes.until(lambda: os.path.exists(os.path.join(jar.completed, name)))
            # Without a job it keeps none.
            processes.until(lambda: not os.path.exists(w.scratch))
    assert [jars.read(jar.log(name)) for name in ("a", "b")] == ["a\n", "b\n"]


def test_a_view_that_cannot_be_kept_hinders_no_job(jar):
    def full():
        was = fsops.link

        def link(text, path):
            if path.startswith(jar.claimed):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return was(text, path)
        fsops.link = link
    workers.place(jar, "x")
    w = workers.drain(jar, before=full)
    assert os.listdir(jar.completed) == ["x"] and "no link in claimed/" in w.log()


def test_the_second_job_of_a_name_gets_a_name_and_a_log_of_its_own(jar):
    for number, name in enumerate(["x.5", "x~2.5", "x~3.5"]):
        workers.place(jar, "x.5", f"echo {number}; exit {number % 2}")
        workers.drain(jar)
        assert jars.read(jar.log(name)) == f"{number}\n"
    assert sorted(os.listdir(jar.completed)) == ["x.5", "x~2.5", "x~3.5"] and os.listdir(jar.failed) == ["x~2.5"]


def test_two_jobs_of_one_name_in_two_categories_that_end_at_once_both_survive(jar):
    for number in range(20):
        for category in ("A", "B"):
            workers.place(jar, f"x{number}", f"echo {category}", category=category)
    with workers.working(jar, "A"), workers.working(jar, "B"):
        processes.until(lambda: len(os.listdir(jar.completed)) == 40 and not os.listdir(jar.claimed))
    wanted = sorted(f"x{number}{suffix}" for number in range(20) for suffix in ("", "~2"))
    assert sorted(os.listdir(jar.completed)) == sorted(os.listdir(jar.logs)) == wanted
    for number in range(20):
        assert {jars.read(jar.log(f"x{number}")), jars.read(jar.log(f"x{number}~2"))} == {"A\n", "B\n"}
        for name in (f"x{number}", f"x{number}~2"):
            assert jars.read(os.path.join(jar.completed, name)).split()[-1] == jars.read(jar.log(name)).strip()


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_silent_job_of_a_name_of_ours_goes_to_completed_in_one_step_where_no_other_computer_may_write(jar, is_remote):
    def note_the_steps():
        was = fsnew.rename_new
        resync.is_on_remote = lambda directory: is_remote
        fsnew.rename_new = lambda source, target: jars.write(f"{jar.home}/step", os.fsdecode(target)) and was(
            source, target)
    place = workers.submit(jar, "true")
    worker = workers.drain(jar, before=note_the_steps)
    assert os.listdir(jar.completed) == [place.name] and [line["state"] for line in worker.ends()] == ["COMPLETED"]
    assert os.path.exists(f"{jar.home}/step") != is_remote
    assert is_remote or jars.read(f"{jar.home}/step") == f"{jar.completed}/{place.name}"


@pytest.mark.parametrize("is_remote", [False, True])
def test_where_no_other_computer_may_write_no_directory_is_opened_to_ask_for_a_name_in_it(jar, is_remote):
    opened = os.path.join(os.path.dirname(jar.home), "opened")

    def note_the_questions():
        was = fslook.status
        resync.is_on_remote = lambda directory: is_remote

        def status(directory, name):
            with open(opened, "a") as file:
                file.write(f"{directory}\n")
            return was(directory, name)
        fslook.status = status
    workers.place(jar, "x", "echo words; exit 3")
    workers.drain(jar, before=note_the_questions)
    assert os.listdir(jar.failed) == os.listdir(jar.logs) == ["x"]
    asked = set(jars.read(opened).split() if os.path.exists(opened) else [])
    assert ({jar.failed, jar.logs} <= asked) == is_remote and (is_remote or not {jar.failed, jar.logs} & asked)


def test_two_workers_share_a_queue_without_running_anything_twice(jar):
    for number in range(60):
        workers.place(jar, f"x{number}", f"echo {number} >>$JJ_HOME/ran")
    with workers.working(jar) as one, workers.working(jar) as two:
        processes.until(lambda: len(os.listdir(jar.completed)) == 60)
        processes.until(lambda: not os.listdir(jar.claimed))
    assert sorted(map(int, jars.read(os.path.join(jar.home, "ran")).split())) == list(range(60))
    assert len(one.ends()) + len(two.ends()) == 60 and one.ends() and two.ends()


def test_each_attempt_has_an_id_that_is_the_worker_s_nonce_and_a_count(jar):
    for number in range(3):
        workers.place(jar, f"x{number}")
    w = workers.drain(jar)
    nonce = workers.lines_of_json(w.path("worker.json"))["nonce"]
    assert [line["a"] for line in w.ends()] == [f"{nonce}-{number}" for number in (1, 2, 3)]


def test_a_job_that_was_counted_hears_so_and_is_closed_when_it_has_ended(jar):
    notes.count(jar, "rain.1", "x", None, "lost-1", "its worker died")
    workers.place(jar, "x", "echo $JJ_ATTEMPT; exit 1")
    w = workers.drain(jar)
    assert jars.read(jar.log("x")) == "2\n" and w.ends()[0]["tries"] == 2
    assert notes.open_attempts(jar, "x", None) == set() and notes.is_closed(jar, "x", None, "lost-1")


def test_a_job_that_was_counted_and_is_refused_counts_no_more(jar):
    notes.count(jar, "rain.1", "x", None, "lost-1", "its worker died")
    workers.place(jar, "x", header="#!/no/such\n")
    workers.drain(jar)
    assert notes.open_attempts(jar, "x", None) == set()


def test_a_job_without_notes_gets_none(jar):
    workers.place(jar, "x", "exit 1")
    workers.drain(jar)
    assert os.listdir(jar.notes) == []


# Every step is insisted upon.


STEPS = {"the end line": ("append", "journal"), "the reservation": ("link", "/completed/"),
         "the log": ("move", "/output"), "the link in failed/": ("link", "/failed/"),
         "the commit": ("move", "/claims/"),
         "the link in claimed/": ("remove", "/claimed/")}


@pytest.mark.parametrize("name, part", STEPS.values(), ids=STEPS)
def test_a_job_whose_end_cannot_be_recorded_is_neither_lost_nor_run_again(jar, tmp_path, name, part):
    """The disk is full at one step, three times; then there is room."""
    def fill():
        was, left = getattr(fsops, name), [1, 2, 3]

        def full(*arguments):
            path = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "append" else f"{arguments}"
            if left and part in path and os.path.exists(tmp_path / "ran"):
                left.pop()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return was(*arguments)
        setattr(fsops, name, full)

        worker.Worker._be_patient = lambda self, error, seconds: os.close(os.open(
            tmp_path / f"waited-{len(os.listdir(tmp_path))}", os.O_CREAT))
    workers.place(jar, "x", f"echo printed; echo ran >>{tmp_path}/ran; exit 7")
    w = workers.drain(jar, before=fill)
    assert (tmp_path / "ran").read_text() == "ran\n" and len(list(tmp_path.glob("waited-*"))) == 3
    # Said once, however often it is tried.
    assert w.log().count("blocked") == w.log().count("goes on") == 1
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == os.listdir(jar.logs) == ["x"]
    assert [line["exit"] for line in w.ends()] == [7] and os.listdir(jar.claimed) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_a_job_that_cannot_be_looked_at_after_its_end_is_recorded_when_it_can_be(jar, code):
    def install():
        was, left = departures._status, [1, 2]

        def status(path):
            if left:
                left.pop()
                raise OSError(code, os.strerror(code), path)
            return was(path)
        departures._status = status
        worker.Worker._be_patient = lambda self, error, seconds: None
    workers.place(jar, "x", "exit 3")
    w = workers.drain(jar, before=install)
    assert [(line["n"], line["exit"]) for line in w.ends()] == [("x", 3)] and w.log().count("blocked:") == 1


def test_output_that_cannot_be_looked_at_does_not_end_a_worker_that_gives_a_job_back(jar):
    def install():
        was, left = runner.Runner.has_output, [1]

        def has_output(self):
            if left:
                left.pop()
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return was(self)
        runner.Runner.has_output = has_output
        worker.Worker._be_patient = lambda self, error, seconds: None
        start, faults = process.start, [1]

        def fail_once(*arguments):
            if faults:
                faults.pop()
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            return start(*arguments)
        process.start = fail_once
        be_quick()
    workers.place(jar, "x")
    w = workers.drain(jar, before=install, idle_exit=0.5)
    assert os.listdir(jar.completed) == ["x"] and "goes on" in w.log()


def test_a_step_that_is_repeated_keeps_the_name_that_was_found_before(jar):
    def fail_once():
        was, left = fsops.move, [1]

        def move(source, target):
            if left and "/claims/" in source and "/completed/" in target and source.endswith("x"):
                left.pop()
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return was(source, target)
        fsops.move = move
    jars.write(os.path.join(jar.completed, "x"), "an earlier one")
    workers.place(jar, "x")
    w = workers.drain(jar, before=fail_once)
    assert "blocked" in w.log() and sorted(os.listdir(jar.completed)) == ["x", "x~2"]


def test_an_end_line_that_was_torn_by_a_full_disk_is_written_again_whole(jar, monkeypatch):
    """What is appended behind a torn piece would be lost with it, and a completed job without a line is a lie."""
    directory = os.path.join(jar.workers, "rain.1")
    os.mkdir(directory)
    book = journal.Journal(directory)
    was, sizes = fsops._write, [20, 0]

    def torn(handle, data):
        if sizes:
            size = sizes.pop(0)
            if not size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return was(handle, bytes(data)[:size])
        return was(handle, data)
    monkeypatch.setattr(fsops, "_write", torn)
    with pytest.raises(OSError):
        book.end("a-1", None, "x", state="COMPLETED")
    book.end("a-1", None, "x", state="COMPLETED")
    book.intend("a-2", None, "y")
    book.close()
    history = journal.History(directory)
    assert history.end("a-1")["state"] == "COMPLETED" and history.attempt(None, "y") == "a-2"


@pytest.mark.parametrize("how", ["move", "open_append"])
def test_a_journal_that_cannot_be_rotated_is_still_written_to_and_believed(jar, monkeypatch, how):
    directory = os.path.join(jar.workers, "rain.1")
    os.mkdir(directory)
    book = journal.Journal(directory)
    book.intend("a-1", None, "x")
    monkeypatch.setattr(journal, "ROTATE_AT", 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(fsops, how, full)
        with pytest.raises(OSError):
            book.rotate()
    book.end("a-1", None, "x", state="COMPLETED")
    assert journal.History(directory).end("a-1") is not None
    book.rotate()
    book.intend("a-2", None, "y")
    book.close()
    assert [line["a"] for line in workers.lines(os.path.join(directory, "journal.1"))] == ["a-1", "a-1"]
    assert [line["a"] for line in workers.lines(os.path.join(directory, "journal"))] == ["a-2"]


def test_claims_soon_after_a_boot_and_of_jobs_with_notes_are_made_to_survive_a_power_cut(jar, tmp_path):
    record = tmp_path / "synced"

    def listen(young):
        def install():
            attempts.YOUNG_BOOT = float("inf") if young else 0.0
            was = fsops._fsync

            def fsync(handle):
                path = os.readlink(f"/proc/self/fd/{handle}")
                if os.path.basename(path) in ("journal", "claims"):
                    running = os.path.exists(os.path.join(jar.unclaimed, "x"))
                    record.open("a").write(f"{os.path.basename(path)} {running}\n")
                was(handle)
            fsops._fsync = fsync
        return install
    workers.place(jar, "x", "sleep 0.01")
    workers.drain(jar, before=listen(young=False))
    assert "claims" not in record.read_text()
    record.unlink()
    workers.place(jar, "x")
    workers.drain(jar, before=listen(young=True))
    assert record.read_text().split("\n")[:2] == ["journal True", "claims False"]
    record.unlink()
    notes.count(jar, "rain.1", "x", None, "lost-1", "why")
    workers.place(jar, "x")
    workers.drain(jar, before=listen(young=False))
    assert record.read_text().split("\n")[:2] == ["journal True", "claims False"]
    # One that is found in claims/, since its rename came late, is claimed as much.
    notes.count(jar, "rain.1", "late", None, "lost-1", "why")
    with workers.working(jar, before=listen(young=False), JJ_PAUSE_TIME="0.3") as w:
        processes.until(w.is_idle)
        record.write_text("")
        os.rename(jars.write(os.path.join(jar.limbo, "late"), "#!/bin/sh\n"), os.path.join(w.claims, "late"))
        processes.until(lambda: os.path.exists(os.path.join(jar.completed, "late")))
    assert record.read_text().split("\n")[:2] == ["journal False", "claims False"]


def test_a_name_that_this_worker_has_ended_before_has_its_intent_synced(jar, tmp_path):
    record = tmp_path / "synced"

    def listen():
        attempts.YOUNG_BOOT = 0.0
        was = fsops.sync

        def sync(handle):
            was(handle)
            record.open("a").write(jars.read(f"/proc/self/fd/{handle}").splitlines()[-1][:13] + "\n")
        fsops.sync = sync
    with workers.working(jar, before=listen):
        for number in (1, 2):
            workers.place(jar, "x")
            processes.until(lambda: len(os.listdir(jar.completed)) == number and not os.listdir(jar.claimed))
        assert '{"e": "claim"' in record.read_text()


def test_a_reservation_of_somebody_else_is_respected(jar):
    os.symlink(reservation.text("meadow.7", "their-1"), os.path.join(jar.completed, "x"))
    workers.place(jar, "x")
    w = workers.drain(jar)
    assert os.path.islink(os.path.join(jar.completed, "x")) and os.path.isfile(os.path.join(jar.completed, "x~2"))
    assert [line["as"] for line in w.journal() if line["e"] == "target"] == ["x~2"]


def test_a_job_that_is_given_back_under_another_name_keeps_its_count(jar):
    notes.count(jar, "rain.1", "x", None, "n-1", "its worker died")
    workers.place(jar, "x", "sleep 30")
    with workers.working(jar) as w:
        processes.until(lambda: os.listdir(jar.claimed))
        workers.place(jar, "x")
        # Two of one kind may arrive as one.
        w.signal(signal.SIGTERM)
        w.signal(signal.SIGINT)
        processes.until(lambda: "x~2" in os.listdir(jar.unclaimed))
    assert notes.open_attempts(jar, "x~2", None) == {"n-1"}
