"""Starts what the schedules say, one after another for each resource, and makes up once for what was missed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from understudy.plan.schedule import ScheduledBackup, due_since, is_of_a_clock_ahead, to_make_up
from understudy.ports.clock import Clock
from understudy.vocabulary.errors import TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, ResourceName, RunId

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_SOON = timedelta(seconds=15)
_LATER = timedelta(minutes=5)
_BUSY = frozenset({"busy", "controller_busy"})


@dataclass(frozen=True, slots=True)
class Handled:
    """What was acted on last."""

    occurrence: datetime
    """It, and all before it, is not due any more."""
    run: RunId | None = None
    """What was taken then; None where nothing was due yet."""
    since: datetime | None = None
    """When the first came due of what the run stands for; None where it stands for what had not come due."""


class BackUp(Protocol):
    def __call__(self, kind: BackupKind, begun: Callable[[RunId], None]) -> RunId | None:
        """Take the backup and wait for its end. ``begun`` is called once it can't be lost any more: the run is recorded.

        The run that failed, with none that followed it; None when the backup was taken, or cancelled by a person.
        """
        ...


class BackupSchedules:
    """One thread for all entries of a resource, so that its backups never overlap.

    A backup that could not even begin (the server is away, another run is at work) is tried again; one that began and failed is
    reported by its run, and its schedule goes on. A resource whose first repository holds no usable backup gets a
    full one at once.
    """

    def __init__(
        self,
        resource: ResourceName,
        entries: Sequence[ScheduledBackup],
        clock: Clock,
        handled: Callable[[ScheduledBackup], datetime | None],
        mark_handled: Callable[[ScheduledBackup, Handled], None],
        has_usable_backup: Callable[[], bool],
        back_up: BackUp,
    ) -> None:
        """
        Args:
            handled: The occurrence that was acted on last; None for an entry that is new.
            mark_handled: Remembers it; both raise what stands against it, and are called again later.
            has_usable_backup: Asks the repository that backups are taken into; raises what it raises.
        """
        self._resource = resource
        self._entries = entries
        self._clock = clock
        self._handled = handled
        self._mark_handled = mark_handled
        self._has_usable_backup = has_usable_backup
        self._back_up = back_up
        self._kept_as = entries[0].takes.rpartition(" ")[2] if entries else "backup"
        self._first_is_there = False
        self._not_before_seconds: dict[ScheduledBackup | None, float] = {}
        """By the monotonic clock: one that is put right must not make a pause of minutes one of months."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"backups-{resource}", daemon=True)

    def start(self) -> None:
        if self._entries:
            self._thread.start()

    def stop(self) -> None:
        """Does not wait for a backup under way: the runner ends that."""
        self._stopping.set()

    def look(self) -> None:
        """Act on whatever is due now. The thread calls this again and again."""
        self._see_to_the_first()
        for entry in self._entries:
            if not self._stopping.is_set():
                self._act_on(entry)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(_LOOK_SECONDS)

    def _see_to_the_first(self) -> None:
        """WAL without a base backup recovers nothing, so the first one doesn't wait for its hour."""
        if self._first_is_there or self._is_too_early(None):
            return
        try:
            self._first_is_there = self._has_usable_backup()
            if self._first_is_there:
                return
            _log.info("%s: no usable %s in the first repository; taking one now", self._resource, self._kept_as)
            self._tell(self._back_up(BackupKind.FULL, self._mark_all_handled), f"the first {self._kept_as}")
            self._first_is_there = self._has_usable_backup()
            if not self._first_is_there:
                self._pause(None, _LATER)
        except UnderstudyError as error:
            self._put_off(None, error, f"the first {self._kept_as}")

    def _mark_all_handled(self, run: RunId) -> None:
        """The first full backup stands for whatever else was due until now."""
        for entry in self._entries:
            self._mark_handled(entry, Handled(self._clock.now(), run))

    def _act_on(self, entry: ScheduledBackup) -> None:
        if self._is_too_early(entry):
            return
        now = self._clock.now()
        try:
            handled = self._handled(entry)
            if handled is None or is_of_a_clock_ahead(handled, now):
                self._mark_handled(entry, Handled(now))
                return
            due = to_make_up(entry, handled, now)
            if due is None:
                return
            since, occurrence = due_since(entry, handled), due.occurrence
            _log.info("%s: %s due since %s", entry.resource, entry.takes, since.isoformat(timespec="seconds"))
            failed = self._back_up(entry.kind, lambda run: self._mark_handled(entry, Handled(occurrence, run, since)))
            self._tell(failed, f"scheduled {entry.takes}")
        except UnderstudyError as error:
            self._put_off(entry, error, f"scheduled {entry.takes}")

    def _is_too_early(self, entry: ScheduledBackup | None) -> bool:
        not_before = self._not_before_seconds.get(entry)
        return not_before is not None and self._clock.monotonic_seconds() < not_before

    def _pause(self, entry: ScheduledBackup | None, pause: timedelta) -> None:
        self._not_before_seconds[entry] = self._clock.monotonic_seconds() + pause.total_seconds()

    def _tell(self, failed: RunId | None, what: str) -> None:
        if failed is not None:
            _log.error("%s: %s failed: understudy show %s", self._resource, what, failed)

    def _put_off(self, entry: ScheduledBackup | None, error: UnderstudyError, what: str) -> None:
        passing = isinstance(error, TryAgain) or error.code in _BUSY
        pause = _SOON if passing else _LATER
        self._pause(entry, pause)
        _log.error("%s: %s: %s. Trying again in %d s", self._resource, what, error, pause.total_seconds())
