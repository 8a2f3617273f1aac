"""Store what a collection holds now, as far as no earlier snapshot holds it already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, cast

from understudy import __version__
from understudy.ports.collection import RDB_KEY, Collection
from understudy.ports.dumps import DESCRIPTION, DUMP_KIND
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.catalog import Snapshots
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.repository.snapshots.place import SnapshotPlace
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.repository.snapshots.writing import WrittenSnapshot, write_snapshot
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupOrigin, RepositoryName, ResourceName, SnapshotLabel, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

_TOLD_NAMES = 10


@step_kind("take_snapshot")
@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """The manifest, unsigned, is the receipt: signing and writing it is the next step.

    Each attempt stores parts under names of its own. What one that was killed had stored whole, the next one uses: it goes on
    from the scratch index. What nothing refers to in the end is removed.
    """

    resource: str
    kind: str
    repository: str
    label: str
    previous: str | None
    """The snapshot whose contents are not read again, unless its listing turns out damaged; None: all is read and stored anew."""
    reason: str
    part_bytes: int
    compression_level: int
    stack_digest: str
    origin: str
    entries_before: int = 0
    """In the newest snapshot, the directory itself not counted: where now there are none, that is refused. 0: it is taken."""
    damaged_parts: tuple[str, ...] = ()
    """Of the previous snapshot: what lies in them is read and stored anew."""
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/take-snapshot")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(
            world.clock, self.resource, f"snapshot {self.label} is stored: every content, or that it is there already"
        )
        snapshots = snapshots_in(world, self.repository, self.kind, self.resource)
        receipt = world.receipts.read(snapshot_receipt(self.resource))
        if receipt is None:
            receipt = self._take(world, snapshots)
            world.receipts.write(snapshot_receipt(self.resource), receipt)
        manifest = SnapshotManifest.from_json(cast(JsonObject, receipt["manifest"]))
        snapshots.remove_leftovers(manifest.label, manifest)
        discard_scratch(snapshot_index(world, self.resource))
        told = cast(JsonObject, receipt["told"])
        anew_because = str(receipt["anew_because"])
        return witness.done(
            told,
            hint=_unlike_the_source(manifest, told),
            label=self.label,
            previous=None if anew_because else self.previous,
            reason=f"everything is read and stored anew: {anew_because}" if anew_because else self.reason,
            source=manifest.source,
            entries=manifest.entries,
            content_bytes=manifest.content_bytes,
            stored_bytes=manifest.stored_bytes,
            sealed_bytes=manifest.sealed_bytes,
            parts=len(manifest.parts),
            changed_while_read=manifest.changed_while_read,
            left_out=manifest.left_out,
            passed_over=manifest.passed_over,
            duration_seconds=(manifest.stop_time - manifest.start_time).total_seconds(),
        )

    def _take(self, world: World, snapshots: Snapshots) -> JsonObject:
        place = SnapshotPlace(
            store=world.stores[RepositoryName(self.repository)],
            sealer=world.sealer,
            recipients=world.keys.recipients,
            keys=snapshots.place,
            label=SnapshotLabel(self.label),
            attempt=self._attempt(world),
            level=self.compression_level,
        )
        previous = snapshots.opened(snapshots.snapshot(SnapshotLabel(self.previous))) if self.previous is not None else None
        collection = world.collections[ResourceName(self.resource)]
        written = write_snapshot(
            collection,
            place,
            snapshot_index(world, self.resource),
            previous,
            clock=world.clock,
            progress=world.progress,
            cancellation=world.cancellation,
            part_bytes=self.part_bytes,
            damaged=self.damaged_parts,
        )
        self._require_not_emptied(written)
        manifest = written.manifest(
            place,
            run=world.run,
            origin=BackupOrigin(self.origin),
            stack_digest=self.stack_digest,
            understudy_version=__version__,
        )
        told = {**_named(written), **self._counted(collection)}
        return {"manifest": manifest.to_json(), "told": told, "anew_because": written.anew_because}

    def _require_not_emptied(self, written: WrittenSnapshot) -> None:
        """A disk that is not mounted leaves an empty directory, and snapshots of that would push the good ones out of ``keep``.

        Raises:
            GiveUp: ``source_empty``.
        """
        if self.entries_before == 0 or written.left_out or entries_within(self.kind, written.entries):
            return
        raise GiveUp(
            "source_empty",
            found=f"nothing that can be kept in {written.source}, and the newest snapshot holds {self.entries_before} entries",
            expected="something that is worth keeping",
            hint="mount its disk, or correct its address in the stack file; what was there: understudy restore "
            f"{self.resource} --to PLACE; if it is meant to be empty: understudy backup {self.resource} --full",
        )

    def _counted(self, collection: Collection) -> JsonObject:
        """What a server said of what it handed over, for the evidence."""
        key, name = {"redis": (RDB_KEY, "redis"), DUMP_KIND: (DESCRIPTION, "postgres")}.get(self.kind, ("", ""))
        entry = collection.look(key) if key else None
        return {} if entry is None else {name: entry.attributes[name]}

    def _attempt(self, world: World) -> str:
        """Letters and digits, of this run and this attempt alone."""
        name = f"{self.resource}-snapshot-attempts"
        number = int(str((world.receipts.read(name) or {"count": 0})["count"])) + 1
        world.receipts.write(name, {"count": number})
        return f"{world.run.rpartition('-')[2]}{number}"


def _named(written: WrittenSnapshot) -> JsonObject:
    """The first names of what is not in the snapshot as it was in the source; what there is none of is not told."""
    found = {
        "names_changed_while_read": written.changed_names,
        "names_left_out": written.left_out_names,
        "names_passed_over": written.passed_over_names,
    }
    return {name: list[Json](names[:_TOLD_NAMES]) for name, names in found.items() if names}


def _unlike_the_source(manifest: SnapshotManifest, told: JsonObject) -> str:
    """What somebody should look at; what merely cannot be kept (sockets) is in the proof alone."""
    words = []
    if manifest.changed_while_read:
        names = cast("list[str]", told["names_changed_while_read"])
        words.append(
            f"{manifest.changed_while_read} changed each time they were read, and may mix two states: {', '.join(names)}"
        )
    if manifest.left_out:
        names = cast("list[str]", told["names_left_out"])
        words.append(f"{manifest.left_out} changed so often that they are not in this snapshot: {', '.join(names)}")
    return "; ".join(words)


def entries_within(kind: str, entries: int) -> int:
    """Of those that a snapshot lists, the ones in the directory: it lists the directory itself, too. A bucket is not listed."""
    return max(0, entries - 1) if kind == "files" else entries


def snapshots_in(world: World, repository: str, kind: str, resource: str) -> Snapshots:
    return Repository.of(world, RepositoryName(repository)).snapshots(kind, ResourceName(resource))


def snapshot_receipt(resource: str) -> str:
    """The name of the receipt that holds the new snapshot's manifest."""
    return f"{resource}-snapshot"


def snapshot_index(world: World, resource: str) -> Path:
    """What an attempt at a snapshot remembers for the next one of the same run."""
    return world.scratch / f"{resource}-snapshot.sqlite"


def taken_snapshot(world: World, resource: str) -> SnapshotManifest:
    """The manifest that ``TakeSnapshot`` left as its receipt.

    Raises:
        GiveUp: ``receipt_missing``.
    """
    receipt = world.receipts.read(snapshot_receipt(resource))
    if receipt is None:
        raise GiveUp(
            "receipt_missing",
            found=f"run {world.run} holds no receipt of a snapshot of {resource}",
            expected="the receipt that taking it left in the state directory",
            hint="somebody removed files of this run; start a new backup",
        )
    return SnapshotManifest.from_json(cast(JsonObject, receipt["manifest"]))
