"""What a job asks for that this node has not got: another node may have it, and a person may have mistyped it."""

import os

from jobjar import directives, patterns, preparation, words
from jobjar.directives import Request

# Stands in a path for what is not known yet; no path has it.
_UNKNOWN = "\0"


def absent(data: preparation.Data) -> list[str]:
    """Sentences about what the file of a job that is submitted here asks for and this node has not got."""
    request = directives.read(data[:directives.HEAD_MAX] if isinstance(data, bytes) else data.head)
    found = []
    if not os.path.isdir(request.get("chdir", "/")):
        found.append(f"--chdir={request['chdir']}: there is no such directory here")
    for key in ("output", "error"):
        found += _file(request, key) if key in request else []
    return found + (_program(request) if "wrap_with" in request else [])


def _file(request: Request, key: str) -> list[str]:
    path = patterns.expand(request[key], lambda letter: _UNKNOWN)
    if _UNKNOWN not in path and os.path.isdir(path):
        return [f"--{key}={request[key]}: that is a directory here"]
    directory = os.path.dirname(path)
    # What is told of one is not told of the other.
    if _UNKNOWN in directory or directory == request.get("chdir") or os.path.isdir(directory):
        return []
    return [f"--{key}={request[key]}: there is no directory {directory} here"]


def _program(request: Request) -> list[str]:
    name = words.split(request["wrap_with"])[0]
    if "/" in name:
        if not name.startswith("/") and "chdir" not in request:
            # In a directory that is not there yet.
            return []
        is_there = os.access(os.path.join(request.get("chdir", "/"), name), os.X_OK)
    else:
        # Rarely asked for.
        from jobjar import jobenv
        exported = [text.removeprefix("PATH=") for text in request.get("env", []) if text.startswith("PATH=")]
        directories = (exported[-1] if exported else jobenv.PATH).split(":")
        is_there = any(os.access(os.path.join(directory, name), os.X_OK) for directory in directories)
    return [] if is_there else [f"--wrap-with={request['wrap_with']}: there is no program {name} here"]
