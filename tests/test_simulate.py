"""The simulation of many workers loses nothing, can be repeated, and what decides in it is the project's own code."""

import contextlib
import json
import os
import random
import re
import time

import pytest
from bench import model, simulate, simulation
from bench.simulation import Simulation
from bench.world import Server, Shared
from support import jars, processes

from jobjar import claiming, glance, jobname, shelf, worker

PAGE = os.path.join(processes.TOP, "docs", "scale.md")
PROGRAM = os.path.join(processes.TOP, "tests", "bench", "simulate.py")


def run(workers, jobs, **more):
    return Simulation(simulate.plan(workers, jobs, **more)).run()


def claimed(done):
    return [name for _, _, name in done.claimed]


@pytest.mark.parametrize("more", [{}, {"categories": 3}, {"load": 0.9}], ids=["a queue", "three queues", "a stream"])
def test_no_job_is_lost_and_none_is_claimed_twice(more):
    # A stream goes on after all workers have looked for the first time.
    done = run(30, 900 if more.get("load") else 300, length=2.0, **more)
    names = claimed(done)
    left = [name for there in done.shelves for name in there.entries]
    assert sorted(names + left) == sorted(name for names in done.submitted for name in names)
    # A stream ends with some that have just come.
    assert len(left) < len(names) if more.get("load") else not left


def test_a_lone_worker_claims_in_exact_order():
    done = run(1, 200, length=1.0)
    equals = [name for name in claimed(done) if name not in done.urgent]
    assert equals == sorted(done.submitted[0].keys() - done.urgent.keys()) and len(equals) == 200
    assert not done.missed and simulate.result(done.plan)["moved"] == [0.0, 0.0]


def test_an_urgent_job_overtakes_all_others():
    done = run(10, 300, length=10.0)
    assert len(done.urgent) == simulation.URGENT
    # When nobody has just listed, the next who comes does; without the priority each would wait for all before it.
    assert all(waited < 30.0 for waited in done.urgent.values())
    others = [name for name in claimed(done) if name not in done.urgent]
    assert others.index(max(others)) > len(others) - 50


def test_one_seed_gives_one_answer_and_another_seed_another():
    said = []
    for seed, hashes in (("1", "1"), ("1", "2"), ("2", "1")):
        env = processes.environment(PYTHONHASHSEED=hashes)
        words = ("--workers", "20", "--jobs", "200", "--length", "2", "--json", "--seed", seed)
        status, out, err = processes.finish(processes.python(PROGRAM, *words, env=env))
        assert status == 0, err
        (report,) = json.loads(out)
        del report["seed"]
        said.append(report)
    assert said[0] == said[1] != said[2]


def test_the_order_of_claiming_is_the_project_s_own(monkeypatch):
    real = claiming.Queue.take

    def youngest(queue):
        taken = real(queue)
        if taken and taken[0].has_candidates():
            taken[0]._ranks.insert(0, taken[0]._rank(taken[1].name))
            return taken[0], taken[1]._replace(name=taken[0]._ranks.pop()[-1])
        return taken
    monkeypatch.setattr(claiming.Queue, "take", youngest)
    done = run(1, 50, length=1.0)
    assert claimed(done)[0] == max(done.submitted[0].keys() - done.urgent.keys())


def test_when_it_is_looked_anew_is_the_project_s_own(monkeypatch):
    before = run(5, 100, length=1.0).server.count
    monkeypatch.setattr(shelf.Shelf, "is_due", lambda one: not one.has_candidates())
    assert run(5, 100, length=1.0).server.count["with names"] < before["with names"] / 2


def test_for_how_long_an_idle_worker_sleeps_is_the_project_s_own(monkeypatch):
    before = run(20, 50, length=1.0, load=0.1).server.count
    monkeypatch.setattr(worker.Worker, "_backed_off", lambda one: 0.5)
    assert run(20, 50, length=1.0, load=0.1).server.count["looks"] > 1.5 * before["looks"]


def test_listings_that_are_arranged_once_for_all_change_nothing(monkeypatch):
    plan = simulate.plan(20, 200, length=2.0)
    shared = simulate.result(plan)
    monkeypatch.setattr(simulation, "arranged_once", lambda world: contextlib.nullcontext())
    assert simulate.result(plan) == shared


def test_afterwards_the_project_has_its_own_clock_again():
    run(2, 10, length=1.0)
    assert shelf.time is glance.time is time and shelf.jobname is jobname
    assert worker.random is shelf.random is random


def test_a_run_that_is_too_long_is_cut_short_and_says_so():
    found = simulate.result(simulate.plan(10, 100, limit=500))
    assert found["is_cut_short"] and found["claims"] < 100 and "*" in simulate.table([found])


def test_a_busy_server_lets_wait_and_does_no_more_than_it_can():
    server = Server(rate=1000, trip=0.01)
    server.begin(5.0)
    # The first is done at once, the second after it; each worker has the way there and back.
    assert server.ask("a") == pytest.approx(5.006)
    server.begin(5.0)
    assert server.ask("b", weight=10) == pytest.approx(5.016) and server.now == pytest.approx(5.021)
    assert server.time == pytest.approx({"a": 0.001, "b": 0.01})


def test_a_shared_list_is_a_list():
    chance, names = random.Random(3), [str(number) for number in range(30)]
    for _ in range(50):
        ours, others, real = Shared(tuple(names)), Shared(tuple(names)), list(names)
        for _ in range(40):
            at = chance.randrange(-len(real), len(real))
            act = chance.choice([lambda it: it.pop(), lambda it: it.pop(at), lambda it: it.append("x"),
                                 lambda it: it.pop(at), lambda it: it.insert(at, "y"), lambda it: it.__setitem__(at, "z"),
                                 lambda it: it.__delitem__(slice(at, None, 2)) if len(real) > 20 else None,
                                 lambda it: it[at:],
                                 # A candidate is put back where it was.
                                 lambda it: it.insert(at % len(real), it.pop(at))])
            assert act(ours) == act(real)
            assert list(ours) == real and len(ours) == len(real) and bool(ours) == bool(real)
            if not real:
                break
        assert list(others) == names


def test_the_table_of_the_page_is_what_the_model_says():
    said = re.search(r"<!-- figures: made by tests/bench/model.py -->\n(.*?)\n<!-- /figures -->", jars.read(PAGE), re.S)
    assert said and said[1] == model.table(model.CASES)
    assert "<!-- figures: made by make simulate -->" in jars.read(PAGE)


def test_the_model_says_what_a_simulation_counts():
    """Of jobs that wait from the beginning, on workers that come once, when all is counted by request."""
    workers, jobs, length = 50, 500, 20.0
    done = run(workers, jobs, length=length)
    lasted, counted = done.claimed[-1][0], done.server.count
    case = model.Case(workers, 1, length, jobs / 2, completed=0, changes=0, busy=1.0)
    said = model.operations(case)
    assert len(done.claimed) / lasted == pytest.approx(model.claims(case), rel=0.2)
    assert (counted["jobs"] + 2 * len(done.claimed)) / lasted == pytest.approx(said["jobs"], rel=0.25)
    assert counted["with names"] / lasted == pytest.approx(model.claims(case), rel=0.25)
