"""Looking at a database server, and at where it would come back, before it is protected. Nothing is made on the server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.programs import CLIENT_PROGRAMS, SERVER_PROGRAMS, find_programs
from understudy.app.installation import Installation
from understudy.app.looking import kept_faults
from understudy.app.preflight_host import blocked_at, look_at_directory
from understudy.app.preflight_landing import check_landing
from understudy.app.preflight_tablespaces import backed_up_tablespaces
from understudy.judge.preflight import (
    Finding,
    Grade,
    PreflightServer,
    Protection,
    finding_of,
    judge_backed_up,
    judge_clock,
    judge_server,
    judge_tablespaces,
    judge_version,
)
from understudy.judge.preflight_host import (
    judge_directory,
    judge_reachable,
    judge_recovery_parent,
    restore_need,
    spool_need,
)
from understudy.ports.database import Database
from understudy.records.records import Records
from understudy.stack.checks import SqlCheck
from understudy.stack.resources import PostgresResource
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.heartbeat import HEARTBEAT_TABLE, heartbeat_privileges
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.majors import FIRST_MAJOR

_CHECK_TIME_LIMIT = timedelta(seconds=10)
_VERSION = "select current_setting('server_version_num'), current_setting('server_version')"
_ROLE = """
select current_user,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user),
       pg_has_role('pg_monitor', 'USAGE'),
       (select count(*) from pg_replication_slots),
       (select rolname from pg_roles where oid = 10),
       (select coalesce(json_agg(rolname order by oid <> 10, oid), '[]') from pg_roles where rolsuper and rolcanlogin),
       (select json_object_agg(name, current_setting(name)) from pg_settings where name in (
            'config_file', 'data_checksums', 'data_directory', 'hba_file', 'max_replication_slots', 'max_slot_wal_keep_size',
            'max_wal_senders',
            'summarize_wal', 'synchronous_commit', 'synchronous_standby_names', 'wal_level'))
"""
_TIME = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
# Each by itself: a list of privileges asks whether one of them is there. ON CONFLICT reads the row that it meets.
_HEARTBEAT = f"""
select case when to_regclass('{HEARTBEAT_TABLE}') is null then has_schema_privilege('public', 'CREATE')
            else has_table_privilege('{HEARTBEAT_TABLE}', 'SELECT') and has_table_privilege('{HEARTBEAT_TABLE}', 'INSERT')
                 and has_table_privilege('{HEARTBEAT_TABLE}', 'UPDATE') end,
       to_regclass('{HEARTBEAT_TABLE}') is not null, quote_ident(current_user)
"""
_ASPECTS = {
    "wal_senders_exhausted": "max_wal_senders",
    "database_unreachable": "connection",
    "password_rejected": "password",
    "peer_rejected": "pg_hba",
    "privilege_missing": "privileges",
    "secret_missing": "url",
    "connection_string_malformed": "url",
    "tls_failed": "tls",
}


def check_resource(installation: Installation, name: ResourceName) -> Iterator[Finding]:
    subject = f"resource {name}"
    resource = installation.postgres(name)
    findings: list[Finding] = []
    major: int | None = None
    database: Database | None = None
    settings: Mapping[str, str] | None = None
    try:
        database = installation.databases[name]
        major = _ask_version(installation, database, subject, findings)
        if major >= FIRST_MAJOR:
            asked = _ask_settings(installation, name, database, major)
            settings = asked.settings
            findings += judge_server(asked, _protection(installation, name))
        findings += _check_questions(subject, resource, database)
    except UnderstudyError as error:
        findings.append(finding_of(error, subject, _aspect_of(error)))
    size_bytes = 0
    if database is not None and major is not None and major >= FIRST_MAJOR:
        try:
            server = database.facts()
            findings.append(Finding(subject, "replication", Grade.OK, "a replication connection was opened"))
            findings += judge_tablespaces(server.tablespaces, _protection(installation, name))
            backed_up = backed_up_tablespaces(installation, name, server.system_identifier) if server.tablespaces else None
            findings += judge_backed_up(server.tablespaces, _protection(installation, name), backed_up)
            size_bytes = database.size_bytes()
        except UnderstudyError as error:
            failed = {finding.aspect for finding in findings if finding.grade is Grade.FAILURE}
            if _aspect_of(error) not in failed:  # the settings told it already, with the statement that changes it
                findings.append(finding_of(error, subject, _aspect_of(error)))
    yield from findings
    major = major or _seen_major(installation, name)
    if major is not None:
        yield from _check_programs(subject, resource, major)
    yield from check_landing(installation, name, settings)
    yield from _check_kept(installation, name)
    yield from _check_directories(installation, name, size_bytes)


def _check_kept(installation: Installation, name: ResourceName) -> Iterator[Finding]:
    """What ``serve`` could not do when it last tried. Whether the records can be read is told elsewhere."""
    if not os.access(installation.state / "state.db", os.R_OK | os.W_OK):
        return
    with closing(Records(installation.state, installation.clock)) as records:
        faults = kept_faults(installation.reading(records), name)
    for doing, fault in faults.items():
        found = f"a fault {doing}, serve says since {fault.since:%Y-%m-%d %H:%M:%S} UTC: {fault.code}: {fault.found}"
        change = fault.hint or "see: understudy status"
        yield Finding(f"resource {name}", "served", Grade.FAILURE, found, "none; serve tries again by itself", change)


def _seen_major(installation: Installation, name: ResourceName) -> int | None:
    """As last seen: the programs must be there on the day when the server is not."""
    try:
        seen = installation.seen(name)
    except UnderstudyError:
        return None  # told already, as what kept the server from being asked
    return seen.major if seen else None


def _ask_version(installation: Installation, database: Database, subject: str, findings: list[Finding]) -> int:
    """Adds what the version and the clock tell; returns the major version."""
    ((number, version),) = database.query(_VERSION)
    findings.append(judge_version(subject, database.address, int(number or 0), version or ""))
    asked = installation.clock.now()
    ((moment,),) = database.query(_TIME)
    answered = installation.clock.now()
    findings.append(judge_clock(subject, _ahead_seconds(datetime.fromisoformat(moment or ""), asked, answered)))
    return int(number or 0) // 10000


def _ahead_seconds(server: datetime, asked: datetime, answered: datetime) -> float:
    """The server answered between two moments of this host; only what lies outside them is a difference of the clocks."""
    if server < asked:
        return (server - asked).total_seconds()
    return max(0.0, (server - answered).total_seconds())


def _ask_settings(installation: Installation, name: ResourceName, database: Database, major: int) -> PreflightServer:
    slot = installation.stack.slot_of(name)
    ((role, replicates, monitors, slots_used, bootstrap_role, superusers, settings),) = database.query(_ROLE)
    standbys = database.standbys()
    return PreflightServer(
        major=major,
        role=role or "",
        role_replicates=replicates == "t",
        role_monitors=monitors == "t",
        settings=json.loads(settings or "{}"),
        senders_used=sum(each.application_name != slot for each in standbys),
        slots_used=int(slots_used or 0),
        slot=database.slot(slot),
        bootstrap_role=bootstrap_role or "",
        superusers=tuple(json.loads(superusers or "[]")),
    )


def _protection(installation: Installation, name: ResourceName) -> Protection:
    resource = installation.postgres(name)
    return Protection(
        subject=f"resource {name}",
        resource=name,
        slot=installation.stack.slot_of(name),
        synchronous=resource.wal.synchronous,
        incremental_scheduled=resource.backup.incremental is not None,
        tablespaces=resource.recover.tablespaces if resource.recover else None,
    )


def _aspect_of(error: UnderstudyError) -> str:
    """What a failed connection says something of."""
    if "pg_hba.conf" in error.found:
        return "pg_hba"
    return _ASPECTS.get(error.code, "server")


def _check_questions(subject: str, resource: PostgresResource, database: Database) -> Iterator[Finding]:
    """The operator's own checks, and the heartbeat's table, each asked in a transaction that may not write."""
    for check in resource.checks:
        yield _check_sql(subject, check, database)
    if resource.heartbeat is not None:
        yield _check_heartbeat(subject, resource.heartbeat.database, database)


def _check_sql(subject: str, check: SqlCheck, database: Database) -> Finding:
    name = check.name or check.sql
    try:
        rows = database.ask(check.sql, check.database, _CHECK_TIME_LIMIT)
    except UnderstudyError as error:
        grade = Grade.WARNING if error.code == "check_too_slow" else Grade.FAILURE
        expected = f"an answer, read-only, within {_CHECK_TIME_LIMIT.total_seconds():.0f} s"
        correct = f"in the stack file, correct the check: {check.sql}"
        change = f"{_granted(error, check, database)} or {correct}" if error.code == "privilege_missing" else correct
        return Finding(subject, "checks", grade, f"{name}: {error.found}", expected, change)
    if len(rows) == 1 and len(rows[0]) == 1:
        return Finding(subject, "checks", Grade.OK, f"{name}: {rows[0][0]}")
    columns = len(rows[0]) if rows else 0
    return Finding(
        subject, "checks", Grade.FAILURE, f"{name}: {len(rows)} rows of {columns} columns", "one value: one row of one column",
        f"in the stack file, correct the check: {check.sql}",
    )  # fmt: skip


def _granted(error: UnderstudyError, check: SqlCheck, database: Database) -> str:
    """The error's hint with the role's name in it."""
    try:
        ((role,),) = database.query("select quote_ident(current_user)", check.database)
    except UnderstudyError:
        return error.hint
    return error.hint.replace("<the role of the connection>", role or "")


def _check_heartbeat(subject: str, name: str, database: Database) -> Finding:
    try:
        ((may_write, there, role),) = database.query(_HEARTBEAT, name)
    except UnderstudyError as error:
        return finding_of(error, subject, "heartbeat")
    if may_write == "t":
        return Finding(subject, "heartbeat", Grade.OK, f"may be written in database {name}")
    missing = heartbeat_privileges(is_there=there == "t")
    return Finding(
        subject, "heartbeat", Grade.FAILURE, f"this role may not write {HEARTBEAT_TABLE} in database {name}",
        "a role that may make that table, or read and write it",
        f"in database {name}, as a superuser: GRANT {missing} TO {role};",
    )  # fmt: skip


def _check_programs(subject: str, resource: PostgresResource, major: int) -> Iterator[Finding]:
    """Those that receive, and those that restore; an incremental backup is applied without ``pg_combinebackup``."""
    recover = resource.recover
    try:
        found = find_programs(major, recover.programs if recover else None, CLIENT_PROGRAMS)
        yield Finding(subject, "programs_receiving", Grade.OK, str(found.directory))
    except UnderstudyError as error:
        yield finding_of(error, subject, "programs_receiving")
    try:
        account = Account.choose(recover.user if recover else None)
        explicit = resource.drill.programs or (recover.programs if recover else None)
        found = find_programs(major, explicit, SERVER_PROGRAMS, account)
        yield Finding(subject, "programs_restoring", Grade.OK, f"{found.directory}, run as {account.name}")
    except UnderstudyError as error:
        yield finding_of(error, subject, "programs_restoring")


def _check_directories(installation: Installation, name: ResourceName, size_bytes: int) -> Iterator[Finding]:
    subject = f"resource {name}"
    resource = installation.postgres(name)
    spool = Path(resource.wal.spool) if resource.wal.spool else installation.state / "wal" / name
    yield judge_directory(subject, "spool", look_at_directory(spool), spool_need(name, resource.wal.spool_limit))
    if installation.stack.encryption.identity is None:
        return
    drill = Path(resource.drill.directory) if resource.drill.directory else installation.state / "drills"
    need = restore_need(f"resources.{name}.drill.directory", size_bytes)
    yield judge_directory(subject, "drill_directory", look_at_directory(drill), need)
    try:
        account = Account.choose(resource.recover.user if resource.recover else None)
    except UnderstudyError as error:
        yield finding_of(error, subject, "server_user")
        return
    yield judge_reachable(subject, "drill_directory", str(drill), account.name, blocked_at(drill, account))
    if resource.recover is None:
        yield Finding(subject, "recover_directory", Grade.OK, "not declared: restores go where they are told to")
        return
    directory = Path(resource.recover.directory)
    facts = look_at_directory(directory)
    need = restore_need(f"resources.{name}.recover.directory", size_bytes)
    yield judge_directory(subject, "recover_directory", facts, need)
    yield judge_recovery_parent(subject, facts, str(directory.parent), directory.parent.is_dir())
    yield judge_reachable(subject, "recover_directory", str(directory), account.name, blocked_at(directory, account))
