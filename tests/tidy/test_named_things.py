"""What texts name can be found: commands that a hint tells to type, paths that a page tells to open."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.tidy.sources import PRODUCT, ROOT, Source, documents, python_sources, snippet
from understudy.cli.reference import commands

COMMANDS = {path for path, _ in commands()}
GROUPS = {path for path in COMMANDS if any(other.startswith(f"{path} ") for other in COMMANDS)}
PROSE = {"as", "made", "may", "serves", "starts"}
"""Words that follow the product's name in a sentence: "run understudy as root"."""

_CALL = re.compile(r"\bunderstudy ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
_FORMAT = re.compile(r"understudy [a-z ]+ v\d+")
_CODE = re.compile(r"`([^`\s]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w.-]+/")


def unknown_commands(text: str) -> Iterator[str]:
    """What stands behind ``understudy`` as if it were a command, and is none. Names of formats, which end in ``v1``, are none."""
    for first, second in _CALL.findall(_FORMAT.sub("", text)):
        command = f"understudy {first}"
        if command not in COMMANDS and first not in PROSE:
            yield command
        elif command in GROUPS and second and f"{command} {second}" not in COMMANDS:
            yield f"{command} {second}"


def strings(source: Source) -> Iterator[tuple[int, str]]:
    """Each string of the code; those with values in them as far as they are written out. Docstrings, too."""
    inner = {id(part) for node in source.nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in source.nodes:
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value


def advice_to_resume(text: str) -> Iterator[str]:
    """To go on with the run that a fault ends. ``understudy resume {}`` means another one."""
    yield from re.findall(r"\bresume\b(?! \{\})", text)


def missing_paths(page: PurePosixPath, text: str) -> Iterator[str]:
    """Paths in backticks that begin in a folder of this repository, of the product or of the page, and lead nowhere."""
    bases = (ROOT, ROOT / PRODUCT, ROOT / page.parent)
    for named in _CODE.findall(text):
        ours = _PATH.fullmatch(named) and any((base / named.partition("/")[0]).is_dir() for base in bases)
        if ours and not any((base / named).exists() for base in bases):
            yield named


def test_every_command_that_the_product_names_exists():
    found = [
        f"{source.path}:{line}: {command}"
        for source in python_sources()
        if source.is_in(PRODUCT)
        for line, text in strings(source)
        for command in unknown_commands(text)
    ]
    assert not found, "\n".join(["", *found])


def test_what_ends_a_run_for_good_never_tells_to_resume_it():
    """``resume`` refuses a run that has failed. Only the runner gives up runs as they stand."""
    raised_in_runs = (f"{PRODUCT}/adapters", f"{PRODUCT}/repository", f"{PRODUCT}/steps", f"{PRODUCT}/runner/step_execution.py")
    found = [
        f"{source.path}:{line}: {text}"
        for source in python_sources()
        if source.is_in(*raised_in_runs)
        for line, text in strings(source)
        for _ in advice_to_resume(text)
    ]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("code", "times"), [("hint = 'free space, and resume'", 1), ("hint = f'go on with it: understudy resume {by}'", 0)]
)
def test_an_advice_to_resume_is_found_and_one_about_another_run_is_left_alone(code: str, times: int):
    assert [each for _, text in strings(snippet(code)) for each in advice_to_resume(text)] == ["resume"] * times


def test_every_command_that_a_page_names_exists():
    found = [f"{path}: {command}" for path, text in documents() for command in unknown_commands(text)]
    assert not found, "\n".join(["", *found])


def test_every_path_that_a_page_names_exists():
    pages = [(path, text) for path, text in documents() if path.suffix == ".md"]
    found = [f"{path}: {named}" for path, text in pages for named in missing_paths(path, text)]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("hint = 'run understudy conjure orders'", "understudy conjure"),
        ("hint = f'{name}: understudy conjure {name}'", "understudy conjure"),
        ("hint = 'understudy evidence burn'", "understudy evidence burn"),
    ],
)
def test_a_command_of_my_dreams_is_found(code: str, command: str):
    assert [each for _, text in strings(snippet(code)) for each in unknown_commands(text)] == [command]


@pytest.mark.parametrize(
    "text", ["understudy backup orders", "understudy evidence verify", "run understudy as root", "understudy run evidence v1"]
)
def test_what_exists_and_what_is_prose_is_left_alone(text: str):
    assert list(unknown_commands(text)) == []


@pytest.mark.parametrize("named", ["docs/gone.md", "steps/gone.py", "tests/gone/", "src/understudy/gone/", "decisions/gone.md"])
def test_a_path_that_leads_nowhere_is_found(named: str):
    assert list(missing_paths(PurePosixPath("docs/ARCHITECTURE.md"), f"see `{named}`")) == [named]


@pytest.mark.parametrize(
    "named", ["docs/INVARIANTS.md", "steps/codec.py", "tests/crash/", "decisions/", "understudy/wal", "0/3000060"]
)
def test_a_path_that_exists_or_is_none_of_ours_is_left_alone(named: str):
    assert list(missing_paths(PurePosixPath("docs/ARCHITECTURE.md"), f"see `{named}`")) == []
