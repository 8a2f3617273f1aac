"""Restart without any trace of recovery, on the address that clients know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import Instances, StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep, wait_until
from understudy.steps.sandbox_settings import sandbox_hba, sandbox_settings
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import Json
from understudy.vocabulary.majors import HBA_INCLUDES_MAJOR
from understudy.vocabulary.phases import Phase

_RULES = "select current_setting('server_version_num'), current_setting('hba_file')"


@step_kind("open_to_clients")
@dataclass(frozen=True, slots=True)
class OpenToClients(PlacedStep):
    """Until here nobody but Understudy could connect. A drill restarts the same way, and stays closed.

    ``closed`` is the drill's form: no network, its own authentication file, nothing that reaches out.
    """

    closed: bool
    configuration: str | None = None
    """Directory of the configuration files that stand in for those of the data directory."""
    VERB = "open-to-clients"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=10)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the server runs with its final configuration")
        instances = self.instances(world)
        if world.receipts.read(self.receipt) is None:
            instances.stop(self.place, StopMode.FAST)
            world.receipts.write(self.receipt, {"restarted": True})
        if self.closed:
            instances.start(self.place, sandbox_settings(instances.control_data(self.place.directory)), sandbox_hba())
        else:
            instances.start(self.place, self._files())
        facts = wait_until(world, instances, self.place, lambda facts: facts.accepts_connections, "accept connections")
        proof: dict[str, Json] = {
            "listen_addresses": self.place.listen_addresses,
            "port": self.place.port,
            "socket_directory": self.place.client_socket_directory or self.place.socket_directory,
            "in_recovery": facts.in_recovery,
        }
        if not self.closed:
            proof["start_again"] = instances.command_to_start(self.place, self._files())
            proof |= self._copied_rules(instances)
        return witness.done(proof)

    def _copied_rules(self, instances: Instances) -> dict[str, Json]:
        """Where the server reads a copy of its rules of access: before 16 they cannot be included."""
        ((version, reads),) = instances.query(self.place, _RULES)
        if int(version or 0) // 10000 >= HBA_INCLUDES_MAJOR:
            return {}
        own = self._files().get("hba_file", f"{self.place.directory}/pg_hba.conf")
        return {} if reads == own else {"hba_file": reads, "hba_copied_from": own}

    def _files(self) -> dict[str, str]:
        if self.configuration is None:
            return {}
        names = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}
        return {setting: f"{self.configuration}/{name}" for setting, name in names.items()}

    @property
    def receipt(self) -> str:
        return restart_receipt(self.resource)


def restart_receipt(resource: str) -> str:
    """The name of the receipt that is there once the server was ended to be opened."""
    return f"{resource}-restarted"
