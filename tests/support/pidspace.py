"""A pid namespace of a test's own, in which a process can be given the number of one that has died.

`enter` starts this module as a program in a new namespace; its words are a function's name and arguments, and it
prints what the function returns, as JSON. Only root may do so.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable

from jobjar import layout, node, process, registration, starting
from jobjar.recovery import Recovery
from support import jars, processes, workers

TESTS = os.path.join(processes.TOP, "tests")
LAST = "/proc/sys/kernel/ns_last_pid"
KINDS = ("a stranger", "a worker", "a worker of the next boot")


def enter(*words: str) -> subprocess.Popen:
    """Call a function of this module in a new namespace; all that it starts ends with it."""
    path = os.pathsep.join((processes.TOP, TESTS))
    return processes.spawn("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-m",
                           "support.pidspace", *words, cwd=TESTS, env=processes.environment(PYTHONPATH=path))


def fork_as(pid: int, act: Callable[[], object]) -> None:
    """Let a new process of that number do `act()`."""
    while True:
        # Nobody can have the number as long as whoever had it last is unburied.
        processes.reap()
        with open(LAST, "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        child = os.fork()
        if child == 0:
            try:
                if os.getpid() == pid:
                    act()
            finally:
                os._exit(0)
        if child == pid:
            return
        os.waitpid(child, 0)


def rounds(home: str, count: str) -> dict:
    """So many workers die, and others get their numbers: kind of round → how many went right, and what went wrong."""
    jar, wrong = layout.open_jar(home), []
    done = dict.fromkeys(KINDS, 0)
    for number in range(int(count)):
        kind = KINDS[number % len(KINDS)]
        if kind == KINDS[2] and not node.machine_id():
            continue
        try:
            _round(jar, f"job{number}.0", kind)
            done[kind] += 1
        except AssertionError as error:
            wrong.append(f"round {number}, {kind}: {error}")
        processes.kill(processes.children())
    return {"done": done, "wrong": wrong}


def _round(jar: layout.Jar, name: str, kind: str) -> None:
    runs = f"{jar.home}.{name}"
    lost = workers.start(jar)
    workers.place(jar, name, f"echo b >> {runs}; [ $JJ_ATTEMPT != 1 ] || exec sleep 600; echo e >> {runs}")
    processes.until(lambda: os.path.exists(runs), "the job runs")
    nonce = registration.read(jar, lost.name).nonce
    for marker in (layout.STOP, layout.PAUSE):
        jars.write(lost.path(marker), "")
    processes.kill(processes.children())
    if kind == KINDS[0]:
        _stranger(jar, lost, name)
    elif kind == KINDS[1]:
        fork_as(lost.pid, lambda: _work(jar))
    else:
        _next_boot(jar, lost, name)
    processes.until(lambda: not processes.children(), "the end of all")
    assert jars.read(runs).split() == ["b", "b", "e"], jars.read(runs)
    assert os.listdir(jar.completed).count(name) == 1
    if kind != KINDS[0]:
        assert registration.read(jar, lost.name).nonce != nonce, "the name was not taken over"
        assert not {layout.STOP, layout.PAUSE} & set(os.listdir(lost.directory)), "a marker was inherited"
        assert lost.ends(), "the job was run by another"


def _stranger(jar: layout.Jar, lost: workers.Handle, name: str) -> None:
    fork_as(lost.pid, lambda: os.execvp("sleep", ["sleep", "600"]))
    start = node.start_ticks(lost.pid)
    report = Recovery(jar, node.myself(workers.NODE), 3, kill_orphans=True).node()
    assert (report.jobs, report.left) == ([("recover", None, name)], []), report
    assert processes.is_running(lost.pid) and node.start_ticks(lost.pid) == start, "a stranger was killed"
    processes.kill(processes.children())
    workers.drain(jar)


def _next_boot(jar: layout.Jar, lost: workers.Handle, name: str) -> None:
    # A cloned machine may look so, so a worker whose beat is young is left alone, and its name.
    fork_as(lost.pid, lambda: _work(jar, "another boot"))
    processes.until(lambda: not processes.children(), "the end of a worker under another name")
    assert os.path.exists(os.path.join(lost.claims, name)), "it was recovered in spite of its beat"
    os.utime(lost.path("beat"), (1, 1))
    fork_as(lost.pid, lambda: _work(jar, "another boot"))


def _work(jar: layout.Jar, boot: str | None = None) -> None:
    """Be a worker until nothing is left to do."""
    if boot:
        node.boot_id = lambda: boot
    workers._be_a_worker(jar, workers.settings(jar), starting.Terms((), 0.0), None)


def hold(home: str) -> dict:
    """Let a worker have a job until HOME.go is there; its name, and whether it had the job to the end."""
    jar = layout.open_jar(home)
    with workers.working(jar) as worker:
        workers.place(jar, "a.0", "exec sleep 600")
        processes.until(lambda: "a.0" in os.listdir(worker.claims) and len(processes.children()) > 1, "the job runs")
        jars.write(f"{home}.holder", worker.name)
        processes.until(lambda: os.path.exists(f"{home}.go"), "the end of the raid", 600)
        had = os.path.exists(os.path.join(worker.claims, "a.0")) and not worker.has_ended()
        job = [child for child in processes.children() if child.pid != worker.pid]
        processes.kill(job)
        processes.until(lambda: "a.0" in os.listdir(jar.completed), "the job is completed")
    return {"had": had and len(job) == 1}


def raid(home: str, count: str) -> dict:
    """Recover so many times what workers of this node's name have left, from a namespace that is not theirs."""
    jar, holder = layout.open_jar(home), jars.read(f"{home}.holder")
    pid = int(holder.rpartition(".")[2])
    before, wrong = jars.tree(jar), []
    for number in range(int(count)):
        report = Recovery(jar, node.myself(workers.NODE), 3, kill_orphans=True).node()
        if report.jobs or "cannot be judged" not in "".join(report.left):
            wrong.append(f"{number}: {report}")
    # A worker of the same number finds its name taken, and has another; it inherits nothing.
    fork_as(pid, lambda: _work(jar))
    processes.until(lambda: not processes.children(), "the end of a worker")
    after = jars.tree(jar)
    wrong += [f"{path} was touched" for path in before if path not in after]
    others = [name for name in registration.workers(jar) if name != holder]
    return {"wrong": wrong, "others": others}


if __name__ == "__main__":
    # The locks of the node are those of this namespace.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700", "none", process.local_directory()], check=True)
    act = {"rounds": rounds, "hold": hold, "raid": raid}[sys.argv[1]]
    print(json.dumps(act(*sys.argv[2:])))
