"""Drawings, read as XML by somebody else's parser and measured."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tests.documents.sample_runs import BEGAN, FAILURE, recorded, recovery_steps, run_record, seconds, step
from understudy.documents.drawing import FRAME, LEFT, ROW, WIDTH, Gauge, UprightLine, gauges, swatch, timeline
from understudy.documents.palette import DARK, LIGHT, UNKNOWN_PHASE
from understudy.documents.waterfall import axis_of, grouped
from understudy.records.run import StepState
from understudy.vocabulary.phases import Phase

OBJECTIVE = UprightLine(seconds(12), "objective", "objective")


def drawn(steps, lines=(OBJECTIVE,), objective=12, runs=1):
    [group] = grouped([recorded(run_record(), steps)], BEGAN, BEGAN)
    axis = axis_of([group], seconds(objective), LEFT, FRAME)
    return ElementTree.fromstring(timeline(group, axis, lines, runs).html), axis  # noqa: S314


def rects(svg, kind):
    return [each for each in svg.iter("rect") if kind in each.get("class").split()]


def texts(svg, kind):
    return [each.text for each in svg.iter("text") if kind in each.get("class").split()]


def number(element, name):
    return float(element.get(name))


def test_each_step_has_a_row_in_which_its_bar_begins_and_ends_where_it_did():
    steps = recovery_steps()
    svg, _ = drawn(steps)
    longest = 12.0 * 1.02  # the objective, with a little room behind it
    assert texts(svg, "name") == [each.key.partition("/")[2] for each in steps]
    bars = rects(svg, "bar")
    assert len(bars) == len(steps)
    for bar, made in zip(bars, steps, strict=True):
        began, ended = ((each - BEGAN).total_seconds() for each in (made.evidence.started, made.evidence.ended))
        assert number(bar, "x") == pytest.approx(LEFT + FRAME * began / longest, abs=0.02)
        assert number(bar, "width") == pytest.approx(FRAME * (ended - began) / longest, abs=0.02)
    tops = [number(bar, "y") for bar in bars]
    assert {round(below - above, 3) for above, below in pairwise(tops)} == {ROW}


def test_nothing_is_drawn_outside_of_the_frame():
    svg, _ = drawn(recovery_steps())
    _, _, width, height = map(float, svg.get("viewBox").split())
    assert width == WIDTH
    for each in svg.iter("rect"):
        assert number(each, "x") >= 0 and number(each, "x") + number(each, "width") <= LEFT + FRAME + 0.02
        assert number(each, "y") >= 0 and number(each, "y") + number(each, "height") <= height
    for each in svg.iter("line"):
        assert LEFT - 0.02 <= number(each, "x1") <= LEFT + FRAME + 0.02 and number(each, "y2") <= height
    for each in svg.iter("text"):
        assert 0 < number(each, "y") <= height


def test_the_objective_is_a_line_at_its_time_with_its_name():
    svg, axis = drawn(recovery_steps())
    [line] = [each for each in svg.iter("line") if "objective" in each.get("class")]
    assert line.get("x1") == line.get("x2")
    assert number(line, "x1") == pytest.approx(axis.x(seconds(12)), abs=0.02)
    assert texts(svg, "objective") == ["objective 12.0 s"]


def test_an_objective_beyond_the_axis_is_named_and_not_drawn_at_its_edge():
    svg, _ = drawn(recovery_steps(), [UprightLine(seconds(3600), "objective", "objective")], objective=3600)
    assert [each for each in svg.iter("line") if "objective" in each.get("class")] == []
    assert texts(svg, "objective") == ["objective 1 h 00 min: beyond this drawing →"]


def test_what_failed_says_so_in_words_and_bears_a_mark_of_its_own():
    svg, _ = drawn([step("docs/restore-snapshot", 0, 2, StepState.FAILED, error=FAILURE), step("docs/provision-target", 2, 3)])
    failed, well = rects(svg, "bar")
    assert ("failed" in failed.get("class"), "failed" in well.get("class")) == (True, False)
    assert failed.get("stroke") and well.get("stroke") is None
    assert texts(svg, "took") == ["2.00 s · failed", "1.00 s"]


def test_tries_before_the_last_one_are_a_thin_line_in_front_of_the_bar():
    svg, axis = drawn([step("docs/restore-snapshot", 5, 8, tried=2)], objective=1)
    [tried] = rects(svg, "tried")
    assert number(tried, "x") == pytest.approx(axis.x(seconds(2)), abs=0.02)
    assert number(tried, "x") + number(tried, "width") == pytest.approx(axis.x(seconds(5)), abs=0.02)


def test_the_drawing_is_told_to_who_does_not_see_it():
    svg, _ = drawn(recovery_steps())
    assert svg.get("role") == "img"
    assert svg.get("aria-label").startswith("Timeline of orders. 7 steps")
    assert "the longest is restore-base-backup with 3.00 s" in svg.findtext("desc")
    assert all(bar.findtext("title") for bar in rects(svg, "bar"))


def test_rows_of_several_runs_say_which_one_they_are_of():
    svg, _ = drawn([step("docs/restore-snapshot", 0, 1)], runs=2)
    assert texts(svg, "name") == ["restore-snapshot · run 1"]


def test_a_recovery_time_and_its_objective_are_on_one_scale():
    rows = [Gauge("recovery time", seconds(30)), Gauge("pics", seconds(15)), Gauge("docs", None)]
    lines = [UprightLine(seconds(60), "objective", "objective"), UprightLine(seconds(45), "aimed at", "target")]
    svg = ElementTree.fromstring(gauges(rows, lines).html)  # noqa: S314
    whole, half = rects(svg, "gauge")
    assert number(whole, "width") == pytest.approx(2 * number(half, "width"), abs=0.02)
    at = {each.get("class"): number(each, "x1") for each in svg.iter("line") if "upright" in each.get("class")}
    assert at["upright objective"] - LEFT == pytest.approx(2 * number(whole, "width"), abs=0.05)
    assert at["upright target"] - LEFT == pytest.approx(1.5 * number(whole, "width"), abs=0.05)
    assert texts(svg, "took") == ["30.0 s", "15.0 s", "not recovered"]


def test_a_line_that_would_leave_the_objective_no_room_lies_beyond_the_drawing():
    lines = [UprightLine(seconds(60), "objective", "objective"), UprightLine(seconds(14400), "tier standard", "target")]
    svg = ElementTree.fromstring(gauges([Gauge("recovery time", seconds(30))], lines).html)  # noqa: S314
    [line] = [each for each in svg.iter("line") if "upright" in each.get("class")]
    assert number(line, "x1") > LEFT + FRAME / 2
    assert texts(svg, "target") == ["tier standard 4 h 00 min: beyond this drawing →"]


def test_a_name_that_holds_markup_draws_no_element():
    svg, _ = drawn([step("orders/<script>x</script>", 0, 1)])
    assert list(svg.iter("script")) == []
    assert texts(svg, "name") == ["<script>x</script>"]


def test_each_phase_has_a_colour_of_its_own_in_the_light_and_in_the_dark():
    for colours in (LIGHT, DARK):
        assert set(colours) == set(Phase)
        assert len(set(colours.values())) == len(Phase)
    assert "fill" in swatch(Phase.RESTORE).html


def test_a_bar_of_an_unknown_phase_is_grey():
    svg, _ = drawn([step("orders/of-another-version", 0, 1)])
    [bar] = rects(svg, "bar")
    assert bar.get("fill") == UNKNOWN_PHASE
