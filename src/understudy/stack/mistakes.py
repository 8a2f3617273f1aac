"""What is wrong with a stack file, and where: for people, so nothing secret is ever part of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.vocabulary.errors import Refusal

_LONGEST_VALUE = 80
_SHOWN_TOGETHER = 50

_MASKS = (
    # Greedy up to the last @: a password may hold one itself, and hiding too much harms nobody.
    (re.compile(r"(://[^\s:/?#@]*):\S*@"), r"\1:***@"),
    (re.compile(r"((?:password|passwd|pwd|pass|secret|token|key)\w*\s*[=:]\s*)\S.*", re.IGNORECASE | re.DOTALL), r"\1***"),
    (re.compile(r"AGE-SECRET-KEY-\S*", re.IGNORECASE), "AGE-SECRET-KEY-***"),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a stack file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    """The key as ``resources.orders.checks[0].sql``; empty where the text is no YAML."""
    value: str
    """The offending value, masked and shortened; or a description such as ``a list`` or ``nothing``."""
    expected: str

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {subject}found {self.value}; expected {self.expected}"


class StackFileInvalid(Refusal):
    """The stack file can't be used. ``mistakes`` holds all of them, in the order of the file."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        lines = [str(mistake) for mistake in self.mistakes[:_SHOWN_TOGETHER]]
        if count > _SHOWN_TOGETHER:
            lines.append(f"… and {count - _SHOWN_TOGETHER} more")
        super().__init__(
            "stack_file_invalid",
            found=f"{count} mistake{'' if count == 1 else 's'} in {file}\n  " + "\n  ".join(lines),
            expected="at each of these places what its line expects",
            hint="correct these lines; docs/stack-file.md explains every key",
        )


def shown(text: str) -> str:
    """A value as a message may show it: what looks like a secret masked, on one line, not too long."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    first, line_break, _ = text.partition("\n")
    shortened = first[:_LONGEST_VALUE]
    if line_break or len(first) > _LONGEST_VALUE:
        shortened += "…"
    printable = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shortened)
    return printable or "an empty text"


def shown_secret(text: str) -> str:
    """A value of a field that takes a secret's reference: only its beginning may be told."""
    for prefix in ("env:", "file:", "postgresql://", "postgres://"):
        if text.startswith(prefix):
            return f"{prefix}***"
    return "***"
