"""What a step proved, as people read it: names in words, sizes and durations with their units, lists and parts indented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from understudy.documents.words import duration
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.sizes import readable_size

_ONE_LINE_CHARACTERS = 60
_UNITS: Mapping[str, Callable[[float], str]] = {"bytes": readable_size, "seconds": duration}
"""By the word of a name that says in what its number is measured."""

_NAMES = {
    "plain_bytes": "size",
    "relation_bytes": "size",
    "sealed_bytes": "stored size",
    "size_bytes": "size",
    "tail_bytes": "unfinished segment",
    "only_here_bytes": "on this host only",
    "taken_bytes": "size",
    "free_bytes": "free",
    "receiver_pid": "process of the receiver",
    "amcheck_relations": "relations checked by amcheck",
    "sql": "SQL",
}
"""Where the words of the name alone would not say it."""

_SPELLING = {"lsn": "LSN", "wal": "WAL", "sha256": "SHA-256", "url": "URL", "oid": "OID"}


def proof_lines(proof: JsonObject, indent: int) -> Iterator[str]:
    """One line for each value, so that nothing that was proven is left out."""
    for name, value in proof.items():
        yield from _named(name, value, " " * indent)


def _named(name: str, value: Json, indent: str) -> Iterator[str]:
    yield from _titled(in_words(name), name, value, indent)


def _titled(title: str, name: str, value: Json, indent: str) -> Iterator[str]:
    text = in_one_line(name, value)
    if text is not None:
        yield f"{indent}{title}: {text}"
        return
    yield f"{indent}{title}:"
    yield from _parts(value, f"{indent}  ")


def _parts(value: Json, indent: str) -> Iterator[str]:
    """Of what does not fit into one line."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            # Parts that have parts are told apart by names of the user's: of databases, of repositories.
            title = name if isinstance(part, Mapping) else in_words(name)
            yield from _titled(title, name, part, indent)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            first, *rest = [*_parts(item, "")] if has_parts(item) else [plain(item)]
            yield f"{indent}- {first}"
            yield from (f"{indent}  {line}" for line in rest)


def in_one_line(name: str, value: Json) -> str | None:
    """None where it takes several."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return plain(value)
    if isinstance(value, int | float):
        measured = next((_UNITS[word] for word in name.split("_") if word in _UNITS), None)
        return str(value) if measured is None else measured(value)
    if not value:
        return "none"
    if isinstance(value, Sequence) and not any(map(has_parts, value)):
        joined = ", ".join(map(plain, value))
        return joined if len(joined) <= _ONE_LINE_CHARACTERS or len(value) == 1 else None
    return None


def has_parts(value: Json) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def plain(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value or isinstance(value, int | float) else "none"


def in_words(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    kept = [word for word in name.split("_") if word not in _UNITS] or [name]
    return " ".join(_SPELLING.get(word, word) for word in kept)
