"""Something is taken away in the middle of a transfer, and comes back once the run was seen to wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from tests.restore_matrix.estate import NEAR, SilentWatcher
from understudy.app.installation import Installation
from understudy.app.run_view import RunView
from understudy.ports.object_store import ObjectStore, Written
from understudy.records.run import RecordedError
from understudy.vocabulary.identifiers import RepositoryName


class StoreWithAFault:
    """Passes everything on; in the middle of the second part that is written or read, ``fault`` happens. Once.

    Instead of parts, objects with keys that ``counts`` agrees to.
    """

    def __init__(self, store: ObjectStore, fault: Callable[[], None], counts: Callable[[str], bool]) -> None:
        self._counts = counts
        self._store = store
        self._fault = fault
        self._counting = threading.Lock()
        self._parts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        return self._store.put(key, self._passed(chunks) if self._is_second(key) else chunks)

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        pieces = self._store.read(key, offset)
        return self._passed(pieces) if self._is_second(key) else pieces

    def _is_second(self, key: str) -> bool:
        if not self._counts(key):
            return False
        with self._counting:
            self._parts += 1
            return self._parts == 2

    def _passed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            if number == 0:
                self._fault()
            yield piece


def is_part(key: str) -> bool:
    return key.endswith(".tar.zst.age")


def is_segment(key: str) -> bool:
    return "/wal/" in key and ".tail/" not in key and key.endswith(".zst.age")


def break_midway(
    installation: Installation,
    fault: Callable[[], None],
    repository: RepositoryName = NEAR,
    counts: Callable[[str], bool] = is_part,
) -> None:
    """Let ``fault`` happen in the middle of what is written into or read from the repository next."""
    stores = dict(installation.stores)
    stores[repository] = cast(ObjectStore, StoreWithAFault(stores[repository], fault, counts))
    vars(installation)["stores"] = stores


class Mender(SilentWatcher):
    """Undoes the fault as soon as a step waits because of it, and remembers what was said."""

    def __init__(self, mend: Callable[[], None] = lambda: None) -> None:
        self._mend = mend
        self.step = ""
        self.said: RecordedError | None = None

    def show(self, view: RunView) -> None:
        if self.said is not None:
            return
        for step in view.steps:
            if step.error is not None and not step.state.is_final:
                self.step, self.said = step.key.partition("/")[2], step.error
                self._mend()
