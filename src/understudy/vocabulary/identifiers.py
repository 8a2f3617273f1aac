"""Names that identify things. ``NewType`` where any text will do, classes where the text has a grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

StackName = NewType("StackName", str)
ResourceName = NewType("ResourceName", str)
RepositoryName = NewType("RepositoryName", str)
Person = NewType("Person", str)
PlanId = NewType("PlanId", str)
RunId = NewType("RunId", str)
StepKey = NewType("StepKey", str)
"""Stable and readable: ``orders/restore-base-backup``."""

SystemIdentifier = NewType("SystemIdentifier", str)
"""PostgreSQL's 64-bit identifier of a cluster, in decimal as ``IDENTIFY_SYSTEM`` prints it."""

NAME_PATTERN = re.compile(r"^[a-z]([a-z0-9_-]{0,38}[a-z0-9])?\Z")
"""What a stack, resource, repository or service may be called: it becomes a path, an object key and part of a slot's name."""


class BackupKind(StrEnum):
    FULL = "full"
    INCREMENTAL = "incremental"


class BackupOrigin(StrEnum):
    """Who asked for a backup: retention keeps longer what a person wanted to have."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    """A schedule, or a rule of our own: the first backup of a resource, the one after a recovery."""


_LABEL_GRAMMAR = re.compile(r"[0-9]{8}-[0-9]{6}F(_[0-9]{8}-[0-9]{6}I)?")


@dataclass(frozen=True, slots=True, order=True)
class BackupLabel:
    """A backup's name in the field's notation: ``20261123-030000F`` or ``20261123-030000F_20261124-030000I``.

    An incremental names its full backup, so that a listing shows chains; its direct parent is in its manifest.
    """

    text: str

    def __post_init__(self) -> None:
        if not _LABEL_GRAMMAR.fullmatch(self.text):
            raise ValueError(f"not a backup label: {self.text!r}; expected something like 20261123-030000F")

    @classmethod
    def of_full(cls, started: datetime) -> BackupLabel:
        return cls(f"{started:%Y%m%d-%H%M%S}F")

    @classmethod
    def of_incremental(cls, full: BackupLabel, started: datetime) -> BackupLabel:
        return cls(f"{full.chain.text}_{started:%Y%m%d-%H%M%S}I")

    @property
    def kind(self) -> BackupKind:
        return BackupKind.INCREMENTAL if "_" in self.text else BackupKind.FULL

    @property
    def chain(self) -> BackupLabel:
        """The label of the full backup that this one stands on (itself, for a full one)."""
        return BackupLabel(self.text.partition("_")[0])

    @property
    def begun(self) -> datetime | None:
        """When its backup was begun, as it says; None where it names no moment."""
        return _moment(self.text[-16:-1])

    def __str__(self) -> str:
        return self.text


def is_backup_label(text: str) -> bool:
    return bool(_LABEL_GRAMMAR.fullmatch(text))


_SNAPSHOT_GRAMMAR = re.compile(r"[0-9]{8}-[0-9]{6}S")


@dataclass(frozen=True, slots=True, order=True)
class SnapshotLabel:
    """A snapshot's name: the second in which it was begun, ``20261123-030000S``. UTC."""

    text: str

    def __post_init__(self) -> None:
        if not is_snapshot_label(self.text):
            raise ValueError(f"not a snapshot's label: {self.text!r}; expected something like 20261123-030000S")

    @classmethod
    def of(cls, begun: datetime) -> SnapshotLabel:
        """``begun`` in UTC."""
        return cls(f"{begun:%Y%m%d-%H%M%S}S")

    @property
    def begun(self) -> datetime | None:
        """As it says; None where it names no moment."""
        return _moment(self.text[:-1])

    def __str__(self) -> str:
        return self.text


def is_snapshot_label(text: str) -> bool:
    return bool(_SNAPSHOT_GRAMMAR.fullmatch(text))


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(f"{text}+0000", "%Y%m%d-%H%M%S%z")
    except ValueError:
        return None
