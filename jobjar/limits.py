"""What the kernel lets each process of a job use, and the nice value: set in the job's own process before it begins."""

import math
import os
import resource
import signal

from jobjar import parameters, quantities
from jobjar.directives import Request
from jobjar.process import GRACE

# One limit: which, where the kernel speaks up, and where it kills.
Limit = tuple[int, int, int]


def of(request: Request, factor: float) -> list[Limit]:
    """The limits that a request asks for. What a job says that it *uses* is multiplied by `factor`."""
    found = []
    if "cpu_time" in request:
        seconds = math.ceil(request["cpu_time"] * factor)
        # A process that catches the signal (XCPU) has as long to put its things in order as one that is told to end.
        found.append((resource.RLIMIT_CPU, seconds, seconds + math.ceil(GRACE)))
    if "file_size" in request:
        size = int(request["file_size"] * factor)
        found.append((resource.RLIMIT_FSIZE, size, size))
    if "address_space" in request:
        # Last, for whoever sets it may need more himself. And as it is: Java, Go and CUDA reserve much and use little,
        # so nobody gets this limit who has not asked for it.
        found.append((resource.RLIMIT_AS, request["address_space"], request["address_space"]))
    return found


def reached(request: Request, number: int) -> str | None:
    """Why the kernel has ended a job of this request by the signal of that number, when it was for a limit."""
    if number == signal.SIGXCPU and "cpu_time" in request:
        return f"it used more processor time than its --cpu-time of {quantities.format_duration(request['cpu_time'])}" \
               " allows: give it more"
    if number == signal.SIGXFSZ and "file_size" in request:
        return f"it wrote a file longer than its --file-size of {parameters.show_size(request['file_size'])} allows:" \
               " give it more"
    return None


def impose(limits: list[Limit]) -> None:
    """Let them hold for this process and all that it starts. What holds already is never raised."""
    for which, soft, hard in limits:
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(which, (soft, hard))


def be_nice(value: int) -> None:
    """Give this process, the leader of a new session, that nice value, unless it is nicer already."""
    value = max(value, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, value)
    try:
        # Where the kernel shares the processor among sessions first, a process is nice only to those of its own.
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError:
        # Not every kernel does so, and it is asked at most every 100 ms.
        pass
