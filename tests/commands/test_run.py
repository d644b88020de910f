"""`jobjar run`, as a shell meets it, with real workers."""

import ctypes
import errno
import os
import pty
import signal
import subprocess
import sys

import pytest
from support import jars, nodes, processes, programs, workers

from jobjar import cli, feeding, fsops, running, spool, streaming, submission, watch
from jobjar.errors import TryAgain, UsageError


@pytest.fixture(autouse=True)
def quick(jar, monkeypatch):
    """Programs and workers of this test are on one node, and look often."""
    for key, value in {"JJ_HOME": jar.home, "JJ_NODE": workers.NODE, "JJ_ORDER_TIME": "0.2", "JJ_MIN_FREE": "0"}.items():
        monkeypatch.setenv(key, value)


@pytest.fixture
def worker(jar):
    """One that waits for jobs."""
    with workers.working(jar, JJ_ORDER_TIME="0.2") as handle:
        yield handle


def start(*words, **more):
    """`jobjar run`, as a child whose ends are pipes of bytes; the caller reaps it."""
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
            "env": processes.environment(), **more}
    return subprocess.Popen([sys.executable, os.path.join(programs.BIN, "jobjar"), "run", *words], **more)


def finish(process, given=None):
    try:
        out, err = process.communicate(given, timeout=processes.PATIENCE)
    finally:
        # One that does not end in time is not to be left to the next test.
        process.kill()
    return process.returncode, out, err


def run(*words, given=None, **more):
    if given is not None:
        more["stdin"] = subprocess.PIPE
    return finish(start(*words, **more), given)


def spools(jar):
    return [name for name in os.listdir(jar.limbo) if name.startswith(".run.")]


def only_job(jar):
    found = [os.path.join(top, name) for top, _, names in os.walk(jar.home) for name in names
             if name.startswith("2") and "/limbo" not in top and not os.path.islink(os.path.join(top, name))
             and "/notes" not in top]
    assert len(found) == 1, found
    return found[0]


def test_both_streams_come_apart_with_the_exit_status_and_nothing_is_left(jar, worker):
    assert run("sh", "-c", "echo out; echo err >&2; exit 5") == (5, b"out\n", b"err\n")
    assert run("true") == (0, b"", b"")
    assert run("kill -9 $$") == (137, b"", b"")
    assert spools(jar) == [] and os.listdir(jar.logs) == []


def test_history_tells_the_command_and_a_cleaning_keeps_nothing_of_the_environment(jar, worker, capsys):
    # With little in it all of the script would be kept.
    few = {name: os.environ[name] for name in ("PATH", "JJ_HOME", "JJ_NODE")}
    assert run("echo", "one two", env={**few, "SECRET": "xxx"})[0] == 0
    for _ in range(2):
        assert cli.main("jobjar", ["history", "--columns=command"]) == 0
        assert capsys.readouterr().out == "COMMAND\necho 'one two'\n"
        cli.main("jobjar", ["clean", "--older=0s"])
        capsys.readouterr()
    (archive,) = os.listdir(jar.history)
    assert "xxx" not in jars.read(os.path.join(jar.history, archive))
    assert cli.main("jobjar", ["history", "--resubmit", "last"]) != 0


def test_it_runs_where_it_was_called_with_environment_and_umask(jar, worker, tmp_path):
    where = tmp_path / "a place"
    where.mkdir()
    jars.write(str(where / "here"), "")
    env = {**processes.environment(), "MINE": "a\nb 'c' \"d\" é", "TMPDIR": "/nowhere"}
    assert run("ls", cwd=where, env=env)[1] == b"here\n"
    assert run("sh", "-c", 'printf %s "$MINE"; umask; pwd', cwd=where, env=env, umask=0o027)[1].decode() == \
        f"{env['MINE']}0027\n{where}\n"


def test_several_words_are_a_command_as_it_is_and_one_word_is_a_line_for_the_shell(jar, worker, tmp_path):
    words = ["a b", "*", "$HOME", "it's", "", "new\nline", "#JJ", "\\"]
    assert run("printf", "%s|", *words, cwd=tmp_path)[1].decode() == "".join(word + "|" for word in words)
    jars.write(str(tmp_path / "x.c"), "")
    assert run("ls *.c | tr c h; false", cwd=tmp_path) == (1, b"x.h\n", b"")


def test_standard_input_comes_from_a_pipe_and_from_a_file(jar, worker, tmp_path):
    assert run("cat", given=b"1\n2\0\xff") == (0, b"1\n2\0\xff", b"")
    path = jars.write(str(tmp_path / "in"), "first\nsecond\n")
    with open(path, "rb") as file:
        os.lseek(file.fileno(), 6, os.SEEK_SET)
        assert run("cat", stdin=file) == (0, b"second\n", b"")
        # The shell's loop that reads the same file goes on where it was.
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 6


def test_what_is_typed_while_the_job_runs_reaches_it(jar, worker):
    process = start("read a; echo got $a; read b; echo got $b; cat", stdin=subprocess.PIPE)
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"got " + word + b"\n"
    assert finish(process, b"rest") == (0, b"rest", b"")


def test_a_job_that_does_not_read_an_input_without_end_ends(jar, worker):
    inner, outer = os.pipe()
    try:
        assert run("echo here", stdin=inner) == (0, b"here\n", b"")
    finally:
        os.close(inner)
        os.close(outer)


def test_who_writes_without_end_to_a_job_that_has_ended_is_told_as_by_any_program(jar, worker):
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as source:
        process = start("head", "-n", "1", stdin=source.stdout)
        source.stdout.close()
        assert finish(process) == (0, b"y\n", b"") and spools(jar) == []
        # It writes to a pipe that nobody reads.
        assert source.wait(processes.PATIENCE) == -signal.SIGPIPE


def test_a_large_input_arrives_whole_and_a_reader_that_stops_early_is_no_error(jar, worker):
    given = os.urandom(1000) * 50000
    assert len(given) > 2 * feeding.WINDOW
    status, out, err = run("cat", given=given)
    assert (status, err) == (0, b"") and out == given
    assert run("head -c 10", given=given) == (0, given[:10], b"")


def test_a_job_that_is_begun_again_reads_all_of_its_input_again(jar, worker):
    process = start("--retries=1", "cat; test $JJ_ATTEMPT = 2", stdin=subprocess.PIPE)
    status, out, err = finish(process, b"input\n")
    assert (status, out) == (0, b"input\ninput\n") and b"attempt 2" in err


def test_the_death_of_its_worker_is_not_the_end_of_its_input(jar, tmp_path):
    with workers.working(jar) as first:
        process = start(f"while read word; do echo $word; done; touch {tmp_path}/over", stdin=subprocess.PIPE)
        process.stdin.write(b"before\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"before\n"
        first.signal(signal.SIGKILL)
        first.wait()
    process.stdin.write(b"after\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"after\n" and not os.path.exists(tmp_path / "over")
    site = nodes.Site(jar)
    processes.until(lambda: site.run("recover_stranded", "--kill-orphans")[0] == 0 and os.listdir(jar.unclaimed),
                    "the recovery")
    # The next worker is a copy of this process, and would keep the pipe open.
    process.stdin.write(b"last\n")
    process.stdin.close()
    process.stdin = None
    try:
        with workers.working(jar):
            assert finish(process)[:2] == (0, b"before\nafter\nlast\n")
    finally:
        # The client may have started one as well, before this one was there.
        nodes.end_all()


def test_an_input_that_has_no_room_in_the_jar_cancels_the_job(jar, worker, monkeypatch):
    pid = os.fork()
    if pid == 0:
        inner, outer = os.pipe()
        os.write(outer, b"too much")
        os.dup2(inner, 0)
        os._exit(_run_on_a_full_disk(jar))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    # The worker may not even have begun it.
    assert all(line["state"] == "CANCELLED" for line in worker.ends())
    assert len(os.listdir(jar.failed)) == 1 and os.listdir(jar.unclaimed) == spools(jar) == []


def _run_on_a_full_disk(jar):
    write_all = fsops.write_all

    def fail(handle, data):
        if bytes(data) == b"too much":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/the/spool/in")
        write_all(handle, data)

    fsops.write_all = fail
    return running.run(jar, workers.settings(jar), ["cat"], {})


def test_memory_is_that_of_the_job_and_not_of_who_feeds_it(jar, worker):
    with start("--mem=1G", "echo begun; sleep 1; exec cat", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n" and finish(process)[0] == 0
    # A shell and what it starts have some 5 MB, a feeder has some 20.
    assert 0 < worker.ends()[0]["maxrss"] < 12_000


def test_an_interrupt_while_a_file_is_being_copied_submits_nothing(jar, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**33)
    with open(tmp_path / "large", "rb") as file:
        process = start("cat", stdin=file)
        processes.until(lambda: spools(jar) and "in" in os.listdir(os.path.join(jar.limbo, *spools(jar))), "the spool")
        process.send_signal(signal.SIGINT)
        assert finish(process)[:2] == (130, b"")
    assert spools(jar) == os.listdir(jar.unclaimed) == os.listdir(jar.failed) == []


def test_output_is_shown_while_the_job_runs(jar, worker, tmp_path):
    process = start(f"echo first; echo error >&2; while test ! -e {tmp_path}/go; do sleep 0.02; done; echo last")
    assert process.stdout.readline() == b"first\n"
    assert process.stderr.readline() == b"error\n"
    jars.write(str(tmp_path / "go"), "")
    assert finish(process) == (0, b"last\n", b"")


@pytest.mark.parametrize("how", ["a pipe", "a file", "a file opened for appending"])
def test_not_a_byte_is_lost_or_doubled(jar, worker, tmp_path, how):
    line = "for i in 1 2 3 4 5 6 7 8 9 10; do seq 20000; echo e$i >&2; done"
    expected = "".join(f"{i}\n" for i in range(1, 20001)).encode() * 10
    errors = "".join(f"e{i}\n" for i in range(1, 11)).encode()
    if how == "a pipe":
        assert run(line) == (0, expected, errors)
        return
    with open(tmp_path / "out", "ab" if "appending" in how else "wb") as file:
        assert run(line, stdout=file) == (0, None, errors)
    assert (tmp_path / "out").read_bytes() == expected


def test_a_reader_that_begins_late_gets_all_of_it(jar, worker):
    process = start("seq 4000000")
    processes.until(lambda: os.listdir(jar.completed), "the end of the job, whose output nobody reads")
    status, out, err = finish(process)
    # More than is printed in one turn after the end.
    assert len(out) > 3 * streaming.TURN and (status, err) == (0, b"")
    assert out.count(b"\n") == 4000000 and out.endswith(b"\n4000000\n")


def test_without_inotify_it_is_the_same(jar):
    with workers.working(jar, before=workers.without_inotify):
        assert run("sleep 0.3; seq 3")[:2] == (0, b"1\n2\n3\n")


def test_a_terminal_gets_the_output_and_is_not_read(jar, worker):
    leader, follower = pty.openpty()
    process = start("echo hello; cat", stdin=follower, stdout=follower)
    os.close(follower)
    try:
        assert finish(process) == (0, None, b"") and os.read(leader, 100) == b"hello\r\n"
    finally:
        os.close(leader)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_a_job_that_runs(jar, worker, number):
    process = start("echo begun; sleep 600")
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    status, _, err = finish(process)
    assert status == 128 + number and b"is cancelled" in err
    job = only_job(jar)
    assert os.path.dirname(job) == jar.completed and spools(jar) == []
    processes.until(lambda: worker.ends(), "the end line")
    assert worker.ends()[0]["state"] == "CANCELLED"


def test_a_signal_cancels_a_job_that_nobody_has_begun(jar):
    process = start("--hold", "echo never")
    processes.until(lambda: os.listdir(jar.held), "the submission")
    process.send_signal(signal.SIGTERM)
    assert finish(process)[:2] == (143, b"")
    assert os.path.dirname(only_job(jar)) == jar.failed and spools(jar) == []


def test_a_signal_that_is_ignored_by_the_caller_stays_ignored(jar, worker):
    process = start("echo begun; sleep 0.4; echo over", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGHUP)
    assert finish(process) == (0, b"over\n", b"")


def test_a_reader_that_goes_away_cancels_the_job_quietly(jar, worker):
    process = start("yes")
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert process.wait(processes.PATIENCE) == 141 and process.stderr.read() == b""
    process.stderr.close()
    assert os.path.dirname(only_job(jar)) == jar.completed and spools(jar) == []


def test_a_reader_that_is_slow_can_be_interrupted(jar, worker):
    process = start("yes | head -c 30000000")
    processes.until(lambda: os.listdir(jar.completed), "the end of the job, whose output nobody reads")
    process.send_signal(signal.SIGINT)
    assert process.wait(processes.PATIENCE) == 130
    process.stdout.close()
    process.stderr.close()
    assert spools(jar) == []


def test_output_that_cannot_be_written_is_an_error_with_a_sentence(jar, worker):
    with open("/dev/full", "wb") as full:
        status, _, err = run("echo lost", stdout=full)
    assert status == 1 and b"standard output: No space left on device" in err
    kept, = os.listdir(jar.logs)
    assert jars.read(os.path.join(jar.logs, kept)) == "lost\n" and kept.encode() in err and spools(jar) == []


def are_done(jar):
    """The jobs in completed/; a name may stand there before, as a link."""
    return [entry.name for entry in os.scandir(jar.completed) if entry.is_file(follow_symlinks=False)]


def forked(do):
    """The status with which a child ends that calls `do`."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = do()
        except TryAgain as error:
            os.write(2, str(error).encode())
            code = 75
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_a_job_printed_that_ended_well_is_kept_when_it_cannot_be_shown_and_nothing_is_called_cancelled(
        jar, worker, monkeypatch, capfd):
    follow = running._Client.follow

    def late(client):
        processes.until(lambda: are_done(jar), "the end of the job")
        return follow(client)

    def client():
        with open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), 1)
            return running.run(jar, workers.settings(jar), ["echo precious; echo more >&2"], {})

    monkeypatch.setattr(running._Client, "follow", late)
    assert forked(client) == 1
    said = capfd.readouterr().err
    assert "cancelled" not in said and "No space left on device" in said
    kept = {os.path.join(jar.logs, name) for name in os.listdir(jar.logs)}
    assert {jars.read(path) for path in kept} == {"precious\n", "more\n"} and spools(jar) == []
    assert all(path in said for path in kept)


def test_what_was_to_be_cancelled_and_had_ended_is_said_to_have_ended(jar, worker, monkeypatch, capfd):
    withdraw = running._Client._withdraw

    def too_late(client, why):
        jars.write(f"{jar.home}/go", "")
        processes.until(lambda: are_done(jar), "the end of the job")
        withdraw(client, why)

    def client():
        with open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), 1)
            line = f"echo precious; while [ ! -e {jar.home}/go ]; do sleep 0.05; done"
            return running.run(jar, workers.settings(jar), [line], {})

    monkeypatch.setattr(running._Client, "_withdraw", too_late)
    assert forked(client) == 1
    assert "had ended before that: COMPLETED" in capfd.readouterr().err


@pytest.mark.parametrize("refused", ["err", "in", "job", "draft"])
def test_where_there_is_no_room_nothing_is_submitted_and_nothing_left(jar, tmp_path, monkeypatch, refused):
    create, copy = fsops.create, spool._copy_file

    def fail(path, *more, **others):
        kind = "draft" if os.path.dirname(path) == jar.limbo else os.path.basename(path)
        if kind == refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        create(path, *more, **others)

    def fail_to_copy(source, path):
        copy(source, path)
        if refused == "in":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def client():
        with open(jars.write(str(tmp_path / "given"), "some input"), "rb") as given:
            os.dup2(given.fileno(), 0)
        return running.run(jar, workers.settings(jar), ["cat"], {})

    monkeypatch.setattr(fsops, "create", fail)
    monkeypatch.setattr(spool, "_copy_file", fail_to_copy)
    assert forked(client) == 75
    assert os.listdir(jar.limbo) == os.listdir(jar.unclaimed) == []


def test_what_a_job_prints_whose_client_is_killed_right_after_the_submission_is_found(jar, monkeypatch):
    monkeypatch.setattr(running, "Job", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert forked(lambda: running.run(jar, workers.settings(jar), ["echo precious"], {})) == -signal.SIGKILL
    workers.drain(jar)
    assert os.listdir(jar.completed) and programs.run("jobjar", "check", "--repair")[0] == 0
    kept, = os.listdir(jar.logs)
    assert jars.read(os.path.join(jar.logs, kept)) == "precious\n" and spools(jar) == []


def test_a_job_that_is_held_is_said_to_wait_for_its_release(jar):
    process = start("--hold", "true")
    processes.until(lambda: os.listdir(jar.held), "the submission")
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 143 and b"is held: it waits for `jobjar release " in err


def test_when_its_worker_is_killed_the_job_is_begun_again_and_that_is_said(jar, tmp_path):
    mark = tmp_path / "second"
    line = f"test -e {mark} && {{ echo again; exit 3; }}; echo once; while :; do sleep 0.05; done"
    with workers.working(jar) as first:
        process = start(line)
        assert process.stdout.readline() == b"once\n"
        jars.write(str(mark), "")
        first.signal(signal.SIGKILL)
        first.wait()
    site = nodes.Site(jar)
    processes.until(lambda: site.run("recover_stranded", "--kill-orphans")[0] == 0 and os.listdir(jar.unclaimed),
                    "the recovery")
    with workers.working(jar):
        status, out, err = finish(process)
    assert (status, out) == (3, b"again\n") and b"is begun again (attempt 2)" in err and spools(jar) == []
    # A client that looked between the two workers has started one.
    site.stop()
    processes.until(lambda: not processes.children(), "the end of all workers")


def test_without_a_worker_one_is_started_that_ends_when_idle(jar, monkeypatch):
    status, out, err = run("-c", "RARE", "echo hello")
    try:
        assert (status, out) == (0, b"hello\n")
        assert b"no worker could take the job: rain." in err and b"15 s" in err
        # It is there for the next one.
        assert run("-c", "RARE", "echo again") == (0, b"again\n", b"")
    finally:
        nodes.end_all()


def test_a_job_that_begins_later_gets_a_worker_when_its_time_has_come(jar):
    process = start("--begin=now+1s", "echo late")
    processes.until(lambda: os.listdir(jar.waiting), "the submission")
    try:
        status, out, err = finish(process)
        assert (status, out) == (0, b"late\n") and b"has been started" in err
    finally:
        nodes.end_all()


def test_no_worker_is_started_for_a_job_before_its_time(jar):
    process = start("--begin=now+1h", "true")
    processes.until(lambda: os.listdir(jar.waiting), "the submission")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3 * running.LOOK_AT_WORKERS)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143 and os.listdir(jar.workers) == []


@pytest.mark.parametrize("marker, said", [("STOP_ALL", "STOP_ALL is there"), ("PAUSE_ALL", "PAUSE_ALL is there"),
                                          ("DRAIN.rain", "node rain is drained")])
def test_where_no_worker_is_wanted_it_says_so_and_cancels_the_job(jar, marker, said):
    jars.write(os.path.join(jar.workers, marker), "")
    status, out, err = run("true")
    assert (status, out) == (75, b"") and said.encode() in err and err.count(b"\n") == 1
    assert os.path.dirname(only_job(jar)) == jar.failed and spools(jar) == []


def test_a_worker_that_does_not_read_its_category_cannot_take_it(jar):
    site = nodes.Site(jar)
    with workers.working(jar, "OTHER"):
        assert b"has been started" in run("-c", "RARE", "true")[2]
        assert run("-c", "OTHER", "true") == (0, b"", b"")
        assert site.run("stop_worker", "all")[0] == 0
        processes.until(lambda: not site.living(), "the end of both workers")
    # One leaves the jar a moment before its process ends.
    processes.until(lambda: not processes.children(), "the end of both processes")


def test_a_job_for_another_node_without_a_worker_is_not_run_here(jar):
    with workers.working(jar, JJ_NODE="snow"):
        assert run("-c", "snow", "echo $JJ_NODE") == (0, b"snow\n", b"")
    status, out, err = run("-c", "snow", "echo $JJ_NODE")
    assert (status, out) == (75, b"") and b"snow is another node, where no worker lives: start one there" in err


def test_a_paused_worker_cannot_take_it(jar):
    site = nodes.Site(jar)
    with workers.working(jar) as worker:
        assert site.run("pause_worker", worker.name)[0] == 0
        processes.until(lambda: "markers: PAUSE" in worker.log(), "the pause")
        assert b"has been started" in run("true")[2]
        assert site.run("stop_worker", "all")[0] == 0
        processes.until(lambda: not site.living(), "the end of both workers")
    # One leaves the jar a moment before its process ends.
    processes.until(lambda: not processes.children(), "the end of both processes")


@pytest.mark.parametrize("words, said", [
    ([], "the command is empty"), ([""], "the command is empty"), (["--output=x", "true"], "--output is of no use"),
    (["--array=1-3", "true"], "--array is of no use"), (["--mem=much", "true"], "--mem"),
    (["--nonsense", "true"], "there is no option --nonsense"),
])
def test_wrong_words_submit_nothing(jar, words, said):
    status, out, err = run(*words)
    assert (status, out) == (2, b"") and said in err.decode() and err.count(b"\n") == 1
    assert spools(jar) == os.listdir(jar.unclaimed) == []


def test_options_of_the_table_count(jar, worker):
    status, out, err = run("--time=1s", "-p", "7", "-i", "word", "sleep 600")
    assert status == 143 and out == b"" and b"TIMEOUT" in err
    assert only_job(jar).endswith("-word.7")


def test_a_job_that_is_refused_says_why(jar, worker):
    status, out, err = run("--chdir=/nowhere/at/all", "true")
    assert (status, out) == (1, b"") and b"--chdir=/nowhere/at/all" in err


def test_a_job_that_is_given_another_priority_while_it_waits_is_followed(jar):
    process = start("--hold", "echo here")
    name, = processes.until(lambda: os.listdir(jar.held), "the submission")
    os.rename(f"{jar.held}/{name}", f"{jar.unclaimed}/{name.rpartition('.')[0]}.9")
    with workers.working(jar):
        assert finish(process)[:2] == (0, b"here\n")


def test_a_job_that_somebody_removes_is_given_up(jar, monkeypatch):
    monkeypatch.setattr(running, "LOST_AFTER", 0.1)
    monkeypatch.setattr(running, "LOOK_ALL", 0.05)
    from jobjar.errors import NoSuchJob
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            running.run(jar, workers.settings(jar), ["true"], {"hold": True})
        except NoSuchJob:
            code = 3
        finally:
            os._exit(code)
    name, = processes.until(lambda: os.listdir(jar.held), "the submission")
    os.unlink(f"{jar.held}/{name}")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def test_a_job_that_is_retried_when_nobody_prints_it_any_more_has_a_log(jar, worker):
    assert run("echo hello; exit 2")[:2] == (2, b"hello\n")
    name = os.path.basename(only_job(jar))
    assert programs.run("jobjar", "retry", name)[0] == 0
    processes.until(lambda: len(worker.ends()) == 2 and os.listdir(jar.completed), "the second run")
    assert jars.read(jar.log(name)) == "hello\n" and spools(jar) == []


def test_a_job_that_is_retried_without_its_input_is_refused(jar, worker):
    assert run("cat; exit 2", given=b"there")[:2] == (2, b"there")
    name = os.path.basename(only_job(jar))
    assert programs.run("jobjar", "retry", name)[0] == 0
    processes.until(lambda: os.path.isfile(f"{jar.failed}/{name}") and not os.path.islink(f"{jar.failed}/{name}"),
                    "the refusal")
    assert "--feed=" in worker.log()


def test_words_are_quoted_as_the_shell_reads_them():
    assert submission.plain_script(["echo", "a b", "plain-1.0", "it's"]) == b"#!/bin/sh\necho 'a b' plain-1.0 'it'\\''s'\n"
    with pytest.raises(UsageError, match="empty"):
        submission.plain_script([])


def test_with_a_worker_at_hand_no_clock_is_waited_for(jar, worker, monkeypatch):
    """It is quick because it is woken: with looks that are a minute apart it ends all the same."""
    if watch.Watch().handle is None:
        pytest.skip("this kernel or this user has no inotify to spare")
    for name in ("SHORTEST", "LONGEST"):
        monkeypatch.setattr(running, name, 60.0)
    pid = os.fork()
    if pid == 0:
        os._exit(running.run(jar, workers.settings(jar), ["sleep 1.2; exit 9"], {}))
    status = processes.until(lambda: os.waitpid(pid, os.WNOHANG)[1], "its end", 10)
    assert os.waitstatus_to_exitcode(status) == 9


def test_files_travel_to_a_node_that_has_none_of_the_directory_and_come_back(jar, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    jars.write(str(here / "a,b"), "some\n")
    (here / "both").mkdir()
    words = ["--stage-in=a\\,b", "--stage-out=both", "mkdir both; tr a-z A-Z < a,b > both/c; echo two > both/d"]

    def elsewhere():
        # This worker's node has another directory of that name.
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        for command in (["mount", "--make-rprivate", "/"], ["mount", "--bind", str(there), str(here)]):
            subprocess.run(command, check=True, capture_output=True)

    if not may_mount():
        pytest.skip("this machine does not let a test have mounts of its own: two nodes need them")
    with workers.working(jar, before=elsewhere):
        assert run("ls", cwd=here) == (0, b"", b"")
        assert run(*words, cwd=here) == (0, b"", b"")
        assert jars.read(str(here / "both/c")) == "SOME\n" and os.listdir(there) == []
        (here / "both/c").write_text("mine\n")
        status, out, err = run(*words, cwd=here)
        assert (status, out) == (0, b"") and err.count(b"both/c.2") == 1 and jars.read(str(here / "both/c")) == "mine\n"


CLONE_NEWNS = 0x20000


def may_mount():
    return not subprocess.run(["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True,
                              check=False).returncode


def test_what_cannot_be_brought_back_is_told_of(jar, worker, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    status, _, err = run("--stage-in=/etc/hostname", "--stage-out=result", f"echo x > result; rmdir {here}", cwd=here)
    assert status == 1 and b"here is not there" in err and b"`jobjar fetch " in err


@pytest.mark.parametrize("command, status", [("true", 0), ("echo lost >&2; exit 3", 3)])
def test_a_standard_error_that_is_a_file_to_read_counts_as_closed(worker, command, status):
    # Where stderr was closed, the shell's own script has got its number by the time that the interpreter begins.
    with open(os.devnull) as script:
        assert run(command, stderr=script)[0] == status
