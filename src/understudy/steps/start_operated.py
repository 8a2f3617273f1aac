"""Start the server on what came back, by the operator's command, and count what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, cast

from understudy.ports.operating import OperatedServer
from understudy.ports.world import World
from understudy.repository.snapshots.listing import ListedEntry
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase


@step_kind("start_operated")
@dataclass(frozen=True, slots=True)
class StartOperated(SnapshotRestore):
    """A server that was told to keep another kind of file may begin empty beside what came back, and answer all the same: so its
    keys are counted.
    """

    VERB = "start-server"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)  # of loading

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``keys_missing``, ``server_appeared``, ``start_failed``; what ``OperatedServer.holds`` raises.
        """
        server = world.operated[ResourceName(self.resource)]
        held = self.only_content(world)
        witness = Witness.of(world.clock, self.resource, f"{server.shown} holds what {self.label} does")
        self._start(world, server, Path(self.place) / held.entry.key)
        counted = server.holds()
        try:
            self._require_all(held, counted, server)
        except GiveUp as error:
            error.hint = f"{self._ended_again(server)}; {error.hint}"
            raise
        return witness.done(counted, address=server.shown)

    def _start(self, world: World, server: OperatedServer, content: Path) -> None:
        receipt = f"{self.resource}-start"
        begun = world.receipts.read(receipt) is not None
        if server.answers():
            if begun:
                return
            raise Refusal(
                "server_appeared",
                found=f"{server.shown} answers, and this run has not started it",
                expected="nothing there until what came back is in place",
                hint="see who started it; it did not load what lies in its directory now. End it, and start the recovery again",
            )
        server.hand_over(content)
        world.receipts.write(receipt, {"at": world.clock.now().isoformat()})
        server.start()

    def _ended_again(self, server: OperatedServer) -> str:
        """Nobody shall write into a server that passes for the one that was lost."""
        try:
            server.stop()
        except GiveUp as error:
            return f"it is up, at the address that its users know, and could not be ended again ({error.code})"
        return "it was ended again"

    def _require_all(self, held: ListedEntry, counted: JsonObject, server: OperatedServer) -> None:
        """What has expired since is gone, as it should be."""
        said = cast("JsonObject", held.entry.attributes["redis"])
        keys, with_expiry, found = (int(cast("int", each)) for each in (said["keys"], said["keys_with_expiry"], counted["keys"]))
        if not keys - with_expiry <= found <= keys:
            raise GiveUp(
                "keys_missing",
                found=f"{server.shown} holds {found} keys",
                expected=f"{keys}, as the snapshot does" + (f", {with_expiry} of which may have expired" if with_expiry else ""),
                hint=f"what came back lies in {self.place}: does the server read that directory and dbfilename dump.rdb? With "
                "appendonly yes it reads no RDB file: start it with appendonly no, then CONFIG SET appendonly yes",
            )
