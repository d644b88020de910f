"""Six workers on two nodes, thousands of jobs, and a server and a client in trouble: every job runs, none twice."""

import shlex
import threading
import time
from collections.abc import Callable

import cluster
import pytest
from support import processes

pytestmark = pytest.mark.nfs

WORKERS = 3
# How often each node does what cron would do there, in s.
CRON = 20.0
PAUSED = 20.0
# For as long as the replies are lost: more than enough for the jobs to have asked something.
LOST = 2.0
# Each cut loses at least the reply to what was asked first; the others of node B's calls have no answer either.
FAULTS, CUTS = 5, 20
# One by one are submitted so many of the jobs, while the workers run.
SHARE = 10
# For as long a run may last, in s.
LONGEST = 3600.0


class Cron(threading.Thread):
    """Does on one node what cron would: keeps the workers alive and brings back what dead ones left."""

    def __init__(self, ground: "cluster.Ground", node: "cluster.Node") -> None:
        super().__init__()
        self.ground, self.node = ground, node
        self.over = threading.Event()
        self.recovered: list[str] = []
        self.complaints: list[str] = []

    def run(self) -> None:
        """Until `over`."""
        while not self.over.is_set():
            self._visit()
            self.over.wait(CRON)

    def _visit(self) -> None:
        for program in ("check_workers", "recover_stranded"):
            is_up, crashes = self.is_up(), self.ground.cluster.crashes
            try:
                status, out, err = self.node.ask(self.ground.program(self.node, program, JJ_MAX_WORKERS=WORKERS))
            except AssertionError as error:
                status, out, err = None, "", str(error)
            if program == "recover_stranded":
                self.recovered += [line for line in out.splitlines() if "→" in line]
            # 75: the node's other cron job was still at it. 1: a worker cannot be judged yet, which its sentence says.
            is_fine = status in (0, 75) or status == 1 and "cannot be judged" in err
            if is_up and crashes == self.ground.cluster.crashes and not is_fine:
                self.complaints.append(f"{program} on {self.node.name} ended with {status}: {out}{err}")

    def is_up(self) -> bool:
        """Whether the node is there to be asked."""
        return self.node is self.ground.a or self.ground.cluster.b_is_up


class Campaign:
    """One run of all jobs."""

    def __init__(self, ground: "cluster.Ground") -> None:
        self.ground, self.cluster = ground, ground.cluster
        self.count = self.cluster.jobs
        self.faults = self.resent = 0
        self.crons: list[Cron] = []

    def run(self, trouble: "Callable[[Campaign], None]") -> dict:
        """Submit, let workers run, make trouble, wait for the end, and judge."""
        few = self.count // SHARE
        feeder = self.ground.a.start(self.ground.a.on_node("feed", self.ground.directory, self.count - few, few))
        assert feeder.stdout.readline() == "begun\n", processes.finish(feeder)
        began = time.monotonic()
        self.crons = [Cron(self.ground, node) for node in (self.ground.a, self.ground.b)]
        try:
            for cron in self.crons:
                cron.start()
            trouble(self)
            status, _, err = processes.finish(feeder, LONGEST)
            assert status == 0, err
            cluster.until(self._is_done, "all jobs have run", LONGEST, every=3.0)
        finally:
            for cron in self.crons:
                cron.over.set()
            for cron in self.crons:
                cron.join()
            feeder.kill()
        return {"seconds": round(time.monotonic() - began), **self.ground.a.tell("judge", self.ground.directory)}

    def progress(self) -> dict:
        """How far the jobs are, as node A sees it."""
        return self.ground.a.tell("ran", self.ground.directory)

    def _is_done(self) -> bool:
        now = self.progress()
        # A look may fall between two places; what has been completed stays.
        return not now["waiting"] and not now["owners"] and \
            self.ground.a.tell("completed", self.ground.directory)["jobs"] >= self.count

    def let_run(self, jobs: int) -> None:
        """Wait until so many more jobs have run, and see that there are enough left to be hit."""
        end = self.progress()["ran"] + jobs
        cluster.until(lambda: self.progress()["ran"] >= end, f"{jobs} more jobs have run", every=2.0)
        assert self.progress()["waiting"] > jobs, "hardly a job is left to be hit: set JJ_NFS_JOBS higher"

    def strike(self, fault: tuple[str, str], seconds: float) -> None:
        """One fault that lasts so long."""
        self.cluster.strike(fault)
        time.sleep(seconds)
        self.cluster.repair(fault)
        self.faults += 1

    def sent_again(self) -> int:
        """How many calls node B has sent more than once, ever."""
        return sum(sent - made for made, sent in self.ground.b.tell("rpcs", self.cluster.directory).values())


def quiet(campaign):
    """Nothing at all."""


def server_paused(campaign):
    for _ in range(FAULTS):
        campaign.let_run(30)
        campaign.strike(cluster.PAUSE, PAUSED)


def server_killed(campaign):
    for _ in range(FAULTS):
        campaign.let_run(30)
        campaign.strike(cluster.KILL, 0.0)


def replies_lost(campaign):
    before = campaign.sent_again()
    for _ in range(CUTS):
        campaign.let_run(20)
        campaign.strike(cluster.CUT, LOST)
    campaign.resent = campaign.sent_again() - before
    assert campaign.resent >= CUTS, "too few calls went unanswered: does JJ_NFS_CUT lose replies, or delay them only?"


def client_crashed(campaign):
    for _ in range(FAULTS):
        campaign.let_run(60)
        about = campaign.cluster.who(campaign.ground.b)
        assert about["machine"], f"{campaign.ground.b.name} has no /etc/machine-id, so nothing can be recovered there"
        campaign.cluster.strike(cluster.CRASH)
        campaign.ground.a.run(f"touch {shlex.quote(campaign.ground.path('proof', 'dead', about['boot']))}; sync")
        campaign.cluster.repair(cluster.CRASH)
        assert campaign.cluster.who(campaign.ground.b)["machine"] == about["machine"], "a node keeps its machine-id"
        campaign.faults += 1


# What happens, and the commands that it needs.
CONDITIONS = {quiet: (), server_paused: (cluster.PAUSE,), server_killed: (cluster.KILL,), replies_lost: (cluster.CUT,),
              client_crashed: (cluster.CRASH,)}


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.__name__)
def test_every_job_runs_and_none_twice(ground, condition, figures):
    ground.cluster.require(*CONDITIONS[condition])
    campaign = Campaign(ground)
    found = campaign.run(condition)
    recovered = [line for cron in campaign.crons for line in cron.recovered]
    complaints = [line for cron in campaign.crons for line in cron.complaints]
    figures(f"{condition.__name__.replace('_', ' ')}: {campaign.count} jobs, {campaign.faults} faults,"
            f" {campaign.resent} calls sent again, {len(recovered)} jobs recovered, {found['again']} run again,"
            f" {found['double']} twice at once, {found['seconds']} s on {ground.cluster.circumstances()}")
    assert not found["wrong"], "\n".join(found["wrong"][:20])
    assert not complaints
    assert found["crashes"] == (campaign.faults if condition is client_crashed else 0)
    assert recovered or condition is not client_crashed, "no crash has struck a job"
