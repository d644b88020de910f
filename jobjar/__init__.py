"""Job Jar, a batch queue in a shared directory: the library.

    import jobjar
    job = jobjar.submit_job("/usr/local/bin/big_computation /data/infile.tmp 104.1 30")
    job.wait()

Settings come from the setters below, then from environment and files as for the commands. Nothing is imported before
a function needs it: every command imports this module. Errors that a person can mend are JobJarError and its
subclasses UsageError, NoSuchJob and TryAgain; `str()` of one is a whole sentence.
"""

__version__ = "1.3.0"

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from jobjar.arrayjob import ArrayJob
    from jobjar.staff import Worker
    from jobjar.config import Settings
    from jobjar.errors import JobJarError, NoSuchJob, TryAgain, UsageError
    from jobjar.job import Job
    from jobjar.layout import Jar, Place

__all__ = [
    "ArrayJob", "Job", "JobJarError", "NoSuchJob", "TryAgain", "UsageError",
    "submit_job", "submit_job_file", "submit_jobs", "unique_job_name",
    "stop_worker", "stop_node", "stop_all", "pause_worker", "pause_node", "pause_all",
    "unpause_worker", "unpause_node", "unpause_all",
    "workers", "unclaimed_jobs", "claimed_jobs", "completed_jobs", "failed_jobs", "system_status",
    "set_home", "get_home", "set_worker_home", "get_worker_home", "set_pause_time", "get_pause_time",
    "set_categories", "get_categories",
]

# What the setters were given, as a config.ini would say it. The only variable that this package has.
_given: dict[str, str] = {}
# What a job can be without a look at the table of options.
_PLAIN = {"command", "file", "priority", "category", "id"}


def __getattr__(name: str) -> object:
    if name == "Job":
        from jobjar.job import Job
        return Job
    if name == "ArrayJob":
        from jobjar.arrayjob import ArrayJob
        return ArrayJob
    if name in __all__:
        from jobjar import errors
        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def submit_job(command: "str | list[str]", priority: int = 0, category: str | None = None,
               id: str | None = None, **options: object) -> "Job | ArrayJob":
    """Submit a command line, or its words, which are joined by single spaces. Durable on return.

    `options`: those of `submit_job --help`, with "_" for "-"; as texts, as numbers (seconds, bytes), flags as True.
    With array, each_line or from_json among them it is an ArrayJob that comes back.
    UsageError: the request is wrong. TryAgain: no space; nothing was submitted.
    """
    return _submit([{"command": command, "priority": priority, "category": category, "id": id, **options}])[0]


def submit_job_file(path: "str | os.PathLike", priority: int = 0, category: str | None = None,
                    id: str | None = None, **options: object) -> "Job | ArrayJob":
    """Submit a copy of an executable file; otherwise as `submit_job`.

    What its #JJ lines ask for counts too; the arguments count for more, save a priority of 0.
    """
    return _submit([{"file": path, "priority": priority, "category": category, "id": id, **options}])[0]


def submit_jobs(jobs: "Iterable[str | list[str] | dict]") -> "list[Job]":
    """Submit many jobs in their order, waiting for the disk once and not for each; otherwise as `submit_job`.

    Each is a command line or its words, or a dict of `submit_job`'s arguments, with "file" in place of "command" for a
    copy of an executable file. When one of them is wrong none is submitted.
    """
    from jobjar.errors import UsageError
    # A single job would be taken apart, into its letters or its keys.
    if isinstance(jobs, (str, bytes, dict)) or not hasattr(jobs, "__iter__"):
        raise UsageError(f"{jobs!r} is no list of jobs: put what is to be submitted into a list")
    return _submit([job if isinstance(job, dict) else {"command": job} for job in jobs])


def unique_job_name(priority: int = 0, id: str | None = None) -> str:
    """A fresh path in limbo/ for a job of one's own making; nothing is created there."""
    from jobjar import jobname, submission
    name = submission.fresh_name(jobname.parse_priority(str(priority)), id)
    return f"{_jar().limbo}/{name}"


def _submit(jobs: list[dict]) -> "list[Job | ArrayJob]":
    from jobjar import submission
    from jobjar.job import Job
    settings = _settings()
    jar = _jar(settings)
    requests = [_request(jar, job, settings.node) for job in jobs]
    if any(request.is_array for request in requests):
        return [_submit_array(jar, requests, settings)]
    places = [submission.submit(jar, requests[0])] if len(requests) == 1 else submission.submit_many(jar, requests)
    return [Job(jar, place) for place in places]


def _submit_array(jar: "Jar", requests: list, settings: "Settings") -> "ArrayJob":
    from jobjar import arrays, node, trust
    from jobjar.arrayjob import ArrayJob
    from jobjar.errors import UsageError
    if len(requests) > 1:
        raise UsageError("one of these jobs is an array: submit it by itself, with submit_job")
    array = arrays.submit(jar, requests[0], node.myself(settings.node), trust.is_private(jar, settings))
    return ArrayJob(jar, array)


def _request(jar: "Jar", job: dict, node: str) -> object:
    from jobjar import submission
    from jobjar.errors import UsageError
    given = _asked(job) if not job.keys() <= _PLAIN else None
    command, file = job.get("command"), job.get("file")
    if (command is None) == (file is None):
        raise UsageError("a job has either a command or a file: give it one of the two")
    data = submission.script(submission.joined(command)) if file is None else submission.content(file)
    if given is None and (file is None or not submission.may_ask(data)):
        return submission.Request(data, job.get("priority", 0), job.get("category"), job.get("id"))
    from jobjar import demand
    return demand.prepare(jar, data, given or _asked(job), [], node, submission.plain_name(file))


def _asked(job: dict) -> dict:
    from jobjar import directives
    # A priority of 0 is as good as none: what stands in a file counts.
    return directives.keywords({key: value for key, value in job.items()
                                if key not in ("command", "file") and (key, value) != ("priority", 0)})


def stop_worker(worker: str) -> list[str]:
    """Ask the worker NODE.PID to exit after its job. Returns the workers that were reached: none if it has left.

    NoSuchJob when there is no such worker.
    """
    return _order("stop", worker)


def stop_node(node: str) -> list[str]:
    """Ask all workers on `node` to exit after their jobs; otherwise as `stop_worker`. Later ones are not affected."""
    return _order("stop", node)


def stop_all() -> list[str]:
    """Ask all workers to exit after their jobs; otherwise as `stop_node`."""
    return _order("stop", "all")


def pause_worker(worker: str) -> list[str]:
    """Ask the worker to claim nothing more until it is unpaused; otherwise as `stop_worker`."""
    return _order("pause", worker)


def pause_node(node: str) -> list[str]:
    """Pause all workers on `node`; otherwise as `stop_node`."""
    return _order("pause", node)


def pause_all() -> list[str]:
    """Pause all workers; otherwise as `stop_node`."""
    return _order("pause", "all")


def unpause_worker(worker: str) -> list[str]:
    """Take `pause_worker` back; fine for a worker that was not paused; otherwise as `stop_worker`."""
    return _order("unpause", worker)


def unpause_node(node: str) -> list[str]:
    """Unpause all workers on `node`; otherwise as `stop_node`."""
    return _order("unpause", node)


def unpause_all() -> list[str]:
    """Unpause all workers; otherwise as `stop_node`."""
    return _order("unpause", "all")


def _order(what: str, target: str) -> list[str]:
    from jobjar import orders
    return getattr(orders, what)(_jar(), [target])


def workers() -> "list[Worker]":
    """All workers, with name, node, pid, state, jobs and more; also those that have left (state LEFT)."""
    from jobjar import census, node
    settings = _settings()
    return census.workers(_jar(settings), node.myself(settings.node))


def unclaimed_jobs() -> "list[Job]":
    """The jobs that no worker has claimed yet."""
    from jobjar import census, states
    jar = _jar()
    return _handles(jar, census.queued(jar, states.UNCLAIMED))


def claimed_jobs() -> "list[Job]":
    """The jobs that workers have claimed, also workers that have died since."""
    from jobjar import census
    jar = _jar()
    return _handles(jar, census.claimed(jar))


def completed_jobs() -> "list[Job]":
    """The jobs that were run to their end, however they ended."""
    from jobjar import census, states
    from jobjar.layout import Place
    jar = _jar()
    return _handles(jar, [Place(states.COMPLETED, None, name) for name in census.completed(jar)])


def failed_jobs() -> "list[Job]":
    """The jobs that need a person: those that ended badly, and those that were never run to their end."""
    from jobjar import census, states
    from jobjar.layout import Place
    jar = _jar()
    return _handles(jar, [Place(states.COMPLETED if item.ran else states.FAILED, None, item.name)
                          for item in census.failed(jar)])


def _handles(jar: "Jar", places: "list[Place]") -> "list[Job]":
    from jobjar.job import Job
    return [Job(jar, place) for place in places]


def system_status() -> dict:
    """What `system_status --json` prints, as a dict."""
    from jobjar import census, node, status
    settings = _settings()
    return status.document(census.look(_jar(settings), node.myself(settings.node)))


def set_home(path: "str | os.PathLike") -> None:
    """Work with the jar at this absolute path from now on, whatever environment and files say."""
    _set("JJ_HOME", path)


def get_home() -> str:
    """The jar's directory; UsageError when nothing says where it is."""
    return _settings().home


def set_worker_home(path: "str | os.PathLike") -> None:
    """Look for the workers' directories under this absolute path from now on."""
    _set("JJ_WORKER_HOME", path)


def get_worker_home() -> str:
    """The parent of the workers' directories."""
    return _settings().worker_home


def set_pause_time(seconds: float) -> None:
    """How long a worker made by this process sleeps when it is paused or idle."""
    _set("JJ_PAUSE_TIME", str(seconds))


def get_pause_time() -> float:
    """The pause time in seconds."""
    return _settings().pause_time


def set_categories(categories: "Iterable[str]") -> None:
    """The categories, in order, that a worker made by this process reads."""
    from jobjar import values
    _set("JJ_CATEGORIES", categories if isinstance(categories, str) else values.joined_categories(categories))


def get_categories() -> list[str]:
    """The categories that workers read, in order."""
    return list(_settings().categories)


def _set(key: str, value: "str | os.PathLike") -> None:
    from jobjar import config, values
    text = values.given(key, value)
    # The wrong value is better refused here than by whatever needs it later.
    config.KEYS[key].parse(text)
    _given[key] = text


def _settings() -> "Settings":
    from jobjar import config
    return config.read(_given)


def _jar(settings: "Settings | None" = None) -> "Jar":
    from jobjar import layout
    settings = settings or _settings()
    return layout.open_jar(settings.home, settings.worker_home)
