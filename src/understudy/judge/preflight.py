"""What ``understudy check`` finds: one value for each thing that protection and recovery need. Pure.

Facts in, findings out. Here: the finding itself, and what is judged of a database server. Of this host, its keys and the
repositories: ``preflight_host``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from understudy.ports.database import SlotFacts, Tablespace
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.majors import FIRST_INCREMENTAL_MAJOR, FIRST_MAJOR
from understudy.vocabulary.synchronous_names import SynchronousNames

LAST_MAJOR = 18
TESTED_MAJORS = (15, 16, 18)
_SENDERS_NEEDED = 2
"""One for the receiver, one for base backups."""
_CLOCKS_MAY_DIFFER_SECONDS = 1.0
_UNLIMITED = "-1"


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and a person should know what it may cost."""
    FAILURE = "failure"
    """Protection or recovery would not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One aspect of one subject, as it was found."""

    subject: str
    """``resource orders``, ``repository near``, ``keys``, ``this host``."""
    aspect: str
    """Stable, for scripts: ``wal_level``, ``pg_hba``, ``free_space``."""
    grade: Grade
    found: str
    expected: str = ""
    change: str = ""
    """The line to change, or the command to run. Never empty for a failure."""


def passes(findings: Iterable[Finding]) -> bool:
    return all(finding.grade is not Grade.FAILURE for finding in findings)


def finding_of(error: UnderstudyError, subject: str, aspect: str) -> Finding:
    """A failure in the error tree, as what it means here."""
    return Finding(subject, aspect, Grade.FAILURE, f"{error.code}: {error.found}", error.expected, error.hint or error.expected)


@dataclass(frozen=True, slots=True)
class Protection:
    """What the stack file wants of a server."""

    subject: str
    resource: str
    slot: str
    synchronous: bool
    incremental_scheduled: bool
    tablespaces: Mapping[str, str] | None
    """By name, where a recovery puts each; None where no recovery is declared."""


@dataclass(frozen=True, slots=True)
class PreflightServer:
    """What a server answers to an ordinary connection."""

    major: int
    role: str
    role_replicates: bool
    role_monitors: bool
    settings: Mapping[str, str]
    senders_used: int
    """Rows of ``pg_stat_replication``, ours not counted."""
    slots_used: int
    """All of them, ours counted."""
    slot: SlotFacts | None
    bootstrap_role: str
    """The superuser that ``initdb`` made, whatever its name is now."""
    superusers: tuple[str, ...]
    """Those that may log in."""


def judge_version(subject: str, address: str, version_number: int, version: str) -> Finding:
    major = version_number // 10000
    tested = f"tested are {', '.join(map(str, TESTED_MAJORS[:-1]))} and {TESTED_MAJORS[-1]}"
    found = f"PostgreSQL {version} at {address}"
    if major < FIRST_MAJOR:
        expected = f"PostgreSQL {FIRST_MAJOR} or newer: older ones write no backup manifest"
        return Finding(subject, "version", Grade.FAILURE, found, expected, "upgrade the server; until then use pg_dump")
    if major > LAST_MAJOR:
        expected = f"PostgreSQL {FIRST_MAJOR} to {LAST_MAJOR} ({tested})"
        return Finding(subject, "version", Grade.WARNING, found, expected, "try it: understudy drill database_corruption")
    return Finding(subject, "version", Grade.OK, found if major in TESTED_MAJORS else f"{found} ({tested})")


def judge_server(server: PreflightServer, wanted: Protection) -> Iterator[Finding]:
    """Everything that the server's settings and the role's privileges tell."""
    yield _privileges(server, wanted)
    yield _superuser(server, wanted)
    yield _wal_level(server, wanted)
    yield _wal_senders(server, wanted)
    yield from _slots(server, wanted)
    yield _slot_limit(server, wanted)
    yield _summaries(server, wanted)
    yield _synchronous(server, wanted)
    yield _checksums(server, wanted)


def judge_tablespaces(found: Sequence[Tablespace], wanted: Protection) -> Iterator[Finding]:
    """Each tablespace needs a place of its own in a recovery: its old path may be in use."""
    if wanted.tablespaces is None:
        return
    key = f"resources.{wanted.resource}.recover.tablespaces"
    for tablespace in found:
        if tablespace.name in wanted.tablespaces:
            text = f"{tablespace.name} ({tablespace.location}) is restored to {wanted.tablespaces[tablespace.name]}"
            yield Finding(wanted.subject, "tablespaces", Grade.OK, text)
        else:
            yield Finding(
                wanted.subject, "tablespaces", Grade.FAILURE,
                f"tablespace {tablespace.name} at {tablespace.location} has no place in a recovery", f"a line below {key}",
                f"in the stack file, below {key}: {tablespace.name}: /another/directory",
            )  # fmt: skip
    names = {tablespace.name for tablespace in found}
    for name in wanted.tablespaces:
        if name not in names:
            yield Finding(
                wanted.subject, "tablespaces", Grade.WARNING, f"{key}.{name} names a tablespace that the server does not have",
                "names of tablespaces", f"in the stack file: remove {key}.{name}",
            )  # fmt: skip
    if not found and not wanted.tablespaces:
        yield Finding(wanted.subject, "tablespaces", Grade.OK, "the server has none of its own")


def judge_backed_up(found: Sequence[Tablespace], wanted: Protection, backed_up: Collection[int] | None) -> Iterator[Finding]:
    """``backed_up``: the oids of those that the newest backup holds. None where there is none: that is told elsewhere."""
    missing = [tablespace for tablespace in found if backed_up is not None and tablespace.oid not in backed_up]
    for tablespace in missing:
        yield Finding(
            wanted.subject, "tablespaces_backed_up", Grade.WARNING,
            f"tablespace {tablespace.name} at {tablespace.location} was made after the newest backup: until the next one a drill "
            "or a restore ends before it, and a recovery puts it to that path, whatever the stack file says",
            "a backup that holds every tablespace", f"understudy backup {wanted.resource}",
        )  # fmt: skip
    if found and backed_up is not None and not missing:
        yield Finding(wanted.subject, "tablespaces_backed_up", Grade.OK, "the newest backup holds all of them")


def judge_clock(subject: str, ahead_seconds: float) -> Finding:
    """``ahead_seconds``: how far the server's clock is ahead of this host's, beyond what the question itself took."""
    if abs(ahead_seconds) <= _CLOCKS_MAY_DIFFER_SECONDS:
        return Finding(subject, "clock", Grade.OK, "the server's clock and this host's agree within a second")
    how = "ahead of" if ahead_seconds > 0 else "behind"
    return Finding(
        subject, "clock", Grade.WARNING, f"the server's clock is {abs(ahead_seconds):.1f} s {how} this host's",
        "at most 1 s: targets in time follow the server's clock, exposure and schedules this host's",
        "run a time service on both hosts: timedatectl set-ntp true",
    )  # fmt: skip


def _privileges(server: PreflightServer, wanted: Protection) -> Finding:
    quoted = _identifier(server.role)
    if not server.role_replicates:
        return Finding(
            wanted.subject, "privileges", Grade.FAILURE, f"role {server.role} lacks REPLICATION", "a role with REPLICATION",
            f"as a superuser: ALTER ROLE {quoted} REPLICATION;",
        )  # fmt: skip
    if not server.role_monitors:
        return Finding(
            wanted.subject, "privileges", Grade.WARNING, f"role {server.role} has REPLICATION, but not pg_monitor",
            "pg_monitor, to see sizes, settings and other receivers", f"as a superuser: GRANT pg_monitor TO {quoted};",
        )  # fmt: skip
    return Finding(wanted.subject, "privileges", Grade.OK, f"role {server.role} has REPLICATION and sees all that is needed")


def _superuser(server: PreflightServer, wanted: Protection) -> Finding:
    """A copy has the roles of its source, and is verified as a superuser over a socket that nobody else may enter."""
    if not server.superusers:
        quoted = _identifier(server.bootstrap_role)
        return Finding(
            wanted.subject, "superuser", Grade.FAILURE, "no superuser may log in: no restored copy could be asked anything",
            "one superuser with LOGIN; pg_hba.conf can still keep it out from everywhere",
            f"as a superuser: ALTER ROLE {quoted} LOGIN; put lines above all others in pg_hba.conf: local all {quoted} reject, "
            f"host all {quoted} all reject",
        )  # fmt: skip
    return Finding(wanted.subject, "superuser", Grade.OK, f"restored copies are verified as {server.superusers[0]}")


def _wal_level(server: PreflightServer, wanted: Protection) -> Finding:
    level = server.settings.get("wal_level", "unknown")
    if level in ("replica", "logical"):
        return Finding(wanted.subject, "wal_level", Grade.OK, level)
    return Finding(
        wanted.subject, "wal_level", Grade.FAILURE, level, "replica or logical",
        "ALTER SYSTEM SET wal_level = replica; then restart the server",
    )  # fmt: skip


def _wal_senders(server: PreflightServer, wanted: Protection) -> Finding:
    limit = int(server.settings.get("max_wal_senders", "0"))
    free = limit - server.senders_used
    if free >= _SENDERS_NEEDED:
        return Finding(wanted.subject, "max_wal_senders", Grade.OK, f"{limit}, {server.senders_used} used by others")
    return Finding(
        wanted.subject, "max_wal_senders", Grade.FAILURE, f"{limit}, {server.senders_used} used by others",
        f"{_SENDERS_NEEDED} for understudy: one for the stream, one for base backups",
        f"ALTER SYSTEM SET max_wal_senders = {max(10, server.senders_used + _SENDERS_NEEDED)}; then restart the server",
    )  # fmt: skip


def _slots(server: PreflightServer, wanted: Protection) -> Iterator[Finding]:
    limit = int(server.settings.get("max_replication_slots", "0"))
    found = f"{limit}, {server.slots_used} in use"
    if server.slot is not None and server.slot.wal_status == "lost":
        yield Finding(
            wanted.subject, "slot", Grade.FAILURE, f"slot {wanted.slot} lost WAL before it came", "a slot whose WAL is there",
            f"SELECT pg_drop_replication_slot('{wanted.slot}'); then: understudy backup {wanted.resource} --full",
        )  # fmt: skip
    elif server.slot is not None:
        yield Finding(wanted.subject, "slot", Grade.OK, f"{wanted.slot}: {server.slot.wal_status or 'nothing reserved'}")
    if server.slot is None and server.slots_used >= limit:
        yield Finding(
            wanted.subject, "max_replication_slots", Grade.FAILURE, found, f"one free, for {wanted.slot}",
            f"ALTER SYSTEM SET max_replication_slots = {max(10, server.slots_used + 1)}; then restart the server, "
            "or drop a slot that nobody uses (TABLE pg_replication_slots)",
        )  # fmt: skip
        return
    yield Finding(wanted.subject, "max_replication_slots", Grade.OK, found)


def _slot_limit(server: PreflightServer, wanted: Protection) -> Finding:
    limit = server.settings.get("max_slot_wal_keep_size", _UNLIMITED)
    if limit != _UNLIMITED:
        return Finding(wanted.subject, "max_slot_wal_keep_size", Grade.OK, limit)
    return Finding(
        wanted.subject, "max_slot_wal_keep_size", Grade.WARNING, "unlimited: while no receiver runs, WAL fills the server's disk",
        "a limit that its disk can hold; behind it the slot is given up instead",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf();",
    )  # fmt: skip


def _summaries(server: PreflightServer, wanted: Protection) -> Finding:
    aspect = "summarize_wal"
    if server.major < FIRST_INCREMENTAL_MAJOR:
        if not wanted.incremental_scheduled:
            return Finding(wanted.subject, aspect, Grade.OK, f"PostgreSQL {server.major} takes full backups only")
        return Finding(
            wanted.subject, aspect, Grade.WARNING, f"PostgreSQL {server.major} has no incremental backups: full ones are taken",
            f"PostgreSQL {FIRST_INCREMENTAL_MAJOR} or newer for incremental backups",
            f"in the stack file: remove resources.{wanted.resource}.backup.incremental",
        )  # fmt: skip
    if server.settings.get(aspect) == "on":
        return Finding(wanted.subject, aspect, Grade.OK, "on")
    return Finding(
        wanted.subject, aspect, Grade.WARNING, "off: every backup is a full one", "on, for incremental backups",
        "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();",
    )  # fmt: skip


def _synchronous(server: PreflightServer, wanted: Protection) -> Finding:
    aspect, setting = "synchronous", server.settings.get("synchronous_standby_names", "")
    names = SynchronousNames.parse(setting)
    named = names.names(wanted.slot)
    found = f"synchronous_standby_names = '{setting}'"
    line = f"synchronous_standby_names = '{names.with_first(wanted.slot)}'"
    if named and server.settings.get("synchronous_commit") == "remote_apply":
        return Finding(
            wanted.subject, aspect, Grade.FAILURE, f"synchronous_commit = remote_apply, and {found} names the receiver",
            "on: a receiver applies nothing, so such commits would wait for ever",
            "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        )  # fmt: skip
    if not wanted.synchronous:
        if not named:
            return Finding(wanted.subject, aspect, Grade.OK, "not asked for: the server waits for nobody here")
        return Finding(
            wanted.subject, aspect, Grade.FAILURE, f"{found} names the receiver, which acknowledges whole segments only",
            "a receiver that acknowledges every write, or none that commits wait for",
            f"in the stack file: resources.{wanted.resource}.wal.synchronous: true",
        )  # fmt: skip
    if not named:
        return Finding(
            wanted.subject, aspect, Grade.FAILURE, f"{found} does not name {wanted.slot}: acknowledged commits can be lost", line,
            f"once the receiver streams (understudy serve), in postgresql.conf: {line} and SELECT pg_reload_conf();",
        )  # fmt: skip
    if not names.always_waits_for(wanted.slot):
        return Finding(
            wanted.subject, aspect, Grade.WARNING, f"{found}: a commit may be acknowledged without {wanted.slot}", line,
            f"in postgresql.conf: {line} and SELECT pg_reload_conf();",
        )  # fmt: skip
    return Finding(wanted.subject, aspect, Grade.OK, found)


def _checksums(server: PreflightServer, wanted: Protection) -> Finding:
    if server.settings.get("data_checksums") == "on":
        return Finding(wanted.subject, "data_checksums", Grade.OK, "on")
    directory = server.settings.get("data_directory", "DATA_DIRECTORY")
    return Finding(
        wanted.subject, "data_checksums", Grade.WARNING, "off: a rotten page is backed up without a word", "on",
        f"with the server stopped: pg_checksums --enable -D {directory}",
    )  # fmt: skip


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
