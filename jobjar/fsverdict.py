"""Is this file system good for a jar? From what was measured and how it is mounted to remarks and a verdict.

Pure: `fsmeasure` and `fsmerge` made the facts. The three verdicts are those of `VERDICTS`.
"""

import os

from jobjar import quantities
from jobjar.fsadvice import NOTE, UNFIT, WEAK, Remark, advise, fresher

GOOD = "good"
VERDICTS = {GOOD: "good for a jar", WEAK: "works, but", UNFIT: "not fit for a jar"}

# Beyond these a person would notice: s late, s of a clock's error, s for a rename and for a sync.
LATE, CLOCK, RENAME, SYNC = 2.0, 5.0, 0.05, 2.0
# Less than this is soon full.
BYTES, FILES = 100 * 1024**2, 1000

# Trait → (level, what it means and what to do) when it is not as a jar needs it.
TRAITS = {
    "execution": (UNFIT, "no job can be run from it: mount it with exec, or choose another"),
    "modes": (UNFIT, "a job must be executable: mount it with a kind or options that keep modes"),
    "owner": (UNFIT, "workers run only files of those they trust: work as a user whom the server knows (root_squash"
                     " makes nobody of root)"),
    "links": (UNFIT, "symbolic links hold names in a jar: mount it so that it has them (CIFS: mfsymlinks)"),
    "rename over a link": (UNFIT, "this is how a job gets its final name: choose another file system"),
    "sync": (WEAK, "after a power cut jobs may be missing: do not trust it with what you cannot submit again"),
    "case": (WEAK, "never give two jobs or categories names that differ in case only: the second replaces the first"),
    "Unicode": (NOTE, "keep to ASCII in names of jobs and categories"),
    "long names": (WEAK, "give jobs short names"),
    "newlines": (NOTE, "no job can have such a name"),
    "bytes": (NOTE, "names must be UTF-8 there"),
    "hard links": (NOTE, "nothing in a jar needs them"),
    "open files": (NOTE, "usual for NFS; such names begin with a dot and are passed over"),
    "flock": (NOTE, "nothing in a jar needs locks"),
}


def judge(facts: dict) -> list[Remark]:
    """The remarks on these facts, the gravest first."""
    mount, together = facts["mount"], facts.get("together")
    kind = mount["kind"] if mount else ""
    found = advise(kind, mount["options"]) if mount else []
    found += [Remark(TRAITS[name][0], name, f"{seen}: {TRAITS[name][1]}")
              for name, seen in facts["traits"].items() if seen]
    found += [Remark(UNFIT, "several file systems", f"{path} is not on the file system of limbo/, so nothing can be"
                     " renamed between them: put all of the jar and JJ_WORKER_HOME on one") for path in facts["apart"]]
    found += [*_numbers(facts), *_clocks(facts)]
    if together:
        found += [*_races(together), *_delays(together, kind), *_racy(together["racy"]), *_company(together)]
    return sorted(found, key=lambda remark: (UNFIT, WEAK, NOTE).index(remark.level))


def verdict(remarks: list[Remark]) -> str:
    """One of VERDICTS."""
    levels = {remark.level for remark in remarks}
    return UNFIT if UNFIT in levels else WEAK if WEAK in levels else GOOD


def _numbers(facts: dict) -> list[Remark]:
    room, found = facts["room"], []
    if room["bytes"] is not None and room["bytes"] < BYTES:
        found.append(Remark(WEAK, "space", f"only {quantities.format_size(room['bytes'])} bytes are free: make room"))
    if room["files"] is not None and room["files"] < FILES:
        found.append(Remark(WEAK, "inodes", f"only {room['files']} more files can be made: remove some"))
    if facts["rename"] > RENAME:
        found.append(Remark(WEAK, "speed", f"a rename takes {_seconds(facts['rename'])}, and each job needs several:"
                                           " let jobs be long"))
    if facts["sync"] > SYNC:
        found.append(Remark(WEAK, "speed", f"it takes {_seconds(facts['sync'])} until one file is on the disk: submit"
                                           " many jobs at once, from a seed job or with submit_jobs"))
    return found


def _clocks(facts: dict) -> list[Remark]:
    # Without a partner the node has no name here.
    clocks = facts["together"]["clocks"] if facts.get("together") else {"this node": facts["clock"]}
    return [remark for node, ahead in clocks.items() if (remark := clock(node, ahead))]


def clock(node: str, ahead: float) -> Remark | None:
    """What there is to say of a node whose clock is so many seconds ahead of the file server's."""
    if abs(ahead) <= CLOCK:
        return None
    return Remark(WEAK, "clock", f"the clock of {node} is {_seconds(abs(ahead))}"
                                 f" {'ahead of' if ahead > 0 else 'behind'} the file server's: set it (NTP). The order"
                                 " of jobs submitted there and the ages that are shown depend on it, nothing else")


def _races(together: dict) -> list[Remark]:
    race, found = together["race"], []
    for key, what in (("both", "won by both nodes"), ("nobody", "won by one node and gone")):
        if race[key]:
            found.append(Remark(UNFIT, "rename", f"{len(race[key])} of {race['files']} files were {what} in a race of"
                                                 " renames: jobs would be run twice or lost, so choose another"))
    if min(race["won"].values()) < race["files"] / 50 and not found:
        found.append(Remark(NOTE, "rename", "one node won nearly all files, so the two hardly met: measure again"))
    if race["left"]:
        found.append(Remark(WEAK, "rename", f"{len(race['left'])} of {race['files']} files could be renamed by neither"
                                            " node: their jobs would wait"))
    if race["false"]:
        found.append(Remark(NOTE, "rename", f"{race['false']} renames reported an error and had happened: the programs"
                                            " look after every error"))
    if race["odd"]:
        words = ", ".join(os.strerror(code) for code in race["odd"])
        found.append(Remark(NOTE, "rename", f"losers of a race of renames were told: {words}"))
    for kind, seen in together["exclusive"].items():
        if seen["both"]:
            found.append(Remark(UNFIT, kind, f"{seen['both']} names were made by both nodes ({kind}): two would hold"
                                             " one name, so choose another"))
        if seen["odd"]:
            found.append(Remark(NOTE, kind, f"losers of a race ({kind}) were told {', '.join(seen['odd'])}"))
    return found


def _delays(together: dict, kind: str) -> list[Remark]:
    delays, found = together["delays"], []
    groups = ((WEAK, "late", ("listed", "unlisted", "stamp"),
               "so long a job may wait, and a marker (STOP, PAUSE) be overlooked"),
              (NOTE, "names", ("named", "unnamed"),
               "the programs list directories and are not misled, but yours and `test -e` are"))
    for level, subject, keys, meaning in groups:
        if any(delays[key]["unseen"] for key in keys):
            seen = "was not seen at all while it was watched"
        else:
            worst = max(delays[key]["worst"] or 0.0 for key in keys)
            if worst <= LATE:
                continue
            seen = f"is seen up to {_seconds(worst)} later"
        found.append(Remark(level, subject, f"what another node does {seen}: {meaning}; {fresher(kind)}"))
    return found


def _racy(racy: dict) -> list[Remark]:
    if racy["uncured"]:
        return [Remark(WEAK, "stale listings", f"{racy['uncured']} of {racy['trials']} listings stayed without a new"
                                               " name even when asked afresh: jobs wait until the next one comes")]
    if racy["stale"]:
        return [Remark(NOTE, "stale listings", f"{racy['stale']} of {racy['trials']} listings stayed without a name"
                                               " made in the tick of an earlier listing; asked afresh, as the programs"
                                               " do, they had it")]
    return []


def _company(together: dict) -> list[Remark]:
    found = []
    if together["one_computer"]:
        found.append(Remark(NOTE, "one computer", f"{' and '.join(together['nodes'])} are the same computer, so no"
                                                  " cache lay between them: measure from another one too"))
    if together["flock"] != "exclusive":
        found.append(Remark(NOTE, "flock", f"locks between the nodes: {together['flock']}; nothing in a jar needs them,"
                                           " but your jobs may"))
    return found


def _seconds(value: float) -> str:
    return quantities.format_duration(round(value, 3 if value < 1 else 1))
