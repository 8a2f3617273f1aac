"""Against an oracle that knows the whole tree of timelines and tries every backup."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import NOW, SEGMENT_BYTES, backup_of, contents
from understudy.plan.restore_choice import choose_restore, leads_to, require_history, require_wal
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

T0 = datetime(2026, 11, 23, 3, tzinfo=UTC)


@st.composite
def worlds(draw):
    """Timelines as a tree (each forks off an earlier one), backups somewhere on it, and what is asked for.

    Positions and times are small numbers; LSN n is byte n * 8192 behind a fixed start.
    """
    parents = {1: (None, 0)}
    for timeline in range(2, 2 + draw(st.integers(0, 3))):
        parent = draw(st.integers(1, timeline - 1))
        parents[timeline] = (parent, draw(st.integers(parents[parent][1], 12)))
    count = draw(st.integers(1, 5))
    backups = []
    for number in range(count):
        timeline = draw(st.sampled_from(sorted(parents)))
        stop = draw(st.integers(parents[timeline][1], 14))
        minutes = draw(st.integers(0, 60))
        backups.append(made_backup(number, timeline, stop, minutes))
    target = draw(
        st.one_of(
            st.just(LATEST),
            st.integers(0, 70).map(lambda m: RecoveryTarget(TargetKind.TIME, (T0 + timedelta(minutes=m)).isoformat())),
            st.integers(0, 16).map(lambda p: RecoveryTarget(TargetKind.LSN, at(p))),
            st.just(RecoveryTarget(TargetKind.TRANSACTION, "777")),
        )
    )
    asked = draw(st.none() | st.sampled_from(sorted(parents)))
    return parents, backups, target, asked


def at(position):
    return str(Lsn(2 * SEGMENT_BYTES + position * 8192))


def made_backup(number, timeline, stop, minutes):
    return backup_of(f"20261123-0300{number:02d}F", timeline=timeline, start=at(0), stop=at(stop), minutes=minutes)


def histories_of(parents):
    """As the history files say it: every ancestor, oldest first."""
    found = {}
    for timeline in parents:
        forks = []
        current = timeline
        while parents[current][0] is not None:
            parent, position = parents[current]
            forks.insert(0, TimelineFork(Timeline(parent), Lsn.parse(at(position))))
            current = parent
        if forks:
            found[Timeline(timeline)] = tuple(forks)
    return found


def can_replay(parents, backup, wanted):
    """Walk from the wanted timeline down: what its history contains ends where its child left it."""
    limit, current = None, wanted
    while current is not None:
        if current == backup.timeline:
            return limit is None or backup.stop_lsn <= limit
        parent, position = parents[current]
        limit = Lsn.parse(at(position))
        current = parent
    return False


def fits(backup, target):
    if target.kind is TargetKind.TIME:
        return backup.stop_time < target.time
    return target.kind is not TargetKind.LSN or backup.stop_lsn <= Lsn.parse(target.value)


@given(worlds())
def test_the_choice_is_the_newest_backup_that_can_reach_the_target_on_the_timeline(world):
    parents, backups, target, asked = world
    possible = {
        (backup.stop_time, wanted)
        for backup in backups
        for wanted in parents
        if fits(backup, target) and can_replay(parents, backup, wanted) and asked in (None, wanted)
    }
    try:
        choice = choose_restore(backups, histories_of(parents), map(Timeline, parents), target, NOW, asked)
    except Refusal as refused:
        assert not possible
        early = not any(fits(backup, target) for backup in backups)
        assert refused.code == ("target_before_first_backup" if early else "timeline_unknown")
    else:
        assert choice.backup.stop_time == max(stopped for stopped, _ in possible)
        assert fits(choice.backup, target) and can_replay(parents, choice.backup, choice.timeline)
        newest = max(wanted for wanted in parents if can_replay(parents, choice.backup, wanted))
        assert choice.timeline == (asked or newest)


@given(worlds())
def test_leads_to_agrees_with_a_walk_down_the_tree(world):
    parents, backups, _, _ = world
    for backup in backups:
        for wanted in parents:
            answer = leads_to(histories_of(parents), backup.timeline, backup.stop_lsn, Timeline(wanted))
            assert answer == can_replay(parents, backup, wanted)


CHAIN = (
    backup_of("20261123-030000F"),
    backup_of("20261123-030000F_20261123-040000I", parent="20261123-030000F", minutes=60),
    backup_of("20261123-030000F_20261123-050000I", parent="20261123-030000F_20261123-040000I", minutes=120),
)


def chosen(backups, target=LATEST, **asked):
    return choose_restore(backups, {}, [Timeline(1)], target, NOW, **asked)


def code_of(*arguments, **named):
    with pytest.raises(Refusal) as refused:
        chosen(*arguments, **named)
    return refused.value.code


def test_an_incremental_brings_everything_that_it_stands_on_full_first():
    assert chosen(CHAIN[::-1]).chain == CHAIN
    assert chosen(CHAIN, label=CHAIN[1].label.text).chain == CHAIN[:2]


def test_a_timeline_of_which_only_the_history_is_there_is_followed_only_when_it_is_asked_for():
    """Its first WAL was not shipped yet: there is nothing on it to come back to."""
    histories = {Timeline(2): (TimelineFork(Timeline(1), Lsn.parse("0/4800000")),)}
    assert choose_restore(CHAIN[:1], histories, [Timeline(1)], LATEST, NOW).timeline == 1
    assert choose_restore(CHAIN[:1], histories, [Timeline(1)], LATEST, NOW, Timeline(2)).timeline == 2


@pytest.mark.parametrize(
    ("timeline", "damaged", "later", "in_doubt"),
    [(3, {2}, (1, 2, 3), None), (3, {4}, (1, 3), None), (3, {4, 5}, (3, 4), 4), (3, {3}, (), 3), (3, {3, 5}, (3, 5), 3)],
)
def test_only_a_history_that_could_change_the_choice_must_be_readable(timeline, damaged, later, in_doubt):
    def ask():
        require_history(Timeline(timeline), {Timeline(each) for each in damaged}, map(Timeline, later))

    if in_doubt is None:
        ask()
        return
    with pytest.raises(Refusal) as refused:
        ask()
    assert refused.value.code == "timeline_history_damaged"
    assert f"timeline {in_doubt} " in refused.value.found
    assert ("--timeline" in refused.value.hint) is (in_doubt != timeline)


def test_what_cannot_be_chosen_is_refused_with_its_code():
    assert code_of(()) == "no_backup"
    assert code_of(CHAIN, label="20200101-000000F") == "no_such_backup"
    assert code_of(CHAIN[1:]) == "chain_broken"
    assert code_of(CHAIN, timeline=Timeline(9)) == "timeline_unknown"
    future = RecoveryTarget(TargetKind.TIME, (NOW + timedelta(seconds=1)).isoformat())
    assert code_of(CHAIN, future) == "target_in_future"


def required(wal, target=LATEST, timeline=1, histories=None):
    histories = histories or {}
    choice = choose_restore(CHAIN[:1], histories, wal.timelines(), target, NOW, Timeline(timeline))
    require_wal(choice, histories, wal, target, timedelta(seconds=20))


def test_wal_that_ends_before_the_backup_does_is_missing():
    with pytest.raises(GiveUp) as refused:
        required(contents())
    assert refused.value.code == "wal_missing"


def test_a_hole_matters_for_the_latest_commit_and_for_a_position_behind_it():
    holed = contents((1, 2), (1, 4))
    before, behind = (RecoveryTarget(TargetKind.LSN, text) for text in ("0/2500000", "0/4500000"))
    required(holed, before)
    required(holed, RecoveryTarget(TargetKind.TRANSACTION, "777"))
    for target in (LATEST, behind):
        with pytest.raises(GiveUp) as refused:
            required(holed, target)
        assert refused.value.code == "wal_missing"


def test_a_position_behind_all_wal_is_refused_and_one_before_a_fresh_fork_is_not():
    """The new timeline may have no WAL of its own yet: what lies before its fork is on the old one."""
    position = RecoveryTarget(TargetKind.LSN, "0/3000000")
    histories = {Timeline(2): (TimelineFork(Timeline(1), Lsn.parse("0/4000000")),)}
    required(contents((1, 2), (1, 3), histories=(2,)), position, timeline=2, histories=histories)
    with pytest.raises(Refusal) as refused:
        required(contents((1, 2)), RecoveryTarget(TargetKind.LSN, "0/9000000"))
    assert refused.value.code == "target_beyond_wal"
