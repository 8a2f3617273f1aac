"""Run one command of the operator's: what every step has in common that does so.

A command that was cut off cannot be looked at from outside. So that it was begun is a receipt, and so is how it ended; what was
begun and did not end is begun anew only where the stack file says that twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, cast

from understudy.ports.commanding import CommandEnd, OperatorCommand, Surroundings
from understudy.ports.world import World
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.json import JsonObject

_WORDS_LINES = 5
_LONGEST_WORDS = 1000


@dataclass(frozen=True, slots=True)
class CommandStep:
    """Subclass it with a ``VERB`` and a ``PHASE``."""

    command: str
    """By the name that ``World.commands`` has it under: ``web/start``."""
    variables: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Environment variables in clear, beside those of the stack file."""
    sandbox: str | None = field(default=None, kw_only=True)
    """Of a drill: the directory that it works in, unless the stack file names one."""

    VERB: ClassVar[str]

    @property
    def subject(self) -> str:
        return self.command.partition("/")[0]

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.subject}/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(days=7)  # the command has a limit of its own, by which it is ended

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self.variables, self.sandbox)

    @property
    def _receipt(self) -> str:
        return f"{self.subject}-{self.VERB}"


@dataclass(frozen=True, slots=True)
class RunOperatorCommand(CommandStep):
    """One that changes something: carried out once, never silently twice."""

    repeatable: bool

    def run(self, world: World) -> Evidence:
        """
        Raises:
            GiveUp: ``command_failed``, ``command_timed_out``, with what it said in the proof; ``command_interrupted``; what
                ``OperatorCommand.carry_out`` raises.
        """
        witness = Witness.of(world.clock, self.subject, self._claim())
        ended = world.receipts.read(f"{self._receipt}-ended")
        if ended is None:
            command = world.commands[self.command]
            self._begin(world, command)
            ended = told(command.carry_out(self.surroundings, command.time_limit), command)
            world.receipts.write(f"{self._receipt}-ended", ended)
        self._require_success(ended)
        return witness.done(ended)

    def _claim(self) -> str:
        """What its success says."""
        return f"the command {self.command} of the stack file succeeded"

    def _begin(self, world: World, command: OperatorCommand) -> None:
        begun = world.receipts.read(f"{self._receipt}-begun")
        if begun is not None and not self.repeatable:
            raise self._was_interrupted(str(begun["at"]), command)
        if begun is not None:
            command.end_left_over()
        command.require_ready()  # what cannot be started has not been begun
        world.receipts.write(f"{self._receipt}-begun", {"at": world.clock.now().isoformat()})

    def _was_interrupted(self, began: str, command: OperatorCommand) -> GiveUp:
        at_work = command.left_over()
        goes_on = f"; processes of it are still at work: {', '.join(map(str, at_work))}" if at_work else ""
        return GiveUp(
            "command_interrupted",
            found=f"{self.command} ({command.shown}), begun at {began}, was cut off with the process that watched over "
            f"it{goes_on}",
            expected="a command that got through, or repeatable: true beside it in the stack file, which says that twice is "
            "the same "
            "as once",
            hint="nobody knows how far it came: look at what it changes, put that right by hand, and start again what this run "
            "was "
            "for; understudy show tells what is done already",
        )

    def _require_success(self, ended: JsonObject) -> None:
        status, ran = ended["exit_code"], ended["ran"]
        if status == 0:
            return
        if status is None:
            error = GiveUp(
                "command_timed_out",
                found=f"{self.command} ({ran}) was at work for more than {ended['time_limit_seconds']:g} s, and was ended with "
                "all "
                f"that it had started{said(ended)}",
                expected="that it ends within its time_limit",
                hint="see what it waits for; where it needs so long, raise time_limit in the stack file",
            )
        else:
            error = GiveUp(
                "command_failed",
                found=f"{self.command} ({ran}) {how(ended)}{said(ended)}",
                expected="that it ends with 0; what it did until then is done",
                hint="carry it out by hand, as the user that understudy runs as; what it said stands in the evidence of this "
                "step",
            )
        error.add_proof(**output_of(ended))
        raise error


def told(end: CommandEnd, command: OperatorCommand) -> JsonObject:
    """What a command came to, for a receipt and for a proof."""
    return {
        "ran": command.shown,
        "exit_code": end.status,
        "took_seconds": round(end.took.total_seconds(), 3),
        "time_limit_seconds": command.time_limit.total_seconds(),
        "output": end.output.head,
        "output_end": end.output.tail,
        "output_cut_bytes": end.output.cut_bytes,
    }


def output_of(ended: JsonObject) -> dict[str, str]:
    """The same of one that failed."""
    status = ended["exit_code"]
    about = {"exit_code": "none" if status is None else str(status), "output": str(ended["output"])}
    if not ended["output_cut_bytes"]:
        return about
    return {**about, "output_end": str(ended["output_end"]), "output_cut_bytes": str(ended["output_cut_bytes"])}


def how(ended: JsonObject) -> str:
    status = cast(int, ended["exit_code"])
    return f"ended with {status}" if status >= 0 else f"was ended by signal {-status}"


def said(ended: JsonObject) -> str:
    """The last lines of it, on one line."""
    text = str(ended["output_end"] or ended["output"])
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    words = " / ".join(lines[-_WORDS_LINES:])
    return f"; it said: {words[-_LONGEST_WORDS:]}" if words else ", without a word"
