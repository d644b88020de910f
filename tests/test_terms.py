"""What a job asks for, and what it finds: its environment, its directory, its files, its limits."""

import json
import os
import resource
import signal
import stat
import time

import pytest
from jobjar import process
from support import jars, processes, workers
from test_ending import run

NAME = "20261121-120000-ann-123456789"
PYTHON = "#!/usr/bin/python3 -S\n"


def printed(jar, asks, body, name="x", header="#!/bin/sh\n", **more):
    """Let a worker run one job that asks for something; what it printed."""
    return run(jar, asks, body, header=header, name=name, **more)[1]


def refused(jar, asks, body="true", name="x"):
    """Let a worker find that it cannot run a job; the reason that stands in the notes."""
    workers.place(jar, name, body, header=f"#!/bin/sh\n#JJ {asks}\n")
    w = workers.drain(jar)
    assert os.path.isfile(os.path.join(jar.failed, name)) and w.ends() == []
    return w.log()


# The environment.


def test_what_the_submitter_exported_counts_for_more_than_what_everybody_gets(jar):
    asks = '--env=HOME=/h --env=PATH=/p:/bin --env=USER=ann --env=LANG=x --env="A=a b=c" --env=E='
    assert printed(jar, asks, 'echo "$HOME $PATH $USER $LANG <$A> <$E> ${E-unset}"') == "/h /p:/bin ann x <a b=c> <> \n"


def test_what_the_worker_says_of_a_job_is_nobody_s_to_replace(jar):
    ours = ["JJ_HOME", "JJ_ATTEMPT_ID", "JJ_NODE", "TMPDIR", "BATCH_SYSTEM", "JJ_MADE_UP"]
    text = printed(jar, " ".join(f"--env={name}=mine" for name in ours), 'for n in ' + " ".join(ours)
                   + '; do eval echo "$n=\\$$n"; done')
    assert "mine" not in text and "BATCH_SYSTEM=JobJar" in text and "JJ_MADE_UP=\n" in text


def test_a_job_hears_what_it_has_asked_for(jar):
    before = int(time.time())
    text = printed(jar, "--time=1h --cpus=2.5 --mem=2G --submit-dir=/s --submit-host=h",
                   "echo $JJ_CPUS $JJ_MEM_MB $JJ_SUBMIT_DIR $JJ_SUBMIT_HOST $OMP_NUM_THREADS $GOMAXPROCS $JJ_END_TIME")
    words = text.split()
    assert words[:6] == ["2.5", "2048", "/s", "h", "2", "2"]
    assert before + 3600 <= int(words[6]) <= time.time() + 3600


def test_the_number_of_threads_is_said_only_of_asked_processors_and_not_against_the_submitter(jar):
    assert printed(jar, "--mem=1G", "echo [$JJ_CPUS$OMP_NUM_THREADS]") == "[]\n"
    assert printed(jar, "--cpus=4 --env=OMP_NUM_THREADS=1", "echo $OMP_NUM_THREADS $MKL_NUM_THREADS", "y") == "1 4\n"


# The directory, the umask, the files.


def test_a_job_runs_in_the_directory_that_it_asks_for_and_its_worker_stays_where_it_was(jar, tmp_path):
    (tmp_path / "there").mkdir()
    workers.place(jar, "a.2", "pwd -P; ls -d $JJ_SCRATCH_DIR", header=f"#!/bin/sh\n#JJ --chdir={tmp_path}/there\n")
    workers.place(jar, "b.1", "pwd -P")
    w = workers.drain(jar)
    assert jars.read(jar.log("a.2")).split() == [f"{tmp_path}/there", w.scratch]
    assert jars.read(jar.log("b.1")).split() == [w.scratch]


def test_a_job_has_the_umask_that_it_asks_for_and_the_worker_keeps_its_own(jar, tmp_path):
    text = printed(jar, f"--umask=027 --output={tmp_path}/out --chdir={tmp_path}", "umask; touch made")
    assert text == "" and jars.read(f"{tmp_path}/out") == "0027\n"
    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("out", "made")] == [0o640, 0o640]
    assert printed(jar, "", "umask", name="y") != "0027\n"


def test_what_a_job_prints_goes_to_its_file_in_the_order_of_both_streams(jar, tmp_path):
    text = printed(jar, f"--output={tmp_path}/out", "echo one; echo two >&2; echo three")
    assert text == "" and jars.read(f"{tmp_path}/out") == "one\ntwo\nthree\n"


def test_standard_error_has_a_file_of_its_own_when_asked_for(jar, tmp_path):
    assert printed(jar, f"--output={tmp_path}/out --error={tmp_path}/err", "echo out; echo err >&2") == ""
    assert (jars.read(f"{tmp_path}/out"), jars.read(f"{tmp_path}/err")) == ("out\n", "err\n")
    assert printed(jar, f"--error={tmp_path}/err2", "echo out; echo err >&2", name="y") == "out\n"
    assert jars.read(f"{tmp_path}/err2") == "err\n"


def test_one_file_may_be_asked_for_twice(jar, tmp_path):
    printed(jar, f"--output={tmp_path}/o --error={tmp_path}/o", "echo one; echo two >&2; echo three")
    assert jars.read(f"{tmp_path}/o") == "one\ntwo\nthree\n"


def test_a_file_is_begun_anew_unless_it_is_to_be_appended_to_or_an_earlier_attempt_has_printed(jar, tmp_path):
    out = tmp_path / "out"
    for asks, tries, text in [("", 1, "new\n"), ("--open-mode=append ", 1, "old\nnew\n"), ("", 2, "old\nnew\n"),
                              ("--open-mode=truncate ", 1, "new\n")]:
        out.write_text("old\n")

        def be_later():
            from jobjar import departures
            departures.Attempt.tries = property(lambda self: tries, lambda self, value: None)
        printed(jar, f"{asks}--output={out}", "echo new", before=be_later)
        assert out.read_text() == text
        os.remove(os.path.join(jar.completed, "x"))


def test_a_job_s_input_is_the_file_that_it_asks_for(jar, tmp_path):
    (tmp_path / "in").write_text("read\n")
    assert printed(jar, f"--input={tmp_path}/in", "cat") == "read\n"


def test_names_of_files_are_filled_in(jar, tmp_path):
    printed(jar, f"--output={tmp_path}/%j-%A-%a-%x-%N-100%%", "echo here", name=f"{NAME}-word.5")
    assert jars.read(f"{tmp_path}/{NAME}-word-{NAME}-word--word-{workers.NODE}-100%") == "here\n"


def test_names_of_a_task_s_files_know_the_array_and_the_index(jar, tmp_path):
    printed(jar, f"--array=7 --submit-dir=/ --output={tmp_path}/%A:%3a:%x:%j", "echo here", name=f"{NAME}-w_1_7.0")
    assert jars.read(f"{tmp_path}/{NAME}-w_1:007:w_1:{NAME}-w_1_7") == "here\n"


@pytest.mark.parametrize("asks, reason", [
    ("--output={0}/none/x", "--output={0}/none/x cannot be had on this node: No such file or directory"),
    ("--error={0}", "--error={0} cannot be had on this node: Is a directory"),
    ("--output={0}/fifo", "--output={0}/fifo cannot be had on this node: No such device or address"),
    ("--chdir={0}/none", "--chdir={0}/none cannot be had on this node: No such file or directory"),
    ("--chdir={0}/file", "--chdir={0}/file cannot be had on this node: Not a directory"),
    ("--wrap-with=no-such-program", "--wrap-with=no-such-program cannot be had on this node: No such file or"),
    ("--output={0}/%q", "there are %j (the job's id), %A"),
])
def test_a_job_whose_wishes_cannot_be_met_goes_to_failed_with_a_plain_sentence(jar, tmp_path, asks, reason):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("")
    assert reason.format(tmp_path) in refused(jar, asks.format(tmp_path))


def test_a_disk_that_is_full_is_no_fault_of_the_job(jar):
    assert os.path.exists("/dev/full")
    workers.place(jar, "x", "true", header="#!/bin/sh\n#JJ --chdir=/\n")

    def fail():
        was = os.chdir

        def chdir(path):
            if path == "/" and os.getpid() != worker:
                raise OSError(5, "Input/output error")
            was(path)
        worker = os.getpid()
        os.chdir = chdir
    with workers.working(jar, before=fail) as w:
        processes.until(lambda: "gave back x" in w.log())
    assert os.listdir(jar.unclaimed) == ["x"] and os.listdir(jar.failed) == []


def test_a_directory_that_a_cache_says_is_not_there_is_asked_for_once_more(jar, tmp_path):
    """As on a network file system after another node has made it; stands for that is a chdir that fails until then."""
    (tmp_path / "new").mkdir()

    def remember():
        opened, was_open, was_chdir = set(), os.open, os.chdir

        def open_(path, *rest, **more):
            opened.add(path)
            return was_open(path, *rest, **more)

        def chdir(path):
            if path == f"{tmp_path}/new" and str(tmp_path) not in opened:
                raise FileNotFoundError(2, "No such file or directory", path)
            was_chdir(path)
        os.open, os.chdir = open_, chdir
    assert printed(jar, f"--chdir={tmp_path}/new", "pwd -P", before=remember) == f"{tmp_path}/new\n"


def test_a_job_s_streams_make_it_wait_as_always(jar, tmp_path):
    """Opening them must not make the worker wait."""
    (tmp_path / "in").write_text("")
    body = f"import os; open('{tmp_path}/said', 'w').write(str([*map(os.get_blocking, range(3))]))"
    printed(jar, f"--input={tmp_path}/in --output={tmp_path}/out --error={tmp_path}/err", body, header=PYTHON)
    assert jars.read(f"{tmp_path}/said") == "[True, True, True]"


# Programs around it.


def test_a_program_may_be_wrapped_around_a_job(jar):
    text = printed(jar, '--wrap-with="env WRAPPED=1 nice -n 5"', 'echo $WRAPPED $(nice) "$0"')
    assert text.startswith("1 5 /") and text.endswith("/claims/x\n")


def test_a_wrapping_program_is_looked_for_on_the_job_s_own_path(jar, tmp_path):
    jars.write(f"{tmp_path}/mine", '#!/bin/sh\necho wrapped\nexec "$@"\n')
    assert printed(jar, f"--wrap-with=mine --env=PATH={tmp_path}:/bin", "echo job") == "wrapped\njob\n"


@pytest.mark.parametrize("asks", ["", "--umask=022"])
def test_a_text_without_interpreter_is_run_by_the_shell_whatever_it_asks_for(jar, asks):
    assert printed(jar, asks, "echo $0", header="# a text\n").endswith("/claims/x\n")


# What the kernel allows.

LIMITS = """import json, resource
limits = resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_AS
print(json.dumps([resource.getrlimit(which) for which in limits]))
"""


def test_limits_are_the_request_times_the_factor_and_the_address_space_as_it_is(jar):
    asks = "--cpu-time=10s --file-size=1M --address-space=4G"
    text = printed(jar, asks, LIMITS, header=PYTHON, JJ_LIMIT_FACTOR="2")
    assert json.loads(text) == [[20, 25], [2 << 20, 2 << 20], [4 << 30, 4 << 30]]


def test_limits_hold_for_whom_they_were_asked_for_only(jar):
    for name, asks in (("a.2", "--cpu-time=10s"), ("b.1", "--mem=1G")):
        workers.place(jar, name, LIMITS, header=f"{PYTHON}#JJ {asks}\n")
    workers.drain(jar)
    own = [list(resource.getrlimit(k)) for k in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)]
    found = [json.loads(jars.read(jar.log(name))) for name in ("a.2", "b.1")]
    assert found == [[[15, 20], *own[1:]], own]


def test_a_limit_that_holds_for_the_worker_is_never_raised(jar):
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (1000, 2000))
    text = printed(jar, "--cpu-time=1h", LIMITS, header=PYTHON, before=limit)
    assert json.loads(text)[0] == [2000, 2000]


def test_a_job_that_uses_up_its_processor_time_is_ended_by_the_kernel(jar):
    end, _ = run(jar, "--cpu-time=1s", "while :; do :; done", JJ_LIMIT_FACTOR="1")
    assert (end["state"], end["signal"]) == ("FAILED", signal.SIGXCPU)
    assert end["why"] == "it used more processor time than its --cpu-time of 1s allows: give it more"
    # The kernel counts otherwise for limits than for rusage: 0.8 s have been seen on a crowded machine.
    assert 0.5 < end["utime"] + end["stime"] < 3


def test_a_file_that_grows_too_long_ends_its_writer(jar, tmp_path):
    end, _ = run(jar, f"--file-size=64K --chdir={tmp_path}", "exec head -c 1000000 /dev/zero >big")
    assert end["why"] == "it wrote a file longer than its --file-size of 64K allows: give it more"
    assert end["signal"] == signal.SIGXFSZ and os.path.getsize(tmp_path / "big") == 96 * 1024


def test_a_job_that_does_not_fit_into_its_address_space_fails_alone(jar):
    end, _ = run(jar, "--address-space=64K", "true")
    assert end["state"] == "FAILED" and end["signal"]


def test_a_nice_job_is_nice_with_all_that_it_starts(jar):
    assert printed(jar, "--nice=7", "nice; (nice)").split() == ["7", "7"]
    assert printed(jar, "", "nice", name="y") == "0\n"


def test_a_job_is_no_less_nice_than_its_worker(jar):
    assert printed(jar, "--nice=3", "nice", before=lambda: os.nice(8)) == "8\n"


def test_a_nice_job_s_session_is_nice_to_others(jar):
    if not os.path.exists("/proc/self/autogroup"):
        pytest.skip("this kernel shares the processor among processes alone")
    assert printed(jar, "--nice=7", "cat /proc/self/autogroup").split()[1:] == ["nice", "7"]


def test_a_special_job_starts_as_clean_as_a_plain_one(jar, tmp_path):
    from test_runner import PROBE

    def pollute():
        for number in (0, 77):
            os.dup2(os.open("/etc/passwd", os.O_RDONLY), number)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
    text = printed(jar, "--nice=1", PROBE, header=PYTHON, before=pollute)
    data, handles, names, signals, arguments = text.splitlines()
    assert data == "b''" and arguments == "1" and len(eval(handles)) == 4 and names.startswith("['run-")
    blocked, ignored, *leads = signals.split()
    assert int(blocked, 16) == 0 and int(ignored, 16) & ~(3 << 31) == 1 << 12 | 1 << 24 and leads == ["True", "True"]


def test_the_grace_after_the_processor_time_is_that_of_a_job_that_is_told_to_end():
    from jobjar import limits
    [(_, soft, hard)] = limits.of({"cpu_time": 10.0}, 1.0)
    assert hard - soft == process.GRACE
