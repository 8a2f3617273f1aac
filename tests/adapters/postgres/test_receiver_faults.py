import subprocess
from pathlib import Path

import pytest

from tests.adapters.postgres.streaming import MEGABYTE, assert_contiguous, wait_for_segments, write_segments
from tests.servers.flavours import REPLICATION_ROLE
from tests.servers.processes import wait_until
from tests.told import told_whole
from understudy.vocabulary.errors import GiveUp, Refusal


def test_a_spool_that_somebody_else_locked_is_refused(server, receivers, tmp_path):
    receiver = receivers(server)
    receiver.ensure_running()
    receiver.stop()
    holder = subprocess.Popen(["flock", str(tmp_path / "spool" / "lock"), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdin.write(b"locked\n")
        holder.stdin.flush()
        holder.stdout.readline()
        with pytest.raises(GiveUp) as refused:
            receiver.ensure_running()
        assert refused.value.code == "spool_busy"
    finally:
        holder.communicate()


def test_a_full_spool_stops_the_stream_until_there_is_room(server, receivers):
    receiver = receivers(server, limit_bytes=6 * MEGABYTE)
    receiver.ensure_running()
    write_segments(server, 7)
    wait_for_segments(receiver, 7)
    with pytest.raises(GiveUp) as full:
        receiver.ensure_running()
    assert full.value.code == "spool_full"
    assert not receiver.facts().running
    write_segments(server, 2)
    with pytest.raises(GiveUp):
        receiver.ensure_running()
    receiver.forget(receiver.spool().segments)
    assert len(receiver.spool().segments) == 1
    [newest] = receiver.spool().segments
    receiver.ensure_running()
    assert_contiguous(wait_for_segments(receiver, 3))
    assert receiver.spool().segments[0] == newest


def test_a_full_disk_is_told_and_the_stream_goes_on_when_there_is_room(server, receivers, tiny_file_system):
    ballast = tiny_file_system / "ballast"
    receiver = receivers(server, spool_directory=tiny_file_system / "spool")
    receiver.ensure_running()
    write_segments(server, 2)
    wait_for_segments(receiver, 2)
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    write_segments(server, 3)
    wait_until(lambda: any("disconnected" in line for line in receiver.facts().last_words), "the receiver to fail")
    with pytest.raises(GiveUp) as full:
        receiver.ensure_running()
    assert full.value.code == "spool_full"
    assert "max_slot_wal_keep_size" in full.value.hint
    ballast.unlink()
    receiver.ensure_running()
    assert_contiguous(wait_for_segments(receiver, 5))


def test_a_limit_that_could_never_be_kept_is_refused(server, receivers):
    with pytest.raises(Refusal) as refused:
        receivers(server, limit_bytes=2 * MEGABYTE).ensure_running()
    assert refused.value.code == "spool_limit_too_small"


def test_secrets_that_pg_receivewal_takes_on_its_command_line_only_are_refused(server, receivers):
    with pytest.raises(GiveUp) as refused:
        receivers(server, server.replication_url + "?sslpassword=Pass-phrase").ensure_running()
    assert refused.value.code == "connection_string_unsupported"
    assert "sslpassword" in refused.value.found
    assert "Pass-phrase" not in str(refused.value)
    assert server.sql("select slot_name from pg_replication_slots") == [], "one without a receiver would hold WAL"


def test_a_wrong_password_is_told_as_such(server, receivers):
    url = f"host=127.0.0.1 port={server.port} user={REPLICATION_ROLE} dbname=postgres password=Wr0ng-word"
    with pytest.raises(GiveUp) as refused:
        receivers(server, url).ensure_running()
    assert told_whole(refused.value) == "password_rejected"
    assert "Wr0ng" not in str(refused.value)


def test_another_clusters_wal_does_not_go_into_the_same_spool(server, receivers, postgres_servers):
    receiver = receivers(server)
    receiver.ensure_running()
    receiver.stop()
    other = postgres_servers(segment_megabytes=1, fresh=True)
    with pytest.raises(GiveUp) as refused:
        receivers(other).ensure_running()
    assert refused.value.code == "system_identifier_changed"


def test_a_partial_segment_cut_off_while_it_was_padded_does_not_stop_the_stream(server, receivers, tmp_path):
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    segments = wait_for_segments(receiver, 2)
    receiver.stop()
    for leftover in (tmp_path / "spool" / "wal").glob("*.partial"):
        leftover.unlink()
    newest = receiver.spool().segments[-1]
    assert newest in (*segments, segments[-1].following)
    (tmp_path / "spool" / "wal" / f"{newest.following.name}.partial").write_bytes(bytes(5000))
    receiver.ensure_running()
    write_segments(server, 2)
    assert_contiguous(wait_for_segments(receiver, 4))


def test_wal_that_the_server_removed_is_a_final_fault_with_the_servers_own_words(postgres_servers, receivers):
    server = postgres_servers(segment_megabytes=1, settings={"max_wal_size": "4MB", "min_wal_size": "2MB"})
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    wait_for_segments(receiver, 2)
    receiver.stop()
    server.sql("select pg_drop_replication_slot('understudy')")
    write_segments(server, 8)
    server.sql("checkpoint")
    with pytest.raises(GiveUp) as failed:
        receiver.ensure_running()
    assert failed.value.code == "wal_removed"
    for _ in range(5):
        # Its first message sets the slot back to where the spool ends, and the server does not call the slot lost.
        with pytest.raises(GiveUp) as again:
            receiver.ensure_running()
        assert again.value.code == "wal_removed"
    assert "has already been removed" in failed.value.found
    assert not receiver.facts().running


def test_why_the_receiver_failed_is_told_also_where_the_role_may_not_look_for_removed_wal(server, receivers, tmp_path):
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    wait_for_segments(receiver, 2)
    receiver.stop()
    write_segments(server, 2)
    failing = tmp_path / "programs"
    failing.mkdir()
    for program in Path(server.programs).iterdir():
        (failing / program.name).symlink_to(program)
    (failing / "pg_receivewal").unlink()
    (failing / "pg_receivewal").write_text(
        f'#!/bin/sh\ntest "$1" = --version && exec {server.programs}/pg_receivewal "$1"\n'
        "echo 'pg_receivewal: error: it broke' >&2\nexit 1\n"
    )
    (failing / "pg_receivewal").chmod(0o755)
    server.sql(f"revoke pg_monitor from {REPLICATION_ROLE}")
    with pytest.raises(GiveUp) as failed:
        receivers(server, programs_directory=str(failing)).ensure_running()
    assert failed.value.code == "receiver_failed"
    assert "it broke" in failed.value.found
    assert "GRANT pg_monitor" in failed.value.hint
