"""The errors that this version can end with, and what they then advise: read from its own code, so that no list can be behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import understudy
from understudy.documents.disaster_plan import ErrorAdvice

_RAISED = frozenset({"TryAgain", "GiveUp", "Refusal"})
OF_RECOVERIES = ("plan", "steps")
"""Rooms whose errors a recovery meets."""
_VALUE = "…"


def known_errors(rooms: Sequence[str] = OF_RECOVERIES) -> tuple[ErrorAdvice, ...]:
    """One for each code, by its code. Values that a message names are an ellipsis. Empty where the sources are not installed."""
    root = Path(understudy.__file__).parent
    found: dict[str, ErrorAdvice] = {}
    for room in rooms:
        for file in sorted((root / room).rglob("*.py")):
            for advice in _of(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault(advice.code, advice)
    return tuple(found[code] for code in sorted(found))


def _of(tree: ast.Module) -> Iterator[ErrorAdvice]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in _RAISED or not node.args:
            continue
        code = node.args[0]
        told = {each.arg: _text(each.value) for each in node.keywords if each.arg in ("expected", "hint")}
        if isinstance(code, ast.Constant) and isinstance(code.value, str) and told.get("hint"):
            yield ErrorAdvice(code.value, told.get("expected") or _VALUE, told["hint"])


def _text(node: ast.expr) -> str:
    """Empty where it is put together elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else _VALUE for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = _text(node.left), _text(node.right)
        return "".join(each or _VALUE for each in parts) if any(parts) else ""
    return ""
