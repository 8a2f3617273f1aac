"""A secret prints as stars wherever it turns up by mistake, and leaves the process in no other way either."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass
from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary import secret as secret_module
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

VALUE = "hunter2 of the pass"


@dataclass(frozen=True)
class Holder:
    """As adapters keep a secret: beside what may be shown."""

    user: str
    password: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(VALUE)),
        repr(Secret(VALUE)),
        f"{Secret(VALUE)}",
        f"{Secret(VALUE)!r:>40}",
        f"{Secret(VALUE):>40}",
        format(Secret(VALUE), "s"),
        "%s %r" % (Secret(VALUE), Secret(VALUE)),  # noqa: UP031 - this is what logging does
        "{} {!s} {!r}".format(Secret(VALUE), Secret(VALUE), Secret(VALUE)),  # noqa: UP032
        str([Secret(VALUE), {"password": Secret(VALUE)}]),
        str(Holder("orders", Secret(VALUE))),
    ],
)
def test_it_prints_as_stars(shown):
    assert VALUE not in shown
    assert "***" in shown


@given(st.text(min_size=1).filter(lambda text: text not in "***"), st.sampled_from(["", "s", ">40", "x", "020d"]))
def test_no_value_and_no_format_brings_it_out(value, spec):
    assert f"{Secret(value):{spec}}" == str(Secret(value)) == repr(Secret(value)) == "***"


def test_it_is_not_in_a_log(caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("understudy").warning("connecting with %s, that is %r", Secret(VALUE), {"password": Secret(VALUE)})
    assert VALUE not in caplog.text
    assert "***" in caplog.text


@pytest.mark.parametrize(
    "error",
    [ValueError(Secret(VALUE)), GiveUp("password_rejected", found=f"{Secret(VALUE)} was refused"), KeyError(Secret(VALUE))],
)
def test_it_is_not_in_what_an_exception_says(error):
    try:
        raise error
    except type(error):
        told = traceback.format_exc()
    assert VALUE not in told and VALUE not in str(error) and VALUE not in repr(error)
    assert "***" in told


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_does_not_pickle_alone_or_within_something(protocol):
    for value in (Secret(VALUE), [Secret(VALUE)], Holder("orders", Secret(VALUE))):
        with pytest.raises(TypeError, match="secret"):
            pickle.dumps(value, protocol)


def test_it_is_neither_copied_nor_measured_nor_turned_into_json():
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(VALUE))
    with pytest.raises(TypeError):
        len(Secret(VALUE))
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(VALUE)})
    with pytest.raises(TypeError):
        vars(Secret(VALUE))


@given(st.text(), st.text())
def test_two_are_equal_exactly_when_their_values_are(one, other):
    assert (Secret(one) == Secret(other)) == (one == other)
    if one == other:
        assert hash(Secret(one)) == hash(Secret(other))


def test_it_is_never_equal_to_the_text_itself():
    assert Secret(VALUE) != VALUE
    assert VALUE not in [Secret(VALUE)]


def test_values_are_compared_in_constant_time_and_only_there(monkeypatch):
    compared = []

    def recording(one, other):
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(secret_module.hmac, "compare_digest", recording)
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("x")
    assert compared == [(VALUE.encode(), VALUE.encode()), (VALUE.encode(), b"x")]


def test_a_failed_comparison_of_a_test_does_not_tell_it():
    with pytest.raises(AssertionError) as failure:
        TestCase().assertEqual(Secret(VALUE), Secret("another"))
    assert VALUE not in str(failure.value)


def test_only_reveal_gives_it_out():
    assert Secret(VALUE).reveal() == VALUE
