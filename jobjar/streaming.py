"""Copying what grows in a file onwards, to a terminal, a pipe or a file, with little memory.

The kernel copies where it can (sendfile); what has been copied is never copied again, and nothing is left out.
"""

import errno
import os
import select

# As much is copied at once, and in one turn, so that the other stream has its turn too.
CHUNK, TURN = 2**18, 2**23
PAGE = 4096
_NOT_LIKE_THIS = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOVERFLOW, errno.EXDEV)


class Tail:
    """A file that is being written by others, as far as it has been copied. Holds no descriptor."""

    def __init__(self, path: str, is_remote: bool = False) -> None:
        """`is_remote`: another computer may be writing it."""
        self.path, self.offset = path, 0
        # Nothing behind that byte is copied, whatever the file has there.
        self.limit = float("inf")
        self._is_remote = is_remote
        self._by_kernel = not is_remote

    def copy(self, to: int, is_whole: bool) -> int:
        """Copy what is new, or the first TURN of it, to the descriptor `to`; how many bytes these are.

        `is_whole`: nobody writes it any more. A file that is not there has nothing. BrokenPipeError and the like as
        they come.
        """
        handle = open_to_read(self.path)
        if handle is None:
            return 0
        try:
            return self.copy_from(handle, to, is_whole)
        finally:
            os.close(handle)

    def copy_from(self, handle: int, to: int, is_whole: bool) -> int:
        """As `copy`, from a descriptor of the file that was opened just now."""
        begin = self.offset
        while self.offset < begin + TURN and (count := self._some(handle, to, is_whole)):
            # Counted at once: whatever interrupts the next piece, this one has been copied.
            self.offset += count
        return self.offset - begin

    def _some(self, handle: int, to: int, is_whole: bool) -> int:
        most = int(min(CHUNK, self.limit - self.offset))
        if self._by_kernel:
            try:
                return os.sendfile(to, handle, self.offset, most)
            except BlockingIOError:
                return self._when_ready(handle, to, is_whole)
            except OSError as error:
                if error.errno not in _NOT_LIKE_THIS:
                    raise
                # A file that is opened for appending, for example.
                self._by_kernel = False
        data = os.pread(handle, most, self.offset)
        if self._is_remote and not is_whole:
            data = data[:arrived(data, self.offset)]
        try:
            return os.write(to, data) if data else 0
        except BlockingIOError:
            return self._when_ready(handle, to, is_whole)

    def _when_ready(self, handle: int, to: int, is_whole: bool) -> int:
        # Whoever shares the descriptor with us has made it so.
        poll = select.poll()
        poll.register(to, select.POLLOUT)
        poll.poll()
        return self._some(handle, to, is_whole)


def open_to_read(path: str) -> int | None:
    """A descriptor of the file, None when it is not there; never waits for anybody."""
    try:
        # NFS: opening asks the server how long it is by now.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def arrived(data: bytes, offset: int) -> int:
    """How much of `data`, which begins at `offset` of a file, has surely been written by the other computer."""
    # NFS: a client writes pages in any order; what has not come yet is read as zeros up to the end of a page.
    for end in range(PAGE - offset % PAGE, len(data) + 1, PAGE):
        if not data[end - 1]:
            return len(data[:end].rstrip(b"\0"))
    return len(data)
