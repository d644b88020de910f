"""What a task of an array is given: its indices, its entries, and the command line that runs it."""

import subprocess

import pytest

from jobjar import entries, jobname, tasks

BASE = "20261121-101500-me-000001000"


def _task(tmp_path, index, request, name=None):
    return tasks.prepare(str(tmp_path / "job"), name or f"{BASE}_{index}.0", request)


def _file(tmp_path, texts, body=b"#!/bin/sh\n"):
    path = tmp_path / "job"
    path.write_bytes(body + entries.block(entries.of_product([texts]), len(body)))
    path.chmod(0o700)


@pytest.mark.parametrize("name, task", [(f"{BASE}_7.5", (BASE, 7)), (f"{BASE}_7", (BASE, 7)), (f"{BASE}_7~2.-1", (BASE, 7)),
                                        (f"{BASE}-id_3_12~edit.0", (f"{BASE}-id_3", 12)), (f"{BASE}.0", None),
                                        ("run_3", None), (f"{BASE}_x.0", None), (f"{BASE}_1234567890.0", None)])
def test_the_name_of_a_task_says_array_and_index(name, task):
    assert jobname.array_task(name) == task


def test_a_task_is_told_which_it_is_and_of_how_many(tmp_path):
    variables, words = _task(tmp_path, 5, {"array": "1-9:2,20%3"})
    assert variables == {"JJ_ARRAY_JOB_ID": BASE, "JJ_ARRAY_TASK_ID": "5", "JJ_ARRAY_TASK_COUNT": "6",
                         "JJ_ARRAY_TASK_MIN": "1", "JJ_ARRAY_TASK_MAX": "20", "JJ_ARRAY_TASK_STEP": "1"}
    assert words == [str(tmp_path / "job")]
    assert _task(tmp_path, 5, {"array": "1-9:2"})[0]["JJ_ARRAY_TASK_STEP"] == "2"


@pytest.mark.parametrize("name, request_", [(f"{BASE}_4.0", {"array": "1-9:2"}), (f"{BASE}.0", {"array": "1-9"}),
                                            (f"{BASE}_4.0", {}), ("copy_4", {"array": "1-9"})])
def test_what_only_looks_like_a_task_is_none(tmp_path, name, request_):
    assert _task(tmp_path, 0, request_, name) == ({}, [str(tmp_path / "job")])


def test_a_task_finds_its_own_entry(tmp_path):
    _file(tmp_path, ["one", "two", "three"])
    request = {"array": "20,3,8", "entries": 3}
    assert [_task(tmp_path, index, request)[0]["JJ_ENTRY"] for index in (3, 8, 20)] == ["one", "two", "three"]
    assert "JJ_ENTRY_1" not in _task(tmp_path, 3, request)[0]


def test_a_task_that_is_a_file_of_its_own_holds_only_its_own_entries(tmp_path):
    _file(tmp_path, ["two"])
    assert _task(tmp_path, 8, {"array": "3,8,20", "entries": 1})[0]["JJ_ENTRY"] == "two"


def test_items_of_several_lists_have_a_variable_each(tmp_path):
    path = tmp_path / "job"
    path.write_bytes(b":\n" + entries.block(entries.of_product([["a b", "c"], ["1\t2"]]), 2))
    variables, _ = _task(tmp_path, 1, {"array": "1-2", "entries": 2})
    assert (variables["JJ_ENTRY_1"], variables["JJ_ENTRY_2"], variables["JJ_ENTRY"]) == ("a b", "1\t2", "a b\t1\t2")


def _run(tmp_path, index, request):
    variables, words = _task(tmp_path, index, request)
    done = subprocess.run(words, env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, timeout=30)
    return done.returncode, done.stdout.decode()


def test_a_task_of_several_entries_runs_once_for_each_in_order(tmp_path):
    items = ["a b", "it's", "", "$(x)", "new\nline", "last"]
    _file(tmp_path, items, b'#!/bin/sh\nprintf "%s<%s>" "$JJ_ARRAY_TASK_ID" "$JJ_ENTRY"\nexit\n')
    request = {"array": "1-11:2", "entries": 6, "per_job": 4}
    assert _run(tmp_path, 1, request) == (0, "1<a b>3<it's>5<>7<$(x)>")
    assert _run(tmp_path, 9, request) == (0, "9<new\nline>11<last>")


def test_the_first_run_that_fails_says_the_exit_status_and_the_others_are_run_all_the_same(tmp_path):
    _file(tmp_path, ["0", "3", "0", "4", "0"], b'#!/bin/sh\nprintf "%s" "$JJ_ENTRY"\nexit "$JJ_ENTRY"\n')
    assert _run(tmp_path, 1, {"array": "1-5", "entries": 5, "per_job": 5}) == (3, "03040")


def test_without_entries_a_task_of_several_indices_runs_once_for_each(tmp_path):
    path = tmp_path / "job"
    path.write_bytes(b'#!/bin/sh\nprintf "%s " "$JJ_ARRAY_TASK_ID"\n')
    path.chmod(0o700)
    assert _run(tmp_path, 7, {"array": "1-9", "per_job": 3}) == (0, "7 8 9 ")
