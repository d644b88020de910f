"""What a person does to jobs that wait: hold, release, alter.

Each job is taken first, by the rename that changes its state; a job that a worker has claimed in between is running,
and is said to be. Notes that explain a move are written before it, those of many jobs with one wait for the disk.
"""

import itertools
import os
import stat
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterable

from jobjar import fails, fslook, fsops, jobname, moves, node, notes, reservation, selection, text, waits
from jobjar.errors import Fenced, NoSuchJob
from jobjar.layout import Jar, Place
from jobjar.states import CLAIMS, COMPLETED, FAILED, HELD, QUEUES, UNCLAIMED, WAITING

# A job that is somewhere else each time one looks is left alone after so many looks.
ROUNDS = 5
PAUSE = 0.02
# RACE: so many are noted with one wait for the disk and then moved; while all 100,000 of an array are noted, workers
# would run them.
TOGETHER = 500
PRIORITY_MAX = 999_999_999
ENDED = "has ended already"

# Numbers the changes of this process, so that no two of them take each other's reservations for their own.
_numbers = itertools.count(1)

# One way to change jobs. `sources`: the states in which it can be done; `otherwise(place)`: what becomes of a job in
# another one; `notes(place)`: the lines to be written before, as `notes.add_many` takes them; `move(place)`: the move;
# `says(place)`: what is said of the job at its new place.
Verb = namedtuple("Verb", "sources otherwise notes move says")


class Change:
    """One person's change of some jobs. `done` and `left`: a line for each job to which it was done, or could not be.

    `tell` and `complain` hear these lines at once.
    """

    def __init__(self, jar: Jar, node_name: str, tell: Callable[[str], object] = lambda line: None,
                 complain: Callable[[str], object] = lambda line: None) -> None:
        self.jar = jar
        self.me = node.myself(node_name)
        self.writer = node.owner(self.me)
        self.token = f"{node.nonce(self.me)}-{next(_numbers)}"
        self.mine = reservation.text(self.writer, self.token)
        self.done: list[str] = []
        self.left: list[str] = []
        self._tell, self._complain = tell, complain
        self._touched: set[str] = set()

    def did(self, place: Place, what: str) -> None:
        """Say what was done to a job."""
        self.done.append(f"{id_of(place)} {what}")
        self._tell(self.done[-1])

    def could_not(self, place: Place, why: str) -> None:
        """Say why it could not be done to a job."""
        self.left.append(f"{id_of(place)} {why}")
        self._complain(self.left[-1])

    def settle(self) -> None:
        """Make what was done survive a power cut."""
        for directory in sorted(self._touched):
            fsops.sync_directory(directory)
        self._touched.clear()

    def apply(self, places: Iterable[Place], verb: Verb) -> None:
        """Do it to all these jobs, as far as it can be done."""
        todo = list(places)
        try:
            for number in range(ROUNDS):
                # Whoever has a job in hand just now may need it for a moment only.
                time.sleep(PAUSE * number if todo else 0.0)
                todo = self._round(todo, verb) if todo else []
        finally:
            self.settle()
        for place in todo:
            self.could_not(place, "is in somebody else's hands whenever it is looked for: try again; if he has died,"
                                  " `recover_stranded` on his node first")

    def _round(self, places: list[Place], verb: Verb) -> list[Place]:
        """One try; where those are now that somebody else has moved, or is moving."""
        ready = []
        for place in places:
            if place.state in verb.sources:
                ready.append(place)
            else:
                verb.otherwise(place)
        lost: dict[Place, int | None] = {}
        for at in range(0, len(ready), TOGETHER):
            lost |= self._together(ready[at:at + TOGETHER], verb)
        return list(self.again(lost).values())

    def _together(self, places: list[Place], verb: Verb) -> dict[Place, int | None]:
        """Do it to these; those that somebody else has moved, each with its inode if its name does not tell enough."""
        inodes = {place: self.inode(place) for place in places if jobname.number(place.name) is None}
        notes.add_many(self.jar, self.writer, [line for place in places for line in verb.notes(place)])
        lost = {}
        for place in places:
            moved = self._try(place, verb)
            if moved is None:
                lost[place] = inodes.get(place)
            else:
                self._touched.add(self.jar.directory(moved.state, moved.category))
                self.did(moved, verb.says(moved))
        return lost

    def _try(self, place: Place, verb: Verb) -> Place | None:
        try:
            return verb.move(place)
        except Fenced:
            # RACE: its category, or the worker that had it, is gone.
            return None

    def inode(self, place: Place) -> int | None:
        """Of which file the job is; None when it is not there."""
        try:
            found = fslook.status(*os.path.split(self.jar.path(place)))
        except NotADirectoryError:
            return None
        return found.st_ino if found and stat.S_ISREG(found.st_mode) else None

    def again(self, lost: dict[Place, int | None]) -> dict[Place, Place]:
        """Where jobs are now that were not where they were expected; of those that are nowhere it is said.

        Each with the inode of its file: only names of our own making are unique.
        """
        sought = {jobname.stem(place.name) for place in lost}
        seen: dict[str, list[Place]] = {}
        for found in selection.Listing(self.jar).places(selection.PLACES) if lost else ():
            if (stem := jobname.stem(found.name)) in sought:
                seen.setdefault(stem, []).append(found)
        places = {}
        for place, ino in lost.items():
            # Of a job that was seen twice the later place counts.
            same = [found for found in seen.get(jobname.stem(place.name), [])
                    if jobname.number(place.name) or self._is_same(found, place, ino)]
            if same:
                places[place] = same[-1]
            else:
                self.could_not(place, "is nowhere to be seen any more")
        return places

    def _is_same(self, found: Place, place: Place, ino: int | None) -> bool:
        """Whether a name made by hand is that of the job which was at `place`."""
        if ino is None:
            # RACE: it was gone before anybody could see which file it is; a worker has it under the path that it had.
            return found.state == CLAIMS and (found.category, found.name) == (place.category, place.name)
        return self.inode(found) == ino

    def carry(self, place: Place, category: str | None) -> Callable[[str], None]:
        """What takes the attempts that count along to the name that the job is about to get in that category."""
        return lambda name: notes.carry(self.jar, self.writer, place.name, place.category, name, category)

    def refusing(self, wrong: dict[str, str], right: dict[str, str] = {}) -> Callable[[Place], None]:
        """A Verb's `otherwise`: by state, why it cannot be done, or what is said of a job that is so already."""
        def say(place: Place) -> None:
            if place.state in right:
                self.did(place, right[place.state])
            else:
                self.could_not(place, wrong[place.state])
        return say


def printing(jar: Jar, node_name: str) -> Change:
    """A Change whose lines are printed: what was done on stdout, what could not be on stderr."""
    return Change(jar, node_name, lambda line: print(text.escape(line)),
                  lambda line: print(text.escape(line), file=sys.stderr))


def find(jar: Jar, words: list[str], states: Iterable[str]) -> list[Place]:
    """Where the jobs are that the words mean: in these states if there are any there, else wherever they are.

    NoSuchJob and UsageError as `selection.jobs`.
    """
    try:
        return selection.jobs(jar, words, states)
    except NoSuchJob:
        found: dict[Place, None] = {}
        for word in words:
            try:
                found |= dict.fromkeys(selection.jobs(jar, [word], states))
            except NoSuchJob:
                # That it has ended, or runs, is a better answer than that there is none.
                found |= dict.fromkeys(selection.jobs(jar, [word]))
        return list(found)


def id_of(place: Place) -> str:
    """The job's id, also while it is edited."""
    return jobname.split(jobname.unedited(place.name) or place.name)[0]


def _no_notes(place: Place) -> list[notes.Line]:
    return []


def hold(change: Change, places: Iterable[Place], reason: str = "") -> None:
    """Put jobs into held/ that have not begun."""
    more, already = {"why": reason} if reason else {}, set()

    def move(place: Place) -> Place | None:
        if _is_held(place):
            already.add(place)
            return place
        carry = change.carry(place, place.category)
        if place.state != HELD:
            return moves.hold(change.jar, place, change.mine, before=carry)
        # RACE: whoever changes it just now puts it back to where it was; only when he is dead can it be had.
        return moves.alter(change.jar, place, change.mine, jobname.unedited(place.name), place.category, before=carry)
    change.apply(places, Verb(
        QUEUES, change.refusing({CLAIMS: "is running, so it cannot be held: cancel it, or wait for its end",
                                 COMPLETED: ENDED, FAILED: ENDED}),
        lambda place: [] if _is_held(place) else [(place.name, place.category, "hold", more)],
        move, lambda place: "is held already" if place in already else "held"))


def _is_held(place: Place) -> bool:
    return place.state == HELD and jobname.unedited(place.name) is None


def release(change: Change, places: Iterable[Place]) -> None:
    """Let held jobs go: into the queue, or to where they wait for a time or their turn."""
    seen: set[str | None] = set()

    def looked_at(place: Place) -> list[notes.Line]:
        """Once for each array."""
        task = jobname.array_task(place.name)
        if task is None or task[0] in seen:
            return []
        seen.add(task[0])
        return fails.release(change.jar, place.name)
    change.apply(places, Verb(
        (HELD,), change.refusing({CLAIMS: "is running, so it is not held", COMPLETED: ENDED, FAILED: ENDED},
                                 dict.fromkeys((UNCLAIMED, WAITING), "is not held")),
        looked_at,
        lambda place: moves.release(change.jar, place, change.mine, queue_for(change.jar, place),
                                    jobname.unedited(place.name), before=change.carry(place, place.category)),
        lambda place: "released" + (", to wait" if place.state == WAITING else "")))


def queue_for(jar: Jar, place: Place) -> str:
    """Where a job belongs that may run: waiting/ when it waits for a time, or for its turn in an array."""
    asked = waits.read(jar.path(place))
    # Of what cannot be opened just now nobody knows: from waiting/ it is made ready as soon as it can be.
    return WAITING if asked is None or asked.begin > time.time() or asked.cap is not None else UNCLAIMED


def alter(change: Change, places: Iterable[Place], priority: int | None = None,
          category: str | None | bool = False) -> None:
    """Give jobs that have not begun another priority or category (None: uncategorized; False: the one they have)."""
    words = [] if priority is None else [f"has priority {priority}"]
    if category is not False:
        words.append(f"is in category {category}" if category else "is uncategorized")

    def move(place: Place) -> Place | None:
        base, before = jobname.split(place.name)
        name = place.name if priority in (None, before) else jobname.join(base, priority)
        target = place.category if category is False else category
        return moves.alter(change.jar, place, change.mine, name, target, before=change.carry(place, target))
    change.apply(places, Verb(
        QUEUES, change.refusing({CLAIMS: "is running, so it cannot be changed any more", COMPLETED: ENDED,
                                 FAILED: ENDED}),
        _no_notes, move, lambda place: " and ".join(words)))


def first(change: Change, places: Iterable[Place]) -> None:
    """Put jobs to the head of their categories, the first of them foremost."""
    for place in reversed(list(places)):
        own, seen = jobname.split(place.name)[1], selection.Listing(change.jar)
        highest = max((jobname.split(other.name)[1] for other in seen.places(QUEUES)
                       if other.category == place.category and id_of(other) != id_of(place)), default=None)
        if seen.troubles:
            change.could_not(place, f"cannot be put before what cannot be seen: {seen.troubles[0]}")
        elif place.state in QUEUES and (highest is None or own > highest):
            change.did(place, "is the first already")
        elif highest is not None and highest >= PRIORITY_MAX:
            change.could_not(place, f"cannot be put before a job of the highest priority there is, {PRIORITY_MAX}:"
                                    " give that one a lower priority")
        else:
            alter(change, [place], own if highest is None else highest + 1)
