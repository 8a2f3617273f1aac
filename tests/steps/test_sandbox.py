"""Nothing that the restored configuration says lets a sandbox reach out."""

import pytest

from tests.app.desk import Desk
from tests.restore_matrix.estate import SilentWatcher
from tests.servers.postgres import PostgresServer
from tests.steps.protected import Protected, step_of, world_of
from understudy.app.backups import back_up
from understudy.app.database_recoveries import Choice, plan_drill
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, ResourceName

RUN = "looked-into"
REACHING_OUT = {
    "archive_mode": "on",
    "archive_command": "touch {escaped}",
    "archive_cleanup_command": "touch {escaped}",
    "recovery_end_command": "touch {escaped}",
    "restore_command": "touch {escaped}; false",
    "primary_conninfo": "host=127.0.0.1 port={port} user=postgres",
    "primary_slot_name": "taken_along",
    "recovery_target_time": "2020-01-01 00:00:00+00",
    "recovery_target_inclusive": "off",
    "synchronous_standby_names": "*",
    "listen_addresses": "*",
    "shared_preload_libraries": "auto_explain",
    "session_preload_libraries": "auto_explain",
    "local_preload_libraries": "auto_explain",
    "max_logical_replication_workers": "7",
    "logging_collector": "on",
    "log_destination": "csvlog",
    "external_pid_file": "{escaped}",
}
"""What reaches out, and what a recovery by hand left behind.

As ``ALTER SYSTEM`` wrote them: ``postgresql.auto.conf`` is read whatever configuration file is named."""


@pytest.fixture
def outgoing():
    """A protected server whose next start would reach out in every way; ``escaped`` would tell."""
    with PostgresServer() as server:
        escaped = server.new_directory("out") / "escaped"
        for name, value in REACHING_OUT.items():
            server.sql(f"alter system set {name} = '{value.format(escaped=escaped, port=server.port)}'")
        desk = Desk()
        try:
            made = Protected(server, desk)
            assert back_up(made.installation(), "orders", BackupKind.FULL, SilentWatcher()).succeeded
            yield made, escaped
        finally:
            desk.close()


def still_in_force(instances, place, escaped, server):
    rows = instances.query(place, "select name, setting from pg_settings")
    settings = {str(name): value for name, value in rows}
    wanted = {name: value.format(escaped=escaped, port=server.port) for name, value in REACHING_OUT.items()}
    return [name for name, value in wanted.items() if settings[name] == value]


def test_no_restored_setting_gets_through_while_it_replays_nor_once_it_is_promoted(outgoing):
    protected, escaped = outgoing
    installation = protected.installation()
    plan = plan_drill(installation, Scenario.DATABASE_CORRUPTION, ResourceName("orders"), Choice())
    instances, place = installation.instances["orders"], step_of(plan, "replay-wal").place
    try:
        for verb in ("provision-target", "restore-base-backup", "replay-wal"):
            step_of(plan, verb).run(world_of(installation, RUN))
        assert still_in_force(instances, place, escaped, protected.server) == []
        for verb in ("promote", "open-to-clients"):
            step_of(plan, verb).run(world_of(installation, RUN))
        assert still_in_force(instances, place, escaped, protected.server) == []
        instances.execute(place, ("create table t (n int)", "select pg_switch_wal()", "checkpoint"))
        assert instances.query(place, "select count(*) from pg_stat_wal_receiver") == [("0",)]
        assert instances.query(place, "select archived_count + failed_count from pg_stat_archiver") == [("0",)]
    finally:
        step_of(plan, "remove-sandbox").run(world_of(installation, RUN))
    assert not escaped.exists()
