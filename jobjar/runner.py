"""One claimed job, from its fresh directory to its exit status.

Nothing of a job survives this module: `run` returns only when no process of the job lives any more.
"""

import errno
import os
import pwd
import stat
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import blame, fsops, jobname, process
from jobjar.directives import Request
from jobjar.ending import QUIT, Ending
from jobjar.errors import VANISHED
from jobjar.layout import Jar, Place

# How a run came out: it ENDED, QUIT on request, or as `blame` has it: it was not started. `state` is that of a job
# which was told to end (TIMEOUT, OUT_OF_MEMORY, CANCELLED), else None; `why` says the reason as a sentence.
ENDED = "ended"
Outcome = namedtuple("Outcome", "kind start status usage why dropped state",
                     defaults=(None, None, None, None, 0, None))

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
BUSY_TEXT = 30.0
# How much of the end of a log that has grown too long is kept, and how soon a job is thought a long one.
TAIL = 65536
LONG_JOB = 0.05
# How often the output of a job that prints is looked at, in s.
LOOK_AT_OUTPUT = 1.0


class Runner:
    """Runs jobs one after the other in the directory of one worker."""

    def __init__(self, jar: Jar, owner: str, lock: int, max_log: int, base: dict[str, str],
                 wait: Callable[[float], None], report: Callable[[str], None]) -> None:
        self.jar = jar
        self.directory = jar.worker(owner)
        self.scratch = os.path.join(self.directory, "scratch")
        self.output = os.path.join(self.directory, "output")
        self._lock = lock
        self._max_log = max_log
        self._base = {**base, "JJ_HOME": jar.home, "JJ_WORKER_HOME": jar.workers, "JJ_WORKER": owner,
                      "JJ_SCRATCH_DIR": self.scratch, "TMPDIR": self.scratch}
        self._wait = wait
        self._report = report
        self._has_scratch = False
        self._dropped = 0
        process.keep_descriptors()

    def run(self, place: Place, attempt: str, tries: int, request: Request, tick: Callable[[float], float],
            quit: Callable[[], bool], cancelled: Callable[[], str | None]) -> Outcome:
        """Run the job at `place`, which asks for `request`, to its end.

        `tick(seconds)` is called while it runs, with the seconds it has run, and returns after how many it wants to be
        called again; `quit()` says whether the job must be ended now, to be run again; `cancelled()` why nobody wants
        it any more, or None.
        """
        path = self.jar.path(place)
        self._dropped = 0
        try:
            self._make_scratch()
        except OSError as error:
            return Outcome(blame.of_node(error), why=f"no scratch directory: {error}")
        began, start = time.monotonic(), time.time()
        try:
            pid = self._start(path, self._environment(place, attempt, tries), quit)
        except OSError as error:
            kind, why = blame.of_start(error, path)
            return Outcome(kind, why=why)
        ending = Ending(pid, request, quit, cancelled)
        status, usage = self._until_end(pid, began, tick, ending)
        process.bury(self._wait, self._report)
        self._bound_output()
        if ending.reason in (None, QUIT):
            # A job that was told to end with its worker and still ended well has done its work.
            return Outcome(QUIT if status and quit() else ENDED, start, status, usage, dropped=self._dropped)
        return Outcome(ENDED, start, status, usage, ending.why, self._dropped, ending.reason)

    def is_fit(self) -> bool:
        """Whether this node can start anything: when it can, what a job could not be started for is its own doing."""
        try:
            self._make_scratch()
            pid = process.start(["/bin/sh", "-c", ":"], self._base, self.output, self._lock)
            return os.waitpid(pid, 0)[1] == 0 and not os.statvfs(self.directory).f_flag & os.ST_NOEXEC
        except OSError:
            return False

    def _environment(self, place: Place, attempt: str, tries: int) -> dict[str, str]:
        base, priority = jobname.split(place.name)
        return {**self._base, "JJ_JOB_ID": base, "JJ_JOB_NAME": place.name, "JJ_JOB_FILE": self.jar.path(place),
                "JJ_CATEGORY": place.category or "", "JJ_PRIORITY": str(priority), "JJ_ATTEMPT": str(tries),
                process.MARKER: attempt}

    def _start(self, path: str, environment: dict[str, str], quit: Callable[[], bool]) -> int:
        deadline, was_seen = time.monotonic() + BUSY_TEXT, False
        while True:
            try:
                return process.start([path], environment, self.output, self._lock)
            except OSError as error:
                if error.errno == errno.ENOEXEC and blame.is_text(path):
                    # A text without #! is run by the shell, as shells themselves do.
                    return process.start(["/bin/sh", path], environment, self.output, self._lock)
                # RACE: somebody still has the file open for writing: a `cp` straight into unclaimed/.
                may_pass = error.errno == errno.ETXTBSY
                if error.errno in VANISHED:
                    # NFS: looking for it renews what the cache knows, so only the next "no" is about the interpreter.
                    is_hidden = blame.is_hidden(error, path)
                    may_pass, was_seen = is_hidden or not was_seen, not is_hidden
                if not may_pass or time.monotonic() > deadline or quit():
                    raise
                self._wait(0.05)

    def _until_end(self, pid: int, began: float, tick: Callable[[float], float],
                   ending: Ending) -> tuple[int, object]:
        pause, is_long = LONG_JOB, False
        while True:
            self._wait(pause)
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                return status, usage
            ran = time.monotonic() - began
            if not is_long and ran >= LONG_JOB:
                is_long = True
                self._note_session(pid)
            pause = max(0.0, min(LONG_JOB - ran, 1.0)) if not is_long else tick(ran)
            pause = min(pause, ending.look(ran))
            if self._bound_output():
                pause = min(pause, LOOK_AT_OUTPUT)

    def _note_session(self, pid: int) -> None:
        try:
            process.note_session(self._lock, pid)
        except OSError as error:
            # One of several ways to find what a dead worker has left running; the others will have to do.
            self._report(f"the job's session could not be noted: {error}")

    def _bound_output(self) -> int:
        """Keep `output` a file of at most about JJ_MAX_LOG bytes; how much is in it. Never fails."""
        try:
            found = os.lstat(self.output)
            if not stat.S_ISREG(found.st_mode):
                self._set_aside(self.output, "is not what the worker had put there")
                return 0
            if stat.S_IMODE(found.st_mode) != 0o600:
                # The job has closed it, and the next one is to print there.
                os.chmod(self.output, 0o600)
            if found.st_size > self._max_log:
                self._cut_output()
            return found.st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._report(f"the job's output cannot be looked after: {error}")
            return 0

    def _cut_output(self) -> None:
        """Keep the first half of JJ_MAX_LOG, a line that says so, and the last bytes."""
        keep = self._max_log // 2
        with open(self.output, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(keep, size - min(TAIL, keep // 2)))
            end = file.read(TAIL)
            # RACE: what a job prints just now may be dropped unseen, but it is counted.
            self._dropped += os.fstat(file.fileno()).st_size - keep - len(end)
            file.truncate(keep)
        # Appended, as the job appends: whatever it prints meanwhile is not overwritten.
        with open(self.output, "ab") as file:
            gap = f"\n[jobjar: {self._dropped} bytes dropped here, JJ_MAX_LOG is {self._max_log}]\n"
            file.write(gap.encode() + end)

    def has_output(self) -> bool:
        """Whether the last job has printed anything that has not been moved away."""
        try:
            return os.stat(self.output).st_size > 0
        except FileNotFoundError:
            return False

    def _make_scratch(self) -> None:
        if not self._has_scratch:
            if not fsops.make_directory(self.scratch, 0o700):
                self.clear_scratch()
                if not fsops.make_directory(self.scratch, 0o700):
                    raise OSError(errno.EEXIST, "what an earlier job has left resists", self.scratch)
            self._has_scratch = True
            os.chdir(self.scratch)

    def tidy_scratch(self) -> None:
        """Keep the scratch directory for the next job if this one has left it as new; else remove it."""
        if not self._is_fresh():
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

    def leave_scratch(self) -> None:
        """Remove the scratch directory if there is one: an idle worker keeps none."""
        if self._has_scratch:
            self.clear_scratch()

    def _set_aside(self, path: str, why: str) -> None:
        aside = f"{path}.left-{time.monotonic_ns()}"
        try:
            fsops.rename(path, aside)
            self._report(f"{aside} {why}: look at it and remove it")
        except OSError as error:
            self._report(f"{path} {why}, and cannot be set aside: {error}")


def base_environment(install_bin: str | None) -> dict[str, str]:
    """What every job finds in its environment, whoever started the worker and from where."""
    try:
        user = pwd.getpwuid(os.geteuid())
        name, home, shell = user.pw_name, user.pw_dir, user.pw_shell or "/bin/sh"
    except KeyError:
        name, home, shell = str(os.geteuid()), "/", "/bin/sh"
    environment = {"HOME": home, "USER": name, "LOGNAME": name, "SHELL": shell, "BATCH_SYSTEM": "JobJar",
                   "PATH": f"{PATH}:{install_bin}" if install_bin else PATH,
                   "LANG": os.environ.get("LANG", "C.UTF-8")}
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    return environment


def usage_record(outcome: Outcome) -> dict[str, object]:
    """The keys of the journal's end line that say how the job ended and what it used."""
    status, usage = outcome.status, outcome.usage
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = 0 if ended_by else os.WEXITSTATUS(status)
    record = {"start": round(outcome.start, 3),
              "state": outcome.state or ("FAILED" if code or ended_by else "COMPLETED"),
              "exit": code, "signal": ended_by, "utime": round(usage.ru_utime, 4), "stime": round(usage.ru_stime, 4)}
    for key in ("maxrss", "minflt", "majflt", "inblock", "oublock", "nvcsw", "nivcsw"):
        record[key] = getattr(usage, "ru_" + key)
    if outcome.state:
        record["why"] = outcome.why
    if outcome.dropped:
        record["log_dropped"] = outcome.dropped
    return record
