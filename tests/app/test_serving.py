"""``understudy serve`` as a process: what it keeps going, how it ends, and what others do while it runs."""

import getpass
import json
import os
import pty
import signal
import socket

import psycopg
import pytest

from tests.faults.conftest import make_estate
from tests.faults.estate import FAR, NEAR, RESOURCE, assert_contiguous
from tests.servers.processes import alive, wait_until
from understudy.app.backups import plan_next_backup
from understudy.records.run import RunState
from understudy.runner.submission import hand_over
from understudy.vocabulary.identifiers import ResourceName

__all__ = ["make_estate"]

BILLING = ResourceName("billing")


def test_wal_is_streamed_and_shipped_to_both_repositories(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    last = estate.write(3)
    estate.wait_until_held(last, NEAR, FAR)
    assert_contiguous(estate.numbers_in(NEAR))
    assert_contiguous(estate.numbers_in(FAR))
    said = json.loads(estate.command("status", "--json", expect=3).stdout)
    assert said["resources"][0]["recoverable"] is False, "WAL without a backup"
    assert said["serving_pid"] == estate.serving.pid
    assert said["resources"][0]["receiver_running"] is True
    assert estate.terminate() == 0
    assert alive(estate.receiver_pid)
    assert estate.status().serving_pid is None
    assert "Traceback" not in estate.log_text()


def test_two_databases_are_streamed_side_by_side_and_the_fault_of_one_holds_up_no_other(make_estate, postgres_servers):
    estate, other = make_estate(), postgres_servers(segment_megabytes=1, fresh=True)
    estate.protect(BILLING, other)
    estate.serve()
    seen = dict(zip((RESOURCE, BILLING), wait_for_both(estate, lambda each: each.receiver_running), strict=True))
    assert len({each.receiver_pid for each in seen.values()}) == 2
    slots = [server.sql("select slot_name, active from pg_replication_slots") for server in (estate.server, other)]
    assert slots == [[(estate.installation.stack.slot_of(name), True)] for name in (RESOURCE, BILLING)]
    assert slots[0] != slots[1]
    ours, theirs = estate.archive(), estate.archive_beside(BILLING)
    estate.wait_until_held(estate.write(2))
    first = estate.write(2, other)
    wait_until(lambda: theirs.contents().holds(first), "the other database's WAL to be shipped")
    for archive in (ours, theirs):
        assert_contiguous([segment.number for segment in archive.contents().segments])
    assert sorted(path.name for path in (estate.near / "postgres").iterdir()) == [BILLING, RESOURCE]

    estate.server.stop()
    estate.wait_for(lambda each: each.server_fault != "", "a server that is away")
    during = estate.write(3, other)
    wait_until(lambda: theirs.contents().holds(during), "the other one's to be shipped all the same")
    estate.command("backup", BILLING)
    down, up = estate.status().resources
    assert (down.server_fault != "", up.server_fault, up.receiving_fault, up.shipping_faults) == (True, "", None, {})
    assert (down.recoverable, up.recoverable) == (False, True)
    assert up.receiver_pid == seen[BILLING].receiver_pid

    estate.server.start()
    estate.wait_until_held(estate.write(2))
    wait_for_both(estate, lambda each: each.receiving_fault is None and not each.shipping_faults and each.server_fault == "")
    assert estate.terminate() == 0
    for of_which in (("drill", "database_corruption"), ("recover", "data_loss", "--yes")):
        refused = estate.command(*of_which, expect=2)
        for part in ("no_such_resource", f"{RESOURCE}, {BILLING}", "--resource NAME"):
            assert part in refused.stderr


def wait_for_both(estate, condition):
    wait_until(lambda: all(condition(each) for each in estate.status().resources), "both databases")
    return estate.status().resources


def test_a_receiver_left_running_by_a_killed_serve_is_adopted(make_estate):
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write())
    receiver = estate.receiver_pid
    estate.kill()
    assert alive(receiver)
    last = estate.write(2)
    estate.serve()
    estate.wait_until_held(last)
    assert estate.receiver_pid == receiver
    assert_contiguous(estate.numbers_in())


def test_a_second_serve_on_the_same_state_is_refused(make_estate):
    estate = make_estate()
    estate.serve()
    refused = estate.command("serve", expect=4)
    assert "controller_busy" in refused.stderr
    assert str(estate.serving.pid) in refused.stderr
    assert estate.serving.poll() is None


def test_a_backup_is_handed_over_to_serve(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.command("backup", "orders")
    listed = json.loads(estate.command("backups", "--json").stdout)
    assert {each["repository"] for each in listed["usable"]} == {NEAR, FAR}
    assert "picked up run" in estate.log_text()


def test_a_run_that_died_with_serve_is_resumed_by_the_next(make_estate):
    estate = make_estate(backup={"max_rate": "5MB/s"})
    estate.serve()
    waiting = estate.start_command("backup", "orders")
    records = estate.installation.records

    def taking() -> bool:
        [run] = records.runs(1) or [None]
        return run is not None and any(step.key.endswith("take-base-backup") and step.started for step in records.steps(run.run))

    wait_until(taking, "the base backup to begin")
    estate.kill()
    waiting.communicate(timeout=60)
    assert waiting.returncode != 0
    [run] = records.runs(1)
    assert run.state is RunState.INTERRUPTED
    estate.serve()
    wait_until(lambda: records.run(run.run).state.is_final, "the resumed run to end")
    assert records.run(run.run).state is RunState.SUCCEEDED
    assert f"resumed run {run.run}" in estate.log_text()


def test_what_has_to_follow_a_handed_over_run_is_begun_by_serve_and_followed_by_the_command(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    stack = json.loads(estate.stack_file.read_text())
    del stack["encryption"]["identity"]
    estate.stack_file.write_text(json.dumps(stack))
    estate.serve()
    told = json.loads(estate.command("backup", "orders", "--incremental", "--json").stdout)
    first, second = told["run"]["follows"], told["run"]["run"]
    assert told["run"]["request"] == first
    assert estate.installation.records.run(first).state is RunState.FAILED
    assert estate.installation.records.run(second).state is RunState.SUCCEEDED
    assert f"run {second} follows {first}" in estate.log_text()
    shown = estate.command("show", first).stdout
    assert f"runs of one request: {first}, {second}" in shown
    assert estate.status().to_be_followed == ()


def test_a_run_that_serve_carries_out_is_followed_and_answered_by_resume(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    records = estate.installation.records
    waiting = estate.start_command("recover", "database_corruption")
    wait_until(lambda: records.runs(1)[0].state is RunState.AWAITING_APPROVAL, "the run to ask")
    run = records.runs(1)[0].run
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=60)
    assert f"run {run} goes on: understudy serve carries it out" in said
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    followed = estate.command("resume", run, stdin=theirs)
    os.close(theirs)
    os.close(ours)
    assert records.run(run).state is RunState.SUCCEEDED
    assert records.steps(run)[0].approval.by == getpass.getuser()
    for part in ("recovery time", "from backup:", "The recovered server is not supervised"):
        assert part in followed.stdout


def test_wal_is_shipped_while_serve_still_knocks_at_a_host_that_does_not_answer(make_estate):
    """A recovery that waits for a person is asked anew first, by what is at its addresses."""
    estate = make_estate()
    estate.command("backup", "orders")
    waiting = estate.start_command("recover", "database_corruption")
    records, archive = estate.installation.records, estate.archive()
    wait_until(lambda: records.runs(1)[0].state is RunState.AWAITING_APPROVAL, "the run to ask")
    waiting.kill()
    waiting.communicate()
    segment = estate.write(2)
    wait_until((estate.spool / segment.name).exists, "the receiver to have it")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        there, elsewhere = (f":{port}/" for port in (estate.server.port, mute.getsockname()[1]))
        estate.secret("url", f"{estate.server.url.replace(there, elsewhere)}?connect_timeout=120")
        estate.start_serving()
        wait_until(lambda: archive.contents().holds(segment), f"{segment} to be shipped")
        assert "serving faults-" not in estate.log_text(), "it serves only when it has asked"
        estate.kill()


def test_a_run_that_serve_never_picked_up_is_begun_by_resume(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    installation = estate.installation
    plan = plan_next_backup(installation, RESOURCE, None)
    run = hand_over(installation.records, installation.clock, plan)
    done = estate.command("resume", run)
    assert f"understudy show {run}" in done.stdout
    assert installation.records.run(run).state is RunState.SUCCEEDED


@pytest.mark.parametrize("answer", ["cancel", "approve"])
def test_what_a_run_asks_is_answered_from_another_process(make_estate, answer):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.server.sql("create table kept (); insert into kept select from generate_series(1, 7)")
    estate.wait_until_held(estate.write())
    records = estate.installation.records
    waiting = estate.start_command("recover", "database_corruption")
    wait_until(lambda: records.runs(1)[0].state is RunState.AWAITING_APPROVAL, "the run to ask")
    run = records.runs(1)[0].run
    asked = records.steps(run)[0].approval_question
    assert asked.startswith(f"A server runs in {estate.server.data}: stop it for good")
    estate.command(answer, run)
    waiting.communicate(timeout=120)
    assert records.run(run).state is (RunState.CANCELLED if answer == "cancel" else RunState.SUCCEEDED)
    assert (waiting.returncode == 0) == (answer == "approve")
    with psycopg.connect(estate.server.url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (7,)
