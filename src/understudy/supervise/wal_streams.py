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
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

_log = logging.getLogger(__name__)

_SEGMENTS_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What one pass over one repository came to: how far it is safe there, or the fault that kept it."""

    resource: ResourceName
    repository: RepositoryName
    shipped: Shipped | None
    safe: WalPosition | None
    """Up to here the repository holds all that the receiver had written when the pass began."""
    fault: UnderstudyError | None


Report = Callable[[StreamReport], None]


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
        report: Report,
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
        for thread in self._threads:
            thread.join()

    def _keep_receiving(self) -> None:
        last_code = ""
        while not self._stopping.is_set():
            try:
                # First, because a full spool stops the receiver until something is forgotten.
                if len(self._made) == len(self._make):
                    forget_shipped(self._receiver, list(self._made.values()))
                self._receiver.ensure_running()
                last_code = ""
            except UnderstudyError as error:
                if error.code != last_code:
                    _log.warning("%s: %s", self._resource, error)
                last_code = error.code
            self._stopping.wait(_SEGMENTS_EVERY_SECONDS)

    def _keep_shipping(self, repository: RepositoryName) -> None:
        tail_due = self._clock.monotonic_seconds()
        while not self._stopping.is_set():
            with_tail = self._clock.monotonic_seconds() >= tail_due
            if with_tail:
                tail_due = self._clock.monotonic_seconds() + self._ship_every_seconds
            try:
                if repository not in self._made:
                    self._made[repository] = self._make[repository]()
                written = self._written() if with_tail else None
                shipped = self._made[repository].ship_once(with_tail=with_tail)
                report = StreamReport(self._resource, repository, shipped, _safe(shipped, written), None)
            except UnderstudyError as error:
                self._made.pop(repository, None)
                report = StreamReport(self._resource, repository, None, None, error)
            self._report(report)
            self._stopping.wait(min(self._ship_every_seconds, _SEGMENTS_EVERY_SECONDS))


def _safe(shipped: Shipped, written: WalPosition | None) -> WalPosition | None:
    """A pass with the tail stores all that had been written before it; what lies behind the last stored byte are zeros."""
    if shipped.timeline is None or shipped.safe is None:
        return None
    if written is not None and written.timeline == shipped.timeline:
        return WalPosition(shipped.timeline, max(shipped.safe, written.lsn))
    return WalPosition(shipped.timeline, shipped.safe)
