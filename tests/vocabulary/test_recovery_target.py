"""The moment that a recovery aims at, and how the server is told."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2999-12-31"), timezones=offsets)


@pytest.mark.parametrize(
    ("kind", "value", "settings"),
    [
        (TargetKind.LATEST, "", {}),
        (TargetKind.IMMEDIATE, "", {"recovery_target": "immediate"}),
        (TargetKind.TIME, "2026-11-23T05:00:00.25+02:00", {"recovery_target_time": "2026-11-23 03:00:00.250000+00"}),
        (TargetKind.TIME, "2026-11-23T03:00:00Z", {"recovery_target_time": "2026-11-23 03:00:00.000000+00"}),
        (TargetKind.LSN, "0/3000060", {"recovery_target_lsn": "0/3000060"}),
        (TargetKind.TRANSACTION, "1234", {"recovery_target_xid": "1234"}),
        (TargetKind.NAME, "before the migration", {"recovery_target_name": "before the migration"}),
    ],
)
def test_each_kind_is_told_in_the_servers_own_setting(kind, value, settings):
    assert RecoveryTarget(kind, value).settings == settings


@given(moments)
def test_a_time_keeps_its_moment_to_the_microsecond_whatever_its_offset(moment):
    target = RecoveryTarget(TargetKind.TIME, moment.isoformat())
    assert target.time == moment
    assert target.time.utcoffset() == timedelta(0)
    told = target.settings["recovery_target_time"]
    assert datetime.strptime(f"{told}00", "%Y-%m-%d %H:%M:%S.%f%z") == moment


@given(moments)
def test_a_time_without_an_offset_is_refused(moment):
    with pytest.raises(ValueError, match="without an offset"):
        RecoveryTarget(TargetKind.TIME, moment.replace(tzinfo=None).isoformat())


@pytest.mark.parametrize("value", ["2026-11-23 03:00:00", "2026-11-23", "2026-11-23T03"])
def test_a_date_or_a_shortened_time_without_an_offset_is_refused(value):
    with pytest.raises(ValueError, match="without an offset"):
        RecoveryTarget(TargetKind.TIME, value)


@given(st.integers(0, 2**64 - 1).map(Lsn))
def test_every_position_is_a_target(lsn):
    assert RecoveryTarget(TargetKind.LSN, str(lsn)).settings == {"recovery_target_lsn": str(lsn)}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TargetKind.LATEST, "now"),
        (TargetKind.IMMEDIATE, "0/1"),
        (TargetKind.TIME, ""),
        (TargetKind.TIME, "yesterday"),
        (TargetKind.LSN, ""),
        (TargetKind.LSN, "3000060"),
        (TargetKind.LSN, "-1/0"),
        (TargetKind.TRANSACTION, ""),
        (TargetKind.TRANSACTION, "-1"),
        (TargetKind.TRANSACTION, "12 or so"),
        (TargetKind.TRANSACTION, "12²"),
        (TargetKind.NAME, ""),
        (TargetKind.NAME, "n" * 64),
        (TargetKind.NAME, "ü" * 32),
    ],
)
def test_a_value_that_the_kind_does_not_have_is_refused(kind, value):
    with pytest.raises(ValueError, match=r"no value|not a|expected"):
        RecoveryTarget(kind, value)


def test_a_name_of_63_bytes_is_the_longest():
    assert RecoveryTarget(TargetKind.NAME, "ü" * 31 + "n").settings


def test_it_reads_as_a_person_says_it():
    assert str(LATEST) == "latest"
    assert str(RecoveryTarget(TargetKind.LSN, "0/3000060")) == "lsn 0/3000060"
    assert datetime(2026, 11, 23, 3, tzinfo=UTC) == RecoveryTarget(TargetKind.TIME, "2026-11-23T03:00:00Z").time
