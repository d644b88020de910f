"""A worker for a job that nobody could take: started on this node, and gone when there is nothing more to do."""

import os

from jobjar import census, fslook, layout, registration, staff, starting, supervision
from jobjar.config import Settings
from jobjar.errors import TryAgain
from jobjar.layout import Jar
from jobjar.node import Identity

# How long it waits for another job, s.
IDLE_EXIT = 15.0


def called_up(jar: Jar, settings: Settings, me: Identity, category: str | None) -> str | None:
    """The name of a worker that was started because none could take a job of this category; None when one can.

    TryAgain: a person wants no worker to work here now. JobJarError: none could be started.
    """
    seen = census.workers(jar, me)
    if any(worker.state in (staff.IDLE, staff.RUNNING) and category in (None, worker.node, *worker.categories)
           for worker in seen):
        return None
    nodes = {worker.node for worker in seen} | {name.rpartition(".")[0] for name in registration.workers(jar)}
    # Such a category means this node and no other.
    why = f"{category} is another node, where no worker lives: start one there" if category in nodes - {me.node} \
        else why_none(jar, settings)
    if why:
        raise TryAgain(f"no worker can take the job, and none can be started here: {why}")
    categories = dict.fromkeys((*([category] if category else []), *settings.categories))
    return starting.start(jar, settings, starting.Terms(tuple(categories), IDLE_EXIT))


def why_none(jar: Jar, settings: Settings) -> str | None:
    """Why a worker that is started on this node now would claim nothing, as a sentence; None when it would."""
    if layout.PAUSE_ALL in fslook.names(jar.workers):
        return f"{os.path.join(jar.workers, layout.PAUSE_ALL)} is there: remove it"
    return supervision.why_none(jar, settings) or fslook.shortage(jar.home, settings.min_free)
