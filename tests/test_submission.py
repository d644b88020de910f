"""Drafts, names and the order of writes of a submission."""

import errno
import os
import stat

import pytest
from support import jars, processes, programs, workers

from jobjar import fsops, jobname, submission
from jobjar.errors import JobJarError, TryAgain, UsageError
from jobjar.submission import Request


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def submitted_file(jar, path):
    return submission.submit(jar, Request(submission.content(path)))


def contents(jar):
    """Every file in the jar with its text."""
    return {path: text for path, text in jars.tree(jar).items() if text is not None and path != "FORMAT"}


# Names.

def test_names_of_one_process_are_strictly_increasing_in_a_tight_loop():
    names = [submission.fresh_name() for _ in range(3000)]
    assert names == sorted(set(names))


def test_names_go_on_increasing_when_the_clock_is_set_back(monkeypatch):
    before = submission.fresh_name()
    monkeypatch.setattr(submission.time, "time_ns", lambda: 10**18)
    after = [submission.fresh_name() for _ in range(3)]
    assert [before, *after] == sorted({before, *after})


def test_a_name_says_when_in_utc_who_and_the_rest_as_the_protocol_has_it(monkeypatch):
    monkeypatch.setattr(submission, "_last", 0)
    monkeypatch.setattr(submission, "_login", lambda: "ann")
    monkeypatch.setattr(submission.time, "time_ns", lambda: 1_000_000_000_123_456_789)
    monkeypatch.setattr(submission.os, "urandom", lambda count: (5007).to_bytes(count, "big"))
    assert submission.fresh_name(-3, "test_run", 12) == "20010909-014640-ann-123456007-test_run_12.-3"
    assert submission.fresh_name() == "20010909-014640-ann-123456008.0"


def test_a_name_is_parsed_back_into_its_number_and_priority():
    name = submission.fresh_name(15, "x")
    assert jobname.split(name)[1] == 15 and len(jobname.number(name)) == 23


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert "-3999999999-" in submission.fresh_name()


# Contents.

def test_a_command_becomes_exactly_the_manuals_two_lines():
    text = submission.script("/usr/local/bin/big_computation /data/infile.tmp 104.1 30")
    assert text == b"#!/bin/sh -f\n/usr/local/bin/big_computation /data/infile.tmp 104.1 30\n"


def test_bytes_that_are_no_text_come_through_a_command():
    assert submission.script(os.fsdecode(b"cat /\xff\xfe")) == b"#!/bin/sh -f\ncat /\xff\xfe\n"


@pytest.mark.parametrize("command, said", [("", "empty"), ("  ", "empty"), ("a\nb", "newline"), ("a\0b", "NUL"),
                                           ("a\ud800", "ud800")])
def test_a_command_that_is_no_line_is_refused(command, said):
    with pytest.raises(UsageError, match=f"(?=.*{said})(?=.*-f FILE)"):
        submission.script(command)


def test_a_file_is_copied_byte_for_byte_and_never_set_id(jar, tmp_path):
    data = os.urandom(200_000)
    source = tmp_path / ("n" * 255)
    source.write_bytes(data)
    source.chmod(0o6755)
    path = jar.path(submitted_file(jar, str(source)))
    assert bytes_of(path) == data and stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_link_to_an_executable_file_will_do(jar, tmp_path):
    jars.write(str(tmp_path / "job"), "#!/bin/sh\n")
    os.symlink("job", tmp_path / "link")
    assert bytes_of(jar.path(submitted_file(jar, str(tmp_path / "link")))) == b"#!/bin/sh\n"


def not_there(path):
    pass


def not_executable(path):
    jars.write(path, "#!/bin/sh\n", 0o644)


def loop(path):
    os.symlink(path, path)


@pytest.mark.parametrize("make, said", [(not_there, "does not exist"), (os.mkdir, "is a directory"),
                                        (os.mkfifo, "not a regular file"), (not_executable, r"chmod \+x"),
                                        (loop, "cannot be read")])
def test_what_is_no_executable_file_is_refused_with_its_name(jar, tmp_path, make, said):
    path = str(tmp_path / "thing")
    make(path)
    with pytest.raises(UsageError, match=said) as caught:
        submitted_file(jar, path)
    assert str(caught.value).startswith(path) and contents(jar) == {}


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800"])
def test_a_path_that_cannot_be_one_is_refused(path):
    with pytest.raises(UsageError, match="cannot be the name of a file"):
        submission.content(path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read every file; as an ordinary user this is tested")
    path = jars.write(str(tmp_path / "secret"), "#!/bin/sh\n", 0o100)
    with pytest.raises(UsageError, match="secret cannot be read"):
        submission.content(path)


@pytest.mark.parametrize("arguments, said", [
    ({"priority": "high"}, "priority"), ({"priority": 1.5}, "priority"), ({"priority": 10**9}, "priority"),
    ({"priority": True}, "priority"), ({"category": "a/b"}, "category"), ({"category": ".."}, "category"),
    ({"category": "a\x07"}, "category"), ({"category": "c" * 200}, "category"), ({"category": ""}, "category"),
    ({"id": "a/b"}, "identifier"), ({"id": "a..b"}, "identifier"), ({"id": "a b"}, "identifier"),
    ({"id": "i" * 200}, "identifier"), ({"id": ""}, "identifier")])
def test_a_wrong_word_in_a_request_is_named(arguments, said):
    with pytest.raises(UsageError, match=said):
        Request(b"", **arguments)


# The move.

def test_a_submitted_job_lies_in_its_category_which_is_made(jar):
    place = workers.submit(jar, "ls -l", priority=10, category="LINUX", id="test_run")
    assert contents(jar) == {f"unclaimed/LINUX/{place.name}": "#!/bin/sh -f\nls -l\n"}
    assert place.category == "LINUX" and place.name.endswith("-test_run.10")


def test_a_file_in_the_way_of_a_category_is_an_error_and_nothing_is_left(jar):
    jars.write(jar.unclaimed + "/LINUX", "a job of this name")
    with pytest.raises(UsageError, match="LINUX is in the way"):
        submission.submit_many(jar, [Request(b"a"), Request(b"b", category="LINUX")])
    assert list(contents(jar)) == ["unclaimed/LINUX"]


def test_a_draft_whose_name_is_taken_gets_another_name(jar, monkeypatch):
    names = iter(["taken.0", "free.0"])
    monkeypatch.setattr(submission, "fresh_name", lambda *rest: next(names))
    jars.write(jar.limbo + "/taken.0", "somebody's")
    assert workers.submit(jar, "ls").name == "free.0"
    assert contents(jar) == {"limbo/taken.0": "somebody's", "unclaimed/free.0": "#!/bin/sh -f\nls\n"}


@pytest.fixture
def trace(jar, monkeypatch):
    """What is synced and renamed, in order, as paths inside the jar."""
    seen, fsync, rename, whole = [], fsops._fsync, os.rename, fsops.sync_file_system

    def inside(path):
        return os.path.relpath(path, jar.home)

    monkeypatch.setattr(fsops, "_fsync", lambda handle: (
        seen.append(("sync", inside(os.readlink(f"/proc/self/fd/{handle}")))), fsync(handle)))
    monkeypatch.setattr(os, "rename", lambda a, b: (seen.append(("rename", inside(a), inside(b))), rename(a, b)))
    monkeypatch.setattr(fsops, "sync_file_system", lambda path: (seen.append(("sync all", inside(path))), whole(path)))
    return seen


@pytest.mark.parametrize("category, directories", [(None, ["unclaimed"]), ("C", ["unclaimed/C", "unclaimed"])])
def test_data_is_synced_before_the_rename_and_the_directories_after_it(jar, trace, category, directories):
    name = workers.submit(jar, "ls", category=category).name
    assert trace == [("sync", f"limbo/{name}"), ("rename", f"limbo/{name}", f"{directories[0]}/{name}"),
                     *(("sync", directory) for directory in directories), ("sync", "limbo")]


def test_many_jobs_wait_for_the_disk_once_before_all_renames_and_once_per_directory_after_them(jar, trace):
    requests = [Request(b"x", category=category) for category in (None, "C", None, "C")]
    places = submission.submit_many(jar, requests)
    assert [step[0] for step in trace] == ["sync all", *["rename"] * 4, *["sync"] * 3]
    assert {step[1] for step in trace[5:]} == {"unclaimed", "unclaimed/C", "limbo"}
    assert [place.name for place in places] == sorted(place.name for place in places)


def test_nothing_to_submit_touches_nothing(jar, trace):
    assert submission.submit_many(jar, []) == [] and trace == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["_write", "_fsync", "_close"])
@pytest.mark.parametrize("many", [1, 3])
def test_no_space_is_try_again_with_nothing_left(jar, monkeypatch, code, step, many):
    real = getattr(fsops, step)

    def fail(handle, *rest):
        if step == "_close":
            real(handle)
        raise OSError(code, os.strerror(code))

    if step == "_fsync" and many > 1:
        monkeypatch.setattr(fsops, "sync_file_system", fail)
    else:
        monkeypatch.setattr(fsops, step, fail)
    with pytest.raises(TryAgain, match="limbo.*nothing is submitted"):
        submission._submit(jar, [Request(b"x")] * many, synced=many == 1)
    assert contents(jar) == {}


@pytest.mark.parametrize("code, kind", [(errno.EIO, JobJarError), (errno.ENOSPC, TryAgain)])
def test_a_bulk_that_fails_midway_says_how_many_are_submitted_and_leaves_no_drafts(jar, monkeypatch, code, kind):
    rename, calls = os.rename, []

    def third_fails(source, target):
        calls.append(source)
        if len(calls) >= 3:
            raise OSError(code, os.strerror(code), target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", third_fails)
    with pytest.raises(kind, match="2 of 5 jobs are submitted") as caught:
        submission.submit_many(jar, [Request(b"x")] * 5)
    assert type(caught.value) is kind
    assert len(os.listdir(jar.unclaimed)) == 2 and os.listdir(jar.limbo) == []


def test_a_defect_of_the_disk_for_one_job_comes_out_untouched_with_nothing_left(jar, monkeypatch):
    monkeypatch.setattr(fsops, "_fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.EIO, "bad disk")))
    with pytest.raises(OSError, match="bad disk"):
        workers.submit(jar, "ls")
    assert contents(jar) == {}


def test_when_only_the_last_sync_fails_the_sentence_says_that_the_job_is_submitted(jar, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(fsops, "sync_directory", fail)
    with pytest.raises(JobJarError, match="submitted, but a power cut may undo it"):
        workers.submit(jar, "ls")
    assert len(os.listdir(jar.unclaimed)) == 1


def test_a_worker_may_have_taken_the_job_before_submit_returns(jar, monkeypatch):
    rename = os.rename

    def taken_at_once(source, target):
        rename(source, target)
        rename(target, jar.completed + "/" + os.path.basename(target))
        raise OSError(errno.ENOENT, "the reply was lost")

    monkeypatch.setattr(os, "rename", taken_at_once)
    assert workers.submit(jar, "ls").name in os.listdir(jar.completed)


FILL = """
mount -t tmpfs -o size=512k tmpfs "$1" || exit 99
mkdir "$1/jar"
submit() { "$PYTHON" "$SUBMIT" --home "$1/jar" "$@"; }
"$PYTHON" "$SUBMIT" --home "$1/jar" first >&2 || exit 98
cat /dev/zero >"$1/filler" 2>&-
"$PYTHON" "$SUBMIT" --home "$1/jar" second; echo $?
ls "$1/jar/limbo" "$1/jar/unclaimed" | grep -c .
rm "$1/filler"
"$PYTHON" "$SUBMIT" --home "$1/jar" second >&2; echo $?
"""


def test_a_full_disk_is_try_again_and_leaves_nothing(tmp_path):
    more = {"PYTHON": processes.sys.executable, "SUBMIT": f"{programs.BIN}/submit_job"}
    shell = processes.spawn("unshare", "--map-root-user", "--mount", "sh", "-c", FILL, "sh", str(tmp_path),
                            env=processes.environment(**more))
    status, out, err = processes.finish(shell)
    if status == 99 or "unshare" in err:
        pytest.skip(f"no small file system can be mounted here: {err.strip()}")
    # Afterwards two directories' headlines and one job are listed, and then there is room again.
    assert (status, out.split()) == (0, ["75", "3", "0"])
    assert "No space left on device: nothing is submitted" in err


def test_fifty_submissions_in_a_loop_sort_in_their_order(jar):
    ids = []
    for number in range(50):
        status, out, _ = programs.run("submit_job", "--home", jar.home, "echo", str(number))
        assert status == 0
        ids.append(out.strip())
    listed = sorted(os.listdir(jar.unclaimed))
    assert [name.removesuffix(".0") for name in listed] == ids
    assert [bytes_of(f"{jar.unclaimed}/{name}").split()[-1] for name in listed] == [b"%d" % n for n in range(50)]
