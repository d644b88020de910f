"""What a check of a file system found, as text for people. Pure."""

from jobjar import fsmerge, text
from jobjar.fsverdict import VERDICTS


def render(document: dict) -> str:
    """The whole report; its last line is the verdict."""
    parts = [_where(document) + "\n", text.columns(_figures(document["facts"])), _remarks(document["remarks"])]
    if document["unmeasured"]:
        parts.append(f"not measured: {text.escape(document['unmeasured'])}\n")
    return "\n".join(part for part in parts if part) + f"\n{_verdict(document)}\n"


def _where(document: dict) -> str:
    mount = document["facts"]["mount"]
    kind = f"{mount['kind']} ({mount['source']} on {mount['point']})" if mount else "of an unknown kind"
    return text.escape(f"the file system of {document['home']} is {kind}")


def _verdict(document: dict) -> str:
    verdict = document["verdict"]
    subjects = dict.fromkeys(one["subject"] for one in document["remarks"] if one["level"] == verdict)
    reasons = f": {', '.join(subjects)}" if subjects else ""
    alone = ", as far as one node can tell" if document["unmeasured"] else ""
    return f"{VERDICTS[verdict]}{reasons}{alone}"


def _remarks(remarks: list[dict]) -> str:
    return "".join(f"{one['level']}: {text.escape(one['subject'] + ': ' + one['text'])}\n" for one in remarks)


def _figures(facts: dict) -> list[tuple[str, str]]:
    room = facts["room"]
    size = "any size" if room["bytes"] is None else f"{room['bytes'] / 1024**3:.1f}G"
    files = "any number of" if room["files"] is None else room["files"]
    rows = [("free", f"{size}, {files} files"), ("a rename", _time(facts["rename"])),
            ("a file on the disk", _time(facts["sync"])), ("tick of the server's clock", _time(facts["tick"])),
            ("this clock ahead of it", _time(facts["clock"]))]
    return rows + (_both(facts["together"]) if facts["together"] else [])


def _both(together: dict) -> list[tuple[str, str]]:
    race, racy = together["race"], together["racy"]
    won = ", ".join(f"{node} won {count}" for node, count in race["won"].items())
    rows = [("a race for files", f"{race['files']}: {won}; both {len(race['both'])}, lost {len(race['nobody'])}, left"
             f" {len(race['left'])}, false errors {race['false']}")]
    rows += [(f"a race to make ({kind})", f"{seen['won'][0]} and {seen['won'][1]}; both {seen['both']}")
             for kind, seen in together["exclusive"].items()]
    rows += [(what, _delay(together["delays"][kind])) for kind, what in fsmerge.DELAYS.items()]
    ahead = ", ".join(f"{node} {_time(value)}" for node, value in together["clocks"].items())
    stale = f"{racy['stale']} of {racy['trials']}, {racy['uncured']} when asked afresh"
    return rows + [("listings left stale", stale if racy["trials"] else "cannot be told where all are late"),
                   ("clocks ahead of the server's", ahead), ("flock between the nodes", together["flock"])]


def _delay(seen: dict) -> str:
    if seen["median"] is None:
        return "not seen while it was watched"
    unseen = f", {seen['unseen']} not seen" if seen["unseen"] else ""
    return f"{_time(seen['median'])} later, at worst {_time(seen['worst'])}{unseen}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if abs(seconds) < 1 else f"{seconds:.1f} s"
