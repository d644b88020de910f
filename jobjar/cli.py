"""From the words of a command line to an exit status: the dispatcher, and the one error boundary.

Invariant: only the module of the command that was called is imported, and whatever a person can mend comes out as one
sentence on stderr. A command is a module of `jobjar.commands` with NAME, HELP, add_options(parser) and
run(options, settings) -> exit status; NEEDS_SETTINGS = False lets it run where no jar is configured yet (run() then
gets None), and STRICT = False lets unknown settings pass with a warning.
"""

import gc
import os
import sys

from jobjar import printing
from jobjar.errors import JobJarError, UsageError, of_system
from jobjar.options import Options, Parser, table

JOBJAR = "jobjar"

# Subcommand of jobjar → its module in jobjar/commands/, and its program in bin/ if it has one.
COMMANDS = {
    "submit": ("submit", "submit_job"),
    "run": ("run", None),
    "wait": ("wait", None),
    "log": ("log", None),
    "list": ("list", None),
    "show": ("show", None),
    "explain": ("explain", None),
    "unique-job-name": ("unique_job_name", "unique_job_name"),
    "start-worker": ("start_worker", "start_worker"),
    "check-workers": ("check_workers", "check_workers"),
    "stop-worker": ("stop_worker", "stop_worker"),
    "pause-worker": ("pause_worker", "pause_worker"),
    "unpause-worker": ("unpause_worker", "unpause_worker"),
    "cancel": ("cancel", None),
    "hold": ("hold", None),
    "release": ("release", None),
    "retry": ("retry", None),
    "edit": ("edit", None),
    "move": ("move", None),
    "first": ("first", None),
    "status": ("status", "system_status"),
    "recover-stranded": ("recover_stranded", "recover_stranded"),
    "fetch": ("fetch", None),
    "check": ("check", None),
    "doctor": ("doctor", None),
    "history": ("history", None),
    "clean": ("clean", None),
    "drain": ("drain", None),
    "undrain": ("undrain", None),
    "init": ("init", None),
    "config": ("config", None),
}
PROGRAMS = {program: module for module, program in COMMANDS.values() if program}

# How many new objects there are before the interpreter looks for cycles among them; its own 700 are reached a dozen
# times while modules are loaded, and nothing is ever found then.
CYCLES_AFTER = 20_000

EXIT_STATUS = ("exit status: 0 yes or done, 1 no or failed, 2 wrong use, 3 no such job or worker,"
               " 75 not now (no space, for example): try again later, 130 interrupted")


def run(program: str) -> None:
    """Be `program`, a name in bin/: `main`, and the end of the process with its exit status. Does not return."""
    gc.set_threshold(CYCLES_AFTER)
    status = main(program)
    # All is printed by now. An interpreter that takes itself to pieces takes a sixth of its whole time for that.
    os._exit(status)


def main(program: str, argv: list[str] | None = None) -> int:
    """Run `program`, a name in bin/, with the words `argv` (the process's own if None); returns its exit status.

    Any exception that comes out of it is a defect of the program.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    printing.prepare()
    _add_packages_of_checkout()
    action = _choose if program == JOBJAR else _call
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = printing.Output(stdout), printing.Messages(stderr)
    try:
        return _guarded(program, action, PROGRAMS.get(program), words)
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = stdout, stderr


def __getattr__(name: str) -> object:
    """The entry point of each installed program, under its name: called without arguments, whatever links to it."""
    if name == JOBJAR or name in PROGRAMS:
        return lambda: run(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _choose(program: str, _: None, words: list[str]) -> int:
    """`jobjar` itself: the first word says which command."""
    if not words:
        raise UsageError("a command is missing: `jobjar --help` lists them")
    word = words[0]
    if word in ("-h", "--help"):
        print(_overview(), end="")
        return 0
    if word == "--version":
        import jobjar
        print(f"jobjar {jobjar.__version__}")
        return 0
    name = word.replace("_", "-")
    if name not in COMMANDS:
        raise UsageError(f"there is no command {word!r}: {_advice(name)}")
    return _guarded(f"{program} {name}", _call, COMMANDS[name][0], words[1:])


def _advice(name: str) -> str:
    from jobjar import text
    return text.advice(name, COMMANDS, "`jobjar --help` lists them")


def _overview() -> str:
    rows = [(name, _load(module).HELP) for name, (module, _) in COMMANDS.items()]
    return (f"usage: jobjar COMMAND ...\n\ncommands:\n{table(rows)}\n\n"
            f"`jobjar COMMAND --help` says more; `jobjar --version` prints the version.\n\n{EXIT_STATUS}\n")


def _call(program: str, module: str, words: list[str]) -> int:
    """One command: its options, the settings, its run()."""
    command = _load(module)
    parser = Parser(program, command.HELP[:1].upper() + command.HELP[1:] + ".", EXIT_STATUS)
    parser.add_argument("-h", "--help", action="store_true", help="show this text and exit")
    parser.add_argument("--home", metavar="DIR", help="the jar to work with, whatever JJ_HOME says")
    command.add_options(parser)
    if _asks_for_help(parser, words):
        print(parser.help(), end="")
        return 0
    options = parser.parse(words)
    return command.run(options, _settings(program, command, options))


def _asks_for_help(parser: Parser, words: list[str]) -> bool:
    # Help is given even where the other words are wrong, but a job's own --help is the job's.
    try:
        asks = parser.parse(words).help
    except UsageError:
        asks = "--help" in words or "-h" in words
    if asks and parser.submits and "--help" not in words and words[-1] != "-h":
        # To who comes from grun it is the letter of the hosts.
        parser.others().take(Options(), "-h", [])
    return asks


def _settings(program: str, command: object, options: Options) -> object:
    if not getattr(command, "NEEDS_SETTINGS", True):
        return None
    from jobjar import config
    given = {"JJ_HOME": os.path.join(os.getcwd(), options.home)} if options.home is not None else {}
    return config.read(given, strict=getattr(command, "STRICT", True), warn=lambda text: _say(program, text))


def _load(module: str) -> object:
    # Not importlib.import_module: that package would have to be imported first.
    return __import__(f"jobjar.commands.{module}", fromlist=["run"])


def _guarded(program: str, action: object, module: str | None, words: list[str]) -> int:
    try:
        try:
            return action(program, module, words)
        finally:
            sys.stdout.flush()
    except printing.OutputError as error:
        return _unprinted(program, error.error)
    except JobJarError as error:
        return _refused(program, error)
    except KeyboardInterrupt as error:
        if error.args:
            # Of what was interrupted something is left to be known.
            _say(program, str(error))
        return 130
    except ImportError as error:
        return _without_package(program, error)
    except OSError as error:
        known = of_system(error)
        if known is None:
            raise
        return _refused(program, known)


def _say(program: str, sentence: str) -> None:
    from jobjar import text
    # Names in it may come from anybody's files, and must not steer the terminal.
    print(f"{program}: {text.sentence(sentence)}", file=sys.stderr)


def _without_package(program: str, error: ImportError) -> int:
    package = (error.name or "").partition(".")[0]
    if package not in ("psutil", "filelock"):
        raise error
    _say(program, f"{sys.executable} has no usable package {package} ({error}): run `make` at the top of the checkout,"
                  f" which puts it into .venv, or `{sys.executable} -m pip install {package}`")
    return 1


def _refused(program: str, error: JobJarError) -> int:
    _say(program, str(error))
    return error.exit_status


def _unprinted(program: str, error: OSError) -> int:
    """The exit status when standard output does not take what is printed."""
    if isinstance(error, BrokenPipeError):
        return printing.BROKEN_PIPE
    _say(program, f"standard output: {error.strerror}: not everything could be printed")
    return 1


def _add_packages_of_checkout() -> None:
    """Let the packages of the checkout's .venv be found, by whichever Python runs this: cron's has often none."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    library = os.path.join(top, ".venv", "lib")
    try:
        versions = [name for name in os.listdir(library) if name.startswith("python3")]
    except OSError:
        return
    own = f"python3.{sys.version_info.minor}"
    # The packages do not depend on the minor version, so any will do, but our own is best.
    for version in sorted(versions, key=lambda name: name != own)[:1]:
        at = sys.path.index(top) + 1 if top in sys.path else 0
        sys.path.insert(at, os.path.join(library, version, "site-packages"))
