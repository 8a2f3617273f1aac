"""The JSON form of steps: ``{"step": "take_base_backup", …fields}``. It is what a resumed run is rebuilt from.

Fields are plain values: text, numbers, booleans, None, tuples or string-keyed mappings of these, and flat dataclasses (a place);
richer values (an LSN, a label, a time) are kept as text in the step and parsed where it runs.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from understudy.ports.step import Step
from understudy.vocabulary.json import JsonObject

S = TypeVar("S", bound=type)

_KINDS: dict[str, type] = {}


def step_kind(name: str) -> Callable[[S], S]:
    """Class decorator: registers the step's JSON name. A name is never reused for another meaning."""

    def register(kind: S) -> S:
        if name in _KINDS:
            raise ValueError(f"two kinds of step are called {name!r}")
        _KINDS[name] = kind
        kind.kind_name = name  # type: ignore[attr-defined]
        return kind

    return register


def step_to_json(step: Step) -> JsonObject:
    fields = dataclasses.asdict(cast(Any, step))
    return {"step": cast(Any, step).kind_name} | {
        name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in fields.items()
    }


def step_from_json(value: JsonObject) -> Step:
    """Rebuild a step.

    Raises:
        ValueError: the kind is unknown (the run was planned by a newer version), or its fields do not fit.
    """
    name = str(value["step"])
    if name not in _KINDS:  # a process that resumes a run has not planned it, so it may not have met its steps yet
        _meet_every_kind()
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"no kind of step is called {name!r}; known: {', '.join(sorted(_KINDS))}")
    hints = _hints_of(kind)
    try:
        return cast(Step, kind(**{key: _frozen(item, hints.get(key)) for key, item in value.items() if key != "step"}))
    except TypeError as error:
        raise ValueError(f"the fields of {name!r} do not fit: {error}") from error


_hints_of = functools.cache(get_type_hints)


@functools.cache
def _meet_every_kind() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"understudy.steps.{module.name}")


def _frozen(value: object, hint: object = None) -> object:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict) and isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint(**value)
    return value
