"""The kit's own instructions, followed on a bare machine: nothing is left but the kit and a repository."""

import re
import subprocess

from tests.app.test_verifying import SilentWatcher
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.adapters.clock.system import SystemClock
from understudy.app.backups import back_up
from understudy.app.initialising import FirstWish, initialise
from understudy.app.installation import Installation
from understudy.app.listing import list_backups
from understudy.app.recoveries import Choice, restore
from understudy.vocabulary.identifiers import BackupKind, ResourceName


def test_kit_and_repository_are_enough_to_get_the_database_back(desk, monkeypatch):
    repository = desk.directory / "near"
    with PostgresServer(Flavour.WHEEL_18) as server:
        monkeypatch.setenv("ORDERS_URL", server.url)
        wish = FirstWish("env:ORDERS_URL", desk.stack_file, repository=f"file://{repository}", state=desk.state)
        made = initialise(wish, SystemClock())
        server.sql("create table kept as select generate_series(1, 1000) as id")
        installation = Installation.open(made.stack_file)
        assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
        installation.receivers[ResourceName("orders")].stop()
    monkeypatch.delenv("ORDERS_URL")
    kit = made.kit.rename(desk.directory / "kit")
    for lost in (made.identity, made.signing_key, made.stack_file):
        lost.unlink()

    newest = max((repository / "stack").iterdir())
    opened = subprocess.run(["age", "-d", "-i", str(kit), str(newest)], capture_output=True, check=True)
    text = subprocess.run(["zstd", "-d", "-c"], input=opened.stdout, capture_output=True, check=True).stdout.decode()
    signers = re.findall(r"signer: (\S+)", kit.read_text())
    assert signers and all(signer in text for signer in signers)
    text = re.sub(r"identity: \S+", f"identity: file:{kit}", text)
    text = re.sub(r"(?m)^  signing_key:.*\n", "", text)
    desk.stack_file.write_text(text)

    bare = Installation.open(desk.stack_file, desk.directory / "bare-state")
    assert len(list_backups(bare, None).usable) == 1
    watcher = SilentWatcher()
    view = restore(bare, "orders", desk.directory / "data", Choice(), watcher)
    bare.records.close()
    assert view.succeeded
    assert (desk.directory / "data" / "PG_VERSION").read_text() == "18\n"
