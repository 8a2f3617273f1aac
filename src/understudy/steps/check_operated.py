"""See by the operator's command whether what was started serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.run_operator_command import CommandStep, how, output_of, said, told
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase


@step_kind("check_operated")
@dataclass(frozen=True, slots=True)
class CheckOperated(CommandStep):
    """A check changes nothing, so it is started again until it succeeds or its time is up."""

    VERB: ClassVar = "check"
    PHASE: ClassVar = Phase.VERIFY

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``check_failed``, with what it said last in the proof; what ``OperatorCommand.carry_out`` raises.
        """
        witness = Witness.of(world.clock, self.subject, f"the command {self.command} of the stack file finds it well")
        command = world.commands[self.command]
        command.end_left_over()  # of a try that was killed with its process
        began = world.clock.monotonic_seconds()
        while True:
            left = command.time_limit - timedelta(seconds=world.clock.monotonic_seconds() - began)
            ended = told(command.carry_out(self.surroundings, min(command.try_limit, max(left, timedelta(0)))), command)
            if ended["exit_code"] == 0:
                world.progress.held_up(None)
                return witness.done(ended)
            spent = timedelta(seconds=world.clock.monotonic_seconds() - began)
            if spent + command.every >= command.time_limit:
                raise self._failed(ended)
            world.progress.held_up(self._not_yet(ended, command.every))
            world.cancellation.raise_if_requested()
            world.clock.wait(command.every.total_seconds())

    def _not_yet(self, ended: JsonObject, every: timedelta) -> TryAgain:
        return TryAgain(
            "check_failed",
            found=self._found(ended),
            expected="that it ends with 0 once within its time_limit",
            hint=f"it is tried again; see whether {self.subject} comes up",
            after=every,
        )

    def _found(self, ended: JsonObject) -> str:
        what = "was ended, because one try takes no longer" if ended["exit_code"] is None else how(ended)
        return f"{self.command} ({ended['ran']}) {what}{said(ended)}"

    def _failed(self, ended: JsonObject) -> GiveUp:
        error = GiveUp(
            "check_failed",
            found=f"{self._found(ended)}; still so after {ended['time_limit_seconds']:g} s",
            expected="that it ends with 0 once within its time_limit",
            hint=f"{self.subject} was started and does not serve: carry the check out by hand, and look at its log",
        )
        error.add_proof(**output_of(ended))
        return error
