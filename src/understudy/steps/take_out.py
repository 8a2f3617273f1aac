"""One database, or one table, out of a server that was restored aside, into a directory that stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from understudy.ports.dumps import directory_of_database
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase

_SUPERUSER = "SELECT current_user"


@dataclass(frozen=True, slots=True)
class PartTakenOut(PlacedStep):
    """What is taken out, and where it goes; what the steps for it have in common."""

    database: str
    schema: str
    """Of the table that is wanted; empty: all of the database is."""
    table: str
    directory: str

    @property
    def receipt(self) -> str:
        return f"{self.resource}-taken-out"


@step_kind("take_out")
@dataclass(frozen=True, slots=True)
class TakeOut(PartTakenOut):
    """The directory bears the run's mark until all of it is there and durable."""

    VERB = "take-out"
    PHASE: ClassVar = Phase.VERIFY

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        what = f"{self.database}.{self.schema}.{self.table}" if self.table else self.database
        witness = Witness.of(
            world.clock, self.resource, f"{what} lies in {self.directory}, with every row that the server counts"
        )
        done = world.receipts.read(self.receipt)
        if done is None:
            world.places.claim(self.directory, world.run)
            superuser = str(self.instances(world).query(self.place, _SUPERUSER)[0][0])
            target = Path(self.directory) / directory_of_database(self.database)
            wanted = (self.schema, self.table) if self.table else None
            dumper = world.part_dumpers[ResourceName(self.resource)]
            dumped = dumper.dump(self.place, superuser, self.database, wanted, target)
            done = {"directory": str(target), "tables": len(dumped.tables), "rows": dumped.rows}
            world.receipts.write(self.receipt, done)
        world.places.release(self.directory, world.run)
        return witness.done(done)


@step_kind("discard_taken_out")
@dataclass(frozen=True, slots=True)
class DiscardTakenOut(PartTakenOut):
    """Always runs: what was not taken out whole is removed."""

    VERB = "discard-taken-out"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing that was taken out in part is left")
        if world.receipts.read(self.receipt) is not None:
            return witness.skipped("all of it was taken out")
        world.part_dumpers[ResourceName(self.resource)].end_left_over()
        if world.places.facts(self.directory).claimed_by != world.run:
            return witness.skipped(f"{self.directory} bears no mark of this run")
        world.places.remove(self.directory, world.run)
        return witness.done(removed=self.directory)
