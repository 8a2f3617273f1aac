"""Where each sequence of a cluster stands. No dump can be compared for it: what comes back is ahead, and by how much depends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.servers.postgres import PostgresServer

_LOGGED_AHEAD = 32
"""So many values at most does a sequence's record in the WAL run ahead of what was handed out (SEQ_LOG_VALS in sequence.c)."""
_LOGGED_SEQUENCES = """
select seqrelid::regclass::text, seqincrement from pg_sequence join pg_class on pg_class.oid = seqrelid where relpersistence = 'p'
"""


@dataclass(frozen=True, slots=True)
class SequenceState:
    following: int
    """The value that is handed out next."""
    increment: int


Sequences = Mapping[tuple[str, str], SequenceState]
"""By database and name."""


def sequences_of(server: PostgresServer) -> Sequences:
    """Those of every database that lets somebody in, but unlogged ones, which begin anew like the rows of their tables."""
    found: dict[tuple[str, str], SequenceState] = {}
    for (database,) in server.sql("select datname from pg_database where datallowconn"):
        with server.connect(str(database), autocommit=True) as connection:
            for name, increment in connection.execute(_LOGGED_SEQUENCES).fetchall():
                last, is_called = connection.execute(f"select last_value, is_called from {name}").fetchone()  # noqa: S608
                found[str(database), str(name)] = SequenceState(last + increment if is_called else last, increment)
    return found


def assert_sequences_not_behind(source: Sequences, copy: Sequences) -> None:
    """No value that the source has handed out is handed out again by the copy, which may have left out a few."""
    assert source, "there is no sequence to be compared"
    assert copy.keys() == source.keys()
    for name, there in source.items():
        here = copy[name]
        assert here.increment == there.increment, name
        direction = 1 if there.increment > 0 else -1
        ahead = (here.following - there.following) * direction
        assert 0 <= ahead <= _LOGGED_AHEAD * abs(there.increment), (
            f"{name} comes back at {here.following}, after {there.following}"
        )
