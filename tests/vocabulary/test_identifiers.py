"""The grammar of names that become paths and object keys."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary.identifiers import NAME_PATTERN, BackupKind, BackupLabel

moments = st.datetimes(datetime.fromisoformat("1970-01-01"), timezones=st.just(UTC))


def test_labels_are_written_as_the_field_writes_them():
    full = BackupLabel.of_full(datetime(2026, 11, 23, 3, tzinfo=UTC))
    assert str(full) == "20261123-030000F"
    assert str(BackupLabel.of_incremental(full, datetime(2026, 11, 24, 3, tzinfo=UTC))) == "20261123-030000F_20261124-030000I"


@given(moments)
def test_a_full_backup_stands_on_itself(started):
    full = BackupLabel.of_full(started)
    assert full.kind is BackupKind.FULL
    assert full.chain == full == BackupLabel(str(full))


@given(moments, moments, moments)
def test_an_incremental_names_its_full_backup_also_when_it_stands_on_another_incremental(full_started, first, second):
    full = BackupLabel.of_full(full_started)
    incremental = BackupLabel.of_incremental(BackupLabel.of_incremental(full, first), second)
    assert incremental.kind is BackupKind.INCREMENTAL
    assert incremental.chain == full
    assert incremental == BackupLabel(str(incremental)) == BackupLabel.of_incremental(full, second)


@given(moments, moments)
def test_full_backups_sort_by_time_and_before_what_stands_on_them(one, other):
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    assert (BackupLabel.of_full(one) < BackupLabel.of_full(other)) == (one < other)
    assert BackupLabel.of_full(one) < BackupLabel.of_incremental(BackupLabel.of_full(one), other)


@pytest.mark.parametrize(
    "text",
    ["", "20261123-030000", "20261123-030000I", "20261123-030000f", "20261123-030000F_", "20261123-030000F_20261124-030000F",
     "20261123-030000F_20261124-030000I_20261125-030000I", " 20261123-030000F", "20261123-030000F\n", "../20261123-030000F",
     "20261123-030000F/..", "2026112٣-030000F", "20261123T030000F"],
)  # fmt: skip
def test_what_is_no_label_is_refused(text):
    with pytest.raises(ValueError, match="not a backup label"):
        BackupLabel(text)


@pytest.mark.parametrize("name", ["a", "orders", "orders-2", "a_b", "a" * 40])
def test_names_that_are_paths_keys_and_slots_at_once_are_taken(name):
    assert NAME_PATTERN.match(name)


@pytest.mark.parametrize("name", ["", "Orders", "2orders", "-a", "a-", "a/b", "..", "a b", "ä", "a" * 41, "orders\n", "a\n"])
def test_other_names_are_not(name):
    assert not NAME_PATTERN.match(name)
