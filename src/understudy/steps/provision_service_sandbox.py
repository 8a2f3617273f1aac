"""The directory that a drilled service works in, marked as this run's, and its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase


@step_kind("provision_service_sandbox")
@dataclass(frozen=True, slots=True)
class ProvisionServiceSandbox:
    service: str
    sandbox: str
    command: str
    """Whose user it belongs to."""
    VERB = "provision-sandbox"
    PHASE: ClassVar = Phase.PROVISION

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.service}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.service, f"{self.sandbox} is empty and ours")
        world.places.claim(self.sandbox, world.run, world.commands[self.command].account)
        return witness.done(directory=self.sandbox)
