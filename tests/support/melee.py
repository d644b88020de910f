"""Several people at the same jobs at once, beside real workers, and what must be true of it afterwards.

Each person is a process that calls what the commands call and writes down what it was told: an `Act`. Each run of a
job writes down when it began, as which attempt, and what it was told of its memory; the kernel's lock on its own file,
which lasts as long as anything of the job lives, shows two runs at once. Times are seconds since the computer's start.
"""

import json
import os
import random
import re
import sys
import time
import traceback
from collections import Counter, namedtuple
from collections.abc import Callable, Iterator

from jobjar import (arrays, cancelling, changing, directives, editing, expansion, findings, inspection, job, jobname,
                    layout, node, retrying, selection, states, submission)
from jobjar.errors import JobJarError
from support import invariants, jars, processes, workers

CATEGORY = "C1"
PERSONS, WORKERS = 4, 2
CAP, TASKS = 2, 8
# /proc/uptime, which a shell can read, has hundredths of a second.
TICK = 0.02
PATIENCE = 120.0

# What was wanted of which jobs (by their ids without ~N), with which value, from when to when; of which of them it was
# said to be done, and how; `wrong`: the traceback of what is no sentence for a person.
Act = namedtuple("Act", "verb stems value begin end done wrong")
# One run: `mem`: what it was told of its --mem, in MB; `is_whole`: whether it came to its end.
Run = namedtuple("Run", "attempt begin mem is_whole")

BODY = """#!/bin/sh
{asks}word={word} runs={runs}
read now rest </proc/uptime
exec 9>>$runs/$word
flock -n 9 || echo DOUBLE >&9
echo b $JJ_ATTEMPT_ID $now ${{JJ_MEM_MB:-0}} >&9
{seat}sleep 0.0{nap}
echo e $JJ_ATTEMPT_ID >&9
exit {exit}
"""
# A task of an array takes one of as many seats as its cap allows.
SEAT = """for seat in {seats}; do exec 8>>$runs/seat.$JJ_ARRAY_JOB_ID.$seat; flock -n 8 && break; seat=; done
[ "$seat" ] || echo OVER >&9
"""

# Verb → how often of a hundred.
VERBS = {"hold": 18, "release": 18, "cancel": 12, "retry": 14, "mem": 14, "priority": 8, "move": 8, "first": 8}
# What may let a job run that was held, or cancelled, before.
FREES = {"hold": ("release", "retry"), "cancel": ("retry",)}

# Line of a journal → the keys that it must have besides `e` and `a`. docs/PROTOCOL.md section 7.
KEYS = {"claim": "c n t", "end": "c n t start state exit signal node tries", "requeue": "c n t why",
        "refuse": "c n t why", "target": "as"}
STATES = ("COMPLETED", "FAILED", "CANCELLED")


# Before so many of a hundred operations somebody dawdles for up to so many seconds, so that others come in between.
DAWDLES, LONGEST = 4, 0.01
OPERATIONS = {"os.rename", "os.symlink", "os.remove", "os.mkdir", "os.listdir", "os.scandir", "open"}


def dawdle(seed: float) -> None:
    """Make this process slow at places that the seed draws; for ever."""
    chance = random.Random(seed)

    def hook(event: str, _: tuple) -> None:
        if event in OPERATIONS and chance.randrange(100) < DAWDLES:
            time.sleep(chance.uniform(0.0, LONGEST))
    sys.addaudithook(hook)


def now() -> float:
    """The time as the jobs read it."""
    return float(jars.read("/proc/uptime").split()[0])


class Melee:
    """One jar, its jobs and those who are at them."""

    def __init__(self, top: str, jobs: int, tasks: bool, chance: random.Random) -> None:
        self.chance, self.top, self.runs = chance, top, os.path.join(top, "runs")
        os.makedirs(self.runs)
        self.jar = jars.make(os.path.join(top, "jar"))
        self.handles: dict[str, job.Job] = {}
        # The id of each job, without ~N → the word under which its runs are written down.
        self.words: dict[str, str] = {}
        self.priorities: dict[str, int] = {}
        self.let_go_at = 0.0
        for number in range(jobs):
            self._submit(f"w{number}", number % 5 > 0, self.chance.randrange(3))
        if tasks:
            self._submit_array()

    def _body(self, word: str, seat: str = "") -> bytes:
        # Some end badly, and some of these are repeated.
        code = self.chance.choice((0, 0, 3))
        asks = "#JJ --retries=1\n" if code and self.chance.random() < 0.5 else ""
        return BODY.format(word=word, runs=self.runs, asks=asks, seat=seat, nap=self.chance.randrange(1, 4),
                           exit=code).encode()

    def _submit(self, word: str, is_ours: bool, priority: int) -> None:
        if is_ours:
            place = submission.submit(self.jar, submission.Request(self._body(word), priority))
            stem = jobname.stem(place.name)
            self.handles[stem] = job.Job(self.jar, place)
        else:
            stem = f"hand-{word}"
            workers.put(self.jar, f"{stem}.{priority}", self._body(word))
        self.words[stem], self.priorities[stem] = word, priority

    def _submit_array(self) -> None:
        body = self._body("t.$JJ_ARRAY_TASK_ID", SEAT.format(seats=" ".join(map(str, range(CAP)))))
        wishes = directives.read(f"#JJ --array=1-{TASKS}%{CAP}\n".encode())
        batch = expansion.Batch(body, {"submit_dir": "/", "submit_host": workers.NODE, **wishes}, "job", None)
        array = arrays.submit(self.jar, batch, node.myself(workers.NODE), True)
        for index in range(1, TASKS + 1):
            self.words[f"{array}_{index}"], self.priorities[f"{array}_{index}"] = f"t.{index}", 0

    # The people.

    def run(self, acts: int) -> None:
        """Everybody acts so often; then whatever is held is released, and all jobs come to their ends."""
        handles = [workers.start(self.jar, CATEGORY, before=lambda: dawdle(self.chance.random() + number),
                                 JJ_PAUSE_TIME="1", JJ_ORDER_TIME="0.2") for number in range(WORKERS)]
        children = [self._fork(lambda number=number: self._be_a_person(number, acts)) for number in range(PERSONS)]
        waiter = self._fork(self._wait)
        try:
            self._reap(children, "the people have done what they wanted")
            self.let_go_at = now()
            processes.until(self._let_go, "all jobs end", PATIENCE)
            self._reap([waiter], "who waits for the jobs has seen their ends")
            jars.write(os.path.join(self.jar.workers, layout.STOP_ALL), "")
            for handle in handles:
                assert handle.wait() == 0, handle.log()
        finally:
            for pid in (*children, waiter, *(handle.pid for handle in handles if handle.status is None)):
                _kill(pid)

    def _fork(self, act: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                act()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    def _reap(self, children: list[int], what: str) -> None:
        """Wait for their ends, all of them good; they are taken off the list."""
        def have_ended() -> bool:
            for pid in [*children]:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    children.remove(pid)
                    assert not status, "a process has ended badly: see what it has printed"
            return not children
        processes.until(have_ended, what, PATIENCE)

    def _wait(self) -> None:
        """Somebody who waits for all jobs: he may not lose one from sight."""
        for stem, handle in self.handles.items():
            state = handle.wait(PATIENCE)
            assert state in (*STATES, None) and state, f"{stem} was waited for until it was {state}"

    def _be_a_person(self, number: int, acts: int) -> None:
        chance = random.Random(self.chance.random() + number)
        dawdle(chance.random())
        with open(os.path.join(self.top, f"acts.{number}"), "w", encoding="utf-8") as file:
            for _ in range(acts):
                verb = chance.choices([*VERBS], VERBS.values())[0]
                stems = chance.sample([*self.words], chance.choice((1, 1, 1, 2, 5)))
                file.write(json.dumps(self._act(verb, stems, chance.randrange(100, 1000))) + "\n")

    def _act(self, verb: str, stems: list[str], value: int) -> Act:
        change, begin, wrong = changing.Change(self.jar, workers.NODE), now(), ""
        try:
            do(self.jar, change, verb, stems, value)
        except JobJarError:
            # Of a job that moves all the time it may be said that it is not found.
            pass
        except BaseException:
            wrong = traceback.format_exc()
        done = {jobname.stem(line.split()[0]): line.partition(" ")[2] for line in change.done}
        return Act(verb, stems, value, begin, now(), done, wrong)

    def _let_go(self) -> bool:
        """Release what is held; whether no job is left that has not ended."""
        change = changing.Change(self.jar, workers.NODE)
        changing.release(change, selection.Listing(self.jar).places((states.HELD,)))
        return not [*selection.Listing(self.jar).places(states.UNFINISHED)]

    # What must be true afterwards.

    def violations(self) -> list[str]:
        """All that is wrong."""
        tree, acts = jars.tree(self.jar), [*self.acts()]
        runs = {stem: self._runs(word) for stem, word in self.words.items()}
        wrong = [f"{act.verb} {act.stems}: {act.wrong}" for act in acts if act.wrong]
        wrong += self._wrong_places(tree) + invariants.leftovers(tree) + invariants.no_link_is_a_job(tree)
        wrong += [f"{finding.path}: {finding.says}" for finding in inspection.inspect(self.jar, node.myself(
            workers.NODE)) if finding.severity != findings.INFORMATION]
        journals = [*self._journals()]
        wrong += [line for journal in journals for line in wrong_lines(journal)]
        lines = [line for journal in journals for line in journal]
        for stem, word in self.words.items():
            mine = [act for act in acts if stem in act.stems]
            said = [line for line in lines if jobname.stem(line.get("n", "")) == stem]
            wrong += [f"{stem} ({word}): {what}" for what in (
                *_wrong_runs(self._told(word), runs[stem], said), *wrong_ends(stem, runs[stem], mine),
                *wrong_memory(stem, runs[stem], mine), *self._wrong_file(stem, tree, mine, said))]
        return wrong

    def acts(self) -> Iterator[Act]:
        """What all people did, and the release of all in the end."""
        yield Act("release", [*self.words], 0, self.let_go_at, now(), {}, "")
        for number in range(PERSONS):
            for line in jars.read(os.path.join(self.top, f"acts.{number}")).splitlines():
                yield Act(*json.loads(line))

    def _journals(self) -> Iterator[list[dict]]:
        for name in os.listdir(self.jar.workers):
            if layout.split_worker(name):
                yield workers.Handle(self.jar, workers.NODE, int(name.rpartition(".")[2])).journal()

    def _told(self, word: str) -> list[str]:
        path = os.path.join(self.runs, word)
        return jars.read(path).splitlines() if os.path.exists(path) else []

    def _runs(self, word: str) -> list[Run]:
        told = [line.split() for line in self._told(word)]
        ended = {words[1] for words in told if words[0] == "e"}
        return [Run(words[1], float(words[2]), int(words[3]), words[1] in ended) for words in told if words[0] == "b"]

    def _places(self, tree: invariants.Tree) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path, text in tree.items():
            name = path.rpartition("/")[2]
            if text and "\nword=" in text and not name.startswith("."):
                found.setdefault(jobname.stem(name), []).append(path)
        return found

    def _wrong_places(self, tree: invariants.Tree) -> list[str]:
        found = self._places(tree)
        wrong = [f"{stem} is in {found.get(stem, 'no place')}" for stem in self.words if len(found.get(stem, ())) != 1]
        return wrong + [f"{paths} is a job that nobody has submitted" for stem, paths in found.items()
                        if stem not in self.words]

    def _wrong_file(self, stem: str, tree: invariants.Tree, acts: list[Act], said: list[dict]) -> Iterator[str]:
        """What is wrong with the job where it is at last."""
        [path] = self._places(tree).get(stem, [""])[:1]
        name, text = path.rpartition("/")[2], tree.get(path, "")
        if not path.startswith(("completed/", "failed/")):
            yield f"it has not ended but is in {path}"
            return
        found = re.search(r"^#JJ.* --mem=(\d+)M", text, re.M)
        memory, may = int(found[1]) if found else 0, _values(stem, [act for act in acts if act.verb == "mem"], 0)
        if memory not in may:
            yield f"its file asks for {memory} MB, and it was said to be one of {may}"
        priority, may = jobname.split(name)[1], _values(
            stem, [act for act in acts if act.verb in ("priority", "first")], self.priorities[stem])
        if priority not in may and None not in may:
            yield f"its priority is {priority}, and it was said to be one of {may}"
        last = max((line for line in said if line["e"] == "end"), key=lambda line: line["t"], default=None)
        if path.startswith("completed/"):
            if last is None or (last["state"] != "COMPLETED") != (f"failed/{name}" in tree):
                yield f"{path} is {'' if f'failed/{name}' in tree else 'not '}linked in failed/, and its end is {last}"
        if stem in self.handles and self.handles[stem].path != os.path.join(self.jar.home, path):
            yield f"its handle says that it is {self.handles[stem].path}, and it is {path}"


def do(jar: layout.Jar, change: changing.Change, verb: str, stems: list[str], value: int) -> None:
    """As the command of that name does it."""
    ended = (states.COMPLETED, states.FAILED)
    places = changing.find(jar, stems, ended if verb == "retry" else states.UNFINISHED)
    if verb == "cancel":
        cancelling.cancel(change, places, order_time=0.2)
    elif verb == "mem":
        editing.edit(change, places, directives.read(f"#JJ --mem={value}M\n".encode()))
    elif verb == "priority":
        editing.edit(change, places, {"priority": value})
    elif verb == "move":
        changing.alter(change, places, category=CATEGORY if value % 2 else None)
    else:
        getattr(retrying if verb == "retry" else changing, verb)(change, places)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def _wrong_runs(told: list[str], runs: list[Run], said: list[dict]) -> Iterator[str]:
    """Each run was alone, and is an attempt of its own that a worker's journal tells of."""
    if any(line in ("DOUBLE", "OVER") for line in told):
        yield f"it ran twice at once, or more of its array than may: {told}"
    events = {event: Counter(line["a"] for line in said if line["e"] == event) for event in KEYS}
    for run in runs:
        if not events["claim"][run.attempt]:
            yield f"it ran as {run.attempt}, of which no journal tells"
        if events["end"][run.attempt] + events["requeue"][run.attempt] != 1:
            yield f"it ran as {run.attempt}, whose end no journal tells"
    if len({run.attempt for run in runs}) < len(runs):
        yield f"it ran twice as one attempt: {runs}"
    states_of = {line["a"]: line["state"] for line in said if line["e"] in ("end", "requeue") and "state" in line}
    for run in runs:
        if not run.is_whole and states_of.get(run.attempt) != "CANCELLED":
            yield f"attempt {run.attempt} was cut short and is {states_of.get(run.attempt)}"


def wrong_ends(stem: str, runs: list[Run], acts: list[Act]) -> Iterator[str]:
    """A job that was said to be cancelled, or held, begins only when somebody has let it since."""
    for verb, frees in FREES.items():
        for act in acts:
            if act.verb != verb or stem not in act.done:
                continue
            let = [other for other in acts if other.verb in frees and other.end + TICK > act.begin]
            for run in runs:
                if run.begin > act.end + TICK and not any(other.begin < run.begin + TICK for other in let):
                    yield f"it began at {run.begin}, and {act} was done"


def wrong_memory(stem: str, runs: list[Run], acts: list[Act]) -> Iterator[str]:
    """A run is told what the last change before it has asked for."""
    changes = [act for act in acts if act.verb == "mem"]
    for run in runs:
        may = _values(stem, changes, 0, run.begin)
        if run.mem not in may:
            yield f"its run of {run.begin} was told of {run.mem} MB, and may have been of {may}"


def _values(stem: str, acts: list[Act], first: int, before: float = float("inf")) -> set[int | None]:
    """What the job's value may be after these acts, or at the time `before`; None among them: anything."""
    tries = [act for act in acts if act.begin < before + TICK and "already" not in act.done.get(stem, "")]
    sure = [act for act in tries if stem in act.done and act.end < before - TICK]
    found = {_value(stem, act) for act in tries if not any(other.begin > act.end for other in sure)}
    return found if sure else found | {first}


def _value(stem: str, act: Act) -> int | None:
    """Which value an act has given to a job; None when that was not said."""
    said = re.search(r" has priority (-?\d+)$", " " + act.done.get(stem, ""))
    return int(said[1]) if said else None if act.verb == "first" else act.value


def wrong_lines(journal: list[dict]) -> Iterator[str]:
    """What is wrong with the lines of one worker's journal, in their order, by docs/PROTOCOL.md section 7."""
    attempt, number, has_ended = None, 0, True
    for line in journal:
        if line.get("e") not in KEYS or not {"a", *KEYS[line["e"]].split()} <= set(line):
            yield f"no line of a journal: {line}"
        elif line["e"] == "claim":
            count = int(line["a"].rpartition("-")[2])
            if count <= number:
                yield f"{line} comes behind attempt {number}"
            attempt, number, has_ended = line, count, False
        elif attempt is None or line["a"] != attempt["a"] or has_ended != (line["e"] == "target"):
            yield f"{line} does not belong to the attempt that is going on, or is not its turn: {attempt}"
        elif line["e"] != "target":
            has_ended = True
            if (line["c"], line["n"]) != (attempt["c"], attempt["n"]):
                yield f"{line} is about another job than {attempt}"
