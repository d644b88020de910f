"""`jobjar check --filesystem`: measure a jar's file system, with a second node if one comes, and say what it is worth.

Invariant: whatever ends it short of kill -9, nothing that it made stays in the jar.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobjar import fsmeasure, fsmerge, fsmeet, fspair, fsverdict, leftovers, quantities, registration
from jobjar.fsmeet import Room, Silent, Talk
from jobjar.layout import Jar
from jobjar.node import Identity

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

COMMAND = "jobjar check --filesystem"


def check(jar: Jar, me: Identity, wait: float, say: Callable[[str], None]) -> dict:
    """Measure; the facts, the remarks on them and the verdict, as a document for JSON.

    `wait`: how long, s, to wait for the same command on another node, and for each answer of it; 0: measure alone.
    `say` is told what a person should do meanwhile.
    """
    room = Room(jar, me)
    with _interruptible():
        try:
            leftovers.clear_checks(jar, me, registration.server_now(jar))
            room.open()
            facts = fsmeasure.measure(jar, room.path)
            facts["together"], missing = _together(room, facts["clock"], wait, say)
        finally:
            with _undisturbed():
                room.close()
    remarks = fsverdict.judge(facts)
    return {"home": jar.home, "node": me.node, "verdict": fsverdict.verdict(remarks),
            "remarks": [remark._asdict() for remark in remarks], "unmeasured": missing, "facts": facts}


def _together(room: Room, ahead: float, wait: float, say: Callable[[str], None]) -> tuple[dict | None, str | None]:
    """(facts, None), or (None, why there are none)."""
    if not wait:
        return None, f"nothing between two nodes: run `{COMMAND}` on two at the same time"
    say(f"now run `{COMMAND}` on another node as well, within {quantities.format_duration(wait)}")
    partner = fsmeet.meet(room, wait)
    if partner is None:
        return None, f"nothing between two nodes, for no other came: run `{COMMAND}` on two at the same time"
    talk = Talk(room, partner, wait)
    say(f"measuring together with {talk.node}")
    try:
        mine = fspair.measure(talk, ahead)
        theirs = talk.exchange("account", mine)
    except Silent as error:
        return None, f"nothing between two nodes, for {error}: run `{COMMAND}` on both again"
    _part(talk)
    return fsmerge.merge(mine, theirs), None


def _part(talk: Talk) -> None:
    try:
        # Whoever leaves first takes along what it has said.
        talk.exchange("bye")
    except Silent:
        pass


@contextmanager
def _interruptible() -> Iterator[None]:
    """Inside it, a signal that asks to end is an exception, so that what was made is removed."""
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Who has said nohup means it.
    before = {number: signal.signal(number, interrupt) for number in STOPS
              if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside it, such a signal waits."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
