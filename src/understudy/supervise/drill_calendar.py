"""Begins the drills that the calendar says, one at a time, and ends one that takes too long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.ports.clock import Clock
from understudy.supervise.repeated_look import RepeatedLook
from understudy.vocabulary.errors import TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import RunId

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_AT_LEAST_EVERY_SECONDS = 60.0
"""While nothing is due: who held one by hand, and a clock that is put right, are seen so soon."""
_SOON_SECONDS = 15.0
_LATER_SECONDS = 300.0
_BUSY = frozenset({"busy", "controller_busy"})


@dataclass(frozen=True, slots=True)
class DueDrill:
    name: str
    at: datetime
    """When it is to begin: in the past, or now, or later."""


@dataclass(frozen=True, slots=True)
class DrillUnderWay:
    """A drill or a recovery that has not ended, whoever asked for it."""

    request: RunId
    run: RunId
    """The last of its runs."""
    submitted: datetime
    drill: str | None = None
    """What the calendar calls it; None: somebody else asked for it, and it may take its time."""
    max_duration: timedelta = timedelta(0)


class DrillCalendar(RepeatedLook):
    """One thread for all drills, so that they never overlap; nor with one by hand, nor with a real recovery."""

    def __init__(
        self,
        clock: Clock,
        turns: Callable[[], Sequence[DueDrill]],
        under_way: Callable[[], Sequence[DrillUnderWay]],
        begin: Callable[[str], RunId],
        cannot_begin: Callable[[str, UnderstudyError], None],
        end: Callable[[RunId], None],
        outcome: Callable[[RunId], str | None],
    ) -> None:
        """
        Args:
            turns: The most urgent first, of those that are due.
            begin: Raises what stands against it; ``cannot_begin`` is told, and it is tried again later.
            outcome: What is wrong with how the request ended; None: it passed.
        """
        super().__init__("drills", _LOOK_SECONDS)
        self._clock = clock
        self._turns = turns
        self._under_way = under_way
        self._begin = begin
        self._cannot_begin = cannot_begin
        self._end = end
        self._outcome = outcome
        self._next_look_seconds = 0.0
        self._not_before_seconds: dict[str, float] = {}
        self._ends_seconds: dict[RunId, float] = {}
        """By request. All of these by the monotonic clock."""
        self._begun: dict[RunId, str] = {}
        self._told = ""

    def look(self) -> None:
        try:
            self._look()
            self._told = ""
        except (UnderstudyError, OSError) as error:
            if str(error) != self._told:
                _log.error("drills are not held now: %s", error)
            self._told = str(error)

    def _look(self) -> None:
        under_way = self._under_way()
        self._tell_of_those_that_ended(under_way)
        for each in under_way:
            self._see_to_its_time(each)
        now_seconds = self._clock.monotonic_seconds()
        if under_way or now_seconds < self._next_look_seconds:
            return
        turns, now = self._turns(), self._clock.now()
        for turn in turns:
            if turn.at <= now and self._not_before_seconds.get(turn.name, 0.0) <= now_seconds and self._try(turn.name):
                return
        waits = [(turn.at - now).total_seconds() for turn in turns if turn.at > now]
        again = [seconds - now_seconds for seconds in self._not_before_seconds.values() if seconds > now_seconds]
        self._next_look_seconds = now_seconds + min([*waits, *again, _AT_LEAST_EVERY_SECONDS])

    def _try(self, name: str) -> bool:
        try:
            run = self._begin(name)
        except UnderstudyError as error:
            passing = isinstance(error, TryAgain) or error.code in _BUSY
            pause_seconds = _SOON_SECONDS if passing else _LATER_SECONDS
            self._not_before_seconds[name] = self._clock.monotonic_seconds() + pause_seconds
            _log.error("drill %s: %s. Trying again in %d s, as long as its window is open", name, error, pause_seconds)
            self._cannot_begin(name, error)
            return False
        _log.info("drill %s begins: run %s", name, run)
        self._begun[run] = name
        return True

    def _tell_of_those_that_ended(self, under_way: Sequence[DrillUnderWay]) -> None:
        for each in under_way:
            if each.drill is not None:
                self._begun.setdefault(each.request, each.drill)
        ended = self._begun.keys() - {each.request for each in under_way}
        for request in ended:
            name, wrong = self._begun.pop(request), self._outcome(request)
            self._ends_seconds.pop(request, None)
            self._next_look_seconds = 0.0
            if wrong is None:
                _log.info("drill %s passed", name)
            else:
                _log.error("drill %s %s: understudy show %s", name, wrong, request)

    def _see_to_its_time(self, each: DrillUnderWay) -> None:
        """What a process before this one has spent counts by the wall clock, of which a jump is no more than the whole."""
        if each.drill is None:
            return
        now_seconds = self._clock.monotonic_seconds()
        if each.request not in self._ends_seconds:
            spent = min(max(self._clock.now() - each.submitted, timedelta(0)), each.max_duration)
            self._ends_seconds[each.request] = now_seconds + (each.max_duration - spent).total_seconds()
        if self._ends_seconds[each.request] <= now_seconds:
            _log.error("drill %s has taken longer than %s, and is ended: run %s", each.drill, each.max_duration, each.run)
            self._ends_seconds[each.request] = now_seconds + _SOON_SECONDS  # said again, should it not end
            self._end(each.run)
