"""Starts what the schedules say, one after another for each resource, and makes up once for what was missed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from understudy.plan.schedule import ScheduledBackup, to_make_up
from understudy.ports.clock import Clock
from understudy.vocabulary.errors import UnderstudyError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class BackupSchedules:
    """One thread for all entries of a resource, so that its backups never overlap."""

    def __init__(
        self,
        entries: Sequence[ScheduledBackup],
        clock: Clock,
        handled: Callable[[ScheduledBackup], datetime | None],
        mark_handled: Callable[[ScheduledBackup, datetime], None],
        back_up: Callable[[ScheduledBackup], None],
    ) -> None:
        """
        Args:
            handled: The due moment that was acted on last; None for an entry that is new.
            mark_handled: Remembers it, before the backup starts: one that fails is reported, not repeated for ever.
            back_up: Takes the backup and waits for its end.
        """
        self._entries = entries
        self._clock = clock
        self._handled = handled
        self._mark_handled = mark_handled
        self._back_up = back_up
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="backup-schedules", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not wait for a backup under way: the runner ends that."""
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for entry in self._entries:
                if not self._stopping.is_set():
                    self._act_on(entry)
            self._stopping.wait(_LOOK_SECONDS)

    def _act_on(self, entry: ScheduledBackup) -> None:
        now = self._clock.now()
        handled = self._handled(entry)
        if handled is None:
            self._mark_handled(entry, now)
            return
        due = to_make_up(entry, handled, now)
        if due is None:
            return
        self._mark_handled(entry, due)
        _log.info("%s: %s backup due since %s", entry.resource, entry.kind, due.isoformat())
        try:
            self._back_up(entry)
        except UnderstudyError as error:
            _log.error("%s: scheduled backup: %s", entry.resource, error)
