"""What an archive holds, and what it will hold once a spool is shipped into it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import SEGMENT_BYTES, contents
from tests.repository.sample_backups import sample_backup
from understudy.repository.layout import TailSpan
from understudy.repository.wal_checks import wal_of_backup
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment


def segment(number, timeline=1):
    return WalSegment(Timeline(timeline), number, SEGMENT_BYTES)


def tail(number, stop, timeline=1, start=0):
    return TailSpan(segment(number, timeline), start, stop)


def test_what_follows_in_the_spool_goes_on_where_the_archive_ends():
    held = contents((1, 2), (1, 3), tails=[tail(4, 100)])
    spooled = contents((1, 3), (1, 4), (1, 5), tails=[tail(6, 70)])
    assert held.continued_by(spooled) == contents((1, 2), (1, 3), (1, 4), (1, 5), tails=[tail(4, 100), tail(6, 70)])


def test_behind_a_hole_nothing_counts():
    held = contents((1, 2), (1, 3))
    assert held.continued_by(contents((1, 5), (1, 6), tails=[tail(7, 70)])) == held


def test_a_hole_that_the_spool_fills_is_none():
    assert contents((1, 2), (1, 4)).continued_by(contents((1, 3))) == contents((1, 2), (1, 3), (1, 4))


def test_a_timeline_that_only_the_spool_knows_goes_on_from_its_parent_by_its_history():
    held = contents((1, 2), (1, 3), tails=[tail(4, 100)])
    begun = {"tails": [tail(4, 200, 2)], "histories": [2]}
    assert held.continued_by(contents(**begun)).timelines() == (1, 2)
    assert held.continued_by(contents(tails=[tail(4, 200, 2)])) == held, "nobody knows what it descends from"
    assert held.continued_by(contents(tails=[tail(6, 200, 2)], histories=[2])).timelines() == (1,), "it began before"


def test_what_is_lacking_is_counted_in_bytes_once():
    held = contents((1, 2), (1, 3), tails=[tail(4, 100), tail(5, 10)])
    assert held.bytes_lacking(contents((1, 3), (1, 4), tails=[tail(5, 30)])) == SEGMENT_BYTES - 100 + 20
    assert held.bytes_lacking(held) == 0
    assert held.bytes_lacking(contents((1, 4), tails=[tail(4, 300)])) == SEGMENT_BYTES - 100


@given(st.sets(st.integers(2, 9)), st.sets(st.integers(2, 9)))
def test_continuing_invents_nothing_and_forgets_nothing(here, there):
    held, others = contents(*((1, number) for number in here)), contents(*((1, number) for number in there))
    both = held.continued_by(others)
    assert set(held.segments) <= set(both.segments) <= set(held.segments) | set(others.segments)
    assert both.bytes_lacking(held) == 0


def test_what_a_backup_needs_is_not_there_where_its_last_segment_is_lost_but_for_an_early_tail():
    backup = sample_backup(stop_lsn=Lsn.parse("0/3000158"))
    needed, lost = backup.own_wal(), segment(3)
    behind = (1, 2), (1, 4)
    assert contents(*behind, tails=[tail(3, 0x158)]).lacking_of(needed, backup.stop_lsn) is None
    assert contents(*behind, tails=[tail(3, 1)]).lacking_of(needed, backup.stop_lsn) is None, "zeros up to the end of the page"
    assert contents(*behind, (1, 3)).lacking_of(needed, backup.stop_lsn) is None
    far = replace(backup, stop_lsn=Lsn.parse("0/3002158"))
    for early in (contents(*behind, tails=[tail(3, 0x158)]), contents(*behind), contents((1, 2))):
        assert early.lacking_of(needed, far.stop_lsn) == lost
        assert [(fault.key, fault.code) for fault in wal_of_backup(early, {}, far, goes_on=False)] == [(lost.name, "wal_missing")]
