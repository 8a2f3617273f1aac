import pytest

from tests.plan.samples import backup_of, recovery_facts, recovery_wish
from understudy.plan.landing import Landing, require_configuration
from understudy.plan.plan import Mode
from understudy.plan.recovery import plan_recovery
from understudy.steps.check_address import CheckAddress
from understudy.steps.open_to_clients import OpenToClients
from understudy.vocabulary.errors import Refusal

BACKUP = backup_of("20261123-030000F")


def recovery(landing):
    return plan_recovery(recovery_wish(Mode.FAILOVER, landing=landing), recovery_facts([BACKUP]))


def step_of(plan, kind):
    return next(each.step for each in plan.steps if isinstance(each.step, kind))


def test_what_a_person_must_move_is_part_of_what_they_agree_to():
    question = recovery(Landing(address_to_move="db.example:5432")).steps[0].approval.question
    assert "db.example:5432, the resource's url, does not lead to port 5432 of this host" in question
    assert "waits 15 minutes for you to move that name or address" in question
    assert "move" not in recovery(Landing(named=True)).steps[0].approval.question


def test_the_steps_know_of_the_address_and_of_the_configuration():
    plan = recovery(Landing(named=True, configuration="/etc/understudy/orders"))
    assert step_of(plan, CheckAddress).landing
    assert step_of(plan, OpenToClients).configuration == "/etc/understudy/orders"
    plan = recovery(None)
    assert not step_of(plan, CheckAddress).landing
    assert step_of(plan, OpenToClients).configuration is None


@pytest.mark.parametrize("files", [{"PG_VERSION"}, {"postgresql.conf"}, {"pg_hba.conf", "postgresql.auto.conf"}])
def test_a_backup_without_the_configuration_is_refused(files):
    with pytest.raises(Refusal) as refused:
        require_configuration("orders", BACKUP.label, files)
    assert refused.value.code == "configuration_missing"
    assert "resources.orders.recover.configuration" in refused.value.hint


def test_a_backup_with_the_configuration_is_not():
    require_configuration("orders", BACKUP.label, {"postgresql.conf", "pg_hba.conf", "PG_VERSION"})
