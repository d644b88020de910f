"""Journals that no worker has written, for tests of what is made of them."""

import json
import os

from jobjar.layout import Jar

NONCE = "abcdef12345-3e8.4d"
# An id of our own making.
ID = "20261121-101500-me-000001000"
T = 1795000000.0


def end(number: int, name: str = "", **more: object) -> dict:
    """An end line as a worker writes it; the job took 1.5 s, and each ends ten seconds after the one before."""
    time = T + 10 * number
    return {"e": "end", "a": f"{NONCE}-{number}", "c": None, "n": name or f"job{number}", "t": time,
            "start": time - 1.5, "state": "COMPLETED", "exit": 0, "signal": 0, "utime": 0.25, "stime": 0.05,
            "maxrss": 2048, "minflt": 7, "majflt": 1, "inblock": 16, "oublock": 8, "nvcsw": 3, "nivcsw": 2,
            "node": "rain", "tries": 1, "user": "ada", "ino": 0, "submit": time - 4,
            "command": f"/usr/local/bin/big_computation /data/infile{number}.tmp 104.1 30", **more}


def earlier(line: dict) -> dict:
    """The line as earlier programs wrote it, which left the command to the job's file."""
    return {key: value for key, value in line.items() if key != "command"}


def failed(number: int, name: str = "", **more: object) -> dict:
    """As `end`, of a job that returned 1."""
    return end(number, name, **{"state": "FAILED", "exit": 1, **more})


def repeated(number: int, name: str = "", **more: object) -> dict:
    """The line of an attempt that failed and was given back to be repeated."""
    return {**failed(number, name), "e": "requeue", "why": "exit status 1", **more}


def claim(line: dict) -> dict:
    """The intent that stands before such a line."""
    return {"e": "claim", **{key: line[key] for key in "acn"}, "t": line["t"] - 1.6}


def journal(jar: Jar, worker: str, *lines: dict | bytes, name: str = "journal") -> str:
    """Append lines to a journal, records with the intent before each; its path."""
    os.makedirs(jar.worker(worker), exist_ok=True)
    path = os.path.join(jar.worker(worker), name)
    with open(path, "ab") as file:
        for line in lines:
            if isinstance(line, bytes):
                file.write(line + b"\n")
                continue
            if line["e"] != "target":
                file.write(json.dumps(claim(line)).encode() + b"\n")
            file.write(json.dumps(line).encode() + b"\n")
    return path
