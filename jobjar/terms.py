"""What a request means for the start of a job: its command line, its environment, and the terms of `launch`."""

import os
import time
from collections import namedtuple

from jobjar import jobenv, jobname, launch, limits, notes, patterns, tasks, words
from jobjar.directives import Request
from jobjar.errors import UsageError

# What has to be done before the job is there, each in the job's own process.
_BEFORE = frozenset(("chdir", "umask", "input", "feed", "output", "error", "nice", "cpu_time", "file_size",
                     "address_space", "wrap_with"))

# The command line, the environment, and the terms; None: those of a plain job.
Start = namedtuple("Start", "words environment terms")


def of(request: Request, name: str, plain: dict[str, str], factor: float) -> Start:
    """How to start the job `name`, which would find the environment `plain` if it asked for nothing.

    UsageError says why what it asks for makes no sense.
    """
    path = plain["JJ_JOB_FILE"]
    given, line = tasks.prepare(path, name, request)
    found = {**jobenv.with_request(plain, request, time.time()), **given}
    if not _BEFORE.isdisjoint(request):
        prefix = words.split(request["wrap_with"]) if "wrap_with" in request else []
        return Start(prefix + line, found, _terms(request, name, plain, factor))
    return Start(line, found, None)


def _terms(request: Request, name: str, plain: dict[str, str], factor: float) -> launch.Terms:
    directory = _under(request, "chdir", request.get("submit_dir"))
    top = directory or request.get("submit_dir")
    filled = {key: patterns.expand(request[key], lambda letter: _value(letter, request, name, plain))
              for key in ("output", "error") if key in request}
    # Another attempt's output is not to be lost: it may say why there had to be another.
    is_fresh = request.get("open_mode") != "append" and plain["JJ_ATTEMPT"] == "1"
    return launch.Terms(directory, request.get("umask"), request.get("input"), _under(filled, "output", top),
                        _under(filled, "error", top), is_fresh, request.get("nice"), limits.of(request, factor),
                        "wrap_with" in request, request.get("feed"))


def _under(request: Request, key: str, top: str | None) -> str | None:
    """The path that a request names, below `top` unless it is absolute."""
    path = request.get(key)
    if path is None or os.path.isabs(path):
        return path
    if top is None:
        # Below the job's own directory it would be removed with that.
        raise UsageError(f"--{key}={path} is not an absolute path, and nothing says where the job was submitted:"
                         " write it out from the first '/'")
    return os.path.join(top, path)


def _value(letter: str, request: Request, name: str, plain: dict[str, str]) -> str:
    """What stands for a letter of `patterns.LETTERS`."""
    task = jobname.array_task(name) if "array" in request else None
    id = plain["JJ_JOB_ID"]
    if letter == "A":
        return task[0] if task else id
    if letter == "a":
        return str(task[1]) if task else ""
    if letter == "u":
        return notes.login(os.lstat(plain["JJ_JOB_FILE"]).st_uid)
    if letter == "x":
        return jobname.word(task[0] if task else id) or id
    return plain["JJ_NODE"] if letter == "N" else id
