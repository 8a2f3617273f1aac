"""What snapshots need around them in tests: a repository on a disk, a collection and targets in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.contracts.collections_in_memory import MemoryCollection, MemoryTarget
from tests.repository.packing_world import Listener
from tests.repository.sample_keys import fresh_keys
from understudy.adapters.age import AgeProgram, choose_sealer
from understudy.adapters.files import FileStore
from understudy.ports.collection import EntryKind
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.repository.snapshots.place import SnapshotPlace
from understudy.repository.snapshots.reading import RestoredSnapshot, finish_restore, restore_snapshot
from understudy.repository.snapshots.selection import EVERYTHING
from understudy.repository.snapshots.writing import WrittenSnapshot, write_snapshot
from understudy.vocabulary.identifiers import BackupOrigin, ResourceName, RunId, SnapshotLabel

DOCUMENTS = ResourceName("documents")
KEYS = fresh_keys()
BEGUN = datetime(2026, 11, 23, 3, tzinfo=UTC)
RUN = RunId("20261123-030000-7f3a")


def label_of(number: int) -> SnapshotLabel:
    """The labels of a test's snapshots, a second apart."""
    return SnapshotLabel.of(BEGUN + timedelta(seconds=number))


class StandingClock:
    """Shows the moment that the test says."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic_seconds(self) -> float:
        return 0.0

    def wait(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@dataclass
class SnapshotWorld:
    directory: Path
    kind: str = "files"
    collection: MemoryCollection = field(default_factory=MemoryCollection)
    recipients: tuple[str, ...] = KEYS.recipients
    sealer: Sealer | None = None
    keys: Keys = KEYS

    def __post_init__(self) -> None:
        self.root = self.directory / "repository"
        self.store = FileStore.create(self.root)
        # A part is opened for every other assertion: the program starts in a tenth of the time.
        self.sealer = self.sealer or (AgeProgram() if AgeProgram.is_installed("age") else choose_sealer())
        self.repository = Repository(self.store, self.sealer, self.keys)
        self.snapshots = self.repository.snapshots(self.kind, DOCUMENTS)

    def place(self, number: int, attempt: str) -> SnapshotPlace:
        return SnapshotPlace(self.store, self.sealer, self.recipients, self.snapshots.place, label_of(number), attempt)

    def write(
        self, number: int, previous: SnapshotManifest | None = None, *, attempt="a1", listener=None, **options
    ) -> WrittenSnapshot:
        listener = listener or Listener()
        return write_snapshot(
            options.pop("collection", self.collection),
            self.place(number, attempt),
            self.directory / "runs" / f"{number}-index",
            self.snapshots.opened(previous) if previous else None,
            clock=StandingClock(BEGUN + timedelta(seconds=number)),
            progress=listener,
            cancellation=listener,
            **options,
        )

    def take(self, number: int, previous: SnapshotManifest | None = None, **options) -> SnapshotManifest:
        """A snapshot that is complete: signed."""
        written = self.write(number, previous, **options)
        manifest = self.manifest_of(number, written, options.get("attempt", "a1"))
        self.snapshots.write_manifest(manifest)
        return manifest

    def manifest_of(self, number: int, written: WrittenSnapshot, attempt: str = "a1", origin=BackupOrigin.AUTOMATIC):
        return written.manifest(
            self.place(number, attempt), run=RUN, origin=origin, stack_digest="0" * 64, understudy_version="test"
        )

    def opened(self, manifest: SnapshotManifest) -> OpenedSnapshot:
        return self.snapshots.opened(manifest)

    def restore(
        self, manifest: SnapshotManifest, target: MemoryTarget, *, select=EVERYTHING, run=RUN, listener=None, **options
    ) -> RestoredSnapshot:
        listener = listener or Listener()
        index = self.directory / "runs" / f"restore-{len(list(self.directory.glob('runs/*')))}"
        restored = restore_snapshot(
            self.opened(manifest),
            target,
            index=index,
            run=run,
            progress=listener,
            cancellation=listener,
            select=select,
            **options,
        )
        finish_restore(self.opened(manifest), target, index=index, run=run, select=select)
        return restored

    def restored(self, manifest: SnapshotManifest, **options) -> dict[str, bytes]:
        """The contents that come back, by key."""
        target = MemoryTarget()
        self.restore(manifest, target, **options)
        return contents_in(target)

    def part_paths(self) -> list[Path]:
        return sorted((self.root / self.snapshots.place.parts).glob("*"))

    def path(self, key: str) -> Path:
        return self.root / key


def contents_in(target: MemoryTarget) -> dict[str, bytes]:
    return {key: content for key, (entry, content) in target.written.items() if entry.kind is EntryKind.FILE}


def without_fingerprint(target: MemoryTarget):
    """All that came back, but for what only tells whether to read again."""
    return {key: (replace(entry, fingerprint=""), content) for key, (entry, content) in target.written.items()}
