"""Files that travel with a job: a directory as it was at submission, and inputs for nodes that have not got them.

At submission the files go to store/, and a list of them, itself a content there, is named in the job's request
(`staged`). The worker lays them out in the job's fresh directory. What it makes there goes back by `harvest`.
"""

import errno
import json
import os
import stat
from collections import namedtuple

from jobjar import fsops, mounts, store
from jobjar.directives import Request
from jobjar.errors import JobJarError, UsageError
from jobjar.layout import Jar

# One file of a job: its path below the scratch directory, and its SHA-256 and mode, or what a link says.
Item = namedtuple("Item", "path digest mode link", defaults=(None, 0, None))

FILES_MAX = 100_000
# File systems in which the kernel shows itself: what seems to be a file there may be without an end.
OF_THE_KERNEL = frozenset(("proc", "sysfs", "debugfs", "tracefs", "securityfs", "cgroup", "cgroup2", "configfs", "bpf",
                           "devpts", "devtmpfs", "pstore", "efivarfs", "binfmt_misc", "fusectl", "mqueue", "hugetlbfs",
                           "selinuxfs", "rpc_pipefs"))
# What a worker is told when the files of a job do not fit together, or not below a directory.
_UNFIT = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)


def prepare(jar: Jar, request: Request, directory: str) -> Request:
    """The request with `staged` in it, if it asks for files; they are in store/, durably, on return.

    `directory` is where relative names begin. UsageError: a file is not there, or two would have one name.
    """
    _require_different_outputs(request)
    with store.Deposit(jar) as deposit:
        items = [*_snapshot(deposit, request, directory), *_inputs(deposit, request, directory)]
        if not items:
            return request
        _require_different(items)
        digest = deposit.put_bytes(json.dumps([list(item) for item in items]).encode())
        deposit.settle()
    return {**request, "staged": digest}


def _require_different_outputs(request: Request) -> None:
    seen: dict[str, str] = {}
    for name in request.get("stage_out", []):
        other = seen.setdefault(inside(name), os.path.normpath(name))
        if other != os.path.normpath(name):
            raise UsageError(f"--stage-out: {other} and {name} would both be {inside(name)} when they are brought back:"
                             " rename one of them")


def _snapshot(deposit: store.Deposit, request: Request, directory: str) -> list[Item]:
    if "snapshot" not in request:
        return []
    top = os.path.join(directory, request["snapshot"])
    if not os.path.isdir(top):
        raise UsageError(f"--snapshot: {top} is not a directory: name the one whose files the job needs")
    # All of them are found before the first is kept: what is refused is refused at once.
    return [_item(deposit, os.path.join(top, where), where) for where in _files(top)]


def _files(top: str) -> list[str]:
    """The files and links below a directory, relative to it."""
    found: list[str] = []
    device = None
    for path, directories, names in os.walk(top, onerror=_refuse_closed):
        device = _require_files(path, device)
        # A link to a directory is listed among the directories, and not followed.
        links = [name for name in directories if os.path.islink(os.path.join(path, name))]
        found += (os.path.relpath(os.path.join(path, name), top) for name in sorted(names + links))
        if len(found) > FILES_MAX:
            raise UsageError(f"--snapshot: {top} has more than {FILES_MAX} files: name a smaller directory")
    return found


def _refuse_closed(error: OSError) -> None:
    raise UsageError(f"--snapshot: {error.filename} cannot be listed ({error.strerror}): make it accessible to you, or"
                     " name a directory without it") from None


def _require_files(path: str, device: int | None) -> int:
    """The file system's number of a directory; UsageError when there are no files of anybody in it."""
    found = os.stat(path).st_dev
    mount = mounts.of(path) if found != device else None
    if mount and mount.kind in OF_THE_KERNEL:
        raise UsageError(f"--snapshot: {path} is on a file system of the kernel ({mount.kind}), which has no files that"
                         " could be kept: name a directory without it")
    return found


def _inputs(deposit: store.Deposit, request: Request, directory: str) -> list[Item]:
    found = []
    for name in request.get("stage_in", []):
        path = os.path.join(directory, name)
        if not os.path.isfile(path):
            raise UsageError(f"--stage-in: {path} is not a regular file: name files that are there")
        found.append(_item(deposit, os.path.realpath(path), inside(name)))
    return found


def inside(name: str) -> str:
    """Where a file of that name lies below the job's directory: one that is not below, by its last name."""
    plain = os.path.normpath(name)
    return plain if _is_below(plain) else os.path.basename(plain)


def _is_below(path: str) -> bool:
    plain = os.path.normpath(path)
    return not os.path.isabs(plain) and plain.split(os.sep)[0] != os.pardir


def _item(deposit: store.Deposit, path: str, where: str) -> Item:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return Item(where, link=os.readlink(path))
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is no regular file, and cannot travel with a job: leave it out")
    return Item(where, deposit.put(path), stat.S_IMODE(found.st_mode) & 0o777)


def _require_different(items: list[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.path in seen:
            raise UsageError(f"two files would be {item.path} in the job's directory: rename one of them")
        seen.add(item.path)
    for item in items:
        above = os.path.dirname(item.path)
        while above:
            if above in seen:
                raise UsageError(f"{item.path} would lie below {above}, which is a link or a file in the job's"
                                 " directory: give it another name")
            above = os.path.dirname(above)


def lay_out(jar: Jar, request: Request, scratch: str) -> None:
    """Put the files of a job into its fresh directory; JobJarError when one cannot be had any more, or has no place.

    An OSError is the node's or the jar's.
    """
    if "staged" not in request:
        return
    for item in items(jar, request["staged"]):
        try:
            _lay(jar, item, scratch)
        except OSError as error:
            if error.errno not in _UNFIT:
                raise
            raise JobJarError(f"{item.path} cannot be put into the job's directory: {error.strerror}") from None


def _lay(jar: Jar, item: Item, scratch: str) -> None:
    target = os.path.join(scratch, item.path)
    make_parents(scratch, os.path.dirname(item.path))
    if item.link is None:
        store.get(jar, item.digest, target, item.mode)
    elif not fsops.link(item.link, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)


def items(jar: Jar, digest: str) -> list[Item]:
    """The list of a job's files; JobJarError when it is not there any more, or is none."""
    data = store.get_bytes(jar, digest)
    try:
        return [_checked(Item(*fields)) for fields in json.loads(data)]
    except (ValueError, TypeError):
        raise JobJarError(f"{store.path_of(jar, digest)} is no list of a job's files: submit the job again") from None


def _checked(item: Item) -> Item:
    """The item; ValueError or TypeError for one that nobody has put there by `prepare`."""
    content = item.digest if item.link is None else item.link
    # UnicodeError is a ValueError.
    if b"\0" in os.fsencode(item.path) or b"\0" in os.fsencode(content) or not isinstance(item.mode, int):
        raise ValueError(item)
    if item.link is None and (len(content) != 64 or set(content) - set("0123456789abcdef")):
        raise ValueError(item)
    if not _is_below(item.path):
        raise JobJarError(f"{item.path} would lie outside of the job's directory")
    return item


def wanted(jar: Jar, digest: str) -> set[str]:
    """The contents in store/ that a request's `staged` needs, itself among them."""
    try:
        return {digest, *(item.digest for item in items(jar, digest) if item.digest)}
    except JobJarError:
        return {digest}


def make_parents(top: str, path: str) -> None:
    """Make the directory `path` below `top`, with those above it; JobJarError for a link there: none is followed."""
    at = top
    for part in path.split(os.sep) if path else ():
        at = os.path.join(at, part)
        if not fsops.make_directory(at, 0o755) and os.path.islink(at):
            raise JobJarError(f"{at} is a link, and nothing is put where it leads")


def given(jar: Jar, request: Request) -> dict[str, str]:
    """What a job was given: path → SHA-256, as `fetching` wants it."""
    return {item.path: item.digest for item in items(jar, request["staged"]) if item.digest} \
        if "staged" in request else {}
