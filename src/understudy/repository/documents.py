"""Reading documents strictly: each field once, of its type, and none that is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast

from understudy.repository.layout import FORMAT_VERSION
from understudy.repository.signing import malformed
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.json import Json, JsonObject

T = TypeVar("T", str, int, bool)


class Fields:
    """A document's fields. Take each with its type, then call ``finish``.

    Raises:
        GiveUp: ``document_malformed``, from every method.
    """

    def __init__(self, document: Json, what: str) -> None:
        if not isinstance(document, Mapping):
            raise malformed(f"{what} is no JSON object")
        self._left = dict(document)
        self._what = what

    @classmethod
    def of(cls, document: JsonObject, kind: str, newest: int = FORMAT_VERSION) -> Fields:
        """The fields of a stored document of one kind, in a format that this version reads.

        Args:
            newest: The newest version of this kind of document that is understood.

        Raises:
            Refusal: ``format_newer``: a newer Understudy wrote it.
        """
        fields = cls(document, kind)
        found = fields.text("document")
        if found != kind:
            raise malformed(f"a document of kind {found!r}", f"one of kind {kind!r}")
        version = fields.number("format_version")
        if version > newest:
            raise Refusal(
                "format_newer",
                found=f"{kind} in format version {version}",
                expected=f"format version {newest} or older",
                hint="a newer Understudy wrote it; install that version or a later one and try again",
            )
        return fields

    def text(self, name: str) -> str:
        return self._take(name, str)

    def number(self, name: str) -> int:
        """A whole number, not negative."""
        value = self._take(name, int)
        if value < 0:
            raise malformed(f"{self._what}: {name} is {value}", "a number from 0 on")
        return value

    def flag(self, name: str) -> bool:
        return self._take(name, bool)

    def digest(self, name: str) -> str:
        """A SHA-256, hexadecimal in small letters."""
        value = self.text(name)
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise malformed(f"{self._what}: {name} is {value!r}", "a SHA-256 in hexadecimal")
        return value

    def moment(self, name: str) -> datetime:
        """An ISO 8601 time with its offset."""
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise malformed(f"{self._what}: {name} is {value!r}", "an ISO 8601 time") from None
        if moment.tzinfo is None:
            raise malformed(f"{self._what}: {name} is {value!r}", "a time with its offset from UTC")
        return moment

    def optional_text(self, name: str) -> str | None:
        return None if self._is_null(name) else self.text(name)

    def optional_number(self, name: str) -> int | None:
        return None if self._is_null(name) else self.number(name)

    def has(self, name: str) -> bool:
        """For the few fields that may be left out."""
        return name in self._left

    def members(self, name: str) -> Sequence[Fields]:
        """The objects of an array."""
        return [Fields(member, f"{self._what}: {name}") for member in self._array(name)]

    def member(self, name: str) -> Fields:
        return Fields(self._any(name), f"{self._what}: {name}")

    def free_form(self, name: str) -> JsonObject:
        """An object whose fields are not this product's to know."""
        value = self._any(name)
        if not isinstance(value, Mapping):
            raise malformed(f"{self._what}: {name} is no JSON object")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._array(name)
        if not all(isinstance(value, str) for value in values):
            raise malformed(f"{self._what}: {name} holds something that is no text")
        return tuple(cast(Sequence[str], values))

    def finish(self) -> None:
        """Nothing unknown may be left over: it could change the meaning of what is known."""
        if self._left:
            raise malformed(f"{self._what} has unknown fields: {', '.join(sorted(self._left))}")

    def expect(self, **facts: str | int) -> None:
        """Each named field has this value: the document is the one that its key says."""
        for name, expected in facts.items():
            found = self._any(name)
            if found != expected or type(found) is not type(expected):
                raise malformed(f"{self._what} with {name} {found!r}", f"{expected!r}, as its key says")

    def _array(self, name: str) -> Collection[Json]:
        value = self._any(name)
        if not isinstance(value, list):
            raise malformed(f"{self._what}: {name} is no array")
        return value

    def _is_null(self, name: str) -> bool:
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return True
        return False

    def _any(self, name: str) -> Json:
        if name not in self._left:
            raise malformed(f"{self._what} without {name}")
        return self._left.pop(name)

    def _take(self, name: str, kind: type[T]) -> T:
        value = self._any(name)
        if type(value) is not kind:
            raise malformed(f"{self._what}: {name} is {value!r}", kind.__name__)
        return value
