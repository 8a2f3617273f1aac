"""A repository has one controller; a lost one is replaced only when a person says so."""

import pytest

from tests.restore_matrix.estate import SilentWatcher
from understudy.app.backups import back_up, list_backups
from understudy.app.installation import Installation
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind


def test_a_new_state_directory_may_write_to_an_old_repository_only_after_it_took_over(desk, postgres_servers):
    server = postgres_servers("wheel18")
    desk.write(server, url=server.url)
    before = Installation.open(desk.stack_file, desk.state)
    assert back_up(before, "orders", BackupKind.FULL, SilentWatcher()).succeeded
    before.receivers["orders"].stop()

    signing_key = (desk.state / "signing.key").read_text()
    (desk.directory / "state-after-the-loss").mkdir()
    desk.secret_file("state-after-the-loss/signing.key", signing_key)
    after = Installation.open(desk.stack_file, desk.directory / "state-after-the-loss")
    try:
        with pytest.raises(Refusal) as refusal:
            back_up(after, "orders", BackupKind.FULL, SilentWatcher())
        assert refusal.value.code == "controller_superseded"
        assert "--take-over" in refusal.value.hint
        assert back_up(after, "orders", BackupKind.FULL, SilentWatcher(), take_over=True).succeeded
        with pytest.raises(Refusal):
            back_up(before, "orders", BackupKind.FULL, SilentWatcher())
        assert len(list_backups(after, "orders").usable) == 2
    finally:
        after.receivers["orders"].stop()
