"""Every row of every database, read by several connections at once and thrown away on the server.

``COPY … TO '/dev/null'`` takes each value out of its row and its TOAST table and through its type's output function, which is
what finds a broken one, and sends nothing to anybody. All connections to a database see one exported snapshot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from understudy.adapters.postgres.local_session import LocalSession
from understudy.adapters.postgres.read_pieces import (
    LARGE_OBJECT_BOUNDS,
    LARGE_OBJECTS,
    RELATIONS,
    SESSION,
    ReadPiece,
    large_object_pieces,
    relation_pieces,
)
from understudy.ports.instance import LogicalRead
from understudy.ports.running import Cancellation, Progress
from understudy.vocabulary.errors import GiveUp

_LOOK_EVERY_SECONDS = 0.2
_BEGIN = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TOO_WIDE_AS_TEXT = ("Cannot enlarge string buffer", "string buffer exceeds maximum", "invalid memory alloc request size")
"""Bytes take twice their size as text, and nothing in a server's memory may be larger than 1 GB."""

Connect = Callable[[str], AbstractContextManager[LocalSession]]
"""To a database, without converting between encodings: what it holds is nobody's text here."""


@dataclass(slots=True)
class _OpenDatabase:
    """A database that is being read. Its snapshot can be taken over for as long as the session that exported it is there."""

    name: str
    snapshot: str
    session: ExitStack
    relations: int
    large_objects: int
    foreign_tables: int
    pieces: Sequence[ReadPiece]
    definitions_sha256: str = ""
    rows: int = 0
    under_way: int = 0
    handed_out: bool = False

    @property
    def size_bytes(self) -> int:
        return sum(piece.size_bytes for piece in self.pieces)

    def close_when_read(self) -> None:
        if self.handed_out and self.under_way == 0:
            self.session.close()

    def result(self) -> LogicalRead:
        return LogicalRead(
            database=self.name,
            relations=self.relations,
            rows=self.rows,
            relation_bytes=self.size_bytes,
            large_objects=self.large_objects,
            foreign_tables=self.foreign_tables,
            definitions_sha256=self.definitions_sha256,
        )


@dataclass(slots=True)
class LogicalReader:
    """One reading. ``dump_definitions`` takes a database and a snapshot, and returns the SHA-256 of what is defined there."""

    connect: Connect
    dump_definitions: Callable[[str, str], str]
    major: int
    _opened: list[_OpenDatabase] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Over the handing out of pieces, and over all figures."""
    _total_bytes: int = 0
    _read_bytes: int = 0

    def read(
        self, databases: Sequence[str], workers: int, progress: Progress, cancellation: Cancellation
    ) -> Mapping[str, LogicalRead]:
        """
        Raises:
            GiveUp: ``logical_read_failed``.
            psycopg.OperationalError: a connection could not be had.
        """
        pieces = self._hand_out(databases)
        try:
            with ThreadPoolExecutor(workers, thread_name_prefix="read") as threads:
                self._watch({threads.submit(self._work, pieces) for _ in range(workers)}, progress, cancellation)
        finally:
            for database in self._opened:
                with suppress(psycopg.Error):  # of a server that is gone; what was found of it has been told
                    database.session.close()
        return {database.name: database.result() for database in self._opened}

    def _watch(self, pending: set[Future[None]], progress: Progress, cancellation: Cancellation) -> None:
        try:
            while pending:
                ended, pending = wait(pending, timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                progress.report("reading every row", self._read_bytes, self._total_bytes)
                cancellation.raise_if_requested()
        finally:
            self._stopping.set()  # leaving early: whoever reads stops behind the present piece

    def _hand_out(self, databases: Sequence[str]) -> Iterator[tuple[_OpenDatabase, ReadPiece | None]]:
        """Each piece once; None stands for the definitions. A database is opened when its turn comes."""
        for name in databases:
            database = self._open(name)
            for piece in (None, *database.pieces):
                database.under_way += 1
                yield database, piece
            database.handed_out = True
            database.close_when_read()

    def _open(self, name: str) -> _OpenDatabase:
        stack = ExitStack()
        try:
            session = stack.enter_context(self._prepared(name))
            with _told_as_unreadable(f"the catalogs of database {name}"):
                session.result(_BEGIN)
                snapshot = _rows(session, b"SELECT pg_export_snapshot()")[0][0] or b""
                relations = _rows(session, RELATIONS)
                objects, object_bytes, foreign_tables = (int(value or 0) for value in _rows(session, LARGE_OBJECTS)[0])
                bounds = [int(oid or 0) for (oid,) in _rows(session, LARGE_OBJECT_BOUNDS)]
        except BaseException:
            stack.close()
            raise
        pieces = [piece for row in relations for piece in relation_pieces(row, self.major)]
        pieces += large_object_pieces(bounds, object_bytes)
        database = _OpenDatabase(name, snapshot.decode(), stack, len(relations), objects, foreign_tables, pieces)
        self._opened.append(database)
        self._total_bytes += database.size_bytes
        return database

    @contextmanager
    def _prepared(self, database: str) -> Iterator[LocalSession]:
        with self.connect(database) as session:
            for statement in SESSION:
                session.result(statement)
            yield session

    def _work(self, pieces: Iterator[tuple[_OpenDatabase, ReadPiece | None]]) -> None:
        """One connection's worth of reading; it stays with a database as long as there are pieces of it."""
        with ExitStack() as connected:
            session: LocalSession | None = None
            at: _OpenDatabase | None = None
            while not self._stopping.is_set():
                with self._lock:
                    database, piece = next(pieces, (None, None))
                if database is None:
                    return
                if piece is None:
                    database.definitions_sha256 = self.dump_definitions(database.name, database.snapshot)
                else:
                    if session is None or at is not database:
                        connected.close()
                        session, at = connected.enter_context(self._prepared(database.name)), database
                    self._read(session, database, piece)
                with self._lock:
                    database.under_way -= 1
                    database.close_when_read()

    def _read(self, session: LocalSession, database: _OpenDatabase, piece: ReadPiece) -> None:
        with _told_as_unreadable(f"{piece.name} of database {database.name}"):
            try:
                rows = _copy(session, database.snapshot, piece)
            except GiveUp as error:
                session.result(b"ROLLBACK")
                if not any(words in error.found for words in _TOO_WIDE_AS_TEXT):
                    raise
                rows = _copy(session, database.snapshot, piece, b" WITH (FORMAT binary)")
        with self._lock:
            database.rows += rows if piece.counts_rows else 0
            self._read_bytes += piece.size_bytes


def _copy(session: LocalSession, snapshot: str, piece: ReadPiece, options: bytes = b"") -> int:
    """The number of rows. A transaction for each piece, so that the locks of all tables do not pile up in one."""
    session.result(b"%s; SET TRANSACTION SNAPSHOT '%s'; %s" % (_BEGIN, snapshot.encode(), piece.settings))
    rows = session.result(b"COPY (%s) TO '/dev/null'%s" % (piece.query, options)).command_tuples
    session.result(b"COMMIT")
    return rows or 0


def _rows(session: LocalSession, sql: bytes) -> list[tuple[bytes | None, ...]]:
    result = session.result(sql)
    return [tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]


@contextmanager
def _told_as_unreadable(what: str) -> Iterator[None]:
    try:
        yield
    except (GiveUp, psycopg.Error) as error:
        words = error.found if isinstance(error, GiveUp) else " ".join(str(error).split())
        raise GiveUp(
            "logical_read_failed",
            found=f"{what}: {words}",
            expected="that every row can be read",
            hint="the restored data are damaged where it says: recover from an older backup, and check the source",
        ) from error
