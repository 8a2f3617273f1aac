"""Replay WAL over the restored copy until the target, and stop there: nothing is promoted here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from understudy.ports.instance import InstanceFacts, Instances
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.replay_path import ReplayPath, replay_path, wal_missing
from understudy.repository.restore_target import RestoreTarget, target_faults
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.repository.wal_requests import end_reached, stuck_at
from understudy.steps.codec import step_kind
from understudy.steps.placed import POLL_SECONDS, PlacedStep
from understudy.steps.sandbox_settings import recovery_settings, sandbox_hba
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.json import Json
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment, is_segment_name

_START_AGAIN = timedelta(milliseconds=200)
_STANDBY_SIGNAL = "standby.signal"
_LONGEST_PAUSE_SECONDS = 0.2
"""Between two looks: long replays are not slowed by being watched, short ones not by waiting."""


def replay_receipt(resource: str) -> str:
    """The name of the receipt that says that WAL was replayed to the target."""
    return f"{resource}-replayed"


@contextmanager
def _cause_first(prefetcher: WalPrefetcher) -> Iterator[None]:
    """A server that ends because fetching failed says so in words of its own; the fault of fetching says what to do."""
    try:
        yield
    except GiveUp:
        prefetcher.raise_if_failed()
        raise


def _read_again_when_promoted(path: ReplayPath, facts: InstanceFacts, segment_bytes: int) -> list[str]:
    """The segment in which the last replayed record ends, and the one before it, where it may begin; on any timeline."""
    if facts.replayed is None:
        return []
    number = max(0, facts.replayed.position - 1) // segment_bytes
    wanted = {number, number - 1}
    return [name for name in path.names if is_segment_name(name) and WalSegment.parse(name, segment_bytes).number in wanted]


@step_kind("replay_wal")
@dataclass(frozen=True, slots=True)
class ReplayWal(PlacedStep):
    """Starts the server as a standby, which never promotes by itself, with WAL fetched ahead of it.

    Source of the rules: PostgreSQL manual, "Recovery Target" and "Standby Server Operation". With a target the server pauses
    at it. For the latest commit there is no target: replay is at its end when the server, after it used up the last segment
    that the repository holds, asks for another.
    """

    repository: str
    system_identifier: str
    label: str
    timeline: int
    target_kind: str
    target_value: str
    workers: int
    staging_directory: str
    VERB = "replay-wal"

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    @property
    def target(self) -> RecoveryTarget:
        return RecoveryTarget(TargetKind(self.target_kind), self.target_value)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"replayed to {self.target}")
        done = world.receipts.read(self.receipt)
        if done is not None:
            return witness.done(done)
        instances = self.instances(world)
        repository = Repository.of(world, RepositoryName(self.repository))
        resource, system = ResourceName(self.resource), SystemIdentifier(self.system_identifier)
        backup = repository.backup(resource, system, BackupLabel(self.label))
        archive = repository.wal(resource, system, backup.segment_bytes)
        to_the_end = self.target.kind is TargetKind.LATEST
        path = replay_path(archive, backup.timeline, backup.start_lsn, Timeline(self.timeline), up_to_gap=not to_the_end)
        if path.reaches_at_most < backup.stop_lsn:
            raise wal_missing(path.gap or WalSegment.holding(backup.timeline, path.reaches, backup.segment_bytes))
        control = instances.control_data(self.place.directory)
        self._mark_as_standby(instances)
        prefetcher = WalPrefetcher(
            archive,
            path.names,
            Path(self.staging_directory) / "fetched",
            owner=instances.owner,
            segment_bytes=backup.segment_bytes,
            workers=self.workers,
        )
        aim = {"recovery_target_timeline": str(self.timeline), **self.target.settings}
        with prefetcher:
            settings = recovery_settings(control, prefetcher.restore_command, aim)
            # Closed to the network until it is verified, wherever it will listen later.
            with _cause_first(prefetcher):
                adopted = instances.facts(self.place).running
                instances.start(replace(self.place, listen_addresses=""), settings, sandbox_hba())
                facts = self._watch(world, instances, prefetcher, path, adopted)
            prefetcher.leave(_read_again_when_promoted(path, facts, backup.segment_bytes))
        result: dict[str, Json] = {
            "target": str(self.target),
            "timeline": self.timeline,
            "from_lsn": str(backup.start_lsn),
            "backup_started": backup.start_time.isoformat(),
            "replayed_lsn": str(facts.replayed),
            "last_replayed_commit": facts.last_replayed_commit,
            "repository_reaches": str(path.reaches),
            "segments": len([name for name in path.names if is_segment_name(name)]),
        }
        world.receipts.write(self.receipt, result)
        return witness.done(result)

    @property
    def receipt(self) -> str:
        return replay_receipt(self.resource)

    def _mark_as_standby(self, instances: Instances) -> None:
        """The server's own file, as if it had been restored; a link that was put in its place is refused, not followed."""
        with target_faults(), RestoreTarget(Path(self.place.directory), owner=instances.owner).open_file(_STANDBY_SIGNAL):
            pass  # empty: its being there is what counts

    def _watch(
        self, world: World, instances: Instances, prefetcher: WalPrefetcher, path: ReplayPath, adopted: bool
    ) -> InstanceFacts:
        """Until the target: paused there, or at the end of what there is. ``adopted``: an attempt before this one started it."""
        last = path.last_segment
        pause_seconds = POLL_SECONDS
        while True:
            world.cancellation.raise_if_requested()
            prefetcher.raise_if_failed()
            facts = instances.facts(self.place)
            requests = prefetcher.requests()
            if facts.replayed is not None:
                total = path.reaches.bytes_since(path.starts)
                world.progress.report("replaying WAL", facts.replayed.bytes_since(path.starts), total)
            if not facts.running and adopted:
                # It may have given up because nobody fetched for it, just when we came back.
                raise TryAgain("instance_ended", found="the server of an earlier attempt ended", after=_START_AGAIN)
            if not facts.running:
                instances.query(self.place, "SELECT 1")  # says why it ended, where its log tells
                raise self._ended(facts)
            if facts.in_recovery is False:
                raise GiveUp(
                    "promoted_by_itself",
                    found="the server left recovery although it was started as a standby",
                    expected="that only Understudy promotes it",
                    hint="somebody promoted it, or removed standby.signal; remove the target directory and start again",
                )
            if self.target.kind is not TargetKind.LATEST and facts.replay_paused:
                return facts
            stuck = stuck_at(requests, last)
            if stuck is not None:
                raise self._stuck(stuck, path, facts)
            if end_reached(requests, last) and facts.accepts_connections:
                return self._at_the_end(instances, path)
            world.clock.wait(pause_seconds)
            pause_seconds = min(_LONGEST_PAUSE_SECONDS, pause_seconds * 1.2)

    def _at_the_end(self, instances: Instances, path: ReplayPath) -> InstanceFacts:
        facts = instances.facts(self.place)
        if self.target.kind is TargetKind.LATEST:
            return facts
        if facts.replay_paused or self._ended_at_position(facts):
            return facts
        hole = f"; segment {path.gap}, which follows, is missing" if path.gap else ""
        raise GiveUp(
            "wal_missing" if path.gap else "target_not_reached",
            found=f"all WAL of timeline {self.timeline} up to {path.reaches} was replayed, the last commit is of "
            f"{facts.last_replayed_commit or 'unknown time'}, and {self.target} was not met{hole}",
            expected="a commit, a restore point or a position at or behind the target",
            hint="if the target lies behind the newest WAL in the repository, restore to latest; if it is a transaction or a "
            "name that is older than this backup, choose an older one with --backup",
        )

    def _ended_at_position(self, facts: InstanceFacts) -> bool:
        """The server stops at a record that begins at the position or behind it. Where the WAL ends there is none."""
        if self.target.kind is not TargetKind.LSN or facts.replayed is None:
            return False
        return facts.replayed >= Lsn.parse(self.target.value)

    def _stuck(self, segment: str, path: ReplayPath, facts: InstanceFacts) -> GiveUp:
        return GiveUp(
            "wal_unreadable",
            found=f"replay stopped at {facts.replayed} in segment {segment}: a record there is invalid, although WAL up to "
            f"{path.reaches} follows",
            expected="an unbroken sequence of records",
            hint="recover from another repository's copy; or restore to a moment before it with --lsn or --time",
        )

    def _ended(self, facts: InstanceFacts) -> GiveUp:
        return GiveUp(
            "instance_failed",
            found=f"the server ended while replaying; its last words: {' | '.join(facts.last_words[-4:])}",
            expected="that it replays to the target",
            hint=f"its whole log is {self.place.log_file}; when the cause is mended, start again",
        )
