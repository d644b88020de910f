"""Whose jobs a worker runs: the private jar of docs/PROTOCOL.md, checked before a worker starts, as sshd does.

Whoever can write into the jar, or rename a directory above it, can run programs as the worker's user.
"""

import grp
import os
import pwd
import stat

from jobjar import layout
from jobjar.config import Settings
from jobjar.errors import UsageError
from jobjar.layout import Jar


def require(jar: Jar, settings: Settings) -> frozenset[int]:
    """The user ids whose jobs a worker may run; UsageError when others could slip something into the jar."""
    me = os.geteuid()
    if me == 0 and not settings.allow_root:
        raise UsageError("a worker of root would run every job as root: use an ordinary user, or set JJ_ALLOW_ROOT=1")
    for directory in guarded(jar):
        why = doubt(directory, me)
        if why:
            raise UsageError(f"{directory} {why}")
    return frozenset([me, *(_uid(login, settings) for login in settings.trusted_users)])


def is_private(jar: Jar, settings: Settings) -> bool:
    """Whether nobody but this user can put anything into the jar: only there may several jobs be one file."""
    inside = [jar.home, jar.workers, *(os.path.join(jar.home, name) for name in layout.DIRECTORIES)]
    return not settings.trusted_users and not any(_is_open(os.stat(path)) for path in inside)


def _is_open(found: os.stat_result) -> bool:
    """Whether others can write there; sticky or not."""
    return bool(found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH
                or found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_gid, found.st_uid))


def guarded(jar: Jar) -> list[str]:
    """The jar's directories and all above them."""
    later = [os.path.join(jar.home, name) for name in layout.LATER]
    inside = [os.path.join(jar.home, name) for name in layout.DIRECTORIES] + list(filter(os.path.isdir, later))
    above = set()
    for path in (os.path.realpath(jar.home), os.path.realpath(jar.workers)):
        while path not in above:
            above.add(path)
            path = os.path.dirname(path)
    return sorted(above) + inside


def doubt(directory: str, me: int) -> str | None:
    """How others could slip something into this directory of user `me`, and what to do; None when they cannot."""
    found = os.stat(directory)
    if found.st_uid not in (0, me):
        return "belongs to another user, who could put jobs into the jar: move the jar"
    if found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"can be written by everybody: chmod o-w {directory}"
    if found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_gid, found.st_uid):
        return f"can be written by a group: chmod g-w {directory}"
    return None


def _is_private_group(gid: int, uid: int) -> bool:
    try:
        owner, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_gid == owner.pw_gid and group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}


def _uid(login: str, settings: Settings) -> int:
    try:
        return pwd.getpwnam(login).pw_uid
    except KeyError:
        raise UsageError(f"JJ_TRUSTED_USERS ({settings.source('JJ_TRUSTED_USERS')}) names {login!r}, a user whom this"
                         " node does not know: correct it") from None
