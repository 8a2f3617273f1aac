"""Values into text. The only place where durations and statuses become words."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

import click

from understudy.records.run import RecordedError
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel
from understudy.vocabulary.wal import Lsn, WalSegment


def duration(value: timedelta | float | None) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``3 h 10 min``."""
    if value is None:
        return "unknown"
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def moment(value: datetime | None) -> str:
    return value.isoformat(timespec="seconds") if value else "never"


def explained(error: RecordedError, indent: str) -> list[str]:
    """A line for each thing that is known of it."""
    lines = [f"{indent}{error.code}: {error.found}"]
    lines += [f"{indent}expected: {error.expected}"] if error.expected else []
    return lines + ([f"{indent}hint: {error.hint}"] if error.hint else [])


def waiting_since(held_up_since: datetime | None, again_at: datetime | None) -> str:
    """Since when something has waited, and until when it will before the next try."""
    return f"since {moment(held_up_since)}, {f'next try {moment(again_at)}' if again_at else 'trying again now'}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO | None = None) -> None:
    """Columns aligned by their widest cell; plain text, so that it can be piped and read aloud."""
    widths = [max(len(row[index]) for row in [headings, *rows]) for index in range(len(headings))]
    bold = (out or sys.stdout).isatty()
    line = "  ".join(heading.ljust(width) for heading, width in zip(headings, widths, strict=True)).rstrip()
    click.echo(click.style(line, bold=True) if bold else line, file=out)
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=out)


def to_json(value: object) -> Any:
    """Values as JSON knows them: times with an offset, durations in seconds, enums by value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, BackupLabel | Lsn | WalSegment | Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [to_json(item) for item in value]
    return value


def print_json(value: object) -> None:
    click.echo(json.dumps(to_json(value), ensure_ascii=False))


def print_error(error: UnderstudyError) -> None:
    """Code, finding, expectation, hint: each on a line of its own, on standard error."""
    colour = sys.stderr.isatty()
    click.echo(click.style(f"error: {error.code}", fg="red", bold=True) if colour else f"error: {error.code}", err=True)
    click.echo(f"  found:    {error.found}", err=True)
    if error.expected:
        click.echo(f"  expected: {error.expected}", err=True)
    if error.hint:
        click.echo(f"  hint:     {error.hint}", err=True)
