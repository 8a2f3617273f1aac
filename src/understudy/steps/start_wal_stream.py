"""The WAL stream of a database: its slot, its receiver, and the certainty that nothing is missing between the two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.wal import WalSegment


@step_kind("start_wal_stream")
@dataclass(frozen=True, slots=True)
class StartWalStream:
    """Reserves the slot, starts or adopts the receiver, and waits until the server sees it stream.

    ``fresh`` is for a server that just came back from a recovery: what the spool still holds belongs to the server before it,
    and a receiver would try to go on from there. It is moved aside (it was shipped before), and streaming begins at the new slot.
    """

    resource: str
    slot: str
    fresh: bool = False

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/start-wal-stream")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=2)

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
        slot = database.reserve_slot(self.slot)
        if slot.wal_status == "lost":
            raise GiveUp(
                "slot_lost",
                found=f"the server gave up the WAL that slot {self.slot!r} had reserved (wal_status lost)",
                expected="a slot that still holds its WAL",
                hint=f"drop it with SELECT pg_drop_replication_slot('{self.slot}'), raise max_slot_wal_keep_size, "
                f"then take a full backup: understudy backup {self.resource} --full",
            )
        running = receiver.ensure_running()
        standbys = [each for each in database.standbys() if each.application_name == self.slot]
        if not any(each.state == "streaming" and each.flushed is not None for each in standbys):
            raise TryAgain(
                "receiver_starting",
                found="the receiver runs, but the server does not see it stream yet",
                after=timedelta(milliseconds=50),
            )
        facts = database.facts()
        restart = slot.restart_lsn
        return witness.done(
            slot=self.slot,
            slot_restart_lsn=str(restart) if restart else None,
            wal_status=slot.wal_status,
            safe_wal_size_bytes=slot.safe_wal_size_bytes,
            receiver_pid=running.pid,
            server_wal_flushed=str(facts.wal_flushed),
            timeline=facts.timeline,
            streaming_segment=WalSegment.holding(facts.timeline, facts.wal_flushed, facts.segment_bytes).name,
        )

    @property
    def receipt(self) -> str:
        return f"{self.resource}-spool-quarantined"
