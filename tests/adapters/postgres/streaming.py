"""What the tests of the receiver share: WAL in small segments, and waiting for it to arrive."""

from tests.servers.processes import wait_until
from understudy.ports.wal_receiver import WalReceiver
from understudy.vocabulary.wal import WalSegment

MEGABYTE = 1024 * 1024
APPLICATION_NAME = "understudy_test"


def write_segments(server, count: int) -> None:
    for _ in range(count):
        server.sql("select pg_logical_emit_message(false, 'x', repeat('x', 500000))")
        server.sql("select pg_switch_wal()")


def wait_for_segments(receiver: WalReceiver, count: int) -> tuple[WalSegment, ...]:
    wait_until(lambda: len(receiver.spool().segments) >= count, f"{count} complete segments")
    return receiver.spool().segments


def wait_until_all_is_received(server) -> None:
    """What the server has flushed up to now is written in the receiver's files."""
    [(flushed,)] = server.sql("select pg_current_wal_flush_lsn() - '0/0'::pg_lsn")

    def reached() -> bool:
        rows = server.sql(
            f"select write_lsn - '0/0'::pg_lsn from pg_stat_replication where application_name = '{APPLICATION_NAME}'"  # noqa: S608
        )
        return bool(rows) and rows[0][0] is not None and rows[0][0] >= flushed

    wait_until(reached, "the receiver to have everything")


def wait_until_replayed(server) -> None:
    """The standby has all that this server wrote."""
    question = "select pg_current_wal_flush_lsn() = replay_lsn from pg_stat_replication where application_name = 'walreceiver'"
    wait_until(lambda: server.sql(question) == [(True,)], "the standby to have everything")


def assert_contiguous(segments) -> None:
    assert [segment.number for segment in segments] == list(range(segments[0].number, segments[0].number + len(segments)))
