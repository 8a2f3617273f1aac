"""One database, or one table of it, written by pg_dump into a directory, and counted by the server in the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.dumps.databases import DatabaseSnapshot, snapshot_of
from understudy.adapters.dumps.table_of_contents import FileSeen, rows_in, see_file, table_data
from understudy.adapters.streams.program import ProgramEnd
from understudy.adapters.streams.workplace import Errand
from understudy.ports.dumps import DumpedDatabase, DumpedTable
from understudy.vocabulary.errors import GiveUp


@dataclass(frozen=True, slots=True)
class WrittenDatabase:
    """A database, and what lies in its directory."""

    database: DumpedDatabase
    files: dict[str, FileSeen]


class DatabaseDumping:
    def __init__(self, client: PostgresClient, errand: Errand, jobs: int, count_rows: bool) -> None:
        self._client = client
        self._errand = errand
        self._jobs = jobs
        self._count_rows = count_rows

    def dump(
        self,
        name: str,
        directory: Path,
        *,
        table: tuple[str, str] | None = None,
        room_for: Callable[[int], None] | None = None,
    ) -> WrittenDatabase:
        """
        Args:
            directory: Where pg_dump makes it; not there yet.
            table: Schema and name of the only one that is wanted. None: all of the database.
            room_for: Refuses so many bytes where there is no room; asked before anything is written. None: what is written stays
                where it is, and is made durable.
        Raises:
            GiveUp: ``dump_failed``, ``dump_timed_out``, ``dump_incomplete``, ``table_missing``, ``scratch_unusable``; what the
                server's refusals are.
        """
        with snapshot_of(self._client, name) as snapshot:
            if room_for is not None:
                room_for(snapshot.content_bytes())
            if table is not None and not snapshot.has_table(*table):
                raise _table_missing(name, *table)
            narrowed = () if table is None else (f"--table={'.'.join(map(_pattern, table))}",)
            how = (*narrowed, "--no-sync") if room_for is not None else narrowed
            self._errand.workplace.progress.report(f"pg_dump {name}", 0, None)
            ended = self._client.run(
                "pg_dump", "--format=directory", f"--file={directory}", f"--jobs={self._jobs}", "--compress=0",
                f"--snapshot={snapshot.exported()}", *how, database=name,
            )  # fmt: skip
            require_dumped(ended, "pg_dump", f"the database {name}", self._errand)
            listed = self._client.read("pg_restore", "--list", str(directory))
            try:
                files = {path.name: see_file(path) for path in sorted(directory.iterdir())}
                tables = tuple(self._tables(snapshot, directory, files, listed))
            except OSError as error:
                raise _unusable(directory, error) from error
            database = DumpedDatabase(
                name=name,
                directory=directory.name,
                properties=snapshot.properties().to_json(),
                large_objects=snapshot.large_objects(),
                entries=_entries_in(listed),
                tables=tables,
            )
        return WrittenDatabase(database, files)

    def _tables(
        self, snapshot: DatabaseSnapshot, directory: Path, files: dict[str, FileSeen], listed: str
    ) -> Iterator[DumpedTable]:
        """Each file is compared with what the server counts in the same state."""
        found = list(table_data(listed))
        names = snapshot.names([each.table_oid for each in found])
        for each in found:
            self._errand.workplace.cancellation.raise_if_requested()
            schema, table = names[each.table_oid]
            rows = rows_in(directory / each.file, files[each.file]) if each.file in files else None
            counted = snapshot.count_rows(schema, table) if self._count_rows else rows
            if rows is None or rows != counted:
                held = "is cut off" if rows is None else f"holds {rows} rows"
                raise GiveUp(
                    "dump_incomplete",
                    found=f"the dump of {schema}.{table} in {snapshot.name} {held}, and the server counts {counted}",
                    expected="every row of the state that was dumped",
                    hint="start it again; if it stays so, look at the server's log, and take a dump by hand: pg_dump --table",
                )
            yield DumpedTable(schema, table, each.file, rows)


def require_dumped(ended: ProgramEnd, program: str, what: str, errand: Errand) -> None:
    """
    Raises:
        GiveUp: ``dump_failed``, ``dump_timed_out``.
    """
    if ended.status == 0:
        return
    if ended.status is None:
        raise GiveUp(
            "dump_timed_out",
            found=f"{program} of {what} {ended.told}",
            expected=f"that it ends within time_limit, {errand.time_limit.total_seconds():g} s",
            hint="see what it waits for in pg_stat_activity; where it needs so long, raise time_limit in the stack file",
        )
    raise GiveUp(
        "dump_failed",
        found=f"{program} of {what} {ended.told}",
        expected="that it ends with 0; nothing of what it wrote is kept",
        hint="where rights are missing: GRANT pg_read_all_data TO the role of url; row-level security needs the owner",
    )


def _table_missing(database: str, schema: str, table: str) -> GiveUp:
    return GiveUp(
        "table_missing",
        found=f"no table {schema}.{table} in the database {database} at that moment",
        expected="DATABASE.SCHEMA.TABLE, as they are called, without quotes",
        hint="it may have been made later, or removed before: choose another moment with --time",
    )


def _unusable(directory: Path, error: OSError) -> GiveUp:
    return GiveUp(
        "scratch_unusable",
        found=f"{directory}: {error.strerror}",
        expected="a directory that can be written, with room for the dump",
        hint="make room there, then start again",
    )


def _pattern(name: str) -> str:
    """As pg_dump takes it where it means this name and no other."""
    return '"' + name.replace('"', '""') + '"'


def _entries_in(listed: str) -> int:
    return sum(1 for line in listed.splitlines() if line[:1].isdigit())
