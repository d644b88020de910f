"""Two measuring processes on two nodes find each other through the jar, and talk; no network, no locks.

Each has a room, the directory `.check.NODE.PID.NONCE` in limbo/. Beside it lies its offer, a file of that name and
`.offer`: whoever renames the offer into a room of another node has that process for a partner, and says so by a link
in the partner's room. What is said is a file in one's own room, published whole, for which the other watches.
"""

import json
import os
import time

from jobjar import fslook, fsops, layout, node, registration
from jobjar.errors import VANISHED, TryAgain
from jobjar.layout import OFFER, Jar
from jobjar.node import Identity

GUEST, SAID = "guest", "said"

# How often the jar is looked at while nothing happens, s.
PAUSE = 0.05
# A partner that has taken the offer at the last moment may need so long to say who it is, s.
GRACE = 5.0



class Silent(Exception):
    """The partner has ended, or does not answer."""


class Room:
    """The directory in limbo/ in which one process measures. `open` makes it, `close` removes all that it made."""

    def __init__(self, jar: Jar, me: Identity) -> None:
        self.node = me.node
        self.limbo = jar.limbo
        self.name = f"{layout.CHECK}{node.owner(me)}.{node.nonce(me)}"
        self.path = os.path.join(jar.limbo, self.name)
        self.offer = self.path + OFFER

    def open(self) -> None:
        """Make it."""
        fsops.make_directory(self.path, 0o755)
        fsops.make_directory(os.path.join(self.path, SAID), 0o755)

    def close(self) -> None:
        """Remove it and the offer; TryAgain when something of it stays."""
        fsops.remove(self.offer)
        for _ in range(20):
            if fsops.remove_tree(self.path):
                return
            # RACE: the partner is still making something in it; NFS: what it holds open stays under another name.
            time.sleep(PAUSE)
        raise TryAgain(f"{self.path} could not be removed: remove it, or the next check on this node does")


def meet(room: Room, wait: float) -> str | None:
    """The room of a partner on another node that came within `wait` seconds, or None."""
    _publish(room)
    end = time.monotonic() + wait
    while True:
        guest = _guest(room)
        if guest:
            return guest
        partner = _take(room)
        if partner:
            return partner
        if time.monotonic() > end:
            return None if _withdraw(room) else _last_guest(room)
        time.sleep(PAUSE)


def _publish(room: Room) -> None:
    fsops.create(room.offer, b"", 0o644, synced=False)


def _withdraw(room: Room) -> bool:
    # The rename decides: an offer that I have back is nobody else's.
    mine = os.path.join(room.path, "withdrawn")
    if fsops.claim(room.offer, mine) != 0:
        return False
    fsops.remove(mine)
    return True


def _guest(room: Room) -> str | None:
    fslook.forget_listing(room.path)
    if GUEST not in fslook.names(room.path):
        return None
    name = fslook.link_text(os.path.join(room.path, GUEST))
    return os.path.join(room.limbo, name) if name and registration.parse_check(name) else None


def _last_guest(room: Room) -> str | None:
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        guest = _guest(room)
        if guest:
            return guest
        time.sleep(PAUSE)
    return None


def _take(room: Room) -> str | None:
    """The room of another whose offer I have won."""
    fslook.forget_listing(room.limbo)
    # RACE: of two that see each other's offer only one may take; it is the one with the greater name.
    offers = [name for name in fslook.names(room.limbo) if name.endswith(OFFER) and name < room.name + OFFER
              and _node(name) not in (None, room.node)]
    # RACE: and whoever takes must be free itself.
    if not offers or not _withdraw(room):
        return None
    for name in sorted(offers):
        if fsops.claim(os.path.join(room.limbo, name), os.path.join(room.path, "taken")) == 0:
            partner = os.path.join(room.limbo, name.removesuffix(OFFER))
            try:
                fsops.link(room.name, os.path.join(partner, GUEST))
                return partner
            except FileNotFoundError:
                # RACE: it has left meanwhile.
                fsops.remove(os.path.join(room.path, "taken"))
    _publish(room)
    return None


def _node(name: str) -> str | None:
    owner = registration.parse_check(name)
    return owner[0].rpartition(".")[0] if owner else None


class Talk:
    """What is said between two rooms. `patience`: how long to wait for an answer, s."""

    def __init__(self, room: Room, partner: str, patience: float) -> None:
        self.room, self.partner, self.patience = room, partner, patience
        self.node = _node(os.path.basename(partner))

    @property
    def leads(self) -> bool:
        """Whether it is this side that makes what both use."""
        return self.room.path > self.partner

    def exchange(self, word: str, content: object = None, patience: float | None = None) -> object:
        """Say `content` under `word`, and what the partner says under it; Silent when it does not."""
        fsops.publish(os.path.join(self.room.path, SAID, word), json.dumps(content).encode())
        return self._hear(word, self.patience if patience is None else patience)

    def _hear(self, word: str, patience: float) -> object:
        there, end, pause = os.path.join(self.partner, SAID), time.monotonic() + patience, PAUSE / 5
        while True:
            try:
                # NFS: what is said in the tick of a listing would not be seen in the next one.
                if word in fslook.names_uncached(there):
                    with open(os.path.join(there, word), encoding="utf-8") as file:
                        return json.load(file)
            except OSError as error:
                raise self.ended(error) from None
            if time.monotonic() > end:
                raise Silent(f"the check on {self.node} has not answered within {patience:.0f} s")
            time.sleep(pause)
            # An answer may take as long as the caches, and each question is asked of the server.
            pause = min(pause * 1.1, 5 * PAUSE)

    def ended(self, error: OSError) -> Exception:
        """The same error, or Silent if it means that the partner's room is gone."""
        return Silent(f"the check on {self.node} has ended before its time") if error.errno in VANISHED else error
