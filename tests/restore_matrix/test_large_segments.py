"""A cluster whose WAL comes in segments of 256 MiB (``initdb --wal-segsize``). PostgreSQL 18."""

from bench.processes import MemoryWatch

from tests.restore_matrix.test_peak_memory import STARTED, assert_bounded

SEGMENT_MEGABYTES = 256
MESSAGE = "select pg_logical_emit_message(false, 'x', repeat('x', 20000000))"


def test_segments_of_256_mb_are_shipped_checked_and_replayed_within_400_mb(make_estate):
    """A whole one, and one that is held in two pieces of 20 MB each."""
    estate = make_estate(segment_megabytes=SEGMENT_MEGABYTES)
    server = estate.server

    def carry_out(*command: str) -> None:
        with MemoryWatch(leave_out=("postgres", "pg_receivewal")) as watch:
            estate.command(*command, program=STARTED)
        assert_bounded(watch)

    server.sql(MESSAGE)
    carry_out("backup", "orders", "--full")
    server.sql("create table words as select 'kept' as word; select pg_switch_wal()")
    server.sql(MESSAGE)
    estate.ship()
    server.sql(MESSAGE)
    copy = server.sibling()
    carry_out("restore", "orders", "--to", str(copy.data))
    carry_out("verify", "--deep")
    assert copy.start().sql("select word from words") == [("kept",)]
