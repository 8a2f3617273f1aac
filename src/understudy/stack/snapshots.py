"""What is kept in snapshots, and how: the directories and buckets of a stack. Others: ``stack.streams``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from understudy.stack.expectation import Expectation
from understudy.stack.fields import (
    AbsolutePath,
    BucketUrl,
    CompressionLevel,
    Count,
    Cron,
    Duration,
    EndpointField,
    ExcludePattern,
    Flag,
    Name,
    PartSize,
    RegionName,
    SecretField,
    Zone,
)
from understudy.stack.order import DEPENDS_ON, PRIORITY, Names, Priority
from understudy.stack.stack_part import StackPart

KIND_TEXT = "a kind of resource that is known: postgres, postgres-dump, files, bucket, command or redis"

JITTER = Field(
    default=timedelta(0),
    description="A scheduled backup begins later than its schedule says, by less than this. How much is decided by the names of "
    "stack, resource and schedule: always the same, and another than elsewhere, so that many in one store do not begin at once. "
    "It begins before the schedule comes due again, however long this is. Default: none.",
)


class SnapshotSettings(StackPart):
    """When and how snapshots are taken. Each is whole, and stores only what is new since the one before."""

    title = "Snapshots"

    schedule: Cron | None = Field(default=None, description="When snapshots are taken. Default: only when asked for.")
    timezone: Zone = Field(
        default="UTC", description="The time zone of the schedule, and of the days, weeks and months that keep counts."
    )
    jitter: Duration = JITTER
    part_size: PartSize = Field(
        default=64 * 2**20,
        description="Plain size at which a part ends and the next begins. Small contents share parts, a larger one has its own. "
        "Restoring one small file reads one part.",
    )
    compression_level: CompressionLevel = Field(
        default=3,
        description="zstd level; what it makes hardly smaller than level 1 does is compressed at level 1, which is faster.",
    )


class SnapshotKeepSettings(StackPart):
    """What understudy expire leaves in each repository. A snapshot stays while any of these, or safety, asks for it."""

    title = "Retention of snapshots"

    daily: Count = Field(
        default=7, description="The newest backup of each of so many days stays. Days without a backup do not count."
    )
    weekly: Count = Field(default=4, description="The newest backup of each of so many weeks (from Monday) stays; likewise.")
    monthly: Count = Field(default=12, description="The newest backup of each of so many months stays; likewise.")
    manual: Duration = Field(
        default=timedelta(days=30), description="Backups that a person asked for stay so long, whatever else was taken that day."
    )
    point_in_time: Duration = Field(
        default=timedelta(days=1),
        description="Every snapshot of so much time before the newest one stays, and the one before it: a restore to a moment "
        "takes the newest that was complete by then.",
    )


TIER = Field(default="standard", description="The tier whose objectives hold for it.")
REPOSITORIES = Field(default=None, min_length=1, description="Names of the repositories that keep it. Default: all.")
BACKUP = Field(default=SnapshotSettings(), description="When and how snapshots are taken.")
KEEP = Field(
    default=SnapshotKeepSettings(),
    description="What understudy expire leaves in the repositories; serve runs it after each scheduled snapshot.",
)


class FilesDrillSettings(StackPart):
    """Where drills bring a directory up: a sandbox that is removed afterwards."""

    title = "Where drills of directories happen"

    directory: AbsolutePath | None = Field(
        default=None,
        description="Directory below which each drill makes its own, with room for all of it. Default: drills below the state "
        "directory.",
    )


class BucketDrillSettings(StackPart):
    """Where drills bring a bucket up: a sandbox that is emptied afterwards."""

    title = "Where drills of buckets happen"

    url: BucketUrl | None = Field(
        default=None,
        description="s3://bucket/prefix, of the same service and keys. Each drill uses a prefix of its own below it and removes "
        "what it wrote. Default: none, and the bucket cannot be drilled.",
    )


class FilesResource(StackPart):
    """A directory with all below it: contents, owners, modes, times, links, extended attributes."""

    title = "Resources of kind files"

    kind: Annotated[Literal["files"], Expectation("files", KIND_TEXT)] = Field(description="What the resource is.")
    path: AbsolutePath = Field(
        description="The directory. Understudy's user must be able to read all of it; no repository may lie within it."
    )
    exclude: tuple[ExcludePattern, ...] = Field(
        default=(),
        description="What is left out, as patterns of .gitignore, from path on: *.tmp is every such name at any depth, /cache/ "
        "that one directory, !keep.tmp takes one in again.",
    )
    one_file_system: Flag = Field(default=False, description="Leave out what is mounted below path.")
    tier: Name = TIER
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = REPOSITORIES
    backup: SnapshotSettings = BACKUP
    keep: SnapshotKeepSettings = KEEP
    drill: FilesDrillSettings = Field(default=FilesDrillSettings(), description="Where drills bring it up.")


class BucketResource(StackPart):
    """The objects of an S3 bucket, or of a prefix in it: contents, content types, metadata, tags."""

    title = "Resources of kind bucket"

    kind: Annotated[Literal["bucket"], Expectation("bucket", KIND_TEXT)] = Field(description="What the resource is.")
    url: BucketUrl = Field(
        description="s3://bucket or s3://bucket/prefix. Of a prefix, all objects whose keys begin with prefix/."
    )
    exclude: tuple[ExcludePattern, ...] = Field(
        default=(), description="What is left out, as patterns of .gitignore, from url on: thumbnails/ is all below such a name."
    )
    ask_for_every_object: Flag = Field(
        default=False,
        description="Ask for metadata and tags of every object at every snapshot: one request each. Otherwise they are asked for "
        "where the object changed, and tags also where it had some: the first tag on an old object is then not seen.",
    )
    endpoint: EndpointField | None = Field(
        default=None, description="URL of the S3 service, in clear or as a reference. Default: Amazon's."
    )
    region: RegionName | None = Field(default=None, description="The bucket's region.")
    access_key: SecretField | None = Field(
        default=None,
        description="Reference to the access key. Default: what the host itself is granted. Reading is enough for backups; a "
        "restore writes, to where it is told.",
    )
    secret_key: SecretField | None = Field(default=None, description="Reference to the secret key. Goes with access_key.")
    tier: Name = TIER
    priority: Priority = PRIORITY
    depends_on: Names = DEPENDS_ON
    repositories: tuple[Name, ...] | None = REPOSITORIES
    backup: SnapshotSettings = BACKUP
    keep: SnapshotKeepSettings = KEEP
    drill: BucketDrillSettings = Field(default=BucketDrillSettings(), description="Where drills bring it up.")
