"""A server's databases as a collection: each of the files that pg_dump writes is an entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from understudy.adapters.dumps.client import DumpedServer, PostgresClient
from understudy.adapters.dumps.database_dumping import DatabaseDumping, WrittenDatabase, require_dumped
from understudy.adapters.dumps.databases import choose_databases
from understudy.adapters.dumps.staging import DumpStaging
from understudy.adapters.dumps.table_of_contents import FileSeen, see_file
from understudy.adapters.streams.workplace import Errand
from understudy.ports.collection import Entry, EntryKind
from understudy.ports.dumps import (
    DATABASE_ATTRIBUTE,
    DESCRIPTION,
    GLOBALS,
    TOC,
    Dump,
    directory_of_database,
)
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import Json, JsonObject

_PIECE_BYTES = 256 * 1024
_FILE_MODE, _DIRECTORY_MODE = "0600", "0700"


@dataclass(frozen=True, slots=True)
class DumpWish:
    databases: Sequence[str] | None
    """None: all that let the role in."""
    jobs: int
    count_rows: bool


class DumpCollection:
    """``Collection``. The dump is taken by ``entries``, whole, before the first entry is told.

    An entry's fingerprint is the SHA-256 of its content, and no entry bears a time: the rows of a table that did not change are
    not stored again.
    """

    def __init__(self, client: PostgresClient, wish: DumpWish, errand: Errand) -> None:
        self._client = client
        self._wish = wish
        self._errand = errand
        self._staging = DumpStaging(errand)
        self._entries: dict[str, Entry] = {}
        self._passed_over: tuple[str, ...] = ()
        self.dump: Dump | None = None

    @property
    def url(self) -> str:
        return f"postgres-dump://{self._client.address}"

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        """
        Raises:
            GiveUp: ``dump_failed``, ``dump_incomplete``, ``dump_timed_out``, ``staging_too_small``, ``programs_missing``,
                ``programs_too_old``, ``database_missing``; what the server's refusals are.
            TryAgain: ``database_unreachable``.
        """
        self._entries, self._passed_over, self.dump = {}, (), None
        self._staging.begin()
        for entry in self._take():
            self._entries[entry.key] = entry
        yield from self._entries.values()

    def passed_over(self) -> tuple[str, ...]:
        return self._passed_over

    def look(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def read(self, entry: Entry) -> Iterator[bytes]:
        try:
            if self._entries.get(entry.key) != entry:
                raise FileNotFoundError
            with self._staging.path(entry.key).open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except FileNotFoundError:
            raise GiveUp(
                "entry_gone",
                found=f"{entry.key!r} is not held",
                expected="what was dumped last",
                hint="dump anew: understudy backup",
            ) from None
        except OSError as error:
            raise self._staging.unusable(error) from error

    def _take(self) -> Iterator[Entry]:
        seen = self._client.see()
        programs = self._client.programs(seen.major)
        names, left_out = choose_databases(self._client, self._wish.databases)
        self._passed_over = tuple(left_out)
        self._dump_globals(seen)
        dumping = DatabaseDumping(self._client, self._errand, self._wish.jobs, self._wish.count_rows)
        written = [
            dumping.dump(name, self._staging.path(directory_of_database(name)), room_for=self._staging.require_room)
            for name in names
        ]
        databases = tuple(each.database for each in written)
        self.dump = Dump(seen.major, seen.version, programs.major, seen.reads_passwords, databases)
        description = json.dumps(self.dump.to_json(), indent=1, sort_keys=True).encode() + b"\n"
        try:
            self._staging.path(DESCRIPTION).write_bytes(description)
            described = self._file(DESCRIPTION, see_file(self._staging.path(DESCRIPTION)))
            yield replace(described, attributes={**described.attributes, "postgres": _summary(self.dump)})
            yield self._file(GLOBALS, see_file(self._staging.path(GLOBALS)))
        except OSError as error:
            raise self._staging.unusable(error) from error
        for each in written:
            yield from self._entries_of(each)

    def _dump_globals(self, seen: DumpedServer) -> None:
        without = () if seen.reads_passwords else ("--no-role-passwords",)
        file = f"--file={self._staging.path(GLOBALS)}"
        database = self._client.database
        ended = self._client.run("pg_dumpall", "--globals-only", f"--database={database}", file, *without, database=database)
        require_dumped(ended, "pg_dumpall", "the roles and tablespaces", self._errand)

    def _entries_of(self, written: WrittenDatabase) -> Iterator[Entry]:
        database = written.database
        about: JsonObject = {"mode": _DIRECTORY_MODE, DATABASE_ATTRIBUTE: database.to_json()}
        yield Entry(database.directory, EntryKind.DIRECTORY, attributes=about)
        tables = {table.file: table for table in database.tables}
        for name, seen in written.files.items():
            entry = self._file(f"{database.directory}/{name}", seen)
            told: dict[str, Json] = {"database": database.name}
            if (table := tables.get(name)) is not None:
                told |= {"schema": table.schema, "table": table.name, "rows": table.rows}
            elif name != TOC:
                told |= {"large_objects": True}
            yield replace(entry, attributes={**entry.attributes, "postgres": told})

    def _file(self, key: str, seen: FileSeen) -> Entry:
        return Entry(key, EntryKind.FILE, seen.size_bytes, f"sha256:{seen.sha256}", attributes={"mode": _FILE_MODE})


def _summary(dump: Dump) -> JsonObject:
    """For the evidence."""
    return {
        "server_version": dump.server_version,
        "programs_major": dump.programs_major,
        "role_passwords": dump.passwords,
        "databases": [database.name for database in dump.databases],
        "tables": sum(len(database.tables) for database in dump.databases),
        "rows": sum(database.rows for database in dump.databases),
    }
