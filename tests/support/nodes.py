"""Nodes to play with: workers that really run in a jar, dead ones that never did, and what becomes of both."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import psutil

from jobjar import config, fslook, layout, node, process, registration, supervision
from jobjar.journal import Journal
from jobjar.layout import Jar, Place
from jobjar.node import Identity
from support import invariants, jars, processes, programs

NODE = "rain"


class Site:
    """One node of a jar, with the programs as its user would call them and the library with the same settings."""

    def __init__(self, jar: Jar, name: str = NODE, **variables: str) -> None:
        self.jar, self.node = jar, name
        self.variables = {"JJ_HOME": jar.home, "JJ_NODE": name, "JJ_PAUSE_TIME": "1", "JJ_ORDER_TIME": "0.2",
                          "JJ_MAX_WORKERS": "2", **variables}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its programs."""
        return processes.environment(**self.variables)

    @property
    def settings(self) -> config.Settings:
        """The settings of its programs."""
        return config.read(environ=self.environment, strict=False, warn=lambda _: None)

    @property
    def me(self) -> Identity:
        """This process, as one of this node."""
        return node.myself(self.node)

    def spawn(self, program: str, *words: str, **more: object) -> subprocess.Popen:
        """Start a program of bin/."""
        return programs.start(program, *words, **{"env": self.environment, **more})

    def run(self, program: str, *words: str, **more: object) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a program of bin/."""
        return processes.finish(self.spawn(program, *words, **more))

    def start(self, *words: str, **more: object) -> str:
        """Start a worker and return its name."""
        status, out, err = self.run("start_worker", *words, **more)
        assert (status, err) == (0, "") and out.endswith("\n"), (status, out, err)
        return out.strip()

    def check(self, *words: str) -> list[str]:
        """What check_workers prints; it says nothing."""
        status, out, err = self.run("check_workers", *words)
        assert (status, err) == (0, ""), (status, out, err)
        return out.split()

    def fill(self, number: int) -> list[str]:
        """Call check_workers until so many workers live, for somebody else on this machine may hold the lock."""
        def full() -> list[str]:
            self.check()
            living = self.living()
            return living if len(living) == number else []
        return processes.until(full, f"{number} workers")

    def living(self) -> list[str]:
        """The workers of this node that live and have not left."""
        return supervision.living(self.jar, self.settings)

    def recover(self, *words: str) -> tuple[int, list[str], str]:
        """(exit status, lines, messages) of recover_stranded."""
        status, out, err = self.run("recover_stranded", *words)
        return status, out.splitlines(), err

    def submit(self, body: str, name: str = "a.0", category: str | None = None) -> str:
        """A job, as `mv` brings it in; returns its name."""
        draft = jars.write(os.path.join(self.jar.limbo, name), jars.script(name, body))
        os.rename(draft, os.path.join(self.jar.queue("unclaimed", category), name))
        return name

    def run_forever(self, name: str = "a.0", category: str | None = None, body: str = "exec sleep 600") -> int:
        """Submit a job that does not end and return its pid, once a worker runs it."""
        told = f"{self.jar.home}.{name}.pid"
        self.submit(f"echo $$ > {told}.new; mv {told}.new {told}; {body}", name, category)
        return int(processes.until(lambda: os.path.exists(told) and jars.read(told), f"{name} runs"))

    def kill(self, worker: str) -> None:
        """kill -9 a worker, and wait until it is gone."""
        pid = pid_of(worker)
        os.kill(pid, signal.SIGKILL)
        processes.until(lambda: not processes.is_running(pid), f"the end of {worker}")

    def gone(self, worker: str) -> bool:
        """Whether the worker's process has ended."""
        return not processes.is_running(pid_of(worker))

    def stop(self) -> None:
        """Let all workers of the jar leave, and wait until they have."""
        jars.write(os.path.join(self.jar.workers, layout.STOP_ALL), "")
        processes.until(lambda: not self.living(), "all workers leave")

    def place(self, word: str) -> list[str]:
        """Where the job with that word in its text lies."""
        return invariants.places(jars.tree(self.jar)).get(word, [])

    def is_claimed(self, word: str) -> bool:
        """Whether a worker has the job; a look may fall between two places and find none."""
        return any(path.startswith("workers/") for path in self.place(word))

    def log(self, worker: str) -> str:
        """The worker's own log."""
        try:
            return jars.read(os.path.join(self.jar.worker(worker), "log"))
        except FileNotFoundError:
            return ""


class Host(Site):
    """A node by its host name alone: its programs run where `uname -n` says so."""

    def __init__(self, jar: Jar, name: str) -> None:
        super().__init__(jar, name)
        del self.variables["JJ_NODE"]

    def spawn(self, program: str, *words: str, **more: object) -> subprocess.Popen:
        """Start a program of bin/ under this node's host name."""
        command = f"hostname {self.node}; exec \"$@\""
        return processes.spawn("unshare", "--uts", "sh", "-c", command, "sh", sys.executable,
                               os.path.join(programs.BIN, program), *words, **{"env": self.environment, **more})

    @property
    def settings(self) -> config.Settings:
        """The settings of its programs."""
        return config.read(environ={**self.environment, "JJ_NODE": self.node})


def pid_of(worker: str) -> int:
    """The pid of a worker."""
    return layout.split_worker(worker)[1]


def dead_identity(name: str = NODE, **other: object) -> Identity:
    """Who a process was that has ended; `other` fields are as given."""
    child = processes.spawn("sleep", "600")
    start = node.start_ticks(child.pid)
    child.kill()
    child.communicate()
    return node.myself(name)._replace(pid=child.pid, start=start)._replace(**other)


class Dead:
    """The directory of a worker that has died, as it left it."""

    def __init__(self, jar: Jar, identity: Identity | None = None, **more: object) -> None:
        self.jar, self.identity = jar, identity or dead_identity()
        self.name, self.nonce = node.owner(self.identity), node.nonce(self.identity)
        self.directory, self.claims = jar.worker(self.name), jar.claims(self.name)
        about = {"uid": os.geteuid(), "lock": process.lock_path(self.nonce), **more}
        assert registration.write(jar, self.identity, about)
        self.journal = Journal(self.directory)

    def claim(self, name: str = "a.0", category: str | None = None, intend: bool = True, word: str | None = None) -> str:
        """A job in its claims/; the attempt's id."""
        attempt = f"{self.nonce}-{len(fslook.names(self.claims)) + 1}"
        if intend:
            self.journal.intend(attempt, category, name)
            self.journal.sync()
        jars.put(self.jar, Place("claims", category, name, self.claims), word)
        text = os.path.join("..", "workers", self.name, "claims", category or "", name)
        os.symlink(text, os.path.join(self.jar.claimed, name))
        return attempt

    def end(self, attempt: str, name: str = "a.0", category: str | None = None, state: str = "COMPLETED") -> None:
        """The end line of the attempt."""
        self.journal.end(attempt, category, name, state=state)
        self.journal.sync()

    def leave_things(self) -> None:
        """What a worker has about it while it works."""
        os.mkdir(os.path.join(self.directory, "scratch"))
        jars.write(os.path.join(self.directory, "scratch", "file"), "")
        for directory in (self.jar.limbo, self.claims, self.jar.completed):
            jars.write(os.path.join(directory, layout.PROBE + self.name), "")
        os.close(process.open_lock(process.lock_path(self.nonce)))

    def is_recovered(self) -> bool:
        """Whether it owns nothing any more."""
        return not registration.owns_jobs(self.jar, self.name)


def end_all(found: Callable[[], list[psutil.Process]] = processes.children) -> None:
    """End whatever the test has left running, also what was just being born."""
    while left := found():
        processes.kill(left)
