"""Keeps one database's WAL streaming into its spool and shipped into every repository."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from understudy.judge.exposure import WalPosition
from understudy.ports.clock import Clock
from understudy.ports.wal_receiver import WalReceiver
from understudy.steps.wal_shipping import Shipped, WalShipper, forget_shipped
from understudy.supervise.ending import join_all
from understudy.vocabulary.errors import TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

_log = logging.getLogger(__name__)

_SEGMENTS_EVERY_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 8.0
_LOOK_EVERY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What one pass over one repository came to: how far it is safe there, and the fault that kept it or that it came upon."""

    resource: ResourceName
    repository: RepositoryName
    safe: WalPosition | None
    """Up to here the repository holds all that the receiver had written when the pass began."""
    fault: UnderstudyError | None
    """With ``safe`` it is of a single copy there that is damaged, and whose WAL stays in the spool."""


@dataclass(frozen=True, slots=True)
class ReceivingReport:
    """``fault`` is why no WAL arrives in the spool; None while it does."""

    resource: ResourceName
    fault: UnderstudyError | None


class WalStream:
    """One thread for the receiver, one for each repository: a repository that is away holds up nobody but itself."""

    def __init__(
        self,
        resource: ResourceName,
        receiver: WalReceiver,
        written: Callable[[], WalPosition | None],
        shippers: Mapping[RepositoryName, Callable[[], WalShipper]],
        ship_every: timedelta,
        clock: Clock,
        report: Callable[[StreamReport], None],
        report_receiving: Callable[[ReceivingReport], None],
    ) -> None:
        """
        Args:
            written: How far the receiver has written by the server's own account; None when that can't be known now.
            shippers: Made anew after a fault, so that each begins from what its repository really holds.
        """
        self._resource = resource
        self._receiver = receiver
        self._written = written
        self._make = shippers
        self._made: dict[RepositoryName, WalShipper] = {}
        self._ship_every_seconds = ship_every.total_seconds()
        self._clock = clock
        self._report = report
        self._report_receiving = report_receiving
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._keep_receiving, name=f"receive-{self._resource}", daemon=True)]
        for repository in self._make:
            self._threads.append(
                threading.Thread(
                    target=self._keep_shipping, args=(repository,), name=f"ship-{self._resource}-{repository}", daemon=True
                )
            )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The receiver goes on by itself; only this process lets go of it."""
        self._stopping.set()
        join_all(self._threads, self._clock)

    # Receiving

    def _keep_receiving(self) -> None:
        told = _Told(self._resource, "receiving")
        pause_seconds = _SEGMENTS_EVERY_SECONDS
        while not self._stopping.is_set():
            fault = self._receive_once()
            told.tell(fault)
            self._report_receiving(ReceivingReport(self._resource, fault))
            self._stopping.wait(pause_seconds)
            pause_seconds = _SEGMENTS_EVERY_SECONDS if fault is None else min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _receive_once(self) -> UnderstudyError | None:
        try:
            # First, because a full spool stops the receiver until something is forgotten.
            self._forget_shipped()
            self._receiver.ensure_running()
        except UnderstudyError as error:
            return self._diverged(error) if error.code == "receiver_diverged" else error
        except OSError as error:
            return _spool_unusable(error)
        return None

    def _forget_shipped(self) -> None:
        """Only while every repository is there to say what it holds."""
        shippers = [self._made.get(repository) for repository in self._make]
        there = [shipper for shipper in shippers if shipper is not None]
        if len(there) == len(shippers):
            forget_shipped(self._receiver, there)

    def _diverged(self, error: UnderstudyError) -> UnderstudyError | None:
        """Where the server's history says at which point it left our timeline, what lies beyond is set aside."""
        try:
            place = self._receiver.quarantine_diverged(f"{error.found} ({self._clock.now().isoformat()})")
        except UnderstudyError as refused:
            return refused
        except OSError as refused:
            return _spool_unusable(refused)
        _log.warning("%s: %s. What was ahead is kept in %s; the stream goes on", self._resource, error.found, place)
        return None

    # Shipping

    def _keep_shipping(self, repository: RepositoryName) -> None:
        told = _Told(self._resource, f"shipping to {repository}")
        passes = _Passes(self._clock, self._ship_every_seconds)
        while not self._stopping.is_set():
            try:
                fault = self._ship_once(repository, passes)
            except UnderstudyError as error:
                fault = self._start_anew(repository, passes, error)
            except OSError as error:
                fault = self._start_anew(repository, passes, _spool_unusable(error))
            told.tell(fault)
            self._stopping.wait(passes.pause_seconds)

    def _start_anew(self, repository: RepositoryName, passes: _Passes, fault: UnderstudyError) -> UnderstudyError:
        self._made.pop(repository, None)
        passes.failed()
        self._report(StreamReport(self._resource, repository, None, fault))
        return fault

    def _ship_once(self, repository: RepositoryName, passes: _Passes) -> UnderstudyError | None:
        """Nothing happens while the receiver has written nothing since a pass that stored everything.

        Returns the fault of a copy there that is damaged: whoever moves it away lets the next pass store it anew.
        """
        with_tail = passes.is_tail_due()
        written = self._written()
        shipper = self._made.get(repository)
        if shipper is not None and passes.holds_all(written):
            if passes.is_look_due():
                shipper.look()
            return None
        if shipper is None:
            shipper = self._made[repository] = self._make[repository]()
        shipped = shipper.ship_once(with_tail=with_tail)
        passes.succeeded(written if shipped.fault is None else None, with_tail)
        safe = _safe(shipped, written if with_tail else None)
        self._report(StreamReport(self._resource, repository, safe, shipped.fault))
        return shipped.fault


class _Passes:
    """When one repository's next pass is due, and what the last one came to."""

    def __init__(self, clock: Clock, ship_every_seconds: float) -> None:
        self._clock = clock
        self._ship_every_seconds = ship_every_seconds
        self._usual_seconds = min(ship_every_seconds, _SEGMENTS_EVERY_SECONDS)
        self._tail_due = self._look_due = clock.monotonic_seconds()
        self._stored: WalPosition | None = None
        self.pause_seconds = self._usual_seconds

    def is_tail_due(self) -> bool:
        return self._clock.monotonic_seconds() >= self._tail_due

    def is_look_due(self) -> bool:
        """A repository that nothing is sent to may be gone, and that should not show only when it is needed."""
        now = self._clock.monotonic_seconds()
        due = now >= self._look_due
        if due:
            self._look_due = now + _LOOK_EVERY_SECONDS
        return due

    def holds_all(self, written: WalPosition | None) -> bool:
        return written is not None and written == self._stored

    def succeeded(self, written: WalPosition | None, with_tail: bool) -> None:
        now = self._clock.monotonic_seconds()
        self._look_due = now + _LOOK_EVERY_SECONDS
        self.pause_seconds = self._usual_seconds
        if with_tail:
            self._stored = written
            self._tail_due = now + self._ship_every_seconds

    def failed(self) -> None:
        self._stored = None
        self._tail_due = self._clock.monotonic_seconds()
        self.pause_seconds = min(2 * max(self.pause_seconds, _SEGMENTS_EVERY_SECONDS / 2), _LONGEST_PAUSE_SECONDS)


class _Told:
    """Into the log when a fault begins, becomes another, and ends; not each time that it is met."""

    def __init__(self, resource: ResourceName, doing: str) -> None:
        self._doing = f"{resource}: {doing}"
        self._code = ""

    def tell(self, fault: UnderstudyError | None) -> None:
        code = fault.code if fault is not None else ""
        if code == self._code:
            return
        if fault is not None:
            _log.warning("%s: %s", self._doing, fault)
        else:
            _log.info("%s goes on", self._doing)
        self._code = code


def _spool_unusable(error: OSError) -> TryAgain:
    return TryAgain(
        "spool_unusable",
        found=f"{error.strerror}: {error.filename}" if error.filename else str(error),
        expected="a spool directory that can be read and written",
        hint="is its disk full, or not mounted? The stream goes on by itself once it can",
    )


def _safe(shipped: Shipped, written: WalPosition | None) -> WalPosition | None:
    """A pass with the tail stores all that had been written before it; what lies behind the last stored byte are zeros."""
    if shipped.timeline is None or shipped.safe is None:
        return None
    if written is not None and written.timeline == shipped.timeline and shipped.doubtful is None:
        return WalPosition(shipped.timeline, max(shipped.safe, written.lsn))
    return WalPosition(shipped.timeline, shipped.safe)
