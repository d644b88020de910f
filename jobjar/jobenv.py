"""A job's environment: what every job finds in it, and what comes from the job's own request.

What the submitter has exported counts for more than what stands here for everybody (HOME, PATH, LANG …); what the
worker says of the job counts for more than both, for a job must be able to trust it.
"""

import os
import pwd

from jobjar import jobname, process
from jobjar.directives import OPTIONS, Request
from jobjar.layout import Jar, Place

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# The worker's own words, which nobody's export replaces, besides all JJ_….
OURS = frozenset(("BATCH_SYSTEM", "TMPDIR"))
# What programs that use several threads ask for their number, as HTCondor sets them.
THREADS = ("CUBACORES", "GOMAXPROCS", "JULIA_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS",
           "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "PYTHON_CPU_COUNT", "ROOT_MAX_THREADS",
           "TF_LOOP_PARALLEL_ITERATIONS", "TF_NUM_THREADS")


def base_environment(install_bin: str | None) -> dict[str, str]:
    """What every job finds in its environment, whoever started the worker and from where."""
    try:
        user = pwd.getpwuid(os.geteuid())
        name, home, shell = user.pw_name, user.pw_dir, user.pw_shell or "/bin/sh"
    except KeyError:
        name, home, shell = str(os.geteuid()), "/", "/bin/sh"
    environment = {"HOME": home, "USER": name, "LOGNAME": name, "SHELL": shell, "BATCH_SYSTEM": "JobJar",
                   "PATH": f"{PATH}:{install_bin}" if install_bin else PATH,
                   "LANG": os.environ.get("LANG", "C.UTF-8")}
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    return environment


def environment(jar: Jar, base: dict[str, str], place: Place, attempt: str, tries: int) -> dict[str, str]:
    """The environment of a plain job: `base`, and what its name and place say."""
    name, priority = jobname.split(place.name)
    return {**base, "JJ_JOB_ID": name, "JJ_JOB_NAME": place.name, "JJ_JOB_FILE": jar.path(place),
            "JJ_CATEGORY": place.category or "", "JJ_PRIORITY": str(priority), "JJ_ATTEMPT": str(tries),
            process.MARKER: attempt}


def with_request(plain: dict[str, str], request: Request, now: float) -> dict[str, str]:
    """The environment of a job that asks for something and begins at `now`, made from the `plain` one."""
    found = dict(plain)
    if "cpus" in request:
        found.update(dict.fromkeys(THREADS, str(max(1, int(request["cpus"])))))
    for variable in request.get("env", ()):
        name, _, value = variable.partition("=")
        if name not in OURS and not name.startswith("JJ_"):
            found[name] = value
    found.update(_asked(request, now))
    return found


def _asked(request: Request, now: float) -> dict[str, str]:
    """What the job has asked for, for it to know."""
    found = {}
    if "cpus" in request:
        found["JJ_CPUS"] = OPTIONS["cpus"].show(request["cpus"])
    if "mem" in request:
        found["JJ_MEM_MB"] = str(max(1, request["mem"] // 2**20))
    if "time" in request:
        found["JJ_END_TIME"] = str(int(now + request["time"]))
    if "submit_dir" in request:
        found["JJ_SUBMIT_DIR"] = request["submit_dir"]
    if "submit_host" in request:
        found["JJ_SUBMIT_HOST"] = request["submit_host"]
    return found
