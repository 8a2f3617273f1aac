"""The stream itself breaks: the server, the receiver, the slot, the timeline, or a piece in the middle."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.faults.estate import FAR, NEAR, RESOURCE, assert_contiguous
from tests.servers.flavours import Flavour
from tests.servers.processes import alive, wait_until
from tests.steps.protected import world_of
from understudy.repository.replay_path import path_over
from understudy.steps.start_wal_stream import StartWalStream
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.wal import WalSegment

LITTLE_WAL = {"max_wal_size": "4MB", "min_wal_size": "2MB", "checkpoint_timeout": "1h"}


def keep_for_slots(server, limit):
    """A limit this small from the start would lose the slot to any checkpoint."""
    server.sql(f"alter system set max_slot_wal_keep_size = '{limit}'")
    server.sql("select pg_reload_conf()")


def newest_backup(estate):
    usable = estate.installation.repository(NEAR).backups(RESOURCE).usable
    return max(usable, key=lambda backup: backup.stop_time)


def replayable(estate, backup):
    return path_over(estate.archive().contents(), (), backup.timeline, backup.start_lsn, backup.timeline)


@pytest.mark.parametrize(
    "flavour", [Flavour.WHEEL_18, Flavour.WHEEL_16, pytest.param(Flavour.DEBIAN_15, marks=pytest.mark.debian)]
)
def test_the_stream_survives_a_restart_of_the_server_and_the_death_of_the_receiver(make_estate, flavour):
    estate = make_estate(server={"flavour": flavour})
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.server.restart("immediate")
    estate.wait_until_held(estate.write())
    receiver = estate.receiver_pid
    os.kill(receiver, signal.SIGKILL)
    estate.wait_for(lambda seen: seen.receiver_pid not in (None, receiver), "another receiver")
    estate.wait_until_held(estate.write(2))
    assert_contiguous(estate.numbers_in())
    assert estate.seen().receiving_fault is None


def test_a_server_that_is_down_is_told_and_the_stream_goes_on_when_it_is_back(make_estate):
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.server.stop()
    shown = estate.wait_for(lambda seen: seen.server_fault != "", "a server that is away")
    assert alive(estate.serving.pid)
    assert shown.exposure is not None
    estate.server.start()
    estate.wait_for(lambda seen: seen.server_fault == "" and seen.receiving_fault is None, "the server to be back")
    estate.wait_until_held(estate.write())
    assert_contiguous(estate.numbers_in())


def test_a_promotion_is_followed_and_a_restore_leads_across_it(make_estate):
    estate = make_estate(server={"settings": {"wal_keep_size": "64MB"}})
    primary, standby = estate.server, estate.server.make_standby()
    primary.sql("create table kept (n int); insert into kept values (1)")
    estate.serve()
    estate.command("backup", "orders")
    primary.sql("insert into kept values (2)")
    estate.write()
    reached = estate.flushed()
    wait_until(lambda: standby.sql("select pg_last_wal_replay_lsn()") >= [(str(reached),)], "the standby to have everything")
    estate.wait_for(lambda seen: seen.exposure is not None and seen.exposure.size_bytes == 0, "everything to be safe")
    estate.terminate()
    primary.kill_everything()
    standby.promote()
    estate.move_to(standby)
    standby.sql("insert into kept values (3)")
    estate.serve()
    new = estate.write(2)
    assert new.timeline == 2
    estate.wait_until_held(new)
    assert 2 in estate.archive().contents().histories
    assert estate.seen().receiving_fault is None
    copy = standby.sibling()
    estate.command("restore", "orders", "--to", str(copy.data))
    copy.start()
    assert copy.sql("select n from kept order by n") == [(1,), (2,), (3,)]


def test_a_receiver_ahead_on_a_dead_timeline_is_set_aside_by_itself(make_estate):
    estate = make_estate()
    primary, standby = estate.server, estate.server.make_standby()
    estate.serve()
    common = estate.write(2)
    estate.wait_until_held(common)
    reached = estate.flushed()
    wait_until(lambda: standby.sql("select pg_last_wal_replay_lsn()") >= [(str(reached),)], "the standby to have everything")
    standby.kill_everything()
    ahead = estate.write(3)
    estate.wait_until_held(ahead)
    estate.terminate()
    primary.kill_everything()
    standby.start()
    standby.promote()
    estate.move_to(standby)
    estate.serve()
    new = estate.write(2)
    estate.wait_until_held(new)
    assert new.timeline == 2
    quarantined = {path.name.partition(".")[0] for path in (estate.spool.parent / "quarantine").rglob("0*")}
    assert ahead.name in quarantined
    assert common.name not in quarantined
    assert estate.seen().receiving_fault is None
    assert "the server left that timeline at" in estate.log_text()


def test_a_lost_slot_is_told_and_a_full_backup_begins_anew_behind_the_gap(make_estate):
    estate = make_estate(server={"settings": LITTLE_WAL})
    estate.serve()
    estate.command("backup", "orders")
    before = newest_backup(estate)
    kept = estate.write()
    estate.wait_until_held(kept)
    os.kill(estate.receiver_pid, signal.SIGSTOP)
    keep_for_slots(estate.server, "2MB")
    for _ in range(4):
        estate.write(3)
        estate.server.sql("checkpoint")
    wait_until(lambda: estate.server.sql("select wal_status from pg_replication_slots") == [("lost",)], "the slot to be lost")
    os.kill(estate.receiver_pid, signal.SIGCONT)
    shown = estate.wait_for(lambda seen: seen.receiving_fault is not None, "the loss")
    assert shown.receiving_fault.code == "slot_lost"
    assert "full backup" in shown.receiving_fault.hint
    keep_for_slots(estate.server, "1GB")  # as the hint says
    estate.command("backup", "orders")
    behind = newest_backup(estate)
    assert behind.label != before.label
    assert behind.parent is None
    estate.wait_until_held(estate.write())
    estate.wait_for(lambda seen: seen.receiving_fault is None and not seen.shipping_faults, "the stream to go on")
    assert replayable(estate, behind).gap is None
    with pytest.raises(GiveUp) as gap:
        replayable(estate, before)
    assert gap.value.code == "wal_missing"
    copy = estate.server.sibling()
    estate.command("restore", "orders", "--to", str(copy.data))
    copy.start()


def test_a_dropped_slot_whose_wal_is_gone_is_told_and_begins_anew_with_a_full_backup(make_estate):
    estate = make_estate(server={"settings": LITTLE_WAL})
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write(2))
    estate.terminate()
    estate.installation.receivers[RESOURCE].stop()
    wait_until(lambda: estate.server.sql("select active from pg_replication_slots") == [(False,)], "the slot to be free")
    estate.server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    for _ in range(4):
        estate.write(3)
        estate.server.sql("checkpoint")
    estate.serve()
    shown = estate.wait_for(lambda seen: seen.receiving_fault is not None, "the gap")
    assert shown.receiving_fault.code == "wal_removed"
    assert "full backup" in shown.receiving_fault.hint
    keep_for_slots(estate.server, "1GB")  # as the hint says
    estate.command("backup", "orders")
    assert newest_backup(estate).parent is None
    estate.wait_until_held(estate.write())
    assert replayable(estate, newest_backup(estate)).gap is None
    estate.wait_for(lambda seen: seen.receiving_fault is None and not seen.shipping_faults, "the stream to go on")


def test_what_was_received_before_a_gap_is_not_moved_while_the_first_repository_is_away_and_named_where_another_lacks_it(
    make_estate,
):
    estate = make_estate(bucket=True, server={"settings": LITTLE_WAL})
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write(), NEAR, FAR)
    estate.terminate()
    received = estate.write(2)
    receiver = estate.installation.receivers[RESOURCE]
    wait_until(lambda: received in receiver.spool().segments, "the receiver to go on by itself")
    receiver.stop()
    wait_until(lambda: estate.server.sql("select active from pg_replication_slots") == [(False,)], "the slot to be free")
    estate.server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    for _ in range(4):
        estate.write(3)
        estate.server.sql("checkpoint")
    step = StartWalStream(RESOURCE, estate.installation.stack.slot_of(RESOURCE), begin_anew_in=(NEAR, FAR))
    world = world_of(estate.installation)
    estate.unmount()
    with pytest.raises(TryAgain) as away:
        step.run(world)
    assert away.value.code == "store_unreachable"
    assert received in receiver.spool().segments
    estate.mount()
    estate.s3.stop()
    evidence = []

    def begun_anew():
        with contextlib.suppress(TryAgain):
            evidence.append(step.run(world))
        return bool(evidence)

    wait_until(begun_anew, "the stream to begin anew")
    assert estate.holds(received)
    anew = evidence[0].proof["began_anew"]
    assert [each.partition(":")[0] for each in anew["not_shipped"]] == ["far"]
    assert (Path(anew["quarantined_to"]) / received.name).exists()
    assert anew["quarantined_to"] in evidence[0].hint and "far: store_unreachable" in evidence[0].hint


def test_a_slot_that_gets_short_of_room_is_warned_of_and_shown_before_it_is_lost(make_estate):
    estate = make_estate(server={"settings": LITTLE_WAL})
    estate.serve()
    estate.wait_for(lambda seen: seen.slot is not None and seen.slot.active, "the stream")
    keep_for_slots(estate.server, "16MB")
    shown = estate.wait_for(lambda seen: seen.slot is not None and not seen.slot.is_short, "room")
    os.kill(estate.receiver_pid, signal.SIGSTOP)
    try:
        while not shown.slot.is_short:
            kept = shown.slot.kept_bytes
            estate.write()
            shown = estate.wait_for(
                lambda seen: seen.slot is not None and seen.slot.kept_bytes > kept,  # noqa: B023
                "the next look at the slot",
            )
    finally:
        os.kill(estate.receiver_pid, signal.SIGCONT)
    assert shown.slot.wal_status in ("reserved", "extended", "unreserved")
    wait_until(lambda: "the server gives it up" in estate.log_text(), "the warning")
    estate.wait_for(lambda seen: seen.slot is not None and not seen.slot.is_short, "room again")
    assert "slot           " in estate.command("status", expect=3).stdout


def test_a_hole_in_the_wal_is_told_and_closed_by_a_full_backup_behind_it(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    before = newest_backup(estate)
    estate.wait_until_held(estate.write())
    estate.unmount()
    lost = estate.write()
    later = estate.write(2)
    wait_until(lambda: (estate.spool / later.name).exists(), "the segments to be received")
    (estate.spool / lost.name).unlink()
    estate.mount()
    shown = estate.wait_for(
        lambda seen: NEAR in seen.shipping_faults and seen.shipping_faults[NEAR].code == "wal_hole", "the hole to be told"
    )
    assert lost.name in shown.shipping_faults[NEAR].found
    assert "backup RESOURCE --full" in shown.shipping_faults[NEAR].hint
    assert not estate.holds(later)
    estate.command("backup", "orders", "--incremental")
    behind = newest_backup(estate)
    assert behind.parent is None, "an incremental one would not do"
    estate.wait_until_held(estate.write())
    estate.wait_for(lambda seen: not seen.shipping_faults, "no fault any more")
    assert replayable(estate, behind).gap is None
    assert not estate.holds(lost)
    with pytest.raises(GiveUp) as gap:
        replayable(estate, before)
    assert gap.value.code == "wal_missing"
    assert isinstance(lost, WalSegment)
    assert estate.seen().exposure.known
