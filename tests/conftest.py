"""What holds for every test: a clean environment, no use of the checkout's own jar, and no process left behind."""

import contextlib
import os
import random
import signal
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP)

from support import figures as published  # noqa: E402
from support import invariants, jars, lanes, nodes, processes  # noqa: E402

from jobjar import layout, process  # noqa: E402

JAR_OF_THE_CHECKOUT = [os.path.join(TOP, name) for name in (*layout.DIRECTORIES, *layout.LATER, "workers", "FORMAT")]

# What a skip says that a CI run could have avoided; JJ_TESTS_STRICT makes a failure of it.
AVOIDABLE = ("install", "compiler", "there is no make")
is_strict = "JJ_TESTS_STRICT" in os.environ


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the fault campaign in its full form: as long as an hour")
    parser.addoption("--seed", type=int, default=published.SEED, help="what the random part of the fault campaign begins with")
    parser.addoption("--lane", metavar="DIR", help="share the tests with the other processes that meet in DIR")
    parser.addoption("--last", action="store_true", help="with --lane: the tests that run when all others have ended")


def pytest_configure(config):
    if config.getoption("lane"):
        config.pluginmanager.register(lanes.Lane(config.getoption("lane"), config.getoption("last")))
    config.figures = published.Figures(config.getoption("seed"))


def pytest_sessionstart():
    # Who starts the tests in the background of a script, or with nohup, has these ignored; commands would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    processes.become_subreaper()
    sys.addaudithook(_refuse_the_checkout)


CHANGES = {"os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.remove"}


def _refuse_the_checkout(event, arguments):
    if event not in CHANGES:
        return
    for path in arguments[:2]:
        if isinstance(path, str) and path.startswith(TOP):
            if any(path == taboo or path.startswith(taboo + "/") for taboo in JAR_OF_THE_CHECKOUT):
                raise AssertionError(f"a test is about to change the checkout's own jar: {event} {path}")


def _checkout():
    return {path: os.stat(path).st_mtime_ns for path in JAR_OF_THE_CHECKOUT if os.path.exists(path)}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """HOME is empty and no JJ_ variable is set: nobody's settings reach a test."""
    home = tmp_path_factory.mktemp("home")
    for key in [key for key in os.environ if key.startswith("JJ_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def tidy(clean_environment):
    """A test that leaves a process running, or that used the jar of this checkout, fails."""
    before = _checkout()
    mine = {child.pid for child in processes.children()}
    yield
    names = []
    # What a worker had started comes to light when the worker is gone, and must not be taken for the next test's.
    while left := [child for child in processes.children() if child.pid not in mine]:
        names += [processes.describe(child) for child in left]
        processes.kill(left)
    assert not names, f"the test left processes behind: {names}"
    assert _checkout() == before, "the jar of this checkout was used: give the program JJ_HOME or --home"


@pytest.fixture(autouse=True)
def nothing_stays_open():
    """What is killed within this process closes nothing; of a thousand open files a user may have no more."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    for handle in set(os.listdir("/proc/self/fd")) - before:
        with contextlib.suppress(OSError):
            if jars.is_of_a_test(os.readlink(f"/proc/self/fd/{handle}")):
                os.close(int(handle))


@pytest.fixture
def jar(tmp_path):
    """A new, empty jar."""
    return jars.make(tmp_path / "jar")


@pytest.fixture
def scratch(tmp_path):
    """An empty directory, as a job finds one."""
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@pytest.fixture
def hosts(jar):
    """Two nodes of the jar, each with a host name of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a process a host name of its own")
    yield nodes.Host(jar, "alder"), nodes.Host(jar, "birch.example.org")
    nodes.end_all()


@pytest.fixture(scope="module")
def workplace():
    """A directory for jars by the thousand, in memory where that is possible."""
    with jars.workplace() as path:
        yield path


@pytest.fixture
def own_local(workplace, monkeypatch):
    """A node-local directory that the workers and recoveries forked by this test share with no other test's."""
    path = os.path.join(workplace, "local")
    os.makedirs(path, 0o700, exist_ok=True)
    monkeypatch.setattr(process, "local_directory", lambda: path)
    return path


@pytest.fixture(scope="session")
def full(request):
    """Whether this is the full form of the fault campaign."""
    return request.config.getoption("full")


@pytest.fixture(scope="session")
def seed(request):
    """What random choices begin with."""
    return request.config.getoption("seed")


@pytest.fixture
def some(full, seed):
    """`some(items, every)`: all of them in the full form, else about one in `every`, chosen by the seed."""
    chance = random.Random(seed)

    def choose(items, every):
        items = list(items)
        return items if full else [items[at] for at in sorted(chance.sample(range(len(items)), len(items) // every))]
    return choose


@pytest.fixture
def figures(request):
    """`figures(line)` tells what this test has measured; all are printed at the end."""
    name = request.node.name.partition("[")[0]
    return lambda line: request.config.figures.add(name, line)


@pytest.fixture
def points(request):
    """Counts the points at which a test strikes; the count is printed at the end."""
    collected = invariants.Points()
    yield collected
    name = request.node.name.partition("[")[0]
    request.config.figures.add_points(name, collected.count, len(collected.wrong))


def pytest_terminal_summary(terminalreporter, config):
    skipped = [f"{one.nodeid}: {_reason(one)}" for one in terminalreporter.stats.get("skipped", [])]
    if config.getoption("lane"):
        # They are told once, by whoever started all the processes.
        lanes.report(config.getoption("lane"), terminalreporter.stats, skipped, config.figures.dump())
        return
    for line in [*config.figures.text(), f"skipped: {len(skipped)}", *(f"  {line}" for line in skipped)]:
        terminalreporter.write_line(line)


def _reason(report):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


# A wrapper comes before the session's own, which counts the failures for the exit status.
@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report):
    if is_strict and report.skipped and any(word in _reason(report) for word in AVOIDABLE):
        report.outcome = "failed"
        report.longrepr = f"skipped, which .ci/run could have avoided: {_reason(report)}"
    return (yield)
