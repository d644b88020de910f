"""What a job on node A has written is seen on node B when it has ended, although B had looked there just before."""

import json
import shlex
import time

import cluster
import pytest
from support import processes

pytestmark = pytest.mark.nfs

# So long a client surely goes by what it has seen of a directory, unless it was mounted to forget sooner; in s.
SURELY = 20.0
FRESH = {"grown": 8, "swapped": 8, "made": True, "within": True, "listed": ["grown", "made", "swapped", "within"]}
WRITE = ("until [ -e {gate} ]; do sleep 0.1; done; echo new >>{data}/grown; echo another >{data}/.swap;"
         " mv {data}/.swap {data}/swapped; mkdir {data}/within; echo >{data}/within/file; echo >{data}/made")


class Writing:
    """A job on node A that waits at its gate to write what node B has looked at; `since`: when B did so at the latest."""

    def __init__(self, ground):
        self.ground, self.gate, self.since = ground, f"/tmp/{ground.name}.gate", time.monotonic()
        self.line = WRITE.format(gate=self.gate, data=ground.path("data"))
        ground.a.tell("lay", ground.directory)
        start_worker(ground, ground.a, "with")

    def submit(self):
        """The job's id."""
        return self.ground.a.run(call(self.ground, "submit_job", f"--category={self.ground.a.name}", self.line)).strip()

    def open_gate(self):
        """The line of shell for node A that lets it write."""
        return f"touch {shlex.quote(self.gate)}"


@pytest.fixture
def writing(ground):
    found = Writing(ground)
    yield found
    ground.a.run(f"{found.open_gate()}; {call(ground, 'jobjar', 'wait', '*')}; rm {shlex.quote(found.gate)}")


def call(ground, name, *words):
    """As part of a line of shell for node A: a program of bin/ for the jar."""
    return ground.program(ground.a, name, *words).removeprefix("exec ")


def start_worker(ground, node, rule):
    """A worker of the node, which among others runs the jobs of its own category, and looks for them often."""
    node.run(node.on_node("work", rule, **ground.settings, JJ_PAUSE_TIME=1))


def the_next_job(ground, writing, rule):
    """What a job on B sees that begins when A's has ended."""
    start_worker(ground, ground.b, rule)
    first = writing.submit()
    writing.since = time.monotonic()
    ground.b.tell("sight", ground.directory)
    looking = shlex.join(["python3", ground.b.script, "sight", ground.directory]) + " && : ./grown ./swapped"
    second = call(ground, "submit_job", f"--category={ground.b.name}", f"--chdir={ground.path('data')}", looking)
    line = (f"{writing.open_gate()} && {call(ground, 'jobjar', 'wait', first)} && id=$({second}) &&"
            f" {call(ground, 'jobjar', 'wait')} $id && {call(ground, 'jobjar', 'log')} $id")
    return json.loads(ground.a.run(line))


def whoever_waits(ground, writing, rule):
    """What B sees when a `jobjar wait` for A's job returns there."""
    return _after(ground, writing, rule, "wait", writing.submit())


def whoever_runs(ground, writing, rule):
    """What B sees when the `jobjar run` returns there whose job A has run."""
    return _after(ground, writing, rule, "run", f"--category={ground.a.name}", writing.line)


def _after(ground, writing, rule, *words):
    writing.since = time.monotonic()
    program = ground.b.start(ground.b.on_node("after", ground.directory, rule, *words, **ground.settings))
    try:
        assert program.stdout.readline() == "looked\n", processes.finish(program)
        ground.a.run(writing.open_gate())
        status, out, err = processes.finish(program, cluster.PATIENCE)
        assert status == 0, out + err
    finally:
        program.kill()
        program.communicate()
    return json.loads(out)


def forgets_soon(ground):
    """Whether node B's directory is on a file system, or mounted, so that nothing is remembered for long."""
    mount = ground.cluster.who(ground.b)["mount"]
    return not mount.startswith("nfs") or any(word in mount for word in ("acdirm", "noac", "actimeo", "lookupcache"))


LOOKS = pytest.mark.parametrize("look", [the_next_job, whoever_waits, whoever_runs])


@LOOKS
def test_what_a_job_on_the_other_node_has_written_is_seen(ground, writing, look, figures):
    saw = look(ground, writing, "with")
    figures(f"{look.__name__}: {saw}, on {ground.cluster.circumstances()}")
    assert saw == FRESH


@LOOKS
def test_where_nothing_is_forgotten_it_is_not_seen(ground, writing, look, figures):
    saw = look(ground, writing, "without")
    took = time.monotonic() - writing.since
    figures(f"{look.__name__}, nothing forgotten, {took:.0f} s: {saw}, on {ground.cluster.circumstances()}")
    if took > SURELY or forgets_soon(ground):
        pytest.skip(f"after {took:.0f} s on such a mount a client may have forgotten by itself")
    assert not saw["made"] and not saw["within"]
