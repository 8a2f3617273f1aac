"""Replay that comes no further although nothing has failed."""

from __future__ import annotations

from datetime import timedelta

from understudy.ports.clock import Clock
from understudy.ports.instance import InstanceFacts, InstancePlace
from understudy.vocabulary.errors import GiveUp, TryAgain

_SAID_AFTER = timedelta(minutes=5)
"""A single record, such as one that drops a large table, may take its time; longer than this, a person should look."""
_SAID_AGAIN_AFTER = timedelta(minutes=1)


class Standstill:
    """Shown, look by look, by what progress can be told; counts from the last look at which any of it had changed."""

    def __init__(self, clock: Clock, place: InstancePlace) -> None:
        self._clock = clock
        self._place = place
        self._signs: object = None
        self._since = clock.monotonic_seconds()
        self._said_at = timedelta(0)
        self._reason: TryAgain | None = None

    def lasts(self, signs: object) -> timedelta:
        """``signs`` are compared with those of the look before."""
        now = self._clock.monotonic_seconds()
        if signs != self._signs:
            self._signs, self._since = signs, now
        return timedelta(seconds=now - self._since)

    def reason(self, standing: timedelta, facts: InstanceFacts) -> TryAgain | None:
        """What a person is told of a standstill that has lasted long: the same for a minute, then anew. None: it has not."""
        if standing < _SAID_AFTER:
            self._reason = None
        elif self._reason is None or standing - self._said_at >= _SAID_AGAIN_AFTER:
            found, expected, hint = self._words(standing, facts)
            self._reason = TryAgain("replay_stalled", found=found, expected=expected, hint=hint, after=_SAID_AGAIN_AFTER)
            self._said_at = standing
        return self._reason

    def final(self, standing: timedelta, facts: InstanceFacts, trouble: TryAgain | None) -> GiveUp:
        """What was waited for in vain; ``trouble``, where that is known."""
        if trouble is not None:
            found = f"{trouble.found} (nothing was replayed for {standing})"
            return GiveUp(trouble.code, found=found, expected=trouble.expected, hint=trouble.hint)
        found, expected, hint = self._words(standing, facts)
        return GiveUp("replay_stalled", found=found, expected=expected, hint=f"{hint}. When the cause is mended, start again")

    def _words(self, standing: timedelta, facts: InstanceFacts) -> tuple[str, str, str]:
        whole = timedelta(seconds=int(standing.total_seconds()))
        return (
            f"nothing was replayed for {whole}, since {facts.replayed or 'its start'}, and no WAL was asked for; the server's "
            f"last words: {' | '.join(facts.last_words[-4:])}",
            "that replay comes further",
            f"its whole log is {self._place.log_file}; see what the server in {self._place.directory} is at (top, dmesg): a "
            "disk or a store that hangs, somebody who paused replay",
        )
