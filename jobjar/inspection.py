"""Is the jar all right? Every invariant of docs/PROTOCOL.md section 10, looked at while workers go on.

It changes nothing. What is seen once may be a move that is under way, so only what all looks show is said.
"""

import time
from collections.abc import Iterator

from jobjar import findings, leavings, whereabouts
from jobjar.findings import Finding
from jobjar.inventory import Inventory
from jobjar.layout import Jar
from jobjar.node import Identity

# Seconds between the looks. They are long for a move, which takes milliseconds, and short for a person.
PAUSES = (0.3, 0.7)


def inspect(jar: Jar, me: Identity) -> list[Finding]:
    """Whatever is wrong with the jar, as seen from the process `me`, the gravest first; [] when all is right."""
    found = set(_look(jar, me))
    for pause in PAUSES:
        if found:
            time.sleep(pause)
            found &= set(_look(jar, me))
    return findings.in_order(found)


def _look(jar: Jar, me: Identity) -> Iterator[Finding]:
    seen = Inventory(jar)
    yield from whereabouts.find(seen)
    yield from leavings.find(seen, me)
