"""One claimed job, from its fresh directory to its exit status.

Nothing of a job survives this module: `run` returns only when no process of the job lives any more.
"""

import errno
import os
import resource
import stat
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import blame, fsops, jobenv, launch, limits, process, resync, spool, staging, terms
from jobjar.capture import Capture
from jobjar.directives import Request
from jobjar.ending import QUIT, Ending
from jobjar.errors import VANISHED, JobJarError, UsageError
from jobjar.layout import Jar, Place
from jobjar.terms import Start

# How a run came out: it ENDED, QUIT on request, or as `blame` has it: it was not started. `state` is that of a job
# which was told to end (TIMEOUT, OUT_OF_MEMORY, CANCELLED), else None; `why` says the reason as a sentence.
ENDED = "ended"
# `peak`: the most memory, in KiB, that its processes were seen to have together.
Outcome = namedtuple("Outcome", "kind start status usage why dropped state peak",
                     defaults=(None, None, None, None, 0, None, 0))

BUSY_TEXT, TRY_AGAIN = 30.0, 0.05
# How soon a job is thought a long one, in s.
LONG_JOB = 0.1
# How often the output of a job that prints is looked at, in s.
LOOK_AT_OUTPUT = 1.0
# What an end line says of its use, and getrusage's names for it.
_USED = [(key, "ru_" + key) for key in ("maxrss", "minflt", "majflt", "inblock", "oublock", "nvcsw", "nivcsw")]


class Runner:
    """Runs jobs one after the other in the directory of one worker."""

    def __init__(self, jar: Jar, owner: str, lock: int, max_log: int, limit_factor: float, base: dict[str, str],
                 wait: Callable[[float], None], report: Callable[[str], None]) -> None:
        self.jar = jar
        self.directory = jar.worker(owner)
        self.scratch = os.path.join(self.directory, "scratch")
        self.output = os.path.join(self.directory, "output")
        self._capture = Capture(self.output, max_log, report, self._set_aside)
        self._lock = lock
        self._factor = limit_factor
        self._base = {**base, "JJ_HOME": jar.home, "JJ_WORKER_HOME": jar.workers, "JJ_WORKER": owner,
                      "JJ_SCRATCH_DIR": self.scratch, "TMPDIR": self.scratch}
        self._wait = wait
        self._report = report
        self._caches = resync.Caches()
        self._stream = -1
        self._has_scratch = False
        # How the empty scratch directory looks; None where that does not tell whether anything was made in it.
        self._as_new: tuple | None = None
        self._is_local = not resync.is_on_remote(self.directory)
        # Whether the job before was a short one, with no sleep since.
        self.is_hurrying = False
        self._has_output = True
        self._feeder: int | None = None
        process.keep_descriptors()

    def run(self, place: Place, attempt: str, tries: int, request: Request, tick: Callable[[float], float],
            quit: Callable[[], bool], cancelled: Callable[[], str | None], lasts: Callable[[], None],
            head: bytes = b"", has_changed: Callable[[], bool] = lambda: False) -> Outcome:
        """Run the job at `place`, which asks for `request` and whose file begins with `head`, to its end.

        `tick(seconds)` is called while it runs, with the seconds it has run, and returns after how many it wants to be
        called again; `quit()` says whether the job must be ended now, to be run again; `cancelled()` why nobody wants
        it any more, or None; `lasts()` is called when it is no short job; `has_changed()` says whether the file is
        another by now than the one that asks for `request`: it is not started then if somebody was writing it.
        """
        self._capture.dropped, self.is_hurrying, self._has_output = 0, False, True
        try:
            self._make_scratch()
            self._stream = self._capture.open()
        except OSError as error:
            return Outcome(blame.of_node(error), why=f"no scratch directory, or no file for what it prints: {error}")
        try:
            staging.lay_out(self.jar, request, self.scratch)
        except OSError as error:
            return Outcome(blame.of_node(error), why=f"its files could not be laid out: {error}")
        except JobJarError as error:
            return Outcome(blame.REFUSED, why=str(error))
        if "output" in request:
            # Whoever was to print it may have gone long ago.
            request = spool.outlived(self.jar, request)
        path = self.jar.path(place)
        environment = jobenv.environment(self.jar, self._base, place, attempt, tries)
        try:
            begin = terms.of(request, place.name, environment, self._factor) if request else \
                Start([path], environment, None)
            # NFS: what other nodes have written for it is to be seen here.
            self._caches.forget(request, path, head, self.scratch)
            began, start = time.monotonic(), time.time()
            pid = self._start(path, begin, quit, has_changed)
        except UsageError as error:
            return Outcome(blame.REFUSED, why=str(error))
        except OSError as error:
            kind, why = blame.of_start(error, path)
            return Outcome(kind, why=why)
        ending = Ending(pid, request, self._factor, quit, cancelled, self._feeder)
        status, usage = self._until_end(pid, began, tick, ending, lasts)
        process.bury(self._wait, self._report, ending.family, ending.told)
        self._has_output = self._capture.bound() != 0
        # NFS: what it has had written on other nodes is to be seen here by whatever looks next.
        self._caches.forget_again()
        if ending.reason in (None, QUIT):
            # A job that was told to end with its worker and still ended well has done its work.
            kind, state = QUIT if status and quit() else ENDED, None
            why = limits.reached(request, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None
        else:
            kind, state, why = ENDED, ending.reason, ending.why
        return Outcome(kind, start, status, usage, why, self._capture.dropped, state, ending.peak)

    def is_fit(self) -> bool:
        """Whether this node can start anything: when it can, what a job could not be started for is its own doing."""
        try:
            self._make_scratch()
            pid = process.start(["/bin/sh", "-c", ":"], self._base, self._capture.open(), self._lock)
            return os.waitpid(pid, 0)[1] == 0 and not os.statvfs(self.directory).f_flag & os.ST_NOEXEC
        except OSError:
            return False

    def _start(self, path: str, begin: Start, quit: Callable[[], bool], has_changed: Callable[[], bool]) -> int:
        deadline, was_seen, self._feeder = time.monotonic() + BUSY_TEXT, False, None
        while True:
            try:
                return self._spawn(begin.words, begin)
            except OSError as error:
                if error.errno == errno.ENOEXEC and begin.words[0] == path and blame.is_text(path):
                    # A text without #! is run by the shell, as shells themselves do.
                    return self._spawn(["/bin/sh", *begin.words], begin)
                # RACE: somebody still has the file open for writing: a `cp` straight into unclaimed/.
                may_pass = error.errno == errno.ETXTBSY
                if error.errno in VANISHED:
                    # NFS: looking for it renews what the cache knows, so only the next "no" is about the interpreter.
                    is_hidden = blame.is_hidden(error, path)
                    may_pass, was_seen = is_hidden or not was_seen, not is_hidden
                if not may_pass or time.monotonic() > deadline or quit():
                    raise
                self._rest(TRY_AGAIN)
                if error.errno == errno.ETXTBSY and has_changed():
                    raise

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # What could not be started was a process all the same, whose end cuts the first wait short.
        while (left := until - time.monotonic()) > 0.0:
            self._wait(left)

    def _spawn(self, words: list[str], begin: Start) -> int:
        if begin.terms is None:
            return process.start(words, begin.environment, self._stream, self._lock)
        pid, self._feeder = launch.start(words, begin.environment, begin.terms, self.output, self._lock)
        return pid

    def _until_end(self, pid: int, began: float, tick: Callable[[float], float], ending: Ending,
                   lasts: Callable[[], None]) -> tuple[int, object]:
        pause, is_long = LONG_JOB, False
        while True:
            self._wait(pause)
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                # Whoever is woken late has not seen it become long.
                self.is_hurrying = time.monotonic() - began < LONG_JOB
                return status, usage
            ran = time.monotonic() - began
            if not is_long and ran >= LONG_JOB:
                is_long = True
                self._note_session(pid)
                lasts()
            pause = max(0.0, min(LONG_JOB - ran, 1.0)) if not is_long else tick(ran)
            pause = min(pause, ending.look(ran))
            if self._capture.bound():
                pause = min(pause, LOOK_AT_OUTPUT)

    def _note_session(self, pid: int) -> None:
        try:
            process.note_session(self._lock, pid)
        except OSError as error:
            # One of several ways to find what a dead worker has left running; the others will have to do.
            self._report(f"the job's session could not be noted: {error}")

    def has_output(self) -> bool:
        """Whether the last job has printed anything that has not been moved away."""
        return self._has_output and self._capture.has_any()

    def _make_scratch(self) -> None:
        if not self._has_scratch:
            if not fsops.make_directory(self.scratch, 0o700):
                self.clear_scratch()
                if not fsops.make_directory(self.scratch, 0o700):
                    raise OSError(errno.EEXIST, "what an earlier job has left resists", self.scratch)
            self._has_scratch = True
            os.chdir(self.scratch)
            self._mark_scratch()

    def _mark_scratch(self) -> None:
        """Give the empty scratch directory a time of change that it loses when anything is made in it."""
        self._as_new = None
        # To the nanosecond: nothing that a job unpacks or copies brings this one along.
        long_ago = time.time_ns() - 10**13
        try:
            os.utime(self.scratch, ns=(long_ago, long_ago))
            self._as_new = _looks(self.scratch)
        except OSError:
            # It will be listed then.
            pass

    def tidy_scratch(self) -> None:
        """Keep the scratch directory for the next job if this one has left it as new; else remove it."""
        is_as_new = self._as_new is not None and _looks(self.scratch) == self._as_new
        # NFS: what another node has made there for a longer job shows in a listing alone.
        if is_as_new and (self._is_local or self.is_hurrying):
            return
        if self._is_fresh():
            if not is_as_new:
                self._mark_scratch()
        else:
            self.clear_scratch()

    def _is_fresh(self) -> bool:
        try:
            found = os.lstat(self.scratch)
            return stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == os.geteuid() \
                and os.path.samestat(found, os.stat(".")) and not os.listdir(self.scratch)
        except OSError:
            return False

    def clear_scratch(self) -> None:
        """Remove the scratch directory with all that is in it; what resists is set aside and reported."""
        self._has_scratch = False
        os.chdir("/")
        if not fsops.remove_tree(self.scratch):
            # NFS: a file still open somewhere turns into .nfs…, which keeps its directory; a mount does likewise.
            self._set_aside(self.scratch, "could not be removed whole")

    def keep_scratch(self) -> str:
        """Set the scratch directory aside with all that is in it, for a person; its path."""
        aside = f"{self.scratch}.left-{time.monotonic_ns()}"
        os.chdir("/")
        fsops.rename(self.scratch, aside)
        self._has_scratch = False
        return aside

    def leave_scratch(self) -> None:
        """Remove the scratch directory if there is one: an idle worker keeps none."""
        self.is_hurrying = False
        if self._has_scratch:
            self.clear_scratch()

    def _set_aside(self, path: str, why: str) -> None:
        aside = f"{path}.left-{time.monotonic_ns()}"
        try:
            fsops.rename(path, aside)
            self._report(f"{aside} {why}: look at it and remove it")
        except OSError as error:
            self._report(f"{path} {why}, and cannot be set aside: {error}")


def _looks(directory: str) -> tuple | None:
    """What changes when somebody else changes a directory, or what is in it."""
    try:
        found = os.lstat(directory)
    except OSError:
        return None
    return found.st_mode, found.st_uid, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def usage_record(outcome: Outcome) -> dict[str, object]:
    """The keys of the journal's end line that say how the job ended and what it used."""
    status, usage = outcome.status, outcome.usage
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = 0 if ended_by else os.WEXITSTATUS(status)
    record = {"start": round(outcome.start, 3),
              "state": outcome.state or ("FAILED" if code or ended_by else "COMPLETED"),
              "exit": code, "signal": ended_by, "utime": round(usage.ru_utime, 4), "stime": round(usage.ru_stime, 4)}
    for key, name in _USED:
        record[key] = getattr(usage, name)
    if outcome.peak:
        # A job begins as a copy of its worker, whose own greatest size stays with it: below that it says nothing.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        record["maxrss"] = max(outcome.peak, usage.ru_maxrss if usage.ru_maxrss > own else 0)
    if outcome.why:
        record["why"] = outcome.why
    if outcome.dropped:
        record["log_dropped"] = outcome.dropped
    return record
