import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.plan.samples import (
    FAR,
    NEAR,
    NOW,
    WARM_COPY,
    backup_facts,
    backup_of,
    backup_subject,
    contents,
    recovery_facts,
    recovery_wish,
    seeding_plan,
    without_tablespaces,
)
from tests.plan.snapshot_samples import (
    dump_drill_plan,
    dump_load_plan,
    load_plan,
    restore_plan,
    snapshot_expiry_plan,
    snapshot_of,
    snapshot_plan,
)
from tests.plan.stack_samples import parts_that_programs_have, plan_of_an_intrusion, stack_plan
from tests.plan.test_expiry import expiry_plan
from tests.plan.test_reading_back import facts, holding
from tests.plan.test_service_recovery import service_drill_plan, service_plan
from understudy.plan.backup import plan_backup
from understudy.plan.fencing import OldServerFacts
from understudy.plan.plan import Hold, HoldKind, Mode, PlannedStep, When, in_sequence
from understudy.plan.reading_back import plan_reading_back
from understudy.plan.recovery import WantedPart, plan_recovery
from understudy.plan.warm_copy import WarmCopyFacts
from understudy.repository.manifests import sums_digest
from understudy.runner.plan_json import plan_from_json, plan_to_json
from understudy.steps import codec
from understudy.steps.await_wal import AwaitWal
from understudy.steps.check_pages import CheckPages
from understudy.steps.copy_backup import CopyBackup
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.ship_remaining_wal import ShipRemainingWal
from understudy.steps.take_base_backup import TakeBaseBackup
from understudy.vocabulary.disruption import Disruption, KnownBy, disruption_from_json
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind, strictly_before
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

BACKUP = backup_of("20261123-030000F")
INCREMENTAL = backup_of("20261123-030000F_20261123-040000I", parent="20261123-030000F", minutes=60)

SECOND = timedelta(seconds=1)


def verbs(plan):
    return [each.step.key.partition("/")[2] for each in plan.steps]


def plan_of(mode):
    return plan_recovery(recovery_wish(mode), recovery_facts([BACKUP]))


def test_a_drill_and_a_disaster_bring_the_database_back_with_the_same_steps():
    back = ["provision-target", "restore-base-backup", "replay-wal", "promote", "verify-database", "check-pages"]
    for mode in (Mode.ROUTINE, Mode.DRILL, Mode.FAILOVER):
        found = verbs(plan_of(mode))
        first = found.index(back[0])
        assert found[first : first + len(back)] == back


def test_only_a_fail_over_fences_and_asks_a_person_first():
    for mode in (Mode.ROUTINE, Mode.DRILL):
        assert all(each.approval is None for each in plan_of(mode).steps)
        assert "fence-old-server" not in verbs(plan_of(mode))
    recovery = plan_of(Mode.FAILOVER)
    assert verbs(recovery)[:2] == ["fence-old-server", "ship-remaining-wal"]
    assert recovery.steps[0].approval is not None
    assert "/srv/copy" in recovery.steps[0].approval.question


def test_the_old_servers_wal_is_looked_for_where_its_data_are_and_its_timeline_is_followed():
    fork = {Timeline(2): (TimelineFork(Timeline(1), Lsn.parse("F/0")),)}
    plan = plan_recovery(
        recovery_wish(Mode.FAILOVER), replace(recovery_facts([BACKUP]), histories=fork, old_timeline=Timeline(2))
    )
    ship, replay = (
        next(each.step for each in plan.steps if isinstance(each.step, kind)) for kind in (ShipRemainingWal, ReplayWal)
    )
    assert (ship.old_directories, ship.timeline, replay.timeline) == (("/srv/copy",), 2, 2)
    again = plan_recovery(replace(recovery_wish(Mode.FAILOVER), old_directories=("/srv/aside",)), recovery_facts([BACKUP]))
    assert again.steps[1].step.old_directories == ("/srv/aside",)


def test_a_drill_and_a_restore_ship_what_this_host_received_first_and_only_where_they_restore_from():
    for mode in (Mode.ROUTINE, Mode.DRILL):
        first = plan_of(mode).steps[0].step
        assert verbs(plan_of(mode))[:2] == ["ship-spooled-wal", "provision-target"]
        assert (first.repository, first.faults_fail) == (NEAR, mode is Mode.DRILL)
    assert "ship-spooled-wal" not in verbs(plan_of(Mode.FAILOVER))
    immediate = plan_recovery(recovery_wish(target=RecoveryTarget(TargetKind.IMMEDIATE)), recovery_facts([BACKUP]))
    assert verbs(immediate)[0] == "provision-target", "no WAL behind the backup is needed"


def test_nobody_is_let_in_before_every_page_was_checked():
    for mode in (Mode.DRILL, Mode.FAILOVER):
        found = verbs(plan_of(mode))
        assert found.index("check-pages") + 1 == found.index("open-to-clients")
    plan = plan_recovery(recovery_wish(), recovery_facts([BACKUP, INCREMENTAL]))
    [label] = [each.step.label for each in plan.steps if isinstance(each.step, CheckPages)]
    assert label == INCREMENTAL.label.text, "where pages are damaged, an older backup of the chain is tried"


def test_the_fence_knows_what_the_person_was_told_and_since_when_the_service_is_lost():
    lost = Disruption(NOW - timedelta(minutes=3), KnownBy.WATCH, NOW - timedelta(minutes=2))
    for runs_here in (False, True):
        facts = recovery_facts([BACKUP], old_server=OldServerFacts(runs_here))
        fence = plan_recovery(recovery_wish(Mode.FAILOVER, disruption=lost), facts).steps[0]
        assert fence.step.agreed_to_stop is runs_here
        assert fence.approval.question.startswith("A server runs in" if runs_here else "Nothing runs in")
        assert disruption_from_json(fence.step.disrupted) == lost


@pytest.mark.parametrize(
    ("since", "words"),
    [(NOW + SECOND, "in the future"), (BACKUP.start_time - SECOND, "before the oldest usable backup")],
)
def test_a_moment_of_disaster_that_cannot_be_is_refused(since, words):
    with pytest.raises(Refusal) as refused:
        told = Disruption.exactly(since, KnownBy.PERSON)
        plan_recovery(recovery_wish(Mode.FAILOVER, disruption=told), recovery_facts([BACKUP]))
    assert refused.value.code == "since_implausible"
    assert words in refused.value.found


def test_a_moment_of_disaster_that_a_backup_was_taken_after_is_none_that_cannot_be():
    later = backup_of("20261123-050000F", minutes=120)
    since = Disruption.exactly(BACKUP.start_time, KnownBy.PERSON)
    assert plan_recovery(recovery_wish(Mode.FAILOVER, disruption=since), recovery_facts([BACKUP, later]))


def test_protection_is_back_before_a_fail_over_counts_as_finished():
    found = verbs(plan_of(Mode.FAILOVER))
    assert found.index("start-wal-stream") < found.index("write-and-read-back") < found.index("take-base-backup")
    assert found.index("take-base-backup") < found.index("write-backup-manifest")


def test_a_fail_over_protects_anew_in_every_repository_like_a_full_backup_and_needs_only_the_first():
    again = verbs(plan_of(Mode.FAILOVER))
    backup = verbs(plan_backup(backup_subject((NEAR, FAR)), backup_facts()))
    assert [verb for verb in again if verb in backup] == backup
    steps = [each.step for each in plan_of(Mode.FAILOVER).steps]
    left_out = {step.key.partition("/")[2]: step.may_be_left_out for step in steps if isinstance(step, AwaitWal | CopyBackup)}
    assert left_out == {"await-wal-in-near": False, "await-wal-in-far": True, "copy-backup-to-far": True}
    ordinary = [each.step for each in plan_backup(backup_subject((NEAR, FAR)), backup_facts()).steps]
    assert not any(step.may_be_left_out for step in ordinary if isinstance(step, AwaitWal | CopyBackup))


def test_the_backup_after_a_fail_over_bears_a_label_of_its_own_also_in_the_second_of_the_last_one():
    of_this_second = backup_of(BackupLabel.of_full(NOW).text)
    (taken,) = (
        each.step
        for each in plan_recovery(recovery_wish(Mode.FAILOVER), recovery_facts([of_this_second])).steps
        if isinstance(each.step, TakeBaseBackup)
    )
    assert taken.label == BackupLabel.of_full(NOW + SECOND).text


def test_a_sandbox_is_removed_whatever_happened():
    drill = plan_of(Mode.DRILL)
    assert verbs(drill)[-1] == "remove-sandbox"
    assert drill.steps[-1].when is When.ALWAYS


def test_what_a_run_reads_and_writes_is_held():
    for mode in Mode.ROUTINE, Mode.DRILL, Mode.FAILOVER:
        holds = plan_of(mode).holds
        assert Hold("target:/srv/copy", HoldKind.EXCLUSIVE) in holds
        assert Hold("backup-chain:orders/20261123-030000F", HoldKind.SHARED) in holds
        assert (Hold("backup-lane:orders", HoldKind.EXCLUSIVE) in holds) == (mode is Mode.FAILOVER)


def test_programs_of_another_major_version_are_refused():
    with pytest.raises(Refusal) as refused:
        plan_recovery(recovery_wish(), recovery_facts([BACKUP], programs_major=17))
    assert refused.value.code == "programs_wrong_major"


def test_a_tablespace_without_a_directory_is_refused():
    with pytest.raises(Refusal) as refused:
        plan_recovery(recovery_wish(tablespaces={}), recovery_facts([BACKUP]))
    assert refused.value.code == "tablespace_unmapped"


def test_a_tablespace_that_only_the_full_backup_has_needs_a_directory_too():
    own = BACKUP.parts[0]
    later = replace(INCREMENTAL, tablespaces=(), parts=(own,), sums_sha256=sums_digest((own, INCREMENTAL.backup_manifest)))
    with pytest.raises(Refusal) as refused:
        plan_recovery(recovery_wish(tablespaces={}), recovery_facts([BACKUP, later]))
    assert refused.value.code == "tablespace_unmapped"


def test_a_hole_is_refused_at_once_but_in_a_fail_over_that_first_ships_what_is_left():
    holed = contents((1, 2), (1, 4))
    for mode in (Mode.ROUTINE, Mode.DRILL):
        with pytest.raises(GiveUp) as refused:
            plan_recovery(recovery_wish(mode), recovery_facts([BACKUP], holed))
        assert refused.value.code == "wal_missing"
    assert plan_recovery(recovery_wish(Mode.FAILOVER), recovery_facts([BACKUP], holed))


def test_each_directory_is_given_the_room_for_what_comes_into_it():
    plan = plan_recovery(recovery_wish(), recovery_facts([BACKUP, INCREMENTAL]))
    provision = next(each.step for each in plan.steps if isinstance(each.step, ProvisionTarget))
    # Two backups of two parts with 5,000 bytes: one part of each is the tablespace's.
    assert provision.bytes_needed == {
        "/srv/copy": 2 * 5500,
        "/srv/fast-copy": 2 * 5500,
        "/srv/copy.wal": recovery_facts([]).staged_wal_bytes,
    }


PLANS = {
    "full backup into two repositories": lambda: plan_backup(backup_subject((NEAR, FAR)), backup_facts()),
    "backup into one that locks": lambda: plan_backup(replace(backup_subject(), locking=frozenset({NEAR})), backup_facts()),
    "snapshot into one that locks": lambda: snapshot_plan(locking=frozenset({NEAR})),
    "incremental backup": lambda: plan_backup(backup_subject(), backup_facts([BACKUP])),
    "restore": lambda: plan_of(Mode.ROUTINE),
    "restore of a table": lambda: plan_recovery(
        recovery_wish(part=WantedPart("shop", "public", "orders", "/srv/found")), recovery_facts([BACKUP])
    ),
    "drill": lambda: plan_of(Mode.DRILL),
    "recovery": lambda: plan_of(Mode.FAILOVER),
    "recovery of what was lost before": lambda: plan_recovery(
        recovery_wish(Mode.FAILOVER, disruption=Disruption.exactly(NOW, KnownBy.WATCH)), recovery_facts([BACKUP])
    ),
    "recovery from an intrusion": lambda: plan_recovery(
        recovery_wish(Mode.FAILOVER, strictly_before(NOW - timedelta(hours=1)), quarantine_since=NOW - timedelta(hours=1)),
        recovery_facts([BACKUP]),
    ),
    "recovery by the warm copy": lambda: plan_recovery(
        recovery_wish(Mode.FAILOVER), recovery_facts([BACKUP], warm_copy=WarmCopyFacts(WARM_COPY, Lsn.parse("0/3000000")))
    ),
    "seeding of a warm copy": lambda: seeding_plan([without_tablespaces(BACKUP)]),
    "expiry": lambda: expiry_plan()[1],
    "snapshot into two repositories": snapshot_plan,
    "restore of a snapshot": restore_plan,
    "restore of a part of it": lambda: restore_plan(only="Verträge/2026"),
    "restore of Redis": lambda: restore_plan(snapshot_of("20261123-030000S", kind="redis")),
    "load": load_plan,
    "load of a dump": dump_load_plan,
    "load of a table of it": lambda: dump_load_plan(only="shop/3350.dat", renamed="found"),
    "drill of a dump": dump_drill_plan,
    "expiry of snapshots": snapshot_expiry_plan,
    "reading back": lambda: plan_reading_back(facts(holding("near", "a", 60, 60), holding("far", "a", 60))),
    "recovery of a stack": lambda: stack_plan(disruption=Disruption.exactly(NOW, KnownBy.PERSON)),
    "recovery of what programs have": lambda: stack_plan(parts_that_programs_have()),
    "recovery of a stack from an intrusion": plan_of_an_intrusion,
    "drill of a stack": lambda: stack_plan(mode=Mode.DRILL),
    "a service": lambda: service_plan(),
    "drill of a service": lambda: service_drill_plan(),
    "restore of a chain to a name": lambda: plan_recovery(
        recovery_wish(target=RecoveryTarget(TargetKind.NAME, "vor dem „Umzug“")), recovery_facts([BACKUP, INCREMENTAL])
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_comes_back_from_json_equal_and_planned_twice_is_the_same(name):
    plan = PLANS[name]()
    assert plan == PLANS[name]()
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_every_kind_of_step_is_in_one_of_these_plans():
    """So that the round trip above covers each of them."""
    kinds = {type(each.step).kind_name for make in PLANS.values() for each in make().steps}
    known = {name for name, kind in codec._KINDS.items() if kind.__module__.startswith("understudy.steps.")}
    assert kinds == known


def test_every_kind_of_step_names_the_phase_in_which_a_recovery_is_measured():
    phases = {
        name: getattr(kind, "PHASE", None)
        for name, kind in codec._KINDS.items()
        if kind.__module__.startswith("understudy.steps.")
    }
    assert {name for name, phase in phases.items() if not isinstance(phase, Phase)} == set()
    assert set(phases.values()) == set(Phase) - {Phase.DETECT, Phase.WAITING}, "those two are what lies between steps"


def test_a_step_of_a_newer_version_is_named_as_unknown():
    with pytest.raises(ValueError, match="polish_silver"):
        codec.step_from_json({"step": "polish_silver"})
    with pytest.raises(ValueError, match="do not fit"):
        codec.step_from_json({"step": "promote", "resource": "orders", "spoons": 3})


def test_steps_in_sequence_come_each_after_all_before():
    steps = [each.step for each in plan_of(Mode.ROUTINE).steps][:4]
    chained = in_sequence(*(PlannedStep(step) for step in steps))
    for index, planned in enumerate(chained):
        assert planned.after == {step.key for step in steps[:index]}


def test_what_takes_memory_for_each_worker_has_a_bound_and_rows_are_read_on_all_processors():
    plan = plan_recovery(recovery_wish(processors=64), recovery_facts([BACKUP]))
    workers = {each.step.VERB: each.step.workers for each in plan.steps if hasattr(each.step, "workers")}
    assert workers == {"restore-base-backup": 8, "replay-wal": 4, "verify-database": 64}
