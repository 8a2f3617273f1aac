"""Opening connections to a protected server, ordinary ones and for replication, and nobody else's server by mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from understudy.adapters.postgres.failures import connection_failure, statement_failure
from understudy.adapters.postgres.presence import presence
from understudy.ports.database import Presence
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import Lsn, Timeline

APPLICATION_NAME = "understudy"
STATEMENT_TIMEOUT_SECONDS = 60

NETWORK_DEFAULTS: dict[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""Only where the connection string says nothing: a peer that vanished without a word is noticed within a minute."""

Connection = psycopg.Connection[tuple[object, ...]]

ConnectionString = Secret | Callable[[], Secret]
"""The text itself; or what tells it whenever a connection is opened, because a database may move while we live."""


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """The answer to ``IDENTIFY_SYSTEM``."""

    system_identifier: SystemIdentifier
    timeline: Timeline
    wal_flushed: Lsn


class Connector:
    """Knows the connection string; opens connections that were seen to lead to the expected cluster.

    Raises:
        GiveUp: ``connection_string_malformed``. The text is not repeated: a part of it may be the password.
    """

    def __init__(self, conninfo: ConnectionString, expected_system: SystemIdentifier | None = None) -> None:
        self._conninfo = conninfo
        self._expected_system = expected_system
        self.address = ""
        self.parameters()

    def parameters(self) -> dict[str, str]:
        """As they are now; ``address`` is theirs from here on."""
        found = connection_parameters(current(self._conninfo))
        self.address = address_of(found)
        return found

    def presence(self) -> Presence:
        try:
            return presence(self.parameters())
        except UnderstudyError:
            return Presence.UNKNOWN

    def sql(self, database: str | None = None, statement_timeout_seconds: int = STATEMENT_TIMEOUT_SECONDS) -> Connection:
        """An ordinary connection in autocommit; its server's system identifier was checked."""
        parameters = self.parameters()
        options = f"{parameters.get('options', '')} -c statement_timeout={statement_timeout_seconds}s".strip()
        changes = {"options": options, "client_encoding": "UTF8"} | ({"dbname": database} if database else {})
        connection = self._open(parameters | changes)
        try:
            if self._expected_system is not None:
                row = connection.execute("select system_identifier::text from pg_catalog.pg_control_system()").fetchone()
                self._check(SystemIdentifier(str(row[0]) if row else ""))
        except psycopg.Error as error:
            connection.close()
            raise statement_failure(error, self.address) from error
        except GiveUp:
            connection.close()
            raise
        return connection

    def replication(self) -> tuple[Connection, SystemIdentity]:
        """A physical replication connection, and what its server said of itself."""
        connection = self._open(self.parameters() | {"replication": "true"})
        try:
            identity = identify_system(connection)
            self._check(identity.system_identifier)
        except psycopg.Error as error:
            connection.close()
            raise statement_failure(error, self.address) from error
        except GiveUp:
            connection.close()
            raise
        return connection, identity

    def _open(self, parameters: dict[str, str]) -> Connection:
        named = NETWORK_DEFAULTS | {"application_name": APPLICATION_NAME} | parameters
        try:
            return psycopg.connect(make_conninfo("", **named), autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            # from None: the frames of psycopg's error hold the password, for whoever prints a traceback with its variables
            raise connection_failure(str(error), self.address) from None

    def _check(self, found: SystemIdentifier) -> None:
        if self._expected_system is None or found == self._expected_system:
            return
        raise GiveUp(
            "system_identifier_changed",
            found=f"the cluster at {self.address} has the system identifier {found}",
            expected=f"{self._expected_system}, which this resource was protected as so far",
            hint="another cluster answers at this address. If it replaced the old one on purpose, declare it as a resource "
            "of its own; else correct the address",
        )


def current(conninfo: ConnectionString) -> Secret:
    return conninfo if isinstance(conninfo, Secret) else conninfo()


def connection_parameters(conninfo: Secret) -> dict[str, str]:
    """The connection string taken apart: libpq's keywords and values, the password among them.

    Raises:
        GiveUp: ``connection_string_malformed``.
    """
    try:
        parsed = conninfo_to_dict(conninfo.reveal())
    except psycopg.ProgrammingError:
        raise GiveUp(
            "connection_string_malformed",
            found="a connection string that libpq cannot read (not shown: it may hold a password)",
            expected="postgresql://user:password@host:port/database, or host=… port=… user=… dbname=… password=…",
            hint="in the URL form, percent-encode special characters of the password",
        ) from None
    return {name: str(value) for name, value in parsed.items() if value is not None}


def identify_system(connection: Connection) -> SystemIdentity:
    """``IDENTIFY_SYSTEM`` on a replication connection (manual, "Streaming Replication Protocol")."""
    cursor = connection.execute("IDENTIFY_SYSTEM")
    system, timeline, position = text_rows(cursor.pgresult)[0][:3]
    return SystemIdentity(SystemIdentifier(system or ""), Timeline(int(timeline or 0)), Lsn.parse(position or ""))


def text_rows(result: pq.abc.PGresult | None) -> list[tuple[str | None, ...]]:
    """A result's rows as the server wrote them."""
    if result is None:
        return []
    return [tuple(_text(result.get_value(row, column)) for column in range(result.nfields)) for row in range(result.ntuples)]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def address_of(parameters: dict[str, str]) -> str:
    """``host:port``, to show and to compare; nothing else of the connection string."""
    defaults = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    host = parameters.get("host") or parameters.get("hostaddr") or (defaults.get(b"host") or b"").decode() or "local socket"
    port = parameters.get("port") or (defaults.get(b"port") or b"").decode() or "5432"
    return f"{host}:{port}"
