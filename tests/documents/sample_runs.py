"""Runs as the records hold them, of which a test says what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from understudy.documents.reported import ChainPlace, RecordedRun, ReportedRun
from understudy.judge.measured import MeasuredRecovery, MeasuredStack, Objectives
from understudy.judge.recovery_point import RecoveryPoint, RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict, RunMeasurement
from understudy.records.run import ApprovalRecord, RecordedError, RunRecord, RunState, StepRecord, StepState
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import Person, PlanId, ResourceName, RunId, StepKey
from understudy.vocabulary.phases import Phase

BEGAN = datetime(2026, 11, 24, 3, 10, tzinfo=UTC)
RUN = RunId("20261124-031000-abcdef")
FAILURE = RecordedError("part_corrupt", "a part is damaged", "the bytes that were stored", "restore from another repository")


def seconds(value):
    return timedelta(seconds=value)


def step(key, start, end, state=StepState.SUCCEEDED, *, tried=None, proof=None, claim="it is so", error=None, run=RUN, **more):
    """From ``start`` to ``end`` seconds after the beginning; first tried at ``tried``."""
    outcome = {StepState.SUCCEEDED: Outcome.DONE, StepState.SKIPPED: Outcome.SKIPPED}.get(state, Outcome.FAILED)
    began, ended = BEGAN + seconds(start), BEGAN + seconds(end)
    evidence = Evidence(str(run), claim, outcome, began, ended, proof or {"seen": True}, "") if state.is_final else None
    made = StepRecord(
        run=run,
        key=StepKey(key),
        state=state,
        attempts=1 if tried is None else 2,
        started=BEGAN + seconds(start if tried is None else tried),
        ended=ended if state.is_final else None,
        again_at=None,
        evidence=evidence,
        error=error,
        approval_question=None,
        approval=None,
        progress=None,
    )
    return replace(made, **more)


def never_begun(key, why="what it comes after did not succeed"):
    unbegun = step(key, 0, 0, StepState.SKIPPED, error=RecordedError("", why))
    return replace(unbegun, attempts=0, started=None)


def agreed(key, start, end, question, by="anna"):
    approval = ApprovalRecord(Person(by), BEGAN + seconds(start))
    return step(key, start, end, approval_question=question, approval=approval)


def run_record(procedure="recovery", subject="database_corruption", state=RunState.SUCCEEDED, run=RUN, took=12.0, **more):
    made = RunRecord(
        run=run,
        plan_id=PlanId("recovery-1"),
        procedure=procedure,
        mode="failover",
        subject=subject,
        stack_digest="5" * 64,
        state=state,
        executor=None,
        submitted=BEGAN,
        started=BEGAN,
        ended=BEGAN + seconds(took) if state.is_final else None,
        cancel_requested_by=None,
        error=None,
    )
    return replace(made, **more)


PHASES = {
    "fence-old-server": Phase.FENCE,
    "restore-base-backup": Phase.RESTORE,
    "replay-wal": Phase.REPLAY,
    "verify-database": Phase.VERIFY,
    "write-and-read-back": Phase.CUT_OVER,
    "check-prerequisites": Phase.PROVISION,
    "provision-target": Phase.PROVISION,
    "restore-snapshot": Phase.RESTORE,
    "compare-restored": Phase.VERIFY,
    "take-base-backup": Phase.PROTECT,
    "discard-unfinished": Phase.CLEAN_UP,
}


def recorded(run, steps, read_from=None):
    steps = tuple(steps)
    phases = {each.key: PHASES[each.key.partition("/")[2]] for each in steps if each.key.partition("/")[2] in PHASES}
    return RecordedRun(run, steps, phases, read_from or {})


def recovery_steps():
    return (
        agreed("orders/fence-old-server", 1, 2, "Nobody answers. Recover orders?"),
        step("orders/restore-base-backup", 2, 5, tried=1.5, proof={"labels": ["20261124-030000F"], "files": 9}),
        step("orders/replay-wal", 5, 8, proof={"replayed_lsn": "0/3000060", "timeline": 1, "last_replayed_commit": None}),
        step("orders/verify-database", 8, 9, proof={"checks": [{"name": "words", "sql": "select 1", "answer": "1"}]}),
        step("orders/write-and-read-back", 9, 10),
        step("orders/take-base-backup", 10, 11.5, proof={"label": "20261124-031010F", "reason": "protection begins anew"}),
        step("orders/discard-unfinished", 11.5, 11.6, StepState.SKIPPED, proof={"reason": "nothing is left"}),
    )


def measured_recovery(resource="orders", took=10.0, *, rto=3600, loss=2.5, verdict=ObjectiveVerdict.MET, **more):
    phases = {Phase.DETECT: seconds(1), Phase.RESTORE: seconds(3), Phase.VERIFY: seconds(6)}
    taken = None if took is None else seconds(took)
    met = ObjectiveVerdict.MISSED if took is None or took > rto else ObjectiveVerdict.MET
    made = MeasuredRecovery(
        resource=ResourceName(resource),
        disruption=Disruption.exactly(BEGAN, KnownBy.COMMAND),
        measurement=RunMeasurement(phases, {Phase.PROTECT: seconds(1.5)}, taken, met, ()),
        recovery_point=RecoveryPoint(RecoveryPointSource.HEARTBEAT, BEGAN - seconds(loss), seconds(loss), verdict),
        objectives=Objectives(seconds(rto), seconds(300)),
        target=seconds(8),
        target_verdict=ObjectiveVerdict.MISSED,
        tier="standard",
        tier_objectives=Objectives(seconds(14400), seconds(900)),
        tier_verdict=met,
        beats=True,
        unprotected=(),
    )
    return replace(made, **more)


def measured_stack(*parts, priorities):
    whole = [part.measurement.recovery_time for part in parts]
    taken = None if None in whole else max(whole)
    by_priority = {}
    for name, priority in priorities.items():
        own = next(part.measurement.recovery_time for part in parts if part.resource == name)
        by_priority[priority] = own if own is None or by_priority.get(priority) is None else max(own, by_priority[priority])
    met = ObjectiveVerdict.MISSED if taken is None else ObjectiveVerdict.MET
    return MeasuredStack(
        scenario="complete_failure",
        disruption=parts[0].disruption,
        priorities=priorities,
        parts={part.resource: part for part in parts},
        measurement=RunMeasurement({Phase.RESTORE: seconds(4)}, {}, taken, met, ()),
        recovery_times=by_priority,
        objectives=parts[0].objectives,
        target=None,
        target_verdict=ObjectiveVerdict.NONE_SET,
    )


CHAIN = ChainPlace(
    controller="c0ffee",
    first=4,
    last=11,
    last_digest="a" * 64,
    head_count=30,
    head_digest="b" * 64,
    head_at=BEGAN + seconds(20),
    signer="PUBLICKEY=",
    findings=(),
)


def reported(run=None, steps=None, *, measured="usual", before=(), **more):
    """A recovery that went well, unless something else is said."""
    own = recorded(run or run_record(), recovery_steps() if steps is None else steps, {"orders/restore-base-backup": "near"})
    made = ReportedRun(
        stack="shop",
        recorded=own,
        before=tuple(before),
        not_followed=None,
        measured=measured_recovery() if measured == "usual" else measured,
        not_measured="",
        understudy_version="0.1.0",
        server_version="18.4",
        chain=CHAIN,
        evidence_file="/state/evidence/run.json",
        verify="understudy evidence verify",
        made=BEGAN + seconds(60),
        made_by_version="0.1.0",
    )
    return replace(made, **more)
