"""Make sure that the old server can't accept another write, and read that back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.old_server import ask_old_servers, in_the_way, require_gone
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase


@step_kind("fence_old_server")
@dataclass(frozen=True, slots=True)
class FenceOldServer(PlacedStep):
    """Stops what runs in the recovery directory, then asks whether anything still answers: at the address that the database
    serves from, and at the resource's ``url`` where an earlier recovery left that behind.

    Fenced means gone and read back: its host says that nothing listens. A server elsewhere that still answers cannot be stopped
    from here, and one that cannot be reached may well serve others: without a named person's override both are a refusal.
    """

    system_identifier: str
    override_by: str | None = None
    agreed_to_stop: bool = True
    """Whether the person who was asked was told that a server runs in the directory."""
    disrupted: Mapping[str, str] | None = None
    """Since when the service is lost (``vocabulary.disruption``): the run is measured from there; its first step says so."""
    VERB = "fence-old-server"
    PHASE: ClassVar = Phase.FENCE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the old server accepts no writes")
        stopped = self._stop_local(world)
        name = ResourceName(self.resource)
        answers = ask_old_servers(world.databases[name], world.declared[name], self.system_identifier)
        try:
            require_gone(answers, self.system_identifier, self.override_by)
        except Refusal as refusal:
            if stopped:
                raise self._given_up(refusal) from refusal
            raise
        seen: dict[str, Json] = {answer.where: answer.presence.value for answer in answers}
        if self.disrupted is not None:
            seen["disrupted"] = dict[str, Json](self.disrupted)
        if not in_the_way(answers):
            return witness.done(seen, stopped_here=stopped, overridden_by=None)
        taken_on = f"{self.override_by} takes it on that the old server may still accept writes"
        return witness.claiming(taken_on).done(seen, stopped_here=stopped, overridden_by=self.override_by)

    def _given_up(self, refusal: Refusal) -> GiveUp:
        """A refusal would say that nothing was touched, and the service that ran here is down."""
        return GiveUp(
            refusal.code,
            found=f"{refusal.found}; the server in {self.place.directory} was stopped before that was seen",
            expected=refusal.expected,
            hint=f"{refusal.hint}; until then nothing serves from {self.place.directory}: start it again if it is to go on",
        )

    def _stop_local(self, world: World) -> bool:
        """Whether a server ran here; remembered, so that an attempt after a kill says the same.

        Raises:
            Refusal: ``server_appeared``.
        """
        instances = self.instances(world)
        if world.places.facts(self.place.directory).exists and instances.facts(self.place).running:
            if not self.agreed_to_stop:
                raise Refusal(
                    "server_appeared",
                    found=f"a server runs in {self.place.directory}, and none did when the recovery was asked for",
                    expected="none, or a person's word that it is to be stopped",
                    hint="see who started it; if it is in the way, start the recovery again: it asks anew",
                )
            world.receipts.write(self.receipt, {"stopped_here": True})
            instances.stop(self.place, StopMode.FAST)
        return world.receipts.read(self.receipt) is not None

    @property
    def receipt(self) -> str:
        return f"{self.resource}-fenced"
