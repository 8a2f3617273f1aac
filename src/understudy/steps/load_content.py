"""What was restored and compared is handed to the command that takes it back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase


@step_kind("load_content")
@dataclass(frozen=True, slots=True)
class LoadContent(SnapshotRestore):
    """Comes behind ``CompareRestored``, in the same place: the command is given nothing that was not compared whole.

    A command that was cut off cannot be looked at from outside. So that it was begun is a receipt, and what was begun and did not
    get through is begun anew only where that was declared to do no harm.
    """

    load_again: bool
    """Loading twice is the same as once, also where the first time was cut off."""

    VERB = "load"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(days=7)  # the command has a limit of its own, by which it is ended

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"its load command took {self.label} in")
        done = world.receipts.read(f"{self.resource}-loaded")
        if done is None:
            done = self._load(world)
            world.receipts.write(f"{self.resource}-loaded", done)
        return witness.done(done)

    def _load(self, world: World) -> JsonObject:
        loader = world.loaders[ResourceName(self.resource)]
        begun = world.receipts.read(f"{self.resource}-load-begun")
        if begun is not None and not self.load_again:
            raise self._was_interrupted(str(begun["at"]), loader.left_over())
        if begun is not None:
            loader.end_left_over()
        held = self.only_content(world)
        world.receipts.write(f"{self.resource}-load-begun", {"at": world.clock.now().isoformat()})
        loader.load(Path(self.place) / held.entry.key)
        sha256 = hashlib.sha256().hexdigest() if held.placed is None else held.placed.sha256
        return {"label": self.label, "content_bytes": held.entry.size_bytes, "sha256": sha256}

    def _was_interrupted(self, began: str, at_work: tuple[int, ...]) -> GiveUp:
        goes_on = f"; processes of it are still at work: {', '.join(map(str, at_work))}" if at_work else ""
        return GiveUp(
            "load_interrupted",
            found=f"the load of {self.label} begun at {began} was cut off, with the process that watched over it{goes_on}",
            expected="a load that got through, or load_again: true in the stack file, which says that twice is the same as once",
            hint=f"look at what it loads into: all of it may be there, some, or nothing; then understudy restore {self.resource} "
            f"--load --backup {self.label}",
        )
