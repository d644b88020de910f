"""Our own programs, run as a shell runs them."""

import os
import sys

from support import processes

BIN = os.path.join(processes.TOP, "bin")


def start(program: str, *words: str, interpreter: tuple[str, ...] = (sys.executable,), **more: object):
    """Start a program of bin/ with the interpreter that runs the tests."""
    return processes.spawn(*interpreter, os.path.join(BIN, program), *words, **more)


def run(program: str, *words: str, **more: object) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a program of bin/."""
    return processes.finish(start(program, *words, **more))
