"""Bringing what jobs have made (--stage-out) to where they were submitted."""

import os

from jobjar import claiming, directives, ends, harvest, staging
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.layout import Jar, Place


def fetch(jar: Jar, place: Place, target: str | None = None) -> tuple[str, list[str]]:
    """Bring what the finished job at `place` has made to the directory `target`, else to that of its submission.

    The directory, and the paths written there, relative to it: none when the job has made nothing, and none of what is
    there already. Nothing is overwritten but inputs that are as the job had got them; see `harvest.fetch`. UsageError
    when nobody knows where it was submitted, or the directory is not there.
    """
    request = _request(jar, place)
    target = target or request.get("submit_dir")
    end = ends.end_line(jar, place.name, None) if "stage_out" in request else None
    if target is None:
        raise UsageError(f"{place.name} does not say where it was submitted: name a directory with --to DIR")
    if end is None or not isinstance(end.get("staged"), str):
        return target, []
    return target, harvest.fetch(jar, os.path.basename(end["staged"]), target, staging.given(jar, request))


def _request(jar: Jar, place: Place) -> Request:
    _, head = claiming.look_into(jar.path(place))
    return directives.read(head)
