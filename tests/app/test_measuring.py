"""What an exit code of 0 says after a drill: every objective is known to be met."""

import json

import pytest

from tests.app.desk import Desk
from tests.restore_matrix.estate import SilentWatcher
from tests.servers import programs
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture(scope="module")
def quiet():
    """A protected server that nobody has written to for two seconds."""
    with PostgresServer(Flavour.WHEEL_18, settings={"autovacuum": "off"}) as server:  # which commits what it analyzed
        desk = Desk()
        try:
            server.sql("create table words (word text primary key); insert into words values ('kept')")
            since = server.sql("select clock_timestamp()")[0][0]
            take_backup(desk, server)
            wait_until(lambda: server.sql(f"select clock_timestamp() > '{since}'::timestamptz + '2 s'") == [(True,)], "silence")
            yield server, desk
        finally:
            desk.close()


def take_backup(desk, server):
    desk.write(server, url=server.url)
    installation = Installation.open(desk.stack_file, desk.state)
    assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded


def drill(server, desk, rpo, *arguments, lines=()):
    """The exit code, the JSON, and what a person would have seen."""
    desk.write(server, *lines, url=server.url)
    with desk.stack_file.open("a") as file:
        file.write(f"objectives: {{database_corruption: {{rto: 1h, rpo: {rpo}}}}}\n")
    done = programs.run("drill", "database_corruption", "--stack", desk.stack_file, "--state", desk.state, *arguments)
    return done.returncode, done.stdout


def test_a_loss_that_nothing_tells_is_no_met_objective_and_the_report_says_what_would_tell(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1s", "--json")
    point = json.loads(out)["measured"]["recovery_point"]
    assert (point["source"], point["verdict"]) == ("backup", "unknown")
    assert (code, json.loads(out)["met"], json.loads(out)["run"]["state"]) == (1, False, "succeeded")
    code, out = drill(server, desk, "1s")
    assert code == 1
    assert "unknown" in out and "resources.orders.heartbeat" in out


def test_a_recent_last_commit_and_a_target_in_the_past_need_no_heartbeat(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1h", "--json")
    assert (code, json.loads(out)["measured"]["recovery_point"]["verdict"]) == (0, "met")
    code, out = drill(server, desk, "1s", "--immediate", "--json")
    assert (code, json.loads(out)["measured"]["recovery_point"]) == (0, None)


def test_a_recovery_time_that_is_aimed_at_is_told_beside_the_objective_and_fails_nothing(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1h, target: 1s", "--json")
    measured = json.loads(out)["measured"]
    took = measured["measurement"]["recovery_time"]
    assert (code, measured["target"], measured["target_verdict"]) == (0, 1.0, "met" if took <= 1.0 else "missed")
    code, out = drill(server, desk, "1h, target: 45m", lines=["checks: [{sql: select count(*) from words, equals: '1'}]"])
    assert "check:         select count(*) from words: 1" in out
    assert (code, "objective 1 h 00 min: met · target 45 min 00 s: met" in " ".join(out.split())) == (0, True), out


def test_the_objective_of_a_drill_that_failed_is_missed_although_its_time_is_not_up(quiet):
    server, desk = quiet
    checks = ["checks: [{sql: select count(*) from words, at_least: 2}]", "heartbeat: {}"]
    code, out = drill(server, desk, "1h", "--json", lines=checks)
    told = json.loads(out)
    assert (code, told["run"]["state"]) == (1, "failed")
    assert (told["measured"]["measurement"]["verdict"], told["measured"]["tier_verdict"]) == ("missed", "missed")
