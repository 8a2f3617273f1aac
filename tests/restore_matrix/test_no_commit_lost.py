"""Synchronous streaming, eight writers, everything killed: not one acknowledged commit is missing. 15 over S3, 18 over file."""

import shutil

import pytest

from tests.restore_matrix.estate import end_recovered_server
from tests.restore_matrix.stores import StoreKind
from tests.servers.flavours import Flavour
from tests.servers.ledger import Ledger

WRITERS = 8


@pytest.mark.parametrize(
    ("flavour", "store", "base_lost"),
    [(Flavour.WHEEL_18, StoreKind.FILE, True), (Flavour.DEBIAN_15, StoreKind.S3, False)],
    ids=["18-file-data-lost", "15-s3-data-suspect"],
)
def test_no_acknowledged_commit_is_lost_when_every_process_of_the_server_is_killed(
    make_estate, tmp_path, flavour, store, base_lost
):
    estate = make_estate(flavour, store)
    server = estate.server
    with Ledger(server.url, tmp_path / "ledger", WRITERS) as ledger:
        ledger.wait_for(WRITERS * 10)
        estate.command("backup", "orders")
        server.sql("alter system set synchronous_standby_names = '*'")
        server.sql("select pg_reload_conf()")
        before = len(ledger.acknowledged())
        ledger.wait_for(before + WRITERS * 100)
        server.kill_everything()
        ledger.wait()
    if base_lost:
        shutil.rmtree(server.data)
    scenario = "data_loss" if base_lost else "database_corruption"
    try:
        estate.command("recover", scenario, "--yes")
        acknowledged, found = ledger.acknowledged(), Ledger.found(server.url)
        assert len(acknowledged) >= before + WRITERS * 100
        assert acknowledged - found == set()
        # At most one commit of each writer was on its way: written, perhaps, and never acknowledged.
        assert len(found - acknowledged) <= WRITERS
    finally:
        end_recovered_server(server)
    assert estate.command("backups", "orders").stdout.count("full") == 2, "protection is back: a second full backup"
