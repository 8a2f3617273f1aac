"""Who may act: one controller for a repository, and nobody stops a server before a person agreed."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.crash.postgres_stage import Stage
from tests.servers.processes import kill_tree
from understudy.records.run import StepState
from understudy.vocabulary.identifiers import BackupKind, StepKey

BUSY = 4


def test_a_second_controller_on_one_repository_is_refused(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.back_up(BackupKind.FULL)
    other = stage.directory / "state" / "other"
    other.mkdir()
    shutil.copy(stage.directory / "state" / "signing.key", other)
    code, printed = stage.call("backup", "orders", state="state/other")
    assert (code, "controller_superseded" in printed) == (BUSY, True), printed
    stage.back_up(BackupKind.FULL)
    stage.assert_backups_whole("FF")


def test_a_recovery_waits_until_a_person_agrees_from_elsewhere_and_needs_nobody_with_yes(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    stage.destroy_server()
    recovery = stage.start("recover", "database_corruption")
    run = stage.wait_for_step("orders/fence-old-server", lambda step: step.state is StepState.AWAITING_APPROVAL)
    assert not stage.server.data.exists()
    code, said = stage.call("approve", run)
    question = stage.installation.records.step(run, StepKey("orders/fence-old-server")).approval_question
    assert (code, said) == (0, f"agreed to orders/fence-old-server: {question}\n"), "and so it is seen what was agreed to"
    printed, _ = recovery.communicate(timeout=120)
    assert recovery.returncode == 0, printed
    stage.assert_protected()

    for pid in stage.servers():
        kill_tree(pid)
    shutil.rmtree(stage.server.data)
    code, printed = stage.call("recover", "database_corruption", "--yes")
    assert code == 0, printed
    stage.assert_backups_whole("FIFF")
    stage.assert_protected()
