"""A store as far away as another continent: each request takes its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from understudy.adapters.files import FileStore
from understudy.ports.object_store import StoredObject


class DelayingStore(FileStore):
    def __init__(self, root: Path, latency_seconds: float = 0.05) -> None:
        super().__init__(root)
        self._latency_seconds = latency_seconds

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        self._wait()
        return super().read(key, offset)

    def head(self, key: str) -> StoredObject | None:
        self._wait()
        return super().head(key)

    def _wait(self) -> None:
        threading.Event().wait(self._latency_seconds)
