"""Reading what a server sends, and throwing away what nobody wants any more."""

import psycopg
from psycopg import pq

from understudy.adapters.postgres.copy_stream import CopyStream


def test_the_silence_before_a_command_was_cancelled_is_not_counted_against_what_comes_after(postgres_servers):
    with psycopg.connect(postgres_servers().url, autocommit=True) as connection:
        stream = CopyStream(connection)
        stream._idle_seconds = 600.0  # as a server that is busy with something else lets pass
        stream.send("select pg_sleep(0.4)")
        stream.discard(patience_seconds=60)
        assert connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
