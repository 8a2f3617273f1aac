"""A store that knows how many parts were on their way at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from understudy.ports.object_store import ObjectStore, Written

_PATIENCE_SECONDS = 60


class CountingStore:
    """Passes everything on. The first ``expected`` parts are let on only once all of them have come."""

    def __init__(self, store: ObjectStore, expected: int) -> None:
        self._store = store
        self._meeting = threading.Barrier(expected)
        self._counting = threading.Lock()
        self._still_to_meet = expected
        self._under_way = 0
        self.most_under_way = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        with self._counted(key):
            return self._store.put(key, chunks)

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        with self._counted(key):
            yield from self._store.read(key, offset)

    @contextmanager
    def _counted(self, key: str) -> Iterator[None]:
        if not key.endswith(".tar.zst.age"):
            yield
            return
        with self._counting:
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            meets = self._still_to_meet > 0
            self._still_to_meet -= 1
        try:
            if meets:
                self._meeting.wait(_PATIENCE_SECONDS)
            yield
        finally:
            with self._counting:
                self._under_way -= 1
