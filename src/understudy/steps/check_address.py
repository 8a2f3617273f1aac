"""The address that Understudy will go on with leads to the server that was recovered, and not to another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.database import Database
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.phases import Phase

ADDRESS_TIME_LIMIT = timedelta(minutes=15)
"""For a person who moves a name or an address while the run waits."""
_WHO = "SELECT extract(epoch FROM pg_postmaster_start_time())"
"""As a number, because two roles may print times in two zones."""


@step_kind("check_address")
@dataclass(frozen=True, slots=True)
class CheckAddress(PlacedStep):
    """Before anything is protected anew: a slot and a base backup of the old server would pass for those of the new one.

    ``landing``: the stack file names an address for recovered servers (``recover.url``). This step's evidence is then what
    everybody goes by from here on: the address, and what ``url`` named at the time.
    """

    landing: bool = False
    VERB = "check-address"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return ADDRESS_TIME_LIMIT

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the address leads to the recovered server")
        name = ResourceName(self.resource)
        database = world.landings[name] if self.landing else world.declared[name]
        here = self.instances(world).query(self.place, _WHO)[0][0]
        try:
            there = database.query(_WHO)[0][0]
        except (GiveUp, TryAgain) as error:
            raise self._not_yet(database, error.code, error.found, error.hint) from error
        if here != there:
            found = f"the server at {database.address} started at {there}, the recovered one at {here}"
            raise self._not_yet(database, "address_of_another_server", found)
        if self.landing:
            return witness.done(address=database.address, same_server=True, url_address=world.declared[name].address)
        return witness.done(address=database.address, same_server=True)

    def _not_yet(self, database: Database, code: str, found: str, advice: str = "") -> TryAgain:
        """Every fault may be that of a server elsewhere, and a person may be at work on it."""
        key = "recover.url" if self.landing else "url"
        hint = (
            f"the data are recovered and open in {self.place.directory}, port {self.place.port}: within "
            f"{ADDRESS_TIME_LIMIT.total_seconds() / 60:.0f} minutes, move the name or the address to this host, stop the other "
            f"server, or change what {key} refers to. Once it is too late: understudy backup {self.resource} --full"
        )
        return TryAgain(
            code,
            found=found,
            expected=f"that {database.address}, the resource's {key}, leads to the recovered server",
            hint=f"{hint}. {advice}" if advice else hint,
        )


def check_address_key(resource: str) -> StepKey:
    """Under which the evidence of where a recovered database serves from stands."""
    return StepKey(f"{resource}/{CheckAddress.VERB}")
