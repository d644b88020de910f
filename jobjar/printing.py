"""Standard output and standard error, as every command finds them.

Invariant: whatever a name or a tag holds, and whatever encoding the terminal has, it can be printed; and a stderr that
is closed or full changes neither what is done nor the exit status.
"""

import codecs
import errno
import os
import sys

ERRORS = "jobjar"
STDERR = 2
# The status that a shell gives to a program that SIGPIPE ended.
BROKEN_PIPE = 141


class OutputError(Exception):
    """Standard output does not take what is printed; `error` says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Output:
    """Standard output, whose errors can be told from those of the jar."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's own, save that an OSError becomes an OutputError."""
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputError(error) from error

    def flush(self) -> None:
        """As `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputError(error) from error


class Messages(Output):
    """Standard error: what it does not take is lost, for nobody can be told, and what was done is done all the same."""

    def write(self, text: str) -> int:
        """As the stream's own, save that no error comes of it."""
        try:
            return super().write(text)
        except OutputError:
            return len(text)

    def flush(self) -> None:
        """As `write`."""
        try:
            super().flush()
        except OutputError:
            pass


def prepare() -> None:
    """Open what is closed, and let everything be printed."""
    # A file opened while one of these is closed would get its number, and what is printed for stderr go to stdout.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    try:
        os.write(STDERR, b"")
    except OSError as error:
        # It was closed, and whatever started us has opened a file to read that got its number.
        if error.errno == errno.EBADF:
            _discard(STDERR)
    codecs.register_error(ERRORS, _spelled)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors=ERRORS)


def _spelled(error: UnicodeEncodeError) -> tuple[bytes, int]:
    """What the stream's encoding lacks as `text.escape` writes it, and bytes that are no UTF-8 as they came in."""
    from jobjar import text
    lacking = error.object[error.start:error.end]
    return b"".join(bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else text.as_bytes(c).encode()
                    for c in lacking), error.end


def _discard(handle: int) -> None:
    """Let what is written to this descriptor go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, handle)
    os.close(null)
