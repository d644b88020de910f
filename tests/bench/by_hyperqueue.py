"""The same jobs by HyperQueue: python3 by_hyperqueue.py MODE JOBS DIRECTORY [FILE] prints the seconds that they took.

MODE `ends`: from the first call to the last completion; `drain`: all have been submitted before, and wait; `submit`:
until the server has taken them, where each line of FILE, if it is given, is a task's argument. The interpreter has the
package `hyperqueue`: its server, two workers of a core each and the client are threads of one process, as it has them.
"""

import os
import sys
import time

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.job import SubmittedJob


def submit(client: Client, jobs: int, last: str) -> SubmittedJob:
    """So many tasks in one submission, which is its quickest; the one that is done last leaves a file."""
    job = Job()
    for _ in range(jobs - 1):
        job.program(["/bin/true"], stdout=None, stderr=None)
    job.program(["/bin/touch", last], stdout=None, stderr=None, priority=-1)
    return client.submit(job)


def hold(client: Client, gate: str) -> None:
    """Let both workers wait for a file."""
    job = Job()
    for _ in range(2):
        job.program(["/bin/sh", "-c", f"until [ -e '{gate}' ]; do sleep 0.005; done"], stdout=None, stderr=None)
    client.submit(job)
    # They are at it by then.
    time.sleep(1)


def take(client: Client, jobs: int, lines: str | None) -> float:
    """Seconds in which the server takes a submission."""
    began, job = time.time(), Job()
    if lines:
        with open(lines, encoding="utf-8") as file:
            for line in file:
                job.program(["/bin/true", line.rstrip("\n")], stdout=None, stderr=None)
    else:
        for _ in range(jobs):
            job.program(["/bin/true"], stdout=None, stderr=None)
    client.submit(job)
    return time.time() - began


def main(mode: str, jobs: int, place: str, lines: str | None = None) -> None:
    """Print the seconds."""
    os.makedirs(place)
    last, cluster = os.path.join(place, "last"), LocalCluster(os.path.join(place, "server"))
    client = cluster.client()
    if mode == "submit":
        print(take(client, jobs, lines), flush=True)
        # Nobody is to do all these tasks, or to wait for their end.
        os._exit(0)

    for _ in range(2):
        cluster.start_worker(WorkerConfig(cores=1))
    # They are registered with the server by then.
    time.sleep(1)
    gate = os.path.join(place, "go")
    if mode == "drain":
        hold(client, gate)
    began = time.time()
    job = submit(client, jobs, last)
    if mode == "drain":
        began = time.time()
        open(gate, "x").close()
    client.wait_for_jobs([job])
    # It looks only once in a second whether all is done.
    print(os.stat(last).st_mtime - began, flush=True)
    cluster.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
