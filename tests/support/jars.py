"""Jars to play with: builders, and `tree`, which shows a jar as a dict."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from jobjar import fsops, layout, store
from jobjar.layout import Jar, Place

FAST = "/dev/shm"


def make(home: str) -> Jar:
    """A new jar at `home`."""
    return layout.create_jar(str(home))


def is_of_a_test(path: str) -> bool:
    """Whether the file is one that a test has made, also when it is removed by now."""
    return "/jobjar-test-" in path or "/pytest-of-" in path


@contextmanager
def workplace() -> Iterator[str]:
    """A directory for jars that are made by the thousand: in memory where that is possible; removed afterwards."""
    # Jobs are to be run there.
    is_fast = os.access(FAST, os.W_OK) and not os.statvfs(FAST).f_flag & os.ST_NOEXEC
    path = tempfile.mkdtemp(prefix="jobjar-test-", dir=FAST if is_fast else None)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def script(word: str, body: str = "") -> str:
    """The text of a job that is told from all others by `word`."""
    return f"#!/bin/sh\n# job {word}\n{body}\n"


def put(jar: Jar, place: Place, word: str | None = None, body: str = "") -> Place:
    """A job at `place`, whose category is made when needed; `word` (else its name) is its identity. The place."""
    path = jar.path(place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return write(path, script(word or place.name, body)) and place


def keep(jar: Jar, data: bytes) -> str:
    """Put a content into store/; its SHA-256."""
    deposit = store.Deposit(jar)
    digest = deposit.put_bytes(data)
    deposit.settle()
    return digest


def write(path: str, text: str, mode: int = 0o700) -> str:
    """A new file; returns its path."""
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def read(path: str) -> str:
    """The text of a file."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def tree(jar: Jar | str) -> dict[str, str | None]:
    """Everything in a jar, path → a file's text, "-> text" of a link, None of an empty directory."""
    found: dict[str, str | None] = {}
    _look(jar if isinstance(jar, str) else jar.home, "", found)
    return found


def only_job(jar: Jar) -> tuple[str, str]:
    """(path below the jar, text) of the only file that is not the jar's own."""
    [found] = [(path, text) for path, text in tree(jar).items() if text is not None and path != "FORMAT"]
    return found


def _look(directory: str, prefix: str, found: dict[str, str | None]) -> None:
    try:
        with os.scandir(directory) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    if not entries and prefix:
        found[prefix[:-1]] = None
    for entry in entries:
        try:
            if entry.is_symlink():
                found[prefix + entry.name] = "-> " + os.readlink(entry.path)
            elif entry.is_dir():
                _look(entry.path, f"{prefix}{entry.name}/", found)
            else:
                found[prefix + entry.name] = read(entry.path) if entry.is_file() else "a special file"
        except FileNotFoundError:
            # A worker that runs meanwhile has moved it.
            continue


def worker(jar: Jar, name: str, *categories: str) -> str:
    """The directory of a worker as registration leaves it, without worker.json; returns its claims/."""
    fsops.make_directory(jar.worker(name))
    fsops.make_directory(jar.claims(name))
    for category in categories:
        fsops.make_directory(os.path.join(jar.claims(name), category))
    return jar.claims(name)
