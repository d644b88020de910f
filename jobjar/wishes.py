"""What a job is to ask for, as the words of a command line: the options of the table, and advice for others' letters.

Pure. `take` and `rows` are what a `Parser` wants of its `others`.
"""

from jobjar import directives
from jobjar.directives import OPTIONS, OWN, Option, Request
from jobjar.errors import UsageError
from jobjar.options import Options

# Letters and words of grun, sbatch, srun and their kin → what does that here.
_ELSEWHERE = {
    "-m": "mem", "--memory": "mem", "-n": "cpus", "--ntasks": "cpus", "--cpus-per-task": "cpus", "-t": "time",
    "-J": "id", "--job-name": "id", "-j": "id", "--jobid": "id", "-o": "output", "--out": "output", "-e": "error",
    "--err": "error", "-r": "priority", "-a": "array", "-D": "chdir", "-H": "hold", "-b": "begin", "-E": "export",
    "--partition": "category", "-w": "category", "--nodelist": "category", "--hosts": "category", "-h": "category",
    "-C": "category", "--constraint": "category",
}
# Those that stand for no option → what is to be done instead.
_INSTEAD = {
    ("-A", "--account", "-q", "--qos", "-L", "--licenses", "-G", "--gpus", "--gres", "-s", "-O", "-S", "-F", "-R",
     "-T"):
        "there is nothing like it here, so leave it out",
    ("-N", "--nodes", "-B"): "a job runs on one node, so leave it out",
    ("-M", "--make", "--clusters", "-d", "--dependency"): "jobs depend on nothing but their time here: see --begin",
    ("-x", "--exclude"): "say which category is to run it: write -c CATEGORY",
    ("-k", "--no-kill", "-K"): "a job is ended by `jobjar cancel JOB`",
    ("-W", "--wait", "--wait-exists", "-I", "--int", "--pty", "-u", "-l", "-P", "-X", "-Z"):
        "`jobjar run COMMAND` waits for a job and prints what it prints",
    ("--nowait", "--noio"): "`submit_job COMMAND` submits and does not wait",
    ("-Q", "-v", "-V"): "`jobjar --version` and `jobjar show JOB` say what is to be known",
    ("--wrap",): "write the command line itself", ("--requeue",): "that is always so, save with --no-requeue",
}


def take(options: Options, word: str, words: list[str]) -> None:
    """Add the option `word` to `options.asked`, a Request; its value may be the first of `words`, and is taken away.

    UsageError for a word that is no option, with advice, and for a value that will not do.
    """
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    if name.startswith("--") and name[2:] in OPTIONS and OPTIONS[name[2:]].kind != OWN:
        options.asked = getattr(options, "asked", {})
        directives.take(options.asked, [word, *words[:_values(word)]])
        del words[:_values(word)]
        return
    raise UsageError(f"there is no option {name}: {_advice(name)}")


def doubt(category: str) -> str | None:
    """What a person who has written this behind -c may have meant instead; None if that is a category to all."""
    return f"{category} is the job's category: for {category} processors write --cpus={category}" \
        if category.isascii() and category.isdigit() else None


def _values(word: str) -> int:
    """How many of the words behind it belong to an option."""
    return 0 if "=" in word or OPTIONS[word[2:]].is_flag else 1


def _advice(name: str) -> str:
    if name in _ELSEWHERE:
        of_node = " (each node reads one of its own name)" if _ELSEWHERE[name] == "category" else ""
        return f"write {_label(OPTIONS[_ELSEWHERE[name]])}{of_node}"
    for names, instead in _INSTEAD.items():
        if name in names:
            return instead
    from jobjar import text
    return text.advice(name[2:], [option.name for option in _typed()], "--help lists them", "--")


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
