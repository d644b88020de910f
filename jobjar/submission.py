"""Submitting: a draft in limbo/ becomes a job in unclaimed/, whole or not at all.

Invariant: when a function here returns, the jobs survive a power cut; when it raises before the rename, nothing of
them is left. docs/PROTOCOL.md section 6, "Submit".
"""

import os
import stat
import time
from _thread import allocate_lock

from jobjar import fsops, jobname, moves, states
from jobjar.errors import NO_ROOM, JobJarError, TryAgain, UsageError, at_fault
from jobjar.layout import Jar, Place

HEADER = b"#!/bin/sh -f\n"
MODE = 0o700
# A file of more bytes is read in pieces.
LARGE = 2**24
# Stands before each of the lists of a command line that make an array.
LIST = ":::"

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jobjar.largefile import LargeFile

_lock = allocate_lock()
_last = 0
# Where users come from a server, asking for each of many jobs would take longer than submitting them.
_logins: dict[int, str] = {}


class Request:
    """One job to be submitted; checked when it is made, so a wrong one of many is found before any is submitted.

    UsageError says what is wrong.
    """

    is_array = False

    def __init__(self, data: "bytes | LargeFile", priority: int = 0, category: str | None = None, id: str | None = None,
                 state: str = states.UNCLAIMED) -> None:
        """`state`: the queue that it goes to."""
        self.data, self.state = data, state
        # A number, or what a person typed.
        self.priority = jobname.parse_priority(str(priority))
        self.category = category if category is None else jobname.check_category(category)
        self.id = id if id is None else jobname.check_id(id)


def joined(command: str | list[str]) -> str:
    """A command line, or its words joined by single spaces; UsageError of anything else."""
    if isinstance(command, str):
        return command
    if not isinstance(command, (list, tuple)) or not all(isinstance(word, str) for word in command):
        raise UsageError(f"{command!r} is no command: write a command line, or a list of its words")
    return " ".join(command)


def script(command: str) -> bytes:
    """The two lines that run `command`; UsageError when it cannot stand on one line."""
    if not command.strip():
        raise UsageError("the command is empty: write what the job is to do, or -f FILE to submit a file")
    for character, name in (("\n", "newline"), ("\0", "NUL")):
        if character in command:
            raise UsageError(f"the command contains a {name}: write a script and submit it with -f FILE")
    try:
        return HEADER + os.fsencode(command) + b"\n"
    except UnicodeEncodeError as error:
        raise UsageError(f"the command contains {command[error.start]!r}, which no bytes stand for: leave it out, or"
                         " write a script and submit it with -f FILE") from None


def plain_script(words: list[str]) -> bytes:
    """The job's file: several words are a command and its arguments as they are, a single one is a line for the shell.

    UsageError when there is nothing to be run.
    """
    if not words or not words[0].strip():
        raise UsageError("the command is empty: write what is to be run")
    # Of use to `jobjar run` alone.
    from jobjar.words import for_shell
    line = words[0] if len(words) == 1 else " ".join(map(for_shell, words))
    return b"#!/bin/sh\n" + os.fsencode(line) + b"\n"


def plain_name(path: str | os.PathLike | None) -> str:
    """What a file that is submitted is called, "job" for none."""
    return os.path.basename(os.fsdecode(path)) if path else "job"


def content(path: str | os.PathLike) -> "bytes | LargeFile":
    """The bytes of the executable file `path`, or of a long one whoever reads them; UsageError says why it cannot be a
    job."""
    try:
        path = os.fsdecode(path)
        if not path or "\0" in path:
            raise ValueError
        # A fifo must not make us wait.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (TypeError, ValueError):
        raise UsageError(f"{path!r} cannot be the name of a file: name an executable file") from None
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: name an executable file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name an executable file that you may"
                         " read") from None
    try:
        found = os.fstat(handle)
        _check_mode(path, found.st_mode)
        if found.st_size > LARGE:
            # Rarely needed.
            from jobjar.largefile import LargeFile
            return LargeFile(path, found)
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def _check_mode(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a directory: name an executable file")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file: name an executable file")
    if not mode & 0o111:
        raise UsageError(f"{path} is not executable: `chmod +x` it first")


def may_ask(data: "bytes | LargeFile") -> bool:
    """Whether a file may have #JJ lines; most have none, and need not be read for them."""
    return b"#JJ" in (data if isinstance(data, bytes) else data.head)


def fresh_name(priority: int = 0, id: str | None = None, index: int | None = None) -> str:
    """A name that no other job has; those of one process are strictly increasing. UsageError for a wrong `id`."""
    seconds, digits = divmod(_fresh_number(), 1_000_000_000)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
    return jobname.unique(stamp, f"{digits:09}", _login(), id, priority, index)


def _fresh_number() -> int:
    """Microseconds since the epoch and three random digits; more than ever before, even if the clock is set back."""
    global _last
    with _lock:
        chance = int.from_bytes(os.urandom(4), "big") % 1000
        _last = max(_last + 1, time.time_ns() // 1000 * 1000 + chance)
        return _last


def _login() -> str:
    uid = os.geteuid()
    if uid not in _logins:
        import pwd
        try:
            _logins[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            # Containers run under numbers that no user has.
            _logins[uid] = str(uid)
    return _logins[uid]


_ARRIVE = {states.UNCLAIMED: moves.submit, states.WAITING: moves.defer, states.HELD: moves.submit_held}


def submit(jar: Jar, request: Request, tell: "Callable[[str], object] | None" = None) -> Place:
    """Submit one job; durable on return, and perhaps already claimed.

    `tell` is called with its id before there is a job of that id; what it raises keeps the job from being submitted.
    UsageError: a file is in the way of the category. TryAgain: no space; nothing was submitted.
    """
    return _submit(jar, [request], True, tell)[0]


def submit_many(jar: Jar, requests: list[Request]) -> list[Place]:
    """Submit many jobs in their order, with one wait for the disk before the first rename and one after the last;
    otherwise as `submit`.

    If it fails midway the sentence says how many are submitted; the drafts of the others are removed.
    """
    return _submit(jar, requests, False) if requests else []


def _submit(jar: Jar, requests: list[Request], synced: bool,
            tell: "Callable[[str], object] | None" = None) -> list[Place]:
    drafts: list[str] = []
    places: list[Place] = []
    try:
        for state, category in dict.fromkeys((request.state, request.category) for request in requests):
            # What is in the way of a category is better found before any job is submitted.
            jar.queue(state, category)
        for request in requests:
            drafts.append(_draft(jar, request, synced))
        if not synced:
            fsops.sync_file_system(jar.limbo)
        for name in drafts if tell else ():
            tell(jobname.split(name)[0])
        for name, request in zip(drafts, requests):
            places.append(_ARRIVE[request.state](jar, name, request.category))
    except BaseException as error:
        for name in drafts[len(places):]:
            fsops.remove(os.path.join(jar.limbo, name))
        if places:
            make_durable(jar, places)
        _explain(error, jar, len(places), len(requests))
        raise
    make_durable(jar, places)
    return places


def _draft(jar: Jar, request: Request, synced: bool) -> str:
    while True:
        name = fresh_name(request.priority, request.id)
        try:
            fsops.create(os.path.join(jar.limbo, name), request.data, MODE, synced)
            return name
        except FileExistsError:
            # RACE: another process of this user drew the same microsecond and the same three digits.
            continue


def _explain(error: BaseException, jar: Jar, done: int, total: int) -> None:
    """Raise the sentence that says what became of the jobs, if a person needs one; else return."""
    if not isinstance(error, OSError) or not (done or error.errno in NO_ROOM):
        return
    reason = f"{at_fault(error) or jar.limbo}: {error.strerror}"
    what = f"{done} of {total} jobs are submitted, so submit only the others again" if done else "nothing is submitted"
    if error.errno in NO_ROOM:
        raise TryAgain(f"{reason}: {what}, when there is room") from None
    raise JobJarError(f"{reason}: {what}") from error


def make_durable(jar: Jar, places: list[Place]) -> None:
    """See to it that a power cut does not undo what has come to these places; JobJarError when that cannot be had."""
    directories = [jar.directory(place.state, place.category) for place in places]
    # A category may have been made just now, by us or by another submitter who has not come to this yet.
    tops = dict.fromkeys(jar.directory(place.state) for place in places)
    for directory in dict.fromkeys((*directories, *tops, jar.limbo)):
        try:
            fsops.sync_directory(directory)
        except OSError as error:
            raise JobJarError(f"{directory}: {error.strerror}: submitted, but a power cut may undo it,"
                              " so look into that directory before you submit again") from error
