"""Several actors in one process, of whom one at a time takes a step: one operation on the jar, or one look at it.

Each actor is a thread that an audit hook stops before each operation below the jar's top. Who goes on is drawn, so the
same seed gives the same interleaving. An actor may be killed at a step: nothing that it still tries happens.
"""

import os
import random
import sys
import threading
import traceback
from collections.abc import Callable

from jobjar import fsnew
from support.faults import Death

# What changes a jar, and what looks at it.
CHANGES = {"os.rename", "renameat2", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir"}
OPERATIONS = CHANGES | {"open", "os.listdir", "os.scandir"}
# Most actors take fewer steps.
LONG = 60
# More steps than these nobody needs.
MOST = 20_000

_current: "Steps | None" = None
_is_hooked = False


def _hook(event: str, arguments: tuple) -> None:
    # Hooks cannot be removed, so one is there for ever and looks whether there is anything to do.
    if _current is not None and event in OPERATIONS:
        _current.reached(event, arguments)


class Actor(threading.Thread):
    """One of them. `wrong`: the traceback of what should not have happened."""

    def __init__(self, steps: "Steps", name: str, act: Callable[[], object], die_at: int | None) -> None:
        super().__init__(name=name, daemon=True)
        self.steps, self.act, self.die_at = steps, act, die_at
        self.taken, self.wrong, self.is_dead, self.last = 0, "", False, ""
        self.pauses_at = steps.chance.randrange(1, LONG)
        self.turn = threading.Semaphore(0)

    def run(self) -> None:
        try:
            self.turn.acquire()
            self.act()
        except Death:
            self.is_dead = True
        except BaseException:
            self.wrong = traceback.format_exc()
        finally:
            self.last = "end"
            self.steps.back.release()


class Steps:
    """A run of some actors. `count` is the time: how many steps have been taken."""

    def __init__(self, top: str, chance: random.Random, after: Callable[[Actor], object]) -> None:
        """`after(actor)` is called when an actor that has changed something is about to take its next step."""
        self.top, self.chance, self.after = top, chance, after
        self.actors: list[Actor] = []
        self.back = threading.Semaphore(0)
        self.count, self.slept = 0, 0.0
        self.told: list[str] = []
        # How often another one goes on: only once each, at a step of its own, or now and then, or often.
        self.restless = chance.choice((0.0, 0.0, 0.05, 0.3))

    def add(self, name: str, act: Callable[[], object], die_at: int | None = None) -> Actor:
        """One more; `die_at`: the step before which it dies."""
        self.actors.append(Actor(self, name, act, die_at))
        return self.actors[-1]

    def run(self) -> None:
        """Until all have come to their ends."""
        global _current, _is_hooked
        if not _is_hooked:
            sys.addaudithook(_hook)
            _is_hooked = True
        _current, rename_new = self, fsnew.rename_new

        def stopped(source: bytes, target: bytes) -> int:
            self.reached("renameat2", (os.fsdecode(source), os.fsdecode(target)))
            return rename_new(source, target)
        fsnew.rename_new = stopped
        try:
            for actor in self.actors:
                actor.start()
            self._go_on()
        finally:
            _current, fsnew.rename_new = None, rename_new

    def _go_on(self) -> None:
        actor = None
        while waiting := [one for one in self.actors if one.last != "end"]:
            if actor not in waiting or self._is_enough(actor):
                others = [one for one in waiting if one is not actor]
                actor = self.chance.choice(others or waiting)
            self.count += 1
            assert self.count < MOST, f"no end in sight: {self.told[-20:]}"
            was = actor.last
            actor.turn.release()
            self.back.acquire()
            if was.split(" ")[0] in CHANGES:
                self.after(actor)
        for one in self.actors:
            one.join()

    def _is_enough(self, actor: Actor) -> bool:
        return self.chance.random() < self.restless if self.restless else actor.taken == actor.pauses_at

    def reached(self, event: str, arguments: tuple) -> None:
        """The hook: wait for the next turn, if this is an actor's step."""
        actor = threading.current_thread()
        if isinstance(actor, Actor) and actor.steps is self:
            paths = [path for path in arguments[:2] if isinstance(path, str) and path.startswith(self.top)]
            if paths:
                self.wait(f"{event} {' → '.join(os.path.relpath(path, self.top) for path in paths)}")

    def wait(self, what: str) -> None:
        """An actor is about to do this: it does so when it is its turn."""
        actor = threading.current_thread()
        if actor.is_dead:
            raise Death
        actor.taken, actor.last = actor.taken + 1, what
        self.back.release()
        actor.turn.acquire()
        self.told.append(f"{actor.name}: {what}")
        if actor.die_at is not None and actor.taken >= actor.die_at:
            actor.is_dead = True
            self.told[-1] += " †"
            raise Death

    def sleep(self, seconds: float) -> None:
        """For `time.sleep` in an actor: the others go on meanwhile."""
        if isinstance(threading.current_thread(), Actor):
            self.slept += seconds
            self.wait(f"sleep {seconds}")

    def monotonic(self) -> float:
        """For `time.monotonic`: only sleep takes time."""
        return self.slept
