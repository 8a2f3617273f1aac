"""What an exit code of 0 says after a drill: every objective is known to be met."""

import json
import re
import shutil
from datetime import UTC, datetime

import pytest

from tests.app.desk import Desk
from tests.app.junit_file import read_junit
from tests.cli.commands import assert_refused, environment, understudy
from tests.restore_matrix.estate import SilentWatcher
from tests.servers import programs
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy import __version__
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.junit import Case, Suite, write_junit
from understudy.records.run import RecordedError
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind

JUNIT = "junit.xml"


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
    """The exit code, the JSON, and what a person would have seen. A CI server sees a failure if the code is one."""
    desk.write(server, *lines, url=server.url)
    with desk.stack_file.open("a") as file:
        file.write(f"objectives: {{database_corruption: {{rto: 1h, rpo: {rpo}}}}}\n")
    where = ("--stack", desk.stack_file, "--state", desk.state, "--junit", desk.directory / JUNIT)
    done = programs.run("drill", "database_corruption", *where, *arguments)
    assert bool(junit(desk).failed) == (done.returncode != 0)
    return done.returncode, done.stdout


def junit(desk):
    return read_junit(desk.directory / JUNIT)


def test_a_loss_that_nothing_tells_is_no_met_objective_and_the_report_says_what_would_tell(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1s", "--json")
    point = json.loads(out)["measured"]["recovery_point"]
    assert (point["source"], point["verdict"]) == ("backup", "unknown")
    assert (code, json.loads(out)["met"], json.loads(out)["run"]["state"]) == (1, False, "succeeded")
    assert junit(desk).failed == ["objective: recovery point"]
    fault = junit(desk).cases["objective: recovery point"]
    assert (fault["code"], fault["expected"]) == ("objective_not_known_to_be_met", "at most 1s")
    assert "resources.orders.heartbeat" in fault["hint"]
    code, out = drill(server, desk, "1s")
    assert code == 1
    assert "unknown" in out and "resources.orders.heartbeat" in out


def test_a_recent_last_commit_and_a_target_in_the_past_need_no_heartbeat(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1h", "--json")
    assert (code, json.loads(out)["measured"]["recovery_point"]["verdict"]) == (0, "met")
    assert junit(desk).cases["objective: recovery point"] is None
    code, out = drill(server, desk, "1s", "--immediate", "--json")
    assert (code, json.loads(out)["measured"]["recovery_point"]) == (0, None)
    assert junit(desk).cases["objective: recovery point"] == "skipped", "left out on purpose is neither met nor missed"


def test_a_ci_server_reads_each_step_and_objective_with_its_time_and_what_was_drilled(quiet):
    server, desk = quiet
    code, out = drill(server, desk, "1h", "--json")
    told, read = json.loads(out), junit(desk)
    steps = [step["key"] for step in told["steps"]]
    objectives = ["recovery time", "recovery point", "recovery time of tier standard"]
    assert (code, list(read.cases)) == (0, [*steps, *(f"objective: {each}" for each in objectives)])
    assert read.failed == []
    assert read.cases["orders/replay-wal"] is None, "passed"
    took = told["measured"]["measurement"]["recovery_time"]
    assert read.seconds["objective: recovery time"] == pytest.approx(took, abs=0.001)
    assert sum(read.seconds[step] for step in steps) > 0
    properties = read.properties
    assert (properties["run"], properties["stack_digest"]) == (told["run"]["run"], told["run"]["stack_digest"])
    assert (properties["scenario"], properties["resource.orders"]) == ("database_corruption", "tier standard")
    assert properties["understudy_version"] == __version__
    assert properties["server_version.orders"].startswith("18")


def test_a_ci_server_reads_a_missed_objective_as_a_failure(quiet):
    server, desk = quiet
    desk.write(server, "checks: [{sql: select count(*) from pg_sleep(1.1), at_least: 1}]", url=server.url)
    with desk.stack_file.open("a") as file:
        file.write("objectives: {database_corruption: {rto: 1s, rpo: 1h}}\n")
    file = desk.directory / JUNIT
    assert understudy(desk, "drill", "database_corruption", "--immediate", "--junit", file).returncode == 1
    read = read_junit(file)
    assert read.failed == ["objective: recovery time"]
    fault = read.cases["objective: recovery time"]
    assert (fault["code"], fault["expected"]) == ("objective_missed", "at most 1s")
    assert re.fullmatch(r"\d+\.\d{3} s", fault["found"])


@pytest.mark.parametrize(
    ("arguments", "lines", "code"),
    [
        (("--backup", "20200101-030000F"), (), "no_such_backup"),
        (("--resource", "nobody"), (), "no_such_resource"),
        (("--immediate", "--lsn", "0/1"), (), "usage"),
        ((), ("nonsense: 1",), "stack_file_invalid"),
    ],
    ids=lambda each: str(each),
)
def test_a_ci_server_reads_a_drill_that_is_refused_before_anything_starts_as_failed(quiet, arguments, lines, code):
    server, desk = quiet
    desk.write(server, *lines, url=server.url)
    file = desk.directory / JUNIT
    file.write_text("that of a drill that passed")
    done = understudy(desk, "drill", "database_corruption", "--junit", file, *arguments)
    assert done.returncode != 0
    read = read_junit(file)
    assert read.failed == ["prerequisites"]
    assert read.cases["prerequisites"]["code"] == code


def test_the_file_of_a_drill_that_was_killed_is_no_success(quiet):
    server, desk = quiet
    desk.write(server, url=server.url)
    file = desk.directory / JUNIT
    file.unlink(missing_ok=True)
    with programs.start("drill", "database_corruption", "--junit", file, env=environment(desk), cwd=desk.directory) as process:
        wait_until(file.exists, "the file")
        process.kill()
    assert read_junit(file).cases["end"]["code"] == "not_ended"
    understudy(desk, "resume", Installation.open(desk.stack_file, desk.state).records.runs(1)[0].run)


def test_where_the_file_cannot_be_written_nothing_is_drilled(quiet):
    server, desk = quiet
    desk.write(server, url=server.url)
    runs = len(Installation.open(desk.stack_file, desk.state).records.runs())
    done = understudy(desk, "drill", "database_corruption", "--junit", "/nowhere/junit.xml")
    assert_refused(done, "file_unwritable", 2)
    assert len(Installation.open(desk.stack_file, desk.state).records.runs()) == runs


def test_where_the_file_cannot_be_written_in_the_end_the_rest_is_told_and_the_drill_has_not_succeeded(quiet):
    server, desk = quiet
    desk.write(server, url=server.url)
    folder = desk.directory / "reports"
    folder.mkdir()
    where = {"env": environment(desk), "cwd": desk.directory}
    with programs.start("drill", "database_corruption", "--junit", folder / JUNIT, **where) as process:
        wait_until((folder / JUNIT).exists, "the file")
        shutil.rmtree(folder)
        out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: file_unwritable" in said
    assert "drill database_corruption: succeeded" in out


def test_what_xml_forbids_is_written_visibly(tmp_path):
    name, found = "orders/verify-database", "\x1b[31mred\x00 & <b> \"'\ud800\nsecond line\ufffe"
    cases = [Case(name, fault=RecordedError("logical_read_failed", found, "\x07 nothing", "see\tit"))]
    write_junit(tmp_path / JUNIT, Suite(Scenario.DATA_LOSS, datetime(2026, 11, 23, tzinfo=UTC), cases, said=[found]))
    read = read_junit(tmp_path / JUNIT)
    visible = "\\x1b[31mred\\x00 & <b> \"'\\ud800\nsecond line\\ufffe"
    assert read.said == visible
    assert read.cases[name] == {
        "code": "logical_read_failed", "found": visible.split("\n")[0], "expected": "\\x07 nothing", "hint": "see\tit",
    }  # fmt: skip
    assert [each.name for each in tmp_path.iterdir()] == [JUNIT], "nothing is left beside it"


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
    read = junit(desk)
    tier = "objective: recovery time of tier standard"
    assert read.failed == ["objective: recovery time", tier, "orders/verify-database"]
    assert read.cases["orders/verify-database"] == {
        name: step["error"][name] for step in told["steps"] for name in ("code", "found", "expected", "hint")
        if step["key"] == "orders/verify-database" and step["error"][name]
    }  # fmt: skip
    assert read.cases["orders/remove-sandbox"] is None
    assert read.cases["orders/write-and-read-back"] == "skipped", "it was not reached"
    assert read.cases["objective: recovery time"]["found"] == "not recovered"
