"""What a job is to ask for, as the words of a command line: the options of the table, and advice for others' letters.

Pure. `take` and `rows` are what a `Parser` wants of its `others`.
"""

from jobjar import directives
from jobjar.directives import OPTIONS, OWN, Option, Request
from jobjar.errors import UsageError
from jobjar.options import Options

# Letters and words of grun, sbatch and their kin → what does that here.
_ELSEWHERE = {
    "-m": "mem", "--memory": "mem", "-n": "cpus", "--ntasks": "cpus", "--cpus-per-task": "cpus", "-t": "time",
    "-J": "id", "--job-name": "id", "-j": "id", "--jobid": "id", "-o": "output", "--out": "output", "-e": "error",
    "--err": "error", "-r": "priority", "-a": "array", "-D": "chdir", "-H": "hold", "-b": "begin", "-E": "export",
    "--partition": "category", "-w": "category", "--nodelist": "category", "--hosts": "category",
}


def take(options: Options, word: str, words: list[str]) -> None:
    """Add the option `word` to `options.asked`, a Request; its value may be the first of `words`, and is taken away."""
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    if name.startswith("--") and name[2:] in OPTIONS and OPTIONS[name[2:]].kind != OWN:
        options.asked = getattr(options, "asked", {})
        directives.take(options.asked, [word, *words[:_values(word)]])
        del words[:_values(word)]
        return
    raise UsageError(f"there is no option {name}: {_advice(name)}")


def _values(word: str) -> int:
    """How many of the words behind it belong to an option."""
    return 0 if "=" in word or OPTIONS[word[2:]].is_flag else 1


def _advice(name: str) -> str:
    if name in _ELSEWHERE:
        return f"write {_label(OPTIONS[_ELSEWHERE[name]])}"
    import difflib
    near = difflib.get_close_matches(name[2:], [option.name for option in _typed()], 1)
    return f"did you mean --{near[0]}?" if near else "--help lists them"


def _typed() -> list[Option]:
    return [option for option in OPTIONS.values() if option.kind != OWN]


def rows() -> list[tuple[str, str]]:
    """The table's options with what they do, for --help."""
    return [(_label(option), option.help) for option in _typed()]


def _label(option: Option) -> str:
    value = "" if option.is_flag else f"={option.metavar}"
    return (f"{option.short}, " if option.short else "") + f"--{option.name}{value}"


def of(options: Options) -> Request:
    """All that was asked for, in these options and in -p, -c and -i."""
    request = dict(getattr(options, "asked", {}))
    for key in ("priority", "category", "id"):
        if getattr(options, key) is not None:
            directives.put(request, OPTIONS[key], getattr(options, key))
    return request
