"""What is demanded of an error that somebody reads at three in the morning."""

from __future__ import annotations

from understudy.records.run import RecordedError
from understudy.vocabulary.errors import UnderstudyError


def told_whole(said: RecordedError | UnderstudyError | None) -> str:
    """The code of an error that says what was found, what was expected, and what to do."""
    assert said is not None, "nothing went wrong"
    assert said.found and said.expected and said.hint, said
    return said.code
