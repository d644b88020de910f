"""The power fails at every moment, and the disk has of what was not synced whatever it may have.

What submitters, a worker, a recovery and commands do is recorded once, with what they sync; then every legal state
after a cut is built (`powerloss`), recovered after the reboot, worked off, and judged by what was known at the cut.
"""

import itertools
import os
import random
import resource
import shutil
from types import SimpleNamespace

import pytest
from support import invariants, jars, powerloss, workers

from jobjar import blame, census, claiming, moves, node, notes, process, registration, reservation, runner, submission
from jobjar.attempts import WON, Attempts
from jobjar.journal import Journal
from jobjar.layout import Jar, Place
from jobjar.recovery import Recovery

CATEGORY, NODE, MAX_ATTEMPTS = "C1", workers.NODE, 3
USAGE = resource.getrusage(resource.RUSAGE_SELF)
SAID = "what the job has said\n"
# Of the states of one moment and order, how many are chosen by chance; the short form looks at so many moments, and
# every form at one state of so many.
CHOSEN, MOMENTS, EVERY = 4, 6, 3
# Each of so many states is worked off by a real worker; the others by one that only pretends to run the jobs.
REAL = 47
_numbers = itertools.count()
_dead = itertools.count(2**22 + 1)

# A job's word → its name, category, how it ends.
JOBS = {
    "good": ("a.0", None, 0), "bad": ("b.0", None, 3), "apart": ("a.0", CATEGORY, 0), "taken": ("c.0", CATEGORY, 4),
    "noted": ("d.0", CATEGORY, 0), "noted too": ("e.0", None, 5), "given back": ("f.0", None, runner.QUIT),
    "refused": ("g.0", None, blame.REFUSED), "remover": ("h.0", None, "gone"), "last": ("i.0", None, 0),
}


class Stage:
    """Stands for the runner: notes that a job begins and ends, and prints."""

    is_hurrying = False

    def __init__(self, worker, world):
        self.output, self.world, self.worker = os.path.join(worker, "output"), world, worker

    def run(self, place, attempt, tries, *_):
        path = os.path.join(place.holder, place.category or "", place.name)
        word = invariants.word_of(jars.read(path))
        code = self.world.begins(word, attempt, jars.read(path))
        if code in (runner.QUIT, blame.REFUSED):
            return runner.Outcome(code, why="as the test has it")
        if code == "gone":
            os.remove(path)
            code = 0
        jars.write(self.output, SAID, 0o600)
        self.world.ends(word, attempt, code)
        return runner.Outcome(runner.ENDED, 0.0, code << 8, USAGE)

    def has_output(self):
        return os.path.exists(self.output)

    def tidy_scratch(self):
        pass


class Known:
    """What is known at a moment: (what, word, more) in their order; `codes` says how the jobs end."""

    def __init__(self, facts=(), tell=None):
        self.facts, self.tell, self.codes = list(facts), tell, {word: code for word, (_, _, code) in JOBS.items()}

    def say(self, *fact):
        self.facts.append(fact)
        if self.tell:
            self.tell(*fact)

    def begins(self, word, attempt, text):
        self.say("begun", word, attempt, text)
        return self.codes.get(word, 0)

    def ends(self, word, attempt, code):
        self.say("ended", word, code)

    def words(self, what):
        return {fact[1] for fact in self.facts if fact[0] == what}


def hire(jar, known):
    """A worker that has registered, as far as it moves jobs; it never ran on this boot."""
    me = node.myself(NODE)._replace(pid=next(_dead), machine="this one")
    assert registration.write(jar, me, {"uid": os.geteuid(), "lock": ""})
    registration.probe(jar, node.owner(me))
    journal = Journal(jar.worker(node.owner(me)))
    log = SimpleNamespace(say=lambda text: None)
    return Attempts(jar, me, journal, Stage(jar.worker(node.owner(me)), known), log, frozenset([os.geteuid()]), _fail)


def _fail(error, seconds):
    raise error


def claim_any(jar, attempts):
    """The job that was claimed, or None when there is none to be had."""
    queue = claiming.Queue(jar, NODE, (CATEGORY, "C2"))
    for shelf in queue.shelves:
        shelf.list(1e12)
    while candidate := queue.take():
        if attempts.claim(candidate[1], 1e12) == WON:
            return candidate[1]
    return None


def work_off(jar, known):
    """Run whatever there is."""
    attempts = hire(jar, known)
    while place := claim_any(jar, attempts):
        attempts.perform(place, None, None)
    attempts.journal.close()
    registration.leave(jar, attempts.departures.owner)


# What is recorded.

def _text(word, code=0):
    return jars.script(word, f"exit {code}" if isinstance(code, int) else "")


TEXTS = {word: _text(word, code) for word, (_, _, code) in JOBS.items()} \
    | {word: _text(word) for word in ("one", "two", "three", "earlier")}


def submit(jar, known):
    submission.submit(jar, submission.Request(TEXTS["one"].encode(), category=CATEGORY))
    known.say("acknowledged", "one")


def submit_many(jar, known):
    submission.submit_many(jar, [submission.Request(TEXTS[word].encode(), category=category)
                                 for word, category in (("one", CATEGORY), ("two", None), ("three", "C2"))])
    for word in ("one", "two", "three"):
        known.say("acknowledged", word)


def fill(jar, known):
    """The jobs, one name that is taken, and jobs that have been tried before."""
    for word, (name, category, _) in JOBS.items():
        jars.write(os.path.join(jar.queue("unclaimed", category), name), TEXTS[word])
        known.say("acknowledged", word)
    jars.write(os.path.join(jar.completed, "c.0"), TEXTS["earlier"])
    jars.write(jar.log("c.0"), "said by an earlier one\n")
    for word in ("noted", "noted too"):
        name, category, _ = JOBS[word]
        notes.count(jar, "rain.1", name, category, "earlier-1", "its worker died")
    known.say("ended", "earlier", 0)


def work(jar, known):
    """A worker runs all of them; every now and then a second goes by."""
    attempts = hire(jar, known)
    for number, (word, (name, category, _)) in enumerate(JOBS.items()):
        assert attempts.claim(Place("unclaimed", category, name), 1e12) == WON
        attempts.perform(Place("unclaimed", category, name), None, None)
        if number % 3 == 2:
            attempts.journal.sync()
            for ended in [fact[1] for fact in known.facts if fact[0] == "ended" and fact[1] in JOBS]:
                known.say("written", ended)
    attempts.journal.close()
    registration.leave(jar, attempts.departures.owner)


def bereave(jar, known):
    """Workers have died over the jobs: before their ends, after them, and once too often."""
    fill(jar, known)
    name, category, _ = JOBS["noted"]
    notes.count(jar, "rain.1", name, category, "earlier-2", "its worker died")
    for word in ("good", "bad", "taken", "noted", "noted too", "last"):
        name, category, code = JOBS[word]
        attempts = hire(jar, known)
        assert attempts.claim(Place("unclaimed", category, name), 1e12) == WON
        known.begins(word, attempts.attempt.id, TEXTS[word])
        known.say("held", word)
        jars.write(attempts.runner.output, SAID, 0o600)
        if word in ("bad", "taken", "noted too"):
            found = os.lstat(os.path.join(attempts.claims, category or "", name))
            known.ends(word, attempts.attempt.id, code)
            attempts.journal.end(attempts.attempt.id, category, name, state="FAILED", ino=found.st_ino)
            known.say("written", word)
        os.close(attempts.journal._handle)


def recover(jar, known):
    Recovery(jar, node.myself(NODE)._replace(machine="this one"), MAX_ATTEMPTS).node()


def settle(jar, known):
    """Jobs in all places where commands find them."""
    fill(jar, known)
    for word in ("good", "bad"):
        name = JOBS[word][0]
        os.rename(os.path.join(jar.unclaimed, name), os.path.join(jar.completed, name))
        known.say("ended", word, JOBS[word][2])
        jars.write(jar.log(name), SAID)
    os.symlink("../completed/b.0", os.path.join(jar.failed, "b.0"))
    os.rename(os.path.join(jar.unclaimed, "e.0"), os.path.join(jar.queue("held", CATEGORY), "e.0"))


def command(jar, known):
    """Persons move them about."""
    mine = reservation.text(f"{NODE}.{next(_dead)}", "their-1")
    moves.hold(jar, Place("unclaimed", None, "f.0"), mine)
    moves.release(jar, Place("held", CATEGORY, "e.0"), mine)
    moves.alter(jar, Place("unclaimed", CATEGORY, "d.0"), mine, "d.7", "C2")
    moves.cancel(jar, Place("unclaimed", CATEGORY, "c.0"), mine)
    moves.retry(jar, Place("completed", None, "b.0"), mine, CATEGORY, "their-2")


def nothing(jar, known):
    pass


SCENES = {"a submission": (nothing, submit), "many submissions": (nothing, submit_many), "a worker": (fill, work),
          "a recovery": (bereave, recover), "commands": (settle, command)}


def record(workplace, prepare, act):
    """The recorder of a scene, and what was known at its beginning."""
    home = os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}")
    jar, before = jars.make(home), Known()
    prepare(jar, before)
    recorder = powerloss.Recorder(home)
    recorder.record(lambda: act(jar, Known(before.facts, recorder.note)))
    shutil.rmtree(home)
    return recorder, before.facts


# How a state is judged.

def judge(state, facts, home, is_real):
    """The violations in one state after a cut, from the first look after the reboot to the last job's end."""
    known = Known([*facts, *state.record.facts(state.cut)])
    state.build(home)
    jar = Jar(home)
    wrong = at_once(jars.tree(jar), known)
    done = {word for word, [path, *_] in invariants.places(jars.tree(jar)).items() if path.startswith("completed/")}
    me = node.myself(NODE)._replace(boot="the next", machine="this one", pid=next(_dead))
    report = Recovery(jar, me, MAX_ATTEMPTS).node()
    wrong += report.left + uncounted(jar, known)
    later = Known()
    later.codes = {word: 0 for word in TEXTS}
    if is_real:
        workers.drain(jar, CATEGORY, "C2")
    else:
        work_off(jar, later)
    wrong += in_the_end(jars.tree(jar), known)
    wrong += [f"{word} was completed and ran again" for word in done & later.words("begun")]
    wrong += [f"{word} was torn: {text!r}" for _, word, _, text in later.facts[::2] if text != TEXTS.get(word)]
    census.look(jar, me)
    return wrong


def at_once(tree, known):
    """What must hold before anybody has mended anything."""
    ended = {fact[1]: fact[2] for fact in known.facts if fact[0] == "ended"}
    wrong = invariants.one_place(tree, known.words("acknowledged"), {"remover"} & known.words("begun"))
    wrong += [f"{path} is torn: {text!r}" for path, text in tree.items()
              if path.split("/")[0] in ("unclaimed", "held", "waiting", "completed") and text and text[:3] != "-> "
              and text not in TEXTS.values()]
    journals = [text for path, text in tree.items() if path.endswith("/journal")]
    lines = [line for text in journals for line in notes.parse(text.encode().splitlines())]
    written = {(line["c"], line["n"]) for line in lines if line["e"] == "end"}
    for word, [path, *_] in invariants.places(tree).items():
        if path.startswith("completed/"):
            if word not in ended:
                wrong.append(f"{word} is completed and did not run to its end")
            # The end of a job that ended badly is written at once.
            is_sure = word in known.words("written") or word in known.words("begun") and ended.get(word)
            if is_sure and JOBS[word][1::-1] not in written:
                wrong.append(f"the end of {word} is not in the journal")
            if bool(ended.get(word)) != (f"failed/{path[10:]}" in tree):
                wrong.append(f"{path} ended with {ended.get(word)} and says otherwise")
    return wrong


def uncounted(jar, known):
    """Jobs that must not be repeated unseen, and would be."""
    found = []
    for word, [path, *_] in invariants.places(jars.tree(jar)).items():
        begun = {fact[2] for fact in known.facts if fact[:2] == ("begun", word)}
        is_careful = word in ("noted", "noted too") or word in known.words("held")
        if is_careful and path.startswith("unclaimed/") and begun:
            _, *category, name = path.split("/")
            if not begun & notes.open_attempts(jar, name, category[0] if category else None):
                found.append(f"{word} has begun and is not counted: {path}")
    return found


def in_the_end(tree, known):
    wrong = invariants.one_place(tree, known.words("acknowledged"), {"remover"})
    wrong += [f"{word} is left in {path}" for word, [path, *_] in invariants.places(tree).items()
              if word in known.words("acknowledged") and path.split("/")[0] in ("unclaimed", "workers")]
    return wrong


@pytest.fixture(autouse=True)
def same_machine(monkeypatch):
    monkeypatch.setattr(process, "orphans", lambda lock, nonce: (False, []))
    monkeypatch.setattr("jobjar.attempts.YOUNG_BOOT", 0.0)


def chosen(recorder, chance, full):
    """The states to be tried, each with a number."""
    cuts = recorder.cuts() if full else sorted(chance.sample(recorder.cuts(), MOMENTS))
    states = (state for cut in cuts for state in recorder.states(cut, chance, CHOSEN))
    return list(enumerate(itertools.islice(states, 0, None, EVERY)))


@pytest.mark.parametrize("scene", SCENES)
def test_whatever_a_power_cut_leaves_is_mended(scene, workplace, points, full, seed):
    recorder, facts = record(workplace, *SCENES[scene])
    states = chosen(recorder, random.Random(seed), full)

    def one(mine, item):
        number, state = item
        home = os.path.join(workplace, f"{os.getpid()}-{next(_numbers)}")
        mine.add(repr(state), judge(state, facts, home, number % REAL == REAL - 1))
        shutil.rmtree(home)
    points.spread(states, one)
    points.verdict()
