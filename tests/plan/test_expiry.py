"""What is held while retention removes, and in which order it removes."""

from dataclasses import replace

from tests.plan.retention_estates import B6, SIZE, nightly
from tests.plan.samples import FAR, NEAR, ORDERS
from understudy.plan.expiry import DecidedFor, plan_expiry
from understudy.plan.plan import Hold, HoldKind
from understudy.plan.retention import decide_retention
from understudy.steps.forget_shipped_wal import ForgetShippedWal
from understudy.vocabulary.identifiers import PlanId


def expiry_plan(nights=30, repositories=(NEAR, FAR)):
    decision = decide_retention(B6, nightly(nights, incremental_but_sundays=True).facts())
    forget = ForgetShippedWal(ORDERS, repositories, "7400000000000000001", SIZE)
    decided = [DecidedFor(repository, decision) for repository in repositories]
    return decision, plan_expiry(ORDERS, decided, PlanId("plan-1"), "0" * 64, forget)


def test_where_nothing_goes_there_is_no_plan():
    decision = decide_retention(B6, replace(nightly(3).facts(), unfinished=()))
    assert plan_expiry(ORDERS, [DecidedFor(NEAR, decision)], PlanId("plan-1"), "0" * 64) is None


def test_no_backup_is_taken_meanwhile_and_no_chain_is_read_of_which_anything_goes():
    decision, plan = expiry_plan()
    chains = {chain.text for chain in decision.touched_chains()}
    assert plan.holds == {
        Hold("backup-lane:orders", HoldKind.EXCLUSIVE),
        *(Hold(f"backup-chain:orders/{chain}", HoldKind.EXCLUSIVE) for chain in chains),
    }
    newest = decision.backups[-1].backup.label.chain
    assert newest.text not in chains


def test_backups_go_before_their_wal_and_repositories_do_not_wait_for_each_other():
    _, plan = expiry_plan()
    after = {planned.step.key: planned.after for planned in plan.steps}
    system = "7400000000000000001"
    assert after == {
        "orders/forget-shipped-wal": frozenset(),
        **{
            key: frozenset(before)
            for name in ("near", "far")
            for key, before in (
                (f"orders/remove-backups-from-{name}", ["orders/forget-shipped-wal"]),
                (
                    f"orders/remove-wal-of-{system}-from-{name}",
                    ["orders/forget-shipped-wal", f"orders/remove-backups-from-{name}"],
                ),
            )
        },
    }
