"""A database, a directory and a bucket that are recovered together."""

from dataclasses import replace

from tests.plan.samples import NEAR, ORDERS, backup_of, recovery_facts, recovery_wish
from tests.plan.snapshot_samples import DOCS, NEW
from understudy.plan.plan import Mode, Procedure
from understudy.plan.recovery import plan_recovery
from understudy.plan.recovery_order import Urgency, recovery_order
from understudy.plan.service_recovery import ActFacts, ServiceFacts, plan_service
from understudy.plan.snapshot_restore import (
    HeldSnapshot,
    LoadFacts,
    OperatedFacts,
    SnapshotLanding,
    plan_load,
    plan_snapshot_restore,
)
from understudy.plan.stack_recovery import StackWish, plan_stack_recovery
from understudy.vocabulary.identifiers import PlanId, ResourceName

IMAGES = ResourceName("images")
BACKUP = backup_of("20261123-030000F")
DECLARED = {DOCS: Urgency("P2", (ORDERS,)), ORDERS: Urgency("P2"), IMAGES: Urgency("P3")}


def snapshot_part(name=DOCS, place="/srv/docs", mode=Mode.FAILOVER, sandbox=None, holds_something=False):
    kind = "bucket" if place.startswith("s3:") else "files"
    snapshot = replace(NEW, resource=name, kind=kind)
    landing = SnapshotLanding(place, mode, sandbox, holds_something=holds_something)
    return plan_snapshot_restore(name, HeldSnapshot(NEAR, snapshot), landing, None, PlanId(f"alone-{name}"), "0" * 64)


def parts_for_real():
    return {
        ORDERS: plan_recovery(recovery_wish(Mode.FAILOVER), recovery_facts([BACKUP])),
        DOCS: snapshot_part(holds_something=True),
        IMAGES: snapshot_part(IMAGES, "s3://images"),
    }


def parts_of_a_drill():
    return {
        ORDERS: plan_recovery(recovery_wish(Mode.DRILL), recovery_facts([BACKUP])),
        DOCS: snapshot_part(place="/srv/drills/x-docs/restored", mode=Mode.DRILL, sandbox="/srv/drills/x-docs"),
        IMAGES: snapshot_part(IMAGES, "s3://drills/x", mode=Mode.DRILL),
    }


def parts_that_programs_have():
    """The data of Redis, and what a command loads."""
    snapshot = replace(NEW, resource=IMAGES, kind="redis")
    operated = OperatedFacts(("systemctl", "stop", "redis-server"), ("systemctl", "start", "redis-server"))
    landing = SnapshotLanding("/var/lib/redis", Mode.FAILOVER, operated=operated)
    redis = plan_snapshot_restore(IMAGES, HeldSnapshot(NEAR, snapshot), landing, None, PlanId("alone"), "0" * 64)
    dump, load = HeldSnapshot(NEAR, replace(NEW, kind="command")), LoadFacts(("git", "clone"), load_again=False)
    return {
        IMAGES: redis,
        DOCS: plan_load(DOCS, dump, "/state/loads/x", load, PlanId("alone"), "0" * 64, mode=Mode.FAILOVER),
    }


def plan_of_an_intrusion():
    """With a service, which waits for the rotation."""
    web = ResourceName("web")
    service = plan_service(web, ServiceFacts(ActFacts(("start",), False), ActFacts(("stop",), True)), PlanId("alone"), "0" * 64)
    rotations = (("passwords", ActFacts(("rotate",), True)),)
    return stack_plan({**parts_for_real(), web: service}, quarantine_since=BACKUP.stop_time, rotations=rotations)


def stack_plan(parts=None, mode=Mode.FAILOVER, declared=DECLARED, disruption=None, **more):
    plans = parts or (parts_for_real() if mode is Mode.FAILOVER else parts_of_a_drill())
    procedure = Procedure.RECOVERY if mode is Mode.FAILOVER else Procedure.DRILL
    turns = recovery_order({**declared, **{name: Urgency("P2") for name in plans if name not in declared}}, list(plans))
    wish = StackWish(procedure, mode, "complete_failure", PlanId("together"), "0" * 64, turns, disruption, **more)
    return plan_stack_recovery(wish, plans)
