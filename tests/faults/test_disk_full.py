"""Disks that are really full, by bytes and by inodes, while workers run and jobs are submitted; then there is room.

The file systems are small ones of their own, in a mount namespace of their own: an ext4 with few inodes on a loop
device, a tmpfs with few pages, a tmpfs with few inodes. Each job writes into a ledger elsewhere when it begins and when
it ends. A quota that is used up exists by injection alone.
"""

import collections
import contextlib
import ctypes
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
from support import faults, invariants, jars, processes, programs, workers

from jobjar import fitness, fslook, notes, submission, worker
from jobjar.errors import TryAgain

NEW_MOUNTS, RECURSIVE, PRIVATE = 0x20000, 0x4000, 1 << 18

# How each file system is mounted at {0}, and what can be filled there; rounds in the short and in the full form.
SMALL = {
    "ext4": ("mount -o loop {0}.image {0}", ("bytes", "inodes"), (2, 80)),
    "tmpfs of few pages": ("mount -t tmpfs -o size=1m none {0}", ("bytes",), (2, 60)),
    "tmpfs of few inodes": ("mount -t tmpfs -o size=16m,nr_inodes=300 none {0}", ("inodes",), (2, 60)),
}
MAKE_IMAGE = "truncate -s 20M {0} && mkfs.ext4 -q -F -m 0 -N 400 {0}"
# A file system of 20 MB is filled but for the last, and emptied, as quickly as one of 1 MB.
STEP = 65536


def mount_privately() -> None:
    """What this process and its children mount from now on nobody else sees, and it goes with them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS) or libc.mount(b"none", b"/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None):
        raise OSError(ctypes.get_errno(), "no mount namespace")


@contextlib.contextmanager
def small(kind: str, top: str) -> Iterator[str]:
    """A small file system of this kind, mounted until the end of the block; its directory."""
    place = tempfile.mkdtemp(dir=top)
    if "image" in SMALL[kind][0]:
        shutil.copyfile(f"{top}/image", f"{place}.image")
    subprocess.run(SMALL[kind][0].format(place), shell=True, check=True, stderr=subprocess.PIPE)
    try:
        yield place
    finally:
        # Lazily: whatever goes wrong, it must not stay.
        subprocess.run(["umount", "-l", place], check=True)


def try_to_mount(kind: str, top: str) -> bool:
    """Whether this process may do it, and the system can; tried in a child."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mount_privately()
            with small(kind, top):
                code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def top(tmp_path):
    """A directory with the image of an empty ext4 in it, on a file system with room."""
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4: install e2fsprogs")
    subprocess.run(MAKE_IMAGE.format(tmp_path / "image"), shell=True, check=True)
    return str(tmp_path)


@pytest.mark.parametrize("kind", SMALL)
def test_a_disk_that_fills_up_at_any_time_loses_nothing_and_all_goes_on_when_there_is_room(
        kind, top, points, full, seed, figures):
    if not try_to_mount(kind, top):
        pytest.skip(f"no {kind} can be mounted here, in a container perhaps")
    rounds = SMALL[kind][2][full]
    points.spread(range(rounds), lambda mine, number: Round(kind, top, random.Random(f"{seed} {kind} {number}")).play(
        mine, f"{kind}, seed {seed}, round {number}"))
    counts = collections.Counter()
    for line in jars.read(f"{top}/tally").splitlines():
        counts.update(json.loads(line))
    figures(f"{kind}: {rounds} rounds, {counts['jobs']} jobs, {counts['refused']} refused for want of room;"
            f" {counts['programs refused']} programs ended with 75; {counts['blocked']} times a worker had to wait")
    points.verdict()
    assert points.count == rounds and counts["jobs"] > rounds
    # A disk that was never full would show nothing; in a few rounds it may be that only the one or the other meets it.
    assert counts["refused"] and counts["blocked"] if full else counts["refused"] or counts["blocked"]


_is_private = False


class Round:
    """One jar on one small file system, with two workers, that is filled and emptied while jobs come."""

    def __init__(self, kind: str, top: str, rng: random.Random) -> None:
        global _is_private
        if not _is_private:
            mount_privately()
            _is_private = True
        self.kind, self.top, self.rng = kind, top, rng
        self.ledger = tempfile.mktemp(prefix="ledger-", dir=top)
        # Job's name → its text; its exit status stands in its last line.
        self.jobs: dict[str, str] = {}
        self.wrong: list[str] = []
        self.counts = collections.Counter()
        self.started: list[subprocess.Popen] = []

    def play(self, points: invariants.Points, what: str) -> None:
        """Play it to its end and note what went wrong."""
        with small(self.kind, self.top) as place:
            self.place, self.jar = place, jars.make(f"{place}/jar")
            # Some workers stop in time, the others run until nothing can be written.
            least = self.rng.choice(("0", "64K 20"))
            staff = [workers.start(self.jar, JJ_PAUSE_TIME="0.2", JJ_MIN_FREE=least, before=hurry) for _ in range(2)]
            try:
                for _ in range(self.rng.randint(1, 3)):
                    self._one_flood()
                self._submit_some(2)
                self._await(staff)
                self._stop(staff)
                self._see_the_programs_end()
            finally:
                for handle in staff:
                    workers._end(handle)
                for process in self.started:
                    process.kill()
            self._judge()
            self.counts.update({"jobs": len(self.jobs), "blocked": sum(one.log().count("goes on") for one in staff)})
        # One write, for other rounds are played at the same time.
        with open(f"{self.top}/tally", "a") as file:
            file.write(json.dumps(self.counts) + "\n")
        points.add(what, self.wrong)

    def _one_flood(self) -> None:
        self._submit_some(self.rng.randint(1, 4))
        time.sleep(self.rng.uniform(0, 0.1))
        ballast = self._fill(self.rng.choice(SMALL[self.kind][1]))
        self._submit_some(self.rng.randint(0, 3))
        if self.rng.random() < 0.3:
            self._try_the_programs()
        time.sleep(self.rng.uniform(0, 0.3))
        self._submit_some(self.rng.randint(0, 2))
        for path in ballast:
            os.remove(path)

    def _fill(self, what: str) -> list[str]:
        """Take all that there is, or all but a little; what is to be removed again."""
        spare, made = self.rng.choice((0, 0, 1, 2, 5)), []
        try:
            while True:
                made.append(f"{self.place}/ballast-{len(made)}")
                with open(made[-1], "xb", buffering=0) as file:
                    while what == "bytes" and len(made) == 1 and file.write(bytes(STEP)):
                        pass
                    while what == "bytes" and file.write(bytes(512)):
                        pass
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
        if not os.path.exists(made[-1]):
            made.pop()
        if what == "inodes":
            for path in made[:spare]:
                os.remove(path)
            return made[spare:]
        if spare:
            os.truncate(made[-1], max(0, os.path.getsize(made[-1]) - spare * 4096))
        return made

    def _submit_some(self, count: int) -> None:
        for _ in range(count):
            word, code = f"w{self.rng.getrandbits(64):x}", self.rng.choice((0, 0, 0, 3))
            prints = self.rng.choice(("", "", "echo something", "head -c 9000 /dev/zero"))
            text = jars.script(word, f"echo B {word} >>{self.ledger}\n{prints} 2>/dev/null\nsleep"
                                     f" {self.rng.uniform(0, 0.05):.3f}\necho E {word} >>{self.ledger}\nexit {code}")
            try:
                category = self.rng.choice((None, None, "rain"))
                place = submission.submit(self.jar, submission.Request(text.encode(), category=category))
                self.jobs[place.name] = text
            except TryAgain:
                self.counts["refused"] += 1

    def _try_the_programs(self) -> None:
        """As a shell sees it: done, or "try again" with nothing left behind."""
        words = ("--home", self.jar.home, "-i", "shell", f"echo B $JJ_JOB_ID >>{self.ledger};"
                                                         f" echo E $JJ_JOB_ID >>{self.ledger}")
        code, out, err = programs.run("submit_job", *words)
        if code == 0:
            self.jobs[out.strip() + ".0"] = submission.script(words[-1]).decode()
        elif self._is_odd(code) or out or "nothing is submitted" not in err:
            self.wrong.append(f"submit_job ended with {code} and said {out!r} {err!r}")
        env = processes.environment(JJ_NODE="meadow", JJ_MIN_FREE="0")
        words = ("--home", self.jar.home, "--foreground", "--idle-exit", "0")
        # Once it has registered it waits for room as others do.
        self.started.append(programs.start("start_worker", *words, env=env))

    def _is_odd(self, code: int) -> bool:
        """Whether a program has ended otherwise than it should on a full disk; it is counted if not."""
        self.counts["programs refused"] += code == 75
        return code != 75

    def _await(self, staff: list[workers.Handle]) -> None:
        def is_done() -> bool:
            return self.jobs.keys() <= set(os.listdir(self.jar.completed)) or any(one.has_ended() for one in staff)
        try:
            processes.until(is_done, "all jobs to be completed")
        except AssertionError as error:
            left = [path for path in jars.tree(self.jar) if path.startswith(("unclaimed/", "workers/"))]
            self.wrong.append(f"{error}; {left}; " + "; ".join(one.log() for one in staff))

    def _stop(self, staff: list[workers.Handle]) -> None:
        for handle in staff:
            if handle.has_ended():
                self.wrong.append(f"{handle.name} ended with {handle.status}: {handle.log()}")
                continue
            handle.signal(signal.SIGTERM)
            if handle.wait():
                self.wrong.append(f"{handle.name} did not leave in order: {handle.log()}")

    def _see_the_programs_end(self) -> None:
        for process in self.started:
            code, out, err = processes.finish(process)
            if code and self._is_odd(code):
                self.wrong.append(f"start_worker ended with {code} and said {out!r} {err!r}")

    def _judge(self) -> None:
        tree = jars.tree(self.jar)
        self.wrong += invariants.leftovers(tree) + invariants.no_link_is_a_job(tree)
        self._judge_jobs(tree)
        self._judge_records(tree)
        with open(self.ledger, "a+", encoding="ascii") as file:
            file.seek(0)
            said = collections.Counter(file.read().splitlines())
        for name, text in self.jobs.items():
            word = invariants.word_of(text) or name.rpartition(".")[0]
            if (said[f"B {word}"], said[f"E {word}"]) != (1, 1):
                self.wrong.append(f"{name} was begun {said[f'B {word}']} and ended {said[f'E {word}']} times")
        if sum(said.values()) != 2 * len(self.jobs):
            self.wrong.append(f"{sum(said.values())} lines in the ledger of {len(self.jobs)} jobs")

    def _judge_jobs(self, tree: invariants.Tree) -> None:
        bad = {name for name, text in self.jobs.items() if text.endswith("exit 3\n")}
        for state, names in (("completed", set(self.jobs)), ("failed", bad), ("unclaimed", set()), ("limbo", set())):
            found = {path.removeprefix(f"{state}/") for path, text in tree.items()
                     if path.startswith(f"{state}/") and text is not None}
            if found != names:
                self.wrong.append(f"in {state}/ is {sorted(found ^ names)} too much or too little")
        self.wrong += [f"{name} is torn: {tree.get(f'completed/{name}')!r}" for name, text in self.jobs.items()
                       if tree.get(f"completed/{name}") not in (text, None)]
        ends = [line for name in fslook.names(self.jar.workers)
                for line in notes.read_lines(os.path.join(self.jar.worker(name), "journal")) if line["e"] == "end"]
        said = sorted((line["n"], line["exit"]) for line in ends)
        if said != sorted((name, 3 * (name in bad)) for name in self.jobs):
            self.wrong.append(f"the end lines say {said}, the jobs are {self.jobs}")

    def _judge_records(self, tree: invariants.Tree) -> None:
        """Nothing that is read by others is empty or cut off; what is appended to may have torn lines, and says so."""
        if tree["FORMAT"] != "1\n" or any(path.startswith("notes/") for path in tree):
            self.wrong.append(f"FORMAT says {tree['FORMAT']!r}, notes/ has {os.listdir(self.jar.notes)}")
        for path, text in tree.items():
            top, _, rest = path.partition("/")
            if top == "logs" and rest and not text:
                self.wrong.append(f"{path} is empty")
            if top == "workers" and "/" not in rest or rest.endswith("/PAUSE"):
                self.wrong.append(f"{path} is left")
        for name in fslook.names(self.jar.workers):
            if not json.loads(tree.get(f"workers/{name}/worker.json") or "null"):
                self.wrong.append(f"{name} does not say who it is")


def hurry() -> None:
    """For `before`: nobody waits for long, so that a round takes a second."""
    patiently = worker.Worker._be_patient
    worker.Worker._be_patient = lambda self, error, seconds: patiently(self, error, min(seconds, 0.05))
    fitness.ASK_AGAIN = fitness.REST = 0.05


# A quota.


def test_a_quota_that_is_used_up_at_any_step_of_a_submission_is_try_again_and_leaves_nothing(jar, points):
    def submit() -> Callable[[], object]:
        return lambda: submission.submit(jar, submission.Request(submission.script("true"), category="LINUX"))
    trace = faults.count(submit(), jar.home)
    shutil.rmtree(f"{jar.unclaimed}/LINUX")
    for fault in faults.points(trace, faults.RAISE):
        # Neither a removal nor a sync of what has been renamed needs room.
        if trace[fault.at - 1].split()[0] in ("os.remove", "os.rmdir") or is_late(trace, fault.at):
            continue
        outcome = faults.strike(submit(), fault._replace(more=errno.EDQUOT), jar.home)
        left = [path for path in jars.tree(jar) if path.startswith(("limbo/", "unclaimed/LINUX/"))]
        # A rename is tried once more.
        is_right = len(left) == 1 and "limbo" not in left[0] if not outcome.error else not left and (
            "TryAgain" in outcome.error and "Disk quota exceeded" in outcome.error)
        points.add(f"at {trace[fault.at - 1]}", [] if is_right else [f"{outcome.error} {left}"])
        shutil.rmtree(f"{jar.unclaimed}/LINUX", ignore_errors=True)
    points.verdict()
    assert points.count > 4


def is_late(trace: list[str], at: int) -> bool:
    """Whether the job had been submitted before that step."""
    return any(line.startswith("os.rename") for line in trace[:at - 1])
