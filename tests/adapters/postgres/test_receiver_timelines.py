from pathlib import Path

import pytest

from tests.adapters.postgres.streaming import (
    MEGABYTE,
    assert_contiguous,
    wait_for_segments,
    wait_until_all_is_received,
    wait_until_replayed,
    write_segments,
)
from tests.servers.processes import wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import Lsn


@pytest.mark.parametrize("last_words", ["", "select pg_logical_emit_message(true, 'x', 'in the middle of a segment')"])
def test_a_promoted_standby_is_followed_to_its_timeline(postgres_servers, receivers, last_words):
    """Also where the old timeline ends exactly at a segment's end, which pg_receivewal by itself does not survive."""
    server = postgres_servers(segment_megabytes=1, settings={"wal_keep_size": "64MB"})
    standby = server.make_standby()
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    server.sql(last_words)
    wait_until_all_is_received(server)
    wait_until_replayed(server)
    received = receiver.spool().segments
    receiver.stop()
    server.kill_everything()
    standby.promote()
    follower = receivers(standby)
    follower.ensure_running()
    write_segments(standby, 2)
    wait_until(lambda: [each.timeline for each in follower.spool().segments].count(2) >= 2, "segments of the new timeline")
    new = tuple(segment for segment in follower.spool().segments if segment.timeline == 2)
    assert new[0].number == received[-1].number + 1
    assert_contiguous(new)
    assert follower.spool().histories == (2,)
    assert follower.read_history(2) == PostgresDatabase(Secret(standby.url), SystemClock()).timeline_history(2)
    assert follower.spool().partial is None or follower.spool().partial.timeline == 2


def test_a_receiver_ahead_on_a_dead_timeline_is_told_and_goes_on_once_that_wal_is_quarantined(server, receivers):
    standby = server.make_standby()
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    common = wait_for_segments(receiver, 2)
    wait_until_replayed(server)
    standby.kill_everything()
    write_segments(server, 3)
    wait_for_segments(receiver, len(common) + 3)
    wait_until_all_is_received(server)
    receiver.stop()
    server.kill_everything()
    standby.start()
    follower = receivers(standby)
    for attempt in (follower.ensure_running, lambda: follower.quarantine_diverged("a test")):
        with pytest.raises(TryAgain) as behind:  # it may only not have replayed yet what it has
            attempt()
        assert behind.value.code == "standby_behind"
    standby.promote()
    with pytest.raises(GiveUp) as diverged:
        follower.ensure_running()
    assert diverged.value.code == "receiver_diverged"
    fork = PostgresDatabase(Secret(standby.url), SystemClock()).timeline_history(2).decode().split()[1]
    assert fork in diverged.value.found
    spool = follower.spool()
    doomed = [segment for segment in spool.segments if segment.end > Lsn.parse(fork)]
    doomed += [spool.partial] if spool.partial else []
    assert doomed
    assert all(segment.name in diverged.value.hint for segment in doomed)
    place = follower.quarantine_diverged("ran ahead on timeline 1")
    assert {path.name.removesuffix(".partial") for path in Path(place).iterdir()} == {s.name for s in doomed} | {"REASON"}
    follower.ensure_running()
    write_segments(standby, 1)
    wait_until(lambda: any(each.timeline == 2 for each in follower.spool().segments), "a segment of the new timeline")


def test_what_is_left_of_ended_timelines_goes_with_what_is_quarantined(server, receivers, tmp_path):
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    segments = wait_for_segments(receiver, 2)
    receiver.stop()
    leftover = tmp_path / "spool" / "wal" / f"{segments[0].name}.partial"
    leftover.write_bytes(bytes(MEGABYTE))
    spool = receiver.spool()
    place = receiver.quarantine([*spool.segments, *([spool.partial] if spool.partial else [])], "a test")
    assert (Path(place) / leftover.name).exists()
    assert receiver.spool().segments == ()
    assert receiver.spool().partial is None


def test_a_server_that_was_set_back_on_its_timeline_is_for_a_person_to_judge(postgres_servers, receivers):
    """Nothing says which of the two is right, so nothing is moved."""
    server = postgres_servers(segment_megabytes=1)
    old = server.sibling()
    server.program("pg_basebackup", "-D", str(old.data), "-X", "fetch", "-c", "fast", "--no-sync")
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 3)
    wait_for_segments(receiver, 3)
    receiver.stop()
    segments = receiver.spool().segments
    server.kill_everything()
    follower = receivers(old.start())
    for attempt in (follower.ensure_running, lambda: follower.quarantine_diverged("a test")):
        with pytest.raises(GiveUp) as diverged:
            attempt()
        assert diverged.value.code == "receiver_diverged"
        assert segments[-1].name in diverged.value.hint
        assert "understudy recover" in diverged.value.hint
    assert follower.spool().segments == segments
