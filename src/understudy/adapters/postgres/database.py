"""The ``Database`` port over psycopg."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

import psycopg

from understudy.adapters.postgres.base_backup import open_base_backup
from understudy.adapters.postgres.connection import Connection, ConnectionString, Connector, text_rows
from understudy.adapters.postgres.failures import statement_failure
from understudy.adapters.postgres.read_only import ask_read_only
from understudy.ports.clock import Clock
from understudy.ports.database import (
    BaseBackupRequest,
    BaseBackupStream,
    Presence,
    ServerFacts,
    SlotFacts,
    SlotHolder,
    StandbyFacts,
    Tablespace,
)
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, history_file_name

QUERY_TIMEOUT_SECONDS = 3600
"""For questions that are no short ones."""

_SETTINGS = (
    "archive_command,archive_library,archive_mode,archive_timeout,data_checksums,data_directory,default_tablespace,fsync,"
    "full_page_writes,hot_standby,idle_replication_slot_timeout,listen_addresses,max_connections,max_locks_per_transaction,"
    "max_prepared_transactions,max_replication_slots,max_slot_wal_keep_size,max_wal_senders,max_worker_processes,port,"
    "server_encoding,shared_preload_libraries,ssl,summarize_wal,synchronous_commit,synchronous_standby_names,timezone,"
    "wal_keep_size,wal_level,wal_log_hints,wal_segment_size,wal_sender_timeout,wal_summary_keep_time"
)
"""What backup and recovery depend on."""

_FACTS = """
select current_setting('server_version_num'),
       current_setting('server_version'),
       pg_is_in_recovery(),
       (select setting from pg_settings where name = 'wal_segment_size'),
       current_setting('data_checksums'),
       (select coalesce(json_agg(json_build_array(oid::bigint, spcname, pg_tablespace_location(oid)) order by oid), '[]')
          from pg_tablespace where spcname not in ('pg_default', 'pg_global')),
       (select json_object_agg(name, current_setting(name)) from pg_settings where name = any(string_to_array(%s, ',')))
"""

_SIZE = """
select case when bool_and(visible) then sum(case when visible then pg_database_size(oid) end) else 0 end
  from (select oid, has_database_privilege(oid, 'CONNECT') or pg_has_role('pg_read_all_stats', 'USAGE') as visible
          from pg_database) as databases
"""

_WAL_FLUSHED = """
select pg_walfile_name(lsn), lsn
  from (select case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end as lsn offset 0) as flushed
"""
"""The file's name carries the timeline being written; pg_control_checkpoint() shows the old one until a checkpoint. Both are
null on a standby, where neither function may be called with a position."""

_SLOT = """
select slot_name, active, restart_lsn, wal_status, safe_wal_size, active_pid::bigint, application_name, host(client_addr)
  from pg_replication_slots left join pg_stat_replication on pid = active_pid where slot_name = %s
"""


class PostgresDatabase:
    """One protected server. Safe to use from several threads.

    Short questions share one connection that stays open while the connection string is the same; backups, checks and statements
    each have one of their own.
    With ``expected_system`` every connection is checked to lead to that cluster before anything else is done over it.
    """

    def __init__(self, conninfo: ConnectionString, clock: Clock, expected_system: SystemIdentifier | None = None) -> None:
        self._connector = Connector(conninfo, expected_system)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Connection | None = None
        self._kept_parameters: dict[str, str] = {}

    @property
    def address(self) -> str:
        return self._connector.address

    def close(self) -> None:
        """Close the connection that is kept for short questions; the next question opens another."""
        with self._lock:
            self._drop_kept()

    def presence(self) -> Presence:
        return self._connector.presence()

    def facts(self) -> ServerFacts:
        """Over both kinds of connection, so that it also proves that replication is permitted."""
        replication, identity = self._connector.replication()
        replication.close()
        row = self._ask(_FACTS, [_SETTINGS])[0]
        version_number, version, in_recovery, segment_bytes, checksums, tablespaces, settings = row
        return ServerFacts(
            system_identifier=identity.system_identifier,
            version_number=int(version_number or 0),
            version=version or "",
            timeline=identity.timeline,
            in_recovery=in_recovery == "t",
            wal_flushed=identity.wal_flushed,
            segment_bytes=int(segment_bytes or 0),
            data_checksums=checksums == "on",
            tablespaces=tuple(Tablespace(oid, name, location) for oid, name, location in json.loads(tablespaces or "[]")),
            settings=json.loads(settings or "{}"),
            observed=self._clock.now(),
        )

    def size_bytes(self) -> int:
        [(size,)] = self.query(_SIZE)
        return int(size or 0)

    def wal_flushed(self) -> tuple[Timeline, Lsn]:
        [(name, position)] = self._ask(_WAL_FLUSHED)
        if name is None:
            replication, identity = self._connector.replication()
            replication.close()
            return identity.timeline, identity.wal_flushed
        return Timeline(int(name[:8], 16)), Lsn.parse(position or "")

    def slot(self, name: str) -> SlotFacts | None:
        rows = self._ask(_SLOT, [name])
        if not rows:
            return None
        slot_name, active, restart, status, safe, pid, application_name, client_address = rows[0]
        return SlotFacts(
            name=slot_name or "",
            active=active == "t",
            restart_lsn=Lsn.parse(restart) if restart else None,
            wal_status=status or "",
            safe_wal_size_bytes=int(safe) if safe is not None else None,
            holder=SlotHolder(int(pid), application_name or "", client_address or "") if pid is not None else None,
        )

    def reserve_slot(self, name: str) -> SlotFacts:
        """
        Raises:
            GiveUp: ``slot_lost``: the server removed WAL that the slot had reserved; ``slots_exhausted``.
        """
        found = self.slot(name)
        if found is not None and found.restart_lsn is None and found.wal_status != "lost" and not found.active:
            self.drop_slot(name)  # made by pg_receivewal --create-slot, which reserves nothing until it has streamed
            found = None
        if found is None:
            self._make_slot(name)
            found = self.slot(name)
        if found is None or found.wal_status == "lost":
            raise GiveUp(
                "slot_lost",
                found=f"the replication slot {name} at {self.address} lost WAL that was not received yet",
                expected="a slot whose WAL is still there",
                hint=f"there is a gap: SELECT pg_drop_replication_slot('{name}'), start the stream again, take a full backup. "
                "A larger max_slot_wal_keep_size gives the receiver more time",
            )
        return found

    def drop_slot(self, name: str) -> None:
        self._ask("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s", [name])

    def standbys(self) -> tuple[StandbyFacts, ...]:
        rows = self._ask("select application_name, state, sync_state, write_lsn, flush_lsn from pg_stat_replication order by pid")
        return tuple(
            StandbyFacts(
                name or "",
                state or "",
                sync_state or "",
                Lsn.parse(written) if written else None,
                Lsn.parse(flushed) if flushed else None,
            )
            for name, state, sync_state, written, flushed in rows
        )

    def base_backup(self, request: BaseBackupRequest) -> AbstractContextManager[BaseBackupStream]:
        return self._base_backup(request)

    @contextlib.contextmanager
    def _base_backup(self, request: BaseBackupRequest) -> Iterator[BaseBackupStream]:
        names = {int(oid or 0): name or "" for oid, name in self._ask("select oid::bigint, spcname from pg_tablespace")}
        connection, _ = self._connector.replication()
        with open_base_backup(connection, self.address, request, names) as stream:
            yield stream

    def timeline_history(self, timeline: Timeline) -> bytes:
        """
        Raises:
            GiveUp: ``timeline_history_missing``: the first timeline has none, nor has one that this server never saw.
        """
        connection, _ = self._connector.replication()
        with connection, self._failures():
            try:
                result = connection.execute(f"TIMELINE_HISTORY {int(timeline)}".encode()).pgresult
            except psycopg.errors.UndefinedFile as error:
                raise GiveUp(
                    "timeline_history_missing",
                    found=f"{self.address} has no {history_file_name(timeline)}",
                    expected="a timeline above 1 that this server descends from",
                    hint="if somebody removed it from the server's pg_wal, put it back from a standby; then try again",
                ) from error
        return (result.get_value(0, 1) if result else None) or b""

    def query(self, sql: str, database: str | None = None) -> Sequence[Sequence[str | None]]:
        """The rows of the last statement in ``sql``. Ended by the server after an hour."""
        with self._connector.sql(database, QUERY_TIMEOUT_SECONDS) as connection, self._failures():
            cursor = connection.execute(sql.encode())
            while cursor.nextset():
                pass
            return text_rows(cursor.pgresult)

    def ask(self, check: str, database: str, limit: timedelta) -> Sequence[Sequence[str | None]]:
        with self._connector.sql(database) as connection, self._failures():
            return ask_read_only(connection.pgconn, check, limit)

    def execute(self, statements: Iterable[str], database: str | None = None) -> None:
        with self._connector.sql(database, QUERY_TIMEOUT_SECONDS) as connection, self._failures():
            for statement in statements:
                connection.execute(statement.encode())

    def _make_slot(self, name: str) -> None:
        try:
            self._ask("select pg_create_physical_replication_slot(%s, true)", [name])
        except GiveUp as error:
            cause = error.__cause__
            if isinstance(cause, psycopg.errors.DuplicateObject):
                return
            if isinstance(cause, psycopg.errors.ConfigurationLimitExceeded):
                raise GiveUp(
                    "slots_exhausted",
                    found=error.found,
                    expected="a free replication slot",
                    hint="raise max_replication_slots (restart needed), or drop a slot nobody uses: see pg_replication_slots",
                ) from error
            raise

    def _ask(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[str | None, ...]]:
        """A short question over the kept connection; asked once more when that turns out to be broken."""
        with self._lock:
            was_kept = self._kept is not None
            try:
                return self._ask_kept(sql, parameters)
            except psycopg.OperationalError as error:
                self._drop_kept()
                if not was_kept or error.sqlstate not in (None, "57P01", "57P02", "57P05"):
                    raise statement_failure(error, self.address) from error
            except psycopg.Error as error:
                raise statement_failure(error, self.address) from error
            with self._failures():
                return self._ask_kept(sql, parameters)

    def _ask_kept(self, sql: str, parameters: Sequence[object]) -> list[tuple[str | None, ...]]:
        now = self._connector.parameters()
        if self._kept is not None and now != self._kept_parameters:
            self._drop_kept()  # the database serves from another address by now
        if self._kept is None:
            self._kept, self._kept_parameters = self._connector.sql(), now
        return text_rows(self._kept.execute(sql.encode(), parameters or None).pgresult)

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise statement_failure(error, self.address) from error
