"""One directory seen through two mounts that remember names for half a minute: as good as two nodes.

bindfs stands in for a network file system. Names are remembered, present or absent, for longer than any promise;
attributes are not, for a network file system renews those of a directory when it is opened, and FUSE does not.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from support import processes

REMEMBERS = 30
FUSERMOUNT = shutil.which("fusermount") or shutil.which("fusermount3")
OPTIONS = f"attr_timeout=0,entry_timeout={REMEMBERS},negative_timeout={REMEMBERS}"


@contextlib.contextmanager
def twice(directory: str, *points: str) -> Iterator[None]:
    """Mount `directory` at all these places, which are made; they are unmounted whatever happens."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("this machine offers no FUSE: /dev/fuse is missing or may not be used")
    if not shutil.which("bindfs") or not FUSERMOUNT:
        pytest.skip("install bindfs and fuse: one directory is mounted twice, as two nodes would see it")
    with contextlib.ExitStack() as mounted:
        for point in points:
            os.mkdir(point)
            server = processes.spawn("bindfs", "-f", "-o", OPTIONS, directory, point)
            mounted.callback(_unmount, server, point)
            processes.until(lambda: os.path.ismount(point) or server.poll() is not None, f"a mount at {point}")
            if not os.path.ismount(point):
                pytest.skip(f"bindfs may not mount here: {server.stderr.read().strip()}")
        yield


def _unmount(server: subprocess.Popen, point: str) -> None:
    for how in ("-u", "-uz"):
        if not os.path.ismount(point) or processes.finish(processes.spawn(FUSERMOUNT, how, point))[0] == 0:
            break
    server.kill()
    server.communicate()
