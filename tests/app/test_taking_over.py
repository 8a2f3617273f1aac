"""A repository has one controller; a lost one is replaced only when a person says so, and one that lives is seen first."""

from dataclasses import replace

import pytest

from tests.restore_matrix.estate import SilentWatcher
from tests.servers import programs
from tests.servers.processes import alive, wait_until
from understudy.app.backups import back_up
from understudy.app.carrying_out import Declined, carry_out
from understudy.app.installation import Installation
from understudy.app.listing import list_backups
from understudy.app.recoveries import plan_requested_recovery, recover
from understudy.plan.plan import Procedure
from understudy.plan.request import Choice, RecoveryRequest, request_from_json, request_to_json
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, Person, ResourceName

ANNA = Person("anna")


@pytest.fixture
def before(desk, postgres_servers):
    """The first controller; its receiver streams."""
    server = postgres_servers("wheel18")
    desk.write(server, url=server.url)
    made = Installation.open(desk.stack_file, desk.state)
    assert back_up(made, "orders", BackupKind.FULL, SilentWatcher()).succeeded
    yield made
    made.receivers["orders"].stop()


@pytest.fixture
def after(desk, before):
    """Another controller of the same stack, with a state directory of its own."""
    signing_key = (desk.state / "signing.key").read_text()
    (desk.directory / "state-after-the-loss").mkdir()
    desk.secret_file("state-after-the-loss/signing.key", signing_key)
    made = Installation.open(desk.stack_file, desk.directory / "state-after-the-loss")
    yield made
    made.receivers["orders"].stop()


def test_a_new_state_directory_may_write_to_an_old_repository_only_after_it_took_over(before, after):
    before.receivers["orders"].stop()
    with pytest.raises(Refusal) as refusal:
        back_up(after, "orders", BackupKind.FULL, SilentWatcher())
    assert refusal.value.code == "controller_superseded"
    assert "--take-over" in refusal.value.hint
    assert back_up(after, "orders", BackupKind.FULL, SilentWatcher(), take_over=True).succeeded
    with pytest.raises(Refusal):
        back_up(before, "orders", BackupKind.FULL, SilentWatcher())
    assert len(list_backups(after, "orders").usable) == 2


def test_nothing_is_taken_over_while_the_other_controllers_receiver_streams(before, after):
    with pytest.raises(Refusal) as refusal:
        back_up(after, "orders", BackupKind.FULL, SilentWatcher(), take_over=True)
    assert refusal.value.code == "slot_in_use"
    [[slot, sender]] = before.databases["orders"].query("select slot_name, active_pid from pg_replication_slots where active")
    for part in (slot, f"process {sender} of the server", "127.0.0.1", "nothing was taken over"):
        assert part in refusal.value.found
    for part in ("understudy serve", "understudy status", f"pg_terminate_backend({sender})"):
        assert part in refusal.value.hint
    assert after.records.runs() == ()
    assert alive(before.receivers["orders"].facts().pid)
    assert back_up(before, "orders", BackupKind.FULL, SilentWatcher()).succeeded, "it is still the first one's"


def test_a_backup_that_finds_its_slot_in_use_says_so_while_it_waits_and_goes_on(desk, before):
    """Of a stack with another repository, which nobody takes over."""
    stack = desk.stack_file.read_text().replace(f"{desk.directory}/repository", f"{desk.directory}/another")
    other = desk.secret_file("another.yaml", stack)
    state = desk.directory / "another-state"
    told = desk.directory / "told"
    with told.open("w") as terminal:
        out = {"stdout": terminal, "stderr": terminal}
        waiting = programs.start("backup", "orders", "--stack", other, "--state", state, cwd=desk.directory, **out)
    wait_until(lambda: "hint:" in told.read_text() or waiting.poll() is not None, "it to say what it waits for")
    before.receivers["orders"].stop()
    assert waiting.wait(timeout=120) == 0, told.read_text()
    Installation.open(other, state).receivers["orders"].stop()
    said = told.read_text()
    assert said.count("waiting   orders/start-wal-stream") == 1, said
    assert "slot_in_use: " in said
    assert "at 127.0.0.1 streams through the slot" in said


class DecliningWatcher(SilentWatcher):
    def ask(self, step):
        return Declined(ANNA)


def holder(installation):
    return installation.repository("near").current_epoch().controller


def test_a_recovery_that_nobody_agrees_to_takes_nothing_over(before, after):
    before.receivers["orders"].stop()
    wish = {"fence_override_by": ANNA, "take_over": True}
    view = recover(after, Scenario.DATABASE_CORRUPTION, (), Choice(), DecliningWatcher(), **wish)
    assert view.touched_nothing
    assert holder(after) == before.records.controller_id()
    assert back_up(before, "orders", BackupKind.FULL, SilentWatcher()).succeeded


def test_a_recovery_that_somebody_agreed_to_takes_over_once_the_old_server_is_fenced(before, after):
    before.receivers["orders"].stop()
    request = RecoveryRequest(
        Procedure.RECOVERY,
        ResourceName("orders"),
        Choice(),
        scenario=Scenario.DATABASE_CORRUPTION.value,
        fence_override_by=ANNA,
        take_over=True,
    )
    plan = plan_requested_recovery(after, request_from_json(request_to_json(request)))
    fence, ship = plan.steps[:2]
    assert (fence.step.key, ship.step.key) == ("orders/fence-old-server", "orders/ship-remaining-wal")
    assert holder(after) == before.records.controller_id()
    assert carry_out(after, replace(plan, steps=(fence, ship)), SilentWatcher(), ANNA).succeeded
    assert holder(after) == after.records.controller_id()
