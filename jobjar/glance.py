"""Whether a directory has to be listed again: one open and fstat per look instead of a listing.

That it looks unchanged proves nothing while its last change is young: git's index has the same rule.
"""

import time

from jobjar import fslook, fsops

# A directory changed so short a time before it was listed may change again without its mtime showing it.
RACY = 2.0
# A tick more, so that a file that was new and empty in the first listing is old enough in the second.
AGAIN_AFTER = RACY + 0.1
# No mtime is that.
_UNKNOWN = -2


class Glance:
    """One directory, as its last listing by this process found it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._stamp = _UNKNOWN
        self._again_at: float | None = None

    def needs_listing(self) -> bool:
        """True when it has changed, or its last listing was racy and the time to repeat it has come."""
        return fslook.stamp(self.directory) != self._stamp or self._is_due()

    def about_to_list(self, server_now: float) -> None:
        """Remember the directory as it is now; `server_now` is the file server's clock, in s.

        A listing that fails must be followed by `has_failed`.
        """
        is_repeated = self._is_due() and fslook.stamp(self.directory) == self._stamp
        if self._again_at is not None:
            # NFS: two changes in one tick of the server's clock; only a listing without the cache shows the second.
            self._forget()
        before, self._stamp = self._stamp, fslook.stamp(self.directory)
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

    def _forget(self) -> None:
        try:
            if not fslook.forget_listing(self.directory):
                # NFS: where the cache takes no advice, a directory that has changed is listed anew.
                fsops.nudge(self.directory)
        except OSError:
            # It has gone, or it is not mine to change; the listing itself will tell.
            pass
