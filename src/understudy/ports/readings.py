"""What is remembered of when each stored unit was read back, and what was found then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId


@dataclass(frozen=True, slots=True)
class ReadFault:
    """What was found of a unit that is not as it was signed."""

    code: str
    found: str
    expected: str
    hint: str
    labels: tuple[str, ...]
    """The backups or snapshots that cannot be restored from this repository because of it; none, where no restore reads it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One unit: an object, or a segment of WAL with all of its pieces."""

    unit: str
    size_bytes: int
    """As it is stored."""
    read: datetime | None
    """When all of it was read last; None: never yet."""
    run: RunId | None = None
    """Which did so last; None: none did, or a command that is no run."""
    fault: ReadFault | None = None
    damaged_since: datetime | None = None
    """When it was first found so, where it was since."""


@dataclass(frozen=True, slots=True)
class Found:
    """What reading a unit came to."""

    unit: str
    size_bytes: int | None
    """None: as it is known; of a unit that is not known yet only a fault is noted."""
    fault: ReadFault | None = None


class Readings(Protocol):
    """Of each repository, for each resource. It is bounded by what is stored: what is not any more is forgotten."""

    def of(self, repository: RepositoryName, resource: ResourceName) -> tuple[Reading, ...]:
        """Everything that is known of, in the order of the units' names."""
        ...

    def refresh(self, repository: RepositoryName, resource: ResourceName, sizes: Mapping[str, int]) -> None:
        """``sizes`` is all that is stored, by unit: what is new, or of another size, was never read; what is not among it is
        forgotten.
        """
        ...

    def note(self, repository: RepositoryName, resource: ResourceName, found: Sequence[Found], run: RunId | None = None) -> None:
        """These were read now, to their end or to what is wrong with them; ``run`` None where no run did."""
        ...
