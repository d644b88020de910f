"""What a worker is told from outside: the markers that act on it, read again when something has changed."""

import time

from jobjar import layout, node, orders
from jobjar.beat import Beat
from jobjar.glance import Glance
from jobjar.layout import Jar
from jobjar.watch import Watch
from jobjar.workerlog import WorkerLog


class Signs:
    """One worker's. `markers`: as they were at the last look; `is_told`: the next look is to read them in any case."""

    def __init__(self, jar: Jar, me: node.Identity, beat: Beat, watch: Watch, log: WorkerLog) -> None:
        self.jar, self.me, self.beat, self.log = jar, me, beat, log
        self.name = node.owner(me)
        self.markers = orders.Markers(False, False, False, None)
        self.is_told = False
        self._directories = jar.worker(self.name), jar.workers
        self._glances = [Glance(directory) for directory in self._directories]
        self._looked_at = float("-inf")
        watch.always(self._directories[0], (layout.STOP, layout.PAUSE, layout.RENEW))
        watch.always(self._directories[1], (layout.STOP_ALL, layout.PAUSE_ALL, layout.DRAIN))

    def hear(self, changed: set[str]) -> None:
        """Take note of directories in which something has happened."""
        self.is_told |= not changed.isdisjoint(self._directories)

    def say_leave(self) -> bool:
        """Whether a worker that reads these markers is to leave."""
        return self.markers.stop or self.markers.renew or self.markers.drain is not None

    def are_due(self, interval: float) -> bool:
        """Whether to look again: something has been heard of, or the last look was `interval` seconds ago."""
        return self.is_told or time.monotonic() - self._looked_at >= interval

    def expire(self) -> None:
        """Let a look be due now, whatever the interval."""
        self._looked_at = float("-inf")

    def due(self) -> float:
        """Seconds until a racy listing is to be repeated; infinity when none is."""
        return min((due for due in (glance.due() for glance in self._glances) if due is not None),
                   default=float("inf"))

    def look(self) -> None:
        """Read the markers, if anything there has changed."""
        self._looked_at = time.monotonic()
        # A marker that came in the tick of the last listing changes no mtime, but inotify has seen it.
        if not any([glance.needs_listing() for glance in self._glances]) and not self.is_told:
            return
        # Until they have been read, whatever happens.
        self.is_told = True
        now = self.beat.fresh_now()
        for glance in self._glances:
            glance.about_to_list(now)
        before, self.markers = self.markers, orders.read(self.jar, self.name, self.me.node)
        self.is_told = False
        if self.markers != before:
            # A worker may obey only much later, when its job has ended; whoever waits can see that it knows.
            self.log.say(f"markers: {orders.named(self.markers)}")
