"""What two nodes measure together: who wins a rename, what is exclusive, how late each sees what the other does.

Both run `measure` at the same time, each with the other as partner. What comes out is one side's account; `fsmerge`
makes facts of both. Times in it are the file server's, s.
"""

import errno
import os
import random
import time

from jobjar import fslook, fsops, node
from jobjar.fsmeet import Talk

FILES, NAMES, EVENTS, TRIALS = 300, 60, 5, 30
KINDS = ("symlink", "mkdir", "create")

# Pauses, s: between two events, between two looks, before something begins on both sides at once.
BETWEEN, PAUSE, LEAD = 0.15, 0.02, 0.3
# How long the partner's changes are watched for, in patiences: the usual caches last just as long as one.
WATCH = 1.25
# When the race for files should be over, and how far away no agreed moment is, s.
RACE, FAR = 1.0, 120.0
# What is added to the lateness that was seen, s, for the next may be a little later.
MARGIN = 0.1
# How long a trial of the racy listing is watched, and how long until a listing must show what happened in it, s.
TRIAL_PATIENCE, SETTLE = 0.5, 1.0
# Listings that are later than this, s, are stale for another reason.
HOPELESS = 1.0
LONG_AGO = 1_000_000_000


def measure(talk: Talk, ahead: float) -> dict:
    """This side's account; `ahead` is this node's clock against the server's. fsmeet.Silent when the partner is."""
    try:
        return _account(talk, ahead)
    except OSError as error:
        # RACE: its room goes with the partner.
        raise talk.ended(error) from None


def _account(talk: Talk, ahead: float) -> dict:
    mine = talk.room.path
    _prepare(mine, talk.leads)
    account = {"node": talk.room.node, "boot": node.boot_id(), "clock": ahead}
    talk.exchange("prepared")
    begun = time.monotonic()
    account.update(_visibility(talk, ahead))
    # Who has seen everything waits for one that has not, which may go on watching for as long as this.
    rest = WATCH * talk.patience - (time.monotonic() - begun)
    lag = max(_lag(account), talk.exchange("lag", _lag(account), max(0.0, rest) + talk.patience))
    account["racy"] = _racy(talk, ahead, lag)
    leader = mine if talk.leads else talk.partner
    start = _begin(talk, "race", ahead, lag)
    account["race"] = _race(leader, mine)
    _wait_until(start + RACE, ahead)
    account["exclusive"] = {kind: _exclusive(leader, mine, kind) for kind in KINDS}
    account["flock"] = _flock(talk, leader)
    # Having spoken of locks, both have run the race.
    account["race"].update(_left(leader, mine))
    return account


def _prepare(mine: str, leads: bool) -> None:
    for name in ("listing", "stamp", "name", "trials", "won", *(KINDS if leads else ()), *(("race",) if leads else ())):
        fsops.make_directory(os.path.join(mine, name), 0o755)
    for k in range(EVENTS):
        place = os.path.join(mine, "stamp", str(k))
        fsops.make_directory(place, 0o755)
        # Some servers count whole seconds only, and a change in the same one would leave no trace.
        os.utime(place, (LONG_AGO, LONG_AGO))
        for name in ("listing", "name"):
            _make(mine, name, f"old{k}")
    for k in range(TRIALS):
        fsops.make_directory(os.path.join(mine, "trials", str(k)), 0o755)
    if leads:
        _make(mine, "lock")
        for k in range(FILES):
            _make(mine, "race", str(k))


def _make(*parts: str) -> None:
    fsops.create(os.path.join(*parts), b"", 0o644, synced=False)


def _begin(talk: Talk, word: str, ahead: float, lag: float) -> float:
    """Come to an agreement on a moment, and wait for it; it is returned."""
    start = time.time() - ahead + LEAD + lag
    start = max(start, talk.exchange(f"begin {word}", start, talk.patience + lag))
    _wait_until(start, ahead)
    return start


def _wait_until(moment: float, ahead: float) -> None:
    # No clock need be right for this, only each one's difference to the server's; if that changes, nobody waits long.
    time.sleep(min(max(0.0, moment - (time.time() - ahead)), FAR))


def _visibility(talk: Talk, ahead: float) -> dict:
    """Make and remove names, and watch the partner do so: `made` and `seen`, event → time."""
    mine, theirs = talk.room.path, talk.partner
    before = [fslook.stamp(os.path.join(theirs, "stamp", str(k))) for k in range(EVENTS)]
    _observe(theirs, before)
    talk.exchange("watching")
    made, seen, begun = {}, {}, time.monotonic()
    while len(seen) < 5 * EVENTS or len(made) < 5 * EVENTS:
        now = time.monotonic() - begun
        if now > WATCH * talk.patience:
            break
        k = len(made) // 5
        if k < EVENTS and now > LEAD + k * BETWEEN:
            _act(mine, k)
            made.update(dict.fromkeys(_events(k), time.time() - ahead))
        for event in _observe(theirs, before):
            seen.setdefault(event, time.time() - ahead)
        # What is late by many seconds need not be known to the hundredth, and each look asks the server.
        time.sleep(PAUSE if now < 5 else 5 * PAUSE)
    return {"made": made, "seen": seen}


def _events(k: int) -> list[str]:
    return [f"{what} {k}" for what in ("listed", "unlisted", "stamp", "named", "unnamed")]


def _act(mine: str, k: int) -> None:
    for name in ("listing", "name"):
        _make(mine, name, f"new{k}")
        fsops.remove(os.path.join(mine, name, f"old{k}"))
    _make(mine, "stamp", str(k), "new")


def _observe(theirs: str, before: list[int]) -> list[str]:
    """The events that can be seen, each in a directory that is asked in one way only: answers refresh one another."""
    listed = set(fslook.names(os.path.join(theirs, "listing")))
    found = []
    for k in range(EVENTS):
        new, old = (os.path.join(theirs, "name", f"{age}{k}") for age in ("new", "old"))
        stamp = fslook.stamp(os.path.join(theirs, "stamp", str(k)))
        facts = (f"new{k}" in listed, f"old{k}" not in listed, stamp != before[k], os.path.lexists(new),
                 not os.path.lexists(old))
        found += [event for event, fact in zip(_events(k), facts) if fact]
    return found


def _lag(account: dict) -> float:
    """About how late this side sees the other in a listing, s; by its own times, so to be taken for a hint."""
    made, seen = account["made"], account["seen"]
    late = [seen[event] - made[event] for event in seen if event.startswith("listed") and event in made]
    return max([0.0, *late]) + MARGIN


def _racy(talk: Talk, ahead: float, lag: float) -> dict[str, int]:
    """How many listings stay without what was made in the tick of an earlier one, before and after a refresh."""
    if lag > HOPELESS:
        return {"trials": 0, "stale": 0, "uncured": 0}
    for leader_makes in (True, False):
        _trials(talk, ahead, lag, leader_makes)
    talk.exchange("tried")
    time.sleep(SETTLE)
    places = [os.path.join(talk.partner, "trials", str(k)) for k in range(TRIALS)]
    stale = [place for place in places if "b" not in fslook.names(place)]
    uncured = [place for place in stale if "b" not in fslook.names_uncached(place)]
    return {"trials": TRIALS, "stale": len(stale), "uncured": len(uncured)}


def _trials(talk: Talk, ahead: float, lag: float, leader_makes: bool) -> None:
    """One side makes two names within a tick, the other lists in between, as often as it succeeds."""
    _begin(talk, f"trials {leader_makes}", ahead, lag)
    for k in range(TRIALS):
        if talk.leads == leader_makes:
            place = os.path.join(talk.room.path, "trials", str(k))
            _make(place, "a")
            # Ticks are 1 to 10 ms long, and a listing takes about one.
            time.sleep(k % 5 * 0.002)
            _make(place, "b")
            time.sleep(0.01)
        elif not _catch(os.path.join(talk.partner, "trials", str(k))):
            break


def _catch(place: str) -> bool:
    # Without a pause: this lasts for a second in all, and what is to be met lasts for a few milliseconds.
    end = time.monotonic() + TRIAL_PATIENCE
    while not fslook.names(place):
        if time.monotonic() > end:
            return False
    return True


def _race(leader: str, mine: str) -> dict:
    """Try to win every file: `tries` is name → 0 or the errno."""
    # The same on both sides: first in the order of the names, then in another one each.
    half = [str(k) for k in range(FILES // 2)]
    rest = [str(k) for k in range(FILES // 2, FILES)]
    random.shuffle(rest)
    tries = {}
    for name in half + rest:
        try:
            fsops.rename(os.path.join(leader, "race", name), os.path.join(mine, "won", name))
            tries[name] = 0
        except OSError as error:
            tries[name] = error.errno
    return {"tries": tries}


def _left(leader: str, mine: str) -> dict:
    """What the race has left, when both sides have run it: in my own directory, and where it began."""
    found = {}
    for key, place in (("held", os.path.join(mine, "won")), ("left", os.path.join(leader, "race"))):
        found[key] = fslook.names_uncached(place)
    return found


def _exclusive(leader: str, mine: str, kind: str) -> dict:
    """Try to make every name: `won` are mine, `odd` counts errors other than "it exists"."""
    act = {"symlink": lambda path: fsops.link(os.path.basename(mine), path), "mkdir": fsops.make_directory,
           "create": lambda path: _make(path) or True}[kind]
    won, odd = [], {}
    for k in range(NAMES):
        try:
            if act(os.path.join(leader, kind, str(k))):
                won.append(k)
        except FileExistsError:
            continue
        except OSError as error:
            word = errno.errorcode.get(error.errno, str(error.errno))
            odd[word] = odd.get(word, 0) + 1
    return {"won": won, "odd": odd}


def _flock(talk: Talk, leader: str) -> str:
    """What comes of locking one file on both sides at once: "locked", "busy", or why that cannot be done."""
    with open(os.path.join(leader, "lock"), "rb+") as file:
        said = _lock(file) if talk.leads else ""
        talk.exchange("locked")
        said = said or _lock(file)
        talk.exchange("unlocked")
    return said


def _lock(file: object) -> str:
    import fcntl
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "locked"
    except BlockingIOError:
        return "busy"
    except OSError as error:
        return error.strerror
