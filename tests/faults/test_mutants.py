"""Whether the tests can see: deliberate defects of the protocol, each caught by the tests that its patch names.

Each file in mutants/ is a patch for a copy of the program. Its first line says what is wrong with the mutant, the
lines "Caught by:" name tests of the short form. All of them must pass in a copy as it is, and fail, by what they
assert, in a copy with the patch. docs/reliability.md shows the table.
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from support import documents, jars, patches, processes

PATCHES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mutants")
PAGE = os.path.join(processes.TOP, "docs", "reliability.md")
BLOCK = re.compile(r"<!-- mutants: made from tests/faults/mutants -->\n(.*?)<!-- /mutants -->", re.S)
CAUGHT_BY = "Caught by: "
AT_ONCE = min(3, len(os.sched_getaffinity(0)))
PATIENCE = 120.0

# What a test says that has seen something; an error of any other kind may be the patch's own.
SEEN = ("AssertionError", "assert ", "Failed: DID NOT RAISE")

# `status`: pytest's; `failed`: test → what it said; `passed`: tests; `said`: all that was printed.
Run = namedtuple("Run", "status failed passed said")


def _mutants():
    return sorted(name.removesuffix(".patch") for name in os.listdir(PATCHES))


def _header(name):
    """(what is wrong with the mutant, the tests that see it)"""
    words, _ = patches.parse(jars.read(_path(name)))
    return words[0], [line.removeprefix(CAUGHT_BY) for line in words[1:]]


def _path(name):
    return os.path.join(PATCHES, name + ".patch")


def _run(top, tests):
    """These tests, of the copy `top`, by an interpreter of their own."""
    report, temporary = os.path.join(top, "report.xml"), os.path.join(top, "tmp")
    os.makedirs(temporary, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", f"--junit-xml={report}", *tests]
    process = subprocess.Popen(command, cwd=top, env=processes.environment(TMPDIR=temporary), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        said, _ = process.communicate()
        return Run(None, {}, [], f"after {PATIENCE:.0f} s it had not ended; {said}")
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {_test(case): found.get("message", "") for case in cases for found in case.iter("failure")}
    return Run(process.returncode, failed, [_test(case) for case in cases if len(case) == 0], said)


def _test(case):
    return f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"


def _run_sound(top, tests):
    """As `_run`; a test that is not there does not keep the others from being run."""
    run = _run(top, tests)
    missing = [test for test in tests if f"not found: {os.path.join(top, test)}\n" in run.said]
    return _run(top, [test for test in tests if test not in missing]) if missing else run


def _run_mutant(workplace, sound, name):
    """The run of the tests that the mutant's patch names, or what does not fit, in words."""
    top = os.path.join(workplace, name)
    # With the byte code, which saves most of the start.
    shutil.copytree(sound, top, symlinks=True, ignore=shutil.ignore_patterns("tmp", "report.xml"))
    wrong = patches.apply(_path(name), top)
    run = Run(None, {}, [], wrong[0]) if wrong else _run(top, _header(name)[1])
    shutil.rmtree(top, ignore_errors=True)
    return run


def _wanted(request):
    """The mutants that this run of the tests is about, so that one may be asked for alone."""
    names = (getattr(item, "callspec", None) for item in request.session.items if item.path == request.path)
    return sorted({spec.params["name"] for spec in names if spec})


@pytest.fixture(scope="module")
def runs(request):
    """Mutant → its Run, and "" → that of the copy as it is."""
    names = _wanted(request)
    with jars.workplace() as workplace:
        sound = os.path.join(workplace, "sound")
        documents.check_out(sound)
        tests = sorted({test for name in names for test in _header(name)[1]})
        found = {"": _run_sound(sound, tests)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield found | dict(zip(names, pool.map(lambda name: _run_mutant(workplace, sound, name), names)))


@pytest.mark.parametrize("name", _mutants())
def test_a_mutant_is_caught(name, runs):
    _, tests = _header(name)
    run, sound = runs[name], runs[""]
    bad = set(tests) - set(sound.passed)
    assert not bad, f"{bad} is not there, or does not pass without the patch:\n{sound.said}"
    assert run.status == 1, f"the mutant lives, or the tests could not be run:\n{run.said}"
    assert sorted(run.failed) == sorted(tests), f"not seen by all of its tests:\n{run.said}"
    blind = {test: said for test, said in run.failed.items() if not said.startswith(SEEN)}
    assert not blind, f"these fail without having seen a violation: {blind}"


def test_there_are_mutants_enough_and_each_is_a_defect_of_its_own():
    bugs = [_header(name)[0] for name in _mutants()]
    assert len(set(bugs)) == len(bugs) >= 15
    for name in _mutants():
        bug, tests = _header(name)
        assert 20 < len(bug) < 120 and tests and "::" in tests[0], f"{_path(name)}: its first lines say too little"


def _table():
    rows = ""
    for name in _mutants():
        bug, tests = _header(name)
        rows += f"| {bug} | {', '.join(f'`{test}`' for test in tests)} |\n"
    return f"| defect | caught by |\n|---|---|\n{rows}"


def test_the_page_shows_the_mutants():
    found = BLOCK.search(jars.read(PAGE))
    assert found, f"{PAGE} has no place for the mutants"
    assert found[1] == _table(), f"{PAGE} has another table; put this there:\n{_table()}"


def test_a_patch_that_fits_no_more_says_that_it_is_to_be_renewed_and_changes_nothing(tmp_path):
    jars.write(str(tmp_path / "a.py"), "one\ntwo\n")
    jars.write(str(tmp_path / "b.py"), "one\ntwo\n")
    patch = jars.write(str(tmp_path / "x.patch"), "A defect\nCaught by: t\n--- a/a.py\n+++ b/a.py\n@@ -9,2 +9,2 @@\n one\n"
                       "-two\n+2\n--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-three\n+3\n")
    [said] = patches.apply(patch, str(tmp_path))
    assert "does not fit b.py" in said and "Renew the patch" in said
    assert jars.read(str(tmp_path / "a.py")) == "one\ntwo\n"
    jars.write(str(tmp_path / "c.patch"), jars.read(patch).replace("three", "one"))
    assert patches.apply(str(tmp_path / "c.patch"), str(tmp_path)) == []
    assert (jars.read(str(tmp_path / "a.py")), jars.read(str(tmp_path / "b.py"))) == ("one\n2\n", "3\ntwo\n")
