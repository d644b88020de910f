"""What can be done to jobs by a handle on them: cancel, hold, release, retry, as the commands of these names do it."""

from collections.abc import Iterable

from jobjar.errors import JobJarError
from jobjar.layout import Jar, Place
from jobjar.states import COMPLETED, FAILED, UNFINISHED

# For annotations alone: whoever only submits has no need of what the methods import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.changing import Change
    from jobjar.config import Settings

# So many jobs are named to which something could not be done.
SHOWN = 10


class Handle:
    """A handle on one job, or on the tasks of an array.

    Each method returns when it is done to all of them, as far as it can be, and it will survive a power cut then. To
    hold what is held, to release what waits to be run, and to cancel what was cancelled before it began are no errors.
    JobJarError: it could not be done to some, each of them with the reason; it has been done to the others. NoSuchJob:
    there is none in the jar.
    """

    _jar: Jar

    def _places(self, states: Iterable[str]) -> list[Place]:
        """Where its jobs are: those in these states if there are any, else all."""
        raise NotImplementedError

    def cancel(self, reason: str = "") -> None:
        """End the job if it runs, and keep it from running if it waits; of an array, all tasks that have not ended.

        On return it has ended, as CANCELLED; or its worker is dead, and recovery will not run it again. A job that
        comes to its end by itself before it can be ended, or had done so, is an error, and so is one whose worker
        does not answer: that may still end it, and its `state` tells.
        """
        from jobjar import cancelling
        settings = self._settings()
        change = self._change(settings)
        cancelling.cancel(change, self._places(UNFINISHED), _line(reason), settings.order_time)
        _require_all(change)

    def hold(self, reason: str = "") -> None:
        """Keep the job from beginning until it is released; of an array, all tasks that have not begun.

        It is PENDING on return; somebody else may have released it by then. A job that runs, or has ended, is an error.
        """
        from jobjar import changing
        change = self._change(self._settings())
        changing.hold(change, self._places(UNFINISHED), _line(reason))
        _require_all(change)

    def release(self) -> None:
        """Let a held job go: to be claimed at once, or to wait for what it waits for.

        It may be running, or have ended, on return. A job that runs, or has ended, before this is an error.
        """
        from jobjar import changing
        change = self._change(self._settings())
        changing.release(change, self._places(UNFINISHED))
        _require_all(change)

    def retry(self) -> None:
        """Have a job run again that has ended, however it did, under its id; of an array, all tasks that have ended.

        On return its last end is forgotten: `state` and `wait` tell of the new run, which may have begun, and ended,
        by then. A job that has not ended is an error.
        """
        from jobjar import retrying
        change = self._change(self._settings())
        retrying.retry(change, self._places((COMPLETED, FAILED)))
        _require_all(change)

    def _settings(self) -> "Settings":
        from jobjar import config
        return config.read({"JJ_HOME": self._jar.home, "JJ_WORKER_HOME": self._jar.workers})

    def _change(self, settings: "Settings") -> "Change":
        from jobjar import changing
        return changing.Change(self._jar, settings.node)


def _line(reason: str) -> str:
    from jobjar import parameters
    return reason and parameters.line(reason)


def _require_all(change: "Change") -> None:
    if change.left:
        rest = f"; and {len(change.left) - SHOWN} more" if len(change.left) > SHOWN else ""
        raise JobJarError("; ".join(change.left[:SHOWN]) + rest)
