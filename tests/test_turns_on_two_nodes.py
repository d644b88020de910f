"""The cap of an array on two nodes with a host name each, whose workers are killed in between."""

import os

from support import jars, processes

CAP, TASKS = 3, 60


def completed(jar):
    return [name for name in os.listdir(jar.completed) if os.path.isfile(os.path.join(jar.completed, name))]


def at_work(told):
    """The greatest number of tasks at work at once, as they wrote it down; a killed one is until it is run again."""
    running, most = set(), 0
    for line in jars.read(told).splitlines():
        what, task = line.split()
        running.add(task) if what == "b" else running.discard(task)
        most = max(most, len(running))
    return most


def test_a_cap_is_never_exceeded_and_all_tasks_end_although_workers_are_killed(hosts):
    jar, told = hosts[0].jar, f"{hosts[0].jar.home}.told"
    body = f"echo b $JJ_ARRAY_TASK_ID >>{told}; sleep 0.05; echo e $JJ_ARRAY_TASK_ID >>{told}"
    working = [(host, host.start()) for host in hosts for _ in range(2)]
    status, out, err = hosts[0].run("submit_job", f"--array=1-{TASKS}%{CAP}", body)
    assert (status, err) == (0, "")
    for wanted in (5, 20, 35):
        processes.until(lambda: len(completed(jar)) >= wanted, f"{wanted} tasks have ended")
        # The one that has waited longest for it.
        host, worker = working.pop(0)
        host.kill(worker)
        processes.until(lambda: host.recover("--kill-orphans")[0] == 0, "its job is brought back")
        working.append((host, host.start()))
    processes.until(lambda: len(completed(jar)) == TASKS, "all tasks have ended")
    assert at_work(told) <= CAP
    assert os.listdir(jar.waiting) == os.listdir(jar.failed) == []
