"""What a record of an ended attempt says: its fields, how they are shown, and sums of them.

Pure but for the time zone of this process. A record is a line of a journal or of the archive, and anybody may have
written it: a value of the wrong type is as if it were not there.
"""

import time
from collections import namedtuple
from collections.abc import Callable, Iterable
from functools import lru_cache

from jobjar import directives, jobname, quantities, text, words
from jobjar.errors import UsageError

# What kind of value a field has: that says how it is shown.
TEXT, COUNT, SECONDS, MOMENT, SIZE = "text", "count", "seconds", "moment", "size"

Record = dict[str, object]
# `of(record)`: the value, or None.
Field = namedtuple("Field", "kind help of")
# What jobs have in common: how many, how many of them ended badly, and seconds.
Sum = namedtuple("Sum", "jobs failed elapsed totalcpu wait")

# The states in which a job can end, and Slurm's codes for them.
STATES = {"COMPLETED": "CD", "FAILED": "F", "CANCELLED": "CA", "TIMEOUT": "TO", "OUT_OF_MEMORY": "OOM",
          "NODE_FAIL": "NF"}
# The states of jobs that came to failed/ without having been run to an end, by what was noted then; of others FAILED.
BURIED = {"cancel": "CANCELLED", "give_up": "NODE_FAIL"}
# A longer command does not stand in the journal: of 100,000 records it is read with each.
COMMAND_MAX = 1000
# Stands in the path of what a job of `jobjar run` prints.
SPOOL = "/limbo/.run."
# More than any time or size that can be meant.
_MOST = 1e15


def number(record: Record, key: str) -> int | float | None:
    """The number that the record has there."""
    value = record.get(key)
    return value if type(value) in (int, float) and -_MOST < value < _MOST else None


def string(record: Record, key: str) -> str | None:
    """The text that the record has there."""
    value = record.get(key)
    return value if isinstance(value, str) else None


def name(record: Record) -> str:
    """The name of the job's file, as it was left."""
    return string(record, "as") or string(record, "n") or ""


def label(record: Record) -> str | None:
    """The word of -i in a name that we made, or the name that somebody else has made."""
    return jobname.word(jobname.split(name(record))[0])


def submitted(record: Record) -> float | None:
    """When the job was submitted, in s since the epoch: as it was noted, else as its name says."""
    noted = number(record, "submit")
    return noted if noted is not None else jobname.submitted(name(record))


def elapsed(record: Record) -> float | None:
    """For how long it ran, in s."""
    # The clock may have been set while it ran.
    return _between(number(record, "start"), number(record, "t"))


def waited(record: Record) -> float | None:
    """How long it was from the submission to this start, in s."""
    return _between(submitted(record), number(record, "start"))


def used(record: Record) -> float | None:
    """The processor time, user's and system's together, in s."""
    user, system = number(record, "utime"), number(record, "stime")
    return None if user is None or system is None else round(user + system, 4)


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, end - begin), 3)


def exit_code(record: Record) -> str | None:
    """Exit status and signal as Slurm has them: "1:0", "0:9"."""
    status, signal = number(record, "exit"), number(record, "signal")
    return None if status is None or signal is None else f"{status}:{signal}"


def worker(record: Record) -> str | None:
    """The worker that ran it: its attempt's id ends in that one's pid and a count."""
    node, pid = string(record, "node"), (string(record, "a") or "").rpartition("-")[0].rpartition(".")[2]
    try:
        return f"{node}.{int(pid, 16)}" if node and len(pid) < 9 else None
    except ValueError:
        return None


def request(record: Record) -> str | None:
    """What the job asked for, as a command line has it; without where `jobjar run` reads what it prints."""
    asked = record.get("req") if isinstance(record.get("req"), list) else ()
    found = [words.quote(word) for word in asked if isinstance(word, str) and SPOOL not in word]
    return text.Words(" ".join(found)) if found else None


def is_task(record: Record) -> bool:
    """Whether it was a task of an array."""
    return _asked("array")(record) is not None


def _asked(option: str) -> Callable[[Record], str | None]:
    """What the job asked for by one option; several values behind each other."""
    def of(record: Record) -> str | None:
        asked = record.get("req")
        if not isinstance(asked, list):
            return None
        found = [word for word in asked if isinstance(word, str) and word.startswith(f"--{option}=")]
        return " ".join(word.partition("=")[2] for word in found) or None
    return of


def _get(key: str) -> Callable[[Record], object]:
    return lambda record: number(record, key)


def _text(key: str) -> Callable[[Record], object]:
    return lambda record: string(record, key)


def _words(of: Callable[[Record], str | None]) -> Callable[[Record], str | None]:
    """The same, of what a person has written."""
    return lambda record: None if (found := of(record)) is None else text.Words(found)


def _kib(record: Record) -> int | None:
    size = number(record, "maxrss")
    return None if size is None else int(size * 1024)


FIELDS: dict[str, Field] = {
    "jobid": Field(TEXT, "the job's id", lambda record: jobname.split(name(record))[0]),
    "name": Field(TEXT, "the word of -i, or the name that somebody gave to the file", label),
    "file": Field(TEXT, "the name of its file, with the priority", name),
    "priority": Field(COUNT, "its priority", lambda record: jobname.split(name(record))[1]),
    "user": Field(TEXT, "whose file it was", _text("user")),
    "category": Field(TEXT, "the category in which it was submitted", _text("c")),
    "state": Field(TEXT, "how it ended, in Slurm's words", _text("state")),
    "exitcode": Field(TEXT, "exit status and signal: 1:0, 0:9", exit_code),
    "exit": Field(COUNT, "the exit status", _get("exit")),
    "signal": Field(COUNT, "the signal that ended it, or 0", _get("signal")),
    "submit": Field(MOMENT, "when it was submitted", submitted),
    "start": Field(MOMENT, "when it was started", _get("start")),
    "end": Field(MOMENT, "when it had ended", _get("t")),
    "wait": Field(SECONDS, "from the submission to the start", waited),
    "elapsed": Field(SECONDS, "from the start to the end", elapsed),
    "usercpu": Field(SECONDS, "the processor time of its own", _get("utime")),
    "systemcpu": Field(SECONDS, "the processor time of the kernel for it", _get("stime")),
    "totalcpu": Field(SECONDS, "both together", used),
    "maxrss": Field(SIZE, "the memory of its largest process", _kib),
    "minflt": Field(COUNT, "page faults without a disk", _get("minflt")),
    "majflt": Field(COUNT, "page faults with one", _get("majflt")),
    "inblock": Field(COUNT, "blocks read", _get("inblock")),
    "oublock": Field(COUNT, "blocks written", _get("oublock")),
    "nvcsw": Field(COUNT, "times that it gave the processor away", _get("nvcsw")),
    "nivcsw": Field(COUNT, "times that the processor was taken from it", _get("nivcsw")),
    "node": Field(TEXT, "where it ran", _text("node")),
    "worker": Field(TEXT, "the worker that ran it", worker),
    "attempt": Field(TEXT, "the id of this attempt", _text("a")),
    "tries": Field(COUNT, "how often it had been begun, with this", _get("tries")),
    "request": Field(TEXT, "what it asked for", request),
    "tag": Field(TEXT, "its tags", _asked("tag")),
    "comment": Field(TEXT, "its comment", _words(_asked("comment"))),
    "cpus": Field(TEXT, "the processors that it asked for", _asked("cpus")),
    "mem": Field(TEXT, "the memory that it asked for", _asked("mem")),
    "limit": Field(TEXT, "the time that it asked for", _asked("time")),
    "why": Field(TEXT, "why it ended so, where that was said", _words(_text("why"))),
    "command": Field(TEXT, "the command that was submitted", _words(_text("command"))),
}


def value(record: Record, field: str) -> str | int | float | None:
    """What the record says for a field of FIELDS: times in s since the epoch, durations in s, sizes in bytes."""
    return FIELDS[field].of(record)


def shown(record: Record, field: str) -> str | int:
    """The value as people read it; "" when there is none."""
    found = FIELDS[field]
    return show(found.kind, found.of(record))


def column(records: Iterable[Record], field: str) -> list[str | int]:
    """The values of many records as people read them."""
    found = FIELDS[field]
    values = list(map(found.of, records))
    if found.kind in (TEXT, COUNT):
        return ["" if value is None else value for value in values]
    return [show(found.kind, value) for value in values]


def show(kind: str, value: object) -> str | int:
    """A value of this kind as people read it; "" for None."""
    if value is None:
        return ""
    if kind == MOMENT:
        return moment(value)
    if kind == SECONDS:
        return duration(value)
    # Of other counts, as 1.5 for an exit status, what is there is shown.
    return text.size(value) if kind == SIZE else value


def moment(value: float) -> str:
    """A time as it is here, to the second."""
    try:
        # Of 100,000 records many ended in the same minute, and offsets from UTC are whole ones.
        minute, seconds = divmod(value, 60)
        return f"{_minute(minute)}{int(seconds):02}"
    except (OverflowError, ValueError, OSError):
        return str(value)


@lru_cache(maxsize=10_000)
def _minute(minute: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:", time.localtime(minute * 60))


def duration(seconds: float) -> str:
    """1h2m3s, 59s, 1.25s: rounded to what matters."""
    return _duration(round(seconds, 2) if seconds < 60 else round(seconds))


_duration = lru_cache(maxsize=10_000)(quantities.format_duration)


def command(head: bytes, is_whole: bool) -> str | None:
    """The command line of a script that submit_job or jobjar run has made: `head` is its beginning, or the whole.

    None of other files, and of one of which too little is there to tell.
    """
    if not head.startswith(b"#!/bin/sh -f\n") and not is_of_run(head):
        return None
    line, newline, rest = head[len(directives.block(head)):].partition(b"\n")
    # The entries of an array stand behind it, in comments that no shell reads.
    is_one = newline and (rest.lstrip(b"\n").startswith(b"exit\n#:")
                          or is_whole and all(more.startswith(b"#") for more in rest.split(b"\n") if more))
    return line.decode("utf-8", "surrogateescape") if is_one else None


def is_of_run(head: bytes) -> bool:
    """Whether a script that begins so is one of `jobjar run`: what it prints goes to a client's spool."""
    return head.startswith(b"#!/bin/sh\n#JJ ") and SPOOL.encode() in directives.block(head)


def commanded(head: bytes, is_whole: bool) -> Record:
    """What a record is to say of the command, for a file that begins so: {"command": None} when there is none, {} when
    that cannot be told from `head` alone, or the command is long."""
    found = command(head, is_whole)
    is_told = is_whole if found is None else len(found) <= COMMAND_MAX
    return {"command": found} if is_told else {}


def end_states(typed: str) -> list[str]:
    """The states in "FAILED,TO", by name or code; UsageError when one is no state in which a job ends."""
    by_code = {code: state for state, code in STATES.items()}
    found = [by_code.get(word.upper(), word.upper()) for word in typed.split(",")]
    wrong = [word for word in found if word not in STATES]
    if wrong:
        raise UsageError(f"{wrong[0]!r} is no state in which a job ends: write one of {', '.join(STATES)}")
    return found


def is_bad(record: Record) -> bool:
    """Whether it ended other than well."""
    return record.get("state") != "COMPLETED"


def totals(records: Iterable[Record]) -> tuple[dict[str, Sum], dict[str, Sum], Sum]:
    """What the records come to: for each user, for each category, and all together. None counts as "-"."""
    users: dict[str, list] = {}
    categories: dict[str, list] = {}
    everything = [0] * len(Sum._fields)
    for record in records:
        found = 1, is_bad(record), elapsed(record) or 0, used(record) or 0, waited(record) or 0
        for sums, key in ((users, "user"), (categories, "c")):
            which = record.get(key)
            sums.setdefault(which if isinstance(which, str) else "-", []).append(found)
        everything = [a + b for a, b in zip(everything, found)]
    return _added(users), _added(categories), _rounded(everything)


def _added(sums: dict[str, list]) -> dict[str, Sum]:
    return {which: _rounded(map(sum, zip(*sums[which]))) for which in sorted(sums)}


def _rounded(numbers: Iterable[float]) -> Sum:
    return Sum(*(round(number, 3) for number in numbers))
