"""The mode `full` of limit.c in bare Python: python loop.py DIRECTORY PROCESSES prints the seconds that it took.

It imports nothing of Job Jar and knows nothing of its protocol.
"""

import os
import sys
import time


def serve(name: str, claims: str, scratch: str) -> None:
    """One job's life."""
    file = f"{claims}/{name}"
    try:
        os.rename(f"unclaimed/{name}", file)
    except FileNotFoundError:
        return
    os.symlink(f"../{file}", f"claimed/{name}")
    os.mkdir(scratch, 0o700)
    os.chdir(scratch)
    pid = os.posix_spawn(f"../../{file}", [file], os.environ)
    os.chdir("../..")
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("a job has failed")
    os.rename(file, f"completed/{name}")
    os.unlink(f"claimed/{name}")
    os.rmdir(scratch)


def work(me: int, processes: int) -> None:
    """One process: it begins at a place of its own and goes round once."""
    os.mkdir(f"workers/{me}")
    names = sorted(os.listdir("unclaimed"))
    first = len(names) * me // processes
    for name in names[first:] + names[:first]:
        serve(name, f"workers/{me}", f"workers/scratch-{me}")


def main(top: str, processes: int) -> None:
    """Start the processes and wait for them."""
    os.chdir(top)
    began = time.perf_counter()
    for me in range(processes):
        if os.fork() == 0:
            code = 1
            try:
                work(me, processes)
                code = 0
            finally:
                os._exit(code)
    if any([os.wait()[1] for _ in range(processes)]):
        raise SystemExit("a process of the loop has failed")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
