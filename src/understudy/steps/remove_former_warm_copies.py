"""Leave one warm copy, and nothing else of any seeding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import InstancePlace, StopMode
from understudy.ports.warm_copies import FormerWarmCopy, staging_beside
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.install_warm_copy import without_former
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase

_LOOK_AGAIN = timedelta(seconds=0.5)


@step_kind("remove_former_warm_copies")
@dataclass(frozen=True, slots=True)
class RemoveFormerWarmCopies(PlacedStep):
    """Always runs. Where this run's copy did not come to count, that one goes; else those that it replaced. Each server is
    stopped first, and each directory goes only if it bears the marker of the run that made it.
    """

    VERB = "remove-former-warm-copies"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=15)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing is left of copies that do not count")
        resource = ResourceName(self.resource)
        with world.warm_copies.held(resource):
            copy = world.warm_copies.read(resource)
            counts = copy is not None and copy.run == world.run
            gone: list[str] = []
            if not counts:
                own = FormerWarmCopy(self.place.directory, self.place.socket_directory, world.run)
                self._remove(world, own)
                gone.append(own.directory)
            while copy is not None and counts and copy.former:
                former = copy.former[0]
                self._remove(world, former)
                copy = without_former(copy, former)
                world.warm_copies.write(resource, copy)
        left = [directory for directory in gone if world.places.facts(directory).exists]
        return witness.done(installed=counts, directories_left=left)

    def _remove(self, world: World, former: FormerWarmCopy) -> None:
        if world.places.facts(former.directory).claimed_by == former.run:
            self.instances(world).stop(InstancePlace(former.directory, former.socket_directory), StopMode.IMMEDIATE)
        for directory in (staging_beside(former.directory), former.socket_directory, former.directory):
            if world.places.facts(directory).claimed_by != former.run:
                continue  # a recovery has taken it; or a reboot has, of a socket, and the next start made it anew
            try:
                world.places.remove(directory, former.run)
            except GiveUp as error:
                if error.code != "place_fault":
                    raise
                # Whoever fetched WAL for it may not have noticed yet that it does not count any more.
                raise TryAgain(
                    error.code, found=error.found, expected=error.expected, hint=error.hint, after=_LOOK_AGAIN
                ) from error
