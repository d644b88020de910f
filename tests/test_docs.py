"""What README.md and docs/ say is true: their commands are typed in as a newcomer would, and their tables compared."""

import os
import shutil
import subprocess
import sys

import pytest

from support import documents, processes

TOP = processes.TOP
GUIDE = os.path.join(TOP, "docs", "guide.md")
README = os.path.join(TOP, "README.md")

# Command → why it is not typed in, and what tests it instead.
NOT_TYPED = {
    "make test": "this test is part of it",
    "python3 -m venv ~/venv": "needs the network; tests/test_packaging.py installs the package",
    "~/venv/bin/pip install ~/jobjar": "as the line above it",
    "~/venv/bin/jobjar init ~/jar": "as the line above it",
    "crontab -l | cat - ~/worker.cron ~/recover.cron | crontab -": "tests/test_cron.py does it where it may",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def shell(tmp_path):
    """A shell of somebody who has just put a checkout into the home directory."""
    home = tmp_path / "home"
    home.mkdir()
    check_out(str(home / "jobjar"))
    root = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    shell = documents.Shell(str(home), JJ_NODE="rain", **root)
    yield shell
    shell.close()
    processes.kill(processes.children())


def check_out(target):
    """The files of this checkout as git has them, with the tests' packages as what `make` has made."""
    names = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard"], cwd=TOP, check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if os.path.isfile(os.path.join(TOP, name)):
            os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
            shutil.copy2(os.path.join(TOP, name), os.path.join(target, name))
    environment = os.path.join(target, ".venv")
    os.mkdir(environment)
    for name in ("bin", "lib", "pyvenv.cfg"):
        os.symlink(os.path.join(sys.prefix, name), os.path.join(environment, name))
    open(os.path.join(environment, "made"), "w").close()


@pytest.mark.slow
def test_a_newcomer_who_follows_the_guide_meets_no_surprise(shell):
    wrong = documents.follow(read(GUIDE), shell, NOT_TYPED)
    assert not wrong, "\n\n".join(wrong)
