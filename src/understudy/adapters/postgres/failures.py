"""What psycopg raises, put into the error tree, with the line to change as hint where there is one.

A statement's failure is recognised by its SQLSTATE (manual, appendix "PostgreSQL Error Codes"). A refused connection has none in
libpq, only a message: those rules read English, and what they do not know is taken for a passing fault. The connection string is
never part of a message; libpq's own texts name host, port, user and database only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg

from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.wal import Lsn

_RESTARTING = frozenset({"57P01", "57P02", "57P03", "57P05"})
_HBA = re.compile(r"no pg_hba\.conf entry for|pg_hba\.conf rejects")
_DENIED = re.compile(r"permission denied for (?P<kind>[a-z ]+?) \"?(?P<name>[^\s\"]+)\"?")
_GRANTS = {
    **dict.fromkeys(("table", "relation", "view", "materialized view", "foreign table", "sequence"), "SELECT ON {}"),
    "schema": "USAGE ON SCHEMA {}", "database": "CONNECT ON DATABASE {}",
    "function": "EXECUTE ON FUNCTION {}", "procedure": "EXECUTE ON PROCEDURE {}",
}  # fmt: skip
_HBA_FIELDS = re.compile(
    r'host "(?P<host>[^"]*)", user "(?P<user>[^"]*)"(?:, database "(?P<database>[^"]*)")?(?:, (?P<encryption>.*))?'
)


def connection_failure(words: str, address: str) -> UnderstudyError:
    """Why a connection could not be had, by what libpq said."""
    message = _in_one_line(words)
    for pattern, make in _CONNECTION_RULES:
        found = pattern.search(message)
        if found:
            return make(message, address)
    return _unreachable(message, address)


def statement_failure(error: psycopg.Error, address: str) -> UnderstudyError:
    """Why a statement or replication command failed."""
    message = _words_of(error)
    state = error.sqlstate
    if state is None or state.startswith("08") or state in _RESTARTING:
        return _unreachable(message, address)
    if state == "53300":
        return _too_many(message, address)
    if state.startswith("28"):
        return _password_rejected(message, address)
    if state == "42501":
        return _privilege_missing(message, address)
    if state == "55006":
        return TryAgain(
            "object_in_use",
            found=f"{address}: {message}",
            expected="that nobody else uses it",
            hint="see who does in pg_stat_activity and pg_replication_slots (active_pid), and end that; then it goes on",
        )
    if state == "57014":
        return GiveUp(
            "statement_cancelled",
            found=f"{address}: {message}",
            expected="that the statement ends within its time limit",
            hint="see with pg_stat_activity what holds it up, or make the statement cheaper",
        )
    return GiveUp(
        "database_error",
        found=f"{address}: {message}",
        expected=f"no error (SQLSTATE {state})",
        hint="the server's log says more about it, with the statement where log_min_error_statement allows",
    )


def _words_of(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or str(error)
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    return _in_one_line(primary + detail)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _unreachable(message: str, address: str) -> TryAgain:
    return TryAgain(
        "database_unreachable",
        found=f"{address}: {message}",
        expected="a PostgreSQL server that accepts connections",
        hint="is it running, and may this host reach its port? then try again; serve does by itself",
    )


def _password_rejected(message: str, address: str) -> GiveUp:
    return GiveUp(
        "password_rejected",
        found=f"{address}: {message}",
        expected="the password of that role",
        hint="correct the connection string that the stack file refers to, or set the role's password with: \\password <role>",
    )


def _peer_refused(message: str, address: str) -> GiveUp:
    """The role's name counts there, and no password helps."""
    return GiveUp(
        "peer_rejected",
        found=f"{address}: {message}",
        expected="a role of the same name as the operating-system user that runs this: a line with peer (or ident) in the "
        "server's pg_hba.conf asks for that, and for no password",
        hint="run this as that user (sudo -u ROLE …), name the role of the user that runs it, map the two (pg_ident.conf, and "
        "map= in that line), or connect with a password: host=127.0.0.1, or scram-sha-256 in place of peer",
    )


def statement_that_grants(message: str) -> str:
    """What gives the role what the server says it lacks."""
    named = _DENIED.search(message)
    of_the_server = named is not None and named["name"].startswith("pg_")  # what a monitor may, README asks for as a whole
    if named is None or named["kind"] not in _GRANTS or of_the_server:
        return "as a superuser: GRANT pg_monitor TO <the role of the connection>;"
    grant = _GRANTS[named["kind"]].format(named["name"])
    return f"as its owner or a superuser: GRANT {grant} TO <the role of the connection>;"


def _privilege_missing(message: str, address: str) -> GiveUp:
    lowered = message.lower()
    if "wal sender" in lowered or "walsender" in lowered or "replication" in lowered:
        expected, hint = (
            "a role with the REPLICATION attribute",
            "as a superuser: ALTER ROLE <the role of the connection> REPLICATION;",
        )
    else:
        expected, hint = "a role that may do this", statement_that_grants(message)
    return GiveUp("privilege_missing", found=f"{address}: {message}", expected=expected, hint=hint)


def _hba_refused(message: str, address: str) -> GiveUp:
    fields = _HBA_FIELDS.search(message)
    host, user, database, encryption = fields.group("host", "user", "database", "encryption") if fields else ("", "", None, None)
    what = "replication" if "replication connection" in message else f'"{database}"' if database else "all"
    if host == "[local]":
        line = f"local {what} {user} scram-sha-256"
    else:
        kind = "hostssl" if encryption and "SSL encryption" in encryption else "host"
        mask = "/128" if ":" in host else "/32"
        line = f"{kind} {what} {user} {host}{mask} scram-sha-256"
    return GiveUp(
        "privilege_missing",
        found=f"{address}: {message}",
        expected="an entry in the server's pg_hba.conf that lets this connection in",
        hint=f"put this line above the others in pg_hba.conf (SHOW hba_file), then SELECT pg_reload_conf(): {line}",
    )


def _too_many(message: str, address: str) -> TryAgain:
    if "max_wal_senders" in message or "standby connections" in message:
        hint = "raise max_wal_senders (restart needed), or end a replication connection that pg_stat_replication shows"
        return TryAgain(
            "wal_senders_exhausted",
            found=f"{address}: {message}",
            expected="a free WAL sender",
            hint=hint,
            after=timedelta(seconds=5),
        )
    return TryAgain(
        "connections_exhausted",
        found=f"{address}: {message}",
        expected="a free connection",
        hint="raise max_connections, or end connections that pg_stat_activity shows as idle",
        after=timedelta(seconds=5),
    )


def _database_missing(message: str, address: str) -> GiveUp:
    return GiveUp(
        "database_missing",
        found=f"{address}: {message}",
        expected="a database of that name",
        hint="correct the database's name in the connection string",
    )


def _tls_failed(message: str, address: str) -> GiveUp:
    return GiveUp(
        "tls_failed",
        found=f"{address}: {message}",
        expected="the TLS that sslmode and sslrootcert of the connection string demand",
        hint="compare them with the server's certificate: openssl s_client -starttls postgres -connect HOST:PORT",
    )


_Make = Callable[[str, str], UnderstudyError]
_CONNECTION_RULES: tuple[tuple[re.Pattern[str], _Make], ...] = (
    (_HBA, _hba_refused),
    (re.compile(r"\b(Peer|Ident) authentication failed"), _peer_refused),
    (
        re.compile(r"authentication failed|no password supplied|role \"[^\"]*\" (does not exist|is not permitted to log in)"),
        _password_rejected,
    ),
    (re.compile(r"permission denied to start WAL sender|must be superuser or replication role"), _privilege_missing),
    (re.compile(r"permission denied for database"), _privilege_missing),
    (re.compile(r"max_wal_senders|too many (clients|connections)|remaining connection slots"), _too_many),
    (re.compile(r"database \"[^\"]*\" does not exist"), _database_missing),
    (re.compile(r"certificate|server does not support SSL|root certificate|SSL error: (?!unexpected eof)"), _tls_failed),
)


def standby_behind(address: str, flushed: Lsn, spool: Path, reaches: Lsn) -> TryAgain:
    """After a crash a standby says how far it has replayed, until its own server sends again; it may hold far more."""
    return TryAgain(
        "standby_behind",
        found=f"{address}, a standby, is at {flushed}, and the spool reaches {reaches}",
        expected="a standby that has replayed, or received again, what it sent before",
        hint="wait: it is tried again. If it stays so: does the standby receive from its primary (pg_stat_wal_receiver)? One "
        f"that was set back for good, as by a snapshot, needs another spool: move {spool} away",
    )
