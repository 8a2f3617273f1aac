"""The stores that repositories of these tests lie in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3

BUCKET = "recovery"
PREFIX = "matrix"


class StoreKind(StrEnum):
    FILE = "file"
    S3 = "s3"


def s3_fields(server: RcloneS3, directory: Path) -> Mapping[str, str]:
    """The stack file's fields of a repository in that server's bucket; its keys go into files in ``directory``."""
    for name, value in (("access-key", ACCESS_KEY), ("secret-key", SECRET_KEY)):
        (directory / name).write_text(value)
        (directory / name).chmod(0o600)
    return {
        "url": f"s3://{BUCKET}/{PREFIX}",
        "endpoint": server.endpoint,
        "access_key": f"file:{directory / 'access-key'}",
        "secret_key": f"file:{directory / 'secret-key'}",
    }
