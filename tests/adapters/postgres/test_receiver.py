import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.servers.flavours import REPLICATION_PASSWORD, REPLICATION_ROLE, Flavour, give_to_owner, server_owner
from tests.servers.ledger import Ledger
from tests.servers.processes import alive, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.adapters.postgres.receiver_log import ReceiverLog
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import Lsn, WalSegment

MEGABYTE = 1024 * 1024


@pytest.fixture
def receivers(tmp_path):
    """A factory of receivers with small spools; what they started is stopped after the test."""
    made = []

    def make(server, url=None, **options) -> PostgresWalReceiver:
        secret = Secret(url or server.replication_url)
        named = {
            "slot": "understudy",
            "spool_directory": tmp_path / "spool",
            "limit_bytes": 64 * MEGABYTE,
            "application_name": "understudy_test",
            "programs_directory": str(server.programs),
        } | options
        made.append(PostgresWalReceiver(secret, PostgresDatabase(secret, SystemClock()), SystemClock(), ReceiverOptions(**named)))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def server(postgres_servers):
    return postgres_servers(segment_megabytes=1)


def write_segments(server, count: int) -> None:
    for _ in range(count):
        server.sql("select pg_logical_emit_message(false, 'x', repeat('x', 500000))")
        server.sql("select pg_switch_wal()")


def wait_for_segments(receiver, count: int) -> tuple[WalSegment, ...]:
    wait_until(lambda: len(receiver.spool().segments) >= count, f"{count} complete segments")
    return receiver.spool().segments


def wait_until_all_is_received(server, receiver) -> None:
    """The sent WAL is in the receiver's files, as far as the server has flushed it."""
    [(flushed,)] = server.sql("select pg_current_wal_flush_lsn() - '0/0'::pg_lsn")

    def reached():
        rows = server.sql("select write_lsn - '0/0'::pg_lsn from pg_stat_replication where application_name = 'understudy_test'")
        return bool(rows) and rows[0][0] is not None and rows[0][0] >= flushed

    wait_until(reached, "the receiver to have everything")


@pytest.mark.parametrize("flavour", list(Flavour))
def test_it_streams_complete_segments_and_the_tail(postgres_servers, receivers, flavour):
    server = postgres_servers(flavour, segment_megabytes=1)
    receiver = receivers(server, synchronous=True)
    facts = receiver.ensure_running()
    assert facts.running
    assert alive(facts.pid)
    write_segments(server, 3)
    segments = wait_for_segments(receiver, 3)
    assert_contiguous(segments)
    for segment in segments:
        assert segment.size_bytes == MEGABYTE
        assert receiver.read_segment(segment) == (server.data / "pg_wal" / segment.name).read_bytes()
    server.sql("select pg_logical_emit_message(true, 'x', 'the newest words')")
    wait_until_all_is_received(server, receiver)
    partial = receiver.spool().partial
    tail = receiver.read_tail(partial, 0)
    assert b"the newest words" in tail
    assert tail[-1] != 0
    assert (server.data / "pg_wal" / partial.name).read_bytes()[: len(tail)] == tail
    assert receiver.read_tail(partial, len(tail)) == b""


def test_a_tail_can_be_read_while_its_segment_turns_complete(server, receivers):
    receiver = receivers(server, synchronous=True)
    receiver.ensure_running()
    write_segments(server, 1)
    server.sql("select pg_logical_emit_message(true, 'x', 'first')")
    wait_until_all_is_received(server, receiver)
    segment = receiver.spool().partial
    first = receiver.read_tail(segment, 0)
    server.sql("select pg_logical_emit_message(true, 'x', 'second')")
    server.sql("select pg_switch_wal()")
    wait_until(lambda: segment in receiver.spool().segments, "the segment to be complete")
    rest = receiver.read_tail(segment, len(first))
    assert b"second" in rest
    assert (first + rest).ljust(MEGABYTE, b"\0") == receiver.read_segment(segment)


def test_the_slot_is_reserved_before_the_first_byte_and_wal_written_before_is_received(server, receivers):
    receiver = receivers(server)
    PostgresDatabase(Secret(server.replication_url), SystemClock()).reserve_slot("understudy")
    write_segments(server, 3)
    receiver.ensure_running()
    wait_for_segments(receiver, 3)


def test_the_password_is_neither_on_the_command_line_nor_in_the_log(server, receivers, tmp_path):
    pid = receivers(server).ensure_running().pid
    command_line = Path(f"/proc/{pid}/cmdline").read_text()
    environment = Path(f"/proc/{pid}/environ").read_text()
    assert REPLICATION_ROLE in command_line
    assert REPLICATION_PASSWORD not in command_line + environment
    assert "password=" not in command_line
    assert REPLICATION_PASSWORD not in (tmp_path / "spool" / "receiver.log").read_text()
    assert stat.S_IMODE((tmp_path / "spool" / "passfile").stat().st_mode) == 0o600


def test_it_survives_the_sigkill_of_its_controller_and_is_adopted(server, receivers, tmp_path):
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from understudy.adapters.clock.system import SystemClock
        from understudy.adapters.postgres.database import PostgresDatabase
        from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
        from understudy.vocabulary.secret import Secret
        secret = Secret({server.replication_url!r})
        options = ReceiverOptions("understudy", Path({str(tmp_path / "spool")!r}), 64 * 2**20, "understudy_test",
                                  programs_directory={str(server.programs)!r})
        receiver = PostgresWalReceiver(secret, PostgresDatabase(secret, SystemClock()), SystemClock(), options)
        print(receiver.ensure_running().pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    receiver = receivers(server)
    facts = receiver.ensure_running()
    assert facts.pid == int(killed.stdout)
    write_segments(server, 2)
    wait_for_segments(receiver, 2)
    receiver.stop()
    assert not alive(facts.pid)
    assert receiver.facts().running is False


def test_a_second_start_adopts_the_first(server, receivers):
    first, second = receivers(server), receivers(server)
    assert first.ensure_running().pid == second.ensure_running().pid
    second.stop()
    assert not first.facts().running


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


def test_it_goes_on_after_a_restart_of_the_server(server, receivers):
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    server.stop()
    wait_until(lambda: any("disconnected" in line for line in receiver.facts().last_words), "the receiver to notice")
    assert receiver.facts().running
    with pytest.raises(TryAgain) as unreachable:
        receiver.ensure_running()
    assert unreachable.value.code == "database_unreachable"
    assert receiver.facts().running
    server.start()
    receiver.ensure_running()
    write_segments(server, 2)
    assert_contiguous(wait_for_segments(receiver, 4))


def test_it_goes_on_after_a_crash_of_the_server_and_of_itself(server, receivers):
    receiver = receivers(server)
    pid = receiver.ensure_running().pid
    write_segments(server, 2)
    server.kill_everything()
    os.kill(pid, signal.SIGKILL)
    server.start()
    write_segments(server, 2)
    assert receiver.ensure_running().pid != pid
    assert_contiguous(wait_for_segments(receiver, 4))


def assert_contiguous(segments) -> None:
    assert [segment.number for segment in segments] == list(range(segments[0].number, segments[0].number + len(segments)))


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


@pytest.fixture
def tiny_file_system(tmp_path):
    """16 MB of their own."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own needs the privilege to mount one")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


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


def test_secrets_that_pg_receivewal_takes_on_its_command_line_only_are_refused(server, receivers):
    with pytest.raises(GiveUp) as refused:
        receivers(server, server.replication_url + "?sslpassword=Pass-phrase").ensure_running()
    assert refused.value.code == "connection_string_unsupported"
    assert "sslpassword" in refused.value.found
    assert "Pass-phrase" not in str(refused.value)


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


def test_a_limit_that_could_never_be_kept_is_refused(server, receivers):
    with pytest.raises(Refusal) as refused:
        receivers(server, limit_bytes=2 * MEGABYTE).ensure_running()
    assert refused.value.code == "spool_limit_too_small"


def test_a_wrong_password_is_told_as_such(server, receivers):
    url = f"host=127.0.0.1 port={server.port} user={REPLICATION_ROLE} dbname=postgres password=Wr0ng-word"
    with pytest.raises(GiveUp) as refused:
        receivers(server, url).ensure_running()
    assert refused.value.code == "password_rejected"
    assert "Wr0ng" not in str(refused.value)


def test_another_clusters_wal_does_not_go_into_the_same_spool(server, receivers, postgres_servers):
    receiver = receivers(server)
    receiver.ensure_running()
    receiver.stop()
    other = postgres_servers(segment_megabytes=1, fresh=True)
    with pytest.raises(GiveUp) as refused:
        receivers(other).ensure_running()
    assert refused.value.code == "system_identifier_changed"


@pytest.mark.parametrize("last_words", ["", "select pg_logical_emit_message(true, 'x', 'in the middle of a segment')"])
def test_a_promoted_standby_is_followed_to_its_timeline(postgres_servers, receivers, last_words):
    """Also where the old timeline ends exactly at a segment's end, which pg_receivewal by itself does not survive."""
    server = postgres_servers(segment_megabytes=1, settings={"wal_keep_size": "64MB"})
    standby = server.make_standby()
    receiver = receivers(server)
    receiver.ensure_running()
    write_segments(server, 2)
    server.sql(last_words)
    wait_until_all_is_received(server, receiver)
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


def wait_until_replayed(server) -> None:
    """The standby has all that this server wrote."""
    wait_until(
        lambda: (
            server.sql(
                "select pg_current_wal_flush_lsn() = replay_lsn from pg_stat_replication where application_name = 'walreceiver'"
            )
            == [(True,)]
        ),
        "the standby to have everything",
    )


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
    wait_until_all_is_received(server, receiver)
    receiver.stop()
    server.kill_everything()
    standby.start()
    standby.promote()
    follower = receivers(standby)
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
    place = follower.quarantine(doomed, "ran ahead on timeline 1")
    assert {path.name.removesuffix(".partial") for path in Path(place).iterdir()} == {s.name for s in doomed} | {"REASON"}
    follower.ensure_running()
    write_segments(standby, 1)
    wait_until(lambda: any(each.timeline == 2 for each in follower.spool().segments), "a segment of the new timeline")


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


def test_wal_that_the_server_removed_is_a_final_fault_in_its_own_words(postgres_servers, receivers):
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
    assert failed.value.code == "receiver_failed"
    assert "has already been removed" in failed.value.found
    assert not receiver.facts().running


@pytest.mark.skipif(server_owner() is None, reason="only root can start it as somebody else")
def test_it_runs_as_the_user_that_was_named(server, receivers):
    account = Account.choose()
    spool = server.new_directory("for-spool") / "spool"
    receiver = receivers(server, account=account, spool_directory=spool)
    pid = receiver.ensure_running().pid
    assert Path(f"/proc/{pid}").stat().st_uid == account.user_id
    write_segments(server, 2)
    wait_for_segments(receiver, 2)


@pytest.mark.parametrize("flavour", [Flavour.WHEEL_18, Flavour.DEBIAN_15])
def test_no_acknowledged_commit_is_missing_from_a_synchronous_spool(postgres_servers, receivers, flavour, tmp_path):
    server = postgres_servers(flavour, settings={"synchronous_standby_names": "understudy_test"})
    receiver = receivers(server, synchronous=True, limit_bytes=256 * MEGABYTE)
    receiver.ensure_running()
    wait_until(lambda: server.sql("select sync_state from pg_stat_replication") == [("sync",)], "a synchronous standby")
    recovered = server.sibling()
    server.program("pg_basebackup", "-D", str(recovered.data), "-X", "none", "-c", "fast", "--no-sync")
    with Ledger(server.url, tmp_path / "ledger") as ledger:
        ledger.wait_for(200)
        server.kill_everything()
        ledger.wait()
    recover_from_spool(receiver, recovered)
    del recovered.settings["synchronous_standby_names"]
    recovered.start()
    assert len(ledger.acknowledged()) >= 200
    assert ledger.acknowledged() <= Ledger.found(recovered.url)


def recover_from_spool(receiver, recovered) -> None:
    """Give a base backup the spool's segments and its tail, padded, and nothing of the dead server's."""
    partial = receiver.spool().partial
    contents = {each: receiver.read_segment(each) for each in receiver.spool().segments}
    contents[partial] = receiver.read_tail(partial, 0).ljust(partial.size_bytes, b"\0")
    for segment, content in contents.items():
        path = recovered.data / "pg_wal" / segment.name
        path.write_bytes(content)
        give_to_owner(path)


def test_the_log_is_cut_while_its_writer_goes_on(tmp_path):
    log = ReceiverLog(tmp_path / "receiver.log")
    with log.path.open("ab") as writer:
        writer.write(b"x" * 99 + b"\n")
        for _ in range(20_000):
            writer.write(b"finished segment at 0/1000000 (timeline 1), and so on, and so on\n")
        writer.flush()
        log.keep_small()
        writer.write(b"pg_receivewal: disconnected; waiting 5 seconds to try again\n")
        writer.flush()
    assert log.path.stat().st_size < 1000
    assert log.disconnected()
    assert log.path.with_suffix(".log.1").stat().st_size <= 64 * 1024
