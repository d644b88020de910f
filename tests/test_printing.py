"""What is printed where the terminal's encoding is narrow, or nobody takes the messages."""

import os
import subprocess
import sys

import pytest
from support import processes, programs

NARROW = {"ascii": {"PYTHONIOENCODING": "ascii"}, "latin-1": {"PYTHONIOENCODING": "latin-1"},
          "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}}


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("command", ["list", "show", "explain"])
def test_a_name_that_the_encoding_lacks_is_printed_as_its_bytes(jar, command, kind):
    status, out, err = programs.run("submit_job", "--home", jar.home, "--hold", "--tag=☃", "-i", "x_☃", "true")
    assert (status, err) == (0, "")
    words = [] if command == "list" else [out.strip()]
    status, out, err = programs.run("jobjar", command, "--home", jar.home, *words,
                                    env=processes.environment(**NARROW[kind]))
    assert (status, err) == (0, "") and "-x_\\xe2\\x98\\x83" in out


def test_a_byte_that_is_no_utf8_is_printed_as_it_came_in():
    code = "from jobjar import printing; printing.prepare(); print('x\\udcff')"
    found = subprocess.run([sys.executable, "-c", code], cwd=processes.TOP, stdout=subprocess.PIPE, check=True,
                           env=processes.environment(PYTHONIOENCODING="utf-8:strict"))
    assert found.stdout == b"x\xff\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("words, status", [(["submit_job", "--hold", "-c", "64", "true"], 0), (["submit_job"], 2),
                                           (["jobjar", "show", "nothing"], 3), (["jobjar", "nonsense"], 2)])
def test_messages_that_nobody_takes_change_no_exit_status(jar, words, status):
    with open("/dev/full", "w") as full:
        found = subprocess.run([sys.executable, f"{programs.BIN}/{words[0]}", *words[1:]], stderr=full,
                               stdout=subprocess.DEVNULL, env=processes.environment(JJ_HOME=jar.home))
    assert found.returncode == status
