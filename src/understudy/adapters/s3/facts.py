"""What a store tells of an object besides its content, and the form that it has in a snapshot.

The form, each field only where it is known::

    {"content_type": "image/png", "cache_control": "…", "content_disposition": "…", "content_encoding": "…",
     "content_language": "…", "expires": "…", "metadata": {"name": "value"}, "tags": {"name": "value"},
     "last_modified": "2026-11-23T03:00:00+00:00"}

``last_modified`` is told to people: no store lets it be set. Not kept: storage class, access lists, retention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.locking import Lock, LockMode

PARAMETERS = {
    "content_type": "ContentType",
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
    "expires": "Expires",
}
"""What each is called in a request."""
_IN_A_HEADER = re.compile(r"[\x20-\x7e]*")
_METADATA_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


Told: TypeAlias = Mapping[str, object]
"""An answer of boto3, or a part of one."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """As a listing shows it."""

    key: str
    size_bytes: int
    fingerprint: str

    @classmethod
    def of(cls, told: Told) -> FoundObject:
        size_bytes = int(str(told["Size"]))
        return cls(str(told["Key"]), size_bytes, fingerprint_of(bare_etag(told), size_bytes, told.get("LastModified")))


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    size_bytes: int
    etag: str
    fingerprint: str
    attributes: JsonObject
    """All but the tags."""
    has_tags: bool

    @classmethod
    def of(cls, told: Told) -> ObjectFacts:
        size_bytes, etag, modified = int(str(told.get("ContentLength"))), bare_etag(told), told.get("LastModified")
        attributes: dict[str, str | Mapping[str, str]] = {}
        for name, parameter in PARAMETERS.items():
            value = told.get("ExpiresString") if name == "expires" else told.get(parameter)
            if value:
                attributes[name] = str(value)
        metadata = told.get("Metadata")
        if isinstance(metadata, Mapping) and metadata:
            attributes["metadata"] = {str(name).lower(): str(value) for name, value in metadata.items()}
        if isinstance(modified, datetime):
            attributes["last_modified"] = modified.astimezone(UTC).replace(microsecond=0).isoformat()
        return cls(size_bytes, etag, fingerprint_of(etag, size_bytes, modified), attributes, bool(told.get("TagCount")))


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a store tells of one version of an object."""

    size_bytes: int
    version: str | None
    """None: the bucket keeps no versions."""
    lock: Lock | None

    @classmethod
    def of(cls, told: Told) -> VersionFacts:
        version = told.get("VersionId")
        lock = lock_of(told.get("ObjectLockMode"), told.get("ObjectLockRetainUntilDate"))
        return cls(int(str(told["ContentLength"])), None if version is None else str(version), lock)


def lock_of(mode: object, until: object) -> Lock | None:
    """None also for modes that are not known here."""
    named = str(mode or "").lower()
    if named not in set(LockMode) or not isinstance(until, datetime):
        return None
    return Lock(LockMode(named), until.astimezone(UTC))


def bare_etag(told: Told) -> str:
    """Some stores put quotes around it in one answer and not in the other."""
    return str(told.get("ETag") or "").strip('"')


def fingerprint_of(etag: str, size_bytes: int, modified: object) -> str:
    """In whole seconds, because an answer to one request has fewer digits than that to another. Empty without an ETag."""
    seconds = int(modified.timestamp()) if isinstance(modified, datetime) else 0
    return f"{etag} {size_bytes:x} {seconds:x}" if etag else ""


def etag_of(fingerprint: str) -> str:
    return fingerprint.partition(" ")[0]


def parameters_of(attributes: JsonObject) -> tuple[dict[str, str | Mapping[str, str]], list[str]]:
    """What a write is given to make an object with these attributes but for the tags, and what no request can carry.

    Raises:
        ValueError: a field is no value of its kind. Those of other kinds of collections are left out.
    """
    parameters: dict[str, str | Mapping[str, str]] = {}
    left_out = []
    for name, parameter in PARAMETERS.items():
        value = attributes.get(name, "")
        if not isinstance(value, str):
            raise ValueError(f"{name} {value!r}")
        if not _IN_A_HEADER.fullmatch(value):
            left_out.append(name)
        elif value:
            parameters[parameter] = value
    metadata = _texts(attributes, "metadata")
    sent = {name: value for name, value in metadata.items() if _METADATA_NAME.fullmatch(name) and _IN_A_HEADER.fullmatch(value)}
    left_out += [f"metadata {name!r}" for name in metadata.keys() - sent.keys()]
    if sent:
        parameters["Metadata"] = sent
    return parameters, left_out


def tags_of(attributes: JsonObject) -> dict[str, str]:
    """
    Raises:
        ValueError: as of ``parameters_of``.
    """
    return _texts(attributes, "tags")


def _texts(attributes: JsonObject, name: str) -> dict[str, str]:
    value = attributes.get(name, {})
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError(f"{name} {value!r}")
    return {str(key): str(each) for key, each in value.items()}
