"""How a logical dump lies in a snapshot: the names of its entries, and what stands in ``dump.json``.

dump.json               what the dump is: server, databases, tables and their rows
globals.sql             roles and tablespaces, as pg_dumpall writes them
shop/toc.dat            of each database a directory, as pg_dump writes it: what pg_restore takes
shop/3350.dat           the rows of one table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from understudy.vocabulary.json import JsonObject

DUMP_KIND = "postgres-dump"
DESCRIPTION, GLOBALS, TOC = "dump.json", "globals.sql", "toc.dat"
TABLE_SUFFIX = ".dat"


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
            databases=tuple(_database(each) for each in cast("Sequence[JsonObject]", value["databases"])),
        )


def _database(value: Mapping[str, object]) -> DumpedDatabase:
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
