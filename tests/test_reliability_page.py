"""docs/reliability.md promises only what a test shows: every promise names one, and each that is named exists."""

import os
import re

from support import jars, processes

PAGE = os.path.join(processes.TOP, "docs", "reliability.md")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows(heading):
    """The cells of the table under a heading, without its head."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", jars.read(PAGE), re.M | re.S)[1]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_promise_names_a_test():
    promises = rows("Promises")
    assert promises and not [promise for promise, shown in promises if not NAMED.search(shown)]


def test_every_test_that_is_named_exists():
    named = NAMED.findall(jars.read(PAGE))
    assert named and not [(path, name) for path, name in named
                          if f"def {name}(" not in jars.read(os.path.join(processes.TOP, path))]


def test_every_figure_is_that_of_a_test_of_the_campaign():
    block = re.search(r"<!-- figures.*?<!-- /figures -->", jars.read(PAGE), re.S)[0]
    defined = set()
    for directory, _, names in os.walk(os.path.join(processes.TOP, "tests", "faults")):
        for name in names:
            if name.endswith(".py"):
                defined |= set(re.findall(r"^def (test_\w+)\(", jars.read(os.path.join(directory, name)), re.M))
    figures = re.findall(r"^\| `(test_\w+)`", block, re.M)
    assert set(figures) <= defined
