"""How a field says what it wants, once: for the mistake that is reported and for the manual alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue


EXPECTED = "x-expected"
"""Key of a text's schema under which stands what is expected."""


class Unfit(ValueError):
    """A value that a field can't take. Carries what was expected, and never the value: it may be a secret."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Expectation:
    """Stands in an ``Annotated`` type, beside the type that enforces it."""

    name: str
    """The type's short name in the manual: ``duration``."""
    text: str
    """What is expected, to be read behind the word "expected": ``a duration such as 15m``."""
    secret: bool = field(default=False, kw_only=True)
    """Values given here are not repeated in any message."""


@dataclass(frozen=True, slots=True)
class TextForm(Expectation):
    """A value that the file holds as text: how it is read, checked and printed back.

    ``parse`` raises ``Unfit``. A value that is of a ``kind`` already (a stack that is built in Python) is not parsed, but both
    must pass ``check``.
    """

    parse: Callable[[str], object]
    write: Callable[[Any], str] = str
    kind: type | tuple[type, ...] | None = None
    check: Callable[[Any], object] | None = field(default=None, kw_only=True)

    def read(self, value: object) -> object:
        if self.kind is not None and isinstance(value, self.kind):
            parsed: object = value
        elif isinstance(value, str):
            parsed = self.parse(value)
        else:
            raise Unfit(self.text)
        if self.check:
            self.check(parsed)
        return parsed

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write, return_schema=core_schema.str_schema()),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", EXPECTED: self.text}
