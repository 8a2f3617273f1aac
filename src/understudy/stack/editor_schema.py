"""The JSON Schema of the stack file, made from the models: what editors complete, explain and underline by.

It knows the file as a reader of YAML hands it on: numbers and truths without quotes are such. It says less than ``check``: what
two keys say together, and what only libpq or age know, an editor does not see.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pydantic.fields import FieldInfo

from understudy.stack.expectation import EXPECTED
from understudy.stack.models import Stack
from understudy.stack.shape import expectation_of, models_of
from understudy.stack.stack_part import StackPart
from understudy.stack.values import BARE, PATTERNS
from understudy.vocabulary.json import Json, JsonObject

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
_QUOTED = {"integer": r"^\s*[+-]?[\d_]+\s*$", "boolean": "^(?:true|false)$"}
"""In quotes they are text to a reader of YAML, and what they are all the same to the stack file."""
_LEFT_OUT = ("title", "default", EXPECTED)


def schema() -> str:
    """Of draft 2020-12, as text."""
    made = Stack.model_json_schema(mode="validation")
    parts: Mapping[str, JsonObject] = {**made.pop("$defs"), Stack.__name__: made}
    told = {model.__name__: _of_model(model, parts[model.__name__]) for model in _every_model(Stack, [])}
    whole = told.pop(Stack.__name__)
    return json.dumps({"$schema": _DRAFT, **whole, "$defs": told}, indent=2, sort_keys=True) + "\n"


def _every_model(model: type[StackPart], seen: list[type[StackPart]]) -> Sequence[type[StackPart]]:
    if model not in seen:
        seen.append(model)
        for info in model.model_fields.values():
            for below in models_of(info.annotation):
                _every_model(below, seen)
    return seen


def _of_model(model: type[StackPart], made: JsonObject) -> JsonObject:
    properties = cast(Mapping[str, JsonObject], made["properties"])
    told = {name: {**_told(properties[name]), **_default(info)} for name, info in model.model_fields.items()}
    return {**_told({**made, "properties": {}}), "title": model.title, "properties": told}


def _told(made: JsonObject) -> JsonObject:
    """Without what is Python's: its names for things, its form of defaults, and ``null``, which no stack file may hold."""
    kept = {key: _below(value) for key, value in made.items() if key not in _LEFT_OUT}
    if EXPECTED in made:
        kept |= _of_text(str(made[EXPECTED]))
    if made.get("type") in _QUOTED:
        kept |= {"type": [made["type"], "string"], "pattern": _QUOTED[str(made["type"])]}
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list) and len(alternatives) == 1:
        del kept["anyOf"]
        kept = {**alternatives[0], **kept}
    return kept


def _below(value: Json) -> Json:
    if isinstance(value, Mapping):
        return _told(value)
    if isinstance(value, list):
        return [_below(each) for each in value if each != _NULL]
    return value


def _of_text(expected: str) -> Iterator[tuple[str, Json]]:
    """``patternErrorMessage`` is what VS Code and yaml-language-server say in place of the pattern; others pass it over."""
    yield "type", ["string", "number", "boolean"] if expected in BARE else "string"
    if expected in PATTERNS:
        yield "pattern", PATTERNS[expected]
        yield "patternErrorMessage", f"expected {expected}"


def _default(info: FieldInfo) -> JsonObject:
    """As it would stand in the file; nothing where it is more than one value."""
    default = None if info.is_required() or info.default_factory else info.get_default()
    if default is None or default == () or isinstance(default, StackPart):
        return {}
    write = getattr(expectation_of(info.rebuild_annotation()), "write", None)
    return {"default": default if write is None else write(default)}
