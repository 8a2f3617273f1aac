"""Measurements that follow a known law: the oracle solves the law, and the forecast must find its answer from them."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.judge.forecast import (
    HORIZON,
    LEAST_DRILLS,
    LEAST_SIZES,
    MeasuredRestore,
    Outlook,
    SizeSeen,
    forecast,
)
from understudy.vocabulary.phases import Phase

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GIB = 2**30


def law(*, fixed=60.0, per_gib=10.0, per_wal_gib=30.0, begin=100.0, growth=1.0, days=60, every=3, noise=0.0, wal=0.5, seed=0):
    """Restores and sizes of so many days: sizes in GiB, growth by day, noise as a part of each time."""
    dice, restores, sizes = random.Random(seed), [], []
    for day in range(0, days + 1, every):
        size, at = begin + growth * day, NOW - timedelta(days=days - day)
        wobble = 1 + dice.uniform(-noise, noise)
        phases = {
            Phase.DETECT: timedelta(hours=9),
            Phase.PROVISION: timedelta(seconds=fixed / 2 * wobble),
            Phase.RESTORE: timedelta(seconds=size * per_gib * 0.75 * wobble),
            Phase.REPLAY: timedelta(seconds=wal * per_wal_gib * wobble),
            Phase.VERIFY: timedelta(seconds=size * per_gib * 0.25 * wobble),
            Phase.CUT_OVER: timedelta(seconds=fixed / 2 * wobble),
            Phase.WAITING: timedelta(hours=1),
        }
        restores.append(MeasuredRestore(at, phases, int(size * GIB), int(wal * GIB)))
        sizes.append(SizeSeen(at, int(size * GIB)))
    return restores, sizes


@settings(deadline=None, max_examples=60)
@given(
    fixed=st.floats(0, 600),
    per_gib=st.floats(0.5, 60),
    growth=st.floats(0.5, 20),
    ahead=st.floats(1, 1500),
    shuffled=st.randoms(use_true_random=False),
)
def test_of_measurements_that_follow_a_law_the_day_is_the_one_that_solves_it(fixed, per_gib, growth, ahead, shuffled):
    restores, sizes = law(fixed=fixed, per_gib=per_gib, growth=growth)
    size_now = 100 + 60 * growth
    limit = fixed + 15 + per_gib * (size_now + growth * ahead)
    shuffled.shuffle(restores)
    shuffled.shuffle(sizes)
    found = forecast(restores, sizes, timedelta(seconds=limit), NOW)
    assert found.outlook is Outlook.WILL_BE_MISSED
    assert abs((found.missed_on - NOW) / timedelta(days=1) - ahead) < 0.01 * ahead + 0.1
    assert abs(found.recovery_seconds.likely - (fixed + 15 + per_gib * size_now)) < 0.001 * limit
    assert found.slope_known


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), noise=st.floats(0.01, 0.15), ahead=st.floats(20, 800))
def test_of_noisy_ones_the_range_is_in_order_and_holds_the_day_of_the_law_or_is_near_it(seed, noise, ahead):
    restores, sizes = law(noise=noise, growth=2.0, seed=seed)
    limit = 75 + 10 * (220 + 2 * ahead)
    found = forecast(restores, sizes, timedelta(seconds=limit), NOW)
    estimate = found.recovery_seconds
    assert estimate.low <= estimate.likely <= estimate.high
    assert abs(estimate.likely - (75 + 10 * 220)) < 2 * noise * estimate.likely
    last = found.latest or NOW + HORIZON
    assert found.earliest <= (found.missed_on or last) <= last
    assert (found.earliest - NOW) / timedelta(days=1) <= ahead * 1.35 + 30 * noise * 10
    assert (last - NOW) / timedelta(days=1) >= ahead * 0.65 - 30 * noise * 10


def test_a_few_drills_on_a_busy_host_move_nothing():
    restores, sizes = law(growth=2.0)
    slow = [
        MeasuredRestore(each.at, {phase: took * 5 for phase, took in each.phases.items()}, each.size_bytes, each.wal_bytes)
        for each in restores[::7]
    ]
    busy = [*slow, *(each for number, each in enumerate(restores) if number % 7)]
    calm, found = (forecast(each, sizes, timedelta(hours=2), NOW) for each in (restores, busy))
    assert abs(found.missed_on - calm.missed_on) < timedelta(days=30)
    assert found.recovery_seconds.high >= calm.recovery_seconds.high


def test_what_a_long_wal_took_is_not_put_down_to_the_data():
    restores, sizes = law(growth=2.0, per_wal_gib=0.0)
    longer = [
        MeasuredRestore(each.at, {**each.phases, Phase.REPLAY: timedelta(seconds=100 * number)}, each.size_bytes, number * GIB)
        for number, each in enumerate(restores)
    ]
    assert abs(forecast(longer, sizes, timedelta(hours=3), NOW).seconds_per_gib.likely - 10) < 0.01


def test_with_too_few_drills_no_figure_is_told():
    restores, sizes = law()
    for count in range(LEAST_DRILLS):
        found = forecast(restores[:count], sizes, timedelta(hours=1), NOW)
        assert (found.outlook, found.why, found.drills) == (Outlook.UNKNOWN, "too_few_drills", count)
        assert (found.recovery_seconds, found.missed_on, found.growth_bytes_per_day) == (None, None, None)
    assert forecast([], [], timedelta(hours=1), NOW).size_bytes is None


def test_without_a_history_of_sizes_today_is_told_and_no_day():
    restores, sizes = law()
    for known, why in ((sizes[: LEAST_SIZES - 1], "too_few_sizes"), ([], "too_few_sizes")):
        found = forecast(restores, known, timedelta(hours=2), NOW)
        assert (found.outlook, found.why, found.missed_on) == (Outlook.UNKNOWN, why, None)
        assert found.recovery_seconds is not None
    week = [SizeSeen(NOW - timedelta(days=day), (100 - day) * GIB) for day in range(13)]
    assert forecast(restores, week, timedelta(hours=2), NOW).why == "sizes_of_too_short_a_time"


def test_data_that_shrink_or_stay_miss_nothing_ever():
    for growth in (-0.5, 0.0):
        restores, sizes = law(growth=growth)
        found = forecast(restores, sizes, timedelta(hours=1), NOW)
        assert (found.outlook, found.missed_on, found.latest) == (Outlook.NOT_IN_SIGHT, None, None)


def test_what_is_missed_with_the_data_of_now_is_missed_now():
    restores, sizes = law()
    found = forecast(restores, sizes, timedelta(minutes=10), NOW)
    assert (found.outlook, found.missed_on, found.earliest) == (Outlook.MISSED_NOW, NOW, NOW)


def test_of_one_size_alone_nobody_knows_what_grows_with_it_and_the_range_says_so():
    restores, _ = law(growth=0.0)
    growing = [SizeSeen(NOW - timedelta(days=day), (100 - day) * GIB) for day in range(60)]
    found = forecast(restores, growing, timedelta(minutes=25), NOW)
    assert not found.slope_known
    assert found.seconds_per_gib.low == 0.0
    assert found.latest is None, "all of it may be fixed"
    assert found.missed_on is not None, "and all of it may grow with the data"


def test_pure_noise_is_seldom_called_growth():
    restores, _ = law(growth=0.3)
    called = 0
    for seed in range(30):
        dice = random.Random(seed)
        sizes = [SizeSeen(NOW - timedelta(days=day), int((100 + dice.uniform(-5, 5)) * GIB)) for day in range(0, 60, 2)]
        growth = forecast(restores, sizes, timedelta(minutes=30), NOW).growth_bytes_per_day
        called += not growth.low < 0 < growth.high
    assert called <= 6, "one in ten by the interval"
