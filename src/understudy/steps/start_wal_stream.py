"""The WAL stream of a database: its slot, its receiver, and the certainty that nothing is missing between the two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, cast

from understudy.ports.database import Database, SlotFacts
from understudy.ports.wal_receiver import ReceiverFacts, WalReceiver
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.steps.codec import step_kind
from understudy.steps.wal_shipping import WalShipper
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.synchronous_names import SynchronousNames
from understudy.vocabulary.wal import WalSegment, parse_history_file

_SLOT_PATIENCE_SECONDS = 10.0
_LOOK_EVERY_SECONDS = 0.05
_GAPS = frozenset({"slot_lost", "wal_removed"})


@step_kind("start_wal_stream")
@dataclass(frozen=True, slots=True)
class StartWalStream:
    """Starts or adopts the receiver on a reserved slot, and waits until the server sees it stream.

    ``fresh`` is for a server that just came back from a recovery: what the spool still holds belongs to the server before it,
    and a receiver would try to go on from there. It is moved aside (it was shipped before), and streaming begins where the
    server's timeline does, which its slot has kept since before the promotion (``Promote``); where it has not, at the slot.

    ``begin_anew_in``: repositories of a plan that goes on with a full backup. Where the server no longer has the WAL that comes
    next, what the spool holds is shipped to them and moved aside, and streaming begins behind the gap: that backup starts there.
    Nothing else may pass over a gap, because WAL behind it is worth nothing without such a backup.

    ``synchronous``: commits are meant to wait for the receiver. Whether they do is the server's configuration, of which a
    recovery brings back what the backup held, not what was changed since: where they don't, it is said.
    """

    resource: str
    slot: str
    fresh: bool = False
    begin_anew_in: tuple[str, ...] = ()
    synchronous: bool = False
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/start-wal-stream")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=30)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "WAL streams into the spool from a reserved slot")
        name = ResourceName(self.resource)
        database, receiver = world.databases[name], world.receivers[name]
        if self.fresh and world.receipts.read(self.receipt) is None:
            receiver.stop()
            spool = receiver.spool()
            leftovers = [*spool.segments, *([spool.partial] if spool.partial else [])]
            moved = receiver.quarantine(leftovers, f"before recovery {world.run}") if leftovers else None
            world.receipts.write(self.receipt, {"quarantined_to": moved})
        try:
            slot, running = self._start(database, receiver)
        except GiveUp as error:
            if not self.begin_anew_in or error.code not in _GAPS:
                raise
            self._begin_anew(world, error)
            slot, running = self._start(database, receiver)
        standbys = [each for each in database.standbys() if each.application_name == self.slot]
        if not any(each.state == "streaming" and each.flushed is not None for each in standbys):
            raise TryAgain(
                "receiver_starting",
                found=f"the receiver (process {running.pid}) runs, but {database.address} does not see it stream yet",
                expected=f"a row of {self.slot} in pg_stat_replication whose state is streaming",
                hint="wait: it does as soon as it has begun. If it stays so, receiver.log in the spool says why",
                after=timedelta(milliseconds=50),
            )
        facts = database.facts()
        restart = slot.restart_lsn
        gap = world.receipts.read(self.gap_receipt)
        notes = [_began_anew(gap)] if gap else []
        names = SynchronousNames.parse(facts.settings.get("synchronous_standby_names", ""))
        if self.synchronous and not names.names(self.slot):
            notes.append(_waits_for_nobody(names.with_first(self.slot)))
        return witness.done(
            hint="; ".join(notes),
            slot=self.slot,
            slot_restart_lsn=str(restart) if restart else None,
            wal_status=slot.wal_status,
            safe_wal_size_bytes=slot.safe_wal_size_bytes,
            receiver_pid=running.pid,
            server_wal_flushed=str(facts.wal_flushed),
            timeline=facts.timeline,
            streaming_segment=WalSegment.holding(facts.timeline, facts.wal_flushed, facts.segment_bytes).name,
            began_anew=gap,
            named_synchronous=names.names(self.slot),
        )

    def _start(self, database: Database, receiver: WalReceiver) -> tuple[SlotFacts, ReceiverFacts]:
        """A slot that is not there yet is left to the receiver, which reserves it behind all that may keep it from starting: one
        that nobody streams from fills the server's disk with WAL."""
        if database.slot(self.slot) is not None:
            database.reserve_slot(self.slot)
        running = receiver.ensure_running(self._beginning(database) if self.fresh else None)
        return database.reserve_slot(self.slot), running

    def _beginning(self, database: Database) -> WalSegment | None:
        """The segment in which the server left the timeline that it was recovered from; None where the slot does not keep it."""
        slot, facts = database.slot(self.slot), database.facts()
        if slot is None or slot.restart_lsn is None or facts.timeline == 1:
            return None
        fork = max(each.at for each in parse_history_file(database.timeline_history(facts.timeline).decode()))
        return WalSegment.holding(facts.timeline, fork, facts.segment_bytes) if slot.restart_lsn <= fork else None

    def _begin_anew(self, world: World, error: GiveUp) -> None:
        """Ship what is left, move it aside, and give up the slot. Done twice, the second time finds nothing left to move.

        While the first repository is away nothing is moved: what the spool holds up to the gap may be the only copy, and the
        backup that follows could not be stored either.
        """
        name = ResourceName(self.resource)
        receiver, database = world.receivers[name], world.databases[name]
        facts = database.facts()
        receiver.stop()
        not_shipped: list[Json] = []
        for number, each in enumerate(self.begin_anew_in):
            try:
                repository = Repository.of(world, RepositoryName(each))
                archive = repository.wal(name, facts.system_identifier, facts.segment_bytes)
                shipped = WalShipper(receiver, archive, repository.own_claim(world.controller, world.clock)).ship_once()
                not_shipped += [f"{each}: {fault.code}: {fault.found}" for fault in shipped.damaged.values()]
            except UnderstudyError as refused:
                if number == 0 and isinstance(refused, TryAgain | Cancelled):
                    raise
                not_shipped.append(f"{each}: {refused.code}: {refused.found}")
        spool = receiver.spool()
        leftovers = [*spool.segments, *([spool.partial] if spool.partial else [])]
        moved = receiver.quarantine(leftovers, f"{error} (run {world.run})") if leftovers else None
        earlier = world.receipts.read(self.gap_receipt) or {}
        record: JsonObject = {
            "gap": f"{error.code}: {error.found}",
            "quarantined_to": moved or earlier.get("quarantined_to"),
            "not_shipped": not_shipped or earlier.get("not_shipped", []),
        }
        world.receipts.write(self.gap_receipt, record)
        # Also one that the server does not call lost: a receiver that asked for WAL that is gone has set it back to there.
        deadline = world.clock.monotonic_seconds() + _SLOT_PATIENCE_SECONDS
        while (slot := database.slot(self.slot)) is not None:
            # The server may not have noticed yet that the receiver is gone.
            if slot.active and world.clock.monotonic_seconds() < deadline:
                world.clock.wait(_LOOK_EVERY_SECONDS)
                continue
            database.drop_slot(self.slot)

    @property
    def gap_receipt(self) -> str:
        return f"{self.resource}-stream-began-anew"

    @property
    def receipt(self) -> str:
        return f"{self.resource}-spool-quarantined"


def _waits_for_nobody(line: str) -> str:
    return (
        "wal.synchronous is true, and the server's commits wait for nobody here: a disaster would lose the newest of them. A "
        "recovery brings back the configuration of the backup. On the server: "
        f"ALTER SYSTEM SET synchronous_standby_names = '{line}'; SELECT pg_reload_conf();"
    )


def _began_anew(gap: JsonObject) -> str:
    """What a person reads of it: what is lost, and what is not lost but lies in the spool's quarantine only."""
    said = f"WAL was lost, and the stream begins anew: {gap['gap']}"
    not_shipped = cast("list[str]", gap["not_shipped"])
    if not_shipped and gap["quarantined_to"]:
        said += f". What was received before it is kept in {gap['quarantined_to']}, and is not in {'; nor in '.join(not_shipped)}"
    return said
