"""A jar under fire: real workers, recoveries and checks that are killed at any moment while they run real jobs.

A job's own lock, which the kernel keeps as long as anything of the job lives, shows two runs at once; what each run
writes down behind that lock shows how often it began and ended, and as which attempt.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from jobjar import (family, inspection, layout, moves, node, notes, reservation, starting, states, submission,
                    supervision)
from support import invariants, jars, processes, programs, workers

CATEGORY = "C1"
WORKERS, RECOVERERS = 8, 3
# Of a hundred kills so many strike a recovery, and a check_workers; the others strike workers.
AT_RECOVERY, AT_CHECK = 15, 5
STALLED = 240.0

# What a job does between its beginning and its end, how many of a hundred do it, and with which exit status it ends.
# Those that sleep outlive their workers: a recovery that does not wait for them lets them run twice at once.
KINDS = {"print": (20, "echo output of $word", 0), "fail": (10, ":", 3), "fail aloud": (5, "echo output of $word", 4),
         "sleep": (3, "sleep 0.$nap", 0), "remove": (2, "/bin/rm -f $JJ_JOB_FILE", 0)}
BODY = """#!/bin/sh
# job {word}
word={word} nap={nap}
exec 9>>{file}
flock -n 9 || echo DOUBLE >&9
echo b $JJ_ATTEMPT_ID >&9
{body}
echo e $JJ_ATTEMPT_ID >&9
exit {exit}
"""


class Soak:
    """One jar with its jobs, and those who are to be killed."""

    def __init__(self, top: str, jobs: int, kills: int, chance: random.Random) -> None:
        self.jobs, self.chance, self.kills_wanted = jobs, chance, kills
        self.runs = os.path.join(top, "runs")
        os.makedirs(self.runs)
        self.jar = jars.make(os.path.join(top, "jar"))
        self.settings = workers.settings(self.jar, JJ_MAX_ATTEMPTS="1000", JJ_MAX_WORKERS=str(WORKERS))
        self.kinds = {f"w{number}": self._kind() for number in range(jobs)}
        self.roles: dict[int, str] = {}
        self.kills: Counter = Counter()
        self.killed: set[str] = set()
        self._recovered_at = 0.0

    def _kind(self) -> str:
        drawn = self.chance.randrange(100)
        for kind, (share, _, _) in KINDS.items():
            if drawn < share:
                return kind
            drawn -= share
        return "nothing"

    def body(self, word: str) -> str:
        """The text of a job."""
        _, body, code = KINDS.get(self.kinds[word], (0, ":", 0))
        return BODY.format(word=word, nap=self.chance.randrange(1, 10), body=body, exit=code,
                           file=os.path.join(self.runs, word))

    # Submitting.

    def submit(self) -> None:
        """All jobs, three in ten in a category, save one in ten that `submit_alike` submits later."""
        requests = [submission.Request(self.body(word).encode(), category=CATEGORY if self.chance.random() < 0.3 else None)
                    for word in self.kinds]
        self._alike = requests[:self.jobs // 10]
        submission.submit_many(self.jar, requests[len(self._alike):])

    def submit_alike(self) -> None:
        """One more of a name that many have, as one who holds a job and releases it; the name may be taken."""
        request, name = self._alike.pop(), f"alike.{self.chance.randrange(3)}"
        draft = jars.write(os.path.join(self.jar.limbo, submission.fresh_name()), request.data.decode())
        held = moves.submit_held(self.jar, os.path.basename(draft), request.category)
        os.rename(self.jar.path(held), self.jar.path(held._replace(name=name)))
        assert moves.release(self.jar, held._replace(name=name), reservation.text("rain.1", "alike"))

    # Who lives.

    def fork(self, role: str, act: Callable[[], object]) -> None:
        """A process of that role."""
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir("/")
                act()
            finally:
                os._exit(0)
        self.roles[pid] = role

    def _worker(self) -> None:
        terms = starting.Terms((CATEGORY,))
        starting.work(self.jar, starting.register(self.jar, self.settings, terms), terms)

    def _recover(self) -> None:
        supervision.recover(self.jar, self.settings)

    def _check(self) -> None:
        supervision.check(self.jar, self.settings, wait=1.0)

    def living(self) -> dict[int, str]:
        """pid → role of all who live, those that a check has started included."""
        self.reap()
        found = {int(name.rpartition(".")[2]) for name in os.listdir(self.jar.workers) if layout.split_worker(name)}
        children = set(family.children())
        return {pid: self.roles.get(pid, "worker") for pid in children if pid in self.roles or pid in found}

    def reap(self) -> None:
        """Bury the dead, and the orphans among the jobs too."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.roles.pop(pid, None)

    def replace(self, living: dict[int, str]) -> None:
        """Whoever is missing comes back."""
        count = Counter(living.values())
        for _ in range(WORKERS - count["worker"]):
            if not count["check"] and self.chance.random() < 0.15:
                self.fork("check", self._check)
                break
            self.fork("worker", self._worker)
        if count["recovery"] < RECOVERERS and time.monotonic() - self._recovered_at > 0.1:
            self._recovered_at = time.monotonic()
            self.fork("recovery", self._recover)

    def kill_one(self, living: dict[int, str]) -> None:
        """kill -9 of somebody."""
        drawn = self.chance.randrange(100)
        role = "recovery" if drawn < AT_RECOVERY else "check" if drawn < AT_RECOVERY + AT_CHECK else "worker"
        victims = [pid for pid, found in living.items() if found == role] or list(living)
        if not victims:
            return
        pid = self.chance.choice(victims)
        role, start = living.pop(pid), node.start_ticks(pid)
        if start is not None:
            # As its nonce ends.
            self.killed.add(f"{start:x}.{pid:x}")
            os.kill(pid, signal.SIGKILL)
            self.kills[role] += 1

    # The run.

    def run(self) -> None:
        """Until all jobs are done, killing as many as are wanted; at the end everybody leaves in peace."""
        done, changed = 0, time.monotonic()
        expected = sum(kind != "remove" for kind in self.kinds.values())
        while done < expected:
            living = self.living()
            self.replace(living)
            if self._alike:
                self.submit_alike()
            time.sleep(self.chance.uniform(0.0, 0.02))
            now_done = len(os.listdir(self.jar.completed))
            if now_done != done:
                done, changed = now_done, time.monotonic()
            assert time.monotonic() - changed < STALLED, f"nothing happens any more: {self._standstill()}"
            # The last kills come when there still are jobs to be struck.
            for _ in range(min(3, round(self.kills_wanted * min(1.0, 1.05 * done / expected)) - self.kills.total())):
                self.kill_one(living)
        self._end()

    def _standstill(self) -> list[str]:
        """Where the jobs are that are not completed, and what a check says about them."""
        found = invariants.places(jars.tree(self.jar))
        where = [f"{word}, which is to {kind}, is in {found.get(word, 'no place')} and ran {self._ran(word)}"
                 for word, kind in self.kinds.items()
                 if kind != "remove" and not found.get(word, [""])[0].startswith("completed/")]
        told = inspection.inspect(self.jar, node.myself(workers.NODE))
        return [*where[:20], f"who lives: {self.living()}", *(f"{finding.path}: {finding.says}" for finding in told[:20])]

    def _end(self) -> None:
        # Signals would miss those whom a check is just starting.
        marker = jars.write(os.path.join(self.jar.workers, layout.STOP_ALL), "")
        processes.until(lambda: self.reap() or not family.children(), "the end of all", 60.0)
        os.remove(marker)
        given = {"JJ_HOME": self.jar.home, "JJ_NODE": workers.NODE, "JJ_MAX_ATTEMPTS": "1000"}
        deadline = time.monotonic() + STALLED
        for _ in range(3):
            # 75: another test's recovery is at work on this node.
            while (answer := programs.run("recover_stranded", env=processes.environment(**given)))[0] == 75:
                assert time.monotonic() < deadline, answer
            assert answer[0] == 0, answer
            if not self._is_waiting():
                break
            workers.drain(self.jar, CATEGORY)

    def _is_waiting(self) -> bool:
        return any(files for _, _, files in os.walk(self.jar.directory(states.UNCLAIMED)))

    # What must hold in the end.

    def violations(self) -> tuple[list[str], int]:
        """What is wrong in the end, and how many runs there were beyond one for each job."""
        tree = jars.tree(self.jar)
        removed = [word for word, kind in self.kinds.items() if kind == "remove"]
        bad = [word for word, kind in self.kinds.items() if KINDS.get(kind, (0, "", 0))[2]]
        wrong = invariants.one_place(tree, self.kinds, removed) + invariants.links(tree, bad)
        wrong += invariants.leftovers(tree) + invariants.no_link_is_a_job(tree)
        ends = Counter(line["a"] for line in self._journals() if line["e"] == "end")
        again = 0
        found = invariants.places(tree)
        for word in self.kinds:
            wrong += self._wrong_runs(word, ends) + self._wrong_log(word, found.get(word, [""])[0], tree)
            again += len(self._ran(word)) // 2 - 1
        wrong += [f"attempt {attempt} has {count} end lines" for attempt, count in ends.items() if count > 1]
        return wrong, again

    def _journals(self) -> list[dict]:
        return [line for worker in os.listdir(self.jar.workers) if layout.split_worker(worker.partition(".old-")[0])
                for name in os.listdir(self.jar.worker(worker)) if name.startswith("journal")
                for line in notes.read_lines(os.path.join(self.jar.worker(worker), name))]

    def _ran(self, word: str) -> list[str]:
        try:
            return jars.read(os.path.join(self.runs, word)).splitlines()
        except FileNotFoundError:
            return []

    def _wrong_runs(self, word: str, ends: Counter) -> list[str]:
        """Each run begins and ends before the next, as an attempt of its own; all but one were of workers killed."""
        ran = self._ran(word)
        attempts = [line[2:] for line in ran[::2]]
        if ran != [f"{step} {attempt}" for attempt in attempts for step in "be"]:
            return [f"{word} ran {ran}"]
        lost = [attempt for attempt in attempts if not ends[attempt]]
        wrong = [f"{word}: attempt {attempt} was lost, and nobody killed its worker" for attempt in lost
                 if attempt.split("-")[1] not in self.killed]
        # One that removes itself leaves nothing that could be ended, or run again.
        if len(attempts) - len(lost) != 1 and not (self.kinds[word] == "remove" and len(attempts) == len(lost) == 1):
            wrong.append(f"{word} ran as {attempts}, of which {lost} have no end line")
        return wrong + ([f"{word} ran twice as one attempt"] if len(set(attempts)) < len(attempts) else [])

    def _wrong_log(self, word: str, path: str, tree: dict) -> list[str]:
        if not path.startswith("completed/"):
            return [] if self.kinds[word] == "remove" else [f"{word} is in {path or 'no place'}"]
        log = tree.get("logs/" + path.rpartition("/")[2])
        wanted = f"output of {word}\n" if self.kinds[word] in ("print", "fail aloud") else None
        return [] if log == wanted else [f"{word} has the log {log!r}"]
