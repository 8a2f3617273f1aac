"""A run's phases against an oracle that walks second by second."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.run_measurement import MeasuredStep, ObjectiveVerdict, measure_run
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase

START = datetime(2026, 11, 23, 3, tzinfo=UTC)
AFTERWARDS = (Phase.PROTECT, Phase.CLEAN_UP)
STEPS = [phase for phase in Phase if phase not in (Phase.DETECT, Phase.WAITING)]


def at(seconds):
    return START + timedelta(seconds=seconds)


def record(name, phase, began, ended, outcome=Outcome.DONE):
    evidence = Evidence("orders", "it is so", outcome, at(began), at(ended), {"seen": True})
    return MeasuredStep(StepKey(f"orders/{name}"), phase, evidence)


def measure(records, objective=60, now=10_000, planned=None):
    limit = None if objective is None else timedelta(seconds=objective)
    phases = planned or {each.key: each.phase for each in records}
    return measure_run(records, phases, at(0), limit, at(now))


@st.composite
def runs(draw):
    records = []
    for number in range(draw(st.integers(0, 8))):
        began = draw(st.integers(0, 40))
        outcome = draw(st.sampled_from([Outcome.DONE] * 6 + [Outcome.SKIPPED, Outcome.FAILED, Outcome.UNKNOWN]))
        phase = draw(st.sampled_from(STEPS))
        records.append(record(f"step-{number}", phase, began, began + draw(st.integers(0, 20)), outcome))
    return records


def seconds_by_phase(records, end):
    """The oracle: whose is each second?"""
    counted = [each for each in records if each.phase not in AFTERWARDS]
    spans = [(each.phase, each.evidence.started, min(each.evidence.ended, at(end))) for each in counted]
    begun = min((began for _, began, ended in spans if began < ended), default=None)
    totals = {}
    for second in range(end):
        running = [phase for phase in STEPS if any(span[0] is phase and span[1] <= at(second) < span[2] for span in spans)]
        detecting = begun is not None and at(second) < begun
        owner = [Phase.DETECT, *running, Phase.WAITING][0 if detecting else 1]
        totals[owner] = totals.get(owner, 0) + 1
    return {phase: timedelta(seconds=count) for phase, count in totals.items()}


@given(runs(), st.integers(0, 80))
def test_phases_agree_with_the_oracle_and_add_up(records, objective):
    measured = measure(records, objective)
    needed = [each for each in records if each.phase not in AFTERWARDS]
    good = all(each.evidence.outcome in (Outcome.DONE, Outcome.SKIPPED) for each in needed)
    validating = [each.evidence.ended for each in needed if each.phase in (Phase.VERIFY, Phase.CUT_OVER)]
    if good and validating:
        assert measured.recovery_time == max(validating) - START
        met = measured.recovery_time <= timedelta(seconds=objective)
        assert measured.verdict is (ObjectiveVerdict.MET if met else ObjectiveVerdict.MISSED)
        end = max(validating)
    else:
        assert measured.recovery_time is None
        assert measured.verdict is ObjectiveVerdict.MISSED
        end = max((each.evidence.ended for each in needed), default=START)
    assert measured.phases == seconds_by_phase(records, int((end - START).total_seconds()))
    assert sum(measured.phases.values(), timedelta()) == end - START


@given(runs())
def test_what_comes_afterwards_is_counted_once_and_outside(records):
    measured = measure(records)
    for phase in AFTERWARDS:
        spans = [(each.evidence.started, each.evidence.ended) for each in records if each.phase is phase]
        busy = sum(any(began <= at(second) < ended for began, ended in spans) for second in range(100))
        assert measured.afterwards.get(phase, timedelta()) == timedelta(seconds=busy)
        assert phase not in measured.phases


def test_a_recovery_is_told_by_phase():
    records = [
        record("fence", Phase.FENCE, 3, 4),
        record("provision", Phase.PROVISION, 3, 6),
        record("restore", Phase.RESTORE, 6, 26),
        record("replay", Phase.REPLAY, 26, 36),
        record("promote", Phase.PROMOTE, 36, 37),
        record("verify", Phase.VERIFY, 40, 45),
        record("cut-over", Phase.CUT_OVER, 45, 46),
        record("slot", Phase.PROTECT, 46, 90),
    ]
    measured = measure(records, objective=46)
    assert [(phase.value, took.total_seconds()) for phase, took in measured.phases.items()] == [
        ("detect", 3), ("fence", 1), ("provision", 2), ("restore", 20), ("replay", 10),
        ("promote", 1), ("verify", 5), ("cut_over", 1), ("waiting", 3),
    ]  # fmt: skip
    assert measured.recovery_time == timedelta(seconds=46)
    assert measured.verdict is ObjectiveVerdict.MET
    assert measure(records, objective=45).verdict is ObjectiveVerdict.MISSED
    assert measure(records, objective=None).verdict is ObjectiveVerdict.NONE_SET


def test_a_planned_step_without_evidence_is_missed():
    records = [record("restore", Phase.RESTORE, 0, 5)]
    planned = {StepKey("orders/restore"): Phase.RESTORE, StepKey("orders/verify"): Phase.VERIFY}
    assert measure(records, planned=planned, now=10).verdict is ObjectiveVerdict.UNKNOWN
    assert measure(records, planned=planned, now=61).verdict is ObjectiveVerdict.MISSED
    assert measure(records, planned=planned, now=10).recovery_time is None


def test_a_step_that_failed_is_named_and_nothing_counts_as_recovered():
    records = [record("restore", Phase.RESTORE, 0, 5, Outcome.FAILED), record("verify", Phase.VERIFY, 5, 6)]
    measured = measure(records)
    assert measured.unsuccessful == ("orders/restore",)
    assert measured.recovery_time is None


def test_a_failing_clean_up_does_not_take_back_a_recovery():
    records = [record("verify", Phase.VERIFY, 0, 5), record("remove", Phase.CLEAN_UP, 5, 6, Outcome.FAILED)]
    assert measure(records).recovery_time == timedelta(seconds=5)
    assert measure(records).unsuccessful == ("orders/remove",)


def test_what_is_not_validated_when_a_run_has_failed_is_missed_although_the_time_is_not_up():
    records = [record("restore", Phase.RESTORE, 0, 5, Outcome.FAILED)]
    planned = {StepKey("orders/restore"): Phase.RESTORE, StepKey("orders/verify"): Phase.VERIFY}
    for failed, verdict in ((True, ObjectiveVerdict.MISSED), (False, ObjectiveVerdict.UNKNOWN)):
        assert measure_run(records, planned, at(0), timedelta(seconds=60), at(10), failed=failed).verdict is verdict
    protecting = [record("verify", Phase.VERIFY, 0, 5), record("protect", Phase.PROTECT, 5, 9, Outcome.FAILED)]
    planned = {each.key: each.phase for each in protecting}
    verdict = measure_run(protecting, planned, at(0), timedelta(seconds=60), at(10), failed=True).verdict
    assert verdict is ObjectiveVerdict.MET, "the database was back in time"
