"""The yardsticks: the C program of limit.c, the same in bare Python, and the bare loops that any submission needs."""

import os
import shutil
import subprocess
import sys
import time

from bench.ground import Ground

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = b"#!/bin/sh\nexec /bin/true\n"
# The same job, as the command that submit_job makes these lines of.
COMMAND = "exec /bin/true"
# A file can have about 65,000 names.
NAMES = 60_000


class Missing(Exception):
    """A section cannot be measured here; the sentence says what to install."""


def compiled(ground: Ground, source: str, *options: str) -> str:
    """A C program of this directory, compiled; Missing without a compiler."""
    if not shutil.which("cc"):
        raise Missing("install a C compiler (cc): without it there is nothing to compare with")
    program = os.path.join(ground.top, source.removesuffix(".c"))
    if not os.path.exists(program):
        subprocess.run(["cc", "-O2", *options, "-o", program, os.path.join(HERE, source)], check=True)
    return program


def limit(ground: Ground, mode: str, kind: str, jobs: int, count: int = 2) -> tuple[float, float, float]:
    """Seconds that the C program needs for making so many jobs, for working them off in `count` processes, and those of
    processor time in the latter."""
    program = compiled(ground, "limit.c")
    with ground.directory() as place:
        words = [program, mode, kind, str(jobs), str(count), place]
        made, worked, used = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(made), float(worked), float(used)


def limit_rate(ground: Ground, mode: str, kind: str, jobs: int, used: list[float] | None = None) -> float:
    """Jobs that two processes of the C program work off in a second; into `used`, milliseconds of processor time a
    job."""
    _, took, spent = limit(ground, mode, kind, jobs)
    if used is not None:
        used.append(spent / jobs * 1000)
    return jobs / took


def limit_whole(ground: Ground, mode: str, kind: str, jobs: int) -> float:
    """As `limit_rate`, the making of the jobs included."""
    return jobs / sum(limit(ground, mode, kind, jobs)[:2])


def python_rate(ground: Ground, kind: str, jobs: int) -> float:
    """As `limit_rate` in the mode full, by a loop in bare Python."""
    program = compiled(ground, "limit.c")
    with ground.directory() as place:
        subprocess.run([program, "full", kind, str(jobs), "0", place], check=True, stdout=subprocess.DEVNULL)
        words = [sys.executable, "-I", "-S", os.path.join(HERE, "loop.py"), place, "2"]
        return jobs / float(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def bare_files(ground: Ground, jobs: int) -> float:
    """Jobs that a loop in bare Python submits in a second: a file each, made in one directory, renamed to another."""
    with ground.directory() as place:
        limbo, queue = _pair(place)
        began = time.perf_counter()
        for number in range(jobs):
            name = f"20260301-101502-ada-{number:09}.0"
            handle = os.open(f"{limbo}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
            os.write(handle, SCRIPT)
            os.close(handle)
            os.rename(f"{limbo}/{name}", f"{queue}/{name}")
        return jobs / (time.perf_counter() - began)


def bare_links(ground: Ground, jobs: int) -> float:
    """Tasks that a loop in bare Python submits in a second, each as one more name of a file."""
    with ground.directory() as place:
        limbo, queue = _pair(place)
        began = time.perf_counter()
        for number in range(jobs):
            if number % NAMES == 0:
                file = f"{limbo}/{number}"
                with open(file, "xb") as draft:
                    draft.write(SCRIPT)
            os.link(file, f"{queue}/20260301-101502-ada-123456789_{number}.0")
        return jobs / (time.perf_counter() - began)


def _pair(place: str) -> tuple[str, str]:
    paths = f"{place}/limbo", f"{place}/unclaimed"
    for path in (place, *paths):
        os.mkdir(path)
    return paths


def nothing() -> float:
    """Milliseconds that this interpreter needs for doing nothing."""
    return milliseconds([sys.executable, "-c", "pass"])


def milliseconds(command: list[str]) -> float:
    """How long a command takes."""
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000
