"""The page says of each target whether it was met, and names what was not measured; the results survive on disk."""

import pytest
from bench.results import Compared, Measured, Measurement, RowResult

from bench import report, results

ROW = RowResult(
    "restore",
    "Restore",
    "By a watch.",
    [Measured("ours", "wall s", [1.0, 2.0, 4.0]), Measured("theirs", "wall s", [2.0, 2.0, 2.0])],
    [
        Compared("restore, wall", [1.0, 2.0, 4.0], [2.0, 2.0, 2.0], 0.85),
        Compared("restore against nothing", [1.0, 2.0, 4.0], [2.0, 2.0, 2.0]),
        Compared("peak memory, MiB", [120.0], None, 400),
    ],
    ["barman is not installed: left out"],
)
MEASUREMENT = Measurement(ROW, {"disturbance": "none"})


def test_a_missed_target_is_said_to_be_missed():
    page = report.markdown({"restore": MEASUREMENT}, {})
    assert "| restore, wall | 1 | 0.50–2 | ≤ 0.85 | no |" in page
    assert "| restore against nothing | 1 | 0.50–2 |  |  |" in page
    assert "| peak memory, MiB | 120 | 120–120 | ≤ 400 | yes |" in page


def test_a_pipe_in_a_name_does_not_end_its_cell():
    row = RowResult("x", "X", "", [], [Compared("tar | zstd", [1.0])])
    assert r"| tar \| zstd | 1 | 1–1 |  |  |" in report.markdown({"x": Measurement(row)}, {})


def test_what_was_not_measured_is_named_with_its_reason():
    assert "- **loss**: no second host" in report.markdown({}, {"loss": "no second host"})


def test_what_a_person_wrote_stands_in_the_page():
    assert "## What limits it" in report.markdown({"restore": MEASUREMENT}, {}, "## What limits it\n\nThe disk.\n")


def test_results_come_back_from_disk_as_they_were(tmp_path):
    results.save(tmp_path / "results.json", {"restore": MEASUREMENT})
    assert results.load(tmp_path / "results.json") == {"restore": MEASUREMENT}
    assert results.load(tmp_path / "absent.json") == {}


@pytest.mark.parametrize(("value", "text"), [(1052.3, "1,052"), (16.54, "16.5"), (0.624, "0.62"), (3.0, "3")])
def test_numbers_keep_the_digits_that_mean_something(value, text):
    assert report.number(value) == text
