"""Snapshots that retention releases, out of a repository; then the parts that no snapshot refers to any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, cast

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.removal import Amount, Remover
from understudy.repository.snapshots.catalog import Snapshots, SnapshotsFound
from understudy.repository.snapshots.removal import loose_parts, remove_snapshot
from understudy.steps.codec import step_kind
from understudy.steps.remove_backups import retention_unsure
from understudy.steps.take_snapshot import snapshots_in
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, SnapshotLabel, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

REMOVES_SNAPSHOTS = "remove_snapshots"
_PARTS_BETWEEN_LOOKS = 100
"""Each look takes requests, too."""


@step_kind(REMOVES_SNAPSHOTS)
@dataclass(frozen=True, slots=True)
class RemoveSnapshots:
    """Manifests first, so that whenever this is cut off, what is left is whole. Where the store keeps a manifest, all that it
    names stays. Whether the repository is still this controller's is looked at before each snapshot, and every hundred
    parts: who took it over counts on what is there now.
    """

    resource: str
    kind: str
    repository: str
    labels: tuple[str, ...]
    unfinished: tuple[str, ...]
    """Folders without a manifest."""
    parts_begun_before: str
    """ISO 8601: what killed attempts left of parts goes where it is older."""
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/remove-snapshots-from-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"what retention releases of snapshots is gone from {self.repository}")
        snapshots = snapshots_in(world, self.repository, self.kind, self.resource)
        self._require_as_decided(snapshots.found())
        held = self._held(world, snapshots)
        repository = Repository.of(world, RepositoryName(self.repository))
        remover = Remover(world.stores[RepositoryName(self.repository)])
        for number, label in enumerate(self._folders, start=1):
            world.cancellation.raise_if_requested()
            repository.require_epoch(world.controller)
            remove_snapshot(remover, snapshots.place, label)
            world.progress.report("removing snapshots", number, len(self._folders), "snapshots")
        loose = self._loose(world, snapshots, snapshots.found())
        for number, key in enumerate(sorted(loose), start=1):
            world.cancellation.raise_if_requested()
            if number % _PARTS_BETWEEN_LOOKS == 1:
                repository.require_epoch(world.controller)
            remover.remove(key)
            world.progress.report("removing parts", number, len(loose), "parts")
        return self._told(witness, world, snapshots, held, remover.refusal)

    @property
    def _folders(self) -> tuple[SnapshotLabel, ...]:
        return tuple(map(SnapshotLabel, (*self.labels, *self.unfinished)))

    def _require_as_decided(self, found: SnapshotsFound) -> None:
        """
        Raises:
            GiveUp: ``retention_unsure``.
        """
        if found.unusable:
            raise retention_unsure(f"{found.unusable[0].key}: {found.unusable[0].error.found}")
        there = {each.label.text for each in found.usable}
        if self.labels and not there - set(self.labels):
            raise retention_unsure(f"no snapshot of {self.resource} would be left")
        if complete := sorted(there & set(self.unfinished)):
            raise retention_unsure(f"{complete[0]} has a manifest now")

    def _held(self, world: World, snapshots: Snapshots) -> JsonObject:
        """What was there of it before anything was removed."""
        name = f"{self.resource}-removing-snapshots-from-{self.repository}"
        receipt = world.receipts.read(name)
        if receipt is None:
            receipt = self._amounts(world, snapshots)
            world.receipts.write(name, receipt)
        return receipt

    def _amounts(self, world: World, snapshots: Snapshots) -> JsonObject:
        """Of each folder that goes, and of the parts that nothing refers to once they have gone."""
        store = world.stores[RepositoryName(self.repository)]
        folders: dict[str, Json] = {}
        for label in self._folders:
            amount = Amount()
            amount.add(store.list(snapshots.place.folder(label)))
            if amount.objects:
                folders[label.text] = amount.to_json()
        found = snapshots.found()
        staying = tuple(each for each in found.usable if each.label.text not in self.labels)
        loose = self._loose(world, snapshots, SnapshotsFound(staying, found.unusable, found.unfinished))
        return {"folders": folders, "parts": len(loose), "part_bytes": sum(loose.values())}

    def _loose(self, world: World, snapshots: Snapshots, found: SnapshotsFound) -> dict[str, int]:
        """By key, in bytes."""
        store = world.stores[RepositoryName(self.repository)]
        there = {each.label for each in found.usable}
        removed = [label for label in self._folders if label not in there]
        before = datetime.fromisoformat(self.parts_begun_before)
        return {each.key: each.size_bytes for each in loose_parts(store, snapshots.place, found, removed, before)}

    def _told(self, witness: Witness, world: World, snapshots: Snapshots, held: JsonObject, refusal: str) -> Evidence:
        left = self._amounts(world, snapshots)
        kept = cast("dict[str, Json]", left["folders"])
        objects = _objects(held) - _objects(left)
        return witness.done(
            hint=f"the store keeps what it was asked to remove, and will be asked again: {refusal}" if refusal else "",
            repository=self.repository,
            snapshots=_gone(self.labels, kept),
            unfinished=_gone(self.unfinished, kept),
            parts=cast(int, held["parts"]) - cast(int, left["parts"]),
            objects=objects,
            size_bytes=_size_bytes(held) - _size_bytes(left),
            kept_by_store=kept,
        )


def _gone(labels: Iterable[str], kept: dict[str, Json]) -> list[Json]:
    return [label for label in labels if label not in kept]


def _objects(amounts: JsonObject) -> int:
    folders = cast("dict[str, dict[str, int]]", amounts["folders"])
    return sum(each["objects"] for each in folders.values()) + cast(int, amounts["parts"])


def _size_bytes(amounts: JsonObject) -> int:
    folders = cast("dict[str, dict[str, int]]", amounts["folders"])
    return sum(each["bytes"] for each in folders.values()) + cast(int, amounts["part_bytes"])
