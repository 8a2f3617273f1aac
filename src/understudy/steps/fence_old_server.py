"""Make sure that the old server can't accept another write, and read that back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal, TryAgain, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName


@step_kind("fence_old_server")
@dataclass(frozen=True, slots=True)
class FenceOldServer(PlacedStep):
    """Stops what runs in the recovery directory, then asks the resource's address whether anything still answers.

    Fenced means gone and read back. A server elsewhere that still answers cannot be stopped from here: without a named
    person's override that is a refusal, never an assumption.
    """

    system_identifier: str
    override_by: str | None = None
    VERB = "fence-old-server"

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the old server accepts no writes")
        stopped = self._stop_local(world)
        answering = self._who_answers(world)
        if answering is not None and answering != self.system_identifier:
            raise Refusal(
                "address_taken",
                found=f"another cluster ({answering}) answers at {world.databases[ResourceName(self.resource)].address}",
                expected=f"nothing there, or cluster {self.system_identifier}",
                hint="check the resource's url in the stack file: recovering beside a foreign server would end in confusion",
            )
        if answering is not None and self.override_by is None:
            raise Refusal(
                "old_server_not_fenced",
                found=f"the old server still answers at {world.databases[ResourceName(self.resource)].address}",
                expected="that it is stopped, and stays so",
                hint="stop it on its host (and keep its supervisor from starting it again), then resume this run; "
                "or, knowing that its further writes are lost, run the recovery with --override-fence NAME",
            )
        return witness.done(
            stopped_here=stopped,
            answers_at_address=answering is not None,
            overridden_by=self.override_by if answering is not None else None,
        )

    def _stop_local(self, world: World) -> bool:
        """Whether a server ran here; remembered, so that an attempt after a kill says the same."""
        instances = self.instances(world)
        if world.places.facts(self.place.directory).exists and instances.facts(self.place).running:
            world.receipts.write(self.receipt, {"stopped_here": True})
            instances.stop(self.place, StopMode.FAST)
        return world.receipts.read(self.receipt) is not None

    @property
    def receipt(self) -> str:
        return f"{self.resource}-fenced"

    def _who_answers(self, world: World) -> str | None:
        """The system identifier of what answers at the resource's address; None when nothing does."""
        try:
            return world.databases[ResourceName(self.resource)].facts().system_identifier
        except TryAgain:
            return None
        except UnderstudyError as error:
            return f"unknown ({error.code})"
