"""`jobjar log`, as a shell meets it, with real workers."""

import os
import signal

import pytest
from support import jars, nodes, processes, programs, workers

from jobjar import following
from jobjar.following import Follower
from jobjar.job import Job
from jobjar.layout import Place


def log(jar, *words, **more):
    return programs.run("jobjar", "log", "--home", jar.home, *words, **more)


def submit(jar, command, **more):
    """A job; its id."""
    return workers.submit(jar, command, **more).name.rpartition(".")[0]


def until_there(jar):
    """A command that goes on when a file is there; making it."""
    return f"while test ! -e {jar.home}/go; do sleep 0.02; done", lambda: jars.write(jar.home + "/go", "")


@pytest.fixture
def follow(jar):
    """Starts `jobjar log -f`; what is still running at the end is ended."""
    started = []

    def start(*words):
        started.append(programs.start("jobjar", "log", "-f", "--home", jar.home, *words))
        return started[-1]
    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_has_been_printed_so_far_and_all_of_it(jar):
    loop, go = until_there(jar)
    name = submit(jar, f"printf begun; {loop}; echo , done; exit 3")
    assert log(jar, name) == (0, "", "")
    with workers.working(jar) as worker:
        processes.until(lambda: log(jar, name)[1] == "begun", "its output")
        go()
        processes.until(worker.ends, "its end")
        processes.until(lambda: os.listdir(jar.completed), "the commit")
        assert log(jar, name) == (0, "begun, done\n", "")
    silent = submit(jar, "true")
    workers.drain(jar)
    assert log(jar, silent) == (0, "", "")


def test_several_jobs_have_headings(jar):
    one, silent, two = submit(jar, "echo 1"), submit(jar, "true"), submit(jar, "echo 2")
    workers.drain(jar)
    assert log(jar, one, silent, two) == (0, f"==> {one} <==\n1\n\n==> {two} <==\n2\n", "")


def test_following_waits_for_the_beginning_and_ends_with_the_job(jar, follow):
    loop, go = until_there(jar)
    name = submit(jar, f"echo 1; {loop}; seq 2 50000; exit 1")
    process = follow(name)
    with workers.working(jar):
        assert process.stdout.readline() == "1\n" and process.poll() is None
        go()
        status, out, err = processes.finish(process)
    assert (status, err) == (0, "") and out.splitlines() == [str(i) for i in range(2, 50001)]


def test_following_does_not_take_the_next_jobs_output_for_its_own(jar, follow):
    first = submit(jar, "echo first; sleep 0.1; echo more")
    submit(jar, "echo second; sleep 0.1; echo second")
    process = follow(first)
    workers.drain(jar)
    assert processes.finish(process) == (0, "first\nmore\n", "")


def test_a_worker_that_goes_on_to_another_job_at_that_moment_is_noticed(jar, monkeypatch):
    name = workers.submit(jar, "true").name
    claims = jars.worker(jar, "rain.7")
    os.rename(f"{jar.unclaimed}/{name}", f"{claims}/{name}")
    jars.write(f"{jar.worker('rain.7')}/output", "mine")
    opened = following.open_to_read

    def opening(path):
        if path.endswith("/output"):
            monkeypatch.undo()
            os.rename(path, jar.log(name))
            os.rename(f"{claims}/{name}", f"{jar.completed}/{name}")
            jars.write(path, "another's")
        return opened(path)

    monkeypatch.setattr(following, "open_to_read", opening)
    follower = Follower(jar, Job(jar, Place("claims", None, name, claims)))
    inner, outer = os.pipe()
    follower.copy(outer)
    os.close(outer)
    with open(inner, "rb") as file:
        assert file.read() == b"mine" and follower.has_ended


def test_two_jobs_are_followed_at_once(jar, follow):
    one, two = submit(jar, "echo 1"), submit(jar, "echo 2")
    process = follow(one, two)
    workers.drain(jar)
    status, out, _ = processes.finish(process)
    assert status == 0 and sorted(line for line in out.splitlines() if line) == \
        sorted([f"==> {one} <==", "1", f"==> {two} <==", "2"])


def test_files_of_its_own_are_found(jar, tmp_path, follow):
    path = str(tmp_path / "%x.%N")
    status, out, err = programs.run("submit_job", "--home", jar.home, "-i", "word", f"--output={path}", "echo", "there")
    assert (status, err) == (0, "")
    process = follow(out.strip())
    workers.drain(jar)
    assert jars.read(str(tmp_path / "word.rain")) == "there\n"
    assert processes.finish(process) == (0, "there\n", "")
    assert log(jar, out.strip()) == (0, "there\n", "")


def test_of_a_job_that_was_refused_it_says_why(jar, tmp_path):
    name = programs.run("submit_job", "--home", jar.home, f"--output={tmp_path}", "true")[1].strip()
    workers.drain(jar)
    for words in ([name], ["-f", name]):
        status, out, err = log(jar, *words)
        assert (status, out) == (0, "") and f"--output={tmp_path}" in err and err.count("\n") == 1


def test_what_a_job_writes_into_a_fifo_is_left_to_its_reader(jar, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        name = programs.run("submit_job", "--home", jar.home, f"--output={tmp_path}/fifo", "echo mine")[1].strip()
        workers.drain(jar)
        assert log(jar, name) == (0, "", "") and os.read(reader, 100) == b"mine\n"
    finally:
        os.close(reader)


def test_what_a_lost_attempt_has_printed_is_named(jar):
    loop, go = until_there(jar)
    name = submit(jar, f"echo attempt $JJ_ATTEMPT; {loop}")
    with workers.working(jar) as worker:
        processes.until(lambda: log(jar, name)[1], "its output")
        worker.signal(signal.SIGKILL)
        worker.wait()
    site = nodes.Site(jar)
    processes.until(lambda: site.run("recover_stranded", "--kill-orphans")[0] == 0 and os.listdir(jar.unclaimed),
                    "the recovery")
    go()
    workers.drain(jar)
    status, out, err = log(jar, name)
    assert (status, out) == (0, "attempt 2\n") and err.count("\n") == 1
    assert jars.read(err.split(" is in ")[1].strip()) == "attempt 1\n"


def test_a_log_whose_middle_was_cut_out_is_followed_to_its_end(jar, follow):
    loop, go = until_there(jar)
    name = submit(jar, f"echo 1; sleep 0.2; seq 30000; {loop}; echo over")
    process = follow(name)
    with workers.working(jar, JJ_MAX_LOG="16K") as worker:
        assert process.stdout.readline() == "1\n"
        processes.until(lambda: os.stat(worker.output).st_size > 8192 and "dropped" in jars.read(worker.output), "a cut")
        go()
        status, out, _ = processes.finish(process)
    assert status == 0 and "bytes dropped here" in out and out.endswith("\n30000\nover\n")


def test_a_reader_that_goes_away_ends_it_quietly(jar):
    name = submit(jar, "seq 100000")
    workers.drain(jar)
    process = programs.start("jobjar", "log", "--home", jar.home, name)
    assert process.stdout.readline() == "1\n"
    process.stdout.close()
    assert process.wait(processes.PATIENCE) == 141 and process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("words, status", [(["no-such-job"], 3), ([], 2)])
def test_wrong_words(jar, words, status):
    found = log(jar, *words)
    assert found[:2] == (status, "") and found[2].count("\n") == 1
