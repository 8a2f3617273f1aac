"""A repository goes away and comes back while WAL is written."""

import pytest

from tests.faults.estate import FAR, NEAR, RESOURCE, assert_contiguous
from tests.faults.test_streams import LITTLE_WAL, keep_for_slots, newest_backup, replayable
from tests.servers.processes import wait_until
from understudy.vocabulary.errors import GiveUp


def test_a_bucket_that_is_away_holds_up_nobody_and_catches_up(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    estate.s3.stop()
    during = estate.write(3)
    estate.wait_until_held(during, NEAR)
    shown = estate.wait_for(lambda seen: FAR in seen.shipping_faults, "the fault of the bucket")
    assert set(shown.shipping_faults) == {FAR}
    assert shown.shipping_faults[FAR].hint
    assert (estate.spool / during.name).exists()
    estate.s3.start()
    estate.wait_until_held(during, FAR)
    estate.wait_for(lambda seen: not seen.shipping_faults, "no fault any more")
    assert_contiguous(estate.numbers_in(FAR))
    assert estate.numbers_in(FAR) == estate.numbers_in(NEAR)
    estate.wait_until_held(estate.write(), NEAR, FAR)
    wait_until(lambda: not (estate.spool / during.name).exists(), "what both hold to be forgotten")
    assert len([path for path in estate.spool.iterdir() if len(path.name) == 24]) >= 1


def test_a_disk_that_is_not_mounted_gets_nothing_and_catches_up(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    estate.unmount()
    estate.near.mkdir()
    during = estate.write(3)
    estate.wait_until_held(during, FAR)
    shown = estate.wait_for(lambda seen: NEAR in seen.shipping_faults, "the fault of the disk")
    assert shown.shipping_faults[NEAR].code == "store_unreachable"
    assert "mounted" in shown.shipping_faults[NEAR].hint
    assert "store_unreachable" in estate.command("status", expect=3).stdout
    assert list(estate.near.iterdir()) == []
    estate.near.rmdir()
    estate.mount()
    estate.wait_until_held(during, NEAR)
    estate.wait_for(lambda seen: not seen.shipping_faults, "no fault any more")
    assert_contiguous(estate.numbers_in(NEAR))


def test_a_repository_of_an_idle_database_that_went_away_is_told_too(make_estate):
    """Nobody writes, so nothing would be sent to it for hours."""
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.unmount()
    estate.wait_for(lambda seen: NEAR in seen.shipping_faults, "the fault of the disk")
    estate.mount()
    estate.wait_for(lambda seen: not seen.shipping_faults, "no fault any more")


def test_a_full_spool_stops_the_stream_and_says_so_until_there_is_room(make_estate):
    estate = make_estate(wal={"ship_every": "1s", "spool_limit": "64MiB"})
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.unmount()
    estate.write(66)
    shown = estate.wait_for(lambda seen: seen.receiving_fault and not seen.receiver_running, "a stream that has stopped")
    assert shown.receiving_fault.code == "spool_full"
    assert "max_slot_wal_keep_size" in shown.receiving_fault.hint
    assert "spool_full" in estate.log_text()
    assert "spool_full" in estate.command("status", expect=3).stdout
    beyond = estate.write(3)
    assert not (estate.spool / beyond.name).exists()
    estate.mount()
    estate.wait_until_held(beyond)
    estate.wait_for(lambda seen: seen.receiving_fault is None and seen.receiver_running, "the stream to go on")
    assert_contiguous(estate.numbers_in())


def test_a_slot_that_is_lost_behind_a_full_spool_is_told_and_a_full_backup_begins_anew(make_estate):
    """While the spool is full the server alone decides how long it keeps what comes next."""
    estate = make_estate(server={"settings": LITTLE_WAL}, wal={"ship_every": "1s", "spool_limit": "64MiB"})
    estate.serve()
    estate.command("backup", "orders")
    before = newest_backup(estate)
    estate.unmount()
    estate.write(66)
    estate.wait_for(lambda seen: seen.receiving_fault and not seen.receiver_running, "a spool that is full")
    received = estate.installation.receivers[RESOURCE].spool().segments
    keep_for_slots(estate.server, "2MB")
    for _ in range(4):
        beyond = estate.write(3)
        estate.server.sql("checkpoint")
    shown = estate.wait_for(lambda seen: seen.slot is not None and seen.slot.wal_status == "lost", "the loss to be shown")
    assert shown.receiving_fault.code == "spool_full", "what must be mended first"
    assert "the server gives it up" in estate.log_text()
    assert "lost" in estate.command("status").stdout
    estate.mount()
    shown = estate.wait_for(lambda seen: seen.receiving_fault and seen.receiving_fault.code == "slot_lost", "the loss")
    assert "full backup" in shown.receiving_fault.hint
    assert not estate.holds(beyond)

    keep_for_slots(estate.server, "1GB")  # as the hint says
    estate.command("backup", "orders")
    behind = newest_backup(estate)
    assert (behind.parent, behind.label == before.label) == (None, False)
    estate.wait_until_held(estate.write())
    estate.wait_for(lambda seen: seen.receiving_fault is None and not seen.shipping_faults, "the stream to go on")
    assert replayable(estate, behind).gap is None
    held = estate.archive().contents()
    assert all(held.holds(segment) for segment in received), "nothing that was received is lost"
    with pytest.raises(GiveUp) as gap:
        replayable(estate, before)
    assert gap.value.code == "wal_missing"


def test_a_full_disk_below_the_spool_is_told_and_the_stream_goes_on_when_there_is_room(make_estate, tiny_file_system):
    estate = make_estate(wal={"ship_every": "1s", "spool": str(tiny_file_system / "spool")})
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.unmount()
    ballast = tiny_file_system / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    last = estate.write(4)
    shown = estate.wait_for(lambda seen: seen.receiving_fault is not None, "a disk that is full")
    assert shown.receiving_fault.code == "spool_full"
    assert str(tiny_file_system) in shown.receiving_fault.found
    estate.mount()
    ballast.unlink()
    estate.wait_until_held(last)
    estate.wait_for(lambda seen: seen.receiving_fault is None, "the stream to go on")
    assert_contiguous(estate.numbers_in())


def test_nothing_is_forgotten_while_one_repository_has_not_said_what_it_holds(make_estate):
    estate = make_estate(bucket=True)
    estate.s3.stop()
    estate.serve()
    last = estate.write(3)
    estate.wait_until_held(last, NEAR)
    estate.wait_for(lambda seen: FAR in seen.shipping_faults, "the fault of the bucket")
    held = estate.installation.receivers[RESOURCE].spool().segments
    assert last in held
    assert_contiguous([segment.number for segment in held])
    assert estate.numbers_in(NEAR) == [segment.number for segment in held]
    estate.s3.start()
    estate.wait_until_held(last, FAR)
