"""End a drilled service, and see that nothing of it is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, cast

from understudy.ports.commanding import StartedProcesses, Surroundings
from understudy.ports.world import World
from understudy.steps.check_isolation import require_apart_from_production, started_of
from understudy.steps.codec import step_kind
from understudy.steps.run_operator_command import CommandStep, how, output_of, said, told
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

_GRACE_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.05


@step_kind("end_service_drill")
@dataclass(frozen=True, slots=True)
class EndServiceDrill(CommandStep):
    """Always runs. A service that declares how a drill stops it must be gone then: what still runs is ended, and the drill has
    failed. Of one that does not, whatever was started is ended.
    """

    commands: tuple[str, ...]
    """All of the drill's."""
    stops: bool
    """Whether ``command``, which stops it, is declared."""
    production: tuple[str, ...]
    VERB: ClassVar = "end-drill"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``drill_touched_production``, ``drill_stop_failed``, ``processes_left``; by then everything is ended.
        """
        witness = Witness.of(world.clock, self.subject, "nothing of the drill runs any more")
        started = started_of(world)
        found = world.receipts.read(f"{self._receipt}-found")
        if found is None:
            found = self._looked_and_stopped(world, started)
            world.receipts.write(f"{self._receipt}-found", found)
        started.end(self.commands, self._directory)
        self._judge(found)
        return witness.done(stopped=found["stopped"], processes=[])

    @property
    def _directory(self) -> str:
        return str(self.sandbox)

    def _looked_and_stopped(self, world: World, started: StartedProcesses) -> JsonObject:
        touched = ""
        try:
            require_apart_from_production(started, self.subject, self.commands, self.production)
        except GiveUp as error:
            touched = error.found
        begun = world.receipts.read(f"{self.subject}-start-begun") is not None
        if not (self.stops and begun):
            return {"stopped": None, "left": [], "touched": touched}
        command = world.commands[self.command]
        command.end_left_over()
        stopped: JsonObject
        try:
            stopped = told(command.carry_out(Surroundings(self.variables, self.sandbox), command.time_limit), command)
        except GiveUp as error:  # whatever is wrong with it, what was started is ended
            stopped = {"ran": command.shown, "exit_code": -1, "output": str(error), "output_end": "", "output_cut_bytes": 0}
        left = self._left(world, started) if stopped["exit_code"] == 0 else ()
        return {"stopped": stopped, "left": list[Json](left), "touched": touched}

    def _left(self, world: World, started: StartedProcesses) -> tuple[int, ...]:
        """What goes on although it was told to stop; some seconds are given to what was told so and is not gone yet."""
        deadline = world.clock.monotonic_seconds() + _GRACE_SECONDS
        while (left := started.of(self.commands, self._directory)) and world.clock.monotonic_seconds() < deadline:
            world.clock.wait(_LOOK_EVERY_SECONDS)
        return left

    def _judge(self, found: JsonObject) -> None:
        if found["touched"]:
            raise GiveUp(
                "drill_touched_production",
                found=str(found["touched"]),
                expected="that a drill touches its sandbox and the copies alone",
                hint="everything of the drill was ended; look at what it did to these files",
            )
        stopped = cast("JsonObject | None", found["stopped"])
        if stopped is not None and stopped["exit_code"] != 0:
            how_it_ended = "was ended, because its time was up" if stopped["exit_code"] is None else how(stopped)
            error = GiveUp(
                "drill_stop_failed",
                found=f"{self.command} ({stopped['ran']}) {how_it_ended}{said(stopped)}",
                expected="that it stops what the drill has started, and ends with 0",
                hint=f"everything of the drill was ended; correct drill.stop of {self.subject}, or leave it out",
            )
            error.add_proof(**output_of(stopped))
            raise error
        left = cast("list[Json]", found["left"])
        if left:
            raise GiveUp(
                "processes_left",
                found=f"after {self.command} processes of the drill still ran, and were ended: {', '.join(map(str, left))}",
                expected="that nothing of a drill is left once it was stopped",
                hint=f"see what drill.start of {self.subject} starts; drill.stop must end all of it, or be left out",
            )
