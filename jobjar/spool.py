"""The directory in limbo/ through which a `jobjar run` and its job exchange what is read and printed.

`limbo/.run.NODE.PID.NONCE/` with `out`, `err` and perhaps `in`, made by the client before it submits and removed by it
when all has been printed, or put into logs/. What is received while the job runs is the matter of `feeding`.
docs/PROTOCOL.md section 2.
"""

import os
import stat

from jobjar import fslook, fsops, layout, node, registration, resync
from jobjar.directives import Request
from jobjar.errors import NO_ROOM, TryAgain
from jobjar.feeding import IN, Intake
from jobjar.layout import Jar
from jobjar.node import Identity
from jobjar.streaming import CHUNK, Tail

OUT, ERR = "out", "err"
# The id of the job, for whoever finds the spool when its client has been killed.
JOB = "job"


class Spool:
    """The spool of this process, made on construction."""

    def __init__(self, jar: Jar, me: Identity) -> None:
        self.path = os.path.join(jar.limbo, f"{layout.RUN}{node.owner(me)}.{node.nonce(me)}")
        self.tails: list[Tail] = []
        try:
            self._make()
        except OSError as error:
            fsops.remove_tree(self.path)
            if error.errno in NO_ROOM:
                raise TryAgain(f"{self.path}: {error.strerror}: nothing is submitted") from None
            raise

    def _make(self) -> None:
        fsops.make_directory(self.path, 0o700)
        is_remote = resync.is_on_remote(self.path)
        for name in (OUT, ERR):
            # The job may have any umask, and what it prints is to be read here.
            fsops.create(os.path.join(self.path, name), b"", 0o600, synced=False)
            self.tails.append(Tail(os.path.join(self.path, name), is_remote))

    def file(self, name: str) -> str:
        """The path of `out`, `err` or `in`."""
        return os.path.join(self.path, name)

    def fill(self, source: int) -> Intake | str | None:
        """What the job is to read: the path of `in`, with all that is in the regular file `source`; an Intake, of what
        else can be read; None when there is nothing to be read. TryAgain: no space.

        A regular file is read from where it stands, and still stands there afterwards.
        """
        try:
            found = os.fstat(source)
        except OSError:
            return None
        is_nothing = stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev
        if is_nothing or os.isatty(source):
            return None
        if not stat.S_ISREG(found.st_mode):
            return Intake(self.path, source)
        try:
            _copy_file(source, self.file(IN))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise TryAgain(f"{self.file(IN)}: {error.strerror}: standard input does not fit there, and nothing is"
                               " submitted") from None
            raise
        return self.file(IN)

    def wishes(self, given: Intake | str | None) -> Request:
        """What a job asks for that prints into this spool, and reads what `fill` has said."""
        asked: Request = {key: self.file(name).replace("%", "%%") for key, name in (("output", OUT), ("error", ERR))}
        if isinstance(given, Intake):
            asked["feed"] = self.file(IN)
        elif given:
            asked["input"] = given
        return asked

    def is_seen(self) -> bool:
        """Whether all that the job has printed so far has been copied."""
        found = [(tail, fslook.status(*os.path.split(tail.path))) for tail in self.tails]
        return all(status is None or tail.offset >= status.st_size for tail, status in found)

    def note(self, id: str) -> None:
        """Write down whose spool it is: before there is that job, whose output nobody could find later."""
        fsops.create(self.file(JOB), os.fsencode(id) + b"\n", 0o600, synced=False)

    def remove(self) -> bool:
        """Take it away; False when something in it resists."""
        return fsops.remove_tree(self.path)


def parse(name: str) -> tuple[str, str] | None:
    """(NODE.PID, nonce) of the client whose spool has this name in limbo/; None of other names."""
    if not name.startswith(layout.RUN):
        return None
    return registration.parse_draft("." + name.removeprefix(layout.RUN))


def job_of(path: str) -> str | None:
    """The id of the job whose spool is at `path`; None when nothing says it: it was never submitted, perhaps."""
    try:
        with fslook.open_file(os.path.join(path, JOB)) as file:
            said, newline, _ = file.read(4096).partition(b"\n")
            # A part of an id would be another's.
            return os.fsdecode(said) if newline and said else None
    except OSError:
        return None


def outlived(jar: Jar, request: Request) -> Request:
    """The request without the files of a spool that is gone: then it prints to logs/, as any job.

    What it was to read stays in the request: without it the job would do something else.
    """
    top = os.path.join(jar.limbo, layout.RUN)
    paths = [str(request.get(key, "")).replace("%%", "%") for key in ("output", "error")]
    if not all(path.startswith(top) for path in paths) \
            or fslook.is_there(jar.limbo, os.path.basename(os.path.dirname(paths[0]))):
        return request
    return {key: value for key, value in request.items() if key not in ("output", "error")}


def keep(jar: Jar, path: str, name: str) -> list[str]:
    """Put what the job NAME has printed into logs/, beside what other attempts have printed, and remove the spool;
    the paths of what is there."""
    token = os.path.basename(path).removeprefix(layout.RUN)
    kept = []
    for stream in (OUT, ERR):
        found = fslook.status(path, stream)
        if found is not None and found.st_size:
            # A name that nobody else has: it contains the client's nonce.
            kept.append(jar.log(name, f"{token}-{stream}"))
            fsops.move(os.path.join(path, stream), kept[-1])
    fsops.remove_tree(path)
    return kept


def _copy_file(source: int, path: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        at = os.lseek(source, 0, os.SEEK_CUR)
        # Read without moving on, for the shell's loop that has it as its input reads on in it.
        while data := os.pread(source, CHUNK, at):
            fsops.write_all(handle, data)
            at += len(data)
    finally:
        fsops.close(handle)
