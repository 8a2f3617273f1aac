"""Saying in one line what something is refused with."""

from collections.abc import Callable

import pytest

from understudy.vocabulary.errors import GiveUp, TryAgain


def refused_with(code: str, use: Callable[[], object]) -> GiveUp | TryAgain:
    with pytest.raises((GiveUp, TryAgain)) as refused:
        use()
    assert refused.value.code == code
    return refused.value
