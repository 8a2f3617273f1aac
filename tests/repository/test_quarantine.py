"""Marks that say from when on nothing is to be believed: what they concern, and who is believed who made them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import backup_of
from understudy.adapters.age import new_identity
from understudy.adapters.files.file_store import FileStore
from understudy.ports.world import Keys
from understudy.repository.quarantine import (
    Quarantine,
    believed,
    find_quarantines,
    lift_quarantine,
    require_believed_label,
    set_quarantine,
)
from understudy.repository.signing import Signer, new_signing_key
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind, left_out_from, strictly_before
from understudy.vocabulary.wal import Timeline

ORDERS = ResourceName("orders")
SINCE = datetime(2026, 11, 23, 3, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=5)
SYSTEM = backup_of("20261123-030000F").system_identifier
MARK = Quarantine(ORDERS, SINCE, UNTIL, "20261123-080000-1a2b3c", {SYSTEM: Timeline(2)})


@pytest.fixture
def marks(tmp_path):
    _, recipient = new_identity()
    key = new_signing_key()
    keys = Keys((recipient,), None, key, frozenset({Signer(key).public_key}))
    found = lambda resource=ORDERS: find_quarantines(marks.store, keys, resource)  # noqa: E731
    marks = type("Marks", (), {"store": FileStore.create(tmp_path / "near"), "keys": keys, "found": staticmethod(found)})
    return marks


def at(minutes):
    return RecoveryTarget(TargetKind.TIME, (SINCE + timedelta(minutes=minutes)).isoformat())


def test_it_is_found_as_it_was_set_and_twice_is_the_same_as_once(marks):
    for _ in range(2):
        set_quarantine(marks.store, marks.keys, MARK)
    assert marks.found().standing == (MARK,)
    assert marks.found(ResourceName("ord")).standing == ()


def test_lifted_it_is_there_to_be_read_and_concerns_nothing(marks):
    set_quarantine(marks.store, marks.keys, MARK)
    for by in ("anna", "boris"):
        lift_quarantine(marks.store, marks.keys, ORDERS, MARK.name, by, UNTIL)
    assert marks.found().standing == ()
    assert marks.found().lifted == (MARK,)


@pytest.mark.parametrize("lifted", [False, True])
def test_one_changed_byte_is_noticed_and_neither_mark_nor_lifting_is_passed_over(marks, lifted):
    set_quarantine(marks.store, marks.keys, MARK)
    lift_quarantine(marks.store, marks.keys, ORDERS, MARK.name, "anna", UNTIL)
    [path] = [each for each in files(marks) if each.name.endswith(".lifted.json") is lifted]
    path.write_bytes(path.read_bytes().replace(b"orders", b"orderz", 1))
    with pytest.raises(Refusal) as refused:
        marks.found()
    assert refused.value.code == "quarantine_unsure"


def test_what_a_stranger_signed_or_somebody_moved_is_not_believed_and_not_passed_over(marks):
    strange = Keys(marks.keys.recipients, None, new_signing_key(), frozenset())
    set_quarantine(marks.store, strange, MARK)
    with pytest.raises(Refusal, match="signature_untrusted"):
        marks.found()
    [path] = files(marks)
    path.unlink()
    set_quarantine(marks.store, marks.keys, MARK)
    path.rename(path.with_name(path.name.replace("T03", "T09")))
    with pytest.raises(Refusal) as refused:
        marks.found()
    assert refused.value.code == "quarantine_unsure"


def test_another_mark_under_a_name_that_is_taken_is_refused(marks):
    set_quarantine(marks.store, marks.keys, MARK)
    with pytest.raises(GiveUp) as gave_up:
        set_quarantine(marks.store, marks.keys, Quarantine(ORDERS, SINCE, SINCE, MARK.set_by, {}))
    assert gave_up.value.code == "quarantine_exists"
    assert json.loads(files(marks)[0].read_bytes())["signed"]["until"] == UNTIL.isoformat()


@given(st.integers(-400, 400), st.integers(0, 400))
def test_it_concerns_what_ended_from_then_on_and_was_begun_before_it_was_set(begun, took):
    backup = backup_of("20261123-030000F")
    start, stop = (SINCE + timedelta(minutes=each) for each in (begun, begun + took))
    object.__setattr__(backup, "start_time", start)
    object.__setattr__(backup, "stop_time", stop)
    suspected = begun + took >= 0 and begun < 300
    assert (believed([MARK], [backup]) == ()) is suspected


@pytest.mark.parametrize(
    ("target", "timeline", "minutes", "meets"),
    [
        (LATEST, 2, -10, True),
        (LATEST, 1, -10, True),
        (LATEST, 3, -10, False),
        (LATEST, 2, 10, False),
        (RecoveryTarget(TargetKind.IMMEDIATE), 2, -10, False),
        (RecoveryTarget(TargetKind.LSN, "0/3000000"), 2, -10, True),
        (RecoveryTarget(TargetKind.NAME, "before the intrusion"), 2, -10, True),
        (at(-1), 2, -10, False),
        (at(0), 2, -10, True),
        (strictly_before(SINCE), 2, -10, False),
    ],
)
def test_replay_meets_what_is_quarantined_where_it_goes_on_behind_that_moment(target, timeline, minutes, meets):
    assert MARK.covers_replay(backup_of("20261123-030000F", minutes=minutes), Timeline(timeline), target) is meets


def test_of_a_moment_that_is_excluded_the_last_microsecond_before_it_is_aimed_at():
    assert strictly_before(SINCE).time == SINCE - timedelta(microseconds=1)
    assert left_out_from(strictly_before(SINCE)) == SINCE


def test_a_label_that_is_named_is_refused_where_it_is_quarantined():
    backups = [backup_of("20261123-030000F", minutes=-10), backup_of("20261123-040000F", minutes=60)]
    require_believed_label(ORDERS, "20261123-030000F", [MARK], backups)
    require_believed_label(ORDERS, None, [MARK], backups)
    with pytest.raises(Refusal) as refused:
        require_believed_label(ORDERS, "20261123-040000F", [MARK], backups)
    assert refused.value.code == "backup_quarantined"


def files(marks):
    return sorted(Path(marks.store.url.removeprefix("file://")).glob("quarantine/**/*.json"))
