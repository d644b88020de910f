"""The tree of a jar: every path and its meaning, both ways. No other module spells a directory's name.

`Jar(home, workers)` only computes; `open_jar` and `create_jar` look at the disk. docs/PROTOCOL.md section 2 is the map.
"""

import os

from jobjar import fsops, jobname, states
from jobjar.errors import UsageError, of_system

FORMAT = 1
DIRECTORIES = ("limbo", "unclaimed", "held", "waiting", "claimed", "completed", "failed", "logs", "notes")
# Made when first needed: records of what was cleaned away, files that jobs brought along, files that they made.
LATER = ("history", "store", "staged")

STOP, PAUSE, RENEW = "STOP", "PAUSE", "RENEW"
STOP_ALL, PAUSE_ALL, DRAIN = "STOP_ALL", "PAUSE_ALL", "DRAIN."
CLAIMS, RECOVERING, ORDERS = "claims", "recovering.", "orders"
PROBE, CLEANED, ASIDE, TAKE = ".probe.", ".cleaned.", ".aside.", ".take."
# Of what is written there whole before it takes its place.
EDIT, ORDER = ".edit.", ".order."
# A directory in limbo/ in which a file system is measured, and the end of the file's name beside it that asks for a
# partner.
CHECK, OFFER = ".check.", ".offer"
# A directory in limbo/ of an array that is being submitted.
ARRAY = ".array."
# The directory of a `jobjar run`, in which its job reads and prints.
RUN = ".run."
SET_ASIDE = ".old-"


class Place:
    """Where a job is: its state, its category or None, its file's name, and the claims directory that holds it, if any.

    Never changed, and equal to every other of the same values.
    """

    # By hand, for a namedtuple needs collections: a sixth of a start of the interpreter, which submit_job can save.
    __slots__ = ("state", "category", "name", "holder")

    def __init__(self, state: str, category: str | None, name: str, holder: str | None = None) -> None:
        self.state, self.category, self.name, self.holder = state, category, name, holder

    def _replace(self, **changes: str | None) -> "Place":
        """The same with other values, by the name that it has in named tuples."""
        return Place(**{key: getattr(self, key) for key in self.__slots__} | changes)

    def _values(self) -> tuple[str | None, ...]:
        return self.state, self.category, self.name, self.holder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"Place{self._values()}"


class Jar:
    """One jar's paths. All methods are pure arithmetic on strings, except `queue`, which may make a category."""

    def __init__(self, home: str, workers: str | None = None) -> None:
        self.home = home
        self.workers = workers or os.path.join(home, "workers")
        for name in (*DIRECTORIES, *LATER):
            setattr(self, name, os.path.join(home, name))

    def path(self, place: Place) -> str:
        """The file of the job at `place`."""
        # By hand, for join takes ten times as long, and a worker asks this ten times for each job.
        top = place.holder or f"{self.home}/{place.state}"
        return f"{top}/{place.category}/{place.name}" if place.category else f"{top}/{place.name}"

    def directory(self, state: str, category: str | None = None) -> str:
        """The directory of a state, or of one category in it."""
        return os.path.join(self.home, state, category) if category else os.path.join(self.home, state)

    def queue(self, state: str, category: str | None) -> str:
        """The directory of `category` in a queue; made when it is not there, for categories come as needed."""
        directory = self.directory(state, category)
        if category:
            # Closed to others whatever the umask says: whoever can write here runs code as the workers' user.
            fsops.make_directory(directory, 0o755)
        return directory

    def worker(self, worker: str) -> str:
        """The directory of the worker named NODE.PID."""
        return os.path.join(self.workers, worker)

    def claims(self, worker: str) -> str:
        """The directory whose existence means that the worker may own jobs."""
        return os.path.join(self.workers, worker, CLAIMS)

    def orders(self, worker: str) -> str:
        """The directory of the orders to the job that the worker runs."""
        return os.path.join(self.workers, worker, ORDERS)

    def view(self, worker: str) -> str:
        """The worker's claims/ as a link in claimed/ says it."""
        # A relative text is followed from where claimed/ really is, so it must not lead out of the jar.
        is_inside = self.workers.startswith(self.home + os.sep)
        return os.path.relpath(self.claims(worker), self.claimed) if is_inside else self.claims(worker)

    def viewed(self, text: str) -> str | None:
        """The worker into whose directory a link in claimed/ with this text leads; None of any other text."""
        for top in (os.path.relpath(self.workers, self.claimed), self.workers):
            if text.startswith(top + os.sep):
                return text[len(top) + 1:].partition(os.sep)[0]
        return None

    def log(self, name: str, attempt: str | None = None) -> str:
        """What the job completed/NAME printed, or what an attempt printed that did not complete it."""
        return os.path.join(self.logs, _fit(name, f".attempt-{attempt}") if attempt else name)

    def drain(self, node: str) -> str:
        """The marker that keeps workers off a node."""
        return os.path.join(self.workers, DRAIN + node)

    def cleaned(self, name: str) -> str:
        """Where the job completed/NAME or failed/NAME waits in limbo/ for what belongs to it to be removed."""
        return os.path.join(self.limbo, dot_name(CLEANED[1:] + name))

    def taken(self, name: str) -> str:
        """The reservation in limbo/ of whoever takes the job completed/NAME or failed/NAME away from there."""
        return os.path.join(self.limbo, dot_name(TAKE[1:] + name))

    def aside(self, token: str) -> str:
        """A dot name in limbo/ for what is being looked at before it is removed; `token` makes it fresh."""
        return os.path.join(self.limbo, f"{ASIDE}{token[-200:]}")


def split_worker(name: str) -> tuple[str, int] | None:
    """(node, pid) when `name` is a worker's directory NODE.PID, else None."""
    node, dot, pid = name.rpartition(".")
    if dot and node and not node.startswith(".") and _is_pid(pid) and not former_worker(name):
        return node, int(pid)
    return None


def _is_pid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11


def is_holder(name: str) -> bool:
    """Whether the directory of this name in a worker's may hold jobs: claims/, or what it was renamed to."""
    return name == CLAIMS or name.startswith(RECOVERING)


def former_worker(name: str) -> str | None:
    """The NODE.PID whose directory was set aside as `name`, NODE.PID.old-NONCE; None of any other name."""
    # A nonce ends in a number in hexadecimal digits, which may look like a pid.
    worker, mark, _ = name.rpartition(SET_ASIDE)
    node, _, pid = worker.rpartition(".")
    return worker if mark and node and _is_pid(pid) else None


def dot_name(name: str) -> str:
    """The name under which a name in a queue is reserved; claimers skip dot names."""
    raw = os.fsencode(name)
    if len(raw) < jobname.NAME_MAX:
        return "." + name
    import hashlib
    return "." + os.fsdecode(raw[:200]) + "." + hashlib.sha256(raw).hexdigest()[:16]


def _fit(name: str, suffix: str) -> str:
    """Both together, the name cut on its right to what a file system takes."""
    room = jobname.NAME_MAX - len(os.fsencode(suffix))
    return os.fsdecode(os.fsencode(name)[:room]) + suffix


def failed_link(name: str) -> str:
    """The text of the link in failed/ of the job completed/NAME that ended badly."""
    return os.path.join("..", states.COMPLETED, name)


def open_jar(home: str, workers: str | None = None) -> Jar:
    """The jar at `home`, an absolute path that must exist; what is missing inside it is made.

    UsageError: not there, not a directory, not ours to write, or of a newer format. TryAgain: no space.
    """
    _require_directory(home, "JJ_HOME", "make it with `jobjar init DIR` or correct JJ_HOME")
    jar = Jar(home, workers)
    try:
        if not _check_format(jar):
            _furnish(jar)
        if workers and workers != os.path.join(home, "workers"):
            _require_directory(workers, "JJ_WORKER_HOME", "make it or correct JJ_WORKER_HOME")
    except OSError as error:
        raise of_system(error) or error from None
    return jar


def view_jar(home: str, workers: str | None = None) -> Jar:
    """The jar at `home` as it is, for whoever looks what is wrong with it: nothing is made and little is required.

    UsageError: not there, not a directory, or of a newer format, which this program does not understand.
    """
    _require_directory(home, "JJ_HOME", "make it with `jobjar init DIR` or correct JJ_HOME")
    jar = Jar(home, workers)
    _require_known(jar, format_of(jar))
    return jar


def create_jar(home: str) -> Jar:
    """Make a jar at the absolute path `home`, with its parents; a jar that is there already is left as it is.

    UsageError: it cannot be made there. TryAgain: no space.
    """
    try:
        _make_with_parents(home)
        return open_jar(home)
    except OSError as error:
        raise of_system(error) or UsageError(f"{home} cannot be made ({error.strerror}): choose a place where you may"
                                             " write") from None


def _make_with_parents(path: str) -> None:
    if not os.path.isdir(path):
        _make_with_parents(os.path.dirname(path))
        fsops.make_directory(path, 0o755)


def _require_directory(path: str, key: str, remedy: str) -> None:
    if not os.path.isabs(path):
        raise UsageError(f"{key} is {path!r}, which is not an absolute path: begin it with '/'")
    if not os.path.exists(path):
        raise UsageError(f"{key} is {path}, which does not exist: {remedy}")
    if not os.path.isdir(path):
        raise UsageError(f"{key} is {path}, which is not a directory: {remedy}")


def _check_format(jar: Jar) -> bool:
    """Whether the jar says its format, and so is furnished; UsageError if it is newer than this program."""
    text = format_of(jar)
    if text is None:
        return False
    if not text.isdigit():
        raise UsageError(f"{os.path.join(jar.home, 'FORMAT')} says {text!r} instead of a format number: restore it"
                         f" ({FORMAT} for this program)")
    _require_known(jar, text)
    return _is_furnished(jar)


def format_of(jar: Jar) -> str | None:
    """What the jar's FORMAT says; None when there is none."""
    try:
        with open(os.path.join(jar.home, "FORMAT"), "rb") as file:
            return file.read(64).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def _require_known(jar: Jar, text: str | None) -> None:
    if text and text.isdigit() and int(text) > FORMAT:
        raise UsageError(f"{jar.home} is a jar of format {text}, newer than this program's {FORMAT}:"
                         " use the program that made it")


def _is_furnished(jar: Jar) -> bool:
    with os.scandir(jar.home) as entries:
        present = {entry.name for entry in entries if entry.is_dir()}
    return present.issuperset(DIRECTORIES) and os.path.isdir(jar.workers)


def _furnish(jar: Jar) -> None:
    # Modes are the umask's, but never writable for others: whoever can write here runs code as the workers' user.
    for name in DIRECTORIES:
        fsops.make_directory(os.path.join(jar.home, name), 0o755)
    if jar.workers == os.path.join(jar.home, "workers"):
        fsops.make_directory(jar.workers, 0o755)
    if not os.path.exists(os.path.join(jar.home, "FORMAT")):
        fsops.publish(os.path.join(jar.home, "FORMAT"), f"{FORMAT}\n".encode())
