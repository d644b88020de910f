"""The benchmark of `make bench` measures what it says and leaves nothing behind; how fast anything is, is not asked."""

import json
import math
import os
import re
import shutil
import signal

import pytest
from bench import network, peers, rows
from bench.ground import Ground
from bench.rows import Goal, Row
from support import figures, jars, processes

from jobjar import fsadvice, mounts

BENCH = os.path.join(processes.TOP, "tests", "bench")
PAGE = os.path.join(processes.TOP, "docs", "performance.md")
FAST = ("drain", "ends", "submit", "depth", "crowd", "latency")
has_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="install a C compiler (cc): the yardsticks are in C")


def start(place, *words, **more):
    return processes.python(BENCH, "--quick", "--jobs", "20", "--dir", str(place), *words, **more)


def measure(place, *words, **more):
    """What the benchmark prints; there is nothing of it left."""
    status, out, err = processes.finish(start(place, *words, **more), 120)
    assert status == 0, err
    assert os.listdir(place) == []
    return out


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return json.loads(measure(tmp_path_factory.mktemp("bench"), "--json", *FAST))


@has_compiler
def test_each_section_has_rows_whose_ratios_are_numbers(document):
    assert {row["section"] for row in document["rows"]} == set(FAST) and document["missing"] == []
    for row in document["rows"]:
        values = [*row["ours"], *row["base"], *row["ratios"]]
        assert row["ours"] and all(math.isfinite(value) for value in values), row
        assert len(row["ratios"]) == len(row["base"]) in (0, len(row["ours"])), row
    assert {"date", "machine", "command"} < document.keys()


@has_compiler
def test_what_is_to_be_reached_stands_beside_what_was(document):
    goals = {(row["section"], row["what"].partition(",")[0]): row["goal"] for row in document["rows"] if row["goal"]}
    assert goals["drain", "scripts"] == goals["drain", "names of one /bin/true"] == ">= 0.9"
    assert (goals["ends", "submitted and completed"], goals["submit", "one submit_job"]) == (">= 0.75", "<= 1.5")
    assert all(isinstance(row["reached"], bool) for row in document["rows"] if row["goal"])


@has_compiler
def test_system_calls_are_counted_for_a_job(tmp_path):
    if not shutil.which("strace"):
        pytest.skip("install strace: it counts the system calls of a worker")
    document = json.loads(measure(tmp_path, "--json", "calls"))
    if document["missing"]:
        pytest.skip(document["missing"][0])
    found = {row["what"]: row for row in document["rows"]}
    for who in ("ours", "base"):
        # Claim and completion. A module that is imported late may come with a call of its own.
        renames = [sum(found[name][who]) for name in ("rename", "renameat2") if name in found]
        assert round(sum(renames)) == 2, (who, found)


@has_compiler
def test_the_table_is_printed(tmp_path):
    heading, *lines = measure(tmp_path, "ends").splitlines()
    assert heading.split()[:2] == ["section", "what"] and len(lines) == 1
    assert lines[0].startswith("ends ") and "C, any queue's calls: " in lines[0] and "≥ 0.75" in lines[0]


@has_compiler
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_it_is_ended_early_its_workers_end_too_and_its_jars_are_gone(tmp_path, number):
    bench = start(tmp_path, "ends", "--rounds", "100000")
    # The first jar is that of the job with which the modules are compiled.
    processes.until(lambda: bench.poll() is not None or any(tmp_path.glob("*/2/completed/*")), "jobs at work")
    bench.send_signal(number)
    assert processes.finish(bench)[0] != 0
    assert os.listdir(tmp_path) == []
    # That no process is left is seen by the fixture of all tests.


def test_without_a_compiler_a_sentence_says_what_is_missing(tmp_path):
    said = measure(tmp_path, "ends", env=processes.environment(PATH="/nowhere"))
    assert said.splitlines()[-1].startswith("ends: install a C compiler (cc)")


def test_peers_that_are_installed_have_rows_and_the_others_are_named(tmp_path):
    programs, place = tmp_path / "bin", tmp_path / "place"
    place.mkdir()
    programs.mkdir()
    for name in ("sh", "seq", "mkdir", "xargs"):
        (programs / name).symlink_to(shutil.which(name))
    # It does its jobs when it is waited for.
    (programs / "nq").write_text('#!/bin/sh\nmkdir -p "$NQDIR"\nif [ "$1" = -w ]; then . "$NQDIR/jobs"; exit; fi\n'
                                 'shift; { printf "\'%s\' " "$@"; echo; } >> "$NQDIR/jobs"\n')
    (programs / "nq").chmod(0o755)
    document = json.loads(measure(place, "--json", "peers", env=processes.environment(PATH=str(programs))))
    assert [(row["yardstick"], row["what"], row["goal"]) for row in document["rows"]] == [
        ("nq", "20 scripts, submitted and completed", ">= 1"),
        ("nq", "20 files of /bin/true, submitted and completed", ">= 1"),
        ("nq", "20 names of /bin/true, completed", ">= 1"),
        ("xargs", "20 scripts, submitted and completed", None),
        ("xargs", "20 files of /bin/true, submitted and completed", None)]
    assert document["missing"] == ["peers: not compared with parallel (parallel), tsp (task-spooler), HyperQueue (pip's"
                                   " hyperqueue for the python3 on PATH), make (make), which would have to be"
                                   " installed"]


def test_hyperqueue_does_its_tasks_and_takes_those_of_a_file(tmp_path):
    if not peers.HYPERQUEUE.is_there():
        pytest.skip("the python3 on PATH has no hyperqueue (pip has it): it is measured where it is")
    here, lines = Ground(str(tmp_path), 1, 20, True), tmp_path / "lines"
    lines.write_text("a\nb\n")
    measured = (peers.HYPERQUEUE.end_to_end(here, 20), peers.HYPERQUEUE.drained(here, 20),
                peers.HYPERQUEUE.submitted(here, 20), peers.HYPERQUEUE.submitted(here, 2, str(lines)))
    assert all(math.isfinite(rate) and rate > 0 for rate in measured)


def test_a_section_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    status, _, err = processes.finish(start(tmp_path, "speed"))
    assert status == 2 and "there is no section 'speed': the sections are drain, ends" in err


MOUNTSTATS = """\
device /dev/sda1 mounted on / with fstype ext4
device srv:/export/a mounted on /net/a with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2,rsize=32768
\tevents:\t3 4 0
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\ttcp 0 0 2 0 2 89 89 0 89 0 2 0 0
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 1 0
\t     GETATTR: 12 13 0 152 240 0 0 0 0
\t OPEN_NOATTR: 3 3 0 0 0 0 0 0 0
\t       WRITE: 0 0 0 0 0 0 0 0 0
\t    SEQUENCE: 9 9 0 1044 720 0 5 6 0

device srv:/export/b mounted on /net/b with fstype nfs statvers=1.1
\tper-op statistics
\t     GETATTR: 700 700 0 152 240 0 0 0 0
\t READDIRPLUS: 2 2 0 152 240 0 0 0 0
"""


def test_requests_are_those_of_the_mount_that_is_meant_and_not_what_is_asked_for_the_mounts_own_sake():
    assert network.requests(MOUNTSTATS, "/net/a") == {"GETATTR": 12, "OPEN_NOATTR": 3}
    assert network.requests(MOUNTSTATS, "/net/b") == {"GETATTR": 700, "READDIRPLUS": 2}
    assert network.requests(MOUNTSTATS, "/") == network.requests(MOUNTSTATS, "/net/c") == {}


def test_without_a_directory_on_nfs_a_sentence_says_that_one_is_missing(tmp_path):
    if mounts.of(str(tmp_path)).kind in fsadvice.NFS:
        pytest.skip("take a directory for temporary files that is no network file system's")
    assert measure(tmp_path, "network").splitlines()[-1].startswith("network: give a directory on NFS with --dir")


def test_a_ratio_is_that_of_a_round_and_its_median_is_held_against_the_goal():
    row = Row("drain", "jobs", "jobs/s", [90, 40, 100], "C", [100, 100, 50], Goal(">=", 0.9))
    assert row.ratios() == [0.9, 0.4, 2] and row.is_reached()
    assert row.cells() == ("drain", "jobs", "90.0 (40.0 to 100) jobs/s", "C: 100 (50.0 to 100) jobs/s",
                           "0.90 (0.40 to 2.00)", "≥ 0.9", "yes")
    assert Row("drain", "jobs", "jobs/s", [89], "C", [100], Goal(">=", 0.9)).is_reached() is False
    assert Row("idle", "time", "ms", [4, 9, 3], goal=Goal("<=", 5)).is_reached()
    assert Row("idle", "time", "ms", [4, 9, 6], goal=Goal("<=", 5)).cells()[-2:] == ("≤ 5 ms", "no")


def test_things_are_measured_in_turn_and_not_always_in_the_same_order():
    said = []
    assert rows.in_turn(2, lambda: said.append("a") or 1, lambda: said.append("b") or 2) == [[1, 1], [2, 2]]
    assert said == ["a", "b", "b", "a"]


def test_what_is_over_stays_until_its_section_is(tmp_path):
    here = Ground(str(tmp_path), 1, 1, True)
    with here.directory() as place:
        os.mkdir(place)
    assert os.listdir(tmp_path) == [os.path.basename(place)]
    here.sweep()
    assert os.listdir(tmp_path) == []


def test_the_table_comes_between_the_marks_of_its_page_and_all_else_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: made by make bench -->\nold\n<!-- /figures -->\nafter\n")
    figures.publish(rows.markdown([Row("ends", "jobs", "jobs/s", [150])]), str(page), "make bench")
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- /figures -->\nafter\n") and "old" not in text
    assert "| ends | jobs | 150 jobs/s |" in text


def test_the_page_describes_each_section_and_has_room_for_the_figures():
    text = jars.read(PAGE)
    described = re.findall(r"^\| `(\w+)` \|", text, re.M)
    status, out, _ = processes.finish(processes.python(BENCH, "--help"))
    assert status == 0 and ", ".join(described) in " ".join(out.split())
    assert "<!-- figures: made by make bench -->" in text
