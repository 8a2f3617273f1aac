"""A paper as Markdown (CommonMark with tables), which is read as text, too. What comes from elsewhere is escaped: it stays "
"text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from understudy.documents.markup import spelled_out
from understudy.documents.paper import (
    Block,
    Chapter,
    FillIn,
    Grid,
    Lines,
    Pairs,
    Paper,
    Piece,
    Points,
    Room,
    Said,
    Template,
    Text,
    Tone,
    Typed,
    Verbatim,
    Verdict,
    pieces,
)

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&]")
_AT_THE_START = re.compile(r"^(\d*)([#+.)-])(?=\s|$)")


def markdown(paper: Paper) -> str:
    """The whole document, ending in a line break."""
    made = f"Made {_moment(paper.made)} by Understudy {escaped(paper.made_by_version)}."
    kind = "" if paper.title.startswith(paper.kind) else f"{escaped(paper.kind)}."
    parts = [f"# {escaped(paper.title)}", kind, *(_block(each) for each in paper.about)]
    if paper.with_contents:
        parts += ["## Contents", "\n".join(f"{number}. {escaped(each.title)}" for number, each in enumerate(paper.chapters, 1))]
    parts += [_chapter(each, 2) for each in paper.chapters]
    return "\n\n".join([*(each for each in parts if each), made]) + "\n"


def escaped(text: str) -> str:
    """As a line of text: no mark-up, no HTML, no line break."""
    return _begun(_inside(text))


def _inside(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found.group()}", " ".join(spelled_out(text).split()))


def _begun(flat: str) -> str:
    """What would make a list or a heading of a line where it stands at its beginning."""
    return _AT_THE_START.sub(lambda found: f"{found.group(1)}\\{found.group(2)}", flat)


def _block(block: Block, level: int = 2) -> str:
    match block:
        case Lines(text):
            return _line(text)
        case Verdict(text):
            return f"**{escaped(text)}**"
        case Pairs(pairs):
            return "\n".join(f"- {escaped(name)}: {_line(value)}" for name, value in pairs)
        case Grid():
            return "\n".join(_grid(block))
        case Points(items, numbered, to_tick):
            marks = (f"{number}." if numbered else "- [ ]" if to_tick else "-" for number in range(1, len(items) + 1))
            return "\n".join(f"{mark} {_line(item)}" for mark, item in zip(marks, items, strict=True))
        case Typed(lines):
            return "\n".join(f"    {spelled_out(line)}" for line in lines)
        case Template(lines):
            return "\n>\n".join(f"> {escaped(line)}" for line in lines)
        case Room(lines, about):
            said = f"{escaped(about)}\n\n" if about else ""
            return said + "\n\n".join(["\\_" * 60] * lines)
        case FillIn(headings, rows, caption):
            return "\n".join(_grid(Grid(headings, (("",) * len(headings),) * rows, caption)))
        case Chapter():
            return _chapter(block, level + 1)


def _chapter(chapter: Chapter, level: int) -> str:
    inside = [_block(each, level) for each in chapter.blocks]
    return "\n\n".join([f"{'#' * level} {escaped(chapter.title)}", *(each for each in inside if each)])


def _grid(grid: Grid) -> Iterator[str]:
    yield f"{escaped(grid.caption)}:"
    yield ""
    yield f"| {' | '.join(map(escaped, grid.headings))} |"
    yield "|" + "|".join("---:" if each in grid.numbers else "---" for each in grid.headings) + "|"
    for row in grid.rows:
        yield f"| {' | '.join(_line(cell, in_table=True) for cell in row)} |"


def _line(text: Text, *, in_table: bool = False) -> str:
    return _begun("".join(_piece(each, in_table=in_table) for each in pieces(text)))


def _piece(piece: Piece, *, in_table: bool) -> str:
    match piece:
        case None:
            return ""
        case Verbatim(text):
            return _code(text, in_table=in_table)
        case Said(text, tone):
            return _spaced(text, _inside(text) if tone is Tone.SOFT else f"**{_inside(text)}**")
        case datetime():
            return _moment(piece)
        case _:
            return _spaced(piece, _inside(piece))


def _spaced(text: str, made: str) -> str:
    """With the blanks that the text has at its ends: they part it from the next piece."""
    return f"{' ' if text[:1].isspace() else ''}{made}{' ' if text[-1:].isspace() and text.strip() else ''}"


def _code(text: str, *, in_table: bool) -> str:
    flat = " ".join(spelled_out(text).split("\n"))
    longest = max((len(each) for each in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    padded = f" {flat} " if flat.startswith("`") or flat.endswith("`") or not flat.strip() else flat
    return f"{fence}{padded.replace('|', chr(92) + '|') if in_table else padded}{fence}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
