"""What compares the sequences of a copy with their source's sees one that is not where it must be. PostgreSQL 18."""

import pytest

from tests.restore_matrix.sequences import assert_sequences_not_behind, sequences_of

UPWARDS, DOWNWARDS = "tickets", "countdown"


def test_a_sequence_that_comes_back_set_back_or_too_far_ahead_or_not_at_all_is_noticed(postgres_servers):
    server = postgres_servers()
    server.sql(f"create sequence {UPWARDS} increment 7; create sequence {DOWNWARDS} increment -3")
    server.sql(f"select nextval('{UPWARDS}'), nextval('{DOWNWARDS}') from generate_series(1, 40)")  # noqa: S608
    source = sequences_of(server)
    server.kill_everything()
    server.start()
    copy = sequences_of(server)
    assert copy != source, "what was logged ahead is left out"
    assert_sequences_not_behind(source, copy)
    for name, increment in ((UPWARDS, 7), (DOWNWARDS, -3)):
        following = source["postgres", name].following
        for wrong in (increment, following - increment, following + 33 * increment):
            server.sql(f"select setval('{name}', {wrong}, false)")
            with pytest.raises(AssertionError, match=name):
                assert_sequences_not_behind(source, sequences_of(server))
        server.sql(f"select setval('{name}', {following}, false)")
        assert_sequences_not_behind(source, sequences_of(server))
    server.sql(f"drop sequence {UPWARDS}")
    with pytest.raises(AssertionError):
        assert_sequences_not_behind(source, sequences_of(server))
