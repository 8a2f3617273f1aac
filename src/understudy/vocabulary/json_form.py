"""Values of the product as JSON knows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from understudy.vocabulary.identifiers import BackupLabel, SnapshotLabel
from understudy.vocabulary.wal import Lsn, WalSegment


def to_json(value: object) -> Any:
    """Values as JSON knows them: times with an offset, durations in seconds, enums by value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, BackupLabel | SnapshotLabel | Lsn | WalSegment | Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [to_json(item) for item in value]
    return value
