"""A slot is there only with somebody who streams from it: else it fills the production server's disk with WAL."""

import pytest

from tests.steps.protected import world_of
from understudy.steps.start_wal_stream import StartWalStream
from understudy.vocabulary.errors import GiveUp

SLOT = "never_streamed"


def test_a_receiver_that_cannot_be_started_leaves_no_slot_behind(protected):
    empty = protected.desk.directory / "no-programs"
    empty.mkdir()
    world = world_of(
        protected.installation(
            f"wal: {{slot: {SLOT}, spool: {protected.desk.directory}/spool-of-its-own}}",
            f"recover: {{directory: {protected.desk.directory}/recovered, port: 1, programs: {empty}}}",
        )
    )
    with pytest.raises(GiveUp) as failure:
        StartWalStream("orders", SLOT).run(world)
    assert failure.value.code == "programs_missing"
    assert protected.server.sql("select slot_name from pg_replication_slots where not active") == []
