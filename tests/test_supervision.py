"""The number of workers on a node: never too few for long, never too many."""

import os
import shutil
import threading

import pytest
from support import invariants, jars, nodes, processes
from support.nodes import Dead, Site

from jobjar import layout, orders, process, registration, supervision
from jobjar.nodelock import only_one

pytestmark = pytest.mark.alone


@pytest.fixture
def site(jar):
    yield Site(jar)
    nodes.end_all()


class Counting:
    """Counts the living workers of a node all the time; `most` is the highest number that was seen."""

    def __init__(self, site):
        self.site, self.most, self._ended = site, 0, threading.Event()
        self._thread = threading.Thread(target=self._count)

    def _count(self):
        while not self._ended.is_set():
            self.most = max(self.most, len(self.site.living()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def test_a_check_brings_the_node_up_to_its_number_and_then_says_nothing(site):
    started = []
    processes.until(lambda: started.extend(site.check()) or len(started) == 2)
    assert sorted(started) == site.living()
    assert site.check() == []


def test_twenty_checks_at_once_start_no_worker_too_many(site):
    site.variables["JJ_MAX_WORKERS"] = "3"
    with Counting(site) as counting:
        running = [site.spawn("check_workers") for _ in range(20)]
        ended = [processes.finish(one) for one in running]
        site.fill(3)
    assert counting.most == 3
    assert {(status, err) for status, _, err in ended} == {(0, "")}
    assert len("".join(out for _, out, _ in ended).split()) <= 3


def test_workers_that_were_started_by_hand_count(site):
    by_hand = site.start()
    assert by_hand in site.fill(2)
    site.start()
    assert site.check() == [] and len(site.living()) == 3


def test_dead_workers_do_not_count(site):
    for _ in range(3):
        Dead(site.jar).journal.close()
    first, _ = site.fill(2)
    site.kill(first)
    assert len(site.fill(2)) == 2 and first not in site.living()


def test_workers_of_other_nodes_do_not_count(site):
    Site(site.jar, "meadow").start()
    assert len(site.fill(2)) == 2


@pytest.mark.parametrize("number, expected", [("0", 0), ("1", 1)])
def test_the_number_is_the_settings(site, number, expected):
    site.variables["JJ_MAX_WORKERS"] = number
    assert len(supervision.check(site.jar, site.settings, 30).started) == expected
    assert len(site.living()) == expected


def test_none_is_started_while_all_are_to_stop(site):
    jars.write(f"{site.jar.workers}/STOP_ALL", "")
    assert site.check() == [] and site.living() == []


def test_none_is_started_on_a_drained_node_and_those_there_leave(site):
    site.fill(2)
    orders.drain(site.jar, site.node, "new disks")
    processes.until(lambda: site.living() == [])
    assert site.check() == []
    orders.undrain(site.jar, site.node)
    site.fill(2)


@pytest.mark.parametrize("text, why", [("STOP_ALL", "until it is removed"), ("DRAIN.rain", "is drained (new disks)")])
def test_the_library_says_why_none_is_started(site, text, why):
    jars.write(f"{site.jar.workers}/{text}", "new disks\n")
    assert why in supervision.why_none(site.jar, site.settings)
    assert why in supervision.check(site.jar, site.settings, 30).why


def test_a_busy_lock_is_no_news(site):
    with only_one(30):
        assert site.check() == []
        assert site.living() == []


def test_a_recovery_that_finds_the_lock_busy_says_to_try_again(site, monkeypatch):
    monkeypatch.setattr(supervision, "PATIENCE", 0.1)
    with only_one(30):
        assert supervision.recover(site.jar, site.settings) is None
        assert supervision.recover_vouched(site.jar, site.settings, "meadow") is None


def test_a_recovery_waits_for_a_check_that_cron_started_in_the_same_second(site):
    dead = Dead(site.jar)
    dead.claim()
    dead.journal.close()
    held, freed = threading.Event(), threading.Event()
    holder = threading.Thread(target=_hold, args=(held, freed))
    holder.start()
    assert held.wait(30)
    timer = threading.Timer(0.3, freed.set)
    timer.start()
    assert supervision.recover(site.jar, site.settings).jobs == [("recover", None, "a.0")] and freed.is_set()
    timer.join()
    holder.join()


def test_a_check_waits_for_that_of_another_jar_which_cron_started_in_the_same_second(site):
    held, freed = threading.Event(), threading.Event()
    holder = threading.Thread(target=_hold, args=(held, freed))
    holder.start()
    assert held.wait(30)
    timer = threading.Timer(0.5, freed.set)
    timer.start()
    assert len(site.check()) == site.settings.max_workers and freed.is_set()
    timer.join()
    holder.join()


def _hold(held, freed):
    with only_one(30):
        held.set()
        freed.wait(30)


def test_the_lock_is_held_until_the_worker_has_registered(site, monkeypatch):
    seen = []
    monkeypatch.setattr(supervision.starting, "start", lambda *_: seen.append(_is_locked()) or "rain.1")
    assert supervision.check(site.jar, site.settings, 30).started == ["rain.1", "rain.1"]
    assert seen == [True, True]


def _is_locked():
    found = []
    # A second thread, for filelock minds who asks.
    thread = threading.Thread(target=lambda: found.append(process._is_locked(f"{process.local_directory()}/node.lock")))
    thread.start()
    thread.join()
    return found[0]


def test_a_node_keeps_its_number_under_the_environment_of_cron(site, tmp_path):
    """cron's python has none of the packages: those of the checkout's .venv are used."""
    for name in ("jobjar", "bin"):
        shutil.copytree(os.path.join(processes.TOP, name), tmp_path / "copy" / name,
                        ignore=shutil.ignore_patterns("__pycache__"))
    import filelock
    import psutil
    packages = tmp_path / "copy" / ".venv" / "lib" / "python3.11" / "site-packages"
    os.makedirs(packages)
    for module in (filelock, psutil):
        os.symlink(os.path.dirname(module.__file__), packages / module.__name__)
    allowed = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    bare = {"PATH": "/usr/bin:/bin", "JJ_HOME": site.jar.home, "JJ_NODE": site.node, "JJ_MAX_WORKERS": "1", **allowed}
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")
    if python is None or processes.finish(processes.spawn(
            python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"))[0]:
        pytest.skip("the system's python3 is older than 3.11")

    def checked():
        run = processes.spawn(python, str(tmp_path / "copy" / "bin" / "check_workers"), env=bare, cwd="/")
        status, out, err = processes.finish(run)
        assert (status, err) == (0, "")
        return out

    worker = processes.until(checked).strip()
    assert site.living() == [worker]


# Renewal.

def categories(site, worker):
    return registration.read(site.jar, worker).extra["categories"]


def are_replaced(site, old):
    # One look for both questions: between two of them an old worker may leave before its successor is there.
    living = set(site.living())
    return len(living) == 2 and not living & set(old)


def test_each_worker_is_replaced_by_one_on_the_same_terms(site):
    old = [site.start("C1", "C2", "--idle-exit", "600"), site.start("C3")]
    with Counting(site) as counting:
        assert set(old) <= set(site.check("--renew"))
        processes.until(lambda: are_replaced(site, old))
    assert counting.most == 2
    assert sorted(categories(site, worker) for worker in site.living()) == [["C1", "C2"], ["C3"]]
    commands = [" ".join(processes.psutil.Process(nodes.pid_of(w)).cmdline()) for w in site.living()]
    assert sum("--idle-exit 600" in command for command in commands) == 1
    processes.until(lambda: all(site.gone(worker) for worker in old))


def test_workers_that_check_workers_started_are_replaced_too(site):
    old = site.fill(2)
    site.check("--renew")
    processes.until(lambda: are_replaced(site, old))


def test_a_busy_worker_is_replaced_after_its_job(site):
    site.variables["JJ_MAX_WORKERS"] = "1"
    worker, told = site.start(), f"{site.jar.home}.go"
    site.submit(f"while [ ! -e {told} ]; do sleep 0.02; done")
    processes.until(lambda: site.is_claimed("a.0"))
    assert worker in site.check("--renew") and site.check() == []
    assert site.living() == [worker]
    jars.write(told, "")
    processes.until(lambda: site.living() and site.living() != [worker])
    assert site.place("a.0") == ["completed/a.0"]


def test_nothing_is_lost_and_none_is_too_many_while_all_are_renewed_and_checked(site):
    site.fill(2)
    names = [site.submit("sleep 0.02", f"j{number}.0") for number in range(100)]
    with Counting(site) as counting:
        for _ in range(3):
            old = site.living()
            site.check("--renew")
            running = [site.spawn("check_workers") for _ in range(4)]
            for one in running:
                assert processes.finish(one)[0] == 0
            processes.until(lambda: are_replaced(site, old))
        processes.until(lambda: len(os.listdir(site.jar.completed)) == 100)
    assert counting.most == 2
    tree = jars.tree(site.jar)
    assert not invariants.one_place(tree, names) and not os.listdir(site.jar.notes)
    site.stop()
    assert not invariants.leftovers({p: t for p, t in jars.tree(site.jar).items() if p != "workers/STOP_ALL"})


def test_stop_beats_renewal(site):
    worker = site.start()
    os.kill(nodes.pid_of(worker), 19)
    for marker in (layout.STOP, layout.RENEW):
        jars.write(f"{site.jar.worker(worker)}/{marker}", "")
    os.kill(nodes.pid_of(worker), 18)
    processes.until(lambda: site.gone(worker))
    assert site.living() == []
