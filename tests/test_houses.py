"""The house stands as docs/architecture.md draws it."""

import ast
import os
import re
import statistics
import sys

import pytest
from support import jars
from support.processes import TOP

PACKAGE = os.path.join(TOP, "jobjar")
CHANGING = {"rename", "renames", "replace", "link", "symlink", "unlink", "remove", "rmdir", "removedirs", "mkdir",
            "makedirs", "fsync", "fdatasync", "sync"}
DEPENDENCIES = {"psutil", "filelock"}


def _sources():
    """Module's dotted name without `jobjar.` → its path."""
    found = {}
    for directory, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(directory, name)
                dotted = os.path.relpath(path, PACKAGE)[:-3].replace(os.sep, ".")
                found[dotted.removesuffix("__init__").removesuffix(".")] = path
    return found


def _trees():
    return {name: ast.parse(jars.read(path), path) for name, path in _sources().items()}


TREES = _trees()
MODULES = sorted(name for name in TREES if name and name != "commands")


def _house():
    """Module → (row, place in the row)."""
    block = re.search(r"```\n(row 0.*?)```", jars.read(os.path.join(TOP, "docs", "architecture.md")), re.S)[1]
    rows = [line.split()[2:] for line in block.splitlines()]
    return {module: (row, column) for row, modules in enumerate(rows) for column, module in enumerate(modules)}


def _room(module):
    """The module's name in the house: all commands live in one room."""
    return "commands" if module.startswith("commands.") else module


def _imports(tree):
    """(module of ours or "", the names taken from it) for each import anywhere in a module."""
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from ((alias.name.removeprefix("jobjar").removeprefix("."), alias.name) for alias in found.names
                        if alias.name.split(".")[0] == "jobjar")
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, "relative imports are not used"
            module = found.module or ""
            if module == "jobjar":
                yield from ((alias.name, alias.name) for alias in found.names)
            elif module.startswith("jobjar."):
                yield module.removeprefix("jobjar."), module


def test_every_module_has_its_place_in_the_house_and_no_place_is_empty():
    assert {_room(module) for module in MODULES} == set(_house())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_above_or_from_its_left(module):
    house = _house()
    for imported, _ in _imports(TREES[module]):
        if not imported:
            _assert_version_only(TREES[module])
            continue
        assert _room(imported) in house, f"{module} imports {imported}, which is not in the house"
        assert house[_room(imported)] < house[_room(module)], f"{module} may not import {imported}"


def _assert_version_only(tree):
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == "jobjar"}
    assert used == {"__version__"}


@pytest.mark.parametrize("module", [module for module in MODULES if module not in ("fsops", "fsnew", "fstree")])
def test_only_fsops_renames_links_syncs_and_unlinks(module):
    calls = {f"{node.value.id}.{node.attr}" for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)
             and isinstance(node.value, ast.Name) and node.value.id in ("os", "shutil")}
    assert not {call for call in calls if call.startswith("shutil.") or call.removeprefix("os.") in CHANGING}
    names = {alias.name for node in ast.walk(TREES[module]) if isinstance(node, ast.ImportFrom)
             and node.module in ("os", "shutil", "pathlib") for alias in node.names}
    assert not names


@pytest.mark.parametrize("module", ["", *MODULES])
def test_only_the_standard_library_is_imported_at_the_top(module):
    for imported in _tops(TREES[module]):
        assert imported == "jobjar" or imported in sys.stdlib_module_names, imported
    for imported in _foreign(TREES[module]):
        assert imported != "configparser"
        assert imported in DEPENDENCIES or imported in sys.stdlib_module_names, imported


def _tops(tree):
    return [name for node in tree.body for name in _roots(node)]


def _foreign(tree):
    return [name for node in ast.walk(tree) for name in _roots(node) if name != "jobjar"]


def _roots(node):
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [node.module.split(".")[0]] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.parametrize("module", ["", *MODULES])
def test_sizes_stay_small(module):
    text = jars.read(_sources()[module])
    assert text.count("\n") <= 300
    assert max(map(len, text.splitlines()), default=0) <= 120
    assert [f.name for f in _functions(module) if f.end_lineno - f.lineno >= 60] == []


def test_the_median_function_is_short():
    sizes = [f.end_lineno - f.lineno + 1 for module in TREES for f in _functions(module)]
    assert statistics.median(sizes) <= 8


def _functions(module):
    return [node for node in ast.walk(TREES[module]) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_and_public_function_says_what_it_is(module):
    tree = TREES[module]
    assert ast.get_docstring(tree)
    public = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
              and not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("module", [module for module in MODULES if _room(module) != "cli"])
def test_only_the_boundary_exits(module):
    calls = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "exit"]
