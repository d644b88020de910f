"""Starting a job that asks for more than a plain one: a directory, files for its streams, limits.

All of it is done in the job's own process, between fork and exec: nothing of the worker changes, and no instant of
the job passes before its limits hold. It costs about a millisecond more than `process.start`.
"""

import json
import os
import signal
from collections import namedtuple
from collections.abc import Callable, Iterator

from jobjar import family, feeding, limits, process
from jobjar.errors import VANISHED

# How a job is to be started; None of what it does not ask for. `output`, `error`, `input`, `feed`: absolute paths;
# `fresh`: what is in the first two is to go; `limits`: as `limits.of` has them; `wrapped`: the program is that of
# --wrap-with.
Terms = namedtuple("Terms", "directory umask input output error fresh nice limits wrapped feed",
                   defaults=(None,) * 5 + (False, None, (), False, None))

_EXEC = "exec"


class Unmet(OSError):
    """What the job has asked for cannot be had here; `why` says it as a sentence."""

    def __init__(self, number: int, option: str, path: str | None) -> None:
        super().__init__(number, os.strerror(number), path)
        what = f"--{option}={path}" if path else f"--{option}"
        self.why = f"{what} cannot be had on this node: {self.strerror}"


def start(words: list[str], environment: dict[str, str], terms: Terms, output: str,
          lock: int) -> tuple[int, int | None]:
    """As `process.start`, on these terms; the program is looked for on the job's own PATH. (Its pid, that of its
    feeder or None.)

    Unmet when the terms cannot be met, OSError as exec gives it.
    """
    if terms.feed is None:
        return _start(words, environment, terms, output, lock, None), None
    feeder, inner = _fed(terms.feed, lock)
    try:
        return _start(words, environment, terms, output, lock, inner), feeder
    except BaseException:
        family.send(feeder, signal.SIGKILL)
        os.waitpid(feeder, 0)
        raise
    finally:
        os.close(inner)


def _fed(path: str, lock: int) -> tuple[int, int]:
    found: list[tuple[int, int]] = []
    try:
        _patiently(lambda: found.append(feeding.start(path, lock)), path)
    except OSError as error:
        raise Unmet(error.errno, "feed", path) from None
    return found[0]


def _start(words: list[str], environment: dict[str, str], terms: Terms, output: str, lock: int,
           fed: int | None) -> int:
    inner, outer = os.pipe2(os.O_CLOEXEC)
    # Between fork and exec a signal would find the worker's handlers, in a process that is not the worker.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, process.SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(_steps(words, environment, terms, output, lock, fed), outer)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(outer)
        with open(inner, "rb") as pipe:
            # Nothing when exec has closed it.
            answer = pipe.read()
    if answer:
        os.waitpid(pid, 0)
        option, number, path = json.loads(answer)
        raise OSError(number, os.strerror(number), path) if option == _EXEC else Unmet(number, option, path)
    return pid


# What belongs to which option, with which path, and how it is done.
Step = tuple[str, str | None, Callable[[], object]]


def _become(steps: Iterator[Step], report: int) -> None:
    """In a fresh child: be the job. Never returns."""
    option, path = _EXEC, None
    try:
        signal.set_wakeup_fd(-1)
        for number in process.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        for option, path, step in steps:
            _patiently(step, path)
    except OSError as error:
        os.write(report, json.dumps([option, error.errno, path]).encode())
    finally:
        os._exit(127)


def _steps(words: list[str], environment: dict[str, str], terms: Terms, output: str, lock: int,
           fed: int | None) -> Iterator[Step]:
    # The worker's own file is made as the worker makes it, whatever the job's umask.
    yield _EXEC, output, lambda: process.connect(output, process.APPEND | os.O_NOFOLLOW, (1, 2), 0o600)
    if terms.nice is not None:
        yield "nice", None, lambda: limits.be_nice(terms.nice)
    if terms.directory is not None:
        yield "chdir", terms.directory, lambda: os.chdir(terms.directory)
    if terms.umask is not None:
        yield "umask", None, lambda: os.umask(terms.umask)
    if fed is None:
        yield "input", terms.input, lambda: process.connect(terms.input or os.devnull, os.O_RDONLY, (0,))
    else:
        yield "feed", None, lambda: os.dup2(fed, 0)
    flags = process.APPEND | (os.O_TRUNC if terms.fresh else 0)
    if terms.output is not None:
        # Both streams, in their order, unless the other has a file of its own.
        yield "output", terms.output, lambda: process.connect(terms.output, flags, (1, 2))
    if terms.error is not None:
        yield "error", terms.error, lambda: process.connect(terms.error, flags, (2,))
    yield _EXEC, None, lambda: os.set_inheritable(lock, True)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if terms.limits:
        yield _EXEC, None, lambda: limits.impose(terms.limits)
    yield "wrap-with" if terms.wrapped else _EXEC, words[0], lambda: os.execvpe(words[0], words, environment)


def _patiently(step: Callable[[], object], path: str | None) -> None:
    try:
        step()
    except OSError as error:
        if path is None or error.errno not in VANISHED:
            raise
        _ask_afresh(path)
        step()


def _ask_afresh(path: str) -> None:
    """Open all directories above `path`, from the top."""
    # NFS: that something was not there a while ago may be remembered, unless its directory is opened anew.
    at = -1
    while (at := path.find("/", at + 1)) >= 0:
        try:
            os.close(os.open(path[:at] or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError:
            return
