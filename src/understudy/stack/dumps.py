"""Databases that are kept as logical dumps, where a server lends no replication access."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from understudy.stack.checks import SqlCheck
from understudy.stack.expectation import Expectation
from understudy.stack.fields import AbsolutePath, ConnectionField, Flag, Interval, Jobs, Name, SqlName
from understudy.stack.order import DEPENDS_ON, PRIORITY, Names, Priority
from understudy.stack.snapshots import (
    BACKUP,
    KEEP,
    KIND_TEXT,
    REPOSITORIES,
    TIER,
    SnapshotKeepSettings,
    SnapshotSettings,
)
from understudy.stack.stack_part import StackPart


class DumpRecoverSettings(StackPart):
    """Where a real recovery loads a dump: a running server."""

    title = "Where dumps are loaded"

    url: ConnectionField = Field(
        description="Connection string of a running server, as a reference; of a superuser, or of a role with CREATEDB, to whom "
        "everything then belongs. Databases of the dump's names must not be there, or must be empty; nothing is overwritten."
    )


class PostgresDumpResource(StackPart):
    """The databases of a PostgreSQL server as pg_dump writes them, and its roles: for servers that lend no replication access.

    Between two dumps nothing is kept: a loss costs what was written since the last one.
    """

    title = "Resources of kind postgres-dump"

    kind: Annotated[Literal["postgres-dump"], Expectation("postgres-dump", KIND_TEXT)] = Field(
        description="What the resource is."
    )
    url: ConnectionField = Field(
        description="Connection string of a role that may read everything that is dumped (member of pg_read_all_data, or the "
        "owner), as a reference: env:NAME or file:/path. One without a password may also stand here itself. It names the "
        "database that is asked which others there are."
    )
    databases: tuple[SqlName, ...] | None = Field(
        default=None,
        min_length=1,
        description="The databases that are dumped. Default: every one that accepts connections, is no template, and lets the "
        "role in; the others are named in the evidence.",
    )
    jobs: Jobs = Field(default=2, description="How many tables are dumped at the same time, each over a connection of its own.")
    count_rows: Flag = Field(
        default=True,
        description="Count the rows of every table in the very state that is dumped, and demand as many of the dump. The server "
        "reads each table once more for it.",
    )
    programs: AbsolutePath | None = Field(
        default=None,
        description="Directory of pg_dump, pg_dumpall and pg_restore, for drills of initdb and postgres, too; of the "
        "server's major version or a newer one. "
        "Default: the places where Debian, PGDG or the PATH have them.",
    )
    time_limit: Interval = Field(
        default=timedelta(hours=6), description="After so long each program that is still at work is ended, and has failed."
    )
    recover: DumpRecoverSettings | None = Field(
        default=None,
        description="Where a real recovery, and restore --load, load it. Without it, drills and restores into a directory remain "
        "possible, and restore --load --into.",
    )
    checks: tuple[SqlCheck, ...] = Field(
        default=(), description="Questions to the loaded data; each runs in its database before that bears its name."
    )
    tier: Name = TIER
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = REPOSITORIES
    backup: SnapshotSettings = BACKUP
    keep: SnapshotKeepSettings = KEEP
