"""What counts as lost, and when that is too much."""

from datetime import UTC, datetime, timedelta

import pytest

from understudy.demo.ledger import (
    Commit,
    Compared,
    Loss,
    acknowledgement,
    compare,
    measure_loss,
    read_acknowledgements,
    read_ledger,
)
from understudy.demo.played import Played
from understudy.demo.stack_file import PRICES

DISASTER = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
OBJECTIVE = timedelta(seconds=60)
NONE, OLD, TOO_OLD = Loss(0, timedelta()), Loss(700, OBJECTIVE), Loss(1, OBJECTIVE + timedelta(milliseconds=1))


def ago(seconds: float) -> datetime:
    return DISASTER - timedelta(seconds=seconds)


def test_the_loss_is_as_old_as_the_oldest_commit_that_is_gone():
    acknowledged = {Commit(1, 1): ago(90), Commit(1, 2): ago(3), Commit(2, 1): ago(2.5), Commit(2, 2): ago(0)}
    assert measure_loss(acknowledged, {Commit(1, 1)}, DISASTER) == Loss(3, timedelta(seconds=3))
    assert measure_loss(acknowledged, {Commit(1, 1), Commit(1, 2), Commit(2, 1)}, DISASTER) == Loss(1, timedelta())


def test_what_came_back_beyond_what_was_acknowledged_is_no_loss():
    assert measure_loss({Commit(1, 1): ago(1)}, {Commit(1, 1), Commit(1, 2)}, DISASTER) == NONE


def test_a_commit_acknowledged_while_the_server_was_killed_makes_no_negative_loss():
    assert measure_loss({Commit(1, 1): ago(-0.01)}, set(), DISASTER) == Loss(1, timedelta())


@pytest.mark.parametrize(
    ("loss", "synchronously", "asynchronously"), [(NONE, True, True), (OLD, False, True), (TOO_OLD, False, False)]
)
def test_synchronously_nothing_may_be_lost_and_asynchronously_nothing_beyond_the_objective(loss, synchronously, asynchronously):
    assert loss.is_within(OBJECTIVE, synchronous=True) is synchronously
    assert loss.is_within(OBJECTIVE, synchronous=False) is asynchronously


def a_play(*, commits=NONE, everything=NONE):
    recovery = {"met": True, "measured": {"objectives": {"rpo": OBJECTIVE.total_seconds()}}}
    return Played(
        False,
        commits=Compared(9_000, 9_000 - commits.count, commits),
        recovery=recovery,
        point_in_time={"met": True},
        prices_back=PRICES,
        prices_live=PRICES,
        everything=recovery,
        compared={"rows": Compared(9, 9, NONE), "objects": Compared(9_000, 9_000 - everything.count, everything)},
    )


@pytest.mark.parametrize(("loss", "met"), [(NONE, True), (OLD, True), (TOO_OLD, False)])
def test_a_play_misses_its_objectives_by_a_loss_beyond_the_one_of_the_stack_file(loss, met):
    assert a_play(commits=loss).objectives_met is met
    assert a_play(everything=loss).objectives_met is met


def test_a_third_act_that_was_not_played_meets_nothing():
    played = a_play()
    played.compared = {}
    assert not played.objectives_met


def test_of_what_is_compared_only_what_is_there_counts_as_recovered():
    assert compare({1: ago(9), 2: ago(1), 3: ago(2)}, {1, 7}, DISASTER) == Compared(3, 1, Loss(2, timedelta(seconds=2)))


def test_a_line_without_its_end_is_no_acknowledgement(tmp_path):
    (tmp_path / "writer-3.txt").write_text(acknowledgement(1, ago(2)) + acknowledgement(2, ago(1)).rstrip("\n"))
    assert read_ledger(tmp_path) == {Commit(3, 1): ago(2)}
    assert read_acknowledgements(tmp_path / "writer-3.txt") == {1: ago(2)}
