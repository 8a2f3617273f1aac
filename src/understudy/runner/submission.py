"""Submitting a plan. Needs no engine, so that a command can hand its work to a running controller at once."""

from __future__ import annotations

import secrets

from understudy.plan.plan import HoldKind, Plan
from understudy.ports.clock import Clock
from understudy.records.records import Records
from understudy.records.run import HoldClaim, Submission, SubmittedStep
from understudy.runner.plan_json import plan_to_json
from understudy.vocabulary.identifiers import Person, RunId
from understudy.vocabulary.json import JsonObject


def hand_over(
    records: Records, clock: Clock, plan: Plan, approved_by: Person | None = None, asked: JsonObject | None = None
) -> RunId:
    """Submit ``plan`` for whoever holds the state directory; its runner picks it up.

    Raises:
        Refusal: ``busy``, naming the run that holds what this one needs.
    """
    return submit_plan(records, clock, plan, None, approved_by, asked)


def submit_plan(
    records: Records,
    clock: Clock,
    plan: Plan,
    executor: str | None,
    approved_by: Person | None,
    asked: JsonObject | None = None,
    follows: RunId | None = None,
) -> RunId:
    """Remember a new run of ``plan``, with its holds.

    Args:
        asked: The request that the run carries out, so that it outlives this process; None for a run that stands alone.
        follows: The run of that request after which this one comes.

    Raises:
        Refusal: as ``hand_over`` does; ``already_followed``: another process went on with the request.
    """
    run = _new_run_id(clock)
    records.submit(
        Submission(
            run=run,
            plan_id=plan.id,
            plan=plan_to_json(plan),
            procedure=plan.procedure.value,
            mode=plan.mode.value,
            subject=plan.subject,
            stack_digest=plan.stack_digest,
            steps=[
                SubmittedStep(planned.step.key, None if planned.approval is None else planned.approval.question)
                for planned in plan.steps
            ],
            holds=frozenset(HoldClaim(hold.subject, hold.kind is HoldKind.EXCLUSIVE) for hold in plan.holds),
            executor=executor,
            approved_by=approved_by,
            asked=asked,
            follows=follows,
        )
    )
    return run


def _new_run_id(clock: Clock) -> RunId:
    # Sorts by time, is short enough to type, and leaves room in paths of sockets.
    return RunId(f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
