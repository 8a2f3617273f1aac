"""See that nothing of a drilled service has its hands in what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.commanding import StartedProcesses
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase


@step_kind("check_isolation")
@dataclass(frozen=True, slots=True)
class CheckIsolation:
    """What its processes have open is looked at while they run: of what they open for a moment, or reach over the network,
    nothing is seen.
    """

    service: str
    commands: tuple[str, ...]
    """Those of the drill."""
    production: tuple[str, ...]
    """Directories that a drill must not touch."""
    VERB = "check-isolation"
    PHASE: ClassVar = Phase.VERIFY

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.service}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``drill_touched_production``.
        """
        witness = Witness.of(world.clock, self.service, "its processes have nothing of what serves open")
        require_apart_from_production(started_of(world), self.service, self.commands, self.production)
        return witness.done(looked_for=list(self.production), found=[])


def started_of(world: World) -> StartedProcesses:
    if world.started is None:
        raise TypeError("a world in which nobody looks after what was started")
    return world.started


def require_apart_from_production(
    started: StartedProcesses, service: str, commands: Sequence[str], production: Sequence[str]
) -> None:
    reached = started.reach(commands, production)
    if reached:
        raise GiveUp(
            "drill_touched_production",
            found=f"processes of the drill of {service} have open: {', '.join(reached[:_NAMED])}",
            expected="that a drill touches its sandbox and the copies alone",
            hint=f"see how {service} is told where its data are: the drill hands it UNDERSTUDY_SANDBOX and UNDERSTUDY_COPY_… ; "
            "look "
            "at what it did to these files",
        )


_NAMED = 5
