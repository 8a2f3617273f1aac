"""PostgreSQL servers that run on this host: those that a recovery or a drill brings up, and those it must find gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from understudy.ports.running import Cancellation, Progress
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline


@dataclass(frozen=True, slots=True)
class InstancePlace:
    """Where a server lives; decided in the plan."""

    directory: str
    """The data directory."""
    socket_directory: str
    """At most 90 characters: the socket's whole path must stay within 107 bytes."""
    port: int = 5432
    listen_addresses: str = ""
    """Empty: no network at all, the socket only."""
    client_socket_directory: str = ""
    """Where clients of this host look for the socket once the server is open to them. Empty: nowhere but in ours."""
    log: str = ""
    """The server's log, added to at each start. Empty: one in the socket directory, begun anew at each start."""

    @property
    def log_file(self) -> str:
        return self.log or f"{self.socket_directory}/server.log"


@dataclass(frozen=True, slots=True)
class ControlData:
    """What ``pg_controldata`` says of a data directory."""

    system_identifier: SystemIdentifier
    cluster_state: str
    timeline: Timeline
    checkpoint_lsn: Lsn
    redo_lsn: Lsn
    """Where replay begins when the server is started: of a standby, with its last restart point."""
    minimum_recovery_end: Lsn | None
    data_checksums: bool
    segment_bytes: int
    required_settings: Mapping[str, str]
    """``max_connections`` and its four siblings, which a standby may not undercut."""


class StopMode(StrEnum):
    FAST = "fast"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    running: bool
    accepts_connections: bool
    in_recovery: bool | None
    """None when it could not be asked."""
    replayed: Lsn | None
    last_replayed_commit: str | None
    """ISO 8601 with offset, as the server's own clock stamped it."""
    replay_paused: bool | None
    timeline: Timeline | None
    last_words: tuple[str, ...]
    """The newest lines of its log, for people."""
    refusal: str = ""
    """The server's words where it answers and lets no superuser in, which no waiting changes; empty otherwise."""


@dataclass(frozen=True, slots=True)
class LogicalRead:
    """Every row of one database, read through the server and thrown away."""

    database: str
    relations: int
    """Tables, partitions, materialized views and sequences."""
    rows: int
    relation_bytes: int
    """On disk, TOAST and large objects included, indexes not."""
    large_objects: int
    foreign_tables: int
    """Not read: their rows are elsewhere."""
    definitions_sha256: str
    """Of what ``pg_dump --schema-only`` says: equal digests, equal definitions."""


@dataclass(frozen=True, slots=True)
class ChangedCollation:
    """A collation in use whose rules have another version here than when its objects were made."""

    name: str
    recorded_version: str
    actual_version: str | None
    """None: the library that it came from is not there."""


@dataclass(frozen=True, slots=True)
class CollationChanges:
    collations: tuple[ChangedCollation, ...]
    indexes: tuple[str, ...]
    """Built by the old rules, and to be rebuilt; the first hundred."""
    index_count: int


class Instances(Protocol):
    """Starts, asks and stops servers with one set of programs, as one operating-system user (never root).

    Failures: ``TryAgain("instance_starting")``; ``GiveUp`` with ``instance_failed`` (its own words as finding),
    ``programs_missing``, ``programs_wrong_major``, ``place_busy`` (somebody else's server is there), ``instance_refuses_us`` (no
    superuser is let in, or the server was started by others, with other rules). Questions without a ``database`` are asked in
    whichever lets us in, ``postgres`` where it is there.
    """

    @property
    def owner(self) -> tuple[int, int]:
        """User id and group id that own data directories."""
        ...

    def major(self) -> int:
        """Of the programs."""
        ...

    def control_data(self, directory: str) -> ControlData: ...

    def start(self, place: InstancePlace, settings: Mapping[str, str], hba_lines: Sequence[str] | None = None) -> None:
        """Start the server and return at once; ``facts`` tells when it is up. Nothing happens when it runs there already.

        ``settings`` override the data directory's own. With ``hba_lines`` the server uses only those, and has no network
        where the host allows that: see ``is_cut_off``. A lock file of a dead server whose children still linger is waited for,
        not broken.
        """
        ...

    def command_to_start(self, place: InstancePlace, settings: Mapping[str, str]) -> str:
        """What a person types to start the open server without Understudy, after a reboot of this host for one.

        It needs nothing that Understudy put beside the socket: the server's own authentication files are in force then.
        """
        ...

    def facts(self, place: InstancePlace) -> InstanceFacts: ...

    def is_cut_off(self, place: InstancePlace) -> bool | None:
        """Whether the server has no network but a loopback of its own, so that no code in the database reaches anything over it;
        as the kernel says it. None: it does not run, or cannot be looked at.
        """
        ...

    def promote(self, place: InstancePlace) -> None:
        """Ask for promotion; ``facts`` tells when it is done. Nothing happens when it is promoted already."""
        ...

    def stop(self, place: InstancePlace, mode: StopMode) -> None:
        """Ended and read back as gone, children included. Nothing happens when nothing runs there."""
        ...

    def query(self, place: InstancePlace, sql: str, database: str | None = None) -> Sequence[Sequence[str | None]]: ...

    def ask(self, place: InstancePlace, check: str, database: str, limit: timedelta) -> Sequence[Sequence[str | None]]:
        """One statement, in a read-only transaction that is rolled back: for the operator's checks.

        Raises:
            GiveUp: ``check_writes``, ``check_too_slow``, ``privilege_missing``, ``database_error``.
        """
        ...

    def execute(self, place: InstancePlace, statements: Sequence[str], database: str | None = None) -> None: ...

    def read_logically(
        self, place: InstancePlace, databases: Sequence[str], workers: int, progress: Progress, cancellation: Cancellation
    ) -> Mapping[str, LogicalRead]:
        """All definitions, rows, sequences and large objects, several databases and parts of tables at once.

        Raises:
            GiveUp: ``logical_read_failed`` with the server's words: a page, a definition or a row could not be read.
        """
        ...

    def changed_collations(self, place: InstancePlace, database: str) -> CollationChanges:
        """What sorts otherwise here than where the data come from. Nothing is damaged by that until indexes are used."""
        ...

    def check_structure(self, place: InstancePlace, database: str, workers: int) -> int | None:
        """``pg_amcheck`` over tables and B-trees; how many relations it looked at, or None when the database has no amcheck.

        Raises:
            GiveUp: ``structure_damaged`` with what it found.
        """
        ...

    def verify_checksums(self, directory: str) -> tuple[int, int]:
        """Of a server that is stopped: pages looked at, pages bad (``pg_checksums --check``)."""
        ...
