"""From a file to a stack, or to all the mistakes in it at once."""

from __future__ import annotations

import copy
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from understudy.stack.consistency import Contradiction, Contradictions, did_you_mean
from understudy.stack.document import Document, Path, Place, TextTree, read_document, spell
from understudy.stack.expectation import Unfit
from understudy.stack.mistakes import Mistake, StackFileInvalid, shown, shown_secret
from understudy.stack.models import EncryptionSettings, RepositorySettings, Stack
from understudy.stack.resources import KINDS, kind_of
from understudy.stack.shape import expectation_at, keys_at
from understudy.vocabulary.errors import Refusal

LARGEST_BYTES = 256 * 1024

# No contradiction rests on these; they stand in for the file's own while the rest of a broken file is looked at.
_STAND_IN_KEYS = EncryptionSettings.model_construct(recipients=())
_STAND_IN_REPOSITORIES = {"stand-in": RepositorySettings.model_construct(url="s3://stand-in")}
_STAND_IN_RESOURCES: dict[str, dict[str, TextTree]] = {
    "postgres": {"url": "env:STAND_IN"},
    "postgres-dump": {"url": "env:STAND_IN"},
    "files": {"path": "/stand-in"},
    "bucket": {"url": "s3://stand-in-bucket"},
    "command": {"dump": ["true"]},
    "redis": {"url": "env:STAND_IN"},
}
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class LoadedStack:
    """A stack, and exactly which file it was."""

    stack: Stack
    file: str
    content: bytes
    digest: str
    """SHA-256 of the file's bytes, hexadecimal."""


def load_stack(file: FilePath) -> LoadedStack:
    """Read and check a stack file. Nothing but the file is looked at: no secret, no server, no store.

    Raises:
        Refusal: ``stack_file_missing``, ``stack_file_unreadable``; ``stack_file_invalid`` as ``StackFileInvalid``.
    """
    try:
        # Not blocking, since opening a pipe that nobody writes to would wait for ever.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a plain file")
            content = opened.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise Refusal(
            "stack_file_missing",
            found=f"{file} does not exist",
            expected="a stack file",
            hint="write one with: understudy init",
        ) from None
    except OSError as error:
        raise Refusal(
            "stack_file_unreadable",
            found=f"{file}: {error.strerror}",
            expected="a plain file that the current user may read",
            hint=f"look at it with: ls -ld {file}",
        ) from None
    return parse_stack(content, str(file))


def parse_stack(content: bytes, file: str) -> LoadedStack:
    """As ``load_stack``, from bytes; ``file`` is only for messages.

    Raises:
        StackFileInvalid: with every mistake.
    """
    document = read_document(_text(content, file), file)
    if document.tree is None:
        raise StackFileInvalid(file, document.mistakes)
    try:
        stack = Stack.model_validate(document.tree)
    except ValidationError as error:
        document.mistakes.extend(_mistakes(error, document))
    if document.mistakes:
        unique = dict.fromkeys(document.mistakes)
        raise StackFileInvalid(file, sorted(unique, key=lambda mistake: (mistake.line, mistake.column)))
    return LoadedStack(stack, file, content, hashlib.sha256(content).hexdigest())


def _text(content: bytes, file: str) -> str:
    if len(content) > LARGEST_BYTES:
        expected = f"a stack file of at most {LARGEST_BYTES} bytes"
        raise StackFileInvalid(file, [Mistake(file, 1, 1, "", "a larger file", expected)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        value = f"the byte 0x{content[error.start]:02X}"
        raise StackFileInvalid(file, [Mistake(file, line, column, "", value, "text in UTF-8")]) from None


def _mistakes(error: ValidationError, document: Document) -> Iterator[Mistake]:
    details = error.errors(include_url=False)
    paths = [_path_in_file(detail, document)[0] for detail in details]
    pruned: set[Path] = set()
    for detail in details:
        found = _contradictions(detail)
        if found is not None:
            yield from (_of_contradiction(each, document) for each in found)
            continue
        path, key = _path_in_file(detail, document)
        pruned.add(path if key is None else (*path, key))
        # A list is also called too short when its only entry is wrong.
        of_its_parts = detail["type"] == "too_short" and any(other != path and other[: len(path)] == path for other in paths)
        if not of_its_parts and not any(path[:length] in document.broken for length in range(len(path) + 1)):
            yield _of_detail(detail, path, key, document)
    yield from (_of_contradiction(each, document) for each in _salvaged(document, pruned | document.broken))


def _contradictions(detail: ErrorDetails) -> tuple[Contradiction, ...] | None:
    cause = detail.get("ctx", {}).get("error")
    return cause.found if isinstance(cause, Contradictions) else None


def _path_in_file(detail: ErrorDetails, document: Document) -> tuple[Path, str | None]:
    """Where the detail is in the file, and the key that is missing there, if one is.

    pydantic's locations also name what the file doesn't hold: the ``[key]`` of a mapping, the member of a union.
    """
    missing = str(detail["loc"][-1]) if detail["type"] == "missing" else None
    location = detail["loc"]
    if location[:1] == ("resources",) and location[2:3] and location[2] in KINDS:
        location = (*location[:2], *location[3:])  # pydantic names the union's member there
    path: Path = ()
    for part in location if missing is None else location[:-1]:
        if (*path, part) in document.keys:
            path = (*path, part)
    return path, missing


def _of_detail(detail: ErrorDetails, path: Path, missing: str | None, document: Document) -> Mistake:
    if missing is not None:
        expected = f"{missing}: {expectation_at((*path, missing), document.tree).text}"
        return _at(document.keys.get(path), (*path, missing), "nothing", expected, document)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, document)
    cause = detail.get("ctx", {}).get("error")
    expected = cause.expected if isinstance(cause, Unfit) else expectation_at(path, document.tree).text
    if detail["loc"][-1:] == ("[key]",):
        return _at(document.keys.get(path), path, shown(str(path[-1])), expected, document)
    return _at(document.values.get(path), path, _shown_at(path, document), expected, document)


def _unknown_key(path: Path, document: Document) -> Mistake:
    key, known = str(path[-1]), keys_at(path[:-1], document.tree)
    # The value of an unknown key is not shown: it may be a secret under a mistyped name.
    expected = f"one of the keys {', '.join(known)}{did_you_mean(key, known)}"
    return _at(document.keys.get(path), path, f"the key {shown(key)}", expected, document)


def _of_contradiction(found: Contradiction, document: Document) -> Mistake:
    """At its own place; where that key was left to its default, at the nearest part above that stands in the file."""
    path = found.at
    while path and path not in document.keys:
        path = path[:-1]
    place = document.values.get(path) if path == found.at else document.keys.get(path)
    return _at(place, found.at, shown(found.value), found.expected, document)


def _at(place: Place | None, path: Path, value: str, expected: str, document: Document) -> Mistake:
    here = place or Place(1, 1)
    return Mistake(document.file, here.line, here.column, spell(path), value, expected)


def _shown_at(path: Path, document: Document) -> str:
    value = _value_at(path, document.tree)
    if isinstance(value, dict):
        return "keys and values" if value else "nothing"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    return shown_secret(value) if expectation_at(path, document.tree).secret else shown(value)


def _value_at(path: Path, tree: TextTree | None) -> TextTree | None:
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int):
            tree = tree[part]
        else:
            return None
    return tree


def _salvaged(document: Document, pruned: set[Path]) -> Iterator[Contradiction]:
    """Contradictions between the parts that are right by themselves, found by leaving out the others.

    Where a part is left out that something else needs, what it is needed by is left out too, and nothing that rests on a part
    left out is reported.
    """
    removed = {path for path in pruned if path}
    for _ in range(_ROUNDS):
        try:
            Stack.model_validate(_standing(_without(document.tree, removed), keys_too=not _in_encryption(removed)))
        except ValidationError as error:
            details = error.errors(include_url=False)
            found = [each for detail in details for each in _contradictions(detail) or ()]
            yield from (each for each in found if not _rests_on(each, removed))
            further = {_path_in_file(detail, document)[0] for detail in details}
            if () in further or further <= removed:
                return
            removed |= further
        else:
            return


def _rests_on(found: Contradiction, removed: set[Path]) -> bool:
    return any(path[: len(gone)] == gone for gone in removed for path in (found.at, *found.because_of))


def _in_encryption(paths: Iterable[Path]) -> bool:
    return any(path[:1] == ("encryption",) for path in paths)


def _standing(tree: TextTree | None, *, keys_too: bool) -> dict[str, object]:
    """The rest of a broken file, with stand-ins for what every file needs.

    ``keys_too``: whether all of ``encryption`` is right by itself.
    """
    top = tree if isinstance(tree, dict) else {}
    standing: dict[str, object] = {
        "repositories": _STAND_IN_REPOSITORIES,
        **top,
        "stack": "stand-in",
        "encryption": top.get("encryption") if keys_too else _STAND_IN_KEYS,
    }
    resources = top.get("resources")
    if isinstance(resources, dict):
        standing["resources"] = {
            name: {"kind": kind_of(given), **_STAND_IN_RESOURCES[kind_of(given)], **given}
            for name, given in resources.items()
            if isinstance(given, dict)
        }
    return standing


def _without(tree: TextTree | None, removed: Iterable[Path]) -> TextTree | None:
    """A copy that lacks some parts. A list that lacks an entry is left out whole: positions must stay true."""
    rest = copy.deepcopy(tree)
    for path in removed:
        keys = path
        while keys and isinstance(keys[-1], int):
            keys = keys[:-1]
        parent = _value_at(keys[:-1], rest) if keys else None
        if isinstance(parent, dict):
            parent.pop(str(keys[-1]), None)
    return rest
