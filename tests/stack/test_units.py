import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.stack.expectation import Unfit
from understudy.stack.units import (
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_a_duration_survives_writing_and_reading_to_the_millisecond(duration):
    whole = timedelta(milliseconds=duration // timedelta(milliseconds=1))
    assert parse_duration(format_duration(whole)) == whole


@given(st.integers(0, 2**60))
def test_a_size_survives_writing_and_reading_to_the_byte(size_bytes):
    assert parse_size(format_size(size_bytes)) == size_bytes
    assert parse_rate(format_rate(size_bytes)) == size_bytes


@given(st.text(max_size=30))
def test_any_other_text_is_unfit_and_nothing_worse(text):
    for parse in (parse_duration, parse_size, parse_rate):
        with contextlib.suppress(Unfit):
            assert parse(text) is not None


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10s", timedelta(seconds=10)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("500ms", timedelta(milliseconds=500)),
        ("1m1ms", timedelta(minutes=1, milliseconds=1)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_read_as_people_write_them(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "15", "m", "1.5h", "30m1h", "1m1m", "-5m", "5 m", "5M", "15min", "٣m", "999999999d", "1h30"]
)
def test_a_text_that_is_no_duration_is_refused(text):
    with pytest.raises(Unfit, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("8GiB", 8 * 2**30), ("100MB", 10**8), ("512KiB", 2**19), ("1kB", 1000), ("7B", 7), ("1TiB", 2**40)]
)
def test_sizes_tell_powers_of_1024_from_powers_of_1000(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "8", "8G", "8gb", "GiB", "1.5GiB", "8 GiB", "-1B", "٨GiB", "999999999TiB"])
def test_a_text_that_is_no_size_is_refused(text):
    with pytest.raises(Unfit, match="expected a size"):
        parse_size(text)


def test_a_unit_that_was_left_out_is_suggested():
    with pytest.raises(Unfit, match="did you mean 15s or 15m"):
        parse_duration("15")
    with pytest.raises(Unfit, match="did you mean 8GiB"):
        parse_size("8G")
