"""A document as what it says, whatever it is printed as: one content, from which HTML, PDF and Markdown are made alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class Tone(StrEnum):
    """How a word is meant, beside what it says."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A name, a path or a command, to be copied as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A word that is good or bad news."""

    text: str
    tone: Tone


Piece: TypeAlias = str | Verbatim | Said | datetime | None
Text: TypeAlias = Piece | Sequence[Piece]
"""What stands in a line. Of a moment the second counts; None is nothing."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A paragraph."""

    text: Text
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names, and what they are."""

    pairs: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, whose first column names the rows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: str
    numbers: tuple[str, ...] = ()
    """Headings of the columns that are aligned to the right."""


@dataclass(frozen=True, slots=True)
class Points:
    """A list; numbered where the order counts."""

    items: tuple[Text, ...]
    numbered: bool = False
    to_tick: bool = False
    """With a box before each, for a pen."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Commands to type, a line for each."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A text to copy and to send, a line for each paragraph. What stands in square brackets is filled in first."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """So many lines to write on."""

    lines: int
    about: str = ""


@dataclass(frozen=True, slots=True)
class FillIn:
    """A table with so many empty rows."""

    headings: tuple[str, ...]
    rows: int
    caption: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a document comes to, in one sentence."""

    text: str
    tone: Tone


Block: TypeAlias = "Lines | Pairs | Grid | Points | Typed | Template | Room | FillIn | Verdict | Chapter"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading, and what stands below it. Within a chapter it is a part of it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    kind: str
    """What it is: ``Disaster recovery plan``."""
    title: str
    about: tuple[Block, ...]
    """What stands before the first chapter."""
    chapters: tuple[Chapter, ...]
    made: datetime
    made_by_version: str
    subject: str = ""
    """What a program tells such documents apart by: a run's name."""
    with_contents: bool = False
    """Whether a list of the chapters stands before them."""


def pieces(text: Text) -> tuple[Piece, ...]:
    """The parts of a line, one after another."""
    if text is None:
        return ()
    if isinstance(text, str | Verbatim | Said | datetime):
        return (text,)
    return tuple(text)
