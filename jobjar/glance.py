"""Whether a directory has to be listed again: one open and fstat per look instead of a listing.

That it looks unchanged proves nothing while its last change is young: git's index has the same rule.
"""

import os
import time

from jobjar import fslook, fsops

# A directory changed so short a time before it was listed may change again without its mtime showing it.
RACY = 2.0
# A tick more, so that a file that was new and empty in the first listing is old enough in the second.
AGAIN_AFTER = RACY + 0.1
# For how long, in s, a directory counts as opened recently.
RECENT = 1.0
# No mtime is that.
_UNKNOWN = -2


class Glance:
    """One directory, as its last listing by this process found it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._stamp = _UNKNOWN
        # What a look has found after which it is to be listed.
        self._seen: int | None = None
        self._again_at: float | None = None

    def needs_listing(self) -> bool:
        """True when it has changed, or its last listing was racy and the time to repeat it has come."""
        stamp = fslook.stamp(self.directory)
        is_needed = stamp != self._stamp or self._is_due()
        self._seen = stamp if is_needed else None
        return is_needed

    def about_to_list(self, server_now: float) -> None:
        """Remember the directory as it is now; `server_now` is the file server's clock, in s.

        A listing that fails must be followed by `has_failed`.
        """
        # As the look that led to this has found it will do: what has changed since shows at the next one.
        stamp, self._seen = fslook.stamp(self.directory) if self._seen is None else self._seen, None
        is_repeated = self._is_due() and stamp == self._stamp
        if self._again_at is not None and self._forget():
            stamp = fslook.stamp(self.directory)
        before, self._stamp = self._stamp, stamp
        if is_repeated or server_now - self._stamp / 1e9 >= RACY:
            # Once is enough: an mtime may lie in the future, and the server's clock may have been set back.
            self._again_at = None
        elif self._again_at is None or self._stamp != before:
            self._again_at = time.monotonic() + AGAIN_AFTER

    def has_failed(self) -> None:
        """The listing came to nothing: the next look is to repeat it, whatever the directory looks like then."""
        self._stamp = _UNKNOWN

    def due(self) -> float | None:
        """Seconds until a racy listing is to be repeated, else None."""
        return None if self._again_at is None else max(0.0, self._again_at - time.monotonic())

    def _is_due(self) -> bool:
        return self._again_at is not None and time.monotonic() >= self._again_at

    def _forget(self) -> bool:
        """Let the next listing come from the server; whether that has changed the directory's mtime."""
        try:
            # NFS: two changes in one tick of the server's clock; only a listing without the cache shows the second.
            if fslook.forget_listing(self.directory):
                return False
            # NFS: where the cache takes no advice, a directory that has changed is listed anew.
            fsops.nudge(self.directory)
            return True
        except OSError:
            # It has gone, or it is not mine to change; the listing itself will tell.
            return False


class Recent:
    """As `fslook.status`, of directories that this process has opened within the last second: one request instead of
    two for each name.

    What has come there since is not missed, unless somebody on this node has asked for that very name in between.
    `is_local`: no other computer may write there, so that nothing can be missed, and nothing need be opened.
    """

    def __init__(self, is_local: bool = False) -> None:
        self.is_local = is_local
        self._opened: dict[str, float] = {}

    def status(self, directory: str, name: str) -> os.stat_result | None:
        """lstat of `name`, or None."""
        now = time.monotonic()
        if not self.is_local and now - self._opened.get(directory, float("-inf")) >= RECENT:
            # NFS: what is remembered of its names is not believed after this, if any have come or gone.
            fslook.stamp(directory)
            self._opened[directory] = now
        try:
            return os.lstat(os.path.join(directory, name))
        except FileNotFoundError:
            return None
