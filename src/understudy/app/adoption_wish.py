"""What a person says to ``adopt``, and where that leads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from understudy.app.recovery_kit import KitContents
from understudy.stack.expectation import Unfit
from understudy.stack.models import RepositorySettings
from understudy.stack.secrets import parse_reference
from understudy.stack.values import parse_endpoint, parse_region, parse_repository_url
from understudy.vocabulary.errors import Refusal

Parsed = TypeVar("Parsed")

_MAY_BE_SECRET = ("--endpoint", "--access-key", "--secret-key")
_READ_BY: Mapping[str, Callable[[str], object]] = {
    "endpoint": parse_endpoint,
    "region": parse_region,
    "access_key": parse_reference,
    "secret_key": parse_reference,
}
"""What belongs to a bucket only."""


@dataclass(frozen=True, slots=True)
class AdoptionWish:
    """What a person said. References are as they will stand in the stack file."""

    repository: str
    """A directory, ``file://…`` or ``s3://…``."""
    kit: Path
    output: Path
    state: Path | None = None
    name: str | None = None
    """What the stack file calls the repository."""
    endpoint: str | None = None
    region: str | None = None
    access_key_reference: str | None = None
    secret_key_reference: str | None = None
    signers: tuple[str, ...] = ()
    """Public keys that the person knows, and the kit does not name."""
    stored: str | None = None
    """The beginning of the SHA-256 of the stored stack file to be taken, signed or not."""


def plain_path(path: Path) -> Path:
    """Absolute and, because that is what a stack file takes, without ``..``."""
    return path.resolve() if ".." in path.parts else path.absolute()


def settings_of(wish: AdoptionWish, kit: KitContents) -> RepositorySettings:
    """What the options say; of an address that the kit names, the references that it names with it, for what they leave out.

    Raises:
        Refusal: ``option_malformed``.
    """
    text = wish.repository
    url = fit_option("REPOSITORY", parse_repository_url, text if "://" in text else f"file://{plain_path(Path(text))}")
    given: dict[str, object] = {
        "endpoint": None if wish.endpoint is None else fit_option("--endpoint", parse_endpoint, wish.endpoint),
        "region": None if wish.region is None else fit_option("--region", parse_region, wish.region),
        "access_key": _reference("--access-key", wish.access_key_reference),
        "secret_key": _reference("--secret-key", wish.secret_key_reference),
    }
    if url.startswith("file:"):
        for key in _READ_BY:
            if given[key] is not None:
                option = f"--{key.replace('_', '-')}"
                raise malformed_option(option, "with a directory", "s3://bucket/prefix as REPOSITORY; a directory needs none")
        return RepositorySettings(url=url)
    for key, value in _told_by(kit, url):
        if given.get(key) is None:
            given[key] = value
    if (given["access_key"] is None) != (given["secret_key"] is None):
        raise malformed_option("--access-key", "without --secret-key, or the other way round", "both, or none of them")
    return RepositorySettings.model_validate({"url": url, **given})


def _told_by(kit: KitContents, url: str) -> Iterable[tuple[str, object]]:
    names = {name for name, there in kit.repositories if there == url}
    for each in kit.credentials:
        key, _, name = each.meaning.partition(" of repository ")
        if name in names and key in _READ_BY:
            with contextlib.suppress(Unfit):  # what a person made of the line
                yield key, _READ_BY[key](each.reference)


def _reference(option: str, text: str | None) -> object:
    return None if text is None else fit_option(option, parse_reference, text)


def fit_option(option: str, parse: Callable[[str], Parsed], text: str) -> Parsed:
    """
    Raises:
        Refusal: ``option_malformed``.
    """
    try:
        return parse(text)
    except Unfit as unfit:
        shown = "a value that is not repeated, because it may be a secret" if option in _MAY_BE_SECRET else repr(text)
        raise malformed_option(option, shown, unfit.expected) from None


def malformed_option(option: str, found: str, expected: str) -> Refusal:
    return Refusal(
        "option_malformed", found=f"{option} {found}", expected=expected, hint="see the examples of: understudy adopt --help"
    )
