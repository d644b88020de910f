"""One job: its directory, its environment, its output, its end, and that nothing of it is left."""

import errno
import os
import pwd
import signal
import stat
import sys

import pytest

from jobjar import fsops, jobenv, process, resync, runner
from support import jars, processes, workers
from test_worker import be_quick


def printed(jar, name):
    return jars.read(jar.log(name))


def run(jar, body, name="x", **more):
    """Let one worker run a job; what it printed, or None."""
    workers.place(jar, name, body)
    handle = workers.drain(jar, **more)
    return handle, jars.read(jar.log(name)) if os.path.exists(jar.log(name)) else None


# The directory.


def test_a_job_runs_in_a_fresh_empty_directory_of_its_own(jar):
    w, text = run(jar, "pwd; ls -A; stat -c %a .; echo $JJ_SCRATCH_DIR $TMPDIR; touch left", "a.2")
    assert text.split() == [w.scratch, "700", w.scratch, w.scratch]


def test_nothing_of_an_earlier_job_is_visible_to_the_next(jar):
    workers.place(jar, "a.2", "mkdir sub; echo secret >sub/file; touch .hidden; chmod 0 sub")
    workers.place(jar, "b.1", "ls -A; stat -c %a .")
    workers.drain(jar)
    assert printed(jar, "b.1") == "700\n"


@pytest.mark.parametrize("is_remote", [False, True])
def test_the_directory_of_a_job_that_left_nothing_serves_the_next(jar, is_remote):
    def be_there():
        resync.is_on_remote = lambda directory: is_remote
    for number in range(3):
        # What they have made and removed again is nothing.
        workers.place(jar, f"x{number}", f"stat -c %i .; test {number} = 2 || {{ touch made; rm made; }}")
    workers.drain(jar, before=be_there)
    assert len({printed(jar, f"x{number}") for number in range(3)}) == 1


DAMAGE = {
    "it chmods its directory": "chmod 0755 .",
    "it closes its directory": "chmod 0 .",
    "it removes its directory": "rmdir $JJ_SCRATCH_DIR",
    "it replaces its directory": "cd ..; rmdir scratch; mkdir scratch; chmod 700 scratch; touch scratch/x",
    "it replaces its directory by one like it": "cd ..; rmdir scratch; mkdir -m 700 scratch",
    "it replaces its directory by a file": "cd ..; rmdir scratch; echo x >scratch; chmod 700 scratch",
    "it replaces its directory by a link": "cd ..; rmdir scratch; ln -s $JJ_HOME/../outside scratch",
    "it moves its directory away": "mv $JJ_SCRATCH_DIR $JJ_HOME/../away",
    "it fills its directory": "mkdir -p a/b/c; touch a/b/c/f a/f; chmod 0 a/b a",
    "it leaves links that lead out": "ln -s $JJ_HOME/../outside out; ln -s $JJ_HOME/../outside/kept file",
    "it leaves a file and says that nothing has changed": "touch left; touch -d @0 .",
    "it leaves a file that is as old as can be": "touch -d @0 left",
    "it nests deeply": "mkdir -p $(printf 'd/%.0s' $(seq 300))",
}


@pytest.mark.parametrize("is_remote, is_short", [(False, True), (False, False), (True, True), (True, False)])
def test_a_directory_that_looks_as_it_was_made_is_listed_only_where_another_computer_may_have_written(jar, is_remote,
                                                                                                     is_short):
    def count():
        was, tidy = os.listdir, runner.Runner.tidy_scratch

        def tidy_scratch(self):
            self.is_hurrying = is_short
            tidy(self)
        runner.Runner.tidy_scratch = tidy_scratch
        resync.is_on_remote = lambda directory: is_remote
        os.listdir = lambda path=".": open(f"{jar.home}/listed", "a").write(f"{path}\n") and was(path)
    for number, body in enumerate([":", "touch made; rm made", ":"]):
        workers.place(jar, f"x.{9 - number}", f"echo {number} >>$JJ_HOME/listed; {body}")
    w = workers.drain(jar, before=count)
    listed = [line for line in jars.read(f"{jar.home}/listed").split() if len(line) == 1 or line == w.scratch]
    listing = [w.scratch] * (is_remote and not is_short)
    # What has been there in between is not forgotten.
    assert listed == ["0", *listing, "1", w.scratch, "2", *listing]


@pytest.mark.parametrize("body", DAMAGE.values(), ids=DAMAGE)
def test_whatever_a_job_does_to_its_directory_the_next_has_a_fresh_one(jar, tmp_path, body):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    workers.place(jar, "a.2", body)
    workers.place(jar, "b.1", "pwd -P; ls -A; stat -c %a .; echo >made")
    w = workers.drain(jar)
    assert printed(jar, "b.1").split() == [w.scratch, "700"]
    assert (tmp_path / "outside" / "kept").read_text() == "kept" and len(list((tmp_path / "outside").iterdir())) == 1
    assert not any(name.startswith("scratch") for name in os.listdir(w.directory))
    assert [end["state"] for end in w.ends()] == ["COMPLETED"] * 2


def test_what_cannot_be_removed_is_set_aside_and_the_next_job_runs_all_the_same(jar):
    def resist():
        was = fsops.remove_tree
        fsops.remove_tree = lambda path: was(path) if not path.endswith("scratch") else not os.path.exists(path)
    workers.place(jar, "a.2", "touch kept")
    workers.place(jar, "b.1", "ls -A")
    w = workers.drain(jar, before=resist)
    # In the order of time; the second is that of the other job.
    aside = sorted(name for name in os.listdir(w.directory) if name.startswith("scratch.left-"))
    assert os.listdir(w.path(aside[0])) == ["kept"] and aside[0] in w.log()
    assert not os.path.exists(jar.log("b.1")) and len(w.ends()) == 2


def test_a_scratch_directory_that_resists_everything_is_a_fault_of_the_node(jar):
    def resist():
        was_removed = fsops.remove_tree
        fsops.remove_tree = lambda path: not path.endswith("/scratch") and was_removed(path)
        was = fsops.rename

        def rename(source, target):
            if source.endswith("/scratch"):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), source)
            was(source, target)
        fsops.rename = rename
    workers.place(jar, "a.2", "touch kept")
    workers.place(jar, "b.1", "ls -A")
    with workers.working(jar, before=lambda: (resist(), be_quick())) as w:
        processes.until(lambda: os.path.exists(w.path("PAUSE")))
    assert os.listdir(jar.unclaimed) == ["b.1"] and [end["n"] for end in w.ends()] == ["a.2"]


# The environment.


def test_the_environment_is_exactly_the_table(jar):
    def pollute():
        os.environ.update({"SECRET": "1", "LANG": "de_DE.UTF-8", "TZ": "UTC", "JJ_CONFIG_FILE": "/x"})
    path = workers.place(jar, "hello~2.-7", category="A", body='tr "\\0" "\\n" </proc/$$/environ | sort')
    w = workers.drain(jar, "A", before=pollute)
    user = pwd.getpwuid(os.geteuid())
    found = dict(line.split("=", 1) for line in printed(jar, "hello~2.-7").splitlines())
    assert found.pop("PATH").startswith(jobenv.PATH)
    assert found == {
        "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell,
        "LANG": "de_DE.UTF-8", "TZ": "UTC", "BATCH_SYSTEM": "JobJar", "TMPDIR": w.scratch,
        "JJ_SCRATCH_DIR": w.scratch, "JJ_HOME": jar.home, "JJ_WORKER_HOME": jar.workers, "JJ_JOB_ID": "hello~2",
        "JJ_JOB_NAME": "hello~2.-7", "JJ_JOB_FILE": os.path.join(w.claims, "A", "hello~2.-7"), "JJ_CATEGORY": "A",
        "JJ_PRIORITY": "-7", "JJ_NODE": workers.NODE, "JJ_WORKER": w.name, "JJ_ATTEMPT": "1",
        process.MARKER: w.ends()[0]["a"]}
    assert not os.path.exists(path)


def test_a_job_without_category_or_priority_hears_so(jar):
    _, text = run(jar, 'echo "<$JJ_CATEGORY> $JJ_PRIORITY $JJ_JOB_ID"', "run.sh")
    assert text == "<> 0 run.sh\n"


def test_the_bin_directory_of_the_project_is_on_the_path(jar):
    _, text = run(jar, "command -v submit_job")
    assert text == os.path.join(processes.TOP, "bin", "submit_job") + "\n"


PROBE = """import os, signal, stat, sys
print(sys.stdin.buffer.read())
print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)))
names = [os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 2
         and os.path.exists('/proc/self/fd/' + fd)]
print([name.rpartition('/')[2] for name in names])
status = dict(line.split(':', 1) for line in open('/proc/self/status') if line.startswith('Sig'))
print(status['SigBlk'].strip(), status['SigIgn'].strip(), os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
print(len(sys.argv))
"""


def test_a_job_has_no_input_no_descriptor_but_the_lock_default_signals_and_a_session_of_its_own(jar, tmp_path):
    """Python itself ignores SIGPIPE (13) and SIGXFSZ (25); 32 and 33 are the C library's own."""
    def pollute():
        for number in (0, 77):
            os.dup2(os.open("/etc/passwd", os.O_RDONLY), number)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
    workers.place(jar, "x", PROBE, header="#!/usr/bin/python3 -S\n")
    w = workers.drain(jar, before=pollute)
    data, handles, names, signals, arguments = printed(jar, "x").splitlines()
    nonce = w.ends()[0]["a"].rpartition("-")[0]
    assert data == "b''" and arguments == "1"
    assert names == f"['run-{nonce}.lock']" and len(eval(handles)) == 4
    blocked, ignored, *leads = signals.split()
    assert int(blocked, 16) == 0 and int(ignored, 16) & ~(3 << 31) == 1 << 12 | 1 << 24 and leads == ["True", "True"]


# The output.


def test_both_streams_are_kept_in_their_order_and_a_silent_job_costs_no_file(jar):
    workers.place(jar, "silent")
    _, text = run(jar, "echo one; echo two >&2; echo three; printf four >&2")
    assert text == "one\ntwo\nthree\nfour" and os.listdir(jar.logs) == ["x"]
    assert stat.S_IMODE(os.stat(jar.log("x")).st_mode) == 0o600


@pytest.mark.parametrize("where", ["at once", "while it runs"])
def test_a_job_that_prints_too_much_keeps_its_beginning_and_its_end_and_is_not_killed(jar, where):
    """Three times the bound; the log says how much is missing, and the journal too."""
    bound, lines = 100_000, 37_500
    pause = "sleep 1.2" if where == "while it runs" else ":"
    body = f"seq -f %07.0f 0 {lines // 2 - 1}; {pause}; seq -f %07.0f {lines // 2} {lines - 1}; {pause}; exit 3"
    w, text = run(jar, body, JJ_MAX_LOG=str(bound))
    assert len(text) <= bound * 1.05
    assert text.startswith("0000000\n0000001\n") and text.endswith(f"{lines - 1:07}\n")
    dropped = w.ends()[0]["log_dropped"]
    assert f"[jobjar: {dropped} bytes dropped here, JJ_MAX_LOG is {bound}]" in text
    assert abs(dropped - (lines * 8 - len(text))) < 400
    assert w.ends()[0]["exit"] == 3


def test_while_a_job_prints_its_output_is_looked_at_every_second(jar):
    workers.place(jar, "x", "i=0; while [ $i -lt 30 ]; do head -c 20000 /dev/zero; sleep 0.1; i=$((i+1)); done")
    with workers.working(jar, JJ_MAX_LOG="40000", JJ_ORDER_TIME="60") as w:
        sizes = []
        processes.until(lambda: sizes.append(output_size(w)) or os.path.exists(jar.log("x")))
    # A second's worth may be added to the bound, not the 600,000 bytes of the whole.
    assert max(sizes) < 40000 + 280_000


def output_size(w):
    try:
        return os.stat(w.output).st_size
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("body", [
    "rm $OUT", "rm $OUT; mkdir $OUT", "rm $OUT; ln -s $JJ_HOME/../kept $OUT", "rm $OUT; mkfifo $OUT", "chmod 0 $OUT",
    "rm $OUT; echo mine >$OUT", "chmod 0 $OUT; echo x"])
def test_whatever_a_job_does_to_the_file_it_prints_to_the_next_job_s_is_its_own(jar, tmp_path, body):
    (tmp_path / "kept").write_text("kept")
    workers.place(jar, "a.2", f"OUT=$JJ_WORKER_HOME/$JJ_WORKER/output; {body}")
    workers.place(jar, "b.1", "echo b")
    w = workers.drain(jar)
    assert printed(jar, "b.1") == "b\n" and [end["state"] for end in w.ends()] == ["COMPLETED"] * 2
    assert (tmp_path / "kept").read_text() == "kept" and not os.path.islink(jar.log("a.2"))


def test_what_a_job_does_to_its_standard_output_is_nothing_to_the_next_one(jar):
    workers.place(jar, "a.2", "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETFL, 0)\nos.lseek(1, 100, 0)\n",
                  header="#!/usr/bin/python3 -S\n")
    workers.place(jar, "b.1", "echo b")
    workers.drain(jar)
    assert printed(jar, "b.1") == "b\n"


def test_silent_jobs_share_one_opening_of_the_file_that_they_would_print_to(jar, tmp_path):
    """Each opening costs a file server two requests."""
    opened = tmp_path / "opened"

    def listen():
        sys.addaudithook(lambda event, arguments: event == "open" and str(arguments[0]).endswith("/output")
                         and (os.write(handle, b"x"), None)[1])
    handle = os.open(opened, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for name in ("a", "b", "c"):
            workers.place(jar, name)
        workers.drain(jar, before=listen)
    finally:
        os.close(handle)
    assert opened.read_text() == "x" and sorted(os.listdir(jar.completed)) == ["a", "b", "c"]


# The end.


@pytest.mark.parametrize("body, code, number", [("exit 3", 3, 0), ("kill -9 $$", 0, 9), ("kill -TERM $$", 0, 15),
                                                ("exit 255", 255, 0)])
def test_the_exit_status_or_the_signal_is_in_the_journal_and_the_job_in_failed(jar, body, code, number):
    w, _ = run(jar, body)
    end = w.ends()[0]
    assert (end["exit"], end["signal"], end["state"]) == (code, number, "FAILED")
    assert os.readlink(os.path.join(jar.failed, "x")) == "../completed/x" and os.path.isfile(jar.completed + "/x")


def test_what_a_job_used_is_in_the_journal(jar):
    body = "x = bytearray(60_000_000)\nwhile sum(__import__('os').times()[:2]) < 0.2: pass\n"
    workers.place(jar, "x", body, header="#!/usr/bin/python3 -S\n")
    w = workers.drain(jar)
    end = w.ends()[0]
    assert end["maxrss"] > 55_000 and 0.15 < end["utime"] + end["stime"] < 2 and end["minflt"] > 0
    assert end["t"] - end["start"] >= 0.15 and end["node"] == workers.NODE and end["tries"] == 1
    assert end["user"] == pwd.getpwuid(os.geteuid()).pw_name
    assert end["state"] == "COMPLETED" and os.listdir(jar.failed) == []


def test_a_session_that_cannot_be_noted_does_not_end_the_worker(jar):
    def full():
        def note(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        process.note_session = note
    w, _ = run(jar, "sleep 0.2", before=full)
    assert w.ends()[0]["state"] == "COMPLETED" and "session could not be noted" in w.log()
