"""The tails of a segment that fills slowly are many: a reader takes few of them, and misses no byte."""

from hypothesis import given
from hypothesis import strategies as st

from understudy.repository.layout import TailSpan
from understudy.repository.tail_cover import PUT_TOGETHER_PIECES, TailCover, cover_of, covers_of
from understudy.vocabulary.wal import Timeline, WalSegment

SEGMENT = WalSegment(Timeline(1), 3)


def tail(start, stop):
    return TailSpan(SEGMENT, start, stop)


def shipped(pieces, *, relearned_every=0):
    """All tails that a writer stores of a segment that grows by a byte at a time; it may be another process now and then."""
    stored, cover = [], TailCover()
    for number in range(pieces):
        if relearned_every and number % relearned_every == 0:
            cover = TailCover.of(stored)
        stored.append(tail(number, number + 1))
        cover = cover.followed_by(number, number + 1)
        due = cover.put_together()
        if due is not None:
            cover, start, stop = due
            stored.append(tail(start, stop))
    return stored


def test_of_tens_of_thousands_of_tails_a_reader_takes_few_and_each_byte_is_stored_a_few_times():
    stored = shipped(40_000)
    cover = cover_of(stored)
    assert cover[-1].stop == 40_000
    assert len(cover) < 4 * PUT_TOGETHER_PIECES
    assert sum(each.stop - each.start for each in stored) < 5 * 40_000
    assert len(stored) < 40_000 * 1.04


def test_writers_that_begin_anew_put_together_as_well_as_one_that_goes_on():
    assert shipped(1_100, relearned_every=7) == shipped(1_100)


def test_what_was_stored_before_tails_were_put_together_is_put_together_with_the_next():
    earlier = [tail(number, number + 1) for number in range(1000)]
    due = TailCover.of(earlier).followed_by(1000, 1001).put_together()
    assert due is not None
    assert due[1:] == (0, 1001)


def test_few_tails_are_left_as_they_are():
    assert shipped(PUT_TOGETHER_PIECES - 1) == [tail(number, number + 1) for number in range(PUT_TOGETHER_PIECES - 1)]


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=15)


@given(SPANS)
def test_a_cover_holds_all_that_is_there_without_a_hole_and_no_tail_too_many(spans):
    tails = [tail(start, start + size) for start, size in spans]
    covered = {offset for each in tails for offset in range(each.start, each.stop)}
    reach = 0
    while reach in covered:
        reach += 1
    cover = cover_of(tails)
    assert set(cover) <= set(tails)
    assert [each.start <= before for each, before in zip(cover, [0, *(each.stop for each in cover)], strict=False)] == [
        True
    ] * len(cover)
    assert (cover[-1].stop if cover else 0) == reach
    assert all(each.start > before.stop for before, each in zip(cover, cover[2:], strict=False)), "the one between is needed"
    assert covers_of(tails).get(SEGMENT, ()) == cover
