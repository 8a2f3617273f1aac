"""The operator's checks: each one statement, in a transaction that may not write and is rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import psycopg
from psycopg import pq

from understudy.adapters.postgres.failures import statement_that_grants
from understudy.vocabulary.errors import GiveUp

_ANSWERED = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)
_READ_ONLY = b"25006"
_DENIED = b"42501"
_CANCELLED = b"57014"


def ask_read_only(connection: pq.abc.PGconn, sql: str, limit: timedelta) -> Sequence[Sequence[str | None]]:
    """The rows of ``sql``, as text.

    It goes over the extended protocol, which takes one statement only: with several, one of them could end the transaction and
    the next one write.

    Raises:
        GiveUp: ``check_writes``, ``check_too_slow``, ``privilege_missing``, ``database_error``.
        psycopg.OperationalError: the connection broke.
    """
    milliseconds = int(limit.total_seconds() * 1000)
    for statement in ("BEGIN READ ONLY", f"SET LOCAL statement_timeout = {milliseconds}"):
        _require(connection, connection.exec_(statement.encode()), statement, limit)
    try:
        result = connection.exec_params(sql.encode(), None)
        _require(connection, result, sql, limit)
    finally:
        connection.exec_(b"ROLLBACK")
    return [tuple(_text(result.get_value(row, column)) for column in range(result.nfields)) for row in range(result.ntuples)]


def _require(connection: pq.abc.PGconn, result: pq.abc.PGresult, sql: str, limit: timedelta) -> None:
    if result.status in _ANSWERED:
        return
    message = " ".join((result.error_message or connection.error_message).decode(errors="replace").split())
    if connection.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(message)
    found = f"{sql.strip()[:200]!r}: {message}"
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    if state == _READ_ONLY:
        raise GiveUp(
            "check_writes",
            found=found,
            expected="a check that changes nothing: it is asked in a read-only transaction, which is rolled back",
            hint="correct the check in the stack file so that it only reads, the functions that it calls too",
        )
    if state == _CANCELLED:
        raise GiveUp(
            "check_too_slow",
            found=found,
            expected=f"an answer within {limit}",
            hint="make the check cheaper, or see with pg_stat_activity what holds it up",
        )
    if state == _DENIED:
        raise GiveUp(
            "privilege_missing", found=found, expected="a role that may read what it asks", hint=statement_that_grants(message)
        )
    raise GiveUp(
        "database_error",
        found=found,
        expected="one statement that the server carries out",
        hint="run it by hand with psql to see more, and correct the check in the stack file",
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
