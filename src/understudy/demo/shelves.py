"""What stands beside the database: documents in a directory, images in a bucket. What each holds follows from its number, so
that whoever looks afterwards knows what it has to hold."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from pathlib import Path
from typing import Any, Protocol

from understudy.adapters.clock.system import SystemClock
from understudy.demo.ledger import acknowledgement

DOCUMENTS_LEDGER = "documents.txt"
IMAGES_LEDGER = "images.txt"
_BLOCKS = 512
_IN_ONE_FOLDER = 100


def content_of(number: int) -> bytes:
    """1 to 16 KiB that nothing compresses."""
    return hashlib.shake_256(b"%d" % number).digest((number % 31 + 2) * _BLOCKS)


class Shelf(Protocol):
    def put(self, number: int) -> None:
        """It is acknowledged once this has returned."""

    def sound(self) -> Set[int]:
        """The numbers of all that hold what they have to."""


class Documents:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, number: int) -> None:
        """Raises: OSError where the directory is gone; only folders below it are made."""
        folder = self._directory / f"{number // _IN_ONE_FOLDER:04d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.pdf").write_bytes(content_of(number))

    def sound(self) -> Set[int]:
        found = {int(path.stem): path for path in self._directory.glob("*/*.pdf")}
        return {number for number, path in found.items() if path.read_bytes() == content_of(number)}


class Images:
    """``client`` is one of boto3's, for S3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, number: int) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"{number // _IN_ONE_FOLDER:04d}/{number}.png", Body=content_of(number))

    def sound(self) -> Set[int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        keys = [str(each["Key"]) for page in pages for each in page.get("Contents", [])]
        return {
            number for number, key in ((int(Path(key).stem), key) for key in keys) if self._content(key) == content_of(number)
        }

    def _content(self, key: str) -> bytes:
        return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())


def fill(shelf: Shelf, ledger: Path, first: int, count: int) -> None:
    """So many, from the number ``first`` on, each noted in the ledger."""
    clock = SystemClock()
    with ledger.open("a", buffering=1) as lines:
        for number in range(first, first + count):
            shelf.put(number)
            lines.write(acknowledgement(number, clock.now()))
