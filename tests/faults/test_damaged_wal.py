"""One copy of WAL in a repository is damaged: other WAL goes on into it, and a recovery that does not need it ends well."""

import psycopg

from tests.faults.estate import NEAR, RESOURCE
from tests.servers.processes import wait_until
from tests.steps.protected import world_of
from understudy.steps.ship_remaining_wal import ShipRemainingWal


def damage(estate, segment):
    sidecar = next(estate.near.rglob(f"{segment.name}.json"))
    sidecar.chmod(0o600)
    sidecar.write_bytes(sidecar.read_bytes().replace(b"segment", b"sogment"))


def test_a_damaged_copy_is_told_while_everything_else_goes_on_and_fails_no_recovery_that_does_not_need_it(make_estate):
    estate = make_estate()
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    damaged = estate.write(2)
    estate.serve()
    estate.wait_until_held(damaged)
    estate.terminate()
    damage(estate, damaged)
    estate.serve()
    shown = estate.wait_for(lambda seen: NEAR in seen.shipping_faults, "the damage")
    assert shown.shipping_faults[NEAR].code == "wal_corrupt" and damaged.name in shown.shipping_faults[NEAR].found

    newest = estate.write(3)
    estate.wait_until_held(newest)
    spool = estate.installation.receivers[RESOURCE].spool
    wait_until(lambda: spool().segments == (damaged, newest), "the spool to let go of what is held, and of nothing else")
    estate.server.sql("insert into kept values (2)")
    estate.wait_for(lambda seen: seen.exposure.size_bytes is not None and seen.exposure.size_bytes < 2**20, "it to be safe")
    assert NEAR in estate.seen().shipping_faults, "it is told as long as it lasts"

    estate.terminate()
    server = estate.installation.databases[RESOURCE].facts()
    shipping = ShipRemainingWal(RESOURCE, (NEAR,), server.system_identifier, server.segment_bytes)
    assert "wal_corrupt" in shipping.run(world_of(estate.installation)).hint
    estate.command("backup", "orders", "--full")
    estate.server.kill_everything()
    estate.command("recover", "database_corruption", "--yes")
    with psycopg.connect(estate.server.url) as connection:
        assert connection.execute("select n from kept order by n").fetchall() == [(1,), (2,)]
