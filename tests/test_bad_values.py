"""Bad values of the commands' options: for each one sentence, exit status 2, and nothing is changed.

Those of a job's options have tests of their own, in tests/commands/test_submit_options.py and tests/test_editing.py.
"""

import gc
import importlib

import pytest
from support import jars, processes, workers

from jobjar import cli
from jobjar.options import Parser

# By what an option takes, as --help shows it: a value that no such option can have.
NONSENSE = {"N": "many", "TIME": "soon", "SECONDS": "soon", "STATE,…": "SLEEPING", "FIELD,…": "nonsense", "SIZE": "big",
            "COLUMN,…": "nonsense", "RE": "(", "PATTERN": "%nonsense", "AGE": "old", "TEXT": "two\nlines", "PRIORITY": "high",
            "CATEGORY": "a/b", "ID": "a b", "FILE": "/no/such", "USER,…": "a,,b", "NODE,…": "a,", "WORD,…": ","}


def _options():
    found = []
    for name, (module, _) in cli.COMMANDS.items():
        parser = Parser(name)
        importlib.import_module(f"jobjar.commands.{module}").add_options(parser)
        positionals = [argument for argument in parser._arguments if not argument.is_option]
        found += [(name, argument, bool(positionals)) for argument in parser._arguments
                  if argument.is_option and not argument.is_flag]
    return found


OPTIONS = _options()
VALUES = [(name, argument, takes_words, value) for name, argument, takes_words in OPTIONS
          for value in dict.fromkeys(("", NONSENSE.get(argument.metavar, "")))]


@pytest.fixture
def collecting():
    """history lets nothing be freed: that must not last in the process that runs the tests."""
    yield
    gc.enable()


@pytest.mark.parametrize("name, argument, takes_words, value", VALUES,
                         ids=[f"{name} {argument.names[-1]}={value}" for name, argument, _, value in VALUES])
def test_a_bad_value_is_one_sentence_exit_2_and_nothing_is_changed(jar, monkeypatch, capsys, collecting, name, argument,
                                                                   takes_words, value):
    for key, said in processes.environment(JJ_HOME=jar.home, JJ_NODE=workers.NODE, JJ_MIN_FREE="0").items():
        monkeypatch.setenv(key, said)
    workers.place(jar, "job")
    before = jars.tree(jar)
    option = argument.names[-1]
    words = [f"{option}={value}"] if option.startswith("--") else [option, value]
    assert cli.main("jobjar", [name, *words, *(["job"] if takes_words else [])]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"jobjar {name}: ") and err.count("\n") == 1 and "`--help`" not in err
    assert jars.tree(jar) == before


def test_every_command_with_options_is_among_them():
    assert {"list", "history", "clean", "wait", "cancel", "move"} <= {name for name, *_ in OPTIONS}
    assert len(VALUES) > len(OPTIONS) + 15
