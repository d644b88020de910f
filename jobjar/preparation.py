"""From what somebody asks for to a job's file and its place: all that depends on who submits it, where and when.

`prepare` does it for one job. Whoever makes several of one takes its steps: `asked`, `resolved`, `with_files`,
`request`.
"""

import os
import time

from jobjar import directives, jobfile, moments, settling, states, submission
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.largefile import LargeFile
from jobjar.layout import Jar

Data = bytes | LargeFile


def prepare(jar: Jar, data: Data, given: Request, node: str, name: str = "job") -> submission.Request:
    """The job that the file `data` is to become; what is `given` counts for more than its #JJ lines.

    `name`: what the file is called. UsageError says what is wrong with what is asked for.
    """
    return request(data, with_files(jar, resolved(asked(data, given, name), node)), name)


def asked(data: Data, given: Request, name: str) -> Request:
    """All that is asked for, in the file's #JJ lines and beside them; UsageError for a wrong line."""
    try:
        written = directives.read(data[:directives.HEAD_MAX] if isinstance(data, bytes) else data.head)
    except UsageError as error:
        raise UsageError(f"{name}, {error}") from None
    return directives.merged(written, given)


def resolved(wishes: Request, node: str) -> Request:
    """The request without anything that depends on directory, time and environment of whoever submits.

    UsageError for what cannot be, or not together.
    """
    settling.refuse_contradictions(wishes)
    # By where it was submitted a worker tells a task of an array from a copy of its file.
    if "array" not in wishes and all(directives.BY_KEY[key].kind == directives.PLACE for key in wishes):
        return wishes
    here = _here()
    found = {**wishes, "submit_dir": here, "submit_host": node}
    if "chdir" in found:
        found["chdir"] = _absolute(here, found["chdir"])
    for key in ("output", "error"):
        if key in found:
            # In the directory that it runs in, if that is one that stays.
            found[key] = _absolute(found.get("chdir", here), found[key])
    if "begin" in found:
        found["begin"] = moments.resolve(found["begin"], time.time())
    if "export" in found:
        found["env"] = settling.exported(found.pop("export"), dict(os.environ))
    return found


def with_files(jar: Jar, wishes: Request) -> Request:
    """The request after the files that it needs are in store/; UsageError for files that it cannot get or bring."""
    if not any(key in wishes for key in ("snapshot", "stage_in", "stage_out")):
        return wishes
    from jobjar import staging
    return staging.prepare(jar, wishes, wishes["submit_dir"])


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current directory has been removed: change into another one first") from None


def _absolute(directory: str, path: str) -> str:
    joined = os.path.join(directory, path)
    # Behind a symbolic link .. is not where it seems.
    return joined if ".." in path.split("/") else os.path.normpath(joined)


def request(data: Data, wishes: Request, name: str = "job") -> submission.Request:
    """The job's file and place for a `resolved` request; the file stays as it is when there is nothing to add."""
    in_job = {key: value for key, value in wishes.items() if key not in settling.IN_THE_NAME}
    if in_job:
        data = jobfile.written(data, in_job, name) if isinstance(data, bytes) else data.written(in_job, name)
    return submission.Request(data, wishes.get("priority", 0), wishes.get("category"), wishes.get("id"),
                              _state(wishes))


def _state(wishes: Request) -> str:
    if wishes.get("hold"):
        return states.HELD
    return states.WAITING if wishes.get("begin", 0.0) > time.time() else states.UNCLAIMED
