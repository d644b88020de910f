"""Is this node fit to work with the jar, and the jar for it? One verdict for each thing, with a remedy.

It changes nothing, save that the server's time is asked by a file in limbo/ that is gone at once. What it looks at is
judged where it belongs; here the answers are put together.
"""

import os
import platform
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator

import jobjar
from jobjar import config, cron, findings, fsadvice, fslook, fsverdict, inspection, layout, mounts, nodelock
from jobjar import registration, staff, supervision, text, trust
from jobjar.config import Settings
from jobjar.errors import JobJarError
from jobjar.layout import Jar
from jobjar.node import Identity
from jobjar.staff import Worker

OK, WARNING, WRONG = "ok", "warning", "wrong"

# `says`: what was found; `remedy`: what to do about it, "" when nothing has to be done.
Verdict = namedtuple("Verdict", "verdict subject says remedy", defaults=("",))

_LEVELS = {fsadvice.UNFIT: WRONG, fsadvice.WEAK: WARNING, fsadvice.NOTE: OK}
_RENEW = "`check_workers --renew` on its node replaces it between two jobs"


def examine(settings: Settings, me: Identity) -> Iterator[Verdict]:
    """All verdicts, as seen from the process `me`."""
    yield Verdict(OK, "node", f"{settings.node} ({settings.source('JJ_NODE')})")
    yield from _python()
    try:
        jar = layout.view_jar(settings.home, settings.worker_home)
    except JobJarError as error:
        yield _split(WRONG, "jar", str(error))
        return
    yield Verdict(OK, "jar", f"{jar.home} ({settings.source('JJ_HOME')})")
    for subject, look in _LOOKS.items():
        try:
            yield from look(jar, settings, me)
        except OSError as error:
            yield Verdict(WRONG, subject, f"it could not be looked at ({error})",
                          "`jobjar check` may say more; mend that first")
    yield from _cron()


def is_wrong(verdicts: list[Verdict]) -> bool:
    """Whether anything is wrong; a warning alone is not."""
    return any(verdict.verdict == WRONG for verdict in verdicts)


def render(verdicts: list[Verdict]) -> str:
    """The verdicts as text, a line each."""
    return text.columns([(found.verdict, found.subject, found.says + (f": {found.remedy}" if found.remedy else ""))
                         for found in verdicts])


def _split(verdict: str, subject: str, sentence: str) -> Verdict:
    """Of a sentence that says what there is and, behind a colon, what to do."""
    says, _, remedy = sentence.partition(": ")
    return Verdict(verdict, subject, says, remedy)


def _python() -> Iterator[Verdict]:
    found = [f"{platform.python_version()} ({sys.executable})", f"jobjar {jobjar.__version__}"]
    for package, oldest in (("psutil", ()), ("filelock", nodelock.OLDEST)):
        try:
            version = __import__(package).__version__
        except ImportError as error:
            yield Verdict(WRONG, "python", f"{sys.executable} has no usable package {package} ({error})",
                          f"`make` at the top of the checkout, or `{sys.executable} -m pip install {package}`")
            continue
        found.append(f"{package} {version}")
        if oldest and tuple(map(int, version.split(".")[:3])) < oldest:
            yield Verdict(WRONG, "python", f"{package} {version} is older than {'.'.join(map(str, oldest))}",
                          f"`{sys.executable} -m pip install --upgrade {package}`")
    yield Verdict(OK, "python", ", ".join(found))


def _mount(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    mount = mounts.of(jar.home)
    if mount is None:
        yield Verdict(WARNING, "mount", "the kernel does not tell what the jar lies on",
                      "`jobjar check --filesystem` measures it")
        return
    yield Verdict(OK, "mount", f"{mount.kind}, mounted on {mount.point}")
    for remark in fsadvice.advise(mount.kind, mount.options):
        yield _split(_LEVELS[remark.level], "mount", remark.text)


def _permissions(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    try:
        trust.require(jar, settings)
        yield Verdict(OK, "permissions", "nobody else can slip a job into the jar")
    except JobJarError as error:
        yield _split(WRONG, "permissions", str(error))


def _room(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    lack = fslook.shortage(jar.home, settings.min_free)
    size, inodes = fslook.room(jar.home)
    free = [] if size is None else [f"{text.size(size)} free"]
    free += [] if inodes is None else [f"{inodes} inodes free"]
    yield _split(WRONG, "room", lack) if lack else Verdict(OK, "room", " and ".join(free) or "it is not counted there")


def _clock(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    before = time.time()
    then = registration.server_now(jar)
    ahead = (before + time.time()) / 2 - then
    remark = fsverdict.clock(settings.node, ahead)
    yield _split(WARNING, "clock", remark.text) if remark else Verdict(OK, "clock", "as the file server's")


def _workers(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    why = supervision.why_none(jar, settings)
    if why:
        yield _split(WARNING, "workers", why)
    common = set(fslook.names(jar.workers))
    # By this node's own clock, when that is wrong, workers would look unheard of.
    seen = [worker for worker in staff.look(jar, me, common, registration.server_now(jar), [])
            if worker.state != staff.LEFT]
    live = [worker for worker in seen if worker.state in staff.LIVE]
    here = sum(worker.node == settings.node for worker in live)
    if live:
        yield Verdict(OK, "workers", f"{here} on this node, {len(live) - here} on others")
    else:
        yield Verdict(WARNING, "workers", "no worker is there, so nothing is run", "`start_worker` starts one")
    for worker in seen:
        yield from _worker(jar, worker, me)


def _worker(jar: Jar, worker: Worker, me: Identity) -> Iterator[Verdict]:
    if worker.state in (staff.STRANDED, staff.FENCED):
        jobs = text.counted(len(worker.jobs), "job")
        yield Verdict(WRONG, "workers", f"{worker.name} is {worker.state}, with {jobs}",
                      f"`recover_stranded` on {worker.node} brings back what it has")
    elif worker.state == staff.UNKNOWN:
        yield Verdict(WARNING, "workers", f"{worker.name} cannot be judged from here and was not heard of lately",
                      f"`jobjar doctor` on {worker.node} says more")
    elif worker.reason:
        yield Verdict(WARNING, "workers", f"{worker.name} claims nothing ({worker.reason})",
                      "mend that; one that paused itself goes on after `unpause_worker`")
    record = registration.read(jar, worker.name)
    if worker.state in staff.LIVE and record and worker.node == me.node \
            and "" not in (there := {record.identity.machine, me.machine}) and len(there) > 1:
        yield Verdict(WRONG, "node", f"{worker.name} is on another computer that is called {me.node} as this one is",
                      "set JJ_NODE to a name of its own on one of them")
    version = record.extra.get("version") if record else None
    if worker.state in staff.LIVE and version != jobjar.__version__:
        yield Verdict(WARNING, "workers", f"{worker.name} is of version {version}, not {jobjar.__version__}", _RENEW)


def _check(jar: Jar, settings: Settings, me: Identity) -> Iterator[Verdict]:
    found = inspection.inspect(jar, me)
    severities = {finding.severity for finding in found}
    if not findings.is_trouble(found):
        yield Verdict(OK, "check", "nothing in the jar needs anybody")
        return
    yield Verdict(WRONG if findings.THREAT in severities else WARNING, "check", text.counted(len(found), "finding"),
                  "`jobjar check` lists them, and `jobjar check --repair` mends what is safe")


_LOOKS: dict[str, Callable[[Jar, Settings, Identity], Iterator[Verdict]]] = {
    "mount": _mount, "permissions": _permissions, "room": _room, "clock": _clock, "workers": _workers,
    "check": _check}


def _cron() -> Iterator[Verdict]:
    lines = cron.lines()
    if lines is None:
        yield Verdict(WARNING, "cron", "there is no program crontab here, so nothing runs check_workers and"
                      " recover_stranded", "install cron, or run both by hand")
        return
    missing = [program for program in ("check_workers", "recover_stranded")
               if not any(program in line.replace("-", "_") for line in lines)]
    top = config.installation()
    for program, file, what in (("check_workers", "worker.cron", "nothing keeps workers running on this node"),
                                ("recover_stranded", "recover.cron", "jobs of workers that die here stay where they"
                                                                     " are")):
        if program in missing:
            yield Verdict(WARNING, "cron", f"no line of your crontab runs {program}, so {what}",
                          f"edit {os.path.join(top or 'the distribution', 'crontabs', file)} and install it as it says")
    if len(missing) < 2:
        yield Verdict(OK, "cron", "a daemon runs and has work from you") if cron.is_running() else \
            Verdict(WRONG, "cron", "no cron daemon is seen here, so your crontab has no effect", "start it")
