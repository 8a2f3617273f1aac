"""How a base backup is framed in the replication protocol, in both forms that servers speak, as one sequence of events.

Source: PostgreSQL manual, "Streaming Replication Protocol" → ``BASE_BACKUP``, of 15 and of 14; the order of archives and the
missing end of each tar before 15 as ``pg_basebackup.c`` has them. The form of 13 and 14 was written after that documentation and
is tested with scripted answers (``tests/adapters/postgres/test_backup_framing.py``), on no real server of these versions: the
project's machines have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import pq

from understudy.adapters.postgres.connection import text_rows
from understudy.adapters.postgres.copy_stream import CopyStream
from understudy.ports.database import BackupStop, BaseBackupRequest
from understudy.vocabulary.wal import Lsn, Timeline

SINGLE_COPY_SINCE = 150000
"""From 15 on everything comes in one COPY, each message led by a byte that says what it is."""

_DATA, _ARCHIVE, _MANIFEST, _PROGRESS = b"dnmp"
_END_OF_TAR = bytes(1024)


@dataclass(frozen=True, slots=True)
class ArchiveBegins:
    tablespace_oid: int | None


@dataclass(frozen=True, slots=True)
class ManifestBegins:
    pass


BackupEvent: TypeAlias = ArchiveBegins | ManifestBegins | memoryview | BackupStop
"""Pieces of content belong to what began last. ``BackupStop`` is the last event: the server has ended the backup."""


def command(request: BaseBackupRequest, server_version: int) -> str:
    """The ``BASE_BACKUP`` command in the grammar of that server."""
    label = "'" + request.label.replace("'", "''") + "'"
    if server_version < SINGLE_COPY_SINCE:
        parts = [f"LABEL {label}", "PROGRESS FAST NOWAIT"]
        parts += [f"MAX_RATE {request.max_rate_kilobytes}"] if request.max_rate_kilobytes else []
        return " ".join(["BASE_BACKUP", *parts, "TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"])
    options = [f"LABEL {label}", "PROGRESS true", "CHECKPOINT 'fast'", "WAIT false"]
    options += ["MANIFEST 'yes'", "MANIFEST_CHECKSUMS 'CRC32C'", "TABLESPACE_MAP true"]
    options += [f"MAX_RATE {request.max_rate_kilobytes}"] if request.max_rate_kilobytes else []
    options += ["INCREMENTAL"] if request.incremental else []
    return f"BASE_BACKUP ({', '.join(options)})"


def events(copy: CopyStream, server_version: int, tablespace_oids: Sequence[int]) -> Iterator[BackupEvent]:
    """What follows the two results that open a backup. ``tablespace_oids`` in the order in which the server named them."""
    if server_version < SINGLE_COPY_SINCE:
        return _events_of_a_copy_each(copy, tablespace_oids)
    return _events_of_a_single_copy(copy)


def _events_of_a_single_copy(copy: CopyStream) -> Iterator[BackupEvent]:
    _expect(copy.result(), pq.ExecStatus.COPY_OUT)
    while (message := copy.piece()) is not None:
        kind = message[0]
        if kind == _DATA:
            yield message[1:]
        elif kind == _ARCHIVE:
            yield ArchiveBegins(_oid_of(bytes(message[1:]).split(b"\0", 1)[0]))
        elif kind == _MANIFEST:
            yield ManifestBegins()
        elif kind != _PROGRESS:
            raise psycopg.OperationalError(f"the server sent a message of the unknown kind {kind:#x} within BASE_BACKUP")
    yield _stop(copy)


def _events_of_a_copy_each(copy: CopyStream, tablespace_oids: Sequence[int]) -> Iterator[BackupEvent]:
    _expect(copy.result(), pq.ExecStatus.COPY_OUT)
    for oid in (*tablespace_oids, None):
        yield ArchiveBegins(oid)
        while (message := copy.piece()) is not None:
            yield message
        # A COPY that fails merely ends; what follows tells why. So an archive counts as complete only once the next thing begins.
        _expect(copy.result(), pq.ExecStatus.COPY_OUT)
        yield memoryview(_END_OF_TAR)
    yield ManifestBegins()
    while (message := copy.piece()) is not None:
        yield message
    yield _stop(copy)


def _stop(copy: CopyStream) -> BackupStop:
    """The position that closes the backup; raises what made the server abandon it, for a COPY that fails merely ends."""
    result = copy.result()
    if result is not None and result.status == pq.ExecStatus.COMMAND_OK:
        result = copy.result()
    _expect(result, pq.ExecStatus.TUPLES_OK)
    lsn, timeline = text_rows(result)[0][:2]
    copy.finish()
    return BackupStop(Lsn.parse(lsn or ""), Timeline(int(timeline or 0)))


def _expect(result: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        found = "nothing" if result is None else pq.ExecStatus(result.status).name
        raise psycopg.OperationalError(f"the server answered BASE_BACKUP with {found} where {status.name} belongs")


def _oid_of(archive_name: bytes) -> int | None:
    """``16388.tar`` is a tablespace, ``base.tar`` the data directory."""
    stem = archive_name.removesuffix(b".tar")
    return int(stem) if stem.isdigit() else None
