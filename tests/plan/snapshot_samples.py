"""Snapshots for plans, as small as they may be."""

from datetime import UTC, datetime, timedelta

from tests.plan.samples import FAR, NEAR, NOW
from understudy.plan.dump_load import DumpLanding, plan_dump_load
from understudy.plan.plan import Mode
from understudy.plan.snapshot import SnapshotFacts, SnapshotSubject, plan_snapshot
from understudy.plan.snapshot_expiry import SnapshotsDecided, plan_snapshot_expiry
from understudy.plan.snapshot_restore import HeldSnapshot, LoadFacts, SnapshotLanding, plan_load, plan_snapshot_restore
from understudy.plan.snapshot_retention import SnapshotFate, SnapshotRetentionDecision
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.vocabulary.identifiers import BackupOrigin, PlanId, ResourceName, RunId, SnapshotLabel

DOCS = ResourceName("docs")


def snapshot_of(label, *, kind="files", **changes):
    """Complete five minutes after it was begun."""
    label = SnapshotLabel(label)
    begun = label.begun or datetime(2026, 11, 23, tzinfo=UTC)
    fields = {
        "label": label,
        "kind": kind,
        "resource": DOCS,
        "source": "file:///srv/docs",
        "start_time": begun,
        "stop_time": begun + timedelta(minutes=5),
        "listing": SealedPart("listing.jsonl.zst.age", 100, "a" * 64, 300),
        "parts": (SealedPart(f"{label}-a1-0001.tar.zst.age", 1000, "b" * 64, 3000),),
        "entries": 3,
        "content_bytes": 2500,
        "stored_bytes": 1100,
        "changed_while_read": 0,
        "left_out": 0,
        "passed_over": 0,
        "compression": "zstd-3",
        "stack_digest": "0" * 64,
        "understudy_version": "test",
        "run": RunId("20261123-030000-7f3a"),
        "origin": BackupOrigin.MANUAL,
    }
    return SnapshotManifest(**(fields | changes))


OLD, NEW = snapshot_of("20261122-030000S"), snapshot_of("20261123-030000S")


def snapshot_facts(newest=NEW.label, **changes):
    fields = {
        "now": NOW,
        "plan_id": PlanId("plan-1"),
        "stack_digest": "0" * 64,
        "origin": BackupOrigin.MANUAL,
        "labels": {each for each in (OLD.label, newest) if each},
        "newest": newest,
        "opens": True,
    }
    return SnapshotFacts(**(fields | changes))


def snapshot_plan(repositories=(NEAR, FAR), kind="files", locking=frozenset(), **facts):
    return plan_snapshot(SnapshotSubject(DOCS, kind, repositories, 2**26, 3, locking), snapshot_facts(**facts))


def load_plan(*, load_again=False):
    return plan_load(
        DOCS,
        HeldSnapshot(NEAR, snapshot_of("20261123-030000S", kind="command")),
        "/state/loads/20261123-040000-abcdef",
        LoadFacts(("sh", "-c", "cat > copy"), load_again),
        PlanId("20261123-040000-abcdef"),
        "digest",
    )


def restore_plan(snapshot=NEW, place="/srv/found", only=None, repository=NEAR):
    return plan_snapshot_restore(
        DOCS, HeldSnapshot(repository, snapshot), SnapshotLanding(place), only, PlanId("restore"), "0" * 64
    )


DUMPED = HeldSnapshot(NEAR, snapshot_of("20261123-030000S", kind="postgres-dump"))


def dump_load_plan(**landing):
    place = "/state/loads/20261123-040000-abcdef"
    fields = {"place": place, "into": "env:NEW_SERVER_URL", "shown": "db.example:5432", **landing}
    return plan_dump_load(DOCS, DUMPED, DumpLanding(**fields), PlanId("20261123-040000-abcdef"), "digest")


def dump_drill_plan():
    landing = SnapshotLanding("/state/drills/one/restored", Mode.DRILL, sandbox="/state/drills/one")
    return plan_snapshot_restore(DOCS, DUMPED, landing, None, PlanId("drill"), "0" * 64)


def snapshot_expiry_plan():
    decision = SnapshotRetentionDecision((SnapshotFate(OLD, ()),), (SnapshotLabel("20261121-030000S"),), NOW)
    return plan_snapshot_expiry(DOCS, "files", [SnapshotsDecided(NEAR, decision)], PlanId("expiry"), "0" * 64)
