"""Replay WAL over the restored copy until the target, and stop there: nothing is promoted here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from understudy.ports.instance import InstanceFacts, Instances, StopMode
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.fetched_pages import FetchedSegments
from understudy.repository.manifests import BackupManifest
from understudy.repository.replay_path import ReplayPath, replay_path, wal_missing
from understudy.repository.restore_target import RestoreTarget, target_faults
from understudy.repository.wal_archive import WalArchive
from understudy.repository.wal_prefetch import WalPrefetcher, see_nothing
from understudy.repository.wal_records import Behind, SegmentPages, WalRecords
from understudy.repository.wal_requests import WalRequest, asked_again, end_reached, stuck_at
from understudy.steps.codec import step_kind
from understudy.steps.old_tablespaces import OldTablespaces
from understudy.steps.placed import POLL_SECONDS, PlacedStep
from understudy.steps.replay_faults import (
    earlier_attempt_ended,
    ended,
    not_reached,
    promoted_by_itself,
    target_passed,
    unreadable,
)
from understudy.steps.sandbox_settings import recovery_settings, sandbox_hba
from understudy.steps.standstill import Standstill
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment, is_segment_name

_REFUSED_AFTER = timedelta(minutes=1)
"""A server that lets nobody in and comes no further for so long will let nobody in."""
_SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', "
    "'max_prepared_transactions', 'max_locks_per_transaction')"
)
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


@contextmanager
def _saying_what_was_set_aside(old: OldTablespaces | None) -> Iterator[None]:
    """Also where replay fails afterwards: somebody will look for it."""
    try:
        yield
    except GiveUp as error:
        if old is not None and old.set_aside:
            error.add_proof(set_aside=", ".join(map(str, old.set_aside)))
        raise


def _look_up(world: World, prefetcher: WalPrefetcher, stalled: TryAgain | None = None) -> None:
    """Between two pieces of waiting: whether to go on, and what the server's WAL waits for."""
    world.cancellation.raise_if_requested()
    prefetcher.raise_if_failed()
    world.progress.held_up(prefetcher.trouble or stalled)


def _read_again_when_promoted(path: ReplayPath, facts: InstanceFacts, segment_bytes: int) -> list[str]:
    """The segment in which the last replayed record ends, and the one before it, where it may begin; on any timeline."""
    if facts.replayed is None:
        return []
    number = max(0, facts.replayed.position - 1) // segment_bytes
    wanted = {number, number - 1}
    return [name for name in path.names if is_segment_name(name) and WalSegment.parse(name, segment_bytes).number in wanted]


def _records_on(path: ReplayPath, archive: WalArchive, segment_bytes: int, file: int) -> WalRecords:
    """Of the segments that the server is given; ``file``: a descriptor, for the one that is read."""
    segments = [WalSegment.parse(name, segment_bytes) for name in path.names if is_segment_name(name)]
    by_number = {segment.number: segment for segment in segments}
    fetched = FetchedSegments(file, lambda number: archive.fetch_segment(by_number[number]))
    return WalRecords(SegmentPages(fetched.read, segment_bytes), path.reaches)


def _cut_off_hint(result: JsonObject) -> str:
    """Whether this is the first attempt or one that finds its receipt."""
    if not result.get("bytes_not_replayed"):
        return ""
    return (
        f"the WAL that is left ends within the record behind {result['replayed_lsn']}; what was committed with it or behind it "
        "is lost, unless another repository holds more"
    )


@dataclass(frozen=True, slots=True)
class _Ending:
    """Where replay came to its target, or to the proven end."""

    facts: InstanceFacts
    bytes_not_replayed: int = 0
    """Of a record that the loss cut off."""
    ran_out: bool = False
    """At the position that is the target; the server itself stops only at a record that begins there or behind it."""
    again: bool = False
    """Before the target, and the server is to be started again."""


@dataclass(frozen=True, slots=True)
class _Replay:
    """One start of the server, and the WAL that it is given."""

    instances: Instances
    prefetcher: WalPrefetcher
    path: ReplayPath
    records: WalRecords
    required_settings: Mapping[str, str]
    """That the server was started with; one that is adopted may have less."""
    adopted: bool
    """An attempt before this one started it."""
    asked_before: int = 0
    """How many requests its predecessors had made."""
    refused_before: bool = False
    """A server of this attempt let nobody in, and was started again for that."""

    def requests(self) -> Sequence[WalRequest]:
        return self.prefetcher.requests()[self.asked_before :]


@step_kind("replay_wal")
@dataclass(frozen=True, slots=True)
class ReplayWal(PlacedStep):
    """Starts the server as a standby, which never promotes by itself, with WAL fetched ahead of it.

    Source of the rules: PostgreSQL manual, "Recovery Target" and "Standby Server Operation". With a target the server pauses
    at it. For the latest commit there is no target: replay is at its end when the server, after it used up the last segment
    that the repository holds, asks for another, and the bytes behind the last record are none, or of one that was cut off.
    """

    repository: str
    system_identifier: str
    label: str
    timeline: int
    target_kind: str
    target_value: str
    workers: int
    staging_directory: str
    ship_every_seconds: float = 10.0
    """For whoever asks for a moment that is not shipped yet. A plan from before this was told has the usual one."""
    other_repositories: tuple[str, ...] = ()
    """Of the resource: each may hold a sound copy of what is damaged in this one."""
    is_copy: bool = False
    """The source may run beside it, so no WAL may lead it to the source's tablespaces."""
    goes_on: bool = False
    """The directory is a copy that has replayed WAL before: replay goes on from its last restart point."""
    VERB = "replay-wal"
    PHASE: ClassVar = Phase.REPLAY

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
            return witness.done(done, hint=_cut_off_hint(done))
        instances = self.instances(world)
        repository = Repository.of(world, RepositoryName(self.repository))
        resource, system = ResourceName(self.resource), SystemIdentifier(self.system_identifier)
        backup = repository.backup(resource, system, BackupLabel(self.label))
        segment_bytes = backup.segment_bytes
        archive = repository.wal(resource, system, segment_bytes)
        to_the_end = self.target.kind is TargetKind.LATEST
        from_timeline, start_lsn = self._beginning(instances, backup)
        path = replay_path(archive, from_timeline, start_lsn, Timeline(self.timeline), up_to_gap=not to_the_end)
        if path.reaches_at_most < backup.stop_lsn:
            raise wal_missing(path.gap or WalSegment.holding(backup.timeline, path.reaches, segment_bytes))
        old = None if self.is_copy else OldTablespaces(world, self.resource, self._directory(instances), instances, segment_bytes)
        self._mark_as_standby(instances, old)
        prefetcher = WalPrefetcher(
            archive,
            path.names,
            Path(self.staging_directory) / "fetched",
            owner=instances.owner,
            segment_bytes=segment_bytes,
            workers=self.workers,
            before_ready=see_nothing if old is None else old.before_ready,
        )
        follow = {"recovery_target_timeline": str(self.timeline)}
        with _saying_what_was_set_aside(old), prefetcher, prefetcher.nameless_file() as pages:
            with _cause_first(prefetcher):
                records = _records_on(path, archive, segment_bytes, pages)
                ending = self._play(world, prefetcher, path, records, {**follow, **self.target.settings})
                if ending.ran_out:
                    # A server that ran out of WAL at the position that is its target refuses to be promoted.
                    instances.stop(self.place, StopMode.FAST)
                    ending = self._same(ending, self._play(world, prefetcher, path, records, follow))
            facts = ending.facts
            prefetcher.leave(_read_again_when_promoted(path, facts, segment_bytes), lambda: _look_up(world, prefetcher))
        with target_faults():
            self._directory(instances).thaw_tablespaces()
        result: JsonObject = {
            "target": str(self.target),
            "timeline": self.timeline,
            "from_lsn": str(start_lsn),
            "backup_started": backup.start_time.isoformat(),
            "replayed_lsn": str(facts.replayed),
            "last_replayed_commit": facts.last_replayed_commit,
            "repository_reaches": str(path.reaches),
            "bytes_not_replayed": ending.bytes_not_replayed,
            "segments": len([name for name in path.names if is_segment_name(name)]),
        }
        if old is not None:
            result = {**result, "set_aside": old.set_aside}
        world.receipts.write(self.receipt, result)
        return witness.done(result, hint=_cut_off_hint(result))

    @property
    def receipt(self) -> str:
        return replay_receipt(self.resource)

    def _beginning(self, instances: Instances, backup: BackupManifest) -> tuple[Timeline, Lsn]:
        if not self.goes_on:
            return backup.timeline, backup.start_lsn
        control = instances.control_data(self.place.directory)
        return control.timeline, control.redo_lsn

    def _mark_as_standby(self, instances: Instances, old: OldTablespaces | None) -> None:
        """The server's own file, as if it had been restored; a link that was put in its place is refused, not followed."""
        directory = self._directory(instances)
        with target_faults():
            with directory.open_file(_STANDBY_SIGNAL):
                pass  # empty: its being there is what counts
            if old is None:
                directory.freeze_tablespaces()
            else:
                old.keep_off()

    def _directory(self, instances: Instances) -> RestoreTarget:
        return RestoreTarget(Path(self.place.directory), owner=instances.owner)

    def _play(
        self, world: World, prefetcher: WalPrefetcher, path: ReplayPath, records: WalRecords, target: Mapping[str, str]
    ) -> _Ending:
        """Start the server and watch it. Again with larger settings where its WAL comes to the moment at which the source's were
        raised: the control file says so then, and the server has paused or ended. Once more where it lets in nobody who is known:
        stopped, it writes down what roles it has come to know.
        """
        instances, refused = self.instances(world), False
        while True:
            control = instances.control_data(self.place.directory)
            settings = recovery_settings(control, prefetcher.restore_command, target)
            adopted = instances.facts(self.place).running
            asked_before = 0 if adopted else len(prefetcher.requests())
            # Closed to the network until it is verified, wherever it will listen later.
            instances.start(replace(self.place, listen_addresses=""), settings, sandbox_hba())
            replay = _Replay(instances, prefetcher, path, records, control.required_settings, adopted, asked_before, refused)
            ending = self._watch(world, replay)
            if not ending.again:
                return ending
            refused = refused or bool(ending.facts.refusal)
            instances.stop(self.place, StopMode.FAST)

    def _watch(self, world: World, replay: _Replay) -> _Ending:
        """Until the target: paused there, or at the end of what there is."""
        instances, path = replay.instances, replay.path
        standstill, stalled = Standstill(world.clock, self.place), None
        pause_seconds = POLL_SECONDS
        while True:
            _look_up(world, replay.prefetcher, stalled)
            facts = instances.facts(self.place)
            requests = replay.requests()
            standing = standstill.lasts((facts.replayed, len(requests), replay.prefetcher.fetched))
            stalled = standstill.reason(standing, facts)
            if facts.replayed is not None:
                total = path.reaches.bytes_since(path.starts)
                world.progress.report("replaying WAL", facts.replayed.bytes_since(path.starts), total)
            if not facts.running and replay.adopted:
                raise earlier_attempt_ended(self.place)
            if not facts.running and self._outgrown(instances, replay.required_settings):
                return _Ending(facts, again=True)
            if not facts.running:
                instances.query(self.place, "SELECT 1")  # says why it ended, where its log tells
                raise ended(self.place, facts)
            if facts.in_recovery is False:
                raise promoted_by_itself()
            if facts.replay_paused and self._outgrown(instances, self._settings_in_force(instances)):
                return _Ending(facts, again=True)
            if self.target.kind is not TargetKind.LATEST and facts.replay_paused:
                return _Ending(facts)
            if facts.refusal and (end_reached(requests, path.last_segment) or standing > _REFUSED_AFTER):
                if not replay.refused_before:
                    return _Ending(facts, again=True)
                instances.query(self.place, "SELECT 1")  # says who is refused, and what to do
            if standing > self.time_limit:
                raise standstill.final(standing, facts, replay.prefetcher.trouble)
            if stuck_at(requests, path.last_segment) is not None:
                return self._before_damage(replay)
            if end_reached(requests, path.last_segment) and facts.accepts_connections:
                ending = self._at_the_end(replay, requests)
                if ending is not None:
                    return ending
            world.clock.wait(pause_seconds)
            pause_seconds = min(_LONGEST_PAUSE_SECONDS, pause_seconds * 1.2)

    def _settings_in_force(self, instances: Instances) -> Mapping[str, str]:
        return {str(name): str(value) for name, value in instances.query(self.place, _SETTINGS)}

    def _outgrown(self, instances: Instances, in_force: Mapping[str, str]) -> bool:
        """PostgreSQL writes down what its WAL demands before it looks whether it has it (``xlog_redo``)."""
        required = instances.control_data(self.place.directory).required_settings
        return any(int(value) > int(in_force.get(name, value)) for name, value in required.items())

    def _at_the_end(self, replay: _Replay, requests: Sequence[WalRequest]) -> _Ending | None:
        """None while records that the server has read already wait to be replayed."""
        path = replay.path
        facts = replay.instances.facts(self.place)
        if facts.replayed is None:
            return None
        if self.target.kind is not TargetKind.LATEST and facts.replay_paused:
            return _Ending(facts)
        behind = replay.records.behind(facts.replayed)
        if behind is Behind.RECORD and not asked_again(requests):
            return None
        if self._ended_at_position(facts):
            return _Ending(facts, ran_out=True)
        if behind in {Behind.RECORD, Behind.DAMAGE}:
            raise unreadable(path, facts, self.other_repositories)
        if self.target.kind is TargetKind.LATEST:
            return _Ending(facts, path.reaches.bytes_since(facts.replayed) if behind is Behind.CUT_OFF else 0)
        raise not_reached(self.target, self.timeline, path, facts, self.ship_every_seconds)

    def _before_damage(self, replay: _Replay) -> _Ending:
        """A position that was asked for is reached also where the WAL behind it is damaged."""
        facts = replay.instances.facts(self.place)
        if self._ended_at_position(facts):
            return _Ending(facts, ran_out=True)
        raise unreadable(replay.path, facts, self.other_repositories)

    def _same(self, before: _Ending, again: _Ending) -> _Ending:
        if again.facts.replayed == before.facts.replayed:
            return again
        raise target_passed(self.target, before.facts.replayed, again.facts.replayed)

    def _ended_at_position(self, facts: InstanceFacts) -> bool:
        """Where the WAL ends there is no record that begins at the position."""
        if self.target.kind is not TargetKind.LSN or facts.replayed is None:
            return False
        return facts.replayed >= Lsn.parse(self.target.value)
