"""Where a stack refers to secrets: what a host must provide besides the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from understudy.stack.models import Stack
from understudy.stack.secrets import SecretReference
from understudy.stack.stack_part import StackPart


@dataclass(frozen=True, slots=True)
class NamedReference:
    reference: SecretReference
    place: tuple[str, ...]
    """The keys that lead to it: ``("resources", "orders", "recover", "url")``."""

    @property
    def meaning(self) -> str:
        """For people."""
        match self.place:
            case ("repositories", name, key):
                return f"{_words(key)} of repository {name}"
            case ("resources", name, "url"):
                return f"connection string of {name}, a role with REPLICATION"
            case ("resources", name, "recover", "url"):
                return f"connection string that leads to the recovered server of {name}"
            case ("resources" | "services", name, *keys):
                return f"{' '.join(map(_words, keys))} of {name}"
            case _:
                return ".".join(self.place)


def references_in(stack: Stack) -> tuple[NamedReference, ...]:
    """In the order of the models, those of keys aside that a host has or makes for itself (``encryption``)."""
    return tuple(each for each in _below(stack, ()) if each.place[0] != "encryption")


def every_reference_in(stack: Stack) -> tuple[SecretReference, ...]:
    """Those of keys, too; each once."""
    return tuple(dict.fromkeys(each.reference for each in _below(stack, ())))


def _below(value: object, place: tuple[str, ...]) -> Iterator[NamedReference]:
    if isinstance(value, SecretReference):
        yield NamedReference(value, place)
    elif isinstance(value, StackPart):
        for name in type(value).model_fields:
            yield from _below(getattr(value, name), (*place, name))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _below(each, (*place, str(name)))
    elif isinstance(value, tuple):
        for each in value:
            yield from _below(each, place)


def _words(key: str) -> str:
    return key.replace("_", " ")
