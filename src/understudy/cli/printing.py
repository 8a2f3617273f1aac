"""Values into text that people read in a terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

import click

from understudy.cli.options import on_this_stack
from understudy.documents.words import duration as duration
from understudy.documents.words import in_days as in_days
from understudy.documents.words import moment as moment
from understudy.documents.words import words as words
from understudy.records.run import RecordedError, RunState
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.json_form import to_json


def explained(error: RecordedError, indent: str) -> list[str]:
    """A line for each thing that is known of it."""
    lines = [f"{indent}{error.code}: {error.found}"]
    lines += [f"{indent}expected: {error.expected}"] if error.expected else []
    return lines + ([f"{indent}hint: {on_this_stack(error.hint)}"] if error.hint else [])


def waiting_since(held_up_since: datetime | None, again_at: datetime | None) -> str:
    """Since when something has waited, and until when it will before the next try."""
    return f"since {moment(held_up_since)}, {f'next try {moment(again_at)}' if again_at else 'trying again now'}"


def state_told(state: RunState) -> str:
    """How a run stands, or ended; coloured on a terminal, where whoever prints it takes colours off elsewhere."""
    return click.style(words(state.value), fg=_STATES.get(state, "yellow"))


_STATES = {RunState.SUCCEEDED: "green", RunState.FAILED: "red"}


def is_plain() -> bool:
    """Whether colours are unwanted also on a terminal: https://no-color.org, or one that knows none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def write_over(line: str) -> None:
    """Put a line in the place of the one that the cursor is in; for a terminal behind standard error only."""
    click.echo(f"\r\033[K{line}", nl=False, err=True, color=True)  # to clear the line is no colour, and stays


def width_of(out: TextIO) -> int | None:
    """Columns of a terminal; None of a pipe or a file, for which nothing is folded."""
    return shutil.get_terminal_size().columns if out.isatty() else None


def say(text: str = "", *, hang: int | None = None, err: bool = False, out: TextIO | None = None) -> None:
    """Print lines, each folded between words where a terminal is narrower."""
    stream = out or (sys.stderr if err else sys.stdout)
    width = width_of(stream)
    click.echo("\n".join(folded(line, width, hang) for line in text.split("\n")), file=stream)


def folded(line: str, width: int | None, hang: int | None = None) -> str:
    """Broken between words only, so that a name, a path or an LSN stays whole and can be copied.

    Args:
        hang: The indentation of what follows the first line; two more than that of the line itself when not given. A word that
            is too long for what is left of the line then is given less of it.
    """
    if width is None or _visible(line) <= width:
        return line
    usual = len(line) - len(line.lstrip(" ")) + 2
    indentations = (usual if hang is None else hang, usual, 0)
    lines = [""]
    for word in re.findall(r" *[^ ]+", line):
        if lines[-1].strip() and _visible(lines[-1] + word) > width:
            bare = word.lstrip(" ")
            fitting = next((each for each in indentations if each + _visible(bare) <= width), 0)
            lines.append(" " * fitting + bare)
        else:
            lines[-1] += word
    return "\n".join(lines)


def _visible(text: str) -> int:
    return len(click.unstyle(text))


_LEAST_FOLDED_COLUMNS = 20


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    out: TextIO | None = None,
    *,
    shed: Sequence[str] = (),
    fold: str = "",
) -> None:
    """Columns aligned by their widest cell; plain text, so that it can be piped and read aloud.

    Where a terminal is too narrow, columns go, then each row becomes a block of lines. No cell is cut or broken in a word.

    Args:
        shed: Headings of the columns that may go, the least important first.
        fold: Heading of the last column, where it holds sentences.
    """
    stream = out or sys.stdout
    for line in table_lines(headings, rows, width_of(stream), shed=shed, fold=fold):
        click.echo(click.style(line.text, bold=True) if line.heading and stream.isatty() else line.text, file=stream)


@dataclasses.dataclass(frozen=True, slots=True)
class TableLine:
    text: str
    heading: bool = False


def table_lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, shed: Sequence[str] = (), fold: str = ""
) -> list[TableLine]:
    """As ``table`` prints them; ``width`` None is unlimited."""
    kept = list(range(len(headings)))
    going = [headings.index(heading) for heading in shed]
    while True:
        widths = {index: max(len(row[index]) for row in [headings, *rows]) for index in kept}
        fixed = sum(widths[index] + 2 for index in kept if headings[index] != fold)
        last = _LEAST_FOLDED_COLUMNS if fold else -2
        if width is None or sum(widths.values()) + 2 * (len(kept) - 1) <= width or fixed + last <= width:
            lines = [TableLine(_row([headings[index] for index in kept], [*widths.values()]), heading=True)]
            hang = fixed if fold else None
            return lines + [
                TableLine(folded(_row([row[index] for index in kept], [*widths.values()]), width, hang)) for row in rows
            ]
        if not going:
            return _blocks(headings, rows, width)
        kept.remove(going.pop(0))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[TableLine]:
    """Each row as lines of its own: nothing is left out where there is no room for columns anyway."""
    names = max(map(len, headings))
    lines: list[TableLine] = []
    for row in rows:
        lines += [TableLine("")] if lines else []
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                lines.append(TableLine(folded(f"{heading.ljust(names)}  {cell}", width, names + 2)))
    return lines


def print_json(value: object) -> None:
    click.echo(json.dumps(to_json(value), ensure_ascii=False))


def print_error(error: UnderstudyError) -> None:
    """Code, finding, expectation, hint: each on a line of its own, on standard error."""
    colour = sys.stderr.isatty() and not is_plain()  # said outside of a command, too, where nothing takes colours off
    click.echo(click.style(f"error: {error.code}", fg="red", bold=True) if colour else f"error: {error.code}", err=True)
    say("\n".join(found_lines(error.found, error.expected, error.hint)), hang=FOUND_HANG, err=True)


FOUND_HANG = 12
"""Where the text of ``found_lines`` begins."""


def found_lines(found: str, expected: str, hint: str) -> list[str]:
    """What was found and expected, and what to do; each on a line of its own."""
    parts = (("found:", found), ("expected:", expected), ("hint:", on_this_stack(hint)))
    return [f"  {name.ljust(9)} {text}" for name, text in parts if text]
