"""WAL that no backup which stays is restored with, out of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.object_store import StoredObject
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.layout import WalKeys, wal_prefix
from understudy.repository.removal import Amount, Remover, wal_objects
from understudy.steps.codec import step_kind
from understudy.steps.remove_backups import retention_unsure
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey, SystemIdentifier
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.wal import WalSegment


@step_kind("remove_wal")
@dataclass(frozen=True, slots=True)
class RemoveWal:
    """Segment by segment from the oldest, sidecars first: whenever this is cut off, what is left has no new hole within.

    The own WAL of every backup that has a manifest now is left alone, whatever was decided: a store may have kept one that was to
    go. History files stay, always. Like backups, WAL goes only while the repository is this controller's.
    """

    resource: str
    repository: str
    system_identifier: str
    segment_bytes: int
    stretches: tuple[str, ...]
    """``<first segment>-<last segment>``, each within one timeline."""
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/remove-wal-of-{self.system_identifier}-from-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"WAL that no backup needs is gone from {self.repository}")
        needed = self._needed(world)
        before = self._before(world, needed)
        repository = Repository.of(world, RepositoryName(self.repository))
        remover = Remover(world.stores[RepositoryName(self.repository)])
        for number, (_, objects) in enumerate(self._going(world, needed), start=1):
            world.cancellation.raise_if_requested()
            repository.require_epoch(world.controller)  # each time: what is removed is not put back
            remover.remove_segment(objects)
            if remover.by_lock:  # what follows was stored later, so its lock runs out later
                break
            world.progress.report("removing WAL", number, before.segments, "segments")
        left = self._count(world, needed)
        return witness.done(
            hint=f"the store keeps what it was asked to remove, and will be asked again: {remover.refusal}"
            if left.amount.objects
            else "",
            repository=self.repository,
            stretches=list(self.stretches),
            segments=before.segments - left.segments,
            objects=before.amount.objects - left.amount.objects,
            size_bytes=before.amount.size_bytes - left.amount.size_bytes,
            kept_by_store=left.amount.to_json(),
        )

    def _needed(self, world: World) -> frozenset[WalSegment]:
        """
        Raises:
            GiveUp: ``retention_unsure``: a manifest cannot be believed, or there is none at all.
        """
        repository = Repository.of(world, RepositoryName(self.repository))
        listing = repository.backups(ResourceName(self.resource), SystemIdentifier(self.system_identifier))
        if listing.unusable:
            raise retention_unsure(f"{listing.unusable[0].key}: {listing.unusable[0].error.found}")
        if not listing.usable:
            raise retention_unsure(f"no backup of cluster {self.system_identifier} in {self.repository}")
        return frozenset(segment for backup in listing.usable for segment in backup.own_wal())

    def _going(self, world: World, needed: frozenset[WalSegment]) -> Iterator[tuple[WalSegment, list[StoredObject]]]:
        spans = [self._span(stretch) for stretch in self.stretches]
        keys = WalKeys(wal_prefix(ResourceName(self.resource), SystemIdentifier(self.system_identifier)))
        store = world.stores[RepositoryName(self.repository)]
        for timeline in sorted({first.timeline for first, _ in spans}):
            for segment, objects in wal_objects(store, keys, timeline, self.segment_bytes):
                if segment not in needed and any(first <= segment <= last for first, last in spans):
                    yield segment, objects

    def _span(self, stretch: str) -> tuple[WalSegment, WalSegment]:
        first, _, last = stretch.partition("-")
        return WalSegment.parse(first, self.segment_bytes), WalSegment.parse(last, self.segment_bytes)

    def _before(self, world: World, needed: frozenset[WalSegment]) -> _Counted:
        """What was there before anything of it was removed."""
        name = f"{self.resource}-removing-wal-of-{self.system_identifier}-from-{self.repository}"
        receipt = world.receipts.read(name)
        if receipt is None:
            counted = self._count(world, needed)
            world.receipts.write(name, {"segments": counted.segments, **counted.amount.to_json()})
            return counted
        return _Counted(int(str(receipt["segments"])), Amount(int(str(receipt["objects"])), int(str(receipt["bytes"]))))

    def _count(self, world: World, needed: frozenset[WalSegment]) -> _Counted:
        segments, amount = 0, Amount()
        for _, objects in self._going(world, needed):
            segments += 1
            amount.add(objects)
        return _Counted(segments, amount)


@dataclass(frozen=True, slots=True)
class _Counted:
    segments: int
    amount: Amount
