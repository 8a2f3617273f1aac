"""Steps that work on one server at one place of this host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.instance import InstanceFacts, InstancePlace, Instances
from understudy.ports.world import World
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName, StepKey

POLL_SECONDS = 0.02
START_TIME_LIMIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """The resource that comes back, and where."""

    resource: str
    place: InstancePlace

    VERB = ""

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/{self.VERB}")

    def instances(self, world: World) -> Instances:
        return world.instances[ResourceName(self.resource)]


def wait_until(
    world: World,
    instances: Instances,
    place: InstancePlace,
    reached: Callable[[InstanceFacts], bool],
    what: str,
    limit: timedelta = START_TIME_LIMIT,
) -> InstanceFacts:
    """Look at the server until ``reached``.

    Raises:
        GiveUp: ``instance_failed`` when it ended, ``instance_too_slow`` behind ``limit``; both with its own last words.
    """
    deadline = world.clock.monotonic_seconds() + limit.total_seconds()
    while True:
        world.cancellation.raise_if_requested()
        facts = instances.facts(place)
        if reached(facts):
            return facts
        words = " | ".join(facts.last_words[-4:])
        if not facts.running:
            instances.query(place, "SELECT 1")  # says why it ended, where its log tells
            raise GiveUp(
                "instance_failed",
                found=f"the server in {place.directory} ended while it was waited for to {what}; its last words: {words}",
                expected="a running server",
                hint=f"read its whole log, {place.log_file}",
            )
        if world.clock.monotonic_seconds() > deadline:
            raise GiveUp(
                "instance_too_slow",
                found=f"the server in {place.directory} did not {what} within {limit}; its last words: {words}",
                expected=f"that it would {what}",
                hint=f"read its whole log, {place.log_file}; if it is busy and healthy, start again when it is not",
            )
        world.clock.wait(POLL_SECONDS)
