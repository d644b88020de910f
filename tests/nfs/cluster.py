"""Two nodes, the directory that they share, and what can be done to them: all known from environment variables.

README.md beside this file says what each variable means. Nothing here knows what kind of machines they are.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping

import pytest
from support import processes

NEEDED = ("JJ_NFS_NODE_A", "JJ_NFS_NODE_B", "JJ_NFS_DIR", "JJ_NFS_CODE")
# What each fault needs, and what puts it right again.
PAUSE, KILL = ("JJ_NFS_SERVER_PAUSE", "JJ_NFS_SERVER_CONTINUE"), ("JJ_NFS_SERVER_KILL", "JJ_NFS_SERVER_START")
CUT, CRASH = ("JJ_NFS_CUT", "JJ_NFS_HEAL"), ("JJ_NFS_NODE_B_KILL", "JJ_NFS_NODE_B_START")
# Nodes may be slow, and a server that is down holds every command up.
PATIENCE = 300.0


def until(fact: Callable[[], object], what: str, deadline: float = PATIENCE, every: float = 1.0) -> object:
    """Wait until `fact()` is true, with pauses that leave slow nodes in peace, and return its value."""
    end = time.monotonic() + deadline
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(every)
    return value


def missing(environ: Mapping[str, str]) -> str | None:
    """Why there is nothing to test on, in a sentence; None when all that is needed is set."""
    unset = [name for name in NEEDED if not environ.get(name)]
    return f"two nodes and a directory are needed: set {', '.join(unset)} (tests/nfs/README.md)" if unset else None


class Node:
    """A computer on which a shell runs what it is told."""

    def __init__(self, prefix: str, code: str, environ: Mapping[str, str]) -> None:
        self._prefix, self._code, self._environ = shlex.split(prefix), code, dict(environ)
        self.name = ""
        self.script = os.path.join(code, "tests", "nfs", "on_node.py")

    def start(self, line: str) -> subprocess.Popen:
        """Begin to run a line of shell there; the caller finishes it."""
        return processes.spawn(*self._prefix, line, env=self._environ)

    def ask(self, line: str, deadline: float = PATIENCE) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of a line of shell."""
        return processes.finish(self.start(line), deadline)

    def run(self, line: str, deadline: float = PATIENCE) -> str:
        """What a line of shell prints that must succeed."""
        status, out, err = self.ask(line, deadline)
        assert status == 0, f"{self.name}: {line!r} ended with {status}: {out}{err}"
        return out

    def on_node(self, verb: str, *words: object, **variables: object) -> str:
        """The line of shell that does a verb of on_node.py."""
        return self._call(self.script, verb, *map(str, words), **variables)

    def tell(self, verb: str, *words: object, deadline: float = PATIENCE) -> dict:
        """What a verb of on_node.py finds out."""
        return json.loads(self.run(self.on_node(verb, *words), deadline))

    def program(self, name: str, *words: str, **variables: object) -> str:
        """The line of shell that calls a program of bin/ with these variables."""
        return self._call(os.path.join(self._code, "bin", name), *words, **variables)

    def _call(self, program: str, *words: str, **variables: object) -> str:
        settings = [f"{key}={value}" for key, value in variables.items()]
        return shlex.join(["exec", "env", *settings, "python3", program, *words])


class Cluster:
    """Both nodes, and the faults that somebody has given us the commands for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self.directory = environ["JJ_NFS_DIR"]
        self.jobs = int(environ.get("JJ_NFS_JOBS", "5000"))
        self.slack = float(environ.get("JJ_NFS_SLACK", "2"))
        self.a, self.b = (Node(environ[name], environ["JJ_NFS_CODE"], environ) for name in NEEDED[:2])
        self.b_is_up, self.crashes = True, 0
        self._to_repair: list[str] = []

    def meet(self) -> None:
        """Learn the nodes' names; a sentence says why they will not do."""
        for node in (self.a, self.b):
            node.name = self.who(node)["node"]
        assert self.a.name != self.b.name, f"both nodes call themselves {self.a.name}: they must be two"
        sign = os.path.join(self.directory, f"jobjar-sign-{os.getpid()}")
        self.a.run(f"touch {shlex.quote(sign)}")
        seen = self.b.ask(f"ls {shlex.quote(self.directory)} >/dev/null && rm {shlex.quote(sign)}")
        assert seen[0] == 0, f"{self.directory} is not the same directory on both nodes: {seen[2]}"

    def who(self, node: Node) -> dict:
        """Which node this is, and how it has mounted the directory."""
        return node.tell("who", self.directory)

    def circumstances(self) -> str:
        """For a line of figures."""
        about = self.who(self.b)
        return f"{about['mount']}, Linux {about['kernel']}"

    def require(self, *faults: tuple[str, str]) -> None:
        """Skip a test for which a command is missing."""
        unset = [name for pair in faults for name in pair if not self._environ.get(name)]
        if unset:
            pytest.skip(f"to be tested when {' and '.join(unset)} say how (tests/nfs/README.md)")

    def strike(self, fault: tuple[str, str]) -> None:
        """Let something go wrong."""
        self._to_repair.append(fault[1])
        if fault == CRASH:
            self.b_is_up, self.crashes = False, self.crashes + 1
        self._do(fault[0])

    def repair(self, fault: tuple[str, str]) -> None:
        """Put it right; wait until both nodes reach the directory again."""
        self._do(fault[1])
        self._to_repair.remove(fault[1])
        if not self._to_repair:
            for node in (self.a, self.b):
                # Something that no cache can answer: this is also what makes a node find a connection broken.
                sign = shlex.quote(os.path.join(self.directory, f"jobjar-sign-{os.getpid()}-{node.name}"))
                until(lambda: node.ask(f"touch {sign} && rm {sign}")[0] == 0, f"{node.name} is back")
            self.b_is_up = True

    def repair_all(self) -> None:
        """Put right whatever a test that failed has left."""
        for name in [name for pair in (PAUSE, CUT, KILL, CRASH) for name in pair[1:]]:
            if name in self._to_repair:
                self._do(name)
        self._to_repair.clear()
        self.b_is_up = True

    def _do(self, variable: str) -> None:
        status, out, err = processes.finish(processes.spawn("sh", "-c", self._environ[variable], env=self._environ),
                                            PATIENCE)
        assert status == 0, f"{variable} ended with {status}: {out}{err}"


class Ground:
    """A directory of a test's own in the shared one: a jar, and room for what the jobs testify."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.a, self.b, self.name = cluster, cluster.a, cluster.b, name
        self.directory = os.path.join(cluster.directory, name)
        self.settings = {"JJ_HOME": self.path("jar"), "JJ_ALLOW_ROOT": "1", "JJ_CONFIG_FILE": "/dev/null"}
        self.a.tell("make", self.directory)

    def path(self, *names: str) -> str:
        """The path of something in it."""
        return os.path.join(self.directory, *names)

    def program(self, node: Node, name: str, *words: str, **variables: object) -> str:
        """The line of shell that calls a program of bin/ for this jar."""
        return node.program(name, *words, **{**self.settings, **variables})

    def clear(self) -> None:
        """Let all workers leave and remove everything."""
        self.cluster.repair_all()
        self.a.run(f"touch {shlex.quote(self.path('jar', 'workers', 'STOP_ALL'))}")
        for node in (self.a, self.b):
            until(lambda: not node.tell("living", self.directory)["workers"], f"the workers of {node.name} leave")
        self.a.run(f"rm -rf {shlex.quote(self.directory)}", 900.0)
