"""What a row found, as values and as JSON: the report is rendered from these alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity of one subject, a value for each round."""

    subject: str
    quantity: str
    """With its unit last: ``wall s``, ``CPU s``, ``size MiB``."""
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two quantities of the same rounds as a ratio, ours over theirs; or one value against a limit, without ``theirs``."""

    what: str
    ours: Sequence[float]
    theirs: Sequence[float] | None = None
    target: float | None = None
    higher_is_better: bool = False


@dataclass(frozen=True, slots=True)
class RowResult:
    name: str
    title: str
    how: str
    """How each figure was obtained, in sentences."""
    measured: Sequence[Measured]
    compared: Sequence[Compared]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row with the circumstances it was measured in."""

    row: RowResult
    circumstances: Mapping[str, str] = field(default_factory=dict)


def save(path: Path, measurements: Mapping[str, Measurement]) -> None:
    path.write_text(json.dumps({name: asdict(each) for name, each in measurements.items()}, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Measurement]:
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    return {name: Measurement(_row(each["row"]), each["circumstances"]) for name, each in document.items()}


def _row(fields: dict[str, object]) -> RowResult:
    measured = [Measured(**each) for each in fields.pop("measured")]  # type: ignore[attr-defined]
    compared = [Compared(**each) for each in fields.pop("compared")]  # type: ignore[attr-defined]
    return RowResult(measured=measured, compared=compared, **fields)  # type: ignore[arg-type]
