"""Services among what is recovered: who is stopped, and who waits for whom, against the plain words of it."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import ORDERS, recovery_facts, recovery_wish
from tests.plan.stack_samples import BACKUP, snapshot_part
from understudy.plan.plan import Mode, Plan, Procedure
from understudy.plan.recovery import plan_recovery
from understudy.plan.recovery_order import Urgency, recovery_order
from understudy.plan.service_recovery import ActFacts, DrillFacts, ServiceFacts, place_of_copy, plan_service, plan_service_drill
from understudy.plan.stack_recovery import StackWish, plan_stack_recovery
from understudy.steps.start_service import StartService
from understudy.vocabulary.identifiers import PlanId, ResourceName

RESOURCES = tuple(map(ResourceName, ("r0", "r1", "r2")))
SERVICES = tuple(map(ResourceName, ("s0", "s1", "s2", "s3")))
ACT = ActFacts(("true",), repeatable=True)


def service_plan() -> Plan:
    return plan_service(ResourceName("web"), ServiceFacts(ACT, ACT), PlanId("x"), "0" * 64)


def service_drill_plan(*, stops: bool = True) -> Plan:
    copies = {RESOURCES[0]: "/srv/drills/r0/restored", ResourceName("my-bucket"): "s3://drills/x"}
    facts = DrillFacts(stops, "/srv/drills/web", 4711, {SERVICES[0]: 4712}, copies, ("/srv/r0",))
    return plan_service_drill(ResourceName("web"), facts, PlanId("x"), "0" * 64)


def test_a_drill_is_told_where_it_is_and_begins_nothing_real() -> None:
    plan = service_drill_plan()
    start = next(each.step for each in plan.steps if isinstance(each.step, StartService))
    assert start.command == "web/drill-start"
    assert dict(start.variables) == {
        "UNDERSTUDY_DRILL": "1",
        "UNDERSTUDY_SANDBOX": "/srv/drills/web",
        "UNDERSTUDY_PORT": "4711",
        "UNDERSTUDY_PORT_S0": "4712",
        "UNDERSTUDY_COPY_R0": "/srv/drills/r0/restored",
        "UNDERSTUDY_COPY_MY_BUCKET": "s3://drills/x",
    }
    assert all(each.approval is None for each in plan.steps)
    drill = {ORDERS: plan_recovery(recovery_wish(Mode.DRILL), recovery_facts([BACKUP]))}
    socket = "postgresql:///postgres?host="
    assert str(place_of_copy(drill[ORDERS])).startswith(socket)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[dict[ResourceName, Urgency], frozenset[ResourceName]]:
    """Dependencies lead back in the order of the names, so that there is no circle; and which services have no stop."""
    declared: dict[ResourceName, Urgency] = {}
    for name in (*RESOURCES, *SERVICES):
        known = [each for each in declared if name in SERVICES or each in RESOURCES]
        depends_on = tuple(draw(st.sets(st.sampled_from(known)))) if known else ()
        declared[name] = Urgency(draw(st.sampled_from(("P1", "P2", "P3"))), depends_on)
    return declared, frozenset(draw(st.sets(st.sampled_from(SERVICES))))


def composed(declared: Mapping[ResourceName, Urgency], without_stop: frozenset[ResourceName]) -> Plan:
    plans = {name: snapshot_part(name, f"/srv/{name}") for name in RESOURCES}
    for name in SERVICES:
        plans[name] = plan_service(name, ServiceFacts(ACT, None if name in without_stop else ACT), PlanId("x"), "0" * 64)
    turns = recovery_order(declared, list(plans))
    return plan_stack_recovery(
        StackWish(Procedure.RECOVERY, Mode.FAILOVER, "complete_failure", PlanId("x"), "0" * 64, turns), plans
    )


def waits_for(plan: Plan) -> dict[str, set[str]]:
    """Of each step everything that must have passed before it, however far away."""
    found: dict[str, set[str]] = {}
    for planned in plan.steps:
        found[planned.step.key] = set(planned.after).union(*(found[key] for key in planned.after))
    return found


def above(declared: Mapping[ResourceName, Urgency], name: ResourceName) -> set[ResourceName]:
    direct = {other for other, urgency in declared.items() if name in urgency.depends_on}
    return direct.union(*(above(declared, other) for other in direct))


@given(stacks())
def test_nothing_is_touched_before_all_that_could_write_into_it_are_stopped_and_nothing_starts_too_early(
    stack: tuple[dict[ResourceName, Urgency], frozenset[ResourceName]],
) -> None:
    declared, without_stop = stack
    plan = composed(declared, without_stop)
    waits = waits_for(plan)
    stopped = set(SERVICES) - without_stop
    for name in RESOURCES:
        assert {f"{other}/stop" for other in above(declared, name) & stopped} <= waits[f"{name}/provision-target"]
    for name in SERVICES:
        needed = {f"{other}/{'check' if other in SERVICES else 'release-target'}" for other in declared[name].depends_on}
        assert needed <= waits[f"{name}/start"]
        assert waits[f"{name}/check"] >= {f"{name}/start"}
        if name in stopped:
            assert f"{name}/stop" in waits[f"{name}/start"]
            assert {f"{other}/stop" for other in above(declared, name) & stopped if name in declared[other].depends_on} <= waits[
                f"{name}/stop"
            ]
            assert waits[f"{name}/stop"] <= {"stack/check-prerequisites", *(f"{other}/stop" for other in SERVICES)}, "no restore"
    assert [each.approval is not None for each in plan.steps] == [True] + [False] * (len(plan.steps) - 1)


def test_the_question_names_every_command_that_acts() -> None:
    facts = ServiceFacts(
        ActFacts(("systemctl", "start", "web"), repeatable=True), ActFacts(("sh", "-c", "x y"), repeatable=False)
    )
    (stop, *_) = plan_service(ResourceName("web"), facts, PlanId("x"), "0" * 64).steps
    assert stop.approval is not None
    assert stop.approval.question == "Stop web with: sh -c 'x y'; then start it with: systemctl start web?"
