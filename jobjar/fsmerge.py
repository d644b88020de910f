"""The accounts that two nodes give of what they did together → what that says of the file system.

Pure: what `fspair` measured on each side, and nothing else, goes in.
"""

import statistics

from jobjar.errors import VANISHED

DELAYS = {"listed": "a new name, in a listing", "unlisted": "a removed name, in a listing",
          "stamp": "a change, by the directory's time", "named": "a new name, by itself",
          "unnamed": "a removed name, by itself"}


def merge(mine: dict, theirs: dict) -> dict:
    """Facts of both accounts."""
    nodes = [mine["node"], theirs["node"]]
    return {"nodes": nodes, "one_computer": bool(mine["boot"]) and mine["boot"] == theirs["boot"],
            "clocks": {account["node"]: account["clock"] for account in (mine, theirs)},
            "delays": {kind: delays(mine, theirs, kind) for kind in DELAYS},
            "racy": {key: mine["racy"][key] + theirs["racy"][key] for key in ("trials", "stale", "uncured")},
            "race": race(mine, theirs),
            "exclusive": {kind: _exclusive(mine["exclusive"][kind], theirs["exclusive"][kind])
                          for kind in mine["exclusive"]},
            "flock": _flock(sorted((mine["flock"], theirs["flock"])))}


def delays(mine: dict, theirs: dict, kind: str) -> dict:
    """The median and the worst of how late one node saw what the other did, s; `unseen` are those never seen."""
    late = [_late(maker["made"][event], watcher["seen"].get(event))
            for maker, watcher in ((mine, theirs), (theirs, mine)) for event in maker["made"]
            if event.split()[0] == kind]
    seen = [one for one in late if one is not None]
    return {"median": round(statistics.median(seen), 3) if seen else None, "worst": max(seen, default=None),
            "unseen": len(late) - len(seen)}


def _late(made: float, seen: float | None) -> float | None:
    return None if seen is None else round(max(0.0, seen - made), 3)


def race(mine: dict, theirs: dict) -> dict:
    """How the race for files went: names won by both or by nobody, and errors of those that were won all the same."""
    sides = (mine["race"], theirs["race"])
    names = set(mine["race"]["tries"])
    won = [{name for name, code in side["tries"].items() if code == 0} for side in sides]
    held = [set(side["held"]) for side in sides]
    left = set.intersection(*(set(side["left"]) for side in sides))
    false = sum(len(have - said) for have, said in zip(held, won))
    odd = [code for side, have in zip(sides, held) for name, code in side["tries"].items()
           if code and name not in have and code not in VANISHED]
    return {"files": len(names), "won": {account["node"]: len(have) for account, have in zip((mine, theirs), held)},
            "both": sorted((won[0] & won[1]) | (held[0] & held[1])), "nobody": sorted(names - held[0] - held[1] - left),
            "left": sorted(left), "false": false, "odd": sorted(set(odd))}


def _exclusive(mine: dict, theirs: dict) -> dict:
    return {"both": len(set(mine["won"]) & set(theirs["won"])), "won": [len(mine["won"]), len(theirs["won"])],
            "odd": sorted({*mine["odd"], *theirs["odd"]})}


def _flock(said: list[str]) -> str:
    return {("busy", "locked"): "exclusive", ("locked", "locked"): "not exclusive"}.get(
        tuple(said), next((word for word in said if word not in ("busy", "locked")), "unclear"))
