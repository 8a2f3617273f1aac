"""The pages for maintainers keep their word: what they name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT

INVARIANTS = ROOT / "docs" / "INVARIANTS.md"
DECISIONS = ROOT / "docs" / "decisions"

_UNGUARDED = "## Not guarded yet"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
_DECISION_NAME = re.compile(r"^(\d{4})-[a-z0-9-]+\.md$")
_DECISION_SECTIONS = ("## Context", "## Decision", "## Consequences", "## What would change it")
_PAGES = ("docs/ARCHITECTURE.md", "docs/INVARIANTS.md", "docs/security.md", "CONTRIBUTING.md", "CHANGELOG.md")


@cache
def functions_of(file: Path) -> frozenset[str]:
    """Every function that the file defines, methods of contract suites too; none where there is no such file."""
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def promises(page: str) -> Iterator[tuple[str, str]]:
    """The rows of the page's tables, above the section of what nothing guards: a promise, and what stands beside it."""
    for line in page.partition(f"\n{_UNGUARDED}\n")[0].splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| promise ")):
            _, promise, guards, _ = line.split("|")
            yield promise.strip(), guards.strip()


def faults(page: str, root: Path = ROOT) -> list[str]:
    """What is wrong with a page of invariants."""
    found: list[str] = []
    rows = list(promises(page))
    for promise, guards in rows:
        named = _TEST.findall(guards)
        if not named:
            found.append(f"no test guards: {promise}")
        if _TEST.sub("", guards).strip():
            found.append(f"something that names no test stands beside: {promise}")
        found += [f"{file}::{test} does not exist" for file, test in named if test not in functions_of(root / file)]
    said = [promise for promise, _ in rows]
    found += [f"said twice: {promise}" for promise in sorted(set(said)) if said.count(promise) > 1]
    return found


def test_every_invariant_names_a_test_that_exists():
    page = INVARIANTS.read_text(encoding="utf-8")

    assert list(promises(page)), "no promise was found: has the table another form?"
    assert faults(page) == []


def test_the_page_says_what_nothing_guards():
    _, found, unguarded = INVARIANTS.read_text(encoding="utf-8").partition(f"\n{_UNGUARDED}\n")

    assert found
    assert not _TEST.search(unguarded), "a promise that names a test belongs into a table"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("| Kept. | |", "no test guards: Kept."),
        ("| Kept. | trust us |", "no test guards: Kept."),
        ("| Kept. | `tests/tidy/test_docs.py::test_of_my_dreams` |", "test_of_my_dreams does not exist"),
        ("| Kept. | `tests/tidy/gone.py::test_x` |", "tests/tidy/gone.py::test_x does not exist"),
    ],
)
def test_a_promise_without_its_test_is_found(row: str, fault: str):
    assert any(fault in each for each in faults(f"| promise | guarded by |\n|---|---|\n{row}\n"))


def test_decisions_are_numbered_without_gaps_and_say_why_and_what_would_change_them():
    names = sorted(file.name for file in DECISIONS.glob("*.md"))

    assert names
    numbers = [int(found.group(1)) for name in names if (found := _DECISION_NAME.match(name))]
    assert numbers == list(range(1, len(names) + 1))
    for name in names:
        text = (DECISIONS / name).read_text(encoding="utf-8")
        assert [each for each in _DECISION_SECTIONS if each not in text] == [], name


@pytest.mark.parametrize("page", [*_PAGES, "README.md"])
def test_links_between_pages_lead_somewhere(page: str):
    file = ROOT / page
    text = file.read_text(encoding="utf-8")

    assert [target for target in _LINK.findall(text) if not (file.parent / target).exists()] == []


def test_every_room_of_the_product_is_on_the_page_and_says_what_belongs_there():
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = sorted((ROOT / "src" / "understudy").glob("**/__init__.py"))

    for package in packages[1:]:
        docstring = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
        assert "Belongs here" in docstring, package
        assert "Does not belong here" in docstring, package
        assert re.search(rf"\b{package.parent.name}\b", page), f"docs/ARCHITECTURE.md does not name {package.parent.name}"
