"""What the jobs testify, and how it is judged. No clock and no cache decides; the server does.

Attempt K of job J begins with the exclusive creation of began/J.K, which says who it is, and ends with ended/J.K.
Whoever finds an earlier attempt looks whether it was one of a node's boot that is over: the names of those boots lie
in dead/ before the node starts anew. If it was not, two attempts may have lived at once: it says so in double/.
"""

import os
import re

from jobjar import fslook

PLACES = ("began", "ended", "double", "dead")

# Shells do all this without starting a program. An attempt that has not come to say who it is may be any node's.
SCRIPT = """#!/bin/sh
read -r boot < /proc/sys/kernel/random/boot_id
me="$JJ_NODE $boot $$"
set -C
k=1
cd {proof} || exit
until {{ echo "$me" > began/$JJ_JOB_ID.$k; }} 2>/dev/null; do
    who=
    read -r who < began/$JJ_JOB_ID.$k
    [ "$who" = "$me" ] && break
    their=${{who#* }}
    their=${{their% *}}
    set -- dead/${{their:-*}}
    [ -e "$1" ] || echo "$who, then $me" > double/$JJ_JOB_ID.$k
    k=$((k + 1))
    [ $k -lt 10 ] || exit 1
done
echo "$me" > ended/$JJ_JOB_ID.$k
"""


def make(directory: str) -> None:
    """Make room for what the jobs will say."""
    for name in PLACES:
        os.makedirs(os.path.join(directory, name))


def judge(directory: str, submitted: set[str]) -> dict:
    """How often the jobs ran: figures, and `wrong`, a sentence for each job with which something is not right."""
    began, ended = (_attempts(os.path.join(directory, name)) for name in ("began", "ended"))
    dead = set(fslook.names(os.path.join(directory, "dead")))
    doubles = fslook.names(os.path.join(directory, "double"))
    wrong = [f"{job} was never begun" for job in sorted(submitted - began.keys())]
    wrong += [f"{job} was never submitted" for job in sorted(began.keys() - submitted)]
    wrong += [f"{name.rpartition('.')[0]} began while another attempt may have lived" for name in doubles]
    again = {job: numbers for job, numbers in began.items() if len(numbers) > 1}
    for job, numbers in sorted(began.items()):
        if max(numbers) not in ended.get(job, ()):
            wrong.append(f"{job}: attempt {max(numbers)} did not come to its end")
        for number in sorted(numbers)[:-1]:
            boot = _boot(os.path.join(directory, "began", f"{job}.{number}"))
            # An attempt that was begun when its node died may not have come to say who it was.
            if boot not in dead and (boot or not dead):
                wrong.append(f"{job} ran again, but attempt {number} was not of a node that had crashed")
    return {"begun": len(began), "again": len(again), "ended": len(ended), "double": len(doubles),
            "crashes": len(dead), "wrong": wrong}


def _attempts(directory: str) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name in fslook.names(directory):
        job, _, number = name.rpartition(".")
        found.setdefault(job, set()).add(int(number))
    return found


def _boot(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        found = re.search(r" (\S+) ", file.read())
    return found[1] if found else ""
