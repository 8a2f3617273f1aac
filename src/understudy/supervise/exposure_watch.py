"""Samples one database's WAL and compares it with what the repositories hold: the exposure, live."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from understudy.judge.exposure import Exposure, WalPosition, WalSample, exposure
from understudy.ports.clock import Clock
from understudy.ports.database import Database
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

_SAMPLE_SECONDS = 0.5
_MOST_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class ExposureReport:
    resource: ResourceName
    exposure: Exposure
    repositories: tuple[tuple[RepositoryName, Exposure], ...]
    server_fault: str
    """Why the server could not be asked; empty when it was."""


class ExposureWatch:
    """What every repository holds is exposed nowhere; what one holds is exposed only together with it.

    The overall figure is that of the repository that is furthest ahead: losing server and host loses what no repository has.
    """

    def __init__(
        self,
        resource: ResourceName,
        database: Database,
        repositories: tuple[RepositoryName, ...],
        clock: Clock,
        report: Callable[[ExposureReport], None],
    ) -> None:
        self._resource = resource
        self._database = database
        self._clock = clock
        self._report = report
        self._samples: deque[WalSample] = deque(maxlen=_MOST_SAMPLES)
        self._safe: dict[RepositoryName, WalPosition | None] = dict.fromkeys(repositories)
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"exposure-{resource}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def now_safe(self, repository: RepositoryName, position: WalPosition) -> None:
        """A repository holds everything up to ``position``. It never holds less later."""
        with self._guard:
            before = self._safe[repository]
            if before is None or (position.timeline, position.lsn) > (before.timeline, before.lsn):
                self._safe[repository] = position

    def _watch(self) -> None:
        while not self._stopping.is_set():
            fault = ""
            asked = self._clock.now()
            try:
                timeline, lsn = self._database.wal_flushed()
                self._samples.append(WalSample(asked, WalPosition(timeline, lsn)))
            except UnderstudyError as error:
                fault = error.found
            self._report(self._judged(fault))
            self._stopping.wait(_SAMPLE_SECONDS)

    def _judged(self, fault: str) -> ExposureReport:
        with self._guard:
            safe = dict(self._safe)
        now = self._clock.now()
        samples = list(self._samples)
        each = tuple((name, exposure(samples, position, now)) for name, position in safe.items())
        known = [position for position in safe.values() if position is not None]
        furthest = max(known, key=lambda position: (position.timeline, position.lsn), default=None)
        self._forget_covered(min(known, key=lambda position: (position.timeline, position.lsn), default=None))
        return ExposureReport(self._resource, exposure(samples, furthest, now), each, fault)

    def _forget_covered(self, slowest: WalPosition | None) -> None:
        """All but one of the samples that every repository covers: judging needs no more."""
        if slowest is None:
            return
        while len(self._samples) > 1 and _covered(self._samples[1], slowest):
            self._samples.popleft()


def _covered(sample: WalSample, safe: WalPosition) -> bool:
    return sample.flushed.timeline == safe.timeline and sample.flushed.lsn <= safe.lsn
