"""Keeping a node's workers alive: counting them, starting what is missing, bringing back what the dead ones left.

Never more than JJ_MAX_WORKERS: whoever counts holds the node's lock until every worker it starts has registered.
"""

import os
import time
from collections import namedtuple
from collections.abc import Callable

from jobjar import fslook, layout, node, orders, registration, starting
from jobjar.config import Settings
from jobjar.layout import Jar
from jobjar.nodelock import only_one
from jobjar.recovery import Recovery
from jobjar.salvage import Report

# How long to wait for whoever cron has started in the same second: a recovery, or the check of another jar. Then it is
# not worth waiting for, and cron must not pile up what hangs.
PATIENCE = 5.0

# Longer than any listing is cached: acdirmax of a Linux NFS client and a little more.
CACHE_TIME = 65.0

# `running` and `started`: names of workers; `why`: why none is started, in a sentence, or None.
Check = namedtuple("Check", "running started why")


def check(jar: Jar, settings: Settings, wait: float = 0.0, tell: Callable[[str], None] = str) -> Check | None:
    """Bring this node up to JJ_MAX_WORKERS workers; None when another check is at work still after `wait` seconds.

    `tell(name)` hears of each worker that was started, as soon as it was.
    """
    with only_one(wait) as mine:
        if not mine:
            return None
        running = living(jar, settings)
        why = why_none(jar, settings)
        missing = 0 if why else settings.max_workers - len(running)
        started = []
        for _ in range(missing):
            started.append(starting.start(jar, settings, starting.Terms()))
            tell(started[-1])
        return Check(running, started, why)


def renew(jar: Jar, settings: Settings) -> list[str]:
    """Ask each living worker of this node to make room, between jobs, for a successor that it starts itself."""
    return orders.renew(jar, living(jar, settings))


def recover(jar: Jar, settings: Settings, kill_orphans: bool = False) -> Report | None:
    """Bring back what dead workers of this node left; None when another recovery is still at work after a while."""
    with only_one(PATIENCE) as mine:
        return Recovery(jar, node.myself(settings.node), settings.max_attempts, kill_orphans).node() if mine else None


def recover_vouched(jar: Jar, settings: Settings, of: str, kill_orphans: bool = False) -> Report | None:
    """Bring back what the workers of node `of` left, because a person vouches that it is down; None as `recover`.

    Takes more than a minute if there is anything to bring back, until no cache can show what has been fenced.
    """
    recovery = Recovery(jar, node.myself(settings.node), settings.max_attempts, kill_orphans)
    with only_one(PATIENCE) as mine:
        if not mine:
            return None
        fenced = recovery.believe(of)
    if fenced:
        # Without the lock: what is fenced is safe, and cron's checks of this node have other things to do.
        time.sleep(CACHE_TIME)
    with only_one(PATIENCE) as mine:
        return recovery.vouched(fenced) if mine else None


def living(jar: Jar, settings: Settings) -> list[str]:
    """This node's workers that live and have not left."""
    me = node.myself(settings.node)
    found = []
    for worker in registration.workers(jar, settings.node):
        record = registration.read(jar, worker)
        if record and fslook.is_there(jar.worker(worker), layout.CLAIMS) \
                and registration.verdict(jar, record, me) == node.ALIVE:
            found.append(worker)
    return found


def why_none(jar: Jar, settings: Settings) -> str | None:
    """Why no worker would stay on this node now, in a sentence; None when nothing stands against it."""
    if layout.STOP_ALL in fslook.names(jar.workers):
        return f"{os.path.join(jar.workers, layout.STOP_ALL)} is there: no worker starts until it is removed"
    return why_drained(jar, settings)


def why_drained(jar: Jar, settings: Settings) -> str | None:
    """That this node is drained, and why, in a sentence; None when it is not."""
    drains = orders.drains(jar)
    if settings.node not in drains:
        return None
    reason = f" ({drains[settings.node]})" if drains[settings.node] else ""
    return f"node {settings.node} is drained{reason}: no worker starts until `jobjar undrain {settings.node}`"
