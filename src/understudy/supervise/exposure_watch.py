"""Samples one database's WAL and compares it with what the repositories hold: the exposure, live."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from understudy.judge.disruption import Watched
from understudy.judge.exposure import (
    Exposure,
    ExposureGap,
    SetBack,
    UnknownExposure,
    WalPosition,
    WalSample,
    exposure,
    newest_covered,
)
from understudy.judge.slot_room import SlotRoom, slot_room
from understudy.ports.clock import Clock
from understudy.ports.database import Database
from understudy.supervise.ending import ENDING_SECONDS
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName
from understudy.vocabulary.sizes import readable_size

_log = logging.getLogger(__name__)

_SAMPLE_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_MOST_SAMPLES = 2000
_WRITTEN_FRESH_SECONDS = 3.0

_UNREACHED = ("database_unreachable",)
_ANSWERS = (
    "connections_exhausted", "wal_senders_exhausted", "password_rejected", "peer_rejected", "privilege_missing",
    "database_missing", "database_error", "statement_cancelled",
)  # fmt: skip
"""Whoever refuses is there. Other faults (a secret that is missing here, another cluster at the address) say neither."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an earlier watch knew, so that a restart forgets nothing: it is still true."""

    samples: tuple[WalSample, ...] = ()
    """In the order in which they were taken."""
    safe: Mapping[RepositoryName, WalPosition] = field(default_factory=dict)
    set_back: SetBack | None = None
    watched: Watched = field(default_factory=Watched)
    """Told with the exposure, about once a second, which is written down anyway: so it costs no flush of its own."""


@dataclass(frozen=True, slots=True)
class ExposureReport:
    resource: ResourceName
    exposure: Exposure
    repositories: tuple[tuple[RepositoryName, Exposure], ...]
    server_fault: str
    """Why the server could not be asked; empty when it was."""
    slot: SlotRoom | None
    """None: there is no such slot, or it could not be asked for."""
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
        newest_backup: Callable[[], datetime | None],
    ) -> None:
        """
        Args:
            receiver_name: The slot, and the application name under which the server knows the receiver.
            report: Called about once a second.
            newest_backup: When the newest one that was completed had begun. Asked after a server was set back: with a backup that
                begins behind it, everything is as usual again.
        """
        self._resource = resource
        self._database = database
        self._receiver_name = receiver_name
        self._clock = clock
        self._report = report
        self._newest_backup = newest_backup
        self._samples = WalSamples(remembered.samples, set_back=remembered.set_back)
        self._safe: dict[RepositoryName, WalPosition | None] = {name: remembered.safe.get(name) for name in repositories}
        self._written: tuple[datetime, WalPosition] | None = None
        self._watched = remembered.watched
        self._slot: SlotRoom | None = None
        self._told_short = False
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"exposure-{resource}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(ENDING_SECONDS)

    def now_safe(self, repository: RepositoryName, position: WalPosition) -> None:
        """A repository holds everything up to ``position``. It never holds less later, but of a server that was set back."""
        with self._guard:
            before = self._safe[repository]
            if before is None or self._samples.set_back is not None or _order(position) > _order(before):
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
                self._look_at_slot(fault)
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
            self._add(WalSample(asked, WalPosition(timeline, lsn)))
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

    def _add(self, sample: WalSample) -> None:
        """A standby that was restarted says less than before for a while, and is no server that was set back."""
        with self._guard:
            falls = self._samples.would_fall(sample)
        if falls:
            ((in_recovery,),) = self._database.query("SELECT pg_is_in_recovery()")
            if in_recovery == "t":
                return
        with self._guard:
            self._samples.add(sample)
            if falls:
                self._safe = dict.fromkeys(self._safe)
        if falls:
            _log.error(
                "%s: the server stands at %s on timeline %s, and stood later before: it was set back, or another one answers. "
                "What it loses now is unknown until it begins a timeline of its own, or until a backup that begins from now on",
                self._resource, sample.flushed.lsn, sample.flushed.timeline,
            )  # fmt: skip

    def _look_at_slot(self, fault: str) -> None:
        """Told when the room gets short, and when there is enough again."""
        newest = self._samples.all()[-1:]
        self._slot = None
        if fault or not newest:
            return
        try:
            slot = self._database.slot(self._receiver_name)
        except UnderstudyError:
            return
        if slot is None:
            return
        self._slot = room = slot_room(slot, newest[0].flushed.lsn)
        if room.is_short and not self._told_short:
            _log.warning(
                "%s: slot %s is %s: %s more of WAL, and the server gives it up, which costs a full backup. Is the receiver "
                "stopped, or its spool full? See: understudy status. For more time: ALTER SYSTEM SET max_slot_wal_keep_size = …; "
                "SELECT pg_reload_conf();",
                self._resource, slot.name, room.wal_status, readable_size(room.room_bytes or 0),
            )  # fmt: skip
        elif self._told_short and not room.is_short:
            _log.info("%s: slot %s has room again", self._resource, slot.name)
        self._told_short = room.is_short

    def _is_behind_set_back(self) -> bool:
        set_back = self._samples.set_back
        begun = self._newest_backup() if set_back is not None else None
        return set_back is not None and begun is not None and begun > set_back.seen

    def _judged(self, fault: str) -> ExposureReport:
        healed = self._is_behind_set_back()
        with self._guard:
            if healed:
                self._samples.begin_anew()
            safe = dict(self._safe)
        now = self._clock.now()
        samples = self._samples.all()
        each = tuple((name, self._samples.exposure(position, now)) for name, position in safe.items())
        known = {name: position for name, position in safe.items() if position is not None}
        furthest = max(known.values(), key=_order, default=None)
        if len(known) == len(safe):
            self._samples.forget_covered(min(known.values(), key=_order))
        anchors = {newest_covered(samples, position) for position in known.values()} | set(samples[-1:])
        anchors.discard(None)
        kept = tuple(sorted((anchor for anchor in anchors if anchor), key=lambda each: each.asked))
        worth = Remembered(kept, known, self._samples.set_back, self._watched)
        return ExposureReport(self._resource, self._samples.exposure(furthest, now), each, fault, self._slot, worth)


class WalSamples:
    """Few samples that say as much as all of them, and of a long outage almost as much."""

    def __init__(self, samples: Sequence[WalSample] = (), most: int = _MOST_SAMPLES, set_back: SetBack | None = None) -> None:
        self._samples = list(samples)
        self._most = most
        self._set_back = set_back

    @property
    def set_back(self) -> SetBack | None:
        """Since when nothing is known of what the repositories hold. The server's next timeline ends it, or ``begin_anew``."""
        return self._set_back

    def would_fall(self, sample: WalSample) -> bool:
        return bool(self._samples) and _order(sample.flushed) < _order(self._samples[-1].flushed)

    def begin_anew(self) -> None:
        """The newest sample and those that follow are of one history."""
        del self._samples[:-1]
        self._set_back = None

    def exposure(self, safe: WalPosition | None, now: datetime) -> Exposure:
        """As ``judge.exposure``, of these samples."""
        if self._set_back is not None:
            return UnknownExposure(ExposureGap.WENT_BACKWARDS, max(0.0, (now - self._set_back.seen).total_seconds()))
        return exposure(self._samples, safe, now)

    def add(self, sample: WalSample) -> None:
        """While nobody writes, the newest sample stands for all of the same position: any repository covers all or none.

        Those from before a server was set back are of another history, and go.
        """
        if self.would_fall(sample):
            before = max(each.flushed.timeline for each in self._samples)
            earlier = self._set_back.timeline if self._set_back is not None else before
            self._set_back = SetBack(sample.asked, max(before, earlier))
            self._samples.clear()
        elif self._set_back is not None and sample.flushed.timeline > self._set_back.timeline:
            self._set_back = None
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
