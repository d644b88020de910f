"""What of a request can be obeyed: contradictions, what needs a submission first, and what becomes of --export.

Pure: the environment is passed in.
"""

from jobjar import directives, moments, parameters
from jobjar.directives import BY_KEY, Request
from jobjar.errors import UsageError

# What the name and the directory of a job say, whatever stands in its file.
IN_THE_NAME = ("priority", "category", "id", "hold")
# What makes several jobs of one.
MANY = ("array", "each_line", "from_json")
# What a shell or a worker gives to each of its children, and what must not be brought along.
SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL", "_", "TMPDIR")

_EXCLUSIVE = (
    ("array", ("each_line", "from_json"), "both say how many jobs there are to be"),
    ("each_line", ("from_json",), "both say how many jobs there are to be"),
    ("no_requeue", ("retries", "requeue_on"), "contradict each other"),
    ("snapshot", ("chdir",), "both say where it is to run"),
)
_NEEDS = (
    ("retry_delay", ("retries", "requeue_on")),
    ("signal", ("time",)),
    ("open_mode", ("output", "error")),
)


def claimed(head: bytes) -> Request:
    """What a worker is to do for a job whose file begins with `head`; UsageError names the line or the contradiction.

    What only a submission could have worked out is refused; what has done its work at the submission is left out.
    """
    request = directives.read(head)
    return _settled(request) if request else request


def _settled(request: Request) -> Request:
    refuse_contradictions(request)
    _refuse_relative(request)
    for key in MANY:
        # A task of an array says which array it is of; its own index is in its name.
        if key in request and not (key == "array" and "submit_dir" in request):
            raise UsageError(f"--{BY_KEY[key].name} makes many jobs at the submission: submit it with submit_job -f")
    left = {key: value for key, value in request.items() if key not in IN_THE_NAME}
    if "export" in left:
        left["env"] = [*left.get("env", []), *exported(left.pop("export"), {})]
    return left


def _refuse_relative(request: Request) -> None:
    wrong = [key for key in ("chdir", "output", "error") if not request.get(key, "/").startswith("/")]
    # What it prints may go to a file in the directory that it runs in, if that is one that stays.
    wrong = [key for key in wrong if key == "chdir" or "chdir" not in request]
    wrong += ["begin"] if moments.is_relative(request.get("begin", 0.0)) else []
    wrong += ["export"] if any("=" not in part and part != parameters.NONE
                               for part in request.get("export", parameters.NONE).split(",")) else []
    if wrong:
        raise UsageError(f"--{wrong[0]}={request[wrong[0]]} depends on where, when or by whom the job is submitted:"
                         " submit it with submit_job -f")


def exported(text: str, environment: dict[str, str]) -> list[str]:
    """NAME=VALUE of each variable that `--export` asks for; UsageError when `environment` has not got it."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            found[name] = value
        elif part == parameters.ALL:
            found.update((name, value) for name, value in environment.items()
                         if name not in SHELLS_OWN and not name.startswith(parameters.OURS))
        elif part != parameters.NONE:
            if part not in environment:
                raise UsageError(f"--export: there is no variable {part} here: export it first, or write {part}=VALUE")
            found[part] = environment[part]
    return [f"{name}={value}" for name, value in found.items()]


def refuse_contradictions(request: Request) -> None:
    """UsageError when two things that are asked for exclude each other, or one lacks what gives it a meaning."""
    for key, others, why in _EXCLUSIVE:
        for other in others:
            if key in request and other in request:
                raise UsageError(f"--{BY_KEY[key].name} and --{BY_KEY[other].name} {why}: leave out one of them")
    for key, needed in _NEEDS:
        if key in request and not any(one in request for one in needed):
            names = " or ".join(f"--{BY_KEY[one].name}" for one in needed)
            raise UsageError(f"--{BY_KEY[key].name} means nothing without {names}: add that, or leave it out")
    if "signal" in request and int(request["signal"].partition("@")[2]) >= request["time"]:
        raise UsageError(f"--signal={request['signal']} would come before the job begins, for its --time is"
                         f" {parameters.show_duration(request['time'])}: write SIG@SECONDS with fewer seconds")
