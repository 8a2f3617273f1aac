"""The notes of warm copies: what was written is read, whole, and one at a time has the copy."""

from datetime import UTC, datetime

import pytest

from understudy.ports.warm_copies import FormerWarmCopy, WarmCopy, WarmCopyFault
from understudy.records.warm_copies import FileWarmCopies
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.identifiers import ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.wal import Timeline

ORDERS = ResourceName("orders")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
COPY = WarmCopy(
    directory="/srv/pg.warm/a",
    socket_directory="/run/understudy/0badcafe",
    run=RunId("run-1"),
    repository="near",
    labels=("20261123-030000F", "20261123-030000F_20261123-040000I"),
    system_identifier=SystemIdentifier("7400000000000000001"),
    segment_bytes=2**24,
    timeline=Timeline(3),
    verified=NOON,
    former=(FormerWarmCopy("/srv/pg.warm/b", "/run/understudy/1badcafe", RunId("run-0")),),
    taken_by=RunId("run-2"),
    fault=WarmCopyFault("wal_missing", "segment 3 is gone", NOON),
)


def test_a_note_is_read_as_it_was_written_and_reading_makes_nothing(tmp_path):
    copies = FileWarmCopies(tmp_path)
    assert copies.read(ORDERS) is None
    assert list(tmp_path.iterdir()) == []
    copies.write(ORDERS, COPY)
    assert FileWarmCopies(tmp_path).read(ORDERS) == COPY
    assert copies.read(ResourceName("billing")) is None
    assert (tmp_path / "warm").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"directory": 3}'])
def test_a_note_that_cannot_be_read_is_told_and_never_taken_for_none(tmp_path, content):
    copies = FileWarmCopies(tmp_path)
    copies.write(ORDERS, COPY)
    (tmp_path / "warm" / "orders.json").write_text(content)
    with pytest.raises(GiveUp) as damaged:
        copies.read(ORDERS)
    assert damaged.value.code == "warm_copy_note_damaged"


def test_one_at_a_time_has_a_copy_and_another_resources_is_free(tmp_path):
    with FileWarmCopies(tmp_path).held(ORDERS):
        with pytest.raises(TryAgain) as busy, FileWarmCopies(tmp_path).held(ORDERS):
            pass
        assert busy.value.code == "warm_copy_busy"
        with FileWarmCopies(tmp_path).held(ResourceName("billing")):
            pass
    with FileWarmCopies(tmp_path).held(ORDERS):
        pass
