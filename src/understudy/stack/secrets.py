"""References to secrets, and the only place that reads secrets from the environment or from files.

The stack file holds ``env:NAME`` or ``file:/path``; the value is read when it is needed, never when the file is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from understudy.stack.expectation import Unfit
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

REFERENCE_TEXT = "a reference to a secret, env:NAME or file:/absolute/path, never the secret itself"

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_LARGEST_BYTES = 64 * 1024

REFERENCE_ALTERNATIVES = f"env:{_ENVIRONMENT_NAME.pattern}|file:/.*"
"""For editors."""


class SecretPlace(StrEnum):
    ENVIRONMENT = "env"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is found; prints as it is written in the stack file."""

    place: SecretPlace
    name: str
    """Of the environment variable, or the file's absolute path."""

    def __str__(self) -> str:
        return f"{self.place.value}:{self.name}"


@dataclass(frozen=True, slots=True)
class PlainText:
    """A value that stands in the stack file itself, where a reference could have stood. It is no secret."""

    text: str

    def __str__(self) -> str:
        return self.text


def parse_reference(text: str) -> SecretReference:
    """``env:NAME`` or ``file:/path``.

    Raises:
        Unfit: it has another form; the text is not repeated, because it may be the secret.
    """
    place, colon, name = text.partition(":")
    if colon and place == SecretPlace.ENVIRONMENT and _ENVIRONMENT_NAME.fullmatch(name):
        return SecretReference(SecretPlace.ENVIRONMENT, name)
    if colon and place == SecretPlace.FILE and name.startswith("/") and name.isprintable():
        return SecretReference(SecretPlace.FILE, name)
    raise Unfit(REFERENCE_TEXT)


def is_reference(text: str) -> bool:
    """Whether it means to be a reference, well formed or not."""
    return text.startswith(("env:", "file:"))


def resolve(reference: SecretReference, environment: Mapping[str, str] | None = None) -> Secret:
    """The secret's value, read now, without the line break that editors and ``echo`` leave at its end.

    Raises:
        GiveUp: ``secret_missing`` (the variable or the file is not there, or empty), ``secret_unreadable`` (no permission, too
            large, or not text).
    """
    if reference.place is SecretPlace.ENVIRONMENT:
        return _from_environment(reference, os.environ if environment is None else environment)
    return _from_file(reference)


def resolve_text(value: SecretReference | PlainText, environment: Mapping[str, str] | None = None) -> Secret:
    """As ``resolve``; what stands in the file in clear is handed on under the same type."""
    return Secret(value.text) if isinstance(value, PlainText) else resolve(value, environment)


def _from_environment(reference: SecretReference, environment: Mapping[str, str]) -> Secret:
    value = environment.get(reference.name, "")
    if not value:
        raise GiveUp(
            "secret_missing",
            found=f"the environment variable {reference.name} is not set or empty",
            expected=f"a value behind {reference}",
            hint=f"set it where understudy starts: export {reference.name}=…, or Environment= / EnvironmentFile= of its service",
        )
    return Secret(_without_last_line_break(value))


def _from_file(reference: SecretReference) -> Secret:
    path = Path(reference.name)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise _unreadable(reference, f"{path} is larger than {_LARGEST_BYTES} bytes")
        value = _without_last_line_break(content.decode("utf-8"))
    except FileNotFoundError:
        raise _missing_file(reference, f"{path} does not exist") from None
    except UnicodeDecodeError:
        # "from None": the error's own text would repeat some of the content.
        raise _unreadable(reference, f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise _unreadable(reference, f"{path} cannot be read: {error.strerror}") from None
    if not value:
        raise _missing_file(reference, f"{path} is empty")
    return Secret(value)


def _missing_file(reference: SecretReference, found: str) -> GiveUp:
    return GiveUp(
        "secret_missing",
        found=found,
        expected=f"a value behind {reference}",
        hint=f"write the secret into {reference.name}, mode 0600, owned by the user that understudy runs as",
    )


def _unreadable(reference: SecretReference, found: str) -> GiveUp:
    return GiveUp(
        "secret_unreadable",
        found=found,
        expected="a small text file that the user that understudy runs as may read",
        hint=f"look at it with: ls -l {reference.name}",
    )


def _without_last_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
