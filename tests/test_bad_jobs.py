"""Bad input: no file that lies in the queue may end a worker, be harmed, or be run for ever."""

import errno
import os
import signal
import socket
import struct
import time

import pytest

from jobjar import claiming, directives, notes, process, runner
from support import jars, processes, workers


def reasons(jar, name):
    return [line["why"] for line in notes.read(jar, name) if line["e"] == "refuse"]


def refused(jar, name, category=None, **more):
    """Let a worker meet this job and a good one; its sentence about the bad one, which must be in failed/ as a file."""
    workers.place(jar, "good.-9")
    w = workers.drain(jar, *([category] if category else []), **more)
    assert os.listdir(jar.completed) == ["good.-9"]
    assert os.listdir(jar.failed) == [name] and os.path.isfile(os.path.join(jar.failed, name))
    assert not os.path.islink(os.path.join(jar.failed, name))
    assert [line["e"] for line in w.journal() if line["n"] == name] == ["claim", "refuse"]
    why, = reasons(jar, name)
    assert why.replace("\\", "\\\\") in w.log()
    return why


def elf(machine):
    """The head of a program for a machine of that number, long enough to look whole."""
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 256, 256, 4096)
    return (head + segment).ljust(256, b"\0")


def test_a_missing_interpreter_is_named(jar):
    workers.place(jar, "x", header="#!/no/such/interpreter -f\n")
    assert "'/no/such/interpreter'" in refused(jar, "x")


def test_an_interpreter_that_may_not_be_executed_is_named(jar):
    workers.place(jar, "x", header="#!/etc/passwd\n")
    assert "'/etc/passwd'" in refused(jar, "x")


def test_windows_line_ends_are_recognised(jar):
    workers.put(jar, "x", b"#!/bin/sh\r\necho hello\r\n", category="A")
    why = refused(jar, "x", "A")
    # A backslash would come out doubled wherever the sentence is shown.
    assert "Windows line ends" in why and "dos2unix" in why and "\\" not in why


def test_a_program_for_another_machine_is_recognised(jar):
    workers.put(jar, "x", elf(0xf3f3))
    assert "another machine" in refused(jar, "x")


def test_a_program_that_was_cut_off_is_the_job_s_fault_and_not_the_node_s(jar):
    """The kernel says "input/output error" of it, and a node fault would pause one worker after the other."""
    with open("/bin/true", "rb") as file:
        data = file.read()
    at = data.index(b"/ld-linux") if b"/ld-linux" in data else data.index(b"/ld-")
    workers.put(jar, "x", data[:at - 4])
    assert "damaged" in refused(jar, "x")


def test_a_program_whose_loader_is_missing_is_recognised(jar):
    with open("/bin/true", "rb") as file:
        data = file.read()
    at = data.index(b"/ld-")
    workers.put(jar, "x", data[:at] + b"/xx-" + data[at + 4:])
    assert "loader" in refused(jar, "x")


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_set_id_file_is_refused(jar, mode):
    workers.place(jar, "x", mode=mode)
    assert "set-id" in refused(jar, "x")


def test_a_file_of_somebody_who_is_not_trusted_is_refused_and_not_run(jar, tmp_path):
    if os.geteuid():
        pytest.skip("only root can make a file of somebody else's")
    path = workers.place(jar, "x", f"touch {tmp_path}/ran", mode=0o755)
    os.chown(path, 65534, 65534)
    assert "not trusted" in refused(jar, "x")
    assert not (tmp_path / "ran").exists()


def test_two_refused_jobs_of_one_name_are_both_kept(jar):
    for category in ("A", "B"):
        workers.place(jar, "x", category, category=category, header="#!/no/such\n")
    workers.drain(jar, "A", "B")
    assert sorted(os.listdir(jar.failed)) == ["x", "x~2"]
    assert {jars.read(os.path.join(jar.failed, name)) for name in os.listdir(jar.failed)} \
        == {"#!/no/such\nA\n", "#!/no/such\nB\n"}


# What runs all the same.


@pytest.mark.parametrize("text", ["echo ran\n", "# a comment\necho ran\n", "#!\necho ran\n", "\n\necho ran"])
def test_a_text_without_an_interpreter_is_run_by_the_shell(jar, text):
    workers.put(jar, "x", text.encode())
    workers.drain(jar)
    assert jars.read(jar.log("x")) == "ran\n"


def test_an_old_empty_file_runs_and_does_nothing(jar):
    os.utime(workers.put(jar, "x", b""), (1, 1))
    assert workers.drain(jar).ends()[0]["state"] == "COMPLETED"


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"-rf", b"with blank", b"\xff\xfe.7", b"'\"$(x)`", b"~",
                                  b"x~2", b"reserved:x", b"a" * 255, b"STOP", b"\xe2\x80\xaeabc",
                                  b"20261399-101010-me-123456789.0", b"\xc2\xb20261121-101010-me-123456789.0"])
def test_any_name_is_a_name(jar, name):
    """The log too, and the link in failed/, whatever the name is."""
    name = os.fsdecode(name)
    workers.place(jar, name, "printf '%s' \"$JJ_JOB_NAME\"; exit 1")
    w = workers.drain(jar)
    assert os.listdir(jar.completed) == os.listdir(jar.failed) == os.listdir(jar.logs) == [name]
    assert jars.read(jar.log(name)) == name and w.ends()[0]["n"] == name


def test_two_jobs_of_the_longest_name_both_find_a_place(jar):
    for category in ("A", "B"):
        workers.place(jar, "n" * 255, category=category)
    workers.drain(jar, "A", "B")
    assert sorted(os.listdir(jar.completed)) == ["n" * 255, "n" * 253 + "~2"]


def test_a_job_of_the_longest_name_can_be_given_back_with_its_output(jar):
    workers.place(jar, "n" * 255, "echo begun; exec sleep 60")
    with workers.working(jar) as w:
        processes.until(lambda: os.path.exists(w.output) and jars.read(w.output))
        w.signal(signal.SIGTERM)
        time.sleep(0.05)
        w.signal(signal.SIGTERM)
        assert w.wait() == 0
    assert os.listdir(jar.unclaimed) == ["n" * 255]
    log, = os.listdir(jar.logs)
    assert ".attempt-" in log and jars.read(os.path.join(jar.logs, log)) == "begun\n"


def test_a_job_named_like_a_category_that_the_worker_knows_is_run(jar):
    workers.place(jar, "first", category="A")
    with workers.working(jar, "A", JJ_PAUSE_TIME="0.3") as w:
        processes.until(lambda: os.listdir(jar.completed) == ["first"])
        os.rmdir(jar.directory("unclaimed", "A"))
        workers.place(jar, "A")
        processes.until(lambda: "A" in os.listdir(jar.completed), w.log, deadline=5)
        workers.place(jar, "second", category="A")
        processes.until(lambda: "second" in os.listdir(jar.completed), w.log, deadline=5)


# What a job does to itself.


def test_a_job_that_deletes_itself_has_ended_and_what_it_printed_is_kept(jar):
    workers.place(jar, "x", "rm $JJ_JOB_FILE; echo gone; exit 1", category="A")
    workers.place(jar, "y.-1")
    w = workers.drain(jar, "A")
    end = next(end for end in w.ends() if end["n"] == "x")
    assert end["gone"] and end["exit"] == 1 and jars.read(jar.log("x")) == "gone\n"
    assert os.listdir(jar.completed) == ["y.-1"] and os.listdir(jar.failed) == [] == os.listdir(jar.claimed)


def test_a_job_that_submits_a_copy_of_itself_comes_back(jar):
    workers.place(jar, "x", "[ -e $JJ_HOME/twice ] || cp $JJ_JOB_FILE $JJ_HOME/limbo/x\n"
                  "mv $JJ_HOME/limbo/x $JJ_HOME/unclaimed/ 2>/dev/null; touch $JJ_HOME/twice")
    with workers.working(jar):
        processes.until(lambda: sorted(os.listdir(jar.completed)) == ["x", "x~2"])


def test_a_job_that_removes_its_link_in_claimed_harms_nobody(jar):
    workers.place(jar, "x", "rm $JJ_HOME/claimed/x")
    assert workers.drain(jar).ends()[0]["state"] == "COMPLETED"


def test_a_job_that_stops_its_own_worker_is_completed_first(jar):
    workers.place(jar, "x", "touch $JJ_WORKER_HOME/$JJ_WORKER/STOP")
    workers.place(jar, "y.-1")
    with workers.working(jar) as w:
        assert w.wait() == 0
    assert os.listdir(jar.completed) == ["x"]


# What is no job.


def test_foreign_files_are_never_claimed_and_never_harmed(jar, tmp_path):
    queue = jar.queue("unclaimed", "A")
    for top in (jar.unclaimed, queue):
        os.mkfifo(os.path.join(top, "fifo"), 0o755)
        os.mkdir(os.path.join(top, "directory.9"))
        os.mkdir(os.path.join(top, "directory.9", "deeper"))
        jars.write(os.path.join(top, "directory.9", "deeper", "job"), "#!/bin/sh\n")
        os.symlink("nowhere", os.path.join(top, "dangling"))
        os.symlink("..", os.path.join(top, "loop"))
        os.symlink("/bin/true", os.path.join(top, "link.7"))
        for name in (".nfs00001", ".hidden", ".rsync.x"):
            jars.write(os.path.join(top, name), "#!/bin/sh\n")
        jars.write(os.path.join(top, "readme.999"), "not executable", 0o644)
        with socket.socket(socket.AF_UNIX) as one:
            os.chdir(top)
            one.bind("socket")
            os.chmod("socket", 0o755)
            os.chdir("/")
    before = {path: text for path, text in jars.tree(jar).items() if path.startswith("unclaimed")}
    workers.place(jar, "good", category="A")
    w = workers.drain(jar, "A")
    assert {path: text for path, text in jars.tree(jar).items() if path.startswith("unclaimed")} == before
    assert os.listdir(jar.completed) == ["good"] and [line["n"] for line in w.journal()] == ["good", "good"]


def test_a_file_in_place_of_a_category_is_a_job_and_the_category_empty(jar):
    workers.place(jar, "A", "echo ran")
    workers.drain(jar, "A")
    assert jars.read(jar.log("A")) == "ran\n"


def test_a_file_that_is_still_being_written_is_waited_for(jar):
    workers.place(jar, "x", "echo whole", header="#!/bin/sh\n")
    path = os.path.join(jar.unclaimed, "x")
    with open(path, "ab") as file, workers.working(jar, before=file.close) as w:
        processes.until(lambda: os.path.exists(os.path.join(w.claims, "x")) or os.listdir(jar.completed))
        if os.listdir(jar.completed):
            pytest.skip("this kernel runs files that are open for writing")
        file.close()
        processes.until(lambda: os.listdir(jar.completed) == ["x"], deadline=5)
    assert jars.read(jar.log("x")) == "whole\n"


@pytest.mark.parametrize("added, log", [("--cpus=3", "3\n"), ("--no-requeue", "\n"), ("--begin=2099-01-01T00:00:00", None),
                                        ("--nonsense", None)])
def test_what_is_written_while_a_job_is_to_be_started_counts(jar, added, log):
    path = workers.place(jar, "x")

    def be_written():
        start, todo = process.start, [added]

        def be_busy_once(*how):
            if not todo:
                return start(*how)
            with open(f"{os.getcwd()}/../claims/x", "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n#JJ {todo.pop()}\necho $JJ_CPUS\n")
            raise OSError(errno.ETXTBSY, "busy")
        process.start = be_busy_once
    workers.drain(jar, before=be_written)
    if log:
        assert jars.read(jar.log("x")) == log
    else:
        assert os.path.exists(path if "begin" in added else f"{jar.failed}/x") and os.listdir(jar.completed) == []


def test_a_worker_does_not_try_without_end_to_start_a_file_that_is_held_open_for_writing(jar, tmp_path):
    def be_busy():
        runner.BUSY_TEXT, runner.TRY_AGAIN = 0.3, 0.1

        def start(*_):
            with open(tmp_path / "tries", "a", encoding="utf-8") as file:
                file.write("x")
            # As after a process that has ended because it could not begin.
            os.kill(os.getpid(), signal.SIGCHLD)
            raise OSError(errno.ETXTBSY, "busy")
        process.start = start
    workers.place(jar, "x")
    workers.drain(jar, before=be_busy)
    assert os.listdir(jar.unclaimed) == ["x"] and len(jars.read(str(tmp_path / "tries"))) <= 5


def test_a_file_that_is_held_open_for_writing_for_ever_is_given_back_and_pauses_nobody(jar):
    def soon():
        runner.BUSY_TEXT = claiming.PASS_OVER = 0.1
        # The writer is the tests' process alone.
        file.close()
    workers.place(jar, "x")
    with open(os.path.join(jar.unclaimed, "x"), "ab") as file, \
            workers.working(jar, before=soon, JJ_PAUSE_TIME="0.2") as w:
        processes.until(lambda: sum(line["e"] == "requeue" for line in w.journal()) > 3 or os.listdir(jar.completed))
        if os.listdir(jar.completed):
            pytest.skip("this kernel runs files that are open for writing")
        assert not os.path.exists(w.path("PAUSE")) and os.listdir(jar.notes) == []
        file.close()
        processes.until(lambda: os.listdir(jar.completed) == ["x"], deadline=5)


def test_a_file_that_is_held_open_for_writing_keeps_no_other_job_from_running(jar):
    def soon():
        runner.BUSY_TEXT = 0.1
        file.close()
    workers.place(jar, "x.9")
    workers.place(jar, "y.0")
    with open(os.path.join(jar.unclaimed, "x.9"), "ab") as file, workers.working(jar, before=soon):
        processes.until(lambda: "y.0" in os.listdir(jar.completed), deadline=10)


def test_a_shelf_of_bad_files_does_not_keep_an_idle_worker_busy(jar):
    for number in range(50):
        workers.place(jar, f"x{number}", mode=0o644)
    with workers.working(jar) as w:
        processes.until(w.is_idle)
        before = w.seconds_used()
        time.sleep(1)
        assert w.seconds_used() - before < 0.25 and w.journal() == []


# Lines of which each can be read and yet means nothing without a submission, or without something beside it.
LONELY = ("#JJ --array=1-3", "#JJ --each-line=x", "#JJ --from-json=x", "#JJ --per-job=2", "#JJ --snapshot=/tmp",
          "#JJ --stage-in=/etc/passwd", "#JJ --export=ALL", "#JJ --begin=now+1h", "#JJ --chdir=here", "#JJ --output=x",
          "#JJ --retry-delay=5m", "#JJ --signal=USR1", "#JJ --open-mode=append", "#JJ --max-fails=2",
          "#JJ --no-requeue --retries=2", "#JJ --nonsense", "#JJ word", "#JJ --mem", "#JJ 'open", "#JJ--mem=1G")


def test_every_bad_line_in_a_file_moved_in_by_hand_is_refused_with_its_number_and_the_reason(jar):
    wrong = [f"#JJ --{option.name}=" + ("yes" if option.is_flag else "") for option in directives.OPTIONS.values()]
    for number, line in enumerate((*wrong, *LONELY)):
        workers.place(jar, f"job{number}", "touch $JJ_HOME/ran", header=f"#!/bin/sh\n\n# a comment\n{line}\n")
    count = len(wrong) + len(LONELY)
    workers.drain(jar)
    assert os.listdir(jar.completed) == [] and not os.path.exists(jar.home + "/ran")
    assert sorted(os.listdir(jar.failed)) == sorted(f"job{number}" for number in range(count))
    for number, line in enumerate((*wrong, *LONELY)):
        why, = reasons(jar, f"job{number}")
        assert why.startswith("its #JJ lines will not do: line 4: ") and "\n" not in why, line
        assert line.split("=")[0].removeprefix("#JJ ").split()[0] in why or number >= len(wrong), (line, why)
