"""Workers in tests: real processes, forked with whatever a test wants to be different in them.

`drain` lets one worker run whatever there is and waits for its end; `working` gives a worker that lives as long as
its block.
"""

import contextlib
import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator

import psutil

from jobjar import config, layout, starting, submission
from jobjar.layout import Jar
from support import jars, processes

NODE = "rain"


class Handle:
    """A worker's process, seen from outside; `status` is its exit status once it has been reaped."""

    def __init__(self, jar: Jar, node: str, pid: int) -> None:
        self.jar, self.pid, self.name = jar, pid, f"{node}.{pid}"
        self.directory, self.claims = jar.worker(self.name), jar.claims(self.name)
        self.scratch = os.path.join(self.directory, "scratch")
        self.output = os.path.join(self.directory, "output")
        self.status: int | None = None

    def path(self, name: str) -> str:
        """The file of that name in the worker's directory."""
        return os.path.join(self.directory, name)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def has_ended(self) -> bool:
        """Whether the process is gone; it is reaped."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self, deadline: float = processes.PATIENCE) -> int:
        """Its exit status."""
        processes.until(self.has_ended, f"the end of {self.name}; its log: {self.log()}", deadline)
        return self.status

    def journal(self) -> list[dict]:
        """All lines that the worker has written, rotated ones first."""
        numbers = sorted(int(name[8:]) for name in os.listdir(self.directory) if name.startswith("journal."))
        return [line for name in [*(f"journal.{n}" for n in numbers), "journal"] for line in lines(self.path(name))]

    def ends(self) -> list[dict]:
        """The journal's end lines."""
        return [line for line in self.journal() if line["e"] == "end"]

    def log(self) -> str:
        """The worker's own log."""
        return jars.read(self.path("log")) if os.path.exists(self.path("log")) else ""

    def seconds_used(self) -> float:
        """The processor time that it has used."""
        used = psutil.Process(self.pid).cpu_times()
        return used.user + used.system

    def is_idle(self) -> bool:
        """Whether the worker sleeps, having nothing in claims/."""
        return psutil.Process(self.pid).status() == psutil.STATUS_SLEEPING and not list(files(self.claims))


def lines(path: str) -> list[dict]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in jars.read(path).splitlines() if line]


def lines_of_json(path: str) -> dict:
    """A file that is one JSON document."""
    return json.loads(jars.read(path))


def files(directory: str) -> Iterator[str]:
    """The files below a directory."""
    for top, _, names in os.walk(directory):
        yield from (os.path.join(top, name) for name in names)


def settings(jar: Jar, **more: str) -> config.Settings:
    """Settings for a worker of this jar, on the node `rain`."""
    allowed = {"JJ_ALLOW_ROOT": "1"} if os.geteuid() == 0 else {}
    given = {"JJ_HOME": jar.home, "JJ_WORKER_HOME": jar.workers, "JJ_NODE": NODE, "JJ_MIN_FREE": "0", **allowed, **more}
    return config.read(given, environ={"HOME": os.environ["HOME"]})


def start(jar: Jar, *categories: str, idle_exit: float | None = None, before: Callable[[], object] | None = None,
          **more: str) -> Handle:
    """A worker that has registered; `before()` is called in its process first. The caller reaps it."""
    chosen = settings(jar, **more)
    pid = os.fork()
    if pid == 0:
        _be_a_worker(jar, chosen, starting.Terms(categories or chosen.categories, idle_exit), before)
    handle = Handle(jar, chosen.node, pid)
    processes.until(lambda: os.path.exists(handle.path("journal")) or handle.has_ended(), "a worker's registration")
    return handle


def _be_a_worker(jar: Jar, chosen: config.Settings, terms: starting.Terms, before: Callable[[], object] | None) -> None:
    code = 70
    try:
        os.chdir("/")
        if before:
            before()
        code = starting.work(jar, starting.register(jar, chosen, terms), terms)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


@contextlib.contextmanager
def working(jar: Jar, *categories: str, **more: object) -> Iterator[Handle]:
    """A worker that is told to leave at the end of the block, at once if it does not do so by itself."""
    handle = start(jar, *categories, **more)
    try:
        yield handle
    finally:
        _end(handle)


def _end(handle: Handle) -> None:
    began = time.monotonic()
    while not handle.has_ended():
        handle.signal(signal.SIGTERM if time.monotonic() - began < 10 else signal.SIGKILL)
        end = time.monotonic() + 0.2
        while time.monotonic() < end and not handle.has_ended():
            time.sleep(0.005)


def drain(jar: Jar, *categories: str, **more: object) -> Handle:
    """Let one worker run whatever there is; it has left in order when this returns."""
    more.setdefault("idle_exit", 0.0)
    handle = start(jar, *categories, **more)
    try:
        assert handle.wait() == 0, handle.log()
    finally:
        _end(handle)
    return handle


def submit(jar: Jar, command: str, **more: object) -> layout.Place:
    """Submit a command as the two-line script; `more` as in a Request."""
    return submission.submit(jar, submission.Request(submission.script(command), **more))


def place(jar: Jar, name: str, body: str = "true", category: str | None = None, mode: int = 0o700,
          header: str = "#!/bin/sh\n") -> str:
    """A job under a name made by hand, moved in from limbo/; its file's path."""
    return put(jar, name, (header + body + "\n").encode(), category, mode)


def put(jar: Jar, name: str, data: bytes, category: str | None = None, mode: int = 0o700) -> str:
    """A file with these bytes, moved into the queue whole."""
    directory = jar.queue("unclaimed", category)
    draft = os.path.join(jar.limbo, name)
    with open(draft, "xb") as file:
        file.write(data)
    os.chmod(draft, mode)
    target = os.path.join(directory, name)
    os.rename(draft, target)
    return target


def order(jar: Jar) -> list[str]:
    """The names of all jobs in the order in which the workers ended them."""
    ends = [line for name in os.listdir(jar.workers) if layout.split_worker(name)
            for line in lines(os.path.join(jar.workers, name, "journal")) if line["e"] == "end"]
    return [line["n"] for line in sorted(ends, key=lambda line: line["t"])]


def without_inotify() -> None:
    """For `before`: the kernel offers no inotify."""
    from jobjar import watch
    watch.Watch.__init__, was = lambda self: (was(self), _forget(self))[0], watch.Watch.__init__


def _forget(watch: object) -> None:
    if watch.handle is not None:
        os.close(watch.handle)
        watch.handle = None
