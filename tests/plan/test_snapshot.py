"""What the next snapshot is called, what it uses, and what happens to whom meanwhile."""

from datetime import timedelta

import pytest

from tests.plan.samples import FAR, NEAR, NOW
from tests.plan.snapshot_samples import DOCS, NEW, OLD, load_plan, restore_plan, snapshot_expiry_plan, snapshot_of, snapshot_plan
from tests.plan.test_request import after, failed
from understudy.plan.following import REPLANNED_ANEW
from understudy.plan.plan import Hold, HoldKind, Procedure, When
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, request_from_json, request_to_json
from understudy.plan.snapshot_restore import HeldSnapshot, choose_snapshot
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RepositoryName, SnapshotLabel
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind

HELD = (HeldSnapshot(NEAR, OLD), HeldSnapshot(NEAR, NEW), HeldSnapshot(FAR, OLD), HeldSnapshot(FAR, NEW))


def verbs(plan):
    return [each.step.key.partition("/")[2] for each in plan.steps]


def to_time(moment):
    return RecoveryTarget(TargetKind.TIME, moment.isoformat())


# Taking


def test_it_is_taken_into_the_first_repository_signed_and_then_copied_into_the_others():
    plan = snapshot_plan()
    assert verbs(plan) == ["take-snapshot", "write-snapshot-manifest", "copy-snapshot-to-far", "discard-snapshot-leftovers"]
    assert plan.steps[-1].when is When.ALWAYS
    further = snapshot_plan((NEAR, FAR, RepositoryName("third"))).steps[2:4]
    assert [each.after for each in further] == [{"docs/take-snapshot", "docs/write-snapshot-manifest"}] * 2, "by themselves"
    assert Hold("backup-lane:docs", HoldKind.EXCLUSIVE) in plan.holds


def test_it_uses_the_newest_snapshot_and_keeps_retention_off_that():
    plan = snapshot_plan()
    assert plan.steps[0].step.previous == NEW.label.text
    assert Hold(f"backup-chain:docs/{NEW.label}", HoldKind.SHARED) in plan.holds


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"newest": None}, "there is no snapshot yet"),
        ({"opens": False}, "no identity"),
        ({"anew": "that was asked for"}, "that was asked for"),
    ],
)
def test_where_it_uses_none_it_says_why(facts, reason):
    step = snapshot_plan(**facts).steps[0].step
    assert step.previous is None
    assert reason in step.reason


def test_what_was_found_damaged_is_not_used_and_that_is_said():
    step = snapshot_plan(damaged={"b", "a"}).steps[0].step
    assert (step.previous, step.damaged_parts) == (NEW.label.text, ("a", "b"))
    assert "2 parts found damaged" in step.reason
    assert snapshot_plan(damaged={"a"}, anew="that was asked for").steps[0].step.damaged_parts == ()


def test_a_label_that_is_taken_by_anything_is_not_given_again():
    taken = {SnapshotLabel.of(NOW), SnapshotLabel.of(NOW + timedelta(seconds=1))}
    assert snapshot_plan(labels=taken).steps[0].step.label == SnapshotLabel.of(NOW + timedelta(seconds=2)).text


@pytest.mark.parametrize("code", REPLANNED_ANEW)
def test_where_what_it_uses_is_damaged_one_follows_that_uses_nothing_and_that_is_followed_by_none(code):
    following = after(BackupRequest(DOCS), snapshot_plan(), failed(code, "what was found"))
    assert following == BackupRequest(DOCS, incremental_refused="what was found")
    assert after(BackupRequest(DOCS), snapshot_plan(anew="what was found"), failed(code)) is None


@pytest.mark.parametrize("code", ["store_unreachable", "source_denied", "controller_superseded", "incremental_refused"])
def test_nothing_follows_where_taking_it_anew_would_end_in_the_same_way(code):
    assert after(BackupRequest(DOCS), snapshot_plan(), failed(code)) is None


# Restoring


def test_what_is_restored_is_compared_before_it_is_handed_over_and_cleaned_up_whatever_happens():
    plan = restore_plan()
    assert verbs(plan) == ["provision-target", "restore-snapshot", "compare-restored", "release-target", "discard-unfinished"]
    assert plan.steps[-1].when is When.ALWAYS
    held = {Hold("target:/srv/found", HoldKind.EXCLUSIVE), Hold(f"backup-chain:docs/{NEW.label}", HoldKind.SHARED)}
    assert plan.holds == held


def test_what_a_server_can_try_is_tried_before_it_is_handed_over():
    redis = verbs(restore_plan(snapshot_of("20261123-030000S", kind="redis")))
    assert redis[2:5] == ["compare-restored", "try-restored", "release-target"]


def test_what_is_loaded_is_compared_first_and_removed_whatever_happens_and_somebody_is_asked_before_anything_begins():
    plan = load_plan(load_again=True)
    assert verbs(plan) == ["provision-target", "restore-snapshot", "compare-restored", "load", "remove-loaded"]
    assert plan.steps[-1].when is When.ALWAYS
    assert [bool(each.approval) for each in plan.steps] == [True, False, False, False, False]
    assert "sh -c 'cat > copy'" in plan.steps[0].approval.question
    assert plan.steps[3].step.load_again
    assert Hold("backup-lane:docs", HoldKind.EXCLUSIVE) in plan.holds, "what is half loaded is not kept"


def test_a_load_that_met_a_damaged_copy_goes_on_as_a_load_that_was_agreed_to():
    request = RecoveryRequest(Procedure.RESTORE, DOCS, Choice(), approved_by=Person("anna"), load=True)
    assert request_from_json(request_to_json(request)) == request
    following = after(request, load_plan(), failed("part_corrupt", backup=NEW.label.text), repositories=(NEAR, FAR))
    assert (following.load, following.approved_by) == (True, "anna")
    assert after(request, load_plan(), failed("load_failed")) is None


def test_room_is_asked_for_where_all_of_it_comes_back():
    assert restore_plan().steps[0].step.bytes_needed == NEW.content_bytes
    assert restore_plan(only="a/b").steps[0].step.bytes_needed == 0, "what a part of it takes only its listing tells"


def test_what_is_meant_by_only_follows_from_the_kind():
    def selected(kind, only):
        selection = restore_plan(snapshot_of("20261123-030000S", kind=kind), only=only).steps[1].step.selection
        return {key for key in ("a", "a/b", "a/b/c", "ab", "a/bc") if selection.wants(key)}

    assert selected("files", "a/b") == {"a/b", "a/b/c"}
    assert selected("bucket", "a/b") == {"a/b"}
    assert selected("bucket", "a/") == {"a/b", "a/b/c", "a/bc"}
    assert len(selected("bucket", None)) == 5


def test_the_newest_that_was_complete_at_the_moment_is_taken_from_the_first_repository_that_holds_it():
    assert choose_snapshot(DOCS, HELD, LATEST, None) == HELD[1]
    assert choose_snapshot(DOCS, HELD, to_time(NEW.stop_time), None) == HELD[1]
    assert choose_snapshot(DOCS, HELD, to_time(NEW.stop_time - timedelta(seconds=1)), None) == HELD[0]
    assert choose_snapshot(DOCS, HELD[2:], LATEST, None) == HELD[3]
    assert choose_snapshot(DOCS, HELD, LATEST, OLD.label.text) == HELD[0]
    assert choose_snapshot(DOCS, (HELD[0], HELD[3]), LATEST, None) == HELD[3], "an older one is no substitute for a copy"


@pytest.mark.parametrize(
    ("target", "label", "code"),
    [
        (to_time(OLD.start_time), None, "target_before_first_backup"),
        (LATEST, "20200101-000000S", "no_such_backup"),
        (RecoveryTarget(TargetKind.LSN, "0/3"), None, "target_needs_a_database"),
        (RecoveryTarget(TargetKind.IMMEDIATE), None, "target_needs_a_database"),
    ],
)
def test_a_target_that_no_snapshot_answers_is_refused(target, label, code):
    with pytest.raises(Refusal) as refused:
        choose_snapshot(DOCS, HELD, target, label)
    assert refused.value.code == code


def test_a_damaged_copy_gives_way_to_the_other_repository_also_where_it_was_asked_for_by_name():
    for choice in (Choice(), Choice(label=NEW.label.text)):
        request = RecoveryRequest(Procedure.RESTORE, DOCS, choice, "/srv/found")
        damaged = failed("part_corrupt", backup=NEW.label.text)
        following = after(request, restore_plan(), damaged, repositories=(NEAR, FAR))
        assert following.choice.without == {f"near/{NEW.label}"}
    asked = RecoveryRequest(Procedure.RESTORE, DOCS, Choice(label=NEW.label.text, repository=NEAR), "/srv/found")
    assert after(asked, restore_plan(), damaged, repositories=(NEAR, FAR)) is None


def test_a_repository_that_stayed_away_gives_way_as_a_damaged_copy_does_and_not_where_it_was_named():
    request = RecoveryRequest(Procedure.RESTORE, DOCS, Choice(), "/srv/found")
    away = failed("repository_away", backup=NEW.label.text)
    assert after(request, restore_plan(), away, repositories=(NEAR, FAR)).choice.without == {f"near/{NEW.label}"}
    named = RecoveryRequest(Procedure.RESTORE, DOCS, Choice(label=NEW.label.text, repository=NEAR), "/srv/found")
    assert after(named, restore_plan(), away, repositories=(NEAR, FAR)) is None


# Letting go


def test_nothing_is_taken_while_snapshots_are_removed_and_what_goes_is_read_by_nobody():
    plan = snapshot_expiry_plan()
    assert plan.holds == {
        Hold("backup-lane:docs", HoldKind.EXCLUSIVE),
        Hold(f"backup-chain:docs/{OLD.label}", HoldKind.EXCLUSIVE),
    }
    step = plan.steps[0].step
    assert (step.labels, step.unfinished) == ((OLD.label.text,), ("20261121-030000S",))
