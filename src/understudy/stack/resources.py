"""What is protected: one model per kind of resource, and how they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from understudy.stack.checks import SqlCheck
from understudy.stack.consistency import did_you_mean
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.expectation import Expectation
from understudy.stack.fields import (
    AbsolutePath,
    BackupRate,
    CompressionLevel,
    ConnectionField,
    Cron,
    Duration,
    Flag,
    Interval,
    Line,
    ListenAddresses,
    Name,
    PartSize,
    Port,
    SlotName,
    SpoolSize,
    SqlName,
    Zone,
)
from understudy.stack.order import DEPENDS_ON, PRIORITY, Names, Priority
from understudy.stack.snapshots import (
    JITTER,
    KIND_TEXT,
    BucketResource,
    FilesResource,
    SnapshotKeepSettings,
)
from understudy.stack.stack_part import StackPart
from understudy.stack.streams import CommandResource, RedisResource


class WalSettings(StackPart):
    """How the write-ahead log leaves the database's host, continuously."""

    title = "Streaming of WAL"

    synchronous: Flag = Field(
        default=False,
        description="Acknowledge WAL as soon as it is safe in the spool, so that the server may count the receiver as a "
        "synchronous standby and lose no acknowledged commit. The server must name it in synchronous_standby_names; while the "
        "receiver is down, such commits wait.",
    )
    ship_every: Interval = Field(
        default=timedelta(seconds=10),
        description="How often the unfinished end of the WAL is stored in every repository. It bounds what the loss of this "
        "host costs.",
    )
    spool: AbsolutePath | None = Field(
        default=None,
        description="Directory on this host that receives WAL before it is stored in the repositories. Default: wal/<resource> "
        "below the state directory.",
    )
    spool_limit: SpoolSize = Field(
        default=8 * 2**30,
        description="When the spool holds so much, receiving stops and says so; from then on the server's own "
        "max_slot_wal_keep_size decides.",
    )
    slot: SlotName | None = Field(
        default=None, description="Name of the physical replication slot. Default: understudy_<stack>_<resource>, - written as _."
    )


class BackupSettings(StackPart):
    """When and how base backups are taken."""

    title = "Base backups"

    full: Cron | None = Field(default=None, description="When full backups are taken. Default: only when asked for.")
    incremental: Cron | None = Field(
        default=None,
        description="When incremental backups are taken (PostgreSQL 17 and newer, summarize_wal = on). Where the server refuses "
        "one, a full backup is taken instead and the reason recorded.",
    )
    timezone: Zone = Field(
        default="UTC", description="The time zone of both schedules, and of the days, weeks and months that keep counts."
    )
    jitter: Duration = JITTER
    max_rate: BackupRate | None = Field(default=None, description="The most that the server may send. Default: no limit.")
    part_size: PartSize = Field(
        default=256 * 2**20,
        description="Plain size at which a part of a backup ends and the next begins. No file is split, so a part can grow to "
        "the largest file (1GiB). Smaller parts restore on more cores, larger ones make fewer objects.",
    )
    compression_level: CompressionLevel = Field(
        default=3,
        description="zstd level; what it makes hardly smaller than level 1 does is compressed at level 1, which is faster.",
    )


class KeepSettings(SnapshotKeepSettings):
    """What understudy expire leaves in each repository. A backup stays while any of these, or safety, asks for it."""

    title = "Retention"

    point_in_time: Duration = Field(
        default=timedelta(days=7),
        description="Every moment of so much time before the newest backup, and all since, stays restorable. Older backups are "
        "restorable to their own end only: the WAL between them goes.",
    )


class RecoverSettings(StackPart):
    """Where a real recovery brings the database up on this host."""

    title = "Where a real recovery lands"

    directory: AbsolutePath = Field(
        description="The data directory. Whatever stands there is set aside, never removed, and only after approval."
    )
    port: Port = Field(default=5432, description="The port that the recovered server listens on.")
    url: ConnectionField | None = Field(
        default=None,
        description="Connection string that leads to the recovered server on this host, in the form of the resource's url; for "
        "when url names a host that may be lost. After a recovery everything goes on by it, until url names another address "
        "than it did at the recovery. Default: url must lead to this host within 15 minutes of the recovered server's opening.",
    )
    socket_directory: AbsolutePath | None = Field(
        default=None,
        description="Where clients of this host find the recovered server's socket. Default: /var/run/postgresql where the "
        "server's user may write there, else /tmp.",
    )
    log: AbsolutePath | None = Field(
        default=None, description="The recovered server's log; it is added to. Default: <directory>.log."
    )
    configuration: AbsolutePath | None = Field(
        default=None,
        description="Directory on this host with the postgresql.conf, pg_hba.conf and pg_ident.conf that the recovered server "
        "is opened with; for servers that keep theirs outside the data directory, as Debian's do. Its port, listen_addresses, "
        "unix_socket_directories and data_directory give way to those of recover. Default: the files that the backup holds.",
    )
    programs: AbsolutePath | None = Field(
        default=None,
        description="Directory of the PostgreSQL programs of the database's major version. Default: the place where Debian, "
        "PGDG or the PATH has them.",
    )
    listen_addresses: ListenAddresses = Field(
        default="localhost", description="The recovered server's listen_addresses. Default: this host only."
    )
    tablespaces: Mapping[SqlName, AbsolutePath] = Field(
        default_factory=dict,
        description="For each tablespace, by name, the directory that a real recovery puts it into. Each tablespace needs its "
        "line, so that nothing lands on the original's path by accident. A restore elsewhere asks for --tablespace instead.",
    )
    user: Line | None = Field(
        default=None,
        description="Operating-system user that runs the server. Default: the current one, or postgres when understudy runs as "
        "root.",
    )


class WarmCopySettings(StackPart):
    """A copy of the database that serve keeps beside recover.directory and that replays all WAL as it is stored: a real recovery
    to the newest commit goes on from it, so that its time does not depend on the database's size.
    """

    title = "Warm copy"

    directory: AbsolutePath | None = Field(
        default=None,
        description="Directory below which each copy has its own, on the file system of recover.directory; with room for two "
        "copies, because a new one is verified before the old one goes. Default: <recover.directory>.warm.",
    )


class DrillSettings(StackPart):
    """Where drills bring the database up: a sandbox that is removed afterwards."""

    title = "Where drills happen"

    directory: AbsolutePath | None = Field(
        default=None, description="Directory below which each drill makes its own. Default: drills below the state directory."
    )
    programs: AbsolutePath | None = Field(
        default=None, description="Directory of the PostgreSQL programs that drills use. Default: those of recover."
    )


class HeartbeatSettings(StackPart):
    """A row that is written at an interval, so that the loss of a recovery is known in time even when nobody else writes."""

    title = "Heartbeat"

    every: Interval = Field(default=timedelta(seconds=10), description="How often the row is written.")
    database: SqlName = Field(
        default="postgres",
        description="The database that holds the table understudy_heartbeat. The role of url makes the table where it is not "
        "there; where it is, the right to write into it is enough.",
    )


class PostgresResource(StackPart):
    """A PostgreSQL cluster: all its databases, backed up and recovered together."""

    title = "Resources of kind postgres"

    kind: Annotated[Literal["postgres"], Expectation("postgres", KIND_TEXT)] = Field(description="What the resource is.")
    url: ConnectionField = Field(
        description="Connection string of a role with REPLICATION, as a reference: env:NAME or file:/path. One without a "
        "password (a service with .pgpass, a certificate, a socket with peer authentication) may also stand here itself. Its "
        "connect_timeout is how long a host that does not answer is waited for; without one 10 s."
    )
    tier: Name = Field(default="standard", description="The tier whose objectives hold for it.")
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="Names of the repositories that keep it. Default: all."
    )
    wal: WalSettings = Field(default=WalSettings(), description="How the write-ahead log leaves the host.")
    backup: BackupSettings = Field(default=BackupSettings(), description="When and how base backups are taken.")
    keep: KeepSettings = Field(
        default=KeepSettings(),
        description="What understudy expire leaves in the repositories; serve runs it after each scheduled backup.",
    )
    recover: RecoverSettings | None = Field(
        default=None,
        description="Where a real recovery brings it up. Without it, drills and restores into a directory remain possible.",
    )
    warm_copy: WarmCopySettings | None = Field(
        default=None,
        description="Keep a warm copy on this host; beside recover. Default: none, and a recovery restores a base backup.",
    )
    drill: DrillSettings = Field(default=DrillSettings(), description="Where drills bring it up.")
    checks: tuple[SqlCheck, ...] = Field(default=(), description="Questions to the recovered data.")
    heartbeat: HeartbeatSettings | None = Field(
        default=None, description="Write a row at an interval. Default: none; losses are then told by the last replayed commit."
    )


SnapshotResource = FilesResource | BucketResource | CommandResource | RedisResource | PostgresDumpResource
"""What is kept in snapshots."""

_MODELS: Mapping[str, type[PostgresResource] | type[SnapshotResource]] = {
    "postgres": PostgresResource,
    "postgres-dump": PostgresDumpResource,
    "files": FilesResource,
    "bucket": BucketResource,
    "command": CommandResource,
    "redis": RedisResource,
}
KINDS = tuple(_MODELS)


def kind_of(value: object) -> str:
    """The kind that a resource is read as. One whose own kind is mistyped or missing is read as what it is likeliest meant to be,
    so that its other mistakes are told, too.
    """
    if not isinstance(value, Mapping):
        return str(getattr(value, "kind", "postgres"))
    kind = value.get("kind")
    if kind in KINDS:
        return str(kind)
    near = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
    fits = [(f"mean {name}?" in near, len(value.keys() & model.model_fields.keys())) for name, model in _MODELS.items()]
    return KINDS[fits.index(max(fits))]


Resource = Annotated[
    Annotated[PostgresResource, Tag("postgres")]
    | Annotated[PostgresDumpResource, Tag("postgres-dump")]
    | Annotated[FilesResource, Tag("files")]
    | Annotated[BucketResource, Tag("bucket")]
    | Annotated[CommandResource, Tag("command")]
    | Annotated[RedisResource, Tag("redis")],
    Discriminator(kind_of),
    Expectation("a resource", f"keys and values, kind ({', '.join(KINDS)}) among them"),
]
