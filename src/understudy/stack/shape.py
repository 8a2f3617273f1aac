"""The models as a map: which keys may stand at a path of a file, and what is expected there."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Union, get_args, get_origin

from understudy.stack.document import Path, TextTree
from understudy.stack.expectation import Expectation
from understudy.stack.models import Stack
from understudy.stack.resources import kind_of
from understudy.stack.stack_part import StackPart

_ANYTHING = Expectation("value", "another value")


def keys_at(path: Path, tree: TextTree | None) -> tuple[str, ...]:
    """The keys that the model at a path knows; empty where names are free, or no model is.

    ``tree``: the file, because what a resource may say depends on its kind.
    """
    for alternative in _alternatives(_annotation_at(path, tree)):
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            return tuple(alternative.model_fields)
    return ()


def expectation_at(path: Path, tree: TextTree | None) -> Expectation:
    return expectation_of(_annotation_at(path, tree, whole=True))


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


def models_of(annotation: object) -> tuple[type[StackPart], ...]:
    """The models that a field leads to, through lists and names; several where they are told apart by their kind."""
    found: list[type[StackPart]] = []
    for alternative in _alternatives(annotation):
        if isinstance(alternative, type) and issubclass(alternative, StackPart):
            found.append(alternative)
            continue
        arguments = () if get_origin(alternative) is Annotated else get_args(alternative)
        if arguments:
            found += models_of(arguments[-1] if get_origin(alternative) is Mapping else arguments[0])
    return tuple(dict.fromkeys(found))


def _annotation_at(path: Path, tree: TextTree | None, *, whole: bool = False) -> object:
    """``whole``: as declared; else, where several models may stand, the one that is meant."""
    annotation: object = Stack
    value: object = tree
    for part in path:
        annotation = _below(_meant(annotation, value), part)
        value = _part_of(value, part)
    return annotation if whole else _meant(annotation, value)


def _meant(annotation: object, value: object) -> object:
    models = [each for each in _alternatives(annotation) if isinstance(each, type) and issubclass(each, StackPart)]
    if len(models) < 2:
        return annotation
    kind = kind_of(value)
    return next(model for model in models if kind in get_args(model.model_fields["kind"].annotation))


def _part_of(value: object, part: str | int) -> object:
    if isinstance(value, dict):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None


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
