"""One connection to a server of this host, over its socket, answered in the server's own text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from psycopg import pq

from understudy.adapters.postgres.read_only import ask_read_only
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.errors import GiveUp

CONNECT_TIMEOUT_SECONDS = 10

Rows = Sequence[Sequence[str | None]]


class LocalSession:
    """Statements in the simple protocol; each call is a transaction of its own unless its text says otherwise."""

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self._connection = connection.pgconn

    def rows(self, sql: str) -> Rows:
        """
        Raises:
            GiveUp: ``database_error``: the server refused the statement.
            psycopg.OperationalError: the connection broke.
        """
        result = self.result(sql.encode())
        return [tuple(_text(result.get_value(row, column)) for column in range(result.nfields)) for row in range(result.ntuples)]

    def result(self, sql: bytes) -> pq.abc.PGresult:
        """What came of the last statement in ``sql``. Raises as ``rows`` does."""
        result = self._connection.exec_(sql)
        if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY):
            return result
        message = (result.error_message or self._connection.error_message).decode(errors="replace").strip()
        if self._connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(message)
        raise GiveUp(
            "database_error",
            found=" ".join(message.split()),
            expected=f"that the server carries out: {sql.strip()[:200].decode(errors='replace')}",
            hint="run the statement by hand with psql to see more",
        )

    def answer(self, check: str, limit: timedelta) -> Rows:
        """Raises as ``ask_read_only`` does."""
        return ask_read_only(self._connection, check, limit)


@contextmanager
def local_session(place: InstancePlace, superuser: str, database: str, client_encoding: str = "UTF8") -> Iterator[LocalSession]:
    """Connect; nothing of our environment (``PGOPTIONS``, ``PGPASSFILE``, ``PGSSLMODE`` …) takes part.

    Raises:
        psycopg.OperationalError: it does not answer, or refuses.
    """
    with psycopg.connect(
        host=place.socket_directory,
        port=place.port,
        user=superuser,
        dbname=database,
        application_name="understudy",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        options="",
        passfile="/dev/null/none",  # the default would be looked for in our home directory
        sslmode="disable",
        gssencmode="disable",
        target_session_attrs="any",
        client_encoding=client_encoding,
        autocommit=True,
    ) as connection:
        yield LocalSession(connection)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
