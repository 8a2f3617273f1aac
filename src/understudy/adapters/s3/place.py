"""A bucket, or what lies below a prefix of it: where, and as whom."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.s3.wire import Wire


@dataclass
class BucketPlace:
    """Nothing is asked of the store before ``wire``, and boto3 not imported."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    access_key: Secret | None
    secret_key: Secret | None
    _connecting: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _connected: Wire | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def folder(self) -> str:
        """What every key begins with; empty, or ending with a slash."""
        bare = self.prefix.strip("/")
        return f"{bare}/" if bare else ""

    @property
    def url(self) -> str:
        """To show to people."""
        return f"s3://{self.bucket}/{self.folder}".rstrip("/")

    @property
    def wire(self) -> Wire:
        """
        Raises:
            GiveUp: ``s3_support_missing``.
        """
        with self._connecting:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _connect(self) -> Wire:
        try:
            from understudy.adapters.s3.wire import Wire
        except ModuleNotFoundError as error:
            raise GiveUp(
                "s3_support_missing",
                found=f"no module {error.name}",
                expected="boto3, for buckets",
                hint="pip install 'understudy[s3]'",
            ) from error
        return Wire(self)
