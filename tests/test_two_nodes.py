"""Two nodes on one machine, each with its own host name, and one jar."""

import os

from support import jars, nodes, processes

from jobjar import registration


def test_workers_of_both_share_the_work_and_are_named_after_their_node(hosts):
    names = [host.start() for host in hosts]
    assert [name.rpartition(".")[0] for name in names] == ["alder", "birch.example.org"]
    told = f"{hosts[0].jar.home}.ran"
    for number in range(40):
        hosts[0].submit(f"echo $JJ_NODE >> {told}; sleep 0.02", f"j{number}.0")
    processes.until(lambda: len(os.listdir(hosts[0].jar.completed)) == 40)
    assert set(jars.read(told).split()) == {"alder", "birch.example.org"} and len(jars.read(told).split()) == 40


def test_recovery_on_one_never_touches_the_dead_of_the_other(hosts):
    alder, birch = hosts
    worker = birch.start()
    birch.run_forever()
    birch.kill(worker)
    nodes.end_all()
    assert alder.recover("--kill-orphans") == (0, [], "")
    assert birch.place("a.0") == [f"workers/{worker}/claims/a.0"]
    assert birch.recover() == (0, ["a.0 → unclaimed/"], "")


def test_recovery_on_one_says_nothing_about_the_living_of_the_other(hosts):
    alder, birch = hosts
    worker = birch.start()
    birch.run_forever()
    assert alder.recover() == (0, [], "") and birch.living() == [worker]


def test_a_category_named_as_a_node_is_that_nodes_alone_and_comes_first(hosts):
    alder, birch = hosts
    worker = alder.start()
    birch.submit("true", "for-birch.9", birch.node)
    alder.submit("true", "for-any.0")
    processes.until(lambda: alder.place("for-any.0") == ["completed/for-any.0"])
    assert birch.place("for-birch.9") == [f"unclaimed/{birch.node}/for-birch.9"]
    birch.start()
    processes.until(lambda: birch.place("for-birch.9") == ["completed/for-birch.9"])
    assert worker in alder.living()


def test_a_node_is_stopped_alone(hosts):
    alder, birch = hosts
    stays, leaves = alder.start(), birch.start()
    assert alder.run("stop_worker", "birch")[0] == 0
    processes.until(lambda: birch.gone(leaves))
    assert alder.living() == [stays] and birch.living() == []


def test_a_node_is_drained_alone(hosts):
    alder, birch = hosts
    stays, leaves = alder.start(), birch.start()
    assert alder.run("jobjar", "drain", birch.node)[0] == 0
    processes.until(lambda: birch.gone(leaves))
    assert alder.living() == [stays]
    assert birch.run("start_worker")[0] == 1


def test_each_is_brought_up_to_its_own_number(hosts):
    for host in hosts:
        assert len(host.fill(2)) == 2
    assert len(registration.workers(hosts[0].jar)) == 4
