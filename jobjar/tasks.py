"""A task of an array: which indices are its own, and what it finds in its environment.

All tasks of an array are one file, so a task is told by its name, BASE_INDEX.PRIORITY, and by the array in its #JJ
lines; a name alone says nothing.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from jobjar import entries, jobname, parameters
from jobjar.directives import Request

# Runs the program $0 once for each empty word, with the variables that stand before it; the exit status is that of the
# first run that failed.
ROUNDS = ('jj_bad=0; for jj_word do case $jj_word in "") "$0"; jj_status=$?; [ $jj_bad -ne 0 ] || jj_bad=$jj_status;;'
          ' *) export "$jj_word";; esac; done; exit $jj_bad')


# A worker runs many tasks of one array, one after the other.
@lru_cache(maxsize=4)
def indices(array: str) -> tuple[Sequence[int], int, int | None]:
    """(the indices of `--array=ARRAY` in ascending order, their step, how many tasks at a time)."""
    ranges, cap = parameters.indices(array)
    order = ranges[0] if len(ranges) == 1 else sorted(index for one in ranges for index in one)
    return order, ranges[0].step if len(ranges) == 1 else 1, cap


def prepare(path: str, name: str, request: Request) -> tuple[dict[str, str], list[str]]:
    """(the variables that an array gives its task, the command line that runs it) of the job `name` at `path`.

    Of a job that is no task there are none, and the command line is `path` alone. UsageError: its entries are not
    there. It looks at the file only for its entries.
    """
    task = jobname.array_task(name) if "array" in request else None
    if task is None:
        return {}, [path]
    array, index = task
    order, step, _ = indices(request["array"])
    at = bisect_left(order, index)
    if order[at:at + 1] and order[at] == index:
        given = {"JJ_ARRAY_JOB_ID": array, "JJ_ARRAY_TASK_COUNT": str(len(order)), "JJ_ARRAY_TASK_MIN": str(order[0]),
                 "JJ_ARRAY_TASK_MAX": str(order[-1]), "JJ_ARRAY_TASK_STEP": str(step)}
        rounds = _rounds(path, request, order, at)
        given.update(rounds[0])
        return given, [path] if len(rounds) == 1 else ["/bin/sh", "-c", ROUNDS, path, *_words(rounds)]
    return {}, [path]


def _rounds(path: str, request: Request, order: Sequence[int], at: int) -> list[dict[str, str]]:
    """What changes from one run of the task's program to the next."""
    mine = order[at:at + request.get("per_job", 1)]
    rounds = [{"JJ_ARRAY_TASK_ID": str(index)} for index in mine]
    total = request.get("entries")
    if total is not None:
        # A task that is a file of its own holds only its own entries.
        first = at if total == len(order) else 0
        for variables, entry in zip(rounds, entries.read(path, total, first, len(mine))):
            texts = entries.texts(entry)
            variables["JJ_ENTRY"] = "\t".join(texts)
            if len(texts) > 1:
                variables.update((f"JJ_ENTRY_{number}", text) for number, text in enumerate(texts, 1))
    return rounds


def _words(rounds: list[dict[str, str]]) -> list[str]:
    return [word for variables in rounds
            for word in (*(f"{name}={value}" for name, value in variables.items()), "")]
