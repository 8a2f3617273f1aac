"""From here on the copy that was seeded and verified is the warm copy; until then the one before it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from understudy.ports.warm_copies import FormerWarmCopy, WarmCopy
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.wal import Timeline


@step_kind("install_warm_copy")
@dataclass(frozen=True, slots=True)
class InstallWarmCopy(PlacedStep):
    """One note is exchanged for another, whole: at each moment there is a copy that counts. What is replaced is named in the new
    note, so that whoever comes next removes it.
    """

    repository: str
    labels: tuple[str, ...]
    system_identifier: str
    segment_bytes: int
    timeline: int
    VERB = "install-warm-copy"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the copy that was just verified is the warm copy")
        resource = ResourceName(self.resource)
        with world.warm_copies.held(resource):
            before = world.warm_copies.read(resource)
            copy = before if before is not None and before.run == world.run else self._installed(world, before)
        return witness.done(
            directory=copy.directory,
            labels=list(copy.labels),
            timeline=copy.timeline,
            replaced=[each.directory for each in copy.former],
        )

    def _installed(self, world: World, before: WarmCopy | None) -> WarmCopy:
        copy = WarmCopy(
            directory=self.place.directory,
            socket_directory=self.place.socket_directory,
            run=world.run,
            repository=self.repository,
            labels=self.labels,
            system_identifier=SystemIdentifier(self.system_identifier),
            segment_bytes=self.segment_bytes,
            timeline=Timeline(self.timeline),
            verified=world.clock.now(),
            former=former_of(before),
        )
        world.warm_copies.write(ResourceName(self.resource), copy)
        return copy


def former_of(copy: WarmCopy | None) -> tuple[FormerWarmCopy, ...]:
    """What is to be removed once another copy counts. Of one that a recovery has taken, what it left behind."""
    return () if copy is None else (*copy.former, FormerWarmCopy(copy.directory, copy.socket_directory, copy.run))


def without_former(copy: WarmCopy, removed: FormerWarmCopy) -> WarmCopy:
    return replace(copy, former=tuple(each for each in copy.former if each != removed))
