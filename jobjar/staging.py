"""Files that travel with a job: a directory as it was at submission, and inputs for nodes that have not got them.

At submission the files go to store/, and a list of them, itself a content there, is named in the job's request
(`staged`). The worker lays them out in the job's fresh directory. What it makes there goes back by `harvest`.
"""

import json
import os
import stat
from collections import namedtuple

from jobjar import fsops, store
from jobjar.directives import Request
from jobjar.errors import JobJarError, UsageError
from jobjar.layout import Jar
from jobjar.store import Deposit

# One file of a job: its path below the scratch directory, and its SHA-256 and mode, or what a link says.
Item = namedtuple("Item", "path digest mode link", defaults=(None, 0, None))

FILES_MAX = 100_000


def prepare(jar: Jar, request: Request, directory: str) -> Request:
    """The request with `staged` in it, if it asks for files; they are in store/, durably, on return.

    `directory` is where relative names begin. UsageError: a file is not there, or two would have one name.
    """
    deposit = Deposit(jar)
    try:
        items = [*_snapshot(deposit, request, directory), *_inputs(deposit, request, directory)]
        if not items:
            return request
        _require_different(items)
        digest = deposit.put_bytes(json.dumps([list(item) for item in items]).encode())
        deposit.settle()
        return {**request, "staged": digest}
    finally:
        deposit.drop()


def _snapshot(deposit: Deposit, request: Request, directory: str) -> list[Item]:
    if "snapshot" not in request:
        return []
    top = os.path.join(directory, request["snapshot"])
    if not os.path.isdir(top):
        raise UsageError(f"--snapshot: {top} is not a directory: name the one whose files the job needs")
    found: list[Item] = []
    for path, directories, names in os.walk(top):
        # A link to a directory is listed among the directories, and not followed.
        links = [name for name in directories if os.path.islink(os.path.join(path, name))]
        for name in sorted(names + links):
            found.append(_item(deposit, os.path.join(path, name), os.path.relpath(os.path.join(path, name), top)))
        if len(found) > FILES_MAX:
            raise UsageError(f"--snapshot: {top} has more than {FILES_MAX} files: name a smaller directory")
    return found


def _inputs(deposit: Deposit, request: Request, directory: str) -> list[Item]:
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
    return os.path.basename(plain) if plain.startswith(("/", "..")) else plain


def _item(deposit: Deposit, path: str, where: str) -> Item:
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


def lay_out(jar: Jar, request: Request, scratch: str) -> None:
    """Put the files of a job into its fresh directory; JobJarError when one cannot be had any more."""
    if "staged" not in request:
        return
    for item in items(jar, request["staged"]):
        target = os.path.join(scratch, item.path)
        if not _is_below(item.path):
            raise JobJarError(f"{item.path} would lie outside of the job's directory")
        make_parents(scratch, os.path.dirname(item.path))
        if item.link is not None:
            fsops.link(item.link, target)
        else:
            store.get(jar, item.digest, target, item.mode)


def items(jar: Jar, digest: str) -> list[Item]:
    """The list of a job's files; JobJarError when it is not there any more."""
    try:
        with open(store.path_of(jar, digest), "rb") as file:
            return [Item(*fields) for fields in json.load(file)]
    except FileNotFoundError:
        raise JobJarError(f"{store.path_of(jar, digest)} is not there: somebody has removed what a job needs") from None


def wanted(jar: Jar, digest: str) -> set[str]:
    """The contents in store/ that a request's `staged` needs, itself among them."""
    try:
        return {digest, *(item.digest for item in items(jar, digest) if item.digest)}
    except JobJarError:
        return {digest}


def _is_below(path: str) -> bool:
    return not os.path.isabs(path) and not os.path.normpath(path).startswith("..")


def make_parents(top: str, path: str) -> None:
    """Make the directory `path` below `top`, with those above it."""
    at = top
    for part in path.split(os.sep) if path else ():
        at = os.path.join(at, part)
        fsops.make_directory(at, 0o755)


def given(jar: Jar, request: Request) -> dict[str, str]:
    """What a job was given: path → SHA-256, as `harvest.fetch` wants it."""
    return {item.path: item.digest for item in items(jar, request["staged"]) if item.digest} \
        if "staged" in request else {}
