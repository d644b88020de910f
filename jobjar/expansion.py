"""Many jobs of one request: what an array's indices are, what each of its tasks is about, and what is in its file.

The entries come from the lines of a file, from a JSON list or from lists on the command line; with --array too, its
indices say which of them, counted from 1.
"""

import sys
from collections.abc import Sequence

from jobjar import directives, entries, jobfile, parameters, patterns, preparation, settling, submission, tasks
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.layout import Jar

# A shell that is told to exit does not read on, through a hundred thousand entries.
_SHELLS = frozenset((b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh"))


class Batch(submission.Request):
    """An array to be submitted. `data` is the file of which all its tasks are names."""

    is_array = True

    def __init__(self, data: bytes, wishes: Request, name: str, found: list[bytes] | None) -> None:
        """`wishes`: a resolved request with its `array`. `found`: the entry of each index, in their order."""
        self._data, self._wishes, self._name, self._found = data, wishes, name, found
        one = self._written(found)
        super().__init__(one.data, one.priority, one.category, one.id, one.state)
        indices, _, self.cap = tasks.indices(wishes["array"])
        self._chunk = wishes.get("per_job", 1)
        # The index in the name of each task: that of the first entry that it is to do.
        self.indices: Sequence[int] = indices[::self._chunk]

    def alone(self, number: int) -> bytes:
        """The file of the task of that number (from 0) when it is not to be a name of the common one."""
        if self._found is None:
            return self.data
        # With all entries in each of so many files they would fill the disk.
        return self._written(self._found[number * self._chunk:(number + 1) * self._chunk]).data

    def _written(self, found: list[bytes] | None) -> submission.Request:
        if found is None:
            return preparation.request(self._data, self._wishes, self._name)
        job = preparation.request(self._data, {**self._wishes, "entries": len(found)}, self._name)
        # What follows must not be the rest of a last line, nor of one that is continued.
        job.data += b"\n" if job.data.endswith(b"\n") else b"\n\n"
        if jobfile.interpreter(job.data) in _SHELLS:
            job.data += b"exit\n"
        job.data += entries.block(found, len(job.data))
        return job


def batch(jar: Jar, data: bytes, wishes: Request, lists: list[list[str]], node: str, name: str) -> Batch:
    """The array that the file `data` is to become; `lists`: those of the command line. UsageError says what is wrong
    with what is asked for."""
    settling.refuse_contradictions({**wishes, "array": ""} if lists else wishes)
    found = _entries(wishes, lists)
    ranges, cap = parameters.indices(wishes["array"]) if "array" in wishes else ([], None)
    if found is None and not ranges:
        raise UsageError(f"--array={wishes['array']} does not say which indices: write 1-100%{cap}, or give a list")
    text = wishes["array"] if ranges else f"1-{len(found)}" + (f"%{cap}" if cap else "")
    if found is not None and ranges:
        found = _chosen(found, text)
    if found is not None:
        _require_small(found, wishes.get("per_job", 1))
    _require_own_files(wishes)
    left = {key: value for key, value in wishes.items() if key not in settling.MANY and key != "entries"}
    resolved = preparation.resolved({**left, "array": text}, node)
    return Batch(data, preparation.with_files(jar, resolved), name, found)


def _entries(wishes: Request, lists: list[list[str]]) -> list[bytes] | None:
    """All entries of the one list that is asked for; None without any."""
    keys = [key for key in ("each_line", "from_json") if key in wishes]
    if keys and lists:
        raise UsageError(f"--{directives.BY_KEY[keys[0]].name} and {submission.LIST} both say how many jobs there are:"
                         " leave out one of them")
    if lists:
        count = 1
        for items in lists:
            count *= len(items)
        _require_few(count, submission.LIST)
        return entries.check(entries.of_product(lists), submission.LIST)
    if not keys:
        return None
    label = f"--{directives.BY_KEY[keys[0]].name}={wishes[keys[0]]}"
    data = _bytes_of(wishes[keys[0]], label)
    try:
        found = entries.of_lines(data) if keys[0] == "each_line" else entries.of_json(data)
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from None
    _require_few(len(found), label)
    return entries.check(found, label)


def _bytes_of(path: str, label: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{label} cannot be read: {error.strerror}") from None


def _require_own_files(wishes: Request) -> None:
    """What one task prints must not be emptied by the next one."""
    for key in ("output", "error") if wishes.get("open_mode") != "append" else ():
        path = wishes.get(key, "/dev/null")
        if not path.startswith("/dev/") and patterns.expand(path, lambda letter: "1" if letter in "aj" else "") \
                == patterns.expand(path, lambda letter: "2" if letter in "aj" else ""):
            raise UsageError(f"--{key}={path} is one file for all tasks, which each of them would empty: write %a into"
                             " its name, or --open-mode=append")


def _require_few(count: int, label: str) -> None:
    if count > parameters.ARRAY_MAX:
        raise UsageError(f"{label}: {count} are more than {parameters.ARRAY_MAX} tasks: submit several arrays")


def _chosen(found: list[bytes], text: str) -> list[bytes]:
    indices = tasks.indices(text)[0]
    wrong = [index for index in (indices[0], indices[-1]) if not 1 <= index <= len(found)]
    if wrong:
        raise UsageError(f"--array={text} means entry {wrong[0]}, and the list has {len(found)}, counted from 1")
    return [found[index - 1] for index in indices]


def _require_small(found: list[bytes], chunk: int) -> None:
    """What one task is to do must fit into the arguments of one program."""
    for at in range(0, len(found) if chunk > 1 else 0, chunk):
        size = sum(2 * len(entry) + entries.EACH for entry in found[at:at + chunk])
        if size > entries.TOGETHER_MAX:
            raise UsageError(f"--per-job={chunk}: the entries of one job are longer than {entries.TOGETHER_MAX} bytes"
                             " together: put fewer into each")
