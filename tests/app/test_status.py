"""What ``status`` makes of the runs that were recorded."""

import json
import os
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.app.desk import desk
from tests.cli.commands import leading_to, understudy
from tests.records.cast import submission, succeeded
from tests.servers.postgres import PostgresServer
from tests.supervise.owned_clock import OwnedClock
from understudy.app.carrying_out import SERVING_FILE, Serving
from understudy.app.exposure_json import fault_to_json
from understudy.app.installation import Installation
from understudy.app.keeping import EXPOSURE
from understudy.app.looking import status
from understudy.judge.preflight import Grade
from understudy.records.controller_lock import ControllerLock
from understudy.records.records import Records
from understudy.records.run import RunState
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId, StepKey

__all__ = ["desk"]
NO_BACKUP = "no usable backup: nothing can be recovered"


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


@pytest.fixture
def installation(desk, server):
    desk.write(server, url=server.url)
    return Installation.open(desk.stack_file, desk.state)


def record(installation, run, procedure, state, *, backup=False, label="20261123-030000F"):
    """A run that ended; with a completed backup, or none."""
    records, step = installation.records, "orders/write-backup-manifest" if backup else "orders/verify-database"
    records.submit(replace(submission(run, steps=(step,)), procedure=procedure))
    if state is RunState.SUCCEEDED or backup:
        records.conclude_step(RunId(run), StepKey(step), succeeded(proof={"label": label}))
    records.finish(RunId(run), state)


def test_without_a_usable_backup_it_says_that_nothing_can_be_recovered(desk, installation):
    record(installation, "r1", "backup", RunState.FAILED)
    done = understudy(desk, "status")
    assert NO_BACKUP in done.stdout
    assert "exposure now" not in done.stdout
    assert done.returncode == 3
    assert json.loads(understudy(desk, "status", "--json").stdout)["resources"][0]["recoverable"] is False
    record(installation, "r2", "backup", RunState.SUCCEEDED, backup=True)
    done = understudy(desk, "status")
    assert NO_BACKUP not in done.stdout
    assert "20261123-030000F" in done.stdout
    assert done.returncode == 0


def test_what_serve_found_in_the_repository_counts_unless_a_backup_was_completed_since(installation):
    for there in (True, False):
        installation.records.observe("orders", "usable_backup", {"there": there})
        assert status(installation).resources[0].recoverable is there


@pytest.fixture
def served(desk, server):
    """As if ``serve`` ran, in this process."""
    desk.write(server, "heartbeat: {}", url=server.url)
    installation = Installation.open(desk.stack_file, desk.state)
    lock = ControllerLock(desk.state)
    lock.acquire()
    (desk.state / SERVING_FILE).write_text(str(Serving(os.getpid(), installation.digest)))
    yield installation
    lock.release()


def test_what_serve_fails_to_do_is_shown_as_long_as_it_does_and_check_does_not_pass(desk, served):
    fault = fault_to_json(GiveUp("privilege_missing", found="denied", expected="a right", hint="GRANT it"))
    for kind in ("heartbeat", "shipping:near"):
        served.records.observe("orders", kind, fault)
    [resource] = status(served).resources
    assert (resource.heartbeat_fault.code, resource.heartbeat_fault.hint) == ("privilege_missing", "GRANT it")
    said = understudy(desk, "status").stdout
    for doing in ("writing heartbeats", "shipping WAL to near"):
        assert f"fault {doing}" in said
    [finding] = desk.check()["served"]
    assert finding.grade is Grade.FAILURE
    assert "a fault shipping WAL to near" in finding.found
    assert finding.change == "GRANT it"
    for kind in ("heartbeat", "shipping:near"):
        served.records.observe("orders", kind, fault_to_json(None))
    assert "served" not in desk.check()
    assert "fault" not in understudy(desk, "status").stdout


def test_what_a_run_asks_is_shown_and_that_nobody_serves_the_next_backup(desk, server, served):
    served.records.submit(submission("r1", asks=("a",)))
    served.records.begin_step(RunId("r1"), StepKey("a"))
    served.records.await_approval(RunId("r1"), StepKey("a"))
    said = understudy(desk, "status").stdout
    assert f"asks: Really? (agree: understudy approve r1 {leading_to(desk)})" in said
    assert status(served).asked == {"r1": ("Really?",)}


def test_who_agrees_to_a_run_that_nobody_carries_out_is_told_so(desk, installation):
    installation.records.submit(submission("r1", asks=("a",)))
    installation.records.begin_step(RunId("r1"), StepKey("a"))
    installation.records.await_approval(RunId("r1"), StepKey("a"))
    said = understudy(desk, "approve", "r1").stdout
    assert "agreed to a: Really?" in said
    assert f"Nobody carries the run out now. To go on with it: understudy resume r1 {leading_to(desk)}" in said


def test_a_next_backup_that_nobody_serves_is_said_to_be_none(desk, server):
    desk.write(server, "backup: {full: '0 3 29 2 *'}", url=server.url)
    assert f", if it is served by then (understudy serve {leading_to(desk)})" in understudy(desk, "status").stdout


SCHEDULED = "backup: {full: '0 3 29 2 *', incremental: '0 3 28 2 *', jitter: 1h}"


def schedule_rows(desk):
    """What ``status`` says of each schedule, by its name."""
    lines = understudy(desk, "status").stdout.splitlines()
    split = (re.match(r"  (next backup|  full|  incremental) +(.*)", line) for line in lines)
    return {found[1].strip(): found[2] for found in split if found}


def test_each_schedule_tells_when_it_is_due_and_how_its_last_run_ended(desk, server, installation):
    desk.write(server, SCHEDULED, url=server.url)
    record(installation, "r1", "backup", RunState.SUCCEEDED, backup=True)
    record(installation, "r2", "backup", RunState.FAILED)
    handled, since = "2099-02-27T00:00:00+00:00", "2023-02-28T03:10:00+00:00"
    installation.records.observe(
        "orders", "scheduled:incremental", {"due": "2024-02-28T03:00:00+00:00", "run": "r2", "since": since}
    )
    [resource] = json.loads(understudy(desk, "status", "--json").stdout)["resources"]
    full, incremental = resource["schedules"]
    assert (full["schedule"], full["cron"], full["timezone"], full["last"]) == ("full", "0 3 29 2 *", "UTC", None)
    assert datetime.fromisoformat(full["next"]).strftime("%m-%d %H") == "02-29 03"
    assert full["missed_since"] is None, "a schedule that is new has missed nothing"
    assert resource["next_backup"] == min(full["next"], incremental["next"])
    last = incremental["last"]
    assert (last["run"], last["state"], last["due"], last["made_up"]) == ("r2", "failed", since, True)
    assert datetime.fromisoformat(incremental["missed_since"]).isoformat().startswith("2025-02-28T03:")
    rows = schedule_rows(desk)
    assert rows["next backup"].startswith("due since 2025-02-28T03:") and "begins once it is served" in rows["next backup"]
    assert re.fullmatch(r"due \d{4}-02-29T03:\S+; not run yet", rows["full"])
    show = re.escape(f"(understudy show r2 {leading_to(desk)})")
    made_up = rf"makes up, once, for all since 2025-02-28T03:\S+; last run \S+, made up for 2023-02-28T03:10:00\S+: failed {show}"
    assert re.fullmatch(r"due \d{4}-02-28T03:\S+; " + made_up, rows["incremental"])
    installation.records.observe("orders", "scheduled:incremental", {"due": handled, "run": "r1", "since": None})
    assert re.fullmatch(r"due \S+; last run \S+: succeeded \(.*\)", schedule_rows(desk)["incremental"]), (
        "a clock that was put back"
    )


def test_the_run_of_a_schedule_that_nothing_remembers_any_more_is_not_told(desk, server, installation):
    desk.write(server, SCHEDULED, url=server.url)
    now = installation.clock.now().isoformat()
    for noted in ({"due": now}, {"due": now, "run": "r9", "since": None}):
        installation.records.observe("orders", "scheduled:full", noted)
        assert schedule_rows(desk)["full"].endswith("; not run yet")


def test_a_failed_backup_is_shown_until_one_is_completed(desk, installation):
    record(installation, "r1", "backup", RunState.SUCCEEDED, backup=True)
    record(installation, "r2", "backup", RunState.FAILED)
    assert status(installation).resources[0].newest_backup.run == "r1"
    said = understudy(desk, "status").stdout
    assert "last backup" in said and f"(understudy show r2 {leading_to(desk)})" in said
    record(installation, "r3", "backup", RunState.SUCCEEDED, backup=True)
    assert status(installation).resources[0].failed_backup is None


def test_an_exposure_that_a_clock_saw_which_was_set_back_since_is_not_live(installation):
    seen = {"known": True, "seconds": 1.0, "size_bytes": 0, "gap": None}
    value = {"overall": seen, "repositories": {}, "server_fault": ""}
    installation.records.observe("orders", EXPOSURE, value)
    assert status(installation).resources[0].exposure is not None
    ahead = Records(installation.state, OwnedClock(installation.clock.now() + timedelta(hours=1)))
    ahead.observe("orders", EXPOSURE, value)
    ahead.close()
    assert status(installation).resources[0].exposure is None


def test_a_chain_that_stands_on_a_full_backup_from_long_ago_is_told(desk, server, installation):
    record(installation, "r1", "backup", RunState.SUCCEEDED, backup=True, label="20200101-030000F")
    assert "stands on an old full one" not in understudy(desk, "status").stdout
    record(installation, "r2", "backup", RunState.SUCCEEDED, backup=True, label="20200101-030000F_20261123-030000I")
    command = f"understudy backup orders --full {leading_to(desk)}"
    assert f"stands on an old full one ({command})" in understudy(desk, "status").stdout
    desk.write(server, "backup: {full: '0 3 29 2 *'}", url=server.url)
    assert "stands on an old full one" not in understudy(desk, "status").stdout, "a schedule says when the next full one is due"


def test_what_was_set_aside_of_wal_is_shown(desk, installation):
    assert "set aside" not in understudy(desk, "status").stdout
    aside = desk.state / "wal" / "orders" / "quarantine" / "20261123T030000.000000Z"
    aside.mkdir(parents=True)
    (aside / "000000010000000000000003").write_bytes(bytes(2**20))
    said = understudy(desk, "status").stdout
    assert "set aside" in said and str(aside.parent) in said
    assert json.loads(understudy(desk, "status", "--json").stdout)["resources"][0]["set_aside"]["size_bytes"] == 2**20


def test_the_backup_that_a_recovery_takes_is_one(installation):
    record(installation, "r1", "backup", RunState.SUCCEEDED, backup=True)
    record(installation, "r2", "backup", RunState.FAILED)
    record(installation, "r3", "recovery", RunState.FAILED, backup=True)
    shown = status(installation).resources[0]
    assert (shown.newest_backup.run, shown.failed_backup) == ("r3", None)


def test_a_drill_that_failed_after_a_good_one_is_shown_beside_it_and_a_restore_is_no_proof(desk, installation):
    record(installation, "r1", "drill", RunState.SUCCEEDED)
    record(installation, "r2", "restore", RunState.SUCCEEDED)
    record(installation, "r3", "drill", RunState.FAILED)
    shown = status(installation).resources[0]
    assert (shown.last_proof.run, shown.failed_proof.run) == ("r1", "r3")
    said = understudy(desk, "status").stdout
    assert "last drill" in said and f"(understudy show r3 {leading_to(desk)})" in said
    record(installation, "r4", "drill", RunState.SUCCEEDED)
    assert status(installation).resources[0].failed_proof is None


def test_an_exposure_that_was_seen_before_the_clock_was_put_back_is_not_live(installation):
    ahead = replace(installation, clock=OwnedClock(installation.clock.now() + timedelta(hours=1)))
    overall = {"known": True, "seconds": 1.0, "size_bytes": 0, "gap": None}
    seen = {"overall": overall, "repositories": {}, "server_fault": "", "slot": None}
    for there, is_live in ((installation, True), (ahead, False)):
        there.records.observe("orders", "exposure", seen)
        assert (status(installation).resources[0].exposure is not None) is is_live
