"""How a worker comes to life: detached from whoever starts it, under a name that nobody else holds.

A start is reported only when the worker has registered, so whoever counts workers afterwards counts this one.
"""

import os
import signal
import sys
import time
import traceback
from collections import namedtuple
from collections.abc import Callable

from jobjar import config, fsops, leftovers, node, process, registration, trust
from jobjar.config import Settings
from jobjar.errors import JobJarError, NoSuchJob, TryAgain, UsageError, of_system
from jobjar.jobenv import base_environment
from jobjar.layout import Jar
from jobjar.nodelock import only_one
from jobjar.recovery import Recovery
from jobjar.watch import Bell, Watch
from jobjar.worker import FENCED, RENEWED, Worker

READY, REFUSED = b"+", b"-"
# What the error of a child is to its starter, by the exit status.
KINDS = {kind.exit_status: kind for kind in (JobJarError, UsageError, NoSuchJob, TryAgain)}
HIGHEST_DESCRIPTOR = 65536
REGISTER_TIME = 60.0

# What a worker is told at its start: the categories (none: those of the settings), and after how many idle seconds it
# ends (None: never).
Terms = namedtuple("Terms", "categories idle_exit", defaults=((), None))


def start(jar: Jar, settings: Settings, terms: Terms) -> str:
    """Start one worker in the background and return its name once it has registered.

    It survives the caller and its terminal. JobJarError says why it did not start, as in the foreground.
    """
    trust.require(jar, settings)
    inner, outer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(inner)
        _detach(jar, settings, terms, outer)
    os.close(outer)
    os.waitpid(pid, 0)
    with open(inner, "rb") as pipe:
        answer = pipe.read()
    if answer[:1] == READY:
        return os.fsdecode(answer[1:])
    if answer[:1] != REFUSED:
        raise JobJarError("no worker was started: it ended before it was ready")
    raise KINDS[answer[1]](os.fsdecode(answer[2:]))


def _detach(jar: Jar, settings: Settings, terms: Terms, report: int) -> None:
    """In a fresh child: become a process of its own, be a worker, never return."""
    code = 1
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        _forget_origin(report)
        worker = _register_and_tell(jar, settings, terms, report)
        if worker:
            code = work(jar, worker, terms)
    finally:
        os._exit(code)


def _register_and_tell(jar: Jar, settings: Settings, terms: Terms, report: int) -> Worker | None:
    try:
        worker = register(jar, settings, terms)
    except BaseException as error:
        known = _known(error)
        _answer(report, REFUSED + bytes([known.exit_status]), str(known))
        return None
    _answer(report, READY, worker.name)
    return worker


def _known(error: BaseException) -> JobJarError:
    if isinstance(error, OSError):
        error = of_system(error) or error
    if isinstance(error, JobJarError):
        return error
    return JobJarError(f"no worker was started: {type(error).__name__}: {error}")


def _forget_origin(keep: int) -> None:
    """Let go of the terminal, the directory and every descriptor that the starter had."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.closerange(3, keep)
    os.closerange(keep + 1, HIGHEST_DESCRIPTOR)


def _answer(report: int, kind: bytes, text: str) -> None:
    try:
        os.write(report, kind + os.fsencode(text))
        os.close(report)
    except OSError:
        # The starter has gone.
        pass


def foreground(jar: Jar, settings: Settings, terms: Terms) -> int:
    """Be a worker in this process, or in a child when this pid's name is not to be had; the exit status."""
    trust.require(jar, settings)
    worker = register(jar, settings, terms, _stand_in)
    print(worker.name, flush=True)
    return work(jar, worker, terms)


def _stand_in(child: int) -> None:
    """In the foreground: pass signals on to the worker and end as it does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda received, _: os.kill(child, received))
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)


def _vanish(_: int) -> None:
    os._exit(0)


def register(jar: Jar, settings: Settings, terms: Terms, stay: Callable[[int], None] = _vanish) -> Worker:
    """A registered worker in this process, or in a descendant; `stay(child)` is what becomes of the others."""
    trusted = trust.require(jar, settings)
    categories = terms.categories or settings.categories
    while True:
        me = node.myself(settings.node)
        lock_path = process.lock_path(node.nonce(me))
        if _take_name(jar, settings, me, _about(jar, settings, categories, lock_path)):
            break
        # In a container pids are always the same; another pid has another name.
        child = os.fork()
        if child:
            stay(child)
        # A terminal's interrupt reaches a whole group: from there and from its stand-in it would count twice.
        os.setpgid(0, 0)
    try:
        registration.probe(jar, node.owner(me))
        process.adopt_orphans()
        lock = process.open_lock(lock_path)
        # Its journal is a file more, for which there may be no room.
        return Worker(jar, me, settings, categories, Bell(Watch()), base_environment(programs()), lock, trusted)
    except BaseException:
        registration.undo(jar, me)
        fsops.remove(lock_path)
        raise


def _about(jar: Jar, settings: Settings, categories: tuple[str, ...], lock_path: str) -> dict[str, object]:
    import jobjar
    return {"uid": os.geteuid(), "version": jobjar.__version__, "home": jar.home, "workers": jar.workers,
            "lock": lock_path, "categories": list(categories), "min_free": list(settings.min_free),
            "started": round(time.time(), 3)}


def _take_name(jar: Jar, settings: Settings, me: node.Identity, about: dict[str, object]) -> bool:
    """Register under this process's name, setting an earlier owner's directory aside; False if that cannot be."""
    for _ in range(2):
        if registration.write(jar, me, about):
            return True
        if not _clear_name(jar, settings, me):
            return False
    return False


def _clear_name(jar: Jar, settings: Settings, me: node.Identity) -> bool:
    """Set aside a directory of this process's name, once its owner is dead and its jobs are safe; False if not."""
    worker = node.owner(me)
    record = registration.read(jar, worker)
    try:
        # RACE: of a directory that does not say whose it is nobody can say that it is not a newcomer's by the time it
        # is set aside.
        if record is None or registration.owns_jobs(jar, worker) and not _recover(jar, settings, me, record):
            return False
        return registration.set_aside(jar, worker, record.nonce)
    except (OSError, JobJarError):
        # Whatever is wrong with it, another name will do; `recover_stranded` says what is wrong.
        return False


def _recover(jar: Jar, settings: Settings, me: node.Identity, record: registration.Record) -> bool:
    if registration.verdict(jar, record, me) != node.DEAD:
        return False
    # When a check_workers has the lock, which starts this very worker perhaps, another name will do.
    with only_one() as mine:
        if not mine:
            return False
        recovered = Recovery(jar, me, settings.max_attempts).worker(record)
        leftovers.sweep(jar, me)
        return recovered


def work(jar: Jar, worker: Worker, terms: Terms) -> int:
    """Let the worker work to its end; 0 when it has left in order, with a successor if one was asked for."""
    while True:
        try:
            reason = worker.run(terms.idle_exit)
        except BaseException:
            # Nobody reads the stderr of a worker in the background.
            worker.log.say("ends because of a defect: " + traceback.format_exc())
            raise
        if reason == FENCED:
            return 1
        if reason != RENEWED:
            _leave(worker)
            return 0
        # Nobody counts workers between this one's leaving and its successor's coming.
        with only_one(REGISTER_TIME) as mine:
            if mine:
                _leave(worker)
                return _succeed(jar, terms, worker)


def _leave(worker: Worker) -> None:
    try:
        worker.leave()
    except (JobJarError, OSError) as error:
        worker.log.say(str(error))
        raise
    try:
        fsops.remove(process.lock_path(worker.attempts.nonce))
    except (OSError, JobJarError) as error:
        # It has left all the same, and a successor may come.
        worker.log.say(f"its lock file stays: {error}")


def _succeed(jar: Jar, terms: Terms, worker: Worker) -> int:
    """Start a worker on the same terms with the program as it is installed now; its exit status."""
    words = [sys.executable, os.path.join(programs(), "start_worker"), "--home", jar.home]
    if terms.idle_exit is not None:
        words += ["--idle-exit", str(terms.idle_exit)]
    pid = os.posix_spawn(words[0], [*words, *terms.categories], os.environ)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xff
    if code:
        worker.log.say(f"its successor could not be started, with exit status {code}: try `{' '.join(words[1:])}`")
    return code


def programs() -> str:
    """The directory of the project's own programs."""
    top = config.installation()
    return os.path.join(top or sys.prefix, "bin")
