"""The computation SR of docs/examples, from the seed job to the table, also when a worker is killed in between."""

import os
import signal

import pytest
from support import jars, processes, programs

EXAMPLES = os.path.join(processes.TOP, "docs", "examples")
TEXTS = ["the one and the other", "the end", "and so on", "one"]
TABLE = """\
the                  3
and                  2
one                  2
end                  1
on                   1
other                1
so                   1
11 words, 7 different ones, in 4 files
"""


@pytest.fixture
def source(tmp_path):
    """The input of a computation: four files, in a directory with a blank in its name."""
    directory = tmp_path / "some data"
    directory.mkdir()
    paths = [directory / f"text{number}" for number in range(len(TEXTS))]
    for path, text in zip(paths, TEXTS):
        path.write_text(text)
    (directory / "sr").write_text("\n".join(map(str, paths)) + "\n")
    return str(directory / "sr")


@pytest.fixture
def work(jar):
    """Start a worker of the jar; it ends when it has had nothing to do for so many seconds."""
    env = processes.environment(JJ_HOME=jar.home)

    def start(idle="1"):
        return programs.start("start_worker", "--foreground", "--idle-exit", idle, env=env)
    return start


def submit(jar, program, *words):
    env = processes.environment(JJ_HOME=jar.home)
    code, _, err = programs.run("submit_job", f"'{EXAMPLES}/{program}'", *words, env=env)
    assert code == 0, err


def distribute(jar, source, workers):
    submit(jar, "distribute_sr", f"'-input={source}'", "-start=1", "-end=4", f"-workers={workers}")


def has(path):
    return lambda: os.path.exists(path)


def printed(jar):
    return {name: jars.read(jar.log(name)) for name in sorted(os.listdir(jar.logs))}


@pytest.mark.parametrize("workers", [1, 3, 4, 9])
def test_the_seed_job_ends_in_the_table_with_any_number_of_parts(jar, source, work, workers):
    distribute(jar, source, workers)
    processes.finish(work())
    assert jars.read(source + ".table") == TABLE
    assert os.listdir(jar.failed) == [] == os.listdir(jar.unclaimed)
    merged = [text for name, text in printed(jar).items() if "merge_sr" in name]
    assert merged == [TABLE]


def test_the_seed_job_submits_a_job_for_each_part_and_the_monitor(jar, source, work):
    distribute(jar, source, 2)
    worker = work()
    # What is no file is a reservation.
    processes.until(lambda: any("distribute" in jars.read(path) for name in os.listdir(jar.completed)
                                if os.path.isfile(path := os.path.join(jar.completed, name))), "the seed job ends")
    processes.finish(worker)
    commands = [jars.read(os.path.join(jar.completed, name)).splitlines()[1] for name in os.listdir(jar.completed)]
    runs = sorted(command.rpartition("/")[2] for command in commands if "run_sr" in command)
    assert [run.split()[-2:] for run in runs] == [["1", "2"], ["3", "4"]]
    assert sum("monitor_sr" in command for command in commands) >= 1


def test_the_monitor_comes_back_with_its_low_priority_until_all_parts_are_there(jar, source, work):
    os.mkdir(source + ".parts")
    submit(jar, "monitor_sr", f"'{source}'", "sr1", "1-4")
    worker = work("5")
    again = processes.until(lambda: [n for n in os.listdir(jar.completed) if "monitor_sr" in n], "it comes back")
    assert again[0].endswith(".0") and not os.path.exists(source + ".table")
    submit(jar, "run_sr", f"'{source}'", "1", "4")
    processes.until(has(source + ".table"))
    worker.terminate()
    processes.finish(worker)
    assert jars.read(source + ".table") == TABLE


def test_the_monitor_gives_up_when_a_part_has_failed(jar, source, work):
    os.remove(os.path.join(os.path.dirname(source), "text2"))
    distribute(jar, source, 4)
    processes.finish(work())
    failed = sorted(name.partition(".")[2] for name in os.listdir(jar.failed))
    assert failed == ["monitor_sr.-5", "run_sr.0"]
    assert any("these jobs have failed" in text for text in printed(jar).values())
    assert os.listdir(jar.unclaimed) == []


def test_a_job_that_is_run_twice_does_no_harm(jar, source, work):
    for _ in range(2):
        distribute(jar, source, 3)
    processes.finish(work())
    assert jars.read(source + ".table") == TABLE
    assert os.listdir(jar.failed) == []


def test_a_worker_killed_in_the_middle_changes_nothing_of_the_table(jar, source, work):
    # A fifo holds the job in the middle of its reading until the worker is dead.
    held = os.path.join(os.path.dirname(source), "text3")
    os.remove(held)
    os.mkfifo(held)
    distribute(jar, source, 4)
    worker = work()
    processes.until(lambda: is_running(jar, " 4 4"), "the last part is being computed")
    worker.send_signal(signal.SIGKILL)
    processes.finish(worker)
    os.remove(held)
    jars.write(held, TEXTS[3])
    code, out, err = programs.run("recover_stranded", "--kill-orphans", env=processes.environment(JJ_HOME=jar.home))
    assert code == 0 and "→ unclaimed/" in out, err
    processes.finish(work())
    assert jars.read(source + ".table") == TABLE
    parts = [name for name in os.listdir(source + ".parts") if not name.startswith(".")]
    assert sorted(parts) == ["1-1", "2-2", "3-3", "4-4"]


def is_running(jar, words):
    """Whether a worker has a job with these words in its command; a link in claimed/ may be out of date at once."""
    try:
        return any(words in jars.read(os.path.join(jar.claimed, name)) for name in os.listdir(jar.claimed))
    except FileNotFoundError:
        return False
