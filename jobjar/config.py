"""The settings, and where each of them came from.

Layers, first one that speaks wins: Python setters and the command line, the environment, the personal file, the jar's
config.ini, the installation's config.ini, the defaults. Invariants: nothing is created, Settings never change, and
every complaint says which line or variable is to be mended. KEYS is the only list of settings that there is.
"""

import os

from jobjar import inifile, quantities, values
from jobjar.errors import UsageError

# For annotations alone: to import collections takes longer than all of this package that submit_job needs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GIVEN = "set in Python or on the command line"
ENVIRONMENT = "environment"
DEFAULT = "default"
FILE = "config.ini"

# What machines are called that nobody has named: all of them would be one node.
NAMELESS = ("localhost", "localhost.localdomain", "(none)")

# One layer: key → (what was written, where it was written).
Layer = dict[str, tuple[str, str]]


class Key:
    """One setting: its attribute in Settings, and what KEYS says of it.

    `default` is text, as a file would say it; None when read() works it out. `parse` makes the value of a text or
    raises UsageError; `show` makes the text of a value.
    """

    def __init__(self, attribute: str, default: str | None, unit: str, meaning: str,
                 parse: "Callable[[str], object]", show: "Callable[[object], str]") -> None:
        self.attribute, self.default, self.unit = attribute, default, unit
        self.meaning, self.parse, self.show = meaning, parse, show


KEYS = {
    "JJ_HOME": Key("home", None, "an absolute path", "the directory of the jar", values.path, str),
    "JJ_WORKER_HOME": Key("worker_home", None, "an absolute path",
                          "the parent of the workers' directories, on the same file system", values.path, str),
    "JJ_CATEGORIES": Key("categories", "", "names, in order",
                         "the categories that workers look into after the one named as their node",
                         values.categories, " ".join),
    "JJ_PAUSE_TIME": Key("pause_time", "60", "seconds, or 5m, 1h30m",
                         "how long a paused or idle worker sleeps at most", values.pause,
                         quantities.format_duration),
    "JJ_MAX_WORKERS": Key("max_workers", "4", "a whole number",
                          "how many workers check_workers keeps running on a node", quantities.parse_count, str),
    "JJ_NODE": Key("node", None, "a name", "what this computer is called in the jar", values.node, str),
    "JJ_MAX_ATTEMPTS": Key("max_attempts", "3", "a whole number",
                           "how many times a job is begun in all when its workers die", values.at_least_one, str),
    "JJ_ORDER_TIME": Key("order_time", "5", "seconds, or 5m, 1h30m",
                         "how often a worker looks for orders while a job runs", values.pause,
                         quantities.format_duration),
    "JJ_MAX_LOG": Key("max_log", "1G", "bytes, or 100K, 1.5M, 2G",
                      "how much of what a job prints is kept", values.log_size, quantities.format_size),
    "JJ_LIMIT_FACTOR": Key("limit_factor", "1.5", "a number, at least 1",
                           "how many times what it has asked for a job may use before it is ended",
                           values.factor, values.show_factor),
    "JJ_MIN_FREE": Key("min_free", "100M 1000", "a size, and a number of inodes; 0 for neither",
                       "what must be free on the jar's file system, or workers claim nothing",
                       values.min_free, values.show_min_free),
    "JJ_TRUSTED_USERS": Key("trusted_users", "", "logins",
                            "whose jobs a worker runs besides those of its own user", values.logins, " ".join),
    "JJ_ALLOW_ROOT": Key("allow_root", "no", "yes or no",
                         "whether workers may run as root", quantities.parse_boolean, quantities.format_boolean),
}


class Settings:
    """All settings, checked; they never change. `source` says where each came from."""

    home: str
    worker_home: str
    categories: tuple[str, ...]
    pause_time: float
    max_workers: int
    node: str
    max_attempts: int
    order_time: float
    max_log: int
    limit_factor: float
    min_free: tuple[int, int]
    trusted_users: tuple[str, ...]
    allow_root: bool

    def __init__(self, values: dict[str, object], sources: dict[str, str]) -> None:
        vars(self).update(values, _sources=sources)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings never change: read() them again with another {name}")

    def source(self, key: str) -> str:
        """Where the value of `key` came from: GIVEN, ENVIRONMENT, DEFAULT or "/path/config.ini line 7"."""
        return self._sources[key]


def read(overrides: "Mapping[str, str] | None" = None, environ: "Mapping[str, str] | None" = None,
         strict: bool = True, warn: "Callable[[str], None] | None" = None) -> Settings:
    """The settings in force; UsageError says what to mend and where.

    `overrides` are Python setters and command line options, key → text (JJ_MAX_WORKERS is the callers' business: the
    library has no setter for it). `strict=False`, for workers, lets an unknown key pass with a warning.
    `warn` gets each warning as a sentence; without it they go to stderr. Whether the jar exists is not looked at.
    """
    environ = os.environ if environ is None else environ
    warn = warn or _print_warning
    report = _refuse if strict else warn
    top = installation()
    defaults = {"JJ_HOME": (top, DEFAULT)} if top else {}
    layers = [
        _known({key: (text, GIVEN) for key, text in (overrides or {}).items()}, report),
        {key: (environ[key], ENVIRONMENT) for key in KEYS if environ.get(key)},
        _known(_personal(environ), report),
        _known(_file_layer(f"{top}/{FILE}"), report) if top else {},
        defaults,
    ]
    home, _ = _settle("JJ_HOME", layers)
    defaults["JJ_WORKER_HOME"] = (f"{home}/workers", DEFAULT)
    # A jar at the top of a checkout has the installation's file for its own, which may well say JJ_HOME.
    if not (top and _same(home, top)):
        layers.insert(3, _known(_jar_layer(home, warn), report))
    settled = {key: _settle(key, layers) for key in KEYS}
    return Settings({KEYS[key].attribute: value for key, (value, _) in settled.items()},
                    {key: where for key, (_, where) in settled.items()})


def installation() -> str | None:
    """The top of the checkout that this package is in; None for an installed package."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # config.ini may be removed, says the manual; and `pip install --target` makes a bin/ beside the package.
    marks = (os.path.isfile(f"{top}/{name}") for name in (FILE, "setup.cfg"))
    return top if os.path.isdir(f"{top}/bin") and any(marks) else None


def personal_file(environ: "Mapping[str, str]") -> str:
    """The path of the personal configuration file, whether it exists or not."""
    chosen = environ.get("JJ_CONFIG_FILE")
    if not chosen:
        return f"{_login_directory(environ)}/.jobjar/{FILE}"
    if not chosen.startswith("/"):
        raise UsageError(f"JJ_CONFIG_FILE (environment): {chosen!r} is not an absolute path:"
                         " write it out from the first '/'")
    return chosen


def _login_directory(environ: "Mapping[str, str]") -> str:
    home = environ.get("HOME", "")
    if home.startswith("/"):
        return home.rstrip("/")
    # Rare (some crons, some containers), so nobody else pays for the import.
    import pwd
    try:
        return pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except KeyError:
        return ""


def _personal(environ: "Mapping[str, str]") -> Layer:
    file = personal_file(environ)
    text = _text(file)
    if text is None and environ.get("JJ_CONFIG_FILE"):
        raise UsageError(f"JJ_CONFIG_FILE (environment): {file} does not exist: make the file or unset the variable")
    return _layer(text, file)


def _file_layer(file: str) -> Layer:
    return _layer(_text(file), file)


def _layer(text: str | None, file: str) -> Layer:
    entries = inifile.parse(text or "", file)
    return {key: (value, f"{file} line {line}") for key, (value, line) in entries.items()}


def _text(file: str) -> str | None:
    try:
        # Paths need not be UTF-8: surrogateescape gives such bytes back unchanged.
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (PermissionError, IsADirectoryError) as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): make it a file that you may read,"
                         " or take it away") from None


def _jar_layer(home: str, warn: "Callable[[str], None]") -> Layer:
    layer = _file_layer(f"{home}/{FILE}")
    named, where = layer.pop("JJ_HOME", (home, ""))
    if not _same(named, home):
        warn(f"{where} is ignored: JJ_HOME there is {named!r}, but this is the jar {home}; remove the line")
    return layer


def _same(one: str, other: str) -> bool:
    try:
        return one == other or os.path.samefile(one, other)
    except (OSError, ValueError):
        # It does not exist, or could not: a NUL in the name.
        return False


def _settle(key: str, layers: list[Layer]) -> tuple[object, str]:
    default = KEYS[key].default
    text, where = next((layer[key] for layer in layers if key in layer), (default, DEFAULT))
    if text is None:
        text = _worked_out(key)
    # Only a list may be empty: that takes back what a lower layer says.
    if not text and default != "":
        raise UsageError(f"{key} ({where}) is empty: give it a value or remove it")
    try:
        return KEYS[key].parse(text), where
    except UsageError as error:
        raise UsageError(f"{key} ({where}): {error}") from None


def _worked_out(key: str) -> str:
    if key == "JJ_NODE":
        return _own_name()
    raise UsageError("JJ_HOME is not set, so there is no jar to work with: make one with 'jobjar init' or set JJ_HOME")


def _own_name() -> str:
    name = os.uname().nodename
    if name in NAMELESS:
        raise UsageError(f"this computer is called {name!r}, as others are: set JJ_NODE to a name of its own")
    return name


def _known(layer: Layer, report: "Callable[[str], None]") -> Layer:
    for key, (_, where) in layer.items():
        if key not in KEYS:
            report(f"{where}: {key} is no setting: {_advice(key)}")
    return layer


def _advice(key: str) -> str:
    from jobjar import text
    return text.advice(key.upper(), KEYS, f"remove it, or write one of {', '.join(KEYS)}")


def _refuse(sentence: str) -> None:
    raise UsageError(sentence)


def _print_warning(sentence: str) -> None:
    import sys
    print(f"jobjar: warning: {sentence}", file=sys.stderr)
