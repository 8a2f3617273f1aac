"""The scratch file of one run: what is known of keys, digests and places, on a disk and not in memory.

It holds nothing that the listings in the repository do not hold: lost or damaged, it is made anew.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

from understudy.ports.collection import Entry, EntryKind
from understudy.repository.snapshots.listing import key_bytes
from understudy.repository.snapshots.manifest import SealedPart
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject

SqlValue: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]

_SCHEMA = """
create table if not exists about (name text primary key, value text) without rowid;
create table if not exists parts (
    id integer primary key, name text unique, sealed_bytes integer, sealed_sha256 text, plain_bytes integer, stored integer);
create table if not exists contents (sha256 blob primary key, part integer, member integer) without rowid;
create table if not exists entries (
    key blob primary key, kind text, size integer, fingerprint text, link blob, attributes text, sha256 blob, changed integer)
    without rowid;
create table if not exists known (
    key blob primary key, size integer, fingerprint text, attributes text, sha256 blob) without rowid;
"""
_TABLES = ("about", "parts", "contents", "entries", "known")
_CACHE_KIBIBYTES = 4 * 1024
_BATCH = 1000
_COMMIT_EVERY_ROWS = 20_000
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
ENTRY_COLUMNS = "key, kind, size, fingerprint, link, attributes"


class Scratch:
    """Used in a ``with``. Several threads may ask; one statement at a time is carried out."""

    def __init__(self, path: Path, purpose: str) -> None:
        """Open the file, and begin it anew where it is another purpose's, or cannot be read.

        Raises:
            GiveUp: ``scratch_unusable``.
        """
        self._path = path
        self._lock = threading.Lock()
        self._uncommitted = 0
        try:
            self._connection = self._connect(purpose)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """What was found out so far stays, whatever ended the work."""
        with self._lock:
            try:
                self._connection.commit()
            except sqlite3.Error:
                pass  # what was committed before is enough to go on from
            finally:
                self._connection.close()

    def about(self, name: str) -> str | None:
        rows = self.rows("select value from about where name = ?", (name,))
        return cast(str, rows[0][0]) if rows else None

    def note(self, name: str, value: str) -> None:
        self.run("insert or replace into about values (?, ?)", (name, value))

    def run(self, statement: str, values: Sequence[SqlValue] = ()) -> int:
        """Returns the id of the row that was inserted."""
        with self._used() as connection:
            return connection.execute(statement, values).lastrowid or 0

    def run_each(self, statement: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        """In batches, committed now and then, so that neither memory nor the journal grows with their number."""
        batch: list[Sequence[SqlValue]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                self._run_batch(statement, batch)
                batch = []
        self._run_batch(statement, batch)

    def rows(self, query: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        with self._used() as connection:
            return connection.execute(query, values).fetchall()

    def number(self, query: str, values: Sequence[SqlValue] = ()) -> int:
        """The first value of the only row; 0 for none."""
        return cast(int, self.rows(query, values)[0][0] or 0)

    def pages(self, query: str) -> Iterator[Row]:
        """Rows ascending by their first column, a page at a time: what is changed meanwhile does not disturb it.

        ``query`` has ``{after}`` where its condition begins, of the column ``key``; order and limit are added.
        """
        ordered = f"{query} order by key limit {_BATCH}"
        page = self.rows(ordered.format(after="key >= x''"))
        while page:
            yield from page
            page = self.rows(ordered.format(after="key > ?"), (page[-1][0],)) if len(page) == _BATCH else []

    def commit(self) -> None:
        with self._used() as connection:
            connection.commit()

    def add_parts(self, parts: Iterable[SealedPart]) -> dict[str, int]:
        """Parts that are stored, by name."""
        self.run_each(
            "insert or ignore into parts (name, sealed_bytes, sealed_sha256, plain_bytes, stored) values (?, ?, ?, ?, 1)",
            ((part.name, part.sealed_bytes, part.sealed_sha256, part.plain_bytes) for part in parts),
        )
        return {name: number for number, name in self.rows("select id, name from parts")}

    def _run_batch(self, statement: str, batch: list[Sequence[SqlValue]]) -> None:
        if not batch:
            return
        with self._used() as connection:
            connection.executemany(statement, batch)
            self._uncommitted += len(batch)
            if self._uncommitted >= _COMMIT_EVERY_ROWS:
                connection.commit()
                self._uncommitted = 0

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def _connect(self, purpose: str) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.exists() and not self._is_of(purpose):
            discard_scratch(self._path)
        connection = self._open()
        connection.executescript(_SCHEMA)
        connection.execute("insert or replace into about values ('purpose', ?)", (purpose,))
        connection.commit()
        return connection

    def _is_of(self, purpose: str) -> bool:
        try:
            connection = self._open()
        except sqlite3.DatabaseError:
            return False
        try:
            whole = connection.execute("pragma quick_check(1)").fetchall() == [("ok",)]
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            if not whole or tables != set(_TABLES):
                return False
            return connection.execute("select value from about where name = 'purpose'").fetchall() == [(purpose,)]
        except sqlite3.DatabaseError:
            return False
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute(f"pragma cache_size = -{_CACHE_KIBIBYTES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _unusable(self, error: Exception) -> GiveUp:
        return GiveUp(
            "scratch_unusable",
            found=f"{self._path}: {error}",
            expected="a file that can be written, with room for about 1 kB for each entry",
            hint="make room in the state directory and see that its disk works, then try again",
        )


def discard_scratch(path: Path) -> None:
    """Remove it; nothing happens where it is not."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def attributes_text(entry: Entry) -> str:
    return _JSON.encode(entry.attributes)


def entry_row(entry: Entry) -> tuple[SqlValue, ...]:
    """As ``ENTRY_COLUMNS`` says."""
    attributes = attributes_text(entry)
    return key_bytes(entry.key), entry.kind.value, entry.size_bytes, entry.fingerprint, key_bytes(entry.link), attributes


def entry_of(row: Row) -> Entry:
    """From columns as ``ENTRY_COLUMNS`` says."""
    key, kind, size_bytes, fingerprint, link, attributes = row
    return Entry(_text(key), EntryKind(kind), size_bytes, fingerprint, _text(link), cast(JsonObject, json.loads(attributes)))


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")
