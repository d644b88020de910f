"""notes/: what was exceptional about a job, and how often it has been tried.

One file per job and writing process, so that no two processes append to one file. docs/PROTOCOL.md section 8.
"""

import json
import os
import pwd
import time

from jobjar import fslook, fsops
from jobjar.layout import Jar
from jobjar.jobname import split

ATTEMPT, DONE = "attempt", "done"


def has(jar: Jar, name: str) -> bool:
    """Whether there is any note about the job of this file name."""
    # NFS: recovery on another node may have written the first one since this node looked for it in vain.
    return fslook.is_there(jar.notes, split(name)[0])


def add(jar: Jar, writer: str, name: str, category: str | None, event: str, **more: object) -> None:
    """Append one line about `name`, as `writer` (NODE.PID); durable when this returns.

    `more` are further keys: `why`, `a` (an attempt id), `closes` (attempt ids).
    """
    directory = os.path.join(jar.notes, split(name)[0])
    is_new = fsops.make_directory(directory, 0o755)
    who = f"{login()}@{writer.rpartition('.')[0]}"
    line = {"e": event, "c": category, "n": name, "t": round(time.time(), 3), "who": who, **more}
    handle = fsops.open_append(os.path.join(directory, writer), 0o644)
    try:
        fsops.append(handle, json.dumps(line).encode() + b"\n")
        fsops.sync(handle)
    finally:
        fsops.close(handle)
    fsops.sync_directory(directory)
    if is_new:
        fsops.sync_directory(jar.notes)


def login() -> str:
    """Who works here: the user's name, or the number of one without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def read(jar: Jar, name: str) -> list[dict]:
    """All lines about the job's id, in no order that means anything between writers."""
    directory = os.path.join(jar.notes, split(name)[0])
    try:
        writers = fslook.names(directory)
    except FileNotFoundError:
        return []
    lines = []
    for writer in sorted(writers):
        lines += read_lines(os.path.join(directory, writer))
    return lines


def open_attempts(jar: Jar, name: str, category: str | None) -> set[str]:
    """The ids of the attempts that count for this category and name: those that no "done" has closed."""
    lines = [line for line in read(jar, name) if (line.get("c"), line.get("n")) == (category, name)]
    closed = {a for line in lines if line.get("e") == DONE for a in line.get("closes", ())}
    return {line["a"] for line in lines if line.get("e") == ATTEMPT and "a" in line} - closed


def is_closed(jar: Jar, name: str, category: str | None, attempt: str) -> bool:
    """Whether a "done" line has closed this attempt."""
    return any(line.get("e") == DONE and (line.get("c"), line.get("n")) == (category, name)
               and attempt in line.get("closes", ()) for line in read(jar, name))


def count(jar: Jar, writer: str, name: str, category: str | None, attempt: str, why: str) -> int:
    """Count one attempt, durably; the number of attempts that count now. Counting an id twice counts once."""
    attempts = open_attempts(jar, name, category)
    if attempt not in attempts:
        add(jar, writer, name, category, ATTEMPT, a=attempt, why=why)
    return len(attempts | {attempt})


def carry(jar: Jar, writer: str, name: str, category: str | None, new_name: str) -> None:
    """Take the attempts that count along to another name, which the job is about to get."""
    if new_name != name:
        for attempt in sorted(open_attempts(jar, name, category)):
            count(jar, writer, new_name, category, attempt, f"it was {name} then")


def close(jar: Jar, writer: str, name: str, category: str | None) -> None:
    """Say that the job is done: a later job of the same name starts counting anew."""
    add(jar, writer, name, category, DONE, closes=sorted(open_attempts(jar, name, category)))


def read_lines(path: str) -> list[dict]:
    """The lines of an append-only file of JSON lines; torn ones and a last piece without newline are no data."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    return parse(data[:data.rfind(b"\n") + 1].splitlines())


def parse(lines: list[bytes]) -> list[dict]:
    """What the lines say; those that are no JSON objects are left out."""
    return [line for line in map(_parse, lines) if line is not None]


def _parse(raw: bytes) -> dict | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
