import pytest

from tests.plan.samples import NOW, ORDERS
from tests.plan.snapshot_samples import DOCS
from tests.plan.stack_samples import (
    DECLARED,
    IMAGES,
    parts_for_real,
    parts_of_a_drill,
    parts_that_programs_have,
    snapshot_part,
    stack_plan,
)
from understudy.plan.plan import Mode, When
from understudy.plan.recovery_order import Urgency
from understudy.plan.stack_recovery import planned_disruption, refused_together
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.errors import Refusal, TryAgain

LOOK = "stack/check-prerequisites"


def step(plan, key):
    return next(each for each in plan.steps if each.step.key == key)


def test_each_keeps_its_steps_and_what_it_holds():
    together, alone = stack_plan(), parts_for_real()
    assert {each.step.key for each in together.steps} - {LOOK} == {s.step.key for plan in alone.values() for s in plan.steps}
    assert together.holds == {hold for plan in alone.values() for hold in plan.holds}
    for plan in alone.values():
        assert [s.step for s in plan.steps] == [step(together, s.step.key).step for s in plan.steps]


def test_a_dependent_one_begins_once_the_other_takes_writes_again_not_once_it_is_protected_again():
    plan = stack_plan()
    first = step(plan, "docs/provision-target")
    assert first.after == {LOOK, "orders/write-and-read-back"}
    assert first.once_ended == frozenset()


def test_a_less_urgent_one_begins_however_the_more_urgent_ones_ended():
    first = step(stack_plan(), "images/provision-target")
    assert first.after == {LOOK}
    assert first.once_ended == {"orders/write-and-read-back", "docs/release-target"}


def test_those_that_nothing_orders_begin_together():
    plan = stack_plan(declared={name: Urgency("P2") for name in DECLARED})
    for key in ("orders/fence-old-server", "docs/provision-target", "images/provision-target"):
        assert (step(plan, key).after, step(plan, key).once_ended) == ({LOOK}, frozenset())


def test_one_question_is_asked_before_anything_is_touched_and_names_all_that_comes_back():
    plan = stack_plan()
    asked = [each.step.key for each in plan.steps if each.approval is not None]
    assert asked == [LOOK] == [plan.steps[0].step.key]
    question = plan.steps[0].approval.question
    assert question.startswith("3 resources come back, in this order: orders (P2), docs (P2), images (P3).\n- ")
    assert question.endswith("\nDo you agree to all of it?")
    assert "Recover docs in /srv/docs" in question
    assert "What stands in the directory is set aside beside it" in question
    assert "Recover images in s3://images" in question


def test_a_drill_asks_nobody_and_leaves_every_sandbox_to_be_removed_whatever_happens():
    plan = stack_plan(mode=Mode.DRILL)
    assert not [each for each in plan.steps if each.approval is not None]
    always = {each.step.key for each in plan.steps if each.when is When.ALWAYS}
    assert {"orders/remove-sandbox", "docs/remove-sandbox", "images/discard-unfinished"} <= always
    assert not [each for each in plan.steps if each.step.key == "images/release-target"], "its mark is what says it may go"
    assert step(plan, "docs/provision-target").step.sandbox == "/srv/drills/x-docs"
    assert not step(plan, "docs/provision-target").step.set_aside


def test_a_real_recovery_sets_a_directory_aside_and_nothing_in_a_bucket():
    plan = stack_plan()
    assert step(plan, "docs/provision-target").step.set_aside
    assert not step(plan, "images/provision-target").step.set_aside
    assert {"backup-lane:docs", "backup-lane:images", "backup-lane:orders"} <= {hold.subject for hold in plan.holds}


def test_room_is_counted_for_all_of_them_and_apart_for_what_may_be_sparse():
    look = stack_plan().steps[0].step
    assert "/srv/docs" not in look.bytes_needed
    assert set(look.bytes_perhaps_needed) == {"/srv/docs"}
    assert sum(look.bytes_needed.values()) > 0


@pytest.mark.parametrize(("one", "other"), [("/srv/docs", "/srv/docs/cache"), ("s3://images", "s3://images/small")])
def test_two_that_would_come_back_within_one_another_are_refused(one, other):
    parts = {DOCS: snapshot_part(place=other), IMAGES: snapshot_part(IMAGES, one)}
    with pytest.raises(Refusal) as refused:
        stack_plan(parts)
    assert refused.value.code == "recovered_within_another"
    assert "--resource images, then --resource docs" in refused.value.hint


def test_names_that_only_begin_alike_are_apart():
    parts = {DOCS: snapshot_part(place="/srv/docs"), IMAGES: snapshot_part(IMAGES, "/srv/docs-old")}
    assert stack_plan(parts).steps


def test_what_it_takes_counts_from_the_loss_of_the_whole():
    lost = Disruption.exactly(NOW, KnownBy.PERSON)
    assert planned_disruption(stack_plan(disruption=lost)) == lost
    assert planned_disruption(stack_plan(mode=Mode.DRILL)) is None
    assert planned_disruption(stack_plan(disruption=lost), DOCS) is None, "only a database was watched by itself"


def test_everything_that_stands_against_it_is_said_at_once():
    one = Refusal("no_backup", found="near holds none", expected="one", hint="take one")
    other = TryAgain("store_unreachable", found="far is away")
    assert refused_together({ORDERS: one}) is one
    together = refused_together({ORDERS: one, IMAGES: other})
    assert together.code == "prerequisites_missing"
    assert together.found == "\n- orders: no_backup: near holds none\n- images: store_unreachable: far is away"
    assert together.hint == "\n- orders: take one"


def test_a_server_is_ended_before_its_data_are_touched_and_serves_once_it_was_started_and_counted():
    plan = stack_plan(parts_that_programs_have(), declared={IMAGES: Urgency("P2"), DOCS: Urgency("P2", (IMAGES,))})
    redis = [each.step.VERB for each in plan.steps if each.step.key.startswith(f"{IMAGES}/")]
    assert redis == [
        "stop-server", "provision-target", "restore-snapshot", "compare-restored", "try-restored", "release-target",
        "start-server", "discard-unfinished",
    ]  # fmt: skip
    assert step(plan, "docs/provision-target").after == {LOOK, "images/start-server"}
    asked = plan.steps[0].approval.question
    assert "ended before with: systemctl stop redis-server, and started with: systemctl start redis-server" in asked
    assert "to its load command? It may replace what is there now. It is: git clone" in asked


def test_what_a_command_takes_back_serves_once_it_was_loaded():
    plan = stack_plan(parts_that_programs_have(), declared={DOCS: Urgency("P2"), IMAGES: Urgency("P2", (DOCS,))})
    assert step(plan, "images/stop-server").after == {LOOK, "docs/load"}


def test_a_drill_is_the_same_plan_with_other_targets():
    real, drilled = stack_plan(), stack_plan(mode=Mode.DRILL)
    core = ("restore-snapshot", "compare-restored")
    for name in (DOCS, IMAGES):
        for verb in core:
            assert type(step(real, f"{name}/{verb}").step) is type(step(drilled, f"{name}/{verb}").step)
    assert set(parts_of_a_drill()) == set(parts_for_real())
