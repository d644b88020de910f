"""What a job reads while its client still receives it: a file that grows, and a process that passes it on by a pipe.

In the directory of a spool: `in`, to which the client appends; `sent`, how many bytes any node can read there; `end`,
how many there are when that was all; `taken`, how many a feeder has passed on. Nothing is taken out of `in` before the
job has ended, for a job whose worker dies is begun again, and reads all of it again. docs/PROTOCOL.md section 2.
"""

import errno
import os
import select
import signal

from jobjar import fslook, fsops, process, resync
from jobjar.streaming import CHUNK, TURN, Tail
from jobjar.watch import Alarm

IN, SENT, END, TAKEN = "in", "sent", "end", "taken"
# How far a client may be ahead of the job, in bytes; more than one TURN, after which `taken` is written.
WINDOW = 2 * TURN
# Seconds between two looks of a feeder, which grow from the first to the second.
SHORTEST, LONGEST = 0.01, 0.25


class Intake:
    """What a client receives on the descriptor `source`, and puts into the spool as far as the job may need it."""

    def __init__(self, directory: str, source: int) -> None:
        self.directory, self.source = directory, source
        # Whether all has been received, and whether more of it is to wake somebody.
        self.is_over = self._is_attached = False
        self._handle = os.open(os.path.join(directory, IN), process.APPEND | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                               0o600)
        for name in (SENT, END, TAKEN):
            # NFS: made before anybody looks, for that a file is not there is remembered for a minute.
            fsops.create(os.path.join(directory, name), b"", 0o600, synced=False)
        self._is_remote = resync.is_on_remote(directory)
        self._size = self._taken = 0
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)

    def receive(self, alarm: Alarm, is_wanted: bool) -> int:
        """Put what is there to be read into the spool, unless nobody wants it any more; how many bytes that was.

        As long as there is room for more, `alarm` wakes when there is more.
        """
        count = 0
        try:
            count = self._take() if is_wanted else 0
        except BaseException:
            is_wanted = False
            raise
        finally:
            self._attach(alarm, is_wanted and self._has_room())
        return count

    def _attach(self, alarm: Alarm, is_wanted: bool) -> None:
        if is_wanted != self._is_attached:
            self._is_attached = is_wanted
            (alarm.attach if is_wanted else alarm.detach)(self.source)

    def _has_room(self) -> bool:
        if not self.is_over and self._size >= self._taken + WINDOW:
            self._taken = max(self._taken, _number(self.directory, TAKEN) or 0)
        return not self.is_over and self._size < self._taken + WINDOW

    def _take(self) -> int:
        before = self._size
        while self._size < before + TURN and self._has_room() and self._poll.poll(0):
            data = self._read()
            if data is None:
                break
            if not data:
                self._end()
                break
            fsops.write_all(self._handle, data)
            self._size += len(data)
        if self._size > before and not self.is_over:
            if self._is_remote:
                # NFS: else the job's node sees it when this one's kernel feels like it, and zeros in its place before.
                fsops.sync(self._handle)
            _tell(self.directory, SENT, self._size)
        return self._size - before

    def _read(self) -> bytes | None:
        try:
            return os.read(self.source, CHUNK)
        except BlockingIOError:
            # RACE: another has read it, who has the same descriptor.
            return None
        except OSError as error:
            # A terminal that has gone, or a directory as standard input.
            if error.errno not in (errno.EIO, errno.EISDIR):
                raise
            return b""

    def _end(self) -> None:
        self.is_over = True
        # NFS: closed before the end is told, so all that it counts can be read on the job's node.
        fsops.close(self._handle)
        _tell(self.directory, END, self._size)


def _number(directory: str, name: str) -> int | None:
    """The number that stands in SENT, END or TAKEN; None while there is none."""
    with open(os.path.join(directory, name), "rb") as file:
        one, _, other = file.read().strip().partition(b" ")
    # RACE: one that is being written over is not the same twice.
    return int(one) if one and one == other else None


def _tell(directory: str, name: str, number: int) -> None:
    """Write the number down, for whoever reads it at any moment."""
    handle = os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, b"%020d %020d\n" % (number, number), 0)
    finally:
        fsops.close(handle)


def is_cut_short(directory: str) -> bool:
    """Whether there is an input in this spool of which not all has been received."""
    return fslook.is_there(directory, END) and _number(directory, END) is None


def start(path: str, lock: int) -> tuple[int, int]:
    """Start a feeder of the growing file `path`; its pid, and the pipe's end that a job is to read from.

    It ends when it has passed on all, or when nobody has that end any more. It holds `lock`, as the job does, and
    outlives this process: a job must never take the death of its worker for the end of its input. OSError when the
    file cannot be read.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    inner, outer = os.pipe2(os.O_CLOEXEC)
    # Between fork and its own settings a signal would find the worker's handlers, in a process that is not the worker.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, process.SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(path, outer, lock)
        return pid, inner
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(outer)


def _become(path: str, to: int, lock: int) -> None:
    """In a fresh child: be the feeder. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in process.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.chdir("/")
        _close_all_but({0, 1, 2, to, lock})
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        feed(path, to)
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) not in kept:
                os.close(int(name))
        except OSError:
            # The one with which this very directory was listed.
            continue


def feed(path: str, to: int) -> None:
    """Pass on to the pipe `to` what is and comes in the file, until its end is there or nobody reads any more."""
    directory = os.path.dirname(path)
    tail, alarm, told, pause = Tail(path, resync.is_on_remote(directory)), Alarm(), 0, SHORTEST
    # Told of an error alone: that nobody has the other end.
    reader = select.poll()
    reader.register(to, 0)
    alarm.attach(to, 0)
    while not reader.poll(0):
        # Armed before the looks, so that nothing can slip in between.
        alarm.arm(directory, written=True)
        try:
            end = _number(directory, END)
            tail.limit = end if end is not None else _number(directory, SENT) or 0
            moved = tail.copy(to, True)
            if tail.offset == end:
                return
            if tail.offset > told:
                _tell(directory, TAKEN, tail.offset)
                told = tail.offset
        except BrokenPipeError:
            return
        except OSError:
            # NFS, or a full disk: that may pass, and the job must not take it for the end of its input.
            moved = 0
        pause = SHORTEST if moved else min(pause * 1.5, LONGEST)
        alarm.sleep(0.0 if moved else pause)
