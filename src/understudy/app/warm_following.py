"""One warm copy is fed with the WAL that goes on being stored, and watched."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from understudy.judge.warm_copy import Stored, WarmLag, still_needed, warm_lag
from understudy.ports.clock import Clock
from understudy.ports.instance import InstanceFacts, InstancePlace, Instances, StopMode
from understudy.ports.warm_copies import WarmCopy
from understudy.repository.replay_path import ReplayPath, path_over, read_history
from understudy.repository.restore_target import RestoreTarget, target_faults
from understudy.repository.wal_archive import WalArchive
from understudy.repository.wal_contents import WalContents
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.steps.sandbox_settings import recovery_settings, sandbox_hba
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

_ASK_EVERY = "2s"
"""How often the server asks again for what is not there yet."""
_LISTING_SHARE = 20
"""What is stored is listed so seldom that it takes a twentieth of the time, however much there is."""
_STARTS_WITHOUT_PROGRESS = 3
_STANDING_LIMIT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Followed:
    """One look."""

    replayed: Lsn | None
    last_replayed_commit: str | None
    lag: WarmLag | None
    """None while the server does not answer."""
    newest_timeline: Timeline
    """Where the newest WAL is that follows on what the copy replays."""
    trouble: TryAgain | None
    """What it is held up by just now."""


class WarmFollower:
    """Of one copy. ``look`` again and again; ``close`` leaves the server running, and hungry.

    The server itself asks for WAL, as in any recovery (``WalPrefetcher``); here the list of what there is grows. It may make no
    tablespaces: their paths are the source's.
    """

    def __init__(
        self, copy: WarmCopy, place: InstancePlace, instances: Instances, archive: WalArchive, clock: Clock, every: timedelta
    ) -> None:
        """``every``: how often at most what is stored is listed."""
        self.copy = copy
        self._place = place
        self._instances = instances
        self._archive = archive
        self._clock = clock
        self._every_seconds = every.total_seconds()
        self._undo = ExitStack()
        self._prefetcher: WalPrefetcher | None = None
        self._begins: tuple[Timeline, Lsn] | None = None
        self._forks: tuple[TimelineFork, ...] = ()
        self._other_forks: dict[Timeline, tuple[TimelineFork, ...]] = {}
        self._path: ReplayPath | None = None
        self._stored: tuple[Stored, ...] = ()
        self._newest_timeline = copy.timeline
        self._list_again_at = 0.0
        self._listing_trouble: TryAgain | None = None
        self._furthest: Lsn | None = None
        self._furthest_since = clock.monotonic_seconds()
        self._starts = 0

    def close(self) -> None:
        self._undo.close()
        self._prefetcher = None

    def look(self) -> Followed:
        """
        Raises:
            TryAgain: it cannot be begun now.
            GiveUp: it cannot be followed: ``wal_missing``, ``wal_corrupt``, ``timeline_unknown``; ``warm_copy_broken``: its
                server ends again and again, or stands still; ``warm_copy_promoted``; what the server's start raises.
        """
        prefetcher = self._prefetcher or self._begin()
        prefetcher.raise_if_failed()
        self._list(prefetcher)
        facts = self._instances.facts(self._place)
        if not facts.running:
            self._start(prefetcher, facts)
        elif facts.in_recovery is False:
            raise GiveUp(
                "warm_copy_promoted",
                found=f"the server in {self._place.directory} has left recovery",
                expected="a standby that nobody promotes",
                hint="find out who promoted it; another copy is seeded",
            )
        elif facts.replay_paused:
            # Its WAL came to where the source's max_connections or one of its siblings was raised: started again, it has as much.
            self._instances.stop(self._place, StopMode.FAST)
        self._note_progress(facts)
        return self._followed(facts, prefetcher)

    def _begin(self) -> WalPrefetcher:
        control = self._instances.control_data(self._place.directory)
        if control.system_identifier != self.copy.system_identifier:
            raise GiveUp(
                "warm_copy_broken",
                found=f"{self._place.directory} holds cluster {control.system_identifier}",
                expected=f"cluster {self.copy.system_identifier}",
                hint="somebody put another one there; another copy is seeded",
            )
        if self.copy.timeline != control.timeline:
            self._forks = read_history(self._archive, self.copy.timeline)
        self._begins = control.timeline, control.redo_lsn
        contents = self._archive.contents()
        self._path = self._path_over(contents)
        prefetcher = WalPrefetcher(
            self._archive,
            self._path.names,
            Path(self.copy.staging_directory) / "fetched",
            owner=self._instances.owner,
            segment_bytes=self.copy.segment_bytes,
        )
        self._prefetcher = self._undo.enter_context(prefetcher)
        return prefetcher

    def _path_over(self, contents: WalContents) -> ReplayPath:
        if self._begins is None:
            raise ValueError("not begun")
        return path_over(contents, self._forks, *self._begins, self.copy.timeline)

    def _list(self, prefetcher: WalPrefetcher) -> None:
        """What is stored by now; a store that is away for a moment is none of the server's business."""
        began = self._clock.monotonic_seconds()
        if began < self._list_again_at:
            return
        try:
            contents = self._archive.contents()
            path = self._path_over(contents)
            self._newest_timeline = self._newest_descendant(contents)
            self._listing_trouble = None
        except TryAgain as passing:
            self._listing_trouble = passing
            self._list_again_at = began + self._every_seconds
            return
        before, self._path = self._path, path
        if before is not None and path.reaches > before.reaches:
            prefetcher.extend(path.names)
            if before.last_segment in path.names:
                prefetcher.renew(before.last_segment)
        now = self._clock.monotonic_seconds()
        if not self._stored or path.reaches > self._stored[-1].reaches:
            self._stored = (*self._stored, Stored(now, path.reaches))
        self._list_again_at = now + max(self._every_seconds, _LISTING_SHARE * (now - began))

    def _newest_descendant(self, contents: WalContents) -> Timeline:
        """Of timelines whose history cannot be read now nothing is known."""
        for timeline in contents.timelines():
            if timeline > self.copy.timeline and timeline not in self._other_forks:
                try:
                    self._other_forks[timeline] = read_history(self._archive, timeline)
                except GiveUp:
                    continue
        own = self.copy.timeline
        descendants = [t for t, forks in self._other_forks.items() if any(fork.parent == own for fork in forks)]
        return max([own, *descendants])

    def _start(self, prefetcher: WalPrefetcher, facts: InstanceFacts) -> None:
        if self._starts >= _STARTS_WITHOUT_PROGRESS:
            raise self._broken(f"ended {self._starts} times without coming further; its last words: {_words(facts)}")
        self._starts += 1
        with target_faults():
            RestoreTarget(Path(self._place.directory), owner=self._instances.owner).freeze_tablespaces()
        control = self._instances.control_data(self._place.directory)
        target = {"recovery_target_timeline": str(self.copy.timeline)}
        settings = recovery_settings(control, prefetcher.restore_command, target) | {"wal_retrieve_retry_interval": _ASK_EVERY}
        self._instances.start(self._place, settings, sandbox_hba())

    def _note_progress(self, facts: InstanceFacts) -> None:
        now = self._clock.monotonic_seconds()
        behind = self._stored and facts.replayed is not None and self._stored[-1].reaches.bytes_since(facts.replayed)
        if facts.replayed is not None and (self._furthest is None or facts.replayed > self._furthest):
            self._furthest, self._furthest_since, self._starts = facts.replayed, now, 1
        elif not behind or self._trouble() is not None:
            self._furthest_since = now
        elif behind >= self.copy.segment_bytes and now - self._furthest_since > _STANDING_LIMIT.total_seconds():
            raise self._broken(f"has replayed nothing for {_STANDING_LIMIT} although WAL is there; last words: {_words(facts)}")

    def _broken(self, found: str) -> GiveUp:
        return GiveUp(
            "warm_copy_broken",
            found=f"the server in {self._place.directory} {found}",
            expected="a standby that replays what the repository holds",
            hint=f"read its log, {self._place.log_file}",
        )

    def _trouble(self) -> TryAgain | None:
        return (self._prefetcher.trouble if self._prefetcher is not None else None) or self._listing_trouble

    def _followed(self, facts: InstanceFacts, prefetcher: WalPrefetcher) -> Followed:
        now = self._clock.monotonic_seconds()
        lag = None if facts.replayed is None else warm_lag(self._stored, facts.replayed, now)
        self._stored = still_needed(self._stored, facts.replayed)
        return Followed(facts.replayed, facts.last_replayed_commit, lag, self._newest_timeline, self._trouble())


def _words(facts: InstanceFacts) -> str:
    return " | ".join(facts.last_words[-4:])


def is_passing(error: UnderstudyError) -> bool:
    """Whether the copy itself is sound for all that is known: the next look may do better."""
    return isinstance(error, TryAgain) or error.code not in _OF_THE_COPY


_OF_THE_COPY = frozenset(
    {
        "control_file_corrupted", "instance_failed", "not_a_data_directory", "segment_size_wrong", "timeline_unknown",
        "warm_copy_broken", "warm_copy_promoted", "wal_corrupt", "wal_missing",
    }
)  # fmt: skip
