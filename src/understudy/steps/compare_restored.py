"""Every content that was restored, read back from where it lies now and compared with its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.snapshots.comparing import compare_restored
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("compare_restored")
@dataclass(frozen=True, slots=True)
class CompareRestored(SnapshotRestore):
    VERB = "compare-restored"
    PHASE: ClassVar = Phase.VERIFY

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"what lies in {self.place} is what {self.label} holds")
        compared = compare_restored(
            self.opened(world),
            self.target(world),
            index=self.index(world),
            progress=world.progress,
            cancellation=world.cancellation,
            select=self.selection,
        )
        return witness.done(contents=compared.contents, content_bytes=compared.content_bytes)
