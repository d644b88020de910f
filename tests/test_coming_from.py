"""docs/coming-from.md: each command that it says is ours can be typed as it stands there."""

import os
import re
import shlex

import pytest
from support import jars
from support.processes import TOP

from jobjar import cli, config, directives
from jobjar.errors import UsageError

PAGE = jars.read(os.path.join(TOP, "docs", "coming-from.md"))
PROGRAMS = {**cli.PROGRAMS, **{f"jobjar {name}": module for name, (module, _) in cli.COMMANDS.items()}}


def ours():
    """What stands in backquotes in the last column of each table, once each."""
    rows = [line.rstrip("|").rpartition("|")[2] for line in PAGE.splitlines() if line.startswith("| `")]
    return list(dict.fromkeys(word for row in rows for word in re.findall(r"`([^`]+)`", row)))


def command_of(text):
    """(module, its words) when the text is a command line of ours, else None."""
    for program in sorted(PROGRAMS, key=len, reverse=True):
        if text == program or text.startswith(program + " "):
            return PROGRAMS[program], shlex.split(text[len(program):])
    return None


def parse(module, words):
    command = cli._load(module)
    parser = cli.Parser(module)
    parser.add_argument("--home")
    command.add_options(parser)
    return parser.parse(words)


@pytest.mark.parametrize("text", ours())
def test_what_is_ours_can_be_typed(text):
    found = command_of(text)
    if found is not None:
        parse(*found)
    elif text.startswith(("$JJ_", "JJ_")):
        assert text.lstrip("$") in jars.read(os.path.join(TOP, "docs", "guide.md"))
    else:
        words = shlex.split(text.removeprefix("#JJ "))
        assert words[0].startswith("-"), text
        if not _is_asked_for(words):
            assert any(_is_option_of(module, words) for module in PROGRAMS.values()), text


def _is_asked_for(words):
    try:
        directives.take({}, words)
        return True
    except UsageError:
        return False


def _is_option_of(module, words):
    try:
        parse(module, [*words, "JOB"])
        return True
    except UsageError:
        return False


def test_settings_that_it_names_exist():
    for name in re.findall(r"JJ_(?:MAX|LIMIT)_\w+", PAGE):
        assert name in config.KEYS


def test_a_word_that_is_none_of_ours_is_noticed():
    assert not _is_asked_for(["--nowhere"]) and not _is_option_of("wait", ["--nowhere"])
    with pytest.raises(UsageError):
        parse(*command_of("jobjar wait --nowhere JOB"))
