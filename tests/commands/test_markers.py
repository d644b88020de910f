"""stop_worker, pause_worker, unpause_worker, drain and undrain, as a shell meets them."""

import os

import pytest
from support import jars
from test_orders import leave, markers, register

from jobjar import cli, orders


@pytest.fixture(autouse=True)
def rain(monkeypatch):
    monkeypatch.setenv("JJ_NODE", "rain")


@pytest.fixture
def staff(jar):
    for name in ("rain.7", "rain.80", "flower.13764", "meadow.3"):
        register(jar, name)
    leave(jar, "flower.5123")
    return jar


def run(jar, program, *words):
    program, *first = program.split()
    return cli.main(program, [*first, *words, "--home", jar.home])


@pytest.mark.parametrize("command, made", [("stop_worker", "STOP"), ("pause_worker", "PAUSE")])
def test_the_manuals_mixture_reaches_those_workers_and_prints_them(staff, capsys, command, made):
    assert run(staff, command, "rain", "flower.13764", "meadow") == 0
    assert capsys.readouterr() == ("rain.7\nrain.80\nflower.13764\nmeadow.3\n", "")
    assert markers(staff) == [f"{name}/{made}" for name in ("flower.13764", "meadow.3", "rain.7", "rain.80")]


def test_unpause_all_after_pausing_one(staff, capsys):
    run(staff, "pause_worker", "rain.7")
    capsys.readouterr()
    assert run(staff, "unpause_worker", "all") == 0
    assert capsys.readouterr().out == "flower.13764\nmeadow.3\nrain.7\nrain.80\n"
    assert markers(staff) == []


def test_a_worker_that_has_left_is_no_error_and_gets_no_marker(staff, capsys):
    assert run(staff, "stop_worker", "flower.5123", "rain.7") == 0
    assert capsys.readouterr() == ("rain.7\n", "flower.5123 has left already\n")
    assert markers(staff) == ["rain.7/STOP"]


@pytest.mark.parametrize("command", ["stop_worker", "pause_worker", "unpause_worker"])
def test_an_unknown_name_is_exit_status_3_and_nothing_is_done(staff, capsys, command):
    run(staff, "pause_worker", "meadow")
    capsys.readouterr()
    assert run(staff, command, "rain", "meadow", "snow") == 3
    assert markers(staff) == ["meadow.3/PAUSE"]
    out, err = capsys.readouterr()
    assert out == "" and "'snow' names no worker and no node" in err


@pytest.mark.parametrize("command", ["stop_worker", "pause_worker", "unpause_worker", "jobjar drain", "jobjar undrain"])
def test_a_target_must_be_given(staff, capsys, command):
    assert run(staff, command) == 2
    assert "is missing" in capsys.readouterr().err


def test_all_of_a_jar_without_workers_is_no_error(jar, capsys):
    assert run(jar, "stop_worker", "all") == 0
    assert capsys.readouterr() == ("", "there is no worker\n")


def test_drain_prints_who_will_leave_and_keeps_the_reason(staff, capsys):
    leave(staff, "rain.9")
    assert run(staff, "jobjar drain", "rain", "--reason", "new fan") == 0
    assert capsys.readouterr() == ("rain.7\nrain.80\n", "")
    assert orders.drains(staff) == {"rain": "new fan"}
    assert os.listdir(staff.workers).count("DRAIN.rain") == 1


def test_drain_of_a_node_that_nobody_knows_counts_and_says_so(staff, capsys):
    assert run(staff, "jobjar drain", "snow") == 0
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("no worker has been on snow so far")
    assert orders.drains(staff) == {"snow": ""}


@pytest.mark.parametrize("words", [["../x"], ["rain", "--reason", "a\nb"]])
def test_a_bad_node_or_reason_is_refused(staff, words):
    assert run(staff, "jobjar drain", *words) == 2
    assert orders.drains(staff) == {}


def test_undrain_lets_the_node_work_again(staff):
    run(staff, "jobjar drain", "rain")
    assert run(staff, "jobjar undrain", "rain") == 0
    assert orders.drains(staff) == {}


def test_undrain_of_a_node_that_is_not_drained_is_exit_status_3(staff):
    before = jars.tree(staff)
    assert run(staff, "jobjar undrain", "rain") == 3
    assert jars.tree(staff) == before
