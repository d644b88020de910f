"""What an idle look costs, in the system calls that a file server would see."""

import ctypes
import os
import re
import shutil
import signal

import pytest
from support import jars, processes, workers

from jobjar import glance, shelf, waiting

# The queue's three (the node's category, A, no category), waiting/, the worker's own and the workers' for markers, and
# claims/.
WATCHED = 7
CALLS = "openat,open,getdents64,getdents,newfstatat,fstat,stat,lstat,statx,readlink,rename,mkdir,unlink,utimensat"
LOOKS = 5
PR_SET_PTRACER, ANYBODY = 0x59616D61, -1


def be_watched():
    """For `before`: the tracer may look on, and listings are soon old enough to be believed."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)
    glance.RACY, glance.AGAIN_AFTER, shelf.LOOK_AGAIN_AFTER = 0.1, 0.2, 0.0
    # As with a pause that is longer than this.
    waiting.RENEW_AFTER = 0.0


def looks(record):
    """The calls of each whole look, which ends when it touches the beat."""
    found = [[]]
    for line in jars.read(record).splitlines() if os.path.exists(record) else ():
        found[-1].append(line.partition(" ")[2].strip())
        if "utimensat(" in line:
            found.append([])
    return found[1:-1]


@pytest.mark.parametrize("before", [be_watched, lambda: (be_watched(), workers.without_inotify())],
                         ids=["inotify", "no inotify"])
def test_an_idle_look_is_one_open_and_fstat_of_each_watched_directory_and_no_listing(jar, tmp_path, before, figures):
    if not shutil.which("strace"):
        pytest.skip("install strace: it counts the system calls of an idle worker")
    record = str(tmp_path / "record")
    with workers.working(jar, "A", JJ_PAUSE_TIME="0.2", before=before) as w:
        tracer = processes.spawn("strace", "-f", "-p", str(w.pid), "-e", f"trace={CALLS}", "-o", record)
        try:
            processes.until(lambda: tracer.poll() is not None or len(looks(record)) > 2 * LOOKS, "looks of the worker")
            if tracer.poll() is not None:
                pytest.skip(f"nobody may trace processes here: {tracer.stderr.read().strip()}")
        finally:
            tracer.send_signal(signal.SIGINT)
            processes.finish(tracer)
    for look in looks(record)[-LOOKS:]:
        opened = [call for call in look if "O_DIRECTORY" in call]
        names = sorted(re.search(r'"(.*?)"', call)[1].removeprefix(jar.home) for call in opened)
        assert names == sorted(["/unclaimed/rain", "/unclaimed/A", "/unclaimed", "/waiting", "/workers",
                                f"/workers/{w.name}", f"/workers/{w.name}/claims/"]), look
        there = [call for call in opened if "ENOENT" not in call]
        others = [call for call in look if call not in opened]
        # The beat is opened, touched and looked at.
        assert len([call for call in others if "stat" in call.partition("(")[0]]) <= len(there) + 1, look
        assert not [call for call in others if "/beat" not in call and not re.match(r"(fstat|newfstatat)\(\d+, ", call)]
    figures(f"an idle look: {WATCHED} directories opened, {len(there)} of them there and asked, no listing,"
            f" {len(look)} calls in all with the beat")
