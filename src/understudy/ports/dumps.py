"""How a logical dump lies in a snapshot: its entries, and what stands in ``dump.json``; and servers that take one in.

dump.json               what the dump is: server, databases, tables and their rows
globals.sql             roles and tablespaces, as pg_dumpall writes them
shop/toc.dat            of each database a directory, as pg_dump writes it: what pg_restore takes
shop/3350.dat           the rows of one table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import quote

from understudy.ports.instance import InstancePlace
from understudy.vocabulary.json import JsonObject

DUMP_KIND = "postgres-dump"
DESCRIPTION, GLOBALS, TOC = "dump.json", "globals.sql", "toc.dat"
TABLE_SUFFIX = ".dat"
DATABASE_ATTRIBUTE = "postgres_database"
"""Of the directory of a database: what it is, so that one can be loaded alone."""


def toc_beside(table_file: str) -> str:
    """The key of the table of contents that a table's file belongs to."""
    return f"{table_file.rpartition('/')[0]}/{TOC}"


def directory_of_database(name: str) -> str:
    """A name for a directory: letters and digits as they are, everything else as ``%XX``."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


@dataclass(frozen=True, slots=True)
class DumpedTable:
    schema: str
    name: str
    file: str
    """Within the directory of its database."""
    rows: int

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class DumpedDatabase:
    name: str
    directory: str
    properties: JsonObject
    """By which an empty one like it is made: owner, encoding, collate, ctype, provider, locale."""
    large_objects: int
    entries: int
    """In its table of contents; 0: there is nothing in it."""
    tables: tuple[DumpedTable, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def to_json(self) -> JsonObject:
        return {
            "name": self.name,
            "directory": self.directory,
            "properties": dict(self.properties),
            "large_objects": self.large_objects,
            "entries": self.entries,
            "tables": [
                {"schema": table.schema, "name": table.name, "file": table.file, "rows": table.rows} for table in self.tables
            ],
        }


@dataclass(frozen=True, slots=True)
class Dump:
    server_major: int
    server_version: str
    programs_major: int
    passwords: bool
    """Whether ``globals.sql`` holds those of the roles."""
    databases: tuple[DumpedDatabase, ...]

    def to_json(self) -> JsonObject:
        return {
            "format": 1,
            "server_major": self.server_major,
            "server_version": self.server_version,
            "programs_major": self.programs_major,
            "passwords": self.passwords,
            "databases": [database.to_json() for database in self.databases],
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Dump:
        """Raises ValueError, KeyError or TypeError: a newer version wrote it."""
        if value["format"] != 1:
            raise ValueError(f"a description of format {value['format']}")
        return cls(
            server_major=cast(int, value["server_major"]),
            server_version=str(value["server_version"]),
            programs_major=cast(int, value["programs_major"]),
            passwords=bool(value["passwords"]),
            databases=tuple(database_from_json(each) for each in cast("Sequence[JsonObject]", value["databases"])),
        )


def database_from_json(value: Mapping[str, object]) -> DumpedDatabase:
    tables = cast("Sequence[JsonObject]", value["tables"])
    return DumpedDatabase(
        name=str(value["name"]),
        directory=str(value["directory"]),
        properties=cast(JsonObject, value["properties"]),
        large_objects=cast(int, value["large_objects"]),
        entries=cast(int, value["entries"]),
        tables=tuple(
            DumpedTable(str(each["schema"]), str(each["name"]), str(each["file"]), cast(int, each["rows"])) for each in tables
        ),
    )


class DumpServer(Protocol):
    """A running server that a dump is loaded into. Nothing that is there is ever overwritten.

    Every failure is in the error tree: ``TryAgain("database_unreachable")``, and ``GiveUp`` for what does not pass.
    """

    @property
    def shown(self) -> str:
        """Its address, without credentials."""
        ...

    def holds(self, database: str) -> bool:
        """Whether it has a database of that name with anything in it."""
        ...

    def has(self, database: str) -> bool: ...

    def has_table(self, database: str, schema: str, table: str) -> bool: ...

    def take_roles(self, globals_file: Path) -> JsonObject:
        """Make the roles that are not there; those that are stay as they are. Twice is the same as once.

        Returns:
            What was made, and what could not be, each with the reason.
        """
        ...

    def load(
        self, directory: Path, database: DumpedDatabase, temporary: str, *, whole: bool, table: DumpedTable | None
    ) -> JsonObject:
        """Into a database of that temporary name, which is made anew, whatever an attempt before left of it; then its rows are
        counted against the dump's.

        Args:
            whole: With owners and rights, whose roles are there; else everything belongs to who loads.
            table: This one alone.
        Raises:
            GiveUp: ``load_failed``, ``load_timed_out``, ``rows_missing``, ``check_failed``.
        """
        ...

    def load_table(self, directory: Path, table: DumpedTable, database: str) -> JsonObject:
        """Into a database that is there, whole or not at all. Raises as ``load`` does."""
        ...

    def count_table(self, database: str, table: DumpedTable) -> int: ...

    def put_in_place(self, temporary: str, name: str, settings_of: Path | None) -> None:
        """Rename it. An empty database of that name is removed first. Twice is the same as once.

        Args:
            settings_of: The directory of the dump: the settings and rights of the database itself are put back, too.
        Raises:
            GiveUp: ``target_not_empty``: there is one with something in it by now; ``database_in_use``.
        """
        ...

    def discard(self, temporary: str) -> None:
        """Remove it, if it is there, and end what loads into it."""
        ...


class DumpServers(Protocol):
    """The servers that dumps of one resource can be loaded into."""

    def at(self, reference: str) -> DumpServer:
        """The one behind a reference to a connection string; empty: that of the stack file. Nothing is asked yet.

        Raises:
            GiveUp: ``secret_missing``, ``secret_unreadable``, ``connection_string_malformed``, ``load_target_undeclared``.
        """
        ...


class PartDumper(Protocol):
    """Of one resource, for one run: takes a part out of a server of this host."""

    def dump(
        self, place: InstancePlace, superuser: str, database: str, table: tuple[str, str] | None, directory: Path
    ) -> DumpedDatabase:
        """Into the directory, in pg_dump's directory format; what an attempt before left there gives way.

        Args:
            table: Schema and name. None: all of the database.
        Raises:
            GiveUp: ``table_missing``, ``database_missing``, ``dump_failed``, ``dump_incomplete``, ``dump_timed_out``.
        """
        ...

    def end_left_over(self) -> None:
        """What an attempt before started for it is ended."""
        ...
