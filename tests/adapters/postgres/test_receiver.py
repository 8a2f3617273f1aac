import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.adapters.postgres.streaming import (
    MEGABYTE,
    assert_contiguous,
    wait_for_segments,
    wait_until_all_is_received,
    write_segments,
)
from tests.contracts.wal_receiver import WalReceiverContract
from tests.servers.flavours import REPLICATION_PASSWORD, REPLICATION_ROLE, Flavour
from tests.servers.processes import alive, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver_log import ReceiverLog
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.secret import Secret


class TestPostgresWalReceiver(WalReceiverContract):
    @pytest.fixture
    def receiver(self, receivers, server):
        return receivers(server)

    @pytest.fixture
    def write_segments(self, server):
        return lambda count: write_segments(server, count)


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
        assert b"".join(receiver.read_segment(segment)) == (server.data / "pg_wal" / segment.name).read_bytes()
    server.sql("select pg_logical_emit_message(true, 'x', 'the newest words')")
    wait_until_all_is_received(server)
    partial = receiver.spool().partial
    tail = b"".join(receiver.read_tail(partial, 0))
    assert b"the newest words" in tail
    assert tail[-1] != 0
    assert (server.data / "pg_wal" / partial.name).read_bytes()[: len(tail)] == tail
    assert b"".join(receiver.read_tail(partial, len(tail))) == b""


def test_a_tail_can_be_read_while_its_segment_turns_complete(server, receivers):
    receiver = receivers(server, synchronous=True)
    receiver.ensure_running()
    write_segments(server, 1)
    server.sql("select pg_logical_emit_message(true, 'x', 'first')")
    wait_until_all_is_received(server)
    segment = receiver.spool().partial
    first = b"".join(receiver.read_tail(segment, 0))
    server.sql("select pg_logical_emit_message(true, 'x', 'second')")
    server.sql("select pg_switch_wal()")
    wait_until(lambda: segment in receiver.spool().segments, "the segment to be complete")
    rest = b"".join(receiver.read_tail(segment, len(first)))
    assert b"second" in rest
    assert (first + rest).ljust(MEGABYTE, b"\0") == b"".join(receiver.read_segment(segment))


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
        database = PostgresDatabase(secret, SystemClock())
        receiver = PostgresWalReceiver(secret, lambda: database, SystemClock(), options)
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
