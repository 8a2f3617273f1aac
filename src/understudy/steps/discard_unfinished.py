"""Leave nothing half-restored behind, and nothing that was brought back completely is thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.replay_wal import replay_receipt
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("discard_unfinished")
@dataclass(frozen=True, slots=True)
class DiscardUnfinished(PlacedStep):
    """Always runs; there is something to do only when a restore or a recovery failed or was cancelled midway.

    The directories that still bear this run's marker are removed as long as WAL was not replayed to the target. From then on the
    data are worth more than tidiness: a restored server is stopped and its directories handed over as they are; one that was
    recovered to serve is left alone, because clients may have written to it already.
    """

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    serves: bool
    VERB = "discard-unfinished"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=15)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing half-restored is left")
        directories = (*self.removed, *self.kept)
        if not any(world.places.facts(directory).claimed_by == world.run for directory in directories):
            return witness.skipped("no directory bears this run's marker")
        complete = world.receipts.read(replay_receipt(self.resource)) is not None
        if complete and self.serves:
            return witness.skipped(f"the data in {self.place.directory} were brought back completely, and stay as they are")
        if world.places.facts(self.place.directory).claimed_by == world.run:
            self.instances(world).stop(self.place, StopMode.FAST if complete else StopMode.IMMEDIATE)
        for directory in self.removed if complete else directories:
            if world.places.facts(directory).claimed_by == world.run:
                world.places.remove(directory, world.run)
        if complete:
            for directory in self.kept:
                world.places.release(directory, world.run)
        left = [directory for directory in directories if world.places.facts(directory).exists]
        hint = f"{self.place.directory} holds the data at the target, but not every check was passed" if complete else ""
        return witness.done(hint=hint, directories_left=left)
