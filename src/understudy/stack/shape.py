"""The models as a map: which keys may stand at a path, and what is expected there."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Union, get_args, get_origin

from understudy.stack.document import Path
from understudy.stack.expectation import Expectation
from understudy.stack.models import Stack
from understudy.stack.resources import StackPart

_ANYTHING = Expectation("value", "another value")


def keys_at(path: Path) -> tuple[str, ...]:
    """The keys that the model at a path knows; empty where names are free, or no model is."""
    for alternative in _alternatives(_annotation_at(path)):
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            return tuple(alternative.model_fields)
    return ()


def expectation_at(path: Path) -> Expectation:
    return expectation_of(_annotation_at(path))


def expectation_of(annotation: object) -> Expectation:
    """What an annotated type says of itself, or what its structure tells."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        for each in metadata:
            if isinstance(each, Expectation):
                return each
        return expectation_of(inner)
    for alternative in _alternatives(annotation):
        if get_origin(alternative) is Annotated:
            return expectation_of(alternative)
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            return Expectation(f"keys of {alternative.title}", f"keys and values: {', '.join(alternative.model_fields)}")
        if get_origin(alternative) is tuple:
            item = expectation_of(get_args(alternative)[0])
            return Expectation(f"list of {item.name}", f"a list of one or more entries, each {item.text}")
        if get_origin(alternative) is Mapping:
            item = expectation_of(get_args(alternative)[1])
            return Expectation(f"names, each with {item.name}", f"one or more names, each with {item.text}")
    return _ANYTHING


def model_of(annotation: object) -> type[StackPart] | None:
    """The model that a field leads to, through lists and names."""
    for alternative in _alternatives(annotation):
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            return alternative
        arguments = get_args(alternative)
        if arguments:
            return model_of(arguments[-1] if get_origin(alternative) is Mapping else arguments[0])
    return None


def _annotation_at(path: Path) -> object:
    annotation: object = Stack
    for part in path:
        annotation = _below(annotation, part)
    return annotation


def _below(annotation: object, part: str | int) -> object:
    for alternative in _alternatives(annotation):
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            declared = alternative.model_fields.get(str(part))
            return declared.rebuild_annotation() if declared else None
        if get_origin(alternative) is Mapping:
            return get_args(alternative)[1]
        if get_origin(alternative) is tuple:
            return get_args(alternative)[0]
    return None


def _alternatives(annotation: object) -> Iterator[object]:
    """The types behind ``Annotated`` and ``… | None``."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            if member is not types.NoneType:
                # What is annotated inside a union keeps its annotation: it says what it expects.
                yield member
                yield from _alternatives(member) if get_origin(member) is Annotated else ()
    else:
        yield annotation
