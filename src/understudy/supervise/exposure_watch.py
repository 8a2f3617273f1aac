"""Samples one database's WAL and compares it with what the repositories hold: the exposure, live."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from understudy.judge.disruption import Watched
from understudy.judge.exposure import Exposure, WalPosition, WalSample, exposure, newest_covered
from understudy.ports.clock import Clock
from understudy.ports.database import Database
from understudy.supervise.ending import ENDING_SECONDS
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

_SAMPLE_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_MOST_SAMPLES = 2000
_WRITTEN_FRESH_SECONDS = 3.0

_UNREACHED = ("database_unreachable",)
_ANSWERS = (
    "connections_exhausted", "wal_senders_exhausted", "password_rejected", "privilege_missing", "database_missing",
    "database_error", "statement_cancelled",
)  # fmt: skip
"""Whoever refuses is there. Other faults (a secret that is missing here, another cluster at the address) say neither."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an earlier watch knew, so that a restart forgets nothing: it is still true."""

    samples: tuple[WalSample, ...] = ()
    """In the order in which they were taken."""
    safe: Mapping[RepositoryName, WalPosition] = field(default_factory=dict)
    watched: Watched = field(default_factory=Watched)
    """Told with the exposure, about once a second, which is written down anyway: so it costs no flush of its own."""


@dataclass(frozen=True, slots=True)
class ExposureReport:
    resource: ResourceName
    exposure: Exposure
    repositories: tuple[tuple[RepositoryName, Exposure], ...]
    server_fault: str
    """Why the server could not be asked; empty when it was."""
    worth_remembering: Remembered


class ExposureWatch:
    """What every repository holds is exposed nowhere; what one holds is exposed only together with it.

    The overall figure is that of the repository that is furthest ahead: losing server and host loses what no repository has.
    """

    def __init__(
        self,
        resource: ResourceName,
        database: Database,
        receiver_name: str,
        repositories: tuple[RepositoryName, ...],
        clock: Clock,
        report: Callable[[ExposureReport], None],
        remembered: Remembered,
    ) -> None:
        """
        Args:
            receiver_name: The application name under which the server knows the receiver.
            report: Called about once a second.
        """
        self._resource = resource
        self._database = database
        self._receiver_name = receiver_name
        self._clock = clock
        self._report = report
        self._samples = WalSamples(remembered.samples)
        self._safe: dict[RepositoryName, WalPosition | None] = {name: remembered.safe.get(name) for name in repositories}
        self._written: tuple[datetime, WalPosition] | None = None
        self._watched = remembered.watched
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"exposure-{resource}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(ENDING_SECONDS)

    def now_safe(self, repository: RepositoryName, position: WalPosition) -> None:
        """A repository holds everything up to ``position``. It never holds less later."""
        with self._guard:
            before = self._safe[repository]
            if before is None or _order(position) > _order(before):
                self._safe[repository] = position

    def written(self) -> WalPosition | None:
        """How far the receiver had written by the server's own account a moment ago; None when that isn't known."""
        with self._guard:
            if self._written is None:
                return None
            asked, position = self._written
        fresh = (self._clock.now() - asked).total_seconds() <= _WRITTEN_FRESH_SECONDS
        return position if fresh else None

    def _watch(self) -> None:
        due = self._clock.monotonic_seconds()
        while not self._stopping.is_set():
            fault = self._sample()
            if self._clock.monotonic_seconds() >= due:
                due = self._clock.monotonic_seconds() + _REPORT_SECONDS
                self._report(self._judged(fault))
            self._stopping.wait(_SAMPLE_SECONDS)
        self._report(self._judged(""))

    def _sample(self) -> str:
        """One look at the server; why it failed, if it did."""
        asked = self._clock.now()
        written: WalPosition | None = None
        fault = ""
        try:
            timeline, lsn = self._database.wal_flushed()
            self._watched = self._watched.saw_answer(self._clock.now())
            self._samples.add(WalSample(asked, WalPosition(timeline, lsn)))
            ours = [each.written for each in self._database.standbys() if each.application_name == self._receiver_name]
            known = [lsn for lsn in ours if lsn is not None]
            written = WalPosition(timeline, max(known)) if known else None
        except UnderstudyError as error:
            fault = error.found
            self._see_fault(error.code)
        with self._guard:
            self._written = (asked, written) if written is not None else None
        return fault

    def _see_fault(self, code: str) -> None:
        if code in _UNREACHED:
            self._watched = self._watched.saw_silence(self._clock.now())
        elif code in _ANSWERS:
            self._watched = self._watched.saw_answer(self._clock.now())

    def _judged(self, fault: str) -> ExposureReport:
        with self._guard:
            safe = dict(self._safe)
        now = self._clock.now()
        samples = self._samples.all()
        each = tuple((name, exposure(samples, position, now)) for name, position in safe.items())
        known = {name: position for name, position in safe.items() if position is not None}
        furthest = max(known.values(), key=_order, default=None)
        if len(known) == len(safe):
            self._samples.forget_covered(min(known.values(), key=_order))
        anchors = {newest_covered(samples, position) for position in known.values()}
        anchors.discard(None)
        kept = tuple(sorted((anchor for anchor in anchors if anchor), key=lambda each: each.asked))
        worth = Remembered(kept, known, self._watched)
        return ExposureReport(self._resource, exposure(samples, furthest, now), each, fault, worth)


class WalSamples:
    """Few samples that say as much as all of them, and of a long outage almost as much."""

    def __init__(self, samples: Sequence[WalSample] = (), most: int = _MOST_SAMPLES) -> None:
        self._samples = list(samples)
        self._most = most

    def add(self, sample: WalSample) -> None:
        """While nobody writes, the newest sample stands for all of the same position: any repository covers all or none."""
        if self._samples and self._samples[-1].flushed == sample.flushed:
            self._samples[-1] = sample
        else:
            self._samples.append(sample)
        if len(self._samples) > self._most:
            # Of the older half every second one goes. The bound that follows stays a bound; it only gets coarser.
            half = self._most // 2
            self._samples[:half] = self._samples[:half:2]

    def all(self) -> tuple[WalSample, ...]:
        return tuple(self._samples)

    def forget_covered(self, safe: WalPosition) -> None:
        """All but one of the samples that ``safe`` covers: judging needs no more."""
        covered = newest_covered(self._samples, safe)
        if covered is not None:
            del self._samples[: self._samples.index(covered)]


def _order(position: WalPosition) -> tuple[int, int]:
    return position.timeline, position.lsn.position
