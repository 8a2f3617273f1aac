"""A base backup through the replication protocol: every tablespace and the server's manifest in one stream.

Not ``pg_basebackup``: to a pipe it gives neither several tablespaces nor the stop position before its end, and it waits for an
archiver that may never succeed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import psycopg
from psycopg import pq

from understudy.adapters.postgres.backup_framing import (
    ArchiveBegins,
    BackupEvent,
    ManifestBegins,
    command,
    events,
)
from understudy.adapters.postgres.connection import Connection, text_rows
from understudy.adapters.postgres.copy_stream import CopyStream
from understudy.adapters.postgres.failures import statement_failure
from understudy.ports.database import ArchiveStream, BackupStart, BackupStop, BaseBackupRequest, Tablespace
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.majors import FIRST_INCREMENTAL_MAJOR
from understudy.vocabulary.wal import Lsn, Timeline

_CHUNK_BYTES = 1024 * 1024
_FAREWELL_SECONDS = 5.0
_DATA_CORRUPTED = "XX001"
_NOT_IN_PREREQUISITE_STATE = "55000"


class ProtocolBaseBackup:
    """A ``BaseBackupStream``: the server's messages, put together to pieces of about 1 MiB."""

    def __init__(self, start: BackupStart, incoming: Iterator[BackupEvent], translate: _Translation) -> None:
        self._start = start
        self._incoming = incoming
        self._translate = translate
        self._pending: BackupEvent | None = None

    @property
    def start(self) -> BackupStart:
        return self._start

    @property
    def ended(self) -> bool:
        """Whether the server has ended the backup by itself."""
        return isinstance(self._pending, BackupStop)

    def archives(self) -> Iterator[ArchiveStream]:
        while True:
            event = self._take()
            if not isinstance(event, ArchiveBegins):
                self._pending = event
                return
            yield ArchiveStream(event.tablespace_oid, self._content())
            if self._pending is None:
                raise ValueError("an archive must be consumed to its end before the next one is asked for")

    def manifest(self) -> Iterator[bytes]:
        if not isinstance(self._take(), ManifestBegins):
            raise ValueError("consume every archive before the manifest")
        yield from self._content()

    def stop(self) -> BackupStop:
        if not isinstance(self._pending, BackupStop):
            raise ValueError("consume the archives and the manifest before asking for the stop")
        return self._pending

    def _content(self) -> Iterator[bytes]:
        gathered: list[memoryview] = []
        size = 0
        while isinstance(event := self._next(), memoryview):
            gathered.append(event)
            size += len(event)
            if size >= _CHUNK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
        self._pending = event
        if gathered:
            yield b"".join(gathered)

    def _take(self) -> BackupEvent:
        pending, self._pending = self._pending, None
        return pending if pending is not None else self._next()

    def _next(self) -> BackupEvent:
        with self._translate:
            return next(self._incoming)


class _Translation(contextlib.AbstractContextManager["_Translation"]):
    """Turns psycopg's errors of a running backup into ours; knows what the server warned of before."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.warnings: list[str] = []

    def note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(diagnostic.message_primary or "")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, psycopg.Error):
            raise self.of(error) from error

    def of(self, error: psycopg.Error) -> UnderstudyError:
        words = _in_one_line(error.diag.message_primary or str(error))
        if error.sqlstate == _DATA_CORRUPTED:
            return GiveUp(
                "source_corrupt",
                found=f"{self._address}: {'; '.join([*self.warnings[:5], words])}",
                expected="pages whose checksums hold",
                hint="the database itself is damaged there, and this backup would be too: keep the older backups, find out which "
                "table it is (pg_filenode_relation) and recover it",
            )
        if error.sqlstate == _NOT_IN_PREREQUISITE_STATE:
            return TryAgain(
                "backup_interrupted",
                found=f"{self._address}: {words}",
                expected="a server whose role does not change",
                hint="the backup begins again by itself; if this returns, see in the server's log who promotes or restarts it",
            )
        return statement_failure(error, self._address)

    def refusal(self, error: psycopg.Error, incremental: bool) -> UnderstudyError:
        """Of a backup that has not begun yet. What stands against a full one does not pass by itself: it is how the server is
        configured, and a standby may have to wait for its primary to be changed."""
        if not incremental:
            return self._not_begun(error) if error.sqlstate == _NOT_IN_PREREQUISITE_STATE else self.of(error)
        passing = statement_failure(error, self._address)
        return passing if isinstance(passing, TryAgain) else _refused(passing.found)

    def _not_begun(self, error: psycopg.Error) -> GiveUp:
        return GiveUp(
            "backup_refused",
            found=f"{self._address}: {_in_one_line(error.diag.message_primary or str(error))}",
            expected="a server that is set up to be backed up while it runs",
            hint=_in_one_line(error.diag.message_hint or "see the server's log, and: understudy check"),
        )


@contextlib.contextmanager
def open_base_backup(
    connection: Connection, address: str, request: BaseBackupRequest, tablespace_names: Mapping[int, str]
) -> Iterator[ProtocolBaseBackup]:
    """Take a base backup over a replication connection, which is closed at the end.

    Left early, the server is told to abandon the backup, and is given a few seconds to do so before the connection is cut.
    """
    translate = _Translation(address)
    stream: ProtocolBaseBackup | None = None
    copy = CopyStream(connection)
    connection.add_notice_handler(translate.note)
    try:
        version = connection.info.server_version
        if request.incremental:
            _upload_parent_manifest(copy, version, request, translate)
        start = _begin(copy, version, request, tablespace_names, translate)
        stream = ProtocolBaseBackup(start, events(copy, version, [each.oid for each in start.tablespaces]), translate)
        yield stream
    finally:
        if stream is None or not stream.ended:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_FAREWELL_SECONDS)
                copy.discard(_FAREWELL_SECONDS)
        connection.close()


def _upload_parent_manifest(copy: CopyStream, version: int, request: BaseBackupRequest, translate: _Translation) -> None:
    if version // 10000 < FIRST_INCREMENTAL_MAJOR:
        raise _refused(
            f"PostgreSQL {version // 10000} knows no incremental backups; {FIRST_INCREMENTAL_MAJOR} is the first that does"
        )
    try:
        copy.send("UPLOAD_MANIFEST")
        copy.result()
        copy.upload(request.parent_manifest)
        copy.finish()
    except psycopg.Error as error:
        raise translate.refusal(error, incremental=True) from error


def _begin(
    copy: CopyStream, version: int, request: BaseBackupRequest, names: Mapping[int, str], translate: _Translation
) -> BackupStart:
    try:
        copy.send(command(request, version))
        lsn, timeline = _rows(copy)[0][:2]
        listed = _rows(copy)
    except psycopg.Error as error:
        raise translate.refusal(error, request.incremental) from error
    tablespaces = tuple(
        Tablespace(int(oid), names.get(int(oid), oid), location or "") for oid, location, _ in listed if oid is not None
    )
    kilobytes = [int(size) for _, _, size in listed if size is not None]
    return BackupStart(
        lsn=Lsn.parse(lsn or ""),
        timeline=Timeline(int(timeline or 0)),
        tablespaces=tablespaces,
        estimated_bytes=sum(kilobytes) * 1024 if kilobytes else None,
    )


def _rows(copy: CopyStream) -> list[tuple[str | None, ...]]:
    result = copy.result()
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError("the server answered BASE_BACKUP without the rows that open it")
    return text_rows(result)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _refused(found: str) -> GiveUp:
    return GiveUp(
        "incremental_refused",
        found=found,
        expected="a server that has summaries of all WAL since the parent backup (summarize_wal = on, 17 and newer)",
        hint="take a full backup instead",
    )
