"""The one type of a secret's value. It prints as ``***`` wherever it turns up by mistake."""

from __future__ import annotations

import hmac


class Secret:
    """A value that must not be printed, logged, stored or sent in clear.

    ``reveal()`` is the only way to the value, so that every use can be found by searching for the word.
    It does not pickle and has no length, because both leak.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a secret does not leave the process by pickling")
