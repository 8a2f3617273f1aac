"""A snapshot, or some of it, into the claimed place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, cast

from understudy.ports.collection import CollectionTarget, EntryKind
from understudy.ports.dumps import DUMP_KIND, TABLE_SUFFIX, toc_beside
from understudy.ports.world import World
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.listing import ListedEntry
from understudy.repository.snapshots.reading import restore_snapshot
from understudy.repository.snapshots.selection import EVERYTHING, Selection
from understudy.steps.codec import step_kind
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.steps.take_snapshot import snapshots_in
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, SnapshotLabel, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

REPOSITORY_AWAY = "repository_away"
PATIENCE = timedelta(minutes=1)
"""A store that is restarted is back by then; a recovery's objective may be no more than minutes."""
RESTORES_SNAPSHOT = "restore_snapshot"
"""The kind of step, as it is written in plans: by what it restored, retention knows what was proven."""


@dataclass(frozen=True, slots=True)
class SnapshotRestore:
    """What is restored, from where, into where; what the steps of one restore have in common."""

    resource: str
    kind: str
    repository: str
    label: str
    place: str
    """A directory of this host, or ``s3://bucket/prefix``."""
    only: str | None
    """Of files: a directory with all below it, or one file. Of a dump: the directory of a database, or the file of a table, with
    which the table of contents comes. Of a bucket: one object, or those whose keys begin with it, where it
    ends in ``/``. None: everything."""

    VERB = ""

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    @property
    def selection(self) -> Selection:
        if self.only is None:
            return EVERYTHING
        if self.kind == DUMP_KIND and self.only.endswith(TABLE_SUFFIX):
            return Selection(keys=frozenset({self.only, toc_beside(self.only)}))
        if self.kind in ("files", DUMP_KIND):
            return Selection(below=self.only)
        return Selection(prefix=self.only) if self.only.endswith("/") else Selection(keys=frozenset({self.only}))

    @property
    def receipt(self) -> str:
        return f"{self.resource}-restored"

    def told_short(self, fell_short: list[str]) -> str:
        """For people: how much is not as it was, with the first of it, and why."""
        if not fell_short:
            return ""
        more = f", and {len(fell_short) - 1} more" if len(fell_short) > 1 else ""
        why = "that store does not keep it" if self.kind == "bucket" else "run as root to put back owners"
        return f"not all is as it was: {fell_short[0]}{more}; {why}"

    def opened(self, world: World) -> OpenedSnapshot:
        snapshots = snapshots_in(world, self.repository, self.kind, self.resource)
        return snapshots.opened(snapshots.snapshot(SnapshotLabel(self.label)))

    def only_content(self, world: World) -> ListedEntry:
        """Of the kinds that have one content.

        Raises:
            GiveUp: what is found of a damaged listing.
        """
        try:
            (found,) = (each for each in self.opened(world).listing() if each.entry.kind is EntryKind.FILE)
        except GiveUp as error:
            error.add_proof(**{BACKUP_AT_FAULT: self.label})
            raise
        return found

    def target(self, world: World) -> CollectionTarget:
        return world.targets[ResourceName(self.resource)].at(self.place)

    def index(self, world: World) -> Path:
        """What sorts the listing by part, and tells what was written; kept until the place bears no mark any more."""
        return restore_index(world, self.resource)


@step_kind(RESTORES_SNAPSHOT)
@dataclass(frozen=True, slots=True)
class RestoreSnapshot(SnapshotRestore):
    """Each part's digest and each content's SHA-256 are compared on the way. A part that a killed attempt finished is not fetched
    again. A repository that stays away gives way to one that holds the same snapshot, where there is one.
    """

    of_the_past: bool = False
    """It was asked for by its time or its label: what came after it is left out on purpose."""
    otherwise: tuple[str, ...] = ()
    """Repositories behind this one, in the order in which they are tried; they may hold the same."""
    VERB = "restore-snapshot"
    PHASE: ClassVar = Phase.RESTORE

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"restored {self.only or 'everything'} from {self.label}")
        done = world.receipts.read(self.receipt)
        if done is None:
            try:
                done = self._restore(world)
            except GiveUp as error:
                error.add_proof(**{BACKUP_AT_FAULT: self.label})
                raise
            except TryAgain as passing:
                self._give_way(world, passing)
                raise
            world.receipts.write(self.receipt, done)
        return witness.done(done, hint=self.told_short(cast("list[str]", done["fell_short"])))

    def _restore(self, world: World) -> JsonObject:
        target = self.target(world)
        noted = world.receipts.read(f"{self.receipt}-parts") or {"parts": [], "fell_short": []}
        short = _Shortfalls(target, cast("list[str]", noted["fell_short"]))
        opened = self.opened(world)
        restored = restore_snapshot(
            opened,
            target,
            index=self.index(world),
            run=world.run,
            progress=world.progress,
            cancellation=world.cancellation,
            select=self.selection,
            done_parts=cast("list[str]", noted["parts"]),
            part_done=self._remember(world, cast("list[str]", noted["parts"]), short),
        )
        return {
            "label": self.label,
            "repository": self.repository,
            "place": target.url,
            "only": self.only,
            "snapshot_started": opened.manifest.start_time.isoformat(),
            "opened_by": opened.opened_by(),
            "entries": restored.entries,
            "content_bytes": restored.content_bytes,
            "fell_short": short.now(),
        }

    def _give_way(self, world: World, passing: TryAgain) -> None:
        """Where the repository was away for long, since the last part came, and another one holds the snapshot.

        Raises:
            GiveUp: ``repository_away``.
        """
        if passing.code != "store_unreachable" or not self.otherwise:
            return
        name, now = f"{self.receipt}-away", world.clock.now()
        parts = len(cast("list[str]", (world.receipts.read(f"{self.receipt}-parts") or {"parts": []})["parts"]))
        away = world.receipts.read(name)
        if away is None or away["parts"] != parts:
            world.receipts.write(name, {"since": now.isoformat(), "parts": parts})
            return
        if now - datetime.fromisoformat(str(away["since"])) < PATIENCE:
            return
        instead = next((other for other in self.otherwise if self._is_held_by(world, other)), None)
        if instead is not None:
            error = GiveUp(
                REPOSITORY_AWAY,
                found=f"{passing.found}; {self.repository} is away since {away['since']}",
                expected=f"{self.label} from {self.repository}",
                hint=f"{instead} holds the same snapshot, and the request goes on from there",
            )
            error.add_proof(**{BACKUP_AT_FAULT: self.label})
            raise error from passing

    def _is_held_by(self, world: World, repository: str) -> bool:
        """One that is away, too, is no help."""
        try:
            snapshots_in(world, repository, self.kind, self.resource).snapshot(SnapshotLabel(self.label))
        except (GiveUp, TryAgain):
            return False
        return True

    def _remember(self, world: World, before: list[str], short: _Shortfalls) -> Callable[[str], None]:
        done = list(before)

        def remember(part: str) -> None:
            done.append(part)
            world.receipts.write(f"{self.receipt}-parts", {"parts": list[Json](done), "fell_short": short.now()})

        return remember


@dataclass(frozen=True, slots=True)
class _Shortfalls:
    """What could not be put back as it was, by attempts before and by this one."""

    target: CollectionTarget
    before: list[str]

    def now(self) -> list[Json]:
        return list(dict.fromkeys([*self.before, *self.target.fell_short()]))


def restore_index(world: World, resource: str) -> Path:
    return world.scratch / f"{resource}-restore.sqlite"
