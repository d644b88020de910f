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
    ("each_line", ("from_json",), "both say how many jobs there are to be"),
    ("no_requeue", ("retries", "requeue_on"), "contradict each other"),
    # What travels with a job is in its fresh directory.
    ("chdir", ("snapshot", "stage_in"), "say two directories for it to run in"),
)
_NEEDS = (
    ("retry_delay", ("retries", "requeue_on")),
    ("signal", ("time",)),
    ("open_mode", ("output", "error")),
    ("per_job", MANY),
    ("max_fails", MANY),
)


class Unfit(UsageError):
    """What is asked for cannot be; `key` is the option that is most to blame."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"--{BY_KEY[key].name} {reason}")
        self.key = key


def claimed(head: bytes) -> Request:
    """What a worker is to do for a job whose file begins with `head`; UsageError names the line and the reason.

    What only a submission could have worked out is refused; what has done its work at the submission is left out.
    """
    request = directives.read(head)
    try:
        return _settled(request) if request else request
    except Unfit as error:
        raise UsageError(f"line {directives.line_of(head, error.key)}: {error}") from None


def _settled(request: Request) -> Request:
    refuse_contradictions(request)
    if "hold" in request and "submit_dir" not in request:
        raise Unfit("hold", "is obeyed at the submission: submit it with submit_job -f, or take the line out and move"
                    " the file into held/")
    for key in _unresolved(request):
        raise Unfit(key, "depends on where, when or by whom the job is submitted: submit it with submit_job -f")
    for key in MANY:
        # A task of an array says which array it is of.
        if key in request and not (key == "array" and "submit_dir" in request):
            raise Unfit(key, "makes many jobs at the submission: submit it with submit_job -f")
    left = {key: value for key, value in request.items() if key not in IN_THE_NAME}
    if "export" in left:
        left["env"] = [*left.get("env", []), *exported(left.pop("export"), {})]
    return left


def _unresolved(request: Request) -> list[str]:
    """The options whose meaning only a submission could have worked out."""
    found = [key for key in ("chdir", "output", "error") if not request.get(key, "/").startswith("/")]
    # What it prints may go to a file in the directory that it runs in, if that is one that stays.
    found = [key for key in found if key == "chdir" or "chdir" not in request]
    found += ["begin"] if moments.is_relative(request.get("begin", 0.0)) else []
    found += [key for key in ("snapshot", "stage_in") if key in request and "staged" not in request]
    parts = request.get("export", parameters.NONE).split(",")
    return found + (["export"] if any("=" not in part and part != parameters.NONE for part in parts) else [])


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
    return [parameters.variable(f"{name}={value}") for name, value in found.items()]


def refuse_contradictions(request: Request) -> None:
    """Unfit when two things that are asked for exclude each other, or one lacks what gives it a meaning."""
    for key, others, why in _EXCLUSIVE:
        for other in others:
            if key in request and other in request:
                raise Unfit(key, f"and --{BY_KEY[other].name} {why}: leave out one of them")
    for key, needed in _NEEDS:
        if key in request and not any(one in request for one in needed):
            names = " or ".join(f"--{BY_KEY[one].name}" for one in needed)
            raise Unfit(key, f"means nothing without {names}: add that, or leave it out")
    if "signal" in request and int(request["signal"].partition("@")[2]) >= request["time"]:
        raise Unfit("signal", f"{request['signal']} would come before the job begins, for its --time is"
                    f" {parameters.show_duration(request['time'])}: write SIG@SECONDS with fewer seconds")
