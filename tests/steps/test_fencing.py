"""A recovery beside a server that still answers at the resource's address, from another directory than the recovery's."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.restore_matrix.estate import SilentWatcher, failed_step, proof_of
from tests.servers.postgres import PostgresServer
from tests.steps.protected import step_of, world_of
from understudy.app.carrying_out import carry_out
from understudy.app.database_recoveries import plan_in_place
from understudy.app.proving import verify_evidence
from understudy.app.recoveries import Choice, recover
from understudy.cli.exit_codes import ExitCode
from understudy.records.run import StepState
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, ResourceName

ANNA = Person("anna")
SCENARIO = Scenario.DATABASE_CORRUPTION
ORDERS = ResourceName("orders")


@pytest.fixture(scope="module")
def stranger():
    """Another cluster than the protected one."""
    with PostgresServer(fresh=True) as server:
        yield server


def gone_from(protected):
    """The server's address, were it gone: at another port nobody listens."""
    return protected.server.url.replace(f":{protected.server.port}/", ":1/")


def test_an_old_server_that_still_answers_refuses_the_recovery_and_nothing_is_touched(protected):
    installation = protected.installation()
    runs = installation.records.runs()
    with pytest.raises(Refusal) as refusal:
        recover(installation, SCENARIO, (), Choice(), SilentWatcher(), approved_by=ANNA)
    assert refusal.value.code == "old_server_not_fenced"
    assert "--override-fence" in refusal.value.hint
    assert installation.records.runs() == runs, "nobody was asked"
    assert protected.server.sql("select word from words") == [("kept",)]
    assert not Path(installation.resource("orders").recover.directory).exists()


def test_the_fence_refuses_by_itself_what_was_not_there_when_a_person_was_asked(protected):
    plan = plan_in_place(protected.installation(url=gone_from(protected)), SCENARIO, ORDERS, Choice())
    installation = protected.installation()
    view = carry_out(installation, plan, SilentWatcher(), ANNA)
    assert failed_step(view) == ("fence-old-server", "old_server_not_fenced")
    assert view.touched_nothing and ExitCode.of_run(view) is ExitCode.REFUSED
    assert protected.server.sql("select word from words") == [("kept",)]
    assert not Path(installation.resource("orders").recover.directory).exists()


def test_a_server_that_nobody_agreed_to_stop_is_not_stopped(protected):
    installation = protected.installation(url=gone_from(protected))
    plan = plan_in_place(installation, SCENARIO, ORDERS, Choice())
    fence = replace(step_of(plan, "fence-old-server"), place=protected.place)
    assert fence.agreed_to_stop is False
    with pytest.raises(Refusal) as refusal:
        fence.run(world_of(installation))
    assert refusal.value.code == "server_appeared"
    assert protected.server.sql("select word from words") == [("kept",)]


def test_a_named_person_overrides_the_fence_and_the_evidence_says_who(protected):
    server, directory = protected.server, protected.desk.directory / "beside-the-old-one"
    installation = protected.installation(
        f"recover: {{directory: {directory}, port: {server.port}, programs: {server.programs}}}"
    )
    plan = plan_in_place(installation, SCENARIO, ORDERS, Choice(), fence_override_by=ANNA)
    until_restored = [each.step.key for each in plan.steps].index("orders/restore-base-backup") + 1
    view = carry_out(installation, replace(plan, steps=plan.steps[:until_restored]), SilentWatcher(), ANNA)
    assert [step.state for step in view.steps if step.state is not StepState.SKIPPED] == [StepState.SUCCEEDED] * until_restored
    assert proof_of(view, "fence-old-server")["overridden_by"] == ANNA
    assert proof_of(view, "fence-old-server")["stopped_here"] is False
    assert view.steps[0].evidence.claim == "anna takes it on that the old server may still accept writes"
    assert verify_evidence(installation, None).findings == ()
    assert (directory / "PG_VERSION").exists()
    assert server.sql("select word from words") == [("kept",)]


def test_nobody_overrides_what_was_not_in_the_way(protected):
    installation = protected.installation(url=gone_from(protected))
    fence = step_of(plan_in_place(installation, SCENARIO, ORDERS, Choice(), ANNA), "fence-old-server")
    fenced = fence.run(world_of(installation))
    assert (fenced.claim, fenced.proof["overridden_by"]) == ("the old server accepts no writes", None)


@pytest.mark.parametrize("override", [None, ANNA])
def test_another_cluster_at_the_address_refuses_the_recovery_whoever_overrides(protected, stranger, override):
    plan = plan_in_place(protected.installation(url=gone_from(protected)), SCENARIO, ORDERS, Choice(), override)
    installation = protected.installation(url=stranger.url)
    for look in (
        lambda: plan_in_place(installation, SCENARIO, ORDERS, Choice(), override),
        lambda: step_of(plan, "fence-old-server").run(world_of(installation)),
    ):
        with pytest.raises(Refusal) as refusal:
            look()
        assert refusal.value.code == "address_taken"
    assert stranger.sql("select 1") == [(1,)]


def test_a_host_that_never_saw_the_old_server_tells_another_cluster_by_the_backup(protected, stranger):
    installation = replace(protected.installation(url=stranger.url), state=protected.desk.directory / "state-elsewhere")
    installation.state.mkdir()
    fence = step_of(plan_in_place(protected.installation(), SCENARIO, ORDERS, Choice(), ANNA), "fence-old-server")
    (protected.desk.directory / "url").write_text(stranger.url)
    with pytest.raises(Refusal) as refusal:
        fence.run(world_of(installation))
    assert refusal.value.code == "address_taken"
    assert stranger.sql("select system_identifier::text from pg_control_system()")[0][0] in refusal.value.found
