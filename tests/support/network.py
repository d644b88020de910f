"""A client of a network file system that remembers too much, played over the functions of `os` that ask.

It remembers names as absent, and listings and files as they were. As measured on Linux NFS, opening a directory renews
what is remembered of its names, unless two changes have fallen into one tick of the server's clock (`is_same_tick`); a
listing stays as it was until the client is told to forget it, and what a file is like until somebody opens it.
"""

import builtins
import errno
import os
from collections.abc import Callable, Iterator

import pytest


class Client:
    """The caches of this process, until the test ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_same_tick = False
        self._absent: set[str] = set()
        self._listings: dict[str, list[str]] = {}
        self._files: dict[str, os.stat_result] = {}
        self._real = {name: getattr(os, name) for name in
                      ("stat", "lstat", "readlink", "open", "fstat", "rename", "listdir", "scandir", "posix_fadvise")}
        for name in self._real:
            monkeypatch.setattr(os, name, getattr(self, f"_{name}"))
        was = builtins.open
        monkeypatch.setattr(builtins, "open", lambda path, *rest, **more: was(self._known(path), *rest, **more))

    def remember_absent(self, *paths: str) -> None:
        """Answer lookups of these with "no"."""
        self._absent.update(paths)

    def remember_listing(self, directory: str) -> None:
        """Show `directory` as it is now, whatever happens in it."""
        self._listings[directory] = self._real["listdir"](directory)

    def remember_file(self, path: str) -> None:
        """Say of `path` that it is as it is now, whatever is written into it."""
        self._files[path] = self._real["stat"](path)

    def _known(self, path: object, dir_fd: int | None = None) -> object:
        if isinstance(path, (str, os.PathLike)):
            top = self._path(dir_fd) if dir_fd is not None else os.getcwd()
            whole = os.path.join(top, os.fspath(path))
            if any(whole == absent or whole.startswith(absent + "/") for absent in self._absent):
                raise FileNotFoundError(errno.ENOENT, "remembered as absent", os.fspath(path))
        return path

    def _path(self, handle: int) -> str:
        return self._real["readlink"](f"/proc/self/fd/{handle}")

    def _renew(self, directory: str) -> None:
        if not self.is_same_tick:
            self._absent = {path for path in self._absent if os.path.dirname(path) != directory}

    def _stat(self, path: object, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        found = self._real["stat"](self._known(path, dir_fd), dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return self._files.get(path, found) if isinstance(path, str) else found

    def _lstat(self, path: object, *, dir_fd: int | None = None) -> os.stat_result:
        return self._real["lstat"](self._known(path, dir_fd), dir_fd=dir_fd)

    def _readlink(self, path: object, *, dir_fd: int | None = None) -> str:
        return self._real["readlink"](self._known(path, dir_fd), dir_fd=dir_fd)

    def _open(self, path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        handle = self._real["open"](self._known(path, dir_fd), flags, mode, dir_fd=dir_fd)
        if flags & os.O_PATH:
            return handle
        self._files.pop(self._path(handle), None)
        if flags & os.O_DIRECTORY:
            self._renew(self._path(handle))
        return handle

    def _rename(self, source: object, target: object) -> None:
        self._real["rename"](self._known(source), target)

    def _fstat(self, handle: int) -> os.stat_result:
        self._renew(self._path(handle))
        return self._real["fstat"](handle)

    def _listdir(self, directory: str = ".") -> list[str]:
        self._renew(directory)
        return self._listings[directory] if directory in self._listings else self._real["listdir"](directory)

    def _scandir(self, directory: str = ".") -> "_Scan":
        self._renew(directory)
        shown = self._listings.get(directory)
        with self._real["scandir"](directory) as entries:
            return _Scan([entry for entry in entries if shown is None or entry.name in shown])

    def _posix_fadvise(self, handle: int, *rest: int) -> None:
        self._listings.pop(self._path(handle), None)
        self._real["posix_fadvise"](handle, *rest)


class _Scan:
    def __init__(self, entries: list[os.DirEntry]) -> None:
        self.entries = entries

    def __enter__(self) -> Iterator[os.DirEntry]:
        return iter(self.entries)

    def __exit__(self, *_: object) -> None:
        pass


def fail(monkeypatch: pytest.MonkeyPatch, name: str, code: int, times: int = 1,
         among: str = "") -> list[Callable]:
    """Let the first `times` calls of os.`name` fail, of those with a path that contains `among`; those still to come.

    What fails does nothing.
    """
    was, left = getattr(os, name), [None] * times

    def failing(*arguments: object, **more: object) -> object:
        if left and among in str(arguments[0]):
            left.pop()
            raise OSError(code, os.strerror(code), str(arguments[0]))
        return was(*arguments, **more)
    monkeypatch.setattr(os, name, failing)
    return left


def lose_reply(monkeypatch: pytest.MonkeyPatch, name: str, code: int, among: str = "") -> None:
    """Let the first such call happen and fail all the same: the reply was lost, and the client has asked twice."""
    was, left = getattr(os, name), [None]

    def losing(*arguments: object, **more: object) -> object:
        result = was(*arguments, **more)
        if left and among in str(arguments[-1] if name in ("symlink", "link") else arguments[0]):
            left.pop()
            raise OSError(code, os.strerror(code), str(arguments[0]))
        return result
    monkeypatch.setattr(os, name, losing)
