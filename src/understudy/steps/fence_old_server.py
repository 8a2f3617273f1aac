"""Make sure that the old server can't accept another write, and read that back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.database import Database, Presence
from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
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
    VERB = "fence-old-server"
    PHASE: ClassVar = Phase.FENCE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the old server accepts no writes")
        stopped = self._stop_local(world)
        serving, declared = world.databases[ResourceName(self.resource)], world.declared[ResourceName(self.resource)]
        seen = {"at_the_address": self._look(serving)}
        if declared.address != serving.address:
            seen["at_the_url"] = self._look(declared)
        gone = all(presence is Presence.NOBODY for presence in seen.values())
        answers: JsonObject = {where: presence.value for where, presence in seen.items()}
        return witness.done(answers, stopped_here=stopped, overridden_by=None if gone else self.override_by)

    def _look(self, database: Database) -> Presence:
        presence = database.presence()
        if presence is not Presence.NOBODY:
            self._refuse_unless_overridden(database, presence)
        return presence

    def _refuse_unless_overridden(self, database: Database, presence: Presence) -> None:
        """Something is there, or nobody can tell. Another cluster is never overridden: its own clients would meet ours."""
        found = f"nobody can tell whether the old server still serves others at {database.address}: there is no answer"
        if presence is Presence.LISTENING:
            found = f"the old server still answers at {database.address}"
            try:
                answering = database.facts().system_identifier
            except UnderstudyError as error:
                if error.code == "system_identifier_changed":
                    raise self._address_taken(database, error.found) from error
                found = f"something still listens at {database.address}, and could not be asked who it is ({error.found})"
            else:
                if answering != self.system_identifier:
                    raise self._address_taken(database, f"cluster {answering}")
        if self.override_by is None:
            raise Refusal(
                "old_server_not_fenced",
                found=found,
                expected="that it is stopped, and stays so: that its host says that nothing listens there",
                hint="stop it on its host (and keep its supervisor from starting it again), then start the recovery again; "
                "or, knowing that its further writes are lost, run the recovery with --override-fence NAME",
            )

    def _address_taken(self, database: Database, found: str) -> Refusal:
        return Refusal(
            "address_taken",
            found=f"another cluster answers at {database.address}: {found}",
            expected=f"nothing there, or cluster {self.system_identifier}",
            hint="check the resource's url in the stack file: recovering beside a foreign server would end in confusion",
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
