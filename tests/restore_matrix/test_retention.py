"""Old backups and WAL of a real server go, in both kinds of store; what stays restores and verifies as before."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.restore_matrix.estate import RESOURCE, Estate, dump_of, expect_success
from tests.restore_matrix.stores import StoreKind
from tests.servers.flavours import Flavour
from understudy.app.backups import plan_next_backup
from understudy.app.recoveries import plan_restore
from understudy.app.retention import decide
from understudy.plan.plan import Plan
from understudy.plan.request import Choice
from understudy.plan.retention import KeepReason
from understudy.runner.submission import hand_over
from understudy.vocabulary.identifiers import BackupKind, Person
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind

ONLY_THE_NEWEST = {"daily": "1", "weekly": "0", "monthly": "0", "manual": "0s", "point_in_time": "0s"}


def objects(estate: Estate) -> set[str]:
    """What retention is about: backups and WAL, as files."""
    root = estate.repository_directory / "postgres"
    return {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}


def reasons(estate: Estate, label: str) -> set[KeepReason]:
    (retention,) = decide(estate.installation, RESOURCE, None)
    assert retention.decision is not None, retention.fault
    (fate,) = (each for each in retention.decision.backups if each.backup.label.text == label)
    return {kept.reason for kept in fate.kept}


def submitted(estate: Estate, plan: Plan):
    """Holds what the plan holds, as a run that waits does."""
    return hand_over(estate.installation.records, estate.installation.clock, plan)


def as_an_older_version_planned(estate: Estate, procedure: str) -> None:
    """The plans that were carried out hold a step and a field that this version does not know any more."""
    with closing(sqlite3.connect(estate.installation.state / "state.db")) as database, database:
        for run, plan in database.execute("SELECT run, plan FROM runs WHERE procedure = ?", (procedure,)).fetchall():
            steps = (told := json.loads(plan))["steps"]
            for planned in steps:
                planned["step"]["of_an_older_version"] = 1
            steps.append({**steps[0], "key": "orders/older", "step": {"step": "of_an_older_version"}})
            database.execute("UPDATE runs SET plan = ? WHERE run = ?", (json.dumps(told), run))


@pytest.mark.parametrize("store", StoreKind)
def test_what_the_rules_let_go_is_removed_and_what_stays_comes_back(make_estate, store):
    estate = make_estate(Flavour.WHEEL_18, store, segment_megabytes=1, resource={"keep": ONLY_THE_NEWEST})
    server, records = estate.server, estate.installation.records
    server.sql("create table t as select i, repeat(md5(i::text), 10) as filler from generate_series(1, 5000) i")
    proven = estate.back_up_well(BackupKind.FULL)
    as_of_proven = dump_of(server)
    immediate = Choice(label=proven.label.text, target=RecoveryTarget(TargetKind.IMMEDIATE))
    expect_success(estate.restore(immediate, server.sibling().data))
    server.sql("update t set filler = 'changed' where i % 7 = 0")
    going = estate.back_up_well(BackupKind.INCREMENTAL)
    server.sql("update t set filler = repeat('x', 500)")
    newest = estate.back_up_well(BackupKind.FULL)
    server.sql("delete from t where i > 4000")
    estate.ship()

    # A run that reads the old chain keeps it, and a backup under way is in the way of everything.
    reading = submitted(estate, plan_restore(estate.installation, RESOURCE, server.directory / "copy", immediate))
    assert KeepReason.IN_USE in reasons(estate, going.label.text)
    records.request_cancel(reading, Person("the-test"))
    backing_up = submitted(estate, plan_next_backup(estate.installation, RESOURCE, BackupKind.FULL))
    before = objects(estate)
    assert estate.command("expire", "--yes", check=False).returncode == 4
    records.request_cancel(backing_up, Person("the-test"))

    # It is shown first, and agreed to.
    shown = estate.command("expire", "--dry-run").stdout
    assert "2 backups stay, 1 go" in shown
    assert all(backup.label.text in shown for backup in (proven, going, newest))
    refused = estate.command("expire", check=False)
    assert (refused.returncode, "not_agreed" in refused.stderr) == (5, True)
    assert objects(estate) == before

    as_an_older_version_planned(estate, "restore")
    told = json.loads(estate.command("expire", "orders", "--yes", "--json").stdout)
    fates = {each["label"]: each for each in told["retention"][0]["backups"]}
    assert {label: fate["stays"] for label, fate in fates.items()} == {
        proven.label.text: True, going.label.text: False, newest.label.text: True,
    }  # fmt: skip
    assert {kept["reason"] for kept in fates[proven.label.text]["kept"]} == {"proven"}
    (run,) = told["runs"]
    assert run["run"]["state"] == "succeeded"
    gone = before - objects(estate)
    assert sum(step["evidence"]["proof"].get("objects", 0) for step in run["steps"]) == len(gone)
    assert [each.label for each in estate.backups()] == [proven.label, newest.label]
    assert not any(f"/{going.label}/" in key for key in objects(estate))
    assert any("/wal/" in key for key in gone)

    # Nothing is left to be done; what stays is whole.
    runs = len(records.runs())
    estate.command("expire", "--yes")
    assert len(records.runs()) == runs
    assert json.loads(estate.command("verify", "--deep", "--json").stdout)["passed"]
    assert dump_of(estate.restored(immediate)) == as_of_proven
    assert dump_of(estate.restored(Choice())) == dump_of(server)

    # While one manifest cannot be believed, nothing goes.
    if store is StoreKind.FILE:
        estate.back_up_well(BackupKind.FULL)
        manifest = next(estate.repository_directory.rglob(f"{newest.label}/backup.json"))
        manifest.chmod(0o600)
        manifest.write_bytes(manifest.read_bytes().replace(b"zstd-3", b"zstd-4"))
        before = objects(estate)
        refused = estate.command("expire", "--yes", check=False)
        assert (refused.returncode, "retention_unsure" in refused.stderr) == (5, True)
        assert objects(estate) == before
