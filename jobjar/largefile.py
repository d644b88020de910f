"""A file to be submitted that is too long to be held in memory: it is read in pieces when it is written."""

import os

from jobjar import jobfile
from jobjar.directives import HEAD_MAX, Request
from jobjar.errors import JobJarError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = HEAD_MAX


class LargeFile:
    """What is to be in a job's file: a beginning, and behind it another file from some byte on. Its pieces are bytes.

    JobJarError, from whatever reads it, when somebody has changed the file meanwhile.
    """

    def __init__(self, path: str, found: os.stat_result, begin: bytes = b"", at: int = 0) -> None:
        """`found`: the file's status, at which it is to stay."""
        self.path, self._found, self._begin, self._at = path, found, begin, at

    @property
    def head(self) -> bytes:
        """Its first HEAD_MAX bytes."""
        return next(iter(self))[:HEAD_MAX]

    def __iter__(self) -> "Iterator[bytes]":
        if self._begin:
            yield self._begin
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self._at)
            while piece := file.read(PIECE):
                yield piece
            now, then = os.fstat(file.fileno()), self._found
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (then.st_ino, then.st_size, then.st_mtime_ns):
            raise JobJarError(f"{self.path} was changed while it was read: submit it again when nobody writes to it")

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def written(self, request: Request, name: str) -> "LargeFile":
        """As `jobfile.written`."""
        has_nul = any(b"\0" in piece for piece in self)
        return LargeFile(self.path, self._found, *jobfile.begun(self.head, self._found.st_size, has_nul, request, name))
