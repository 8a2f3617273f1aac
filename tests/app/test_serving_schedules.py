"""What serve starts by itself, and what its heartbeat is good for."""

import json
from datetime import datetime

from tests.faults.conftest import make_estate
from tests.faults.estate import FAR, NEAR, RESOURCE
from tests.servers.processes import wait_until
from understudy.app.scheduling import Scheduling
from understudy.records.run import RunState
from understudy.vocabulary.identifiers import BackupOrigin, RunId

__all__ = ["make_estate"]

LEAP_DAY = "0 3 29 2 *"


def test_a_resource_without_a_backup_gets_a_full_one_at_once_when_it_has_a_schedule(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY})
    estate.serve()
    estate.wait_for(lambda seen: seen.newest_backup is not None, "the first backup")
    assert len(estate.installation.repository(NEAR).backups(RESOURCE).usable) == 1
    shown = estate.seen()
    assert shown.newest_backup is not None
    assert shown.next_backup is not None
    estate.terminate()
    estate.serve()
    estate.wait_until_held(estate.write())
    assert len(estate.installation.records.runs()) == 1, "it was taken once"


def test_the_first_backup_waits_for_a_server_that_is_down(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY})
    estate.server.stop()
    estate.serve()
    wait_until(lambda: "the first backup" in estate.log_text(), "the first attempt")
    estate.server.start()
    estate.wait_for(lambda seen: seen.newest_backup is not None, "the first backup")


def test_serve_that_is_ended_in_the_middle_of_a_scheduled_backup_leaves_it_to_the_next_without_a_word_of_alarm(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY, "max_rate": "5MB/s"})
    records = estate.installation.records
    estate.serve()

    def taking():
        [run] = records.runs(1) or [None]
        return run is not None and any(step.key.endswith("take-base-backup") and step.started for step in records.steps(run.run))

    wait_until(taking, "the base backup to begin")
    assert estate.terminate() == 0
    assert "Traceback" not in estate.log_text()
    [run] = records.runs(1)
    assert run.state is RunState.INTERRUPTED
    estate.serve()
    wait_until(lambda: records.run(run.run).state.is_final, "the backup to be gone on with")
    assert records.run(run.run).state is RunState.SUCCEEDED


def test_without_a_schedule_nothing_is_taken_unasked(make_estate):
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write(2))
    assert estate.installation.records.runs() == ()


def test_a_drill_reads_the_heartbeat_back_and_judges_the_loss_by_it(make_estate):
    estate = make_estate(heartbeat={"every": "1s"})
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    drilled = json.loads(estate.command("drill", "database_corruption", "--json").stdout)
    point = drilled["measured"]["recovery_point"]
    assert point["verdict"] == "met"
    steps = estate.installation.records.steps(estate.installation.records.runs(1)[0].run)
    proofs = {step.key: step.evidence.proof for step in steps}
    beat = datetime.fromisoformat(str(proofs["orders/verify-database"]["newest_heartbeat"]))
    commit = datetime.fromisoformat(str(proofs["orders/replay-wal"]["last_replayed_commit"]))
    assert datetime.fromisoformat(point["at"]) == max(beat, commit)


def test_a_scheduled_backup_lets_go_what_the_rules_let_go_and_streaming_goes_on(make_estate):
    keep = {"daily": "1", "weekly": "0", "monthly": "0", "manual": "0s", "point_in_time": "0s"}
    estate = make_estate(bucket=True, backup={"full": LEAP_DAY}, keep=keep)
    estate.command("backup", "orders", "--full")
    first = estate.write(2)
    estate.command("backup", "orders", "--full")
    estate.installation.records.observe(RESOURCE, "scheduled:full", {"due": "2020-01-01T00:00:00+00:00"})
    estate.serve()
    wait_until(lambda: "expiry" in [run.procedure for run in estate.installation.records.runs() if run.ended], "retention")
    for name in (NEAR, FAR):
        (newest,) = estate.installation.repository(name).backups(RESOURCE).usable
        assert newest.origin is BackupOrigin.AUTOMATIC
        assert not estate.holds(first, name)
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    shown = estate.seen()
    assert shown.shipping_faults == {}
    assert shown.last_proof is None, "removing proves nothing"
    # A new process learns anew what the repositories hold, and finds nothing missing.
    estate.terminate()
    estate.serve()
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    assert estate.seen().shipping_faults == {}


class EveryRunFails:
    """A runner, as far as retention needs one."""

    def submit(self, plan):
        return RunId("r1")

    def wait(self, run):
        return RunState.FAILED


def test_what_a_repository_that_is_away_has_not_got_stays_in_the_others_which_are_seen_to_and_a_failure_is_told(
    make_estate, caplog
):
    keep = {"daily": "1", "weekly": "0", "monthly": "0", "manual": "0s", "point_in_time": "0s"}
    estate = make_estate(bucket=True, keep=keep)
    estate.command("backup", "orders", "--full")
    estate.command("backup", "orders", "--full")
    estate.s3.stop()
    before = estate.numbers_in(NEAR)
    Scheduling(estate.installation, EveryRunFails(), RESOURCE, lambda kind, value: None).expire()
    assert ["understudy show r1" in each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [True]
    told = json.loads(estate.command("expire", "--yes", "--json", expect=1).stdout)
    by_name = {each["repository"]: each for each in told["retention"]}
    assert by_name["far"]["fault"]["code"] == "store_unreachable"
    assert [each["stays"] for each in by_name["near"]["backups"]] == [False, True]
    assert len(estate.installation.repository(NEAR).backups(RESOURCE).usable) == 1
    assert estate.numbers_in(NEAR) == before, "the spool still holds it, and would ship it again"


def test_a_scheduled_backup_that_fails_is_an_error_in_the_log_and_shown(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY})
    server = estate.server
    server.sql("create table broken as select generate_series(1, 1000) as id; checkpoint")
    file = server.data / str(server.sql("select pg_relation_filepath('broken')")[0][0])
    with file.open("r+b") as damaged:
        damaged.seek(8192 + 4000)
        damaged.write(b"\xff" * 100)
    estate.serve()
    shown = estate.wait_for(lambda seen: seen.failed_backup is not None, "the failed backup")
    assert not shown.recoverable
    wait_until(lambda: f"the first backup failed: understudy show {shown.failed_backup.run}" in estate.log_text(), "the error")
    assert "nothing can be recovered" in estate.command("status", expect=3).stdout
