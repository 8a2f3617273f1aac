"""What a recovery came to goes into the evidence and comes back as it was."""

import json

import pytest

from tests.documents.sample_runs import measured_recovery, measured_stack
from understudy.judge.measured import measured_from_json
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.json_form import to_json

STACK = measured_stack(
    measured_recovery("pics", 4), measured_recovery("docs", None), priorities={"pics": "P1", "docs": "P2"}
)  # fmt: skip
ALL = [measured_recovery(), measured_recovery(took=None, recovery_point=None, target=None, unprotected=("far",)), STACK]


def chained(measured):
    return json.loads(canonical_json(to_json(measured)))


@pytest.mark.parametrize("measured", ALL)
def test_what_was_chained_is_read_back_as_it_was(measured):
    assert measured_from_json(chained(measured)) == measured
    assert measured_from_json(chained(measured)).met == measured.met


def test_phases_are_in_the_order_of_recovery_again():
    assert list(measured_from_json(chained(ALL[0])).measurement.phases) == list(ALL[0].measurement.phases)


@pytest.mark.parametrize("name", ["measurement", "disruption", "objectives", "recovery_point"])
def test_another_form_is_no_measurement(name):
    value = chained(ALL[0])
    for other in ({**value, name: "blessed"}, {key: each for key, each in value.items() if key != name}):
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            measured_from_json(other)
