"""Leave nothing of a directory's drill behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase


@step_kind("remove_snapshot_sandbox")
@dataclass(frozen=True, slots=True)
class RemoveSnapshotSandbox:
    """Removes the directory of the drill, with what was restored into it. Always runs.

    A bucket's sandbox bears the run's mark until ``discard-unfinished`` has emptied it.
    """

    resource: str
    sandbox: str
    VERB = "remove-sandbox"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``sandbox_left``.
        """
        witness = Witness.of(world.clock, self.resource, f"nothing of the sandbox {self.sandbox} is left")
        world.places.remove(self.sandbox, world.run)
        if world.places.facts(self.sandbox).exists:
            raise GiveUp(
                "sandbox_left",
                found=f"{self.sandbox} is still there",
                expected="that nothing is left of a drill",
                hint="see what is in it, and remove it",
            )
        return witness.done(directory=self.sandbox)
