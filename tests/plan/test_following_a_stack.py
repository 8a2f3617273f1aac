"""What is tried again of several resources that were recovered together, and what is not."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.plan.samples import FAR, NEAR, ORDERS
from tests.plan.snapshot_samples import DOCS
from tests.plan.stack_samples import DECLARED, IMAGES, parts_for_real, stack_plan
from understudy.plan.following import next_request
from understudy.plan.plan import Procedure
from understudy.plan.recovery_order import Urgency
from understudy.plan.request import Choice, RecoveryRequest, StackRequest
from understudy.plan.service_recovery import ActFacts, ServiceFacts, plan_service
from understudy.records.run import ApprovalRecord, RecordedError, RunState, StepRecord, StepState
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import Person, PlanId, ResourceName, RunId

ACT = ActFacts(("true",), repeatable=True)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLAN = stack_plan()
"""docs depend on orders; images are less urgent than both."""
ASKED = StackRequest(
    Procedure.RECOVERY,
    "complete_failure",
    tuple(RecoveryRequest(Procedure.RECOVERY, name, Choice(), scenario="complete_failure") for name in (ORDERS, DOCS, IMAGES)),
)


def ended(failing, left_out=(), plan=PLAN):
    """``failing``: by step, its code and the label at fault. What stands behind it is left out, and all of ``left_out``."""
    records = []
    broken = set(left_out)
    for planned in plan.steps:
        key = planned.step.key
        name = key.partition("/")[0]
        code, label = failing.get(key, ("", ""))
        approval = ApprovalRecord(Person("anna"), NOON) if key == "stack/check-prerequisites" else None
        if code:
            broken.add(name)
            state, error, outcome = StepState.FAILED, RecordedError(code, "found"), Outcome.FAILED
        elif name in broken:
            state, error, outcome = StepState.SKIPPED, RecordedError("predecessor_failed", "found"), Outcome.SKIPPED
        else:
            state, error, outcome = StepState.SUCCEEDED, None, Outcome.DONE
        evidence = Evidence(name, "claim", outcome, NOON, NOON, {BACKUP_AT_FAULT: label})
        records.append(StepRecord(RunId("r"), key, state, 1, NOON, NOON, None, evidence, error, None, approval, None))
    return records


def following(failing, left_out=(), state=RunState.FAILED, asked=ASKED):
    return next_request(asked, PLAN, state, ended(failing, left_out), lambda name: (NEAR, FAR))


DAMAGED = {f"{name}/restore-{what}": ("part_corrupt", label) for name, what, label in [
    (ORDERS, "base-backup", "20261123-030000F"), (DOCS, "snapshot", "20261123-030000S"),
]}  # fmt: skip
ORDERS_DAMAGED = {key: value for key, value in DAMAGED.items() if key.startswith(ORDERS)}
DOCS_DAMAGED = {key: value for key, value in DAMAGED.items() if key.startswith(DOCS)}


def names(request):
    return [part.resource for part in request.parts]


def test_only_what_is_damaged_is_tried_again_without_what_was_found_damaged():
    again = following(DOCS_DAMAGED)
    assert names(again) == [DOCS]
    assert again.parts[0].choice.without == {f"{NEAR}/20261123-030000S"}
    assert again.goes_on
    assert again.approved_by == "anna", "who has agreed is not asked again"


def test_what_waits_for_it_comes_with_it():
    again = following(ORDERS_DAMAGED, left_out=[DOCS])
    assert names(again) == [ORDERS, DOCS]
    assert again.parts[1] == ASKED.parts[1]


def test_what_failed_for_good_is_not_tried_again_nor_what_depends_on_it():
    assert following({"orders/replay-wal": ("disk_full", "")}, left_out=[DOCS]) is None
    again = following({"orders/replay-wal": ("disk_full", ""), "images/restore-snapshot": ("part_missing", "L")}, [DOCS])
    assert names(again) == [IMAGES]


def test_nothing_follows_where_nothing_can_be_tried_again():
    assert following({"docs/restore-snapshot": ("store_unreachable", "")}) is None
    assert following(DOCS_DAMAGED, state=RunState.CANCELLED) is None
    assert following({}, state=RunState.SUCCEEDED) is None
    assert following({"stack/check-prerequisites": ("target_too_small", "")}, left_out=[ORDERS, DOCS, IMAGES]) is None


def test_a_service_waits_for_what_is_tried_again_and_stays_stopped_where_nothing_can_be():
    """web stands on docs, which stand on orders; all is stopped, and then a backup is damaged, or something else is wrong."""
    web = ResourceName("web")
    parts = {**parts_for_real(), web: plan_service(web, ServiceFacts(ACT, ACT), PlanId("x"), "0" * 64)}
    plan = stack_plan(parts, declared={**DECLARED, web: Urgency("P1", (DOCS,))})
    part = RecoveryRequest(Procedure.RECOVERY, web, Choice(), scenario="complete_failure")
    asked = replace(ASKED, parts=(*ASKED.parts, part))

    def left(failing, left_out):
        records = ended(failing, left_out, plan)
        stopped = [replace(each, state=StepState.SUCCEEDED, error=None) if each.key == "web/stop" else each for each in records]
        found = next_request(asked, plan, RunState.FAILED, stopped, lambda name: (NEAR, FAR))
        return None if found is None else names(found)

    assert left(DOCS_DAMAGED, (web,)) == [DOCS, web]
    assert left(ORDERS_DAMAGED, (DOCS, web)) == [ORDERS, DOCS, web]
    assert left({**ORDERS_DAMAGED, "docs/provision-target": ("target_too_small", "")}, (web,)) == [ORDERS]
    assert left({"web/check": ("check_failed", "")}, ()) is None
    assert left({"web/stop": ("command_failed", "")}, (ORDERS, DOCS)) is None
