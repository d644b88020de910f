"""What a job may ask for: one table for the command line, for #JJ lines in a script, and for keyword arguments.

Pure. A request is a dict: the option's name with "_" for "-" → its value; what was not asked for is not in it. All
values can be written as JSON. In a file the request stands in the lines that begin with "#JJ", in the block of comments
and empty lines at its top; a later line counts for more than an earlier one.
"""

import os

from jobjar import jobname, moments, parameters, words
from jobjar.errors import UsageError

MARK = b"#JJ"
# How much of a file is read for its directives, at first and at most. An exported environment can be long.
GLANCE, HEAD_MAX = 4096, 2**20

# When an option does its work: PLACE at the submission (name, directory, how many jobs), JOB in the job, however it is
# submitted, OWN as JOB, but only our own programs write it.
PLACE, JOB, OWN = "place", "job", "own"

Request = dict[str, object]


class Option:
    """One thing to ask for. `parse` makes the value of a text, or raises UsageError; `show` makes the text of a value.

    `parse` None: a flag. `many`: it may be given several times, and its value is the list of all.
    """

    def __init__(self, kind: str, metavar: str | None, parse: object, help: str, many: bool = False,
                 show: object = str, short: str | None = None) -> None:
        self.kind, self.metavar, self.parse, self.help = kind, metavar, parse, help
        self.many, self.show, self.short = many, show, short
        self.name = ""

    @property
    def key(self) -> str:
        """Its key in a request, and its keyword in Python."""
        return self.name.replace("-", "_")

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return self.parse is None


def _pattern(text: str) -> str:
    # Of use to few jobs, and read by every submission.
    from jobjar import patterns
    return patterns.check(text)


OPTIONS: dict[str, Option] = {
    "priority": Option(PLACE, "N", jobname.parse_priority, "claim it before jobs of a lower priority (default 0)",
                       short="-p"),
    "category": Option(PLACE, "CATEGORY", jobname.check_category, "let only workers that read this category claim it",
                       short="-c"),
    "id": Option(PLACE, "ID", jobname.check_id, "a word to be put into the job's name", short="-i"),
    "hold": Option(PLACE, None, None, "let it wait in held/ until somebody releases it"),
    "array": Option(PLACE, "INDICES", parameters.array, "one job for each index: 1-100, 1-9:2,20, 1-1000%5 (at most 5"
                    " of them at a time)"),
    "each-line": Option(PLACE, "FILE", parameters.path, "one job for each line of FILE (- is standard input);"
                        " the line is in JJ_ENTRY"),
    "from-json": Option(PLACE, "FILE", parameters.path, "one job for each item of the JSON list in FILE (- is"
                        " standard input); the item is in JJ_ENTRY"),
    "per-job": Option(PLACE, "N", parameters.positive, "run so many tasks of an array one after the other in one job"),
    "begin": Option(JOB, "TIME", moments.parse, "let it wait until then: 2026-12-24T18:00, 18:00, now+2h",
                    show=moments.show),
    "tag": Option(JOB, "WORD", jobname.check_id, "a word to find it by; may be given several times", many=True),
    "comment": Option(JOB, "TEXT", parameters.line, "a line of text for people"),
    "time": Option(JOB, "LIMIT", parameters.limit, "end it when it has run for so long: 90m, 1h30m, 1-12:00:00",
                   show=parameters.show_duration),
    "signal": Option(JOB, "SIG[@SECONDS]", parameters.signal, "send it this signal so many seconds (60) before its time"
                     " is up"),
    "cpus": Option(JOB, "N", parameters.cpus, "the processors that it uses", show=parameters.show_number),
    "mem": Option(JOB, "SIZE", parameters.size, "the memory that it uses, as 3G; it is ended when it uses much more",
                  show=parameters.show_size),
    "cpu-time": Option(JOB, "LIMIT", parameters.limit, "the processor time that it uses; it is ended when it uses much"
                       " more", show=parameters.show_duration),
    "file-size": Option(JOB, "SIZE", parameters.size, "the size of the largest file that it writes",
                        show=parameters.show_size),
    "address-space": Option(JOB, "SIZE", parameters.size, "the address space that each of its processes may have",
                            show=parameters.show_size),
    "nice": Option(JOB, "N", parameters.nice, "run it with this nice value (0 to 19)"),
    "export": Option(JOB, "NONE|ALL|A,B=1", parameters.export, "environment variables that it is to find (default"
                     " NONE)"),
    "chdir": Option(JOB, "DIR", parameters.path, "run it in this directory, not in a fresh one"),
    "output": Option(JOB, "FILE", _pattern, "what it prints goes to this file: %j is the job's id, %A the"
                     " array's, %a the index, %x the word of -i, %u the user, %N the node"),
    "error": Option(JOB, "FILE", _pattern, "what it prints on standard error goes to this file"),
    "open-mode": Option(JOB, "append|truncate", parameters.open_mode, "what becomes of what is in those files (default"
                        " truncate)"),
    "wrap-with": Option(JOB, "PROGRAM", parameters.program, "run it by this program, which gets the job's command line"
                        " as its arguments"),
    "snapshot": Option(JOB, "DIR", parameters.path, "run it in a copy of this directory as it is now"),
    "stage-in": Option(JOB, "FILE,…", parameters.paths, "files that it needs, for nodes that have not got them"
                       " (a comma in a name: \\,); may be given several times", many=True, show=parameters.show_path),
    "stage-out": Option(JOB, "FILE,…", parameters.paths, "files that it makes, to be brought back", many=True,
                        show=parameters.show_path),
    "retries": Option(JOB, "N", parameters.count, "run it again when it fails, so many times"),
    "retry-delay": Option(JOB, "TIME", parameters.limit, "and wait for so long before each",
                          show=parameters.show_duration),
    "requeue-on": Option(JOB, "CODE,…", parameters.codes, "exit statuses with which it asks to be run again",
                         show=parameters.show_list),
    "no-requeue": Option(JOB, None, None, "never begin it twice, not even when its worker dies"),
    "max-fails": Option(JOB, "N", parameters.positive, "hold the rest of an array when so many of it have failed"),
    "submit-dir": Option(OWN, "DIR", parameters.path, "where it was submitted"),
    "submit-host": Option(OWN, "NODE", parameters.line, "on which node"),
    "umask": Option(OWN, "MODE", parameters.umask, "the umask of whoever submitted it", show=parameters.show_umask),
    "env": Option(OWN, "NAME=VALUE", parameters.variable, "an exported variable", many=True),
    "input": Option(OWN, "FILE", parameters.path, "what it reads on standard input"),
    "feed": Option(OWN, "FILE", parameters.path, "the same, of a file that its client goes on writing"),
    "staged": Option(OWN, "SHA256", parameters.line, "the list of its files in store/"),
    "entries": Option(OWN, "COUNT", parameters.count, "how many entries stand at the end of the file"),
}

for _name, _option in OPTIONS.items():
    _option.name = _name

# Those whose value is a list, with commas between its items.
_LISTS = ("array", "export", "stage-in", "stage-out", "requeue-on")
_SHORT = {option.short: option for option in OPTIONS.values() if option.short}
BY_KEY = {option.key: option for option in OPTIONS.values()}


def read(head: bytes) -> Request:
    """The request in the #JJ lines of a file that begins with `head`; UsageError names the line and the reason."""
    # Nearly all jobs have none.
    if MARK not in head:
        return {}
    request: Request = {}
    for number, line in _directives(head):
        try:
            take(request, words.split(_said(line).decode("utf-8", "surrogateescape")))
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None
    return request


def line_of(head: bytes, key: str) -> int:
    """The number of the last line that says something of `key`, in a head that can be read."""
    number = 0
    for at, line in _directives(head):
        request: Request = {}
        take(request, words.split(_said(line).decode("utf-8", "surrogateescape")))
        number = at if key in request else number
    return number


def _directives(head: bytes) -> list[tuple[int, bytes]]:
    """The #JJ lines of a head with their numbers."""
    return [(number, line) for number, line in enumerate(block(head[:HEAD_MAX]).split(b"\n"), 1) if is_directive(line)]


def is_directive(line: bytes) -> bool:
    """Whether this line of a file's head says what the job asks for."""
    return line[:3] == MARK and line[3:4] in (b"", b" ", b"\t", b"\r", b"-")


def _said(line: bytes) -> bytes:
    if line[3:4] == b"-":
        raise UsageError(f"{line[:20].decode('utf-8', 'replace')!r} lacks a blank: write one behind #JJ")
    return line[3:]


def block(head: bytes) -> bytes:
    """The comments and empty lines at the top of `head`, with the newline behind each."""
    at = 0
    while at < len(head):
        end = head.find(b"\n", at)
        line = head[at:] if end < 0 else head[at:end]
        if line[:1] != b"#" and line.lstrip()[:1] not in (b"", b"#"):
            return head[:at]
        if end < 0:
            # The last line, without its newline; of a file that is longer it may be a piece, which says nothing.
            return head if len(head) < HEAD_MAX else head[:at]
        at = end + 1
    return head


def may_go_on(head: bytes) -> bool:
    """Whether a file that begins with `head` may have more directives behind it."""
    return block(head) == head


def take(request: Request, found: list[str]) -> None:
    """Add what the words of one line say to `request`; UsageError when a word is no option, or its value wrong."""
    rest = list(found)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            option = OPTIONS.get(name)
        else:
            option, equals, text = _SHORT.get(word[:2]), word[2:], word[2:]
        if option is None:
            raise UsageError(f"{word!r} is no option for a job: `submit_job --help` lists them")
        if option.is_flag:
            if equals:
                raise UsageError(f"{option.short or '--' + option.name} takes no value: leave out {equals + text!r}")
            request[option.key] = True
            continue
        if not equals and not rest:
            raise UsageError(f"--{option.name} needs a value: write --{option.name}={option.metavar}")
        put(request, option, text if equals else rest.pop(0))


def put(request: Request, option: Option, text: str) -> None:
    """Add one option with its value as a text; UsageError when that will not do."""
    try:
        text.encode("utf-8", "surrogateescape")
        value = option.parse(text)
    except UsageError as error:
        raise UsageError(f"--{option.name}: {_short(str(error))}") from None
    except UnicodeEncodeError as error:
        raise UsageError(f"--{option.name}: {text[error.start]!r} stands for no bytes: leave it out") from None
    if option.many:
        old = request.get(option.key, [])
        request[option.key] = old + (value if isinstance(value, list) else [value])
    else:
        request[option.key] = value


def _short(sentence: str) -> str:
    """A sentence that quotes what somebody wrote, fit to be read; the remedy stands at its end."""
    return sentence if len(sentence) <= 400 else f"{sentence[:150]}…{sentence[-200:]}"


def keywords(given: dict[str, object]) -> Request:
    """The request that keyword arguments make: texts as on the command line, or values; None is not asked for.

    UsageError for a key that is no option, and for a value that will not do.
    """
    request: Request = {}
    for key, value in given.items():
        option = BY_KEY.get(key)
        if option is None or option.kind == OWN:
            known = ", ".join(key for key, option in BY_KEY.items() if option.kind != OWN)
            raise UsageError(f"a job has no {key!r}: besides a command or a file it may have {known}")
        if option.is_flag:
            if value not in (True, False, None):
                raise UsageError(f"{key}={value!r} is neither True nor False: write one of them")
            if value:
                request[key] = True
        elif value is not None:
            if option.many and isinstance(value, (list, tuple)):
                for one in value:
                    # Each is one, whatever would part several in a text.
                    put(request, option, option.show(_text(option, one)))
            else:
                put(request, option, _text(option, value))
    return request


def _text(option: Option, value: object) -> str:
    """What somebody would type for a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (list, tuple, range)) and option.name in _LISTS \
            and all(isinstance(one, (str, int, os.PathLike)) for one in value):
        return parameters.show_list([os.fspath(one) if isinstance(one, os.PathLike) else one for one in value])
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # What is below 0 is refused, but for a priority, and then quoted: it is to be what was given.
            return str(value) if value < 0 else option.show(value)
    except (ValueError, OverflowError, OSError):
        # Not a number, or one beyond what the calendar or the memory has.
        pass
    raise UsageError(f"{option.key}={value!r} will not do: give it as a text, as on the command line")


def merged(request: Request, more: Request) -> Request:
    """Both requests as one, in which `more` counts for more; of what may be given several times all is kept."""
    both = {**request, **more}
    for key in request.keys() & more.keys():
        if BY_KEY[key].many:
            both[key] = [*request[key], *(one for one in more[key] if one not in request[key])]
    return both


def texts(request: Request) -> list[str]:
    """The request as the words that `take` reads back, one for each value."""
    found = []
    for option in OPTIONS.values():
        if option.key in request:
            value = request[option.key]
            for one in value if option.many else [value]:
                found.append(f"--{option.name}" + ("" if option.is_flag else f"={option.show(one)}"))
    return found


def lines(request: Request) -> bytes:
    """The #JJ lines that say the request: one for each value."""
    return b"".join(MARK + b" " + words.quote(text).encode("utf-8", "surrogateescape") + b"\n"
                    for text in texts(request))
