"""End the server whose data are about to be replaced, by the operator's command, and see that nothing answers any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("stop_operated")
@dataclass(frozen=True, slots=True)
class StopOperated:
    """A server that went on would write its old data over what comes back, when it ends or saves."""

    resource: str
    VERB = "stop-server"
    PHASE: ClassVar = Phase.FENCE

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        """
        Raises:
            TryAgain: ``server_still_answers``.
        """
        server = world.operated[ResourceName(self.resource)]
        witness = Witness.of(world.clock, self.resource, f"nothing answers at {server.shown}")
        receipt = f"{self.resource}-stop"
        if not server.answers():
            ended = world.receipts.read(receipt) is not None
            return witness.done(stopped_here=ended)
        world.receipts.write(receipt, {"at": world.clock.now().isoformat()})
        server.stop()
        if server.answers():
            raise TryAgain(
                "server_still_answers",
                found=f"{server.shown} still answers, although the command that ends it has got through",
                expected="that it ends within some minutes",
                hint="is it started again by its service manager, or does url lead to another server? End it yourself",
            )
        return witness.done(stopped_here=True)
