"""The project's own files, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
PRODUCT = "src/understudy"


@dataclass(frozen=True)
class Source:
    """A Python file, by its path in the repository."""

    path: PurePosixPath
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.text)

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree, as ``ast.walk`` finds them."""
        return _nodes(self.text)

    def is_in(self, *folders: str) -> bool:
        return any(self.path.is_relative_to(folder) for folder in folders)

    @property
    def room(self) -> str:
        """``adapters/clock`` is the room of ``src/understudy/adapters/clock/system.py``."""
        return str(self.path.relative_to(PRODUCT).parent) if self.is_in(PRODUCT) else ""


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_parsed(text)))


def snippet(text: str, path: str = f"{PRODUCT}/plan/snippet.py") -> Source:
    return Source(PurePosixPath(path), text)


@cache
def python_sources() -> tuple[Source, ...]:
    return tuple(_python_sources())


def _python_sources() -> Iterator[Source]:
    for folder in ("src", "tests", "bench"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield Source(PurePosixPath(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))


def documents() -> Iterator[tuple[PurePosixPath, str]]:
    """What people read: Markdown anywhere but in dot-directories, and everything beneath ``docs``."""
    files = {
        *ROOT.glob("*.md"),
        *(ROOT / "bench").glob("**/*.md"),
        *(file for file in (ROOT / "docs").rglob("*") if file.is_file()),
    }
    for file in sorted(files):
        yield PurePosixPath(file.relative_to(ROOT)), file.read_text(encoding="utf-8", errors="replace")


def dotted_names(source: Source) -> Iterator[tuple[int, str]]:
    """Each name that is used, spelled out through the file's imports: ``now`` as ``datetime.datetime.now``."""
    known: dict[str, str] = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                known[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in source.nodes:
        if isinstance(node, (ast.Attribute, ast.Name)):
            spelled = _spelled(node, known)
            if spelled:
                yield node.lineno, spelled


def imported_modules(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _spelled(node: ast.expr, known: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        before = _spelled(node.value, known)
        return f"{before}.{node.attr}" if before else None
    return None
