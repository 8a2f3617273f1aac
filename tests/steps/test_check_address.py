"""A recovery beside an old server that still answers protects nothing anew: it would protect the wrong one."""

from dataclasses import replace
from datetime import timedelta

from tests.app.desk import desk
from tests.app.waiting import AheadClock, Mover
from tests.restore_matrix.estate import SilentWatcher
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice, recover
from understudy.ports.instance import InstancePlace, StopMode
from understudy.ports.places import MARKER_NAME
from understudy.stack.models import Scenario
from understudy.steps.check_address import ADDRESS_TIME_LIMIT
from understudy.vocabulary.identifiers import BackupKind, Person

__all__ = ["desk"]


def test_an_override_recovers_the_data_and_stops_before_the_old_server_would_pass_for_the_new(desk, postgres_servers):
    server: PostgresServer = postgres_servers("wheel18")
    other = server.sibling()
    recover_lines = f"directory: {desk.directory}/recovered, port: {other.port or server.port + 1}, programs: {server.programs}"
    desk.write(server, f"recover: {{{recover_lines}, socket_directory: {other.socket_directory}}}", url=server.url)
    clock = AheadClock()
    installation = replace(Installation.open(desk.stack_file, desk.state), clock=clock)
    nobody_moves_it = Mover(lambda: clock.put_forward(ADDRESS_TIME_LIMIT))
    place = InstancePlace(f"{desk.directory}/recovered", "", other.port or server.port + 1)
    try:
        assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
        view = recover(
            installation,
            Scenario.DATABASE_CORRUPTION,
            (),
            Choice(),
            nobody_moves_it,
            approved_by=Person("ada"),
            fence_override_by=Person("ada"),
        )
        failed = [(step.key, step.error.code) for step in view.steps if step.error and step.error.code != "predecessor_failed"]
        assert failed == [("orders/check-address", "address_of_another_server")]
        assert timedelta(minutes=15) == ADDRESS_TIME_LIMIT
        assert "within 15 minutes, move the name or the address" in nobody_moves_it.told.hint
        assert server.sql("select count(*) from pg_replication_slots") == [(1,)]
        left = next(step.evidence for step in view.steps if step.key == "orders/discard-unfinished")
        assert f"{desk.directory}/recovered holds all data at the target; its server runs on port {place.port}" in left.hint
        assert not (desk.directory / "recovered" / MARKER_NAME).exists(), "its next backup would carry it"
        assert not (desk.directory / "recovered.wal").exists()
    finally:
        installation.receivers["orders"].stop()
        installation.instances["orders"].stop(place, StopMode.IMMEDIATE)
