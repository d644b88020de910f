"""Is the jar all right? Every invariant of docs/PROTOCOL.md section 10, looked at while workers go on.

It changes nothing, save that it asks for the server's time by a file in limbo/ that is gone at once. What is seen once
may be a move that is under way, so only what all looks show is said.
"""

import time
from collections.abc import Iterator

from jobjar import findings, holders, leavings, premises, whereabouts
from jobjar.findings import Finding
from jobjar.inventory import Inventory
from jobjar.layout import Jar
from jobjar.node import Identity
from jobjar.records import Records

# Seconds between the looks. They are long for a move, which takes milliseconds, and short for a person.
PAUSES = (0.3, 0.7)


def inspect(jar: Jar, me: Identity) -> list[Finding]:
    """Whatever is wrong with the jar, as seen from the process `me`, the gravest first; [] when all is right."""
    records = Records()
    found = set(_look(jar, me, records))
    for pause in PAUSES:
        if found:
            time.sleep(pause)
            found &= set(_look(jar, me, records))
    return findings.in_order(found)


def _look(jar: Jar, me: Identity, records: Records) -> Iterator[Finding]:
    seen = Inventory(jar)
    yield from whereabouts.find(seen)
    yield from leavings.find(seen, me)
    yield from holders.find(seen, me)
    yield from records.find(seen)
    # Last, for it tells of what could not be listed.
    yield from premises.find(seen)
