from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import FAR, NEAR, NOW, backup_facts, backup_of, backup_subject, server_facts
from understudy.plan.backup import decide_kind, plan_backup
from understudy.plan.plan import Hold, HoldKind
from understudy.steps.lock_stored import LockBackup
from understudy.steps.take_base_backup import TakeBaseBackup
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, BackupOrigin

FULL = backup_of("20261123-030000F")


def taken(plan):
    return next(each.step for each in plan.steps if isinstance(each.step, TakeBaseBackup))


@pytest.mark.parametrize(
    ("asked", "backups", "server", "refused", "kind", "words"),
    [
        (None, [], {}, "", BackupKind.FULL, "no backup yet"),
        (BackupKind.INCREMENTAL, [], {}, "", BackupKind.FULL, "no backup yet"),
        (None, [], {"version_number": 150018}, "", BackupKind.FULL, "PostgreSQL 15 has no incremental backups"),
        (None, [FULL], {}, "", BackupKind.INCREMENTAL, "20261123-030000F"),
        (BackupKind.FULL, [FULL], {}, "", BackupKind.FULL, "was asked for"),
        (None, [FULL], {"version_number": 160009}, "", BackupKind.FULL, "PostgreSQL 16"),
        (BackupKind.INCREMENTAL, [FULL], {"version_number": 150018}, "", BackupKind.FULL, "PostgreSQL 15"),
        (None, [FULL], {"summarize_wal": "off"}, "", BackupKind.FULL, "summarize_wal is off"),
        (None, [FULL], {"timeline": 2}, "", BackupKind.FULL, "timeline 2"),
        (BackupKind.FULL, [FULL], {}, "WAL summaries are required", BackupKind.FULL, "WAL summaries are required"),
    ],
)
def test_the_kind_of_a_backup_and_its_reason(asked, backups, server, refused, kind, words):
    decision = decide_kind(asked, backup_facts(backups, server_facts(**server), refused=refused))
    assert decision.kind is kind
    assert words in decision.reason
    assert (decision.parent is None) == (kind is BackupKind.FULL)


def test_nothing_incremental_is_planned_on_what_a_further_repository_lacks():
    decision = decide_kind(BackupKind.INCREMENTAL, replace(backup_facts([FULL]), lacking=(FAR,)))
    assert decision.kind is BackupKind.FULL
    assert f"{FULL.label}, on which it would stand, is not complete in far" in decision.reason


def test_an_incremental_stands_on_the_newest_backup_and_keeps_its_chain():
    older = backup_of("20261122-030000F", minutes=-1440)
    newest = backup_of("20261123-030000F_20261123-120000I", parent="20261123-030000F", minutes=540)
    plan = plan_backup(backup_subject(), backup_facts([newest, older, FULL]))
    step = taken(plan)
    assert step.parent == newest.label.text
    assert step.label == "20261123-030000F_20261124-030000I"
    assert Hold("backup-chain:orders/20261123-030000F", HoldKind.SHARED) in plan.holds
    assert Hold("backup-lane:orders", HoldKind.EXCLUSIVE) in plan.holds


@pytest.mark.parametrize(
    ("standing", "age_days", "asked", "origin", "scheduled", "kind"),
    [
        (13, 1, None, BackupOrigin.MANUAL, False, BackupKind.INCREMENTAL),
        (14, 1, None, BackupOrigin.MANUAL, False, BackupKind.FULL),
        (14, 1, None, BackupOrigin.MANUAL, True, BackupKind.INCREMENTAL),
        (14, 1, BackupKind.INCREMENTAL, BackupOrigin.MANUAL, False, BackupKind.INCREMENTAL),
        (14, 1, BackupKind.INCREMENTAL, BackupOrigin.AUTOMATIC, False, BackupKind.FULL),
        (1, 31, None, BackupOrigin.MANUAL, False, BackupKind.INCREMENTAL),
        (1, 32, None, BackupOrigin.MANUAL, False, BackupKind.FULL),
    ],
)
def test_a_chain_ends_where_no_schedule_and_no_person_says_how_long_it_gets(standing, age_days, asked, origin, scheduled, kind):
    backups = [FULL]
    for number in range(standing):
        label = f"{FULL.label}_20261123-{4 + number:02d}0000I"
        backups.append(backup_of(label, parent=backups[-1].label.text, minutes=60 * (number + 1)))
    begun = datetime(2026, 11, 23, 3, tzinfo=UTC)
    facts = backup_facts(backups, now=begun + timedelta(days=age_days))
    decision = decide_kind(asked, replace(facts, origin=origin, full_is_scheduled=scheduled))
    assert decision.kind is kind
    if kind is BackupKind.FULL:
        assert FULL.label.text in decision.reason and "no schedule takes full ones" in decision.reason


def test_a_server_without_backup_manifests_is_refused():
    with pytest.raises(Refusal) as refused:
        plan_backup(backup_subject(), backup_facts(server=server_facts(version_number=120022)))
    assert refused.value.code == "version_too_old"


def test_every_further_repository_gets_its_wal_and_its_copy_after_the_first_has_the_manifest():
    plan = plan_backup(backup_subject((NEAR, FAR)), backup_facts())
    assert [each.step.key.partition("/")[2] for each in plan.steps] == [
        "start-wal-stream",
        "take-base-backup",
        "await-wal-in-near",
        "write-backup-manifest",
        "await-wal-in-far",
        "copy-backup-to-far",
    ]


def test_each_repository_that_locks_has_that_done_once_it_holds_the_backup_and_it_keeps_no_copy_back():
    plan = plan_backup(replace(backup_subject((NEAR, FAR)), locking=frozenset({NEAR, FAR})), backup_facts())
    locks = {each.step.key: each.after for each in plan.steps if isinstance(each.step, LockBackup)}
    assert locks == {
        "orders/lock-in-near": {"orders/write-backup-manifest"},
        "orders/lock-in-far": {"orders/copy-backup-to-far"},
    }
    assert not any({*locks} & each.after for each in plan.steps)


@given(st.sets(st.integers(-3, 6)), st.booleans())
def test_a_label_is_never_one_that_is_taken_and_never_of_the_past(seconds_taken, incremental):
    wanted = BackupKind.INCREMENTAL if incremental else BackupKind.FULL
    base = backup_of("20261101-000000F", minutes=10**4)

    def label(moment):
        return BackupLabel.of_incremental(base.label, moment) if incremental else BackupLabel.of_full(moment)

    labels = [label(NOW + timedelta(seconds=seconds)) for seconds in sorted(seconds_taken)]
    others = [backup_of(each.text, parent=base.label.text if incremental else None) for each in labels]
    step = taken(plan_backup(backup_subject(), backup_facts([base, *others]), wanted))
    free = next(seconds for seconds in range(20) if seconds not in seconds_taken)
    assert step.label == label(NOW + timedelta(seconds=free)).text
