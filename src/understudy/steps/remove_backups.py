"""Backups that retention releases, out of a repository; and what attempts that were killed left there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, cast

from understudy.ports.world import World
from understudy.repository.catalog import BackupListing, Repository
from understudy.repository.layout import backup_prefix
from understudy.repository.manifests import BackupManifest
from understudy.repository.removal import Amount, Remover
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, StepKey, SystemIdentifier
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase


def retention_unsure(found: str) -> GiveUp:
    return GiveUp(
        "retention_unsure",
        found=found,
        expected="the repository as it was when this was decided",
        hint="nothing more was removed; see understudy backups, then decide anew: understudy expire",
    )


REMOVES_BACKUPS = "remove_backups"


@step_kind(REMOVES_BACKUPS)
@dataclass(frozen=True, slots=True)
class RemoveBackups:
    """Looks first whether anything that stays stands on what goes. Then folder by folder, manifest first.

    Folders are named ``<system identifier>/<label>``; those of ``backups`` come in an order in which what stands on another goes
    before it, so that whenever this is cut off, what is left is whole. Where the store keeps a backup, what that stands on stays.
    Whether the repository is still this controller's is looked at before each: who took it over counts on what is there now.
    """

    resource: str
    repository: str
    backups: tuple[str, ...]
    unfinished: tuple[str, ...]
    """Without a manifest."""
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/remove-backups-from-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"what retention releases of backups is gone from {self.repository}")
        present = self._look(world)
        amounts = self._amounts(world)
        repository = Repository.of(world, RepositoryName(self.repository))
        remover = Remover(world.stores[RepositoryName(self.repository)])
        kept: set[str] = set()
        for number, folder in enumerate((*self.backups, *self.unfinished), start=1):
            world.cancellation.raise_if_requested()
            repository.require_epoch(world.controller)
            if not self._stands_below(folder, kept, present) and not remover.remove_backup(self._prefix(folder)):
                kept.add(folder)
            world.progress.report("removing backups", number, len(amounts), "backups")
        return self._told(witness, world, amounts, remover.refusal)

    def _look(self, world: World) -> Mapping[str, BackupManifest]:
        """The backups that are there now, by folder.

        Raises:
            GiveUp: ``retention_unsure``.
        """
        repository = Repository.of(world, RepositoryName(self.repository))
        present: dict[str, BackupManifest] = {}
        for system in sorted({folder.partition("/")[0] for folder in (*self.backups, *self.unfinished)}):
            listing = repository.backups(ResourceName(self.resource), SystemIdentifier(system))
            self._require_as_decided(system, listing)
            present |= {f"{system}/{each.label}": each for each in listing.usable}
        return present

    def _require_as_decided(self, system: str, listing: BackupListing) -> None:
        if listing.unusable:
            raise retention_unsure(f"{listing.unusable[0].key}: {listing.unusable[0].error.found}")
        going = {folder.partition("/")[2] for folder in self.backups if folder.startswith(f"{system}/")}
        staying = [each for each in listing.usable if each.label.text not in going]
        if going and not staying:
            raise retention_unsure(f"no backup of cluster {system} would be left")
        for each in staying:
            if each.parent is not None and each.parent.text in going:
                raise retention_unsure(f"{each.label} stands on {each.parent}, which was to go")
            if f"{system}/{each.label}" in self.unfinished:
                raise retention_unsure(f"{each.label} has a manifest now")

    def _amounts(self, world: World) -> Mapping[str, JsonObject]:
        """What each folder held before anything of it was removed."""
        name = f"{self.resource}-removing-backups-from-{self.repository}"
        receipt = world.receipts.read(name)
        if receipt is None:
            folders = (*self.backups, *self.unfinished)
            receipt = {"folders": {folder: self._held(world, folder).to_json() for folder in folders}}
            world.receipts.write(name, receipt)
        return cast(Mapping[str, JsonObject], receipt["folders"])

    def _held(self, world: World, folder: str) -> Amount:
        amount = Amount()
        amount.add(world.stores[RepositoryName(self.repository)].list(self._prefix(folder)))
        return amount

    def _prefix(self, folder: str) -> str:
        system, _, label = folder.partition("/")
        return backup_prefix(ResourceName(self.resource), SystemIdentifier(system), BackupLabel(label))

    def _stands_below(self, folder: str, kept: set[str], present: Mapping[str, BackupManifest]) -> bool:
        """Whether one that the store keeps stands on it; it then stays, too."""
        system, _, label = folder.partition("/")
        children = [other for other in kept if other.startswith(f"{system}/") and other in present]
        if any(present[other].parent == BackupLabel(label) for other in children):
            kept.add(folder)
        return folder in kept

    def _told(self, witness: Witness, world: World, amounts: Mapping[str, JsonObject], refusal: str) -> Evidence:
        left = {folder: held for folder in amounts if (held := self._held(world, folder)).objects}
        objects = sum(cast(int, each["objects"]) for each in amounts.values()) - sum(each.objects for each in left.values())
        size_bytes = sum(cast(int, each["bytes"]) for each in amounts.values()) - sum(each.size_bytes for each in left.values())
        gone: list[Json] = [folder for folder in self.backups if folder not in left]
        unfinished: list[Json] = [folder for folder in self.unfinished if folder not in left]
        return witness.done(
            hint=f"the store keeps what it was asked to remove, and will be asked again: {refusal}" if left else "",
            repository=self.repository,
            backups=gone,
            unfinished=unfinished,
            objects=objects,
            size_bytes=size_bytes,
            kept_by_store={folder: held.to_json() for folder, held in left.items()},
        )
