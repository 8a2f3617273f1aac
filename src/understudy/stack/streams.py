"""What one program hands over as one stream, and is kept in snapshots: the output of a command, the data of a Redis server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from understudy.stack.expectation import Expectation
from understudy.stack.fields import (
    AbsolutePath,
    Argument,
    EnvironmentName,
    FileName,
    Flag,
    Interval,
    Line,
    Name,
    RedisField,
    SecretField,
)
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

ONE_CONTENT = ("command", "redis")
"""The kinds that are declared here: one content, which is taken and restored whole."""


class CommandResource(StackPart):
    """Whatever a command of yours writes to its standard output, and another one takes back on its standard input."""

    title = "Resources of kind command"

    kind: Annotated[Literal["command"], Expectation("command", KIND_TEXT)] = Field(description="What the resource is.")
    dump: tuple[Argument, ...] = Field(
        min_length=1,
        description="The command that writes everything to its standard output, as a list of its arguments: no shell is asked. "
        "What it writes is kept where it ends with 0; its standard error is told where it does not.",
    )
    load: tuple[Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="The command that takes back on its standard input what dump wrote, for restore --load. Default: none; then "
        "only the file itself can be restored.",
    )
    load_again: Flag = Field(
        default=False,
        description="Loading twice is the same as once, also where the first time was cut off: a load that was killed is then "
        "begun anew by itself. Otherwise it stops, and a person looks.",
    )
    environment: Mapping[EnvironmentName, SecretField] = Field(
        default_factory=dict,
        description="Environment variables of both commands, each with a reference to its value. Of Understudy's own they are "
        "given PATH, HOME, USER, LOGNAME, SHELL, TMPDIR, TZ and the locale alone.",
    )
    directory: AbsolutePath | None = Field(default=None, description="Where both commands are started. Default: /.")
    time_limit: Interval = Field(
        default=timedelta(hours=1), description="After so long a command that is still at work is ended, and has failed."
    )
    may_be_empty: Flag = Field(
        default=False, description="A dump that wrote nothing is kept. Otherwise it has failed, whatever it ended with."
    )
    file: FileName | None = Field(
        default=None, description="The name of the file that restore --to writes. Default: <the resource's name>.dump."
    )
    tier: Name = TIER
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = REPOSITORIES
    backup: SnapshotSettings = BACKUP
    keep: SnapshotKeepSettings = KEEP


class RedisRecoverSettings(StackPart):
    """Where a real recovery puts the data of a Redis server, and how the server is ended and started around that."""

    title = "How a Redis server is recovered"

    directory: AbsolutePath = Field(
        description="The server's dir. What stands there is set aside, never removed, and only after approval; dump.rdb is put "
        "there, which must be its dbfilename. Its configuration must lie elsewhere."
    )
    start: tuple[Argument, ...] = Field(
        min_length=1,
        description="The command that starts the server, as a list of its arguments: [systemctl, start, redis-server]. With "
        "appendonly yes a server reads no RDB file and begins empty: start it with appendonly no.",
    )
    stop: tuple[Argument, ...] | None = Field(
        default=None,
        min_length=1,
        description="The command that ends the server. Default: none; then a server that still answers stops the recovery.",
    )
    user: Line | None = Field(
        default=None,
        description="Operating-system user that the server runs as; where understudy runs as root, the data are given to it.",
    )


class RedisResource(StackPart):
    """The data of a Redis server: all its databases, as one RDB file that the server hands over as it would to a replica."""

    title = "Resources of kind redis"

    kind: Annotated[Literal["redis"], Expectation("redis", KIND_TEXT)] = Field(description="What the resource is.")
    url: RedisField = Field(
        description="Where the server is: redis://host:port, rediss:// for TLS, unix:/path for a socket, a user's name before "
        "the host where the server has several; or a reference to such a URL, in which a password may stand, too. The user needs "
        "the commands PING, INFO, SYNC, PSYNC and REPLCONF."
    )
    password: SecretField | None = Field(
        default=None,
        description="Reference to the password, where url does not hold it. redis-cli is handed it by environment.",
    )
    ca: AbsolutePath | None = Field(
        default=None, description="File of the certificate that signed the server's, for rediss://. Default: those of the system."
    )
    certificate: AbsolutePath | None = Field(default=None, description="File of the certificate that the server asks for.")
    key: AbsolutePath | None = Field(default=None, description="File of the key of certificate. They go together.")
    programs: AbsolutePath | None = Field(
        default=None, description="Directory of redis-cli, redis-check-rdb and redis-server. Default: where the PATH has them."
    )
    time_limit: Interval = Field(
        default=timedelta(hours=1), description="After so long a transfer, or the trial of what was restored, has failed."
    )
    recover: RedisRecoverSettings | None = Field(
        default=None,
        description="How a real recovery brings it up. Without it, drills and restores into a directory remain possible.",
    )
    tier: Name = TIER
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = REPOSITORIES
    backup: SnapshotSettings = BACKUP
    keep: SnapshotKeepSettings = KEEP
