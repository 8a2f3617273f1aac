"""The steps by which a service is stopped, started and checked: for real, or beside the real one. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.steps.check_isolation import CheckIsolation
from understudy.steps.check_operated import CheckOperated
from understudy.steps.end_service_drill import EndServiceDrill
from understudy.steps.provision_service_sandbox import ProvisionServiceSandbox
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget
from understudy.steps.remove_snapshot_sandbox import RemoveSnapshotSandbox
from understudy.steps.start_service import StartService
from understudy.steps.stop_service import StopService
from understudy.steps.write_and_read_back import WriteAndReadBack
from understudy.vocabulary.identifiers import PlanId, ResourceName


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What the stack file says of a command that acts."""

    run: Sequence[str]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    start: ActFacts
    stop: ActFacts | None


@dataclass(frozen=True, slots=True)
class DrillFacts:
    """What a drill starts, and where."""

    stops: bool
    """Whether it is declared how a drill stops it."""
    sandbox: str
    port: int
    """A free one of this host."""
    ports: Mapping[ResourceName, int] = field(default_factory=dict)
    """Of the services that it depends on."""
    copies: Mapping[ResourceName, str] = field(default_factory=dict)
    """Where the resources are that it depends on, as the drill brings them up."""
    production: tuple[str, ...] = ()
    """Directories of what serves."""

    @property
    def variables(self) -> dict[str, str]:
        """What the commands are told."""
        return {
            "UNDERSTUDY_DRILL": "1",
            "UNDERSTUDY_SANDBOX": self.sandbox,
            "UNDERSTUDY_PORT": str(self.port),
            **{f"UNDERSTUDY_PORT_{_in_a_variable(name)}": str(port) for name, port in self.ports.items()},
            **{f"UNDERSTUDY_COPY_{_in_a_variable(name)}": place for name, place in self.copies.items()},
        }


def _in_a_variable(name: str) -> str:
    return name.upper().replace("-", "_")


def plan_service(name: ResourceName, facts: ServiceFacts, plan_id: PlanId, stack_digest: str) -> Plan:
    """For real. The commands are known by their names in the stack file, so that a plan holds none of their environment."""
    steps: list[PlannedStep] = []
    asked = Approval(_question(name, facts))
    if facts.stop is not None:
        steps.append(PlannedStep(StopService(f"{name}/stop", facts.stop.repeatable)))
    steps += [PlannedStep(StartService(f"{name}/start", facts.start.repeatable)), PlannedStep(CheckOperated(f"{name}/check"))]
    steps[0] = PlannedStep(steps[0].step, approval=asked)
    return Plan(
        id=plan_id,
        procedure=Procedure.RECOVERY,
        mode=Mode.FAILOVER,
        subject=name,
        steps=in_sequence(*steps),
        holds=frozenset({Hold(f"service:{name}", HoldKind.EXCLUSIVE)}),
        stack_digest=stack_digest,
    )


def _question(name: ResourceName, facts: ServiceFacts) -> str:
    ended = f"Stop {name} with: {shlex.join(facts.stop.run)}; then start it" if facts.stop else f"Start {name}"
    return f"{ended} with: {shlex.join(facts.start.run)}?"


def plan_service_drill(name: ResourceName, facts: DrillFacts, plan_id: PlanId, stack_digest: str) -> Plan:
    """In a sandbox, which is removed with all that was started. Starting again in the same sandbox, after what was cut off there
    was ended, does no harm: nothing but the drill is touched by it.
    """
    commands = tuple(f"{name}/drill-{each}" for each in ("start", "check", *(("stop",) if facts.stops else ())))
    start, check = commands[:2]
    told, sandbox, production = facts.variables, facts.sandbox, facts.production
    ending = EndServiceDrill(f"{name}/drill-stop", commands, facts.stops, production, variables=told, sandbox=sandbox)
    steps = in_sequence(
        PlannedStep(ProvisionServiceSandbox(name, sandbox, start)),
        PlannedStep(StartService(start, repeatable=True, variables=told, sandbox=sandbox)),
        PlannedStep(CheckOperated(check, variables=told, sandbox=sandbox)),
        PlannedStep(CheckIsolation(name, commands, production)),
        PlannedStep(ending, when=When.ALWAYS),
        PlannedStep(RemoveSnapshotSandbox(name, sandbox), when=When.ALWAYS),
    )
    return Plan(
        id=plan_id,
        procedure=Procedure.DRILL,
        mode=Mode.DRILL,
        subject=name,
        steps=steps,
        holds=frozenset({Hold(f"target:{sandbox}", HoldKind.EXCLUSIVE)}),
        stack_digest=stack_digest,
    )


def place_of_copy(plan: Plan) -> str | None:
    """Where a drill's plan brings its resource up, as a service is told: a connection string, a directory, the URL of a
    bucket.
    """
    for step in (planned.step for planned in plan.steps):
        if isinstance(step, ProvisionSnapshotTarget):
            return step.place
        if isinstance(step, WriteAndReadBack):
            return f"postgresql:///postgres?host={step.place.socket_directory}&port={step.place.port}"
    return None
