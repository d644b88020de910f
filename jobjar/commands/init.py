"""`jobjar init`: make a jar and write its place into the personal configuration file.

A file that names another jar already is left as it is, and then no jar is made either.
"""

import os
import stat
import sys

from jobjar import config, fsops, inifile, layout
from jobjar.errors import JobJarError, UsageError

# For annotations alone; type checkers take it for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobjar.options import Options, Parser

NAME = "init"
HELP = "make a jar and remember it in the personal configuration file"
# It is what one runs before anything is configured.
NEEDS_SETTINGS = False


def add_options(parser: "Parser") -> None:
    """Declare the command's options."""
    parser.add_argument("dir", nargs="?", metavar="DIR", help="where the jar is to be (default ~/.jobjar/jar)")


def run(options: "Options", settings: None) -> int:
    """Make the jar and print its path; the exit status is 0."""
    if options.dir is not None and options.home is not None:
        raise UsageError(f"{options.dir!r} and --home {options.home!r} both say where the jar is to be: leave out one")
    given = options.home if options.dir is None else options.dir
    if given == "":
        raise UsageError("the name of the jar's directory is empty: write a path")
    home = _absolute(given or os.path.join(os.path.expanduser("~"), ".jobjar", "jar"))
    # A dotfile is often a link to where a person really keeps it.
    file = os.path.realpath(config.personal_file(os.environ))
    old = _read(file)
    new = _with_home(old, home, file)
    # Before the jar, whose parent it may be: it is nobody else's business.
    _make_parent(file)
    layout.create_jar(home)
    if new != old:
        fsops.publish(file, new.encode("utf-8", "surrogateescape"), _mode(file))
    if os.environ.get("JJ_HOME", home) != home:
        print(f"JJ_HOME in the environment says {os.environ['JJ_HOME']} and comes before {file}", file=sys.stderr)
    print(home)
    return 0


def _absolute(path: str) -> str:
    return config.KEYS["JJ_HOME"].parse(os.path.join(os.getcwd(), path))


def _read(file: str) -> str:
    try:
        # No translation of line ends: all other lines are to stay as they are.
        with open(file, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except IsADirectoryError:
        raise UsageError(f"{file} is a directory: move it away, or name another file in JJ_CONFIG_FILE") from None


def _with_home(text: str, home: str, file: str) -> str:
    """The file's text with a line that names the jar; JobJarError when it names another one."""
    entries = inifile.parse(text, file)
    if "JJ_HOME" in entries:
        named, line = entries["JJ_HOME"]
        if os.path.realpath(named) != os.path.realpath(home):
            raise JobJarError(f"{file} line {line} names the jar {named}: nothing was changed, so remove that line"
                              f" first if {home} is to be yours")
        return text
    new = _insert(text, f"JJ_HOME: {home}")
    if inifile.parse(new, file)["JJ_HOME"][0] != home:
        raise UsageError(f"{home!r} begins or ends with a blank, which {file} cannot say: choose another name")
    return new


def _insert(text: str, line: str) -> str:
    """`text` with `line` right behind the header, which is added when there is none; all else stays as it is."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    for at, written in enumerate(lines, 1):
        if written.removeprefix("\ufeff").strip() == inifile.HEADER:
            return "\n".join([*lines[:at], line + end[:-1], *(lines[at:] or [""])])
    gap = end if lines[-1] else ""
    return f"{text}{gap}{inifile.HEADER}{end}{line}{end}"


def _make_parent(file: str) -> None:
    directory = os.path.dirname(file)
    try:
        fsops.make_directory(directory, 0o700)
    except FileNotFoundError:
        raise UsageError(f"{os.path.dirname(directory)} does not exist, so {file} cannot be written: make it, or name"
                         " another file in JJ_CONFIG_FILE") from None


def _mode(file: str) -> int:
    try:
        return stat.S_IMODE(os.stat(file).st_mode)
    except FileNotFoundError:
        return 0o644
