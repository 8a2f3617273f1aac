"""Leave nothing half-restored behind, and nothing that was brought back completely is thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.open_to_clients import restart_receipt
from understudy.steps.placed import PlacedStep
from understudy.steps.replay_wal import replay_receipt
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase

_STILL_RECOVERING = frozenset({"in archive recovery", "shut down in recovery"})
"""Of what ``pg_controldata`` calls the state: the server may fetch WAL again."""


@step_kind("discard_unfinished")
@dataclass(frozen=True, slots=True)
class DiscardUnfinished(PlacedStep):
    """Always runs; there is something to do only when a restore or a recovery failed or was cancelled midway.

    The directories that still bear this run's marker are removed as long as WAL was not replayed to the target. From then on the
    data are worth more than tidiness: a restored server is stopped and its directories handed over as they are; one that was
    recovered to serve is handed over as it runs or stands, because clients may have written to it already.
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
        if world.receipts.read(self.receipt) is not None:
            return self._hand_over(world, witness)
        directories = (*self.removed, *self.kept)
        if not any(world.places.facts(directory).claimed_by == world.run for directory in directories):
            return witness.skipped("no directory bears this run's marker")
        complete = world.receipts.read(replay_receipt(self.resource)) is not None
        if complete and self.serves:
            return self._hand_over(world, witness)
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

    def _hand_over(self, world: World, witness: Witness) -> Evidence:
        """Takes the markers out, so that no later base backup carries them; the WAL that was fetched ahead goes once the server
        has no more use for it."""
        world.receipts.write(self.receipt, {"handed_over": list(self.kept)})
        for directory in self.kept:
            if world.places.facts(directory).claimed_by == world.run:
                world.places.release(directory, world.run)
        for directory in () if self._still_recovers(world) else self.removed:
            if world.places.facts(directory).claimed_by == world.run:
                world.places.remove(directory, world.run)
        left = [directory for directory in (*self.removed, *self.kept) if world.places.facts(directory).exists]
        running = self.instances(world).facts(self.place).running
        return witness.done(hint=self._what_is_there(world, running), server_running=running, directories_left=left)

    def _still_recovers(self, world: World) -> bool:
        directory = self.place.directory
        if not world.places.facts(directory).exists:
            return False
        return self.instances(world).control_data(directory).cluster_state in _STILL_RECOVERING

    def _what_is_there(self, world: World, running: bool) -> str:
        there = f"{self.place.directory} holds all data at the target"
        if not running:
            return f"{there}, and no server runs on it; the next recovery sets it aside"
        if world.receipts.read(restart_receipt(self.resource)) is None:
            entrance = f"its server lets in this host's superuser only, by the socket in {self.place.socket_directory}"
            return f"{there}; {entrance}. The next recovery stops it and sets the directory aside"
        return (
            f"{there}; its server runs on port {self.place.port} for its clients, and nothing protects it: once its address "
            f"leads there, understudy backup {self.resource} --full"
        )

    @property
    def receipt(self) -> str:
        return f"{self.resource}-handed-over"
