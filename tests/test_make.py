"""The Makefile: what it says when it cannot work, what it removes, and that its lists are those of setup.cfg.

That `make` and `make demo` work is tested with the documents, where a newcomer types them.
"""

import os
import re
import shutil
import subprocess

import pytest
from support import processes

TOP = processes.TOP

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@pytest.fixture
def top(tmp_path):
    """A directory, with a blank in its name, in which make finds what it reads."""
    top = tmp_path / "some checkout"
    top.mkdir()
    for name in ("Makefile", "setup.cfg"):
        shutil.copy(os.path.join(TOP, name), top)
    for name in ("jobjar", "bin", "tests", "docs"):
        (top / name).mkdir()
    return top


@pytest.fixture
def python(top):
    """A python3 that is new enough and makes a .venv in which pip writes down what it was told to install."""
    def make(is_old=False, has_venv=True, has_network=True):
        file = top / "python3"
        file.write_text(f"""#!/bin/sh
case "$*" in
*version_info*) exit {int(is_old)} ;;
*ensurepip*) exit {int(not has_venv)} ;;
--version) echo Python 3.11 ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*"-m pip"*) for last; do :; done; cat "$last" >> installed; exit {int(not has_network)} ;;
*) echo "unexpected: $*"; exit 1 ;;
esac
""")
        file.chmod(0o755)
        return "PYTHON=./python3"
    return make


def make(top, *words):
    return processes.finish(processes.spawn("make", *words, cwd=top))


def listed(heading):
    with open(os.path.join(TOP, "setup.cfg"), encoding="utf-8") as file:
        text = file.read()
    return re.search(rf"^{heading} =\n((?:    .*\n)+)", text, re.MULTILINE)[1].split()


def test_it_installs_what_setup_cfg_lists_and_only_once(top, python):
    word = python()
    assert make(top, word)[0] == 0
    assert (top / "installed").read_text().split() == listed("install_requires")
    assert make(top, ".venv/made-tests", word)[0] == 0
    assert (top / "installed").read_text().split() == listed("install_requires") + listed("test")
    assert make(top, word)[0] == 0
    assert len((top / "installed").read_text().split()) == len(listed("install_requires") + listed("test"))


@pytest.mark.parametrize("trouble, words", [
    ({"is_old": True}, "no Python 3.11 or newer among ./python3"),
    ({"has_venv": False}, "the package python3-venv"),
    ({"has_network": False}, "is there a network"),
])
def test_what_is_missing_is_one_sentence_with_the_remedy(top, python, trouble, words):
    code, _, err = make(top, python(**trouble))
    assert code == 2 and words in err.splitlines()[0]
    assert not (top / ".venv" / "made").exists()


def test_what_could_not_be_finished_is_taken_up_again(top, python):
    assert make(top, python(has_network=False))[0] == 2
    shutil.rmtree(top / ".venv")
    assert make(top, python())[0] == 0


def test_clean_removes_what_was_made_and_nothing_else(top, python):
    make(top, python())
    (top / "unclaimed").mkdir()
    (top / "unclaimed" / "__pycache__").mkdir()
    (top / "jobjar" / "__pycache__").mkdir()
    kept = sorted(set(os.listdir(top)) - {".venv"})
    assert make(top, "clean")[0] == 0
    assert sorted(os.listdir(top)) == kept
    assert os.listdir(top / "jobjar") == [] and os.listdir(top / "unclaimed") == ["__pycache__"]


def test_the_script_of_the_ci_is_a_script_that_calls_make_test():
    path = os.path.join(TOP, ".ci", "run")
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    with open(path, encoding="utf-8") as file:
        assert file.read().splitlines()[-1] == "make test"
