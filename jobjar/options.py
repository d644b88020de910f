"""A program's words → its options, and the text of its --help.

Pure. argparse would take as long as half a start of Python, and submit_job pays for each millisecond; what the
commands use of its interface is here under the same names, and nothing else is.
"""

from jobjar.errors import UsageError

# For a positional: this word and all that follow are its words, options or not.
REMAINDER = "..."


class Options:
    """What was asked for: one attribute for each argument of the parser."""


class Argument:
    """One option or positional; see `Parser.add_argument`."""

    def __init__(self, names: tuple[str, ...], action: str | None, nargs: str | None, type: object, default: object,
                 metavar: str | None, choices: tuple[str, ...] | None, dest: str | None, help: str) -> None:
        self.names = names
        self.is_option = names[0].startswith("-")
        self.is_flag = action == "store_true"
        self.nargs = nargs
        self.type = type
        self.choices = choices
        self.help = help
        longest = next((name for name in names if name.startswith("--")), names[0])
        self.dest = dest or longest.lstrip("-").replace("-", "_")
        self.metavar = metavar or (self.dest.upper() if self.is_option else self.dest)
        self.default = False if self.is_flag else [] if nargs in ("*", REMAINDER) and default is None else default

    def label(self) -> str:
        """The argument as --help lists it."""
        if not self.is_option:
            return self.metavar
        return ", ".join(self.names) + ("" if self.is_flag else " " + self.metavar)

    def synopsis(self) -> str:
        """The argument as the usage line shows it."""
        if self.is_option:
            return f"[{self.names[0]}]" if self.is_flag else f"[{self.names[0]} {self.metavar}]"
        return {None: "{0}", "?": "[{0}]", "*": "[{0} ...]", "+": "{0} ...", REMAINDER: "{0} ..."}[self.nargs].format(
            self.metavar)

    def value(self, text: str) -> object:
        """The value that `text` stands for; UsageError says what is wrong with it."""
        if self.is_option and not text:
            # A variable that is not set in a script must not look like an option that was left out.
            raise UsageError(f"{self.names[-1]} is empty: give it a value, or leave it out")
        if self.choices and text not in self.choices:
            raise UsageError(f"{self.label()}: {text!r} is none of {', '.join(self.choices)}")
        try:
            return self.type(text) if self.type else text
        except ValueError:
            raise UsageError(f"{self.label()}: {text!r} will not do: write {_kind(self.type)}") from None


class Parser:
    """The arguments of one program. `usage` may replace what stands behind the program's name in the usage line."""

    def __init__(self, program: str, description: str = "", epilog: str = "") -> None:
        self.program = program
        self.description = description
        self.epilog = epilog
        self.usage: str | None = None
        # () → an object with take(options, word, words) and rows(), for options that are declared elsewhere: take()
        # gets a word that is no option here, and the words behind it, of which it takes a value away; or UsageError.
        self.others: object | None = None
        # Whether these are the options of a job that is to be.
        self.submits = False
        self._arguments: list[Argument] = []
        self._by_name: dict[str, Argument] = {}

    def add_argument(self, *names: str, action: str | None = None, nargs: str | None = None, type: object = None,
                     default: object = None, metavar: str | None = None, choices: tuple[str, ...] | None = None,
                     dest: str | None = None, help: str = "") -> None:
        """Declare an option ("-p", "--priority") or a positional ("worker").

        `action`: "store_true" for a flag. `nargs`, for positionals: "?", "*", "+" or REMAINDER; only the last one
        may have it. `type` is called with the text; a ValueError or UsageError of it refuses the text.
        """
        argument = Argument(names, action, nargs, type, default, metavar, choices, dest, help)
        self._arguments.append(argument)
        for name in names if argument.is_option else ():
            self._by_name[name] = argument

    def parse(self, words: list[str]) -> Options:
        """The options in `words`; UsageError says which word is wrong."""
        options = Options()
        for argument in self._arguments:
            setattr(options, argument.dest, argument.default)
        self._place(options, self._take_options(options, list(words)))
        return options

    def _take_options(self, options: Options, words: list[str]) -> list[str]:
        """Set what the options say; the words that are left are the positionals."""
        stops_early = any(argument.nargs == REMAINDER for argument in self._arguments)
        rest = []
        while words:
            word = words.pop(0)
            if word == "--":
                return rest + words
            if word.startswith("-") and word != "-":
                self._take_option(options, word, words)
            elif stops_early:
                return [word, *words]
            else:
                rest.append(word)
        return rest

    def _take_option(self, options: Options, word: str, words: list[str]) -> None:
        if word.startswith("--"):
            name, equals, text = word.partition("=")
        else:
            name, equals, text = word[:2], word[2:], word[2:]
        argument = self._by_name.get(name)
        if argument is None and self.others:
            self.others().take(options, word, words)
            return
        if argument is None:
            raise UsageError(f"there is no option {name}: `{self.program} --help` lists them")
        if argument.is_flag:
            setattr(options, argument.dest, True)
            if equals and name == word[:2]:
                # Flags of one letter may stand together: -ab is -a -b.
                words.insert(0, "-" + text)
            elif equals:
                raise UsageError(f"{name} takes no value: leave out {equals + text!r}")
            return
        if not equals and not words:
            raise UsageError(f"{name} needs a value: write {name} {argument.metavar}")
        # The next word is the value whatever it looks like: -p -3 is the priority -3.
        setattr(options, argument.dest, argument.value(text if equals else words.pop(0)))

    def _place(self, options: Options, words: list[str]) -> None:
        for argument in self._arguments:
            if argument.is_option:
                continue
            if argument.nargs in ("*", "+", REMAINDER):
                if argument.nargs == "+" and not words:
                    raise self._missing(argument)
                setattr(options, argument.dest, [argument.value(word) for word in words] or argument.default)
                return
            if words:
                setattr(options, argument.dest, argument.value(words.pop(0)))
            elif argument.nargs is None:
                raise self._missing(argument)
        if words:
            raise UsageError(f"{words[0]!r} is one word too many: `{self.program} --help` shows what is expected")

    def _missing(self, argument: Argument) -> UsageError:
        return UsageError(f"{argument.metavar} is missing: `{self.program} --help` shows what is expected")

    def help(self) -> str:
        """The whole text of --help, ending in a newline."""
        # Positionals stand last in a usage line, wherever they were declared.
        ordered = sorted(self._arguments, key=lambda argument: not argument.is_option)
        usage = self.usage or " ".join(argument.synopsis() for argument in ordered)
        parts = [f"usage: {self.program} {usage}".rstrip(), _wrapped(self.description)]
        rows = [(argument.label(), argument.help) for argument in ordered if argument.help]
        # What a command declares without a help is explained by its table.
        rows += self.others().rows() if self.others else []
        parts.append("options:\n" + table(rows))
        parts.append(_wrapped(self.epilog))
        return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: list[tuple[str, str]]) -> str:
    """Two columns, the second one wrapped."""
    import textwrap
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, 54) or [""]
        if len(left) > 22:
            lines.append("  " + left)
            left = ""
        lines.append(f"  {left:22}  {wrapped[0]}".rstrip())
        lines += [" " * 26 + line for line in wrapped[1:]]
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    import textwrap
    return "\n\n".join(textwrap.fill(part, 79) for part in text.split("\n\n")) if text else ""


def _kind(type: object) -> str:
    return {int: "a whole number", float: "a number"}.get(type, "another value")
