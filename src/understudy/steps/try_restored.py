"""What was restored is used, on this host and apart from everything that serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase

_NOT_HERE = ("program_missing", "trial_impossible")


@step_kind("try_restored")
@dataclass(frozen=True, slots=True)
class TryRestored(SnapshotRestore):
    """Comes behind ``CompareRestored``. Where it cannot be tried on this host, the restore goes on all the same, and says so: at
    three in the morning what was compared counts more than what could not be tried.
    """

    VERB = "try-restored"
    PHASE: ClassVar = Phase.VERIFY

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"a server loads {self.label} whole")
        key = self.only_content(world).entry.key
        try:
            counted = world.trials[ResourceName(self.resource)].try_out(Path(self.place) / key)
        except GiveUp as error:
            if error.code not in _NOT_HERE:
                raise
            return witness.skipped(f"it cannot be tried here: {error.found}", hint=f"not tried: {error.found}; {error.hint}")
        return witness.done(counted)
