"""A PostgreSQL server that is protected, reached through its connection string."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline


@dataclass(frozen=True, slots=True)
class Tablespace:
    oid: int
    name: str
    location: str
    """Absolute path on the database's host."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server said of itself at one moment."""

    system_identifier: SystemIdentifier
    version_number: int
    """As ``server_version_num``: 150018, 180004."""
    version: str
    timeline: Timeline
    in_recovery: bool
    wal_flushed: Lsn
    """How far the WAL is safe on the server (on a standby: how far it was received or replayed)."""
    segment_bytes: int
    data_checksums: bool
    tablespaces: tuple[Tablespace, ...]
    settings: Mapping[str, str]
    """The settings that backup and recovery depend on, by name, as ``SHOW`` prints them; absent in older majors, absent here."""
    observed: datetime

    @property
    def major(self) -> int:
        return self.version_number // 10000


@dataclass(frozen=True, slots=True)
class SlotHolder:
    """Who streams through a slot, as the server sees it. Without ``pg_monitor`` the role may see no more than the process."""

    pid: int
    """Of the server's own process that sends."""
    application_name: str
    client_address: str
    """Empty over a Unix-domain socket."""

    def __str__(self) -> str:
        return f"{self.application_name or 'somebody'}{f' at {self.client_address}' if self.client_address else ''}"


@dataclass(frozen=True, slots=True)
class SlotFacts:
    name: str
    active: bool
    restart_lsn: Lsn | None
    """None: nothing is reserved."""
    wal_status: str
    """``reserved``, ``extended``, ``unreserved`` or ``lost`` (manual: ``pg_replication_slots``)."""
    safe_wal_size_bytes: int | None
    """How much more WAL may be written before the slot is lost; None without a limit."""
    holder: SlotHolder | None
    """None where nobody streams."""


@dataclass(frozen=True, slots=True)
class StandbyFacts:
    """A row of ``pg_stat_replication``: one receiver as the server sees it."""

    application_name: str
    state: str
    sync_state: str
    written: Lsn | None
    """What the receiver has written to its spool. It says ``flushed`` only at a segment's end, unless it is synchronous."""
    flushed: Lsn | None


@dataclass(frozen=True, slots=True)
class BaseBackupRequest:
    label: str
    max_rate_kilobytes: int | None = None
    incremental: bool = False
    parent_manifest: Sequence[bytes] = ()
    """The pieces of the parent's ``backup_manifest``; uploaded first when ``incremental`` (PostgreSQL 17 and newer)."""


@dataclass(frozen=True, slots=True)
class BackupStart:
    lsn: Lsn
    timeline: Timeline
    tablespaces: tuple[Tablespace, ...]
    estimated_bytes: int | None


@dataclass(frozen=True, slots=True)
class BackupStop:
    lsn: Lsn
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class ArchiveStream:
    """One tar archive of a base backup. ``tablespace_oid`` is None for the data directory itself.

    ``chunks`` must be consumed to its end before the next archive is asked for.
    """

    tablespace_oid: int | None
    chunks: Iterator[bytes]


class Presence(StrEnum):
    """Whether a server is where the connection string points to. "Cannot be reached" is not "gone"."""

    LISTENING = "listening"
    """Something takes connections there, whatever it then says: a server that starts or refuses us is there, too."""
    NOBODY = "nobody"
    """The host itself said that nothing listens."""
    UNKNOWN = "unknown"
    """No answer: the host is down, or the network is cut, and the server may serve others."""


class BaseBackupStream(Protocol):
    """A base backup on its way. Consume ``archives``, then ``manifest``, then ask for ``stop``; in this order."""

    @property
    def start(self) -> BackupStart: ...

    def archives(self) -> Iterator[ArchiveStream]: ...

    def manifest(self) -> Iterator[bytes]:
        """The server's ``backup_manifest`` (CRC32C per file)."""
        ...

    def stop(self) -> BackupStop:
        """Ends the backup on the server; only then is it one. Does not wait for archiving (``WAIT false``)."""
        ...


class Database(Protocol):
    """The server behind a resource.

    Failures: ``TryAgain("database_unreachable")`` while it refuses connections or starts; ``GiveUp`` with ``password_rejected``,
    ``privilege_missing``, ``system_identifier_changed`` (another cluster answers at the address), ``incremental_refused``,
    ``slot_lost``, ``slots_exhausted``, ``database_error`` (its message as found), each with the line to change as hint where
    there is one. A base backup also fails with ``TryAgain("backup_interrupted")`` (the standby was promoted),
    ``GiveUp("backup_refused")`` (the server can't be backed up as it is set up) and ``GiveUp("source_corrupt")`` (a page's
    checksum is wrong on the server).
    """

    @property
    def address(self) -> str:
        """``host:port`` to show to people; never a password."""
        ...

    def presence(self) -> Presence:
        """Raises nothing: what cannot be told is ``UNKNOWN``."""
        ...

    def facts(self) -> ServerFacts:
        """Cheap, however large the server is."""
        ...

    def size_bytes(self) -> int:
        """Sum over all databases, as ``pg_database_size`` counts: it looks at each file. 0 when the role may not ask."""
        ...

    def wal_flushed(self) -> tuple[Timeline, Lsn]:
        """Cheap: how far the WAL is safe on the server now."""
        ...

    def slot(self, name: str) -> SlotFacts | None: ...

    def reserve_slot(self, name: str) -> SlotFacts:
        """Make the physical slot with its WAL reserved at once, or return it when it exists."""
        ...

    def drop_slot(self, name: str) -> None: ...

    def standbys(self) -> tuple[StandbyFacts, ...]: ...

    def base_backup(self, request: BaseBackupRequest) -> AbstractContextManager[BaseBackupStream]:
        """Leaving the context early ends the backup on the server too; nothing of it stays."""
        ...

    def timeline_history(self, timeline: Timeline) -> bytes:
        """The ``.history`` file's content, through ``TIMELINE_HISTORY``."""
        ...

    def query(self, sql: str, database: str | None = None) -> Sequence[Sequence[str | None]]:
        """Rows as text. For the product's own fixed questions."""
        ...

    def ask(self, check: str, database: str, limit: timedelta) -> Sequence[Sequence[str | None]]:
        """One statement, in a read-only transaction that is rolled back: for the operator's checks.

        Raises:
            GiveUp: ``check_writes``, ``check_too_slow``, ``privilege_missing``, ``database_error``.
        """
        ...

    def execute(self, statements: Iterable[str], database: str | None = None) -> None:
        """Each in a transaction of its own."""
        ...
