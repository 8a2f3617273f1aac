"""A small stage for the runner: steps that write lines into a file, and a world that has little else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, cast

from understudy.adapters.clock.system import SystemClock
from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure
from understudy.ports.places import Places
from understudy.ports.readings import Readings
from understudy.ports.running import Cancellation, Progress
from understudy.ports.sealer import Sealer
from understudy.ports.wal_remains import WalRemains
from understudy.ports.warm_copies import WarmCopies
from understudy.ports.world import Keys, World
from understudy.records.receipts import FileReceipts
from understudy.records.records import Records
from understudy.records.run import RunState
from understudy.runner.runner import Runner
from understudy.steps.codec import step_kind
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import Person, PlanId, RunId, StepKey
from understudy.vocabulary.phases import Phase


def append_line(path: str, line: str) -> None:
    with Path(path).open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@step_kind("test_note")
@dataclass(frozen=True, slots=True)
class NoteStep:
    """Writes its name into a file, or misbehaves as asked."""

    name: str
    file: str
    conduct: str = "well"
    limit_seconds: float = 30.0
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(self.name)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(seconds=self.limit_seconds)

    def run(self, world: World) -> Evidence:
        started = world.clock.now()
        append_line(self.file, self.name)
        CONDUCTS[self.conduct](self, world)
        world.receipts.write(self.name, {"written": self.name})
        return Evidence(self.name, "the name is written", Outcome.DONE, started, world.clock.now(), {"line": self.name})


def _gives_up(step: NoteStep, world: World) -> None:
    raise GiveUp("paper_missing", found="no paper", expected="paper", hint="buy paper")


def _tries_again(step: NoteStep, world: World) -> None:
    raise TryAgain("pen_dry", found="the pen is dry", after=timedelta(seconds=0.1))


def _third_time_well(step: NoteStep, world: World) -> None:
    if lines(Path(step.file)).count(step.name) < 3:
        _tries_again(step, world)


def _breaks(step: NoteStep, world: World) -> None:
    raise KeyError("ink")


SPOKEN = "hunter2"


def _blurts_a_secret_out(step: NoteStep, world: World) -> None:
    raise ValueError(f"password={SPOKEN}")


def _lingers(step: NoteStep, world: World) -> None:
    world.progress.report("lingering", 1, 2, "rounds")
    while True:
        world.cancellation.raise_if_requested()
        world.clock.wait(0.01)


def _lingers_until_told(step: NoteStep, world: World) -> None:
    while not Path(f"{step.file}.go").exists():
        world.cancellation.raise_if_requested()
        world.clock.wait(0.01)


CONDUCTS: dict[str, Callable[[NoteStep, World], None]] = {
    "well": lambda step, world: None,
    "gives_up": _gives_up,
    "tries_again": _tries_again,
    "third_time_well": _third_time_well,
    "breaks": _breaks,
    "blurts_a_secret_out": _blurts_a_secret_out,
    "lingers": _lingers,
    "lingers_until_told": _lingers_until_told,
}


def world_of(state: Path, run: RunId, progress: Progress, cancellation: Cancellation) -> World:
    return World(
        run=run,
        controller="the-test",
        clock=SystemClock(),
        receipts=FileReceipts(state, run),
        progress=progress,
        cancellation=cancellation,
        stores={},
        sealer=cast(Sealer, None),
        keys=Keys((), None, None, frozenset()),
        databases={},
        declared={},
        landings={},
        receivers={},
        instances={},
        places=cast(Places, None),
        collections={},
        targets={},
        scratch=state / "runs" / run / "scratch",
        remains=cast(WalRemains, None),
        warm_copies=cast(WarmCopies, None),
        readings=cast(Readings, None),
    )


def runner_for(state: Path, records: Records | None = None) -> Runner:
    clock = SystemClock()
    return Runner(state, records or Records(state, clock), clock, lambda *wiring: world_of(state, *wiring))


def plan_of(*steps: PlannedStep, holds: frozenset[Hold] = frozenset()) -> Plan:
    return Plan(PlanId("a-plan"), Procedure.BACKUP, Mode.ROUTINE, "orders", steps, holds, "0" * 64)


def exclusive(subject: str) -> frozenset[Hold]:
    return frozenset({Hold(subject, HoldKind.EXCLUSIVE)})


def carried_out(runner: Runner, plan: Plan, approved_by: Person | None = None) -> tuple[RunId, RunState]:
    """Submitted, and waited for."""
    run = runner.submit(plan, approved_by)
    return run, runner.wait(run)
