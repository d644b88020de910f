"""The system calls that a worker makes for a job, beside those of the C program that has the same to do."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from bench import yardsticks
from bench.ground import Ground, command
from bench.rows import Row

import jobjar

LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)
# What may ask a file server.
PATHS = {"open", "openat", "stat", "lstat", "newfstatat", "statx", "readlink", "rename", "renameat2", "link", "symlink",
         "unlink", "mkdir", "rmdir", "getdents64", "write", "fsync", "utimensat", "access"}


def calls(ground: Ground) -> Iterator[Row]:
    """Counted by strace in runs of two lengths; those of the job itself, from its fork on, are not among them."""
    if not shutil.which("strace"):
        raise yardsticks.Missing("install strace: it counts the system calls of a worker")
    few, many = ground.size(100, 5), ground.size(600, 25)
    ours = _per_job(few, many, lambda jobs: _worker(ground, jobs))
    base = _per_job(few, many, lambda jobs: _limit(ground, jobs))
    yield _row("all", ours.values(), base.values())
    yield _row("on files and directories", *([each[name] for name in each if name in PATHS] for each in (ours, base)))
    for name in sorted(ours, key=lambda name: -ours[name]):
        if ours[name] >= 0.5:
            yield Row("calls", name, "a job", [ours[name]], "C, a worker's calls", [base[name]] if base[name] >= 0.5 else ())


def _row(what: str, ours: Iterable[float], base: Iterable[float]) -> Row:
    return Row("calls", what, "a job", [sum(ours)], "C, a worker's calls", [sum(base)])


def _per_job(few: int, many: int, count: Callable[[int], Counter]) -> Counter:
    less, more = count(few), count(many)
    return Counter({name: max(0.0, (more[name] - less[name]) / (many - few)) for name in more})


def _worker(ground: Ground, jobs: int) -> Counter:
    with ground.jar() as jar:
        jobjar.submit_jobs([yardsticks.COMMAND] * jobs)
        return _count(ground, command("start_worker", jar, "--foreground", "--idle-exit", "0.1"))


def _limit(ground: Ground, jobs: int) -> Counter:
    program = yardsticks.compiled(ground, "limit.c")
    with ground.directory() as place:
        # Names of one file, for the files of scripts are made by the same process.
        return _count(ground, [program, "worker", "link", str(jobs), "1", place]) - Counter(link=jobs)


def _count(ground: Ground, words: list[str]) -> Counter:
    record = os.path.join(ground.top, "calls")
    found = subprocess.run(["strace", "-c", "-o", record, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    if found.returncode:
        raise yardsticks.Missing(f"nobody may trace processes here: {found.stderr.strip()}")
    with open(record, encoding="ascii") as file:
        return Counter({name: int(count) for count, name in LINE.findall(file.read()) if name != "total"})
