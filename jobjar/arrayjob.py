"""A handle on an array: the tasks that came of one submission."""

from collections.abc import Iterable

from jobjar import changing, selection
from jobjar.awaiting import Awaited
from jobjar.handles import Handle
from jobjar.job import Job
from jobjar.layout import Jar, Place


class ArrayJob(Handle):
    """One array; `id` is what `submit_job` prints."""

    def __init__(self, jar: Jar, id: str) -> None:
        self._jar, self.id = jar, id

    def __repr__(self) -> str:
        return f"ArrayJob({self.id!r})"

    def tasks(self) -> list[Job]:
        """Its tasks that are in the jar, in the order of their indices; NoSuchJob when there is none."""
        return [Job(self._jar, place) for place in selection.jobs(self._jar, [self.id])]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all its tasks have ended; False when `timeout` seconds are over."""
        return Awaited(self._jar, self.tasks()).wait(timeout)

    def _places(self, states: Iterable[str]) -> list[Place]:
        return changing.find(self._jar, [self.id], states)
