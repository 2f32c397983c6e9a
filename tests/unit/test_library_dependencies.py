"""The library names what it imports and nothing else, and imports nothing of this repository."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIBRARY = Path(__file__).resolve().parents[2] / "libs" / "eventbus"
TESTS = LIBRARY / "tests"
PROJECT: dict[str, Any] = tomllib.loads((LIBRARY / "pyproject.toml").read_text())["project"]
OWN = {"eventbus"}
OWN_OF_TESTS = {"eventbus", *(package.parent.name for package in TESTS.glob("*/__init__.py"))}
PLUGINS = {"pytest-asyncio", "pytest-timeout"}
"""What pytest loads by itself, and no test imports."""


def imported(folder: Path) -> set[str]:
    """The top-level names that the Python files below a folder import, wherever in a file; no standard library."""
    names: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), file)):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module and not node.level, f"{file}:{node.lineno}: a relative import"
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names


def named(requirements: Iterable[str]) -> set[str]:
    """The names of the distributions, in their normal form."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def distributions_of(names: set[str]) -> set[str]:
    """The distributions that hold what is imported by these names; a name that none holds stands for itself."""
    held = packages_distributions()
    return {canonicalize_name(found) for name in names for found in held.get(name, [name])}


def test_the_library_names_what_it_imports_and_nothing_else() -> None:
    assert distributions_of(imported(LIBRARY / "eventbus") - OWN) == named(PROJECT["dependencies"])


def test_the_tests_of_the_library_need_nothing_but_the_library_and_what_it_names() -> None:
    used = distributions_of(imported(TESTS) - OWN_OF_TESTS)
    libraries = named(PROJECT["dependencies"])
    for_tests = named(PROJECT["optional-dependencies"]["test"])

    assert used - libraries == for_tests - PLUGINS
    assert for_tests >= PLUGINS
    assert libraries.isdisjoint(for_tests)


def test_what_the_tests_of_the_library_call_their_own_is_nothing_else_here() -> None:
    """Both are on the path of the tests: a name that stands for two things would hide one of them."""
    here = {path.name for path in LIBRARY.parent.parent.iterdir()}
    assert here.isdisjoint(OWN_OF_TESTS)
